//! The parse tree and its text, which Go quotes in error messages. Knows nothing of evaluation.

use std::sync::Arc;

/// Where a template was parsed from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: Vec<u8>,
}

impl Source {
    /// `name:line:column` of a byte position: line from 1, column in bytes from 0, as Go counts.
    pub(crate) fn location(&self, pos: usize) -> String {
        let before = &self.text[..pos.min(self.text.len())];
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
        let column = before.iter().rposition(|&b| b == b'\n').map_or(pos, |at| pos - at - 1);
        format!("{}:{}:{}", self.name, line, column)
    }
}

/// A parsed template: its name, its source and its body.
#[derive(Debug)]
pub struct Tree {
    pub(crate) name: Arc<str>,
    pub(crate) source: Arc<Source>,
    pub(crate) root: Vec<Node>,
}

impl Tree {
    /// The template's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the body holds nothing but space and comments.
    pub fn is_blank(&self) -> bool {
        is_blank(&self.root)
    }
}

pub(crate) fn is_blank(nodes: &[Node]) -> bool {
    nodes.iter().all(|n| match n {
        Node::Text(t) => String::from_utf8_lossy(t).chars().all(crate::text::is_space),
        _ => false,
    })
}

/// An element of a template body.
#[derive(Debug)]
pub(crate) enum Node {
    Text(Vec<u8>),
    Action { pos: usize, pipe: Pipe },
    If(Box<Branch>),
    With(Box<Branch>),
    Range(Box<Branch>),
    Template { pos: usize, name: Arc<str>, pipe: Option<Pipe> },
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pos: usize,
    pub(crate) pipe: Pipe,
    pub(crate) list: Vec<Node>,
    pub(crate) else_list: Option<Vec<Node>>,
}

#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    pub(crate) is_assign: bool,
    pub(crate) decl: Vec<Variable>,
    pub(crate) cmds: Vec<Command>,
}

#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) args: Vec<Arg>,
}

#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) ident: Vec<Box<str>>,
}

/// An operand of a command.
#[derive(Debug)]
pub(crate) struct Arg {
    pub(crate) pos: usize,
    pub(crate) kind: ArgKind,
}

#[derive(Debug)]
pub(crate) enum ArgKind {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Str { quoted: Vec<u8>, text: Vec<u8> },
    Field(Vec<Box<str>>),
    Variable(Vec<Box<str>>),
    Ident(Box<str>),
    Chain { node: Box<Arg>, fields: Vec<Box<str>> },
    Pipe(Box<Pipe>),
}

/// A numeric constant with every reading it allows.
#[derive(Debug, Default)]
pub(crate) struct Number {
    pub(crate) text: String,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
    pub(crate) complex: Option<(f64, f64)>,
}

fn join(out: &mut String, idents: &[Box<str>], lead: bool) {
    for (i, ident) in idents.iter().enumerate() {
        if lead || i > 0 {
            out.push('.');
        }
        out.push_str(ident);
    }
}

impl Pipe {
    pub(crate) fn write(&self, out: &mut String) {
        for (i, v) in self.decl.iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            join(out, &v.ident, false);
        }
        if !self.decl.is_empty() {
            out.push_str(if self.is_assign { " = " } else { " := " });
        }
        for (i, c) in self.cmds.iter().enumerate() {
            if i > 0 {
                out.push_str(" | ");
            }
            c.write(out);
        }
    }
}

impl Command {
    pub(crate) fn write(&self, out: &mut String) {
        for (i, arg) in self.args.iter().enumerate() {
            if i > 0 {
                out.push(' ');
            }
            arg.write_operand(out);
        }
    }
}

impl Arg {
    /// The operand as it stands inside a command, pipelines in parentheses.
    fn write_operand(&self, out: &mut String) {
        let parens = matches!(self.kind, ArgKind::Pipe(_));
        if parens {
            out.push('(');
        }
        self.write(out);
        if parens {
            out.push(')');
        }
    }

    pub(crate) fn write(&self, out: &mut String) {
        match &self.kind {
            ArgKind::Dot => out.push('.'),
            ArgKind::Nil => out.push_str("nil"),
            ArgKind::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            ArgKind::Number(n) => out.push_str(&n.text),
            ArgKind::Str { quoted, .. } => out.push_str(&String::from_utf8_lossy(quoted)),
            ArgKind::Field(idents) => join(out, idents, true),
            ArgKind::Variable(idents) => join(out, idents, false),
            ArgKind::Ident(name) => out.push_str(name),
            ArgKind::Chain { node, fields } => {
                node.write_operand(out);
                join(out, fields, true);
            }
            ArgKind::Pipe(pipe) => pipe.write(out),
        }
    }

    pub(crate) fn shown(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

/// What evaluation is at, for error positions.
#[derive(Clone, Copy)]
pub(crate) enum At<'t> {
    Node(&'t Node),
    Pipe(&'t Pipe),
    Arg(&'t Arg),
    Command(&'t Command),
    /// Nothing yet.
    Nothing,
}

impl At<'_> {
    pub(crate) fn pos(&self) -> usize {
        match self {
            At::Node(n) => match n {
                Node::Action { pos, .. } | Node::Template { pos, .. } => *pos,
                Node::If(b) | Node::With(b) | Node::Range(b) => b.pos,
                Node::Text(_) | Node::Break | Node::Continue => 0,
            },
            At::Pipe(p) => p.pos,
            At::Arg(a) => a.pos,
            At::Command(c) => c.pos,
            At::Nothing => 0,
        }
    }

    pub(crate) fn shown(&self) -> String {
        let mut out = String::new();
        match self {
            At::Node(n) => write_node(n, &mut out),
            At::Pipe(p) => p.write(&mut out),
            At::Arg(a) => a.write(&mut out),
            At::Command(c) => c.write(&mut out),
            At::Nothing => {}
        }
        out
    }
}

fn write_branch(name: &str, branch: &Branch, out: &mut String) {
    out.push_str("{{");
    out.push_str(name);
    out.push(' ');
    branch.pipe.write(out);
    out.push_str("}}");
    write_nodes(&branch.list, out);
    if let Some(list) = &branch.else_list {
        out.push_str("{{else}}");
        write_nodes(list, out);
    }
    out.push_str("{{end}}");
}

pub(crate) fn write_nodes(nodes: &[Node], out: &mut String) {
    for n in nodes {
        write_node(n, out);
    }
}

fn write_node(node: &Node, out: &mut String) {
    match node {
        Node::Text(t) => out.push_str(&String::from_utf8_lossy(t)),
        Node::Action { pipe, .. } => {
            out.push_str("{{");
            pipe.write(out);
            out.push_str("}}");
        }
        Node::If(b) => write_branch("if", b, out),
        Node::With(b) => write_branch("with", b, out),
        Node::Range(b) => write_branch("range", b, out),
        Node::Template { name, pipe, .. } => {
            out.push_str("{{template ");
            out.push_str(&crate::quote::quote(name.as_bytes()));
            if let Some(pipe) = pipe {
                out.push(' ');
                pipe.write(out);
            }
            out.push_str("}}");
        }
        Node::Break => out.push_str("{{break}}"),
        Node::Continue => out.push_str("{{continue}}"),
    }
}
