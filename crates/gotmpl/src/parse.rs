//! The parser: tokens to trees, accepting, refusing and wording refusals as Go 1.26 does.
//! Knows the names of functions (an unknown one is an error here), not what they do.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::ParseError;
use crate::lex::{Kind, Lexer, Token, describe};
use crate::node::{
    Arg, ArgKind, Branch, Command, Node, Pipe, Source, Tree, Variable, is_blank, write_nodes,
};
use crate::number::parse_number;
use crate::quote::{quote, unquote};

/// Deepest nesting of parentheses and of control actions (Go: 10 000 parentheses).
const MAX_DEPTH: usize = 1000;

/// Go's builtin function names.
pub(crate) const BUILTINS: [&str; 19] = [
    "and", "call", "html", "index", "slice", "js", "len", "not", "or", "print", "printf",
    "println", "urlquery", "eq", "ge", "gt", "le", "lt", "ne",
];

/// Parses a template text into the tree of that name and the trees it defines.
pub(crate) fn parse(
    name: &str,
    text: &[u8],
    is_function: &dyn Fn(&str) -> bool,
) -> Result<Vec<Tree>, ParseError> {
    let source = Arc::new(Source { name: name.to_owned(), text: text.to_vec() });
    let mut lexer = Lexer::new(text);
    lexer.break_ok = !is_function("break");
    lexer.continue_ok = !is_function("continue");
    let eof = Token { kind: Kind::Eof, pos: 0, val: Vec::new(), line: 0 };
    let mut parser = Parser {
        source,
        lexer,
        is_function,
        tokens: [eof.clone(), eof.clone(), eof],
        peeked: 0,
        vars: vec!["$".into()],
        stack_depth: 0,
        control_depth: 0,
        range_depth: 0,
        action_line: 0,
        trees: HashMap::new(),
        order: Vec::new(),
    };
    parser.run()?;
    let Parser { order, mut trees, .. } = parser;
    Ok(order.iter().filter_map(|name| trees.remove(name)).collect())
}

struct Parser<'a> {
    source: Arc<Source>,
    lexer: Lexer<'a>,
    is_function: &'a dyn Fn(&str) -> bool,
    tokens: [Token; 3],
    peeked: usize,
    vars: Vec<Box<str>>,
    stack_depth: usize,
    control_depth: usize,
    range_depth: usize,
    action_line: usize,
    trees: HashMap<Arc<str>, Tree>,
    order: Vec<Arc<str>>,
}

type Result<T, E = ParseError> = std::result::Result<T, E>;

/// What an action turns out to be.
enum Item {
    Node(Node),
    End,
    Else,
}

impl Item {
    fn shown(&self) -> String {
        match self {
            Item::End => "{{end}}".into(),
            Item::Else => "{{else}}".into(),
            Item::Node(n) => {
                let mut out = String::new();
                write_nodes(std::slice::from_ref(n), &mut out);
                out
            }
        }
    }
}

fn text_of(token: &Token) -> String {
    String::from_utf8_lossy(&token.val).into_owned()
}

fn split_idents(text: &str) -> Vec<Box<str>> {
    text.split('.').map(Box::from).collect()
}

impl Parser<'_> {
    // Token buffer: up to three tokens can be pushed back.

    fn next(&mut self) -> Token {
        if self.peeked > 0 {
            self.peeked -= 1;
        } else {
            self.tokens[0] = self.lexer.next_token();
        }
        self.tokens[self.peeked].clone()
    }

    fn backup(&mut self) {
        self.peeked += 1;
    }

    fn backup2(&mut self, first: Token) {
        self.tokens[1] = first;
        self.peeked = 2;
    }

    fn backup3(&mut self, first: Token, second: Token) {
        self.tokens[1] = second;
        self.tokens[2] = first;
        self.peeked = 3;
    }

    fn peek(&mut self) -> Token {
        if self.peeked == 0 {
            self.tokens[0] = self.lexer.next_token();
            self.peeked = 1;
        }
        self.tokens[self.peeked - 1].clone()
    }

    fn peek_kind(&mut self) -> Kind {
        if self.peeked == 0 {
            self.tokens[0] = self.lexer.next_token();
            self.peeked = 1;
        }
        self.tokens[self.peeked - 1].kind
    }

    fn next_non_space(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> Token {
        let token = self.next_non_space();
        self.backup();
        token
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(ParseError {
            template: self.source.name.clone(),
            line: self.tokens[0].line,
            message: message.into(),
        })
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Result<T> {
        if token.kind == Kind::Error {
            let text = text_of(token);
            let mut extra = String::new();
            if self.action_line != 0 && self.action_line != token.line {
                let place = format!("{}:{}", self.source.name, self.action_line);
                extra = if text.ends_with(" action") {
                    format!(" started at {place}")
                } else {
                    format!(" in action started at {place}")
                };
            }
            return self.fail(format!("{text}{extra}"));
        }
        self.fail(format!("unexpected {} in {context}", describe(token)))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token> {
        let token = self.next_non_space();
        if token.kind != kind {
            return self.unexpected(&token, context);
        }
        Ok(token)
    }

    // Grammar.

    fn run(&mut self) -> Result<()> {
        let mut root = Vec::new();
        while self.peek_kind() != Kind::Eof {
            if self.peek_kind() == Kind::LeftDelim {
                let delim = self.next();
                if self.next_non_space().kind == Kind::Define {
                    self.definition()?;
                    continue;
                }
                self.backup2(delim);
            }
            match self.text_or_action()? {
                Item::Node(n) => root.push(n),
                other => return self.fail(format!("unexpected {}", other.shown())),
            }
        }
        let name = Arc::from(self.source.name.as_str());
        self.add(name, root)
    }

    fn add(&mut self, name: Arc<str>, root: Vec<Node>) -> Result<()> {
        match self.trees.get(&name) {
            Some(old) if !old.is_blank() => {
                if !is_blank(&root) {
                    let shown = quote(name.as_bytes());
                    return self.fail(format!("template: multiple definition of template {shown}"));
                }
                return Ok(());
            }
            Some(_) => {}
            None => self.order.push(name.clone()),
        }
        let tree = Tree { name: name.clone(), source: self.source.clone(), root };
        self.trees.insert(name, tree);
        Ok(())
    }

    /// Parses a body that has its own variables and loops: a definition or a block.
    fn separate_body(&mut self, context: &str) -> Result<(Vec<Node>, Item)> {
        let vars = std::mem::replace(&mut self.vars, vec!["$".into()]);
        let saved = (self.range_depth, self.stack_depth, self.action_line);
        (self.range_depth, self.stack_depth, self.action_line) = (0, 0, 0);
        let (root, end) = self.nested(|p| p.item_list())?;
        if !matches!(end, Item::End) {
            return self.fail(format!("unexpected {} in {context}", end.shown()));
        }
        self.vars = vars;
        (self.range_depth, self.stack_depth, self.action_line) = saved;
        Ok((root, end))
    }

    fn definition(&mut self) -> Result<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_non_space();
        if !matches!(token.kind, Kind::Str | Kind::RawString) {
            return self.unexpected(&token, CONTEXT);
        }
        let name = self.unquote_name(&token)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        let (root, _) = self.separate_body(CONTEXT)?;
        self.add(name, root)
    }

    fn unquote_name(&self, token: &Token) -> Result<Arc<str>> {
        match unquote(&token.val) {
            Some(text) => Ok(Arc::from(String::from_utf8_lossy(&text).as_ref())),
            None => self.fail("invalid syntax"),
        }
    }

    /// Runs a deeper level of control actions, bounded and with stack to spare.
    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.control_depth >= MAX_DEPTH {
            return self.fail("max nesting depth of control actions exceeded");
        }
        self.control_depth += 1;
        let result = crate::grow(|| f(self));
        self.control_depth -= 1;
        result
    }

    fn item_list(&mut self) -> Result<(Vec<Node>, Item)> {
        let mut list = Vec::new();
        while self.peek_non_space().kind != Kind::Eof {
            match self.text_or_action()? {
                Item::Node(n) => list.push(n),
                end => return Ok((list, end)),
            }
        }
        self.fail("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Result<Item> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.val))),
            Kind::LeftDelim => {
                self.action_line = token.line;
                let item = self.action()?;
                self.action_line = 0;
                Ok(item)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Result<Item> {
        let token = self.next_non_space();
        let node = match token.kind {
            Kind::Block => self.block_control()?,
            Kind::Break => self.jump("{{break}}", Node::Break)?,
            Kind::Continue => self.jump("{{continue}}", Node::Continue)?,
            Kind::Else => return self.else_control(),
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Item::End);
            }
            Kind::If => Node::If(Box::new(self.control("if")?)),
            Kind::Range => Node::Range(Box::new(self.control("range")?)),
            Kind::With => Node::With(Box::new(self.control("with")?)),
            Kind::Template => self.template_control()?,
            _ => {
                self.backup();
                let pos = self.peek().pos;
                Node::Action { pos, pipe: self.pipeline("command", Kind::RightDelim)? }
            }
        };
        Ok(Item::Node(node))
    }

    fn jump(&mut self, shown: &str, node: Node) -> Result<Node> {
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return self.unexpected(&token, shown);
        }
        if self.range_depth == 0 {
            return self.fail(format!("{shown} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe> {
        let pos = self.peek_non_space().pos;
        let mut pipe = Pipe { pos, is_assign: false, decl: Vec::new(), cmds: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.next_non_space();
            if token.kind == end {
                return self.checked(pipe, context);
            }
            match token.kind {
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::Str
                | Kind::Variable
                | Kind::LeftParen => {
                    self.backup();
                    let command = self.command()?;
                    pipe.cmds.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Result<()> {
        loop {
            let variable = self.peek_non_space();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            self.next();
            let after = self.peek();
            let next = self.peek_non_space();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    pipe.is_assign = next.kind == Kind::Assign;
                    self.next_non_space();
                    self.declare(pipe, &variable);
                    return Ok(());
                }
                Kind::Char if next.val == b"," => {
                    self.next_non_space();
                    self.declare(pipe, &variable);
                    if context == "range" && pipe.decl.len() < 2 {
                        match self.peek_non_space().kind {
                            Kind::Variable | Kind::RightDelim | Kind::RightParen => continue,
                            _ => return self.fail("range can only initialize variables"),
                        }
                    }
                    return self.fail(format!("too many declarations in {context}"));
                }
                _ if after.kind == Kind::Space => self.backup3(variable, after),
                _ => self.backup2(variable),
            }
            return Ok(());
        }
    }

    fn declare(&mut self, pipe: &mut Pipe, token: &Token) {
        let text = text_of(token);
        pipe.decl.push(Variable { ident: split_idents(&text) });
        self.vars.push(text.into());
    }

    fn checked(&self, pipe: Pipe, context: &str) -> Result<Pipe> {
        if pipe.cmds.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (i, command) in pipe.cmds.iter().enumerate().skip(1) {
            let constant = command.args.first().is_some_and(|arg| {
                matches!(
                    arg.kind,
                    ArgKind::Bool(_)
                        | ArgKind::Dot
                        | ArgKind::Nil
                        | ArgKind::Number(_)
                        | ArgKind::Str { .. }
                )
            });
            if constant {
                return self.fail(format!("non executable command in pipeline stage {}", i + 1));
            }
        }
        Ok(pipe)
    }

    fn control(&mut self, context: &str) -> Result<Branch> {
        let vars = self.vars.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let in_range = usize::from(context == "range");
        self.range_depth += in_range;
        let (list, next) = self.nested(|p| p.item_list())?;
        self.range_depth -= in_range;
        let mut else_list = None;
        if matches!(next, Item::Else) {
            let follow = self.peek_kind();
            else_list = Some(if context == "if" && follow == Kind::If {
                self.next();
                vec![Node::If(Box::new(self.nested(|p| p.control("if"))?))]
            } else if context == "with" && follow == Kind::With {
                self.next();
                vec![Node::With(Box::new(self.nested(|p| p.control("with"))?))]
            } else {
                let (list, end) = self.nested(|p| p.item_list())?;
                if !matches!(end, Item::End) {
                    return self.fail(format!("expected end; found {}", end.shown()));
                }
                list
            });
        }
        self.vars.truncate(vars);
        Ok(Branch { pos: pipe.pos, pipe, list, else_list })
    }

    fn else_control(&mut self) -> Result<Item> {
        if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
            self.expect(Kind::RightDelim, "else")?;
        }
        Ok(Item::Else)
    }

    fn template_name(&mut self, context: &str) -> Result<(usize, Arc<str>)> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Str | Kind::RawString => Ok((token.pos, self.unquote_name(&token)?)),
            _ => self.unexpected(&token, context),
        }
    }

    fn block_control(&mut self) -> Result<Node> {
        const CONTEXT: &str = "block clause";
        let (pos, name) = self.template_name(CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        let (root, _) = self.separate_body(CONTEXT)?;
        self.add(name.clone(), root)?;
        Ok(Node::Template { pos, name, pipe: Some(pipe) })
    }

    fn template_control(&mut self) -> Result<Node> {
        const CONTEXT: &str = "template clause";
        let (pos, name) = self.template_name(CONTEXT)?;
        let mut pipe = None;
        if self.next_non_space().kind != Kind::RightDelim {
            self.backup();
            pipe = Some(self.pipeline(CONTEXT, Kind::RightDelim)?);
        }
        Ok(Node::Template { pos, name, pipe })
    }

    fn command(&mut self) -> Result<Command> {
        let pos = self.peek_non_space().pos;
        let mut args = Vec::new();
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                args.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.backup(),
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if args.is_empty() {
            return self.fail("empty command");
        }
        Ok(Command { pos, args })
    }

    fn operand(&mut self) -> Result<Option<Arg>> {
        let Some(node) = self.term()? else {
            return Ok(None);
        };
        if self.peek_kind() != Kind::Field {
            return Ok(Some(node));
        }
        let pos = self.peek().pos;
        let mut fields: Vec<Box<str>> = Vec::new();
        while self.peek_kind() == Kind::Field {
            fields.push(text_of(&self.next())[1..].into());
        }
        let kind = match node.kind {
            ArgKind::Field(mut idents) => {
                idents.append(&mut fields);
                ArgKind::Field(idents)
            }
            ArgKind::Variable(mut idents) => {
                idents.append(&mut fields);
                ArgKind::Variable(idents)
            }
            ArgKind::Bool(_)
            | ArgKind::Str { .. }
            | ArgKind::Number(_)
            | ArgKind::Nil
            | ArgKind::Dot => {
                let shown = quote(node.shown().as_bytes());
                return self.fail(format!("unexpected . after term {shown}"));
            }
            ArgKind::Ident(_) | ArgKind::Chain { .. } | ArgKind::Pipe(_) => {
                ArgKind::Chain { node: Box::new(node), fields }
            }
        };
        Ok(Some(Arg { pos, kind }))
    }

    fn term(&mut self) -> Result<Option<Arg>> {
        let token = self.next_non_space();
        let pos = token.pos;
        let kind = match token.kind {
            Kind::Identifier => {
                let name = text_of(&token);
                if !BUILTINS.contains(&name.as_str()) && !(self.is_function)(&name) {
                    return self.fail(format!("function {} not defined", quote(&token.val)));
                }
                ArgKind::Ident(name.into())
            }
            Kind::Dot => ArgKind::Dot,
            Kind::Nil => ArgKind::Nil,
            Kind::Variable => {
                let idents = split_idents(&text_of(&token));
                if !self.vars.contains(&idents[0]) {
                    let shown = quote(idents[0].as_bytes());
                    return self.fail(format!("undefined variable {shown}"));
                }
                ArgKind::Variable(idents)
            }
            Kind::Field => ArgKind::Field(split_idents(&text_of(&token)[1..])),
            Kind::Bool => ArgKind::Bool(token.val == b"true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => {
                match parse_number(&token.val, token.kind) {
                    Ok(number) => ArgKind::Number(number),
                    Err(message) => return self.fail(message),
                }
            }
            Kind::LeftParen => {
                if self.stack_depth >= MAX_DEPTH {
                    return self.fail("max expression depth exceeded");
                }
                self.stack_depth += 1;
                let pipe =
                    crate::grow(|| self.pipeline("parenthesized pipeline", Kind::RightParen))?;
                self.stack_depth -= 1;
                return Ok(Some(Arg { pos: pipe.pos, kind: ArgKind::Pipe(Box::new(pipe)) }));
            }
            Kind::Str | Kind::RawString => match unquote(&token.val) {
                Some(text) => ArgKind::Str { quoted: token.val, text },
                None => return self.fail("invalid syntax"),
            },
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(Arg { pos, kind }))
    }
}
