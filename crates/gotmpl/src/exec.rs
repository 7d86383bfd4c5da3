//! Executing a template: the rendering's context and limits, and the walk over the parse tree.
//! Knows no function and no way to read a field; those are `call` and `eval`.
//! Behaviour: Go 1.26 `text/template/exec.go`.

use std::sync::Arc;

use crate::error::{ExecError, FuncError, Notice};
use crate::func::FuncMap;
use crate::limits::{Limit, Limits, Used};
use crate::node::{At, Branch, Node, Pipe, Tree};
use crate::printf;
use crate::templates::Templates;
use crate::value::{Elem, UintType, Value};

/// What a map entry that is not there reads as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingKey {
    /// No value: prints `<no value>`.
    #[default]
    Invalid,
    /// The zero value of the map's element type.
    Zero,
    /// An error.
    Error,
}

/// A rendering under way: the templates in force, the functions, the limits and what is used of them.
pub struct Context<'f> {
    templates: Arc<Templates>,
    funcs: &'f FuncMap,
    missing_key: MissingKey,
    pub(crate) limits: Limits,
    pub(crate) used: Used,
    depth: usize,
    notices: Vec<Notice>,
}

/// Most notices kept of a rendering.
const MAX_NOTICES: usize = 1000;

impl<'f> Context<'f> {
    /// A fresh rendering.
    pub fn new(
        templates: Arc<Templates>,
        funcs: &'f FuncMap,
        missing_key: MissingKey,
        limits: Limits,
    ) -> Context<'f> {
        Context {
            templates,
            funcs,
            missing_key,
            limits,
            used: Used::default(),
            depth: 0,
            notices: Vec::new(),
        }
    }

    /// The templates in force.
    pub fn templates(&self) -> &Arc<Templates> {
        &self.templates
    }

    /// The functions beside the builtins.
    pub fn funcs(&self) -> &'f FuncMap {
        self.funcs
    }

    /// What a missing map entry reads as.
    pub fn missing_key(&self) -> MissingKey {
        self.missing_key
    }

    /// What functions had to say and went on, in order.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    pub(crate) fn note(&mut self, notice: Notice) {
        if self.notices.len() < MAX_NOTICES {
            self.notices.push(notice);
        }
    }

    /// Runs `f` with other templates in force.
    pub fn with_templates<T>(
        &mut self,
        templates: Arc<Templates>,
        missing_key: MissingKey,
        f: impl FnOnce(&mut Context<'f>) -> T,
    ) -> T {
        let outer = std::mem::replace(&mut self.templates, templates);
        let outer_key = std::mem::replace(&mut self.missing_key, missing_key);
        let result = f(self);
        self.templates = outer;
        self.missing_key = outer_key;
        result
    }

    /// Executes the template of that name on the value.
    ///
    /// # Errors
    /// What Go reports, or a limit reached.
    pub fn execute(&mut self, name: &str, data: Value) -> Result<Vec<u8>, Box<ExecError>> {
        let Some(tree) = self.templates.lookup(name).cloned() else {
            let shown = crate::quote::quote(name.as_bytes());
            let set = crate::quote::quote(self.templates.name().as_bytes());
            return Err(Box::new(ExecError {
                template: String::new(),
                location: None,
                context: String::new(),
                message: format!("no template {shown} associated with template {set}"),
                cause: None,
            }));
        };
        let data = if data.is_nil() { Value::Missing } else { data };
        let mut out = Vec::new();
        self.run(&tree, Dot::plain(data), &mut out)?;
        Ok(out)
    }

    fn run(&mut self, tree: &Tree, dot: Dot, out: &mut Vec<u8>) -> Result<(), Box<ExecError>> {
        if self.depth >= self.limits.depth {
            let most = self.limits.depth;
            return Err(Box::new(ExecError {
                template: tree.name().to_owned(),
                location: None,
                context: String::new(),
                message: format!("exceeded maximum template depth ({most})"),
                cause: Some(Box::new(FuncError::Limit(Limit::Depth, most as u64))),
            }));
        }
        self.depth += 1;
        let result = crate::grow(|| {
            let vars = vec![("$", dot.clone())];
            let mut state = State { cx: self, tree, out, vars, at: At::Nothing };
            state.list(&dot, &tree.root)
        });
        self.depth -= 1;
        result.map(|_| ())
    }
}

/// A value as a template sees it through `.` or a variable: with whether it came out of an interface
/// (a slice element), which Go shows in the type of an error.
#[derive(Clone)]
pub(crate) struct Dot {
    pub(crate) value: Value,
    pub(crate) interface: bool,
}

impl Dot {
    pub(crate) fn plain(value: Value) -> Dot {
        Dot { value, interface: false }
    }
}

/// The state of one template's execution.
pub(crate) struct State<'c, 'f, 't> {
    pub(crate) cx: &'c mut Context<'f>,
    pub(crate) tree: &'t Tree,
    pub(crate) out: &'c mut Vec<u8>,
    pub(crate) vars: Vec<(&'t str, Dot)>,
    pub(crate) at: At<'t>,
}

/// How a body ended.
enum Flow {
    Next,
    Break,
    Continue,
}

pub(crate) type Result<T, E = Box<ExecError>> = std::result::Result<T, E>;

impl<'t> State<'_, '_, 't> {
    pub(crate) fn fail<T>(&self, message: impl Into<String>) -> Result<T> {
        self.fail_with(message.into(), None)
    }

    pub(crate) fn fail_with<T>(&self, message: String, cause: Option<FuncError>) -> Result<T> {
        let known = !matches!(self.at, At::Nothing);
        Err(Box::new(ExecError {
            template: self.tree.name().to_owned(),
            location: known.then(|| self.tree.source.location(self.at.pos())),
            context: self.at.shown(),
            message,
            cause: cause.map(Box::new),
        }))
    }

    pub(crate) fn step(&mut self) -> Result<()> {
        self.spend(1)
    }

    fn spend(&mut self, steps: u64) -> Result<()> {
        match self.cx.spend(steps) {
            Ok(()) => Ok(()),
            Err(e) => self.fail_with(e.to_string(), Some(e)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self.cx.charge(bytes.len()) {
            Ok(()) => {
                self.out.extend_from_slice(bytes);
                Ok(())
            }
            Err(e) => self.fail_with(e.to_string(), Some(e)),
        }
    }

    fn list(&mut self, dot: &Dot, nodes: &'t [Node]) -> Result<Flow> {
        for node in nodes {
            match self.walk(dot, node)? {
                Flow::Next => {}
                jump => return Ok(jump),
            }
        }
        Ok(Flow::Next)
    }

    fn walk(&mut self, dot: &Dot, node: &'t Node) -> Result<Flow> {
        self.at = At::Node(node);
        self.step()?;
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Action { pipe, .. } => {
                // Variables stay until the enclosing end.
                let value = self.pipeline(dot, pipe)?;
                if pipe.decl.is_empty() {
                    self.at = At::Node(node);
                    self.print(node, &value)?;
                }
            }
            Node::If(branch) => return self.if_or_with(dot, branch, false),
            Node::With(branch) => return self.if_or_with(dot, branch, true),
            Node::Range(branch) => return self.range(dot, branch),
            Node::Template { name, pipe, .. } => self.template(dot, name, pipe.as_ref())?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, node: &'t Node, value: &Value) -> Result<()> {
        match value {
            Value::Str(s) => {
                let s = s.clone();
                self.write(s.as_bytes())
            }
            Value::Missing => self.write(b"<no value>"),
            Value::Object(o) if o.addressable_stringer().is_some() => {
                let text = o.addressable_stringer().unwrap_or_default();
                self.write(text.as_bytes())
            }
            Value::Func(_) => {
                let shown = At::Node(node).shown();
                self.fail(format!("can't print {shown} of type {}", value.type_name()))
            }
            _ => {
                let room = self.cx.output_left().min(self.cx.room().left());
                match printf::sprint(std::slice::from_ref(value), room) {
                    Ok(bytes) => self.write(&bytes),
                    Err(_) => self.fail("value is too large or too deeply nested to print"),
                }
            }
        }
    }

    fn if_or_with(&mut self, dot: &Dot, branch: &'t Branch, is_with: bool) -> Result<Flow> {
        let mark = self.vars.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        let flow = crate::grow(|| {
            if value.truth() {
                if is_with {
                    self.list(&Dot::plain(value), &branch.list)
                } else {
                    self.list(dot, &branch.list)
                }
            } else if let Some(list) = &branch.else_list {
                self.list(dot, list)
            } else {
                Ok(Flow::Next)
            }
        });
        self.vars.truncate(mark);
        flow
    }

    fn range(&mut self, dot: &Dot, branch: &'t Branch) -> Result<Flow> {
        let mark = self.vars.len();
        let flow = crate::grow(|| self.range_rounds(dot, branch));
        self.vars.truncate(mark);
        flow
    }

    fn range_rounds(&mut self, dot: &Dot, branch: &'t Branch) -> Result<Flow> {
        let value = self.pipeline(dot, &branch.pipe)?;
        // Maps are copied before the first round, which may be the last.
        let copied = match &value {
            Value::Map(map) => map.len() / 8,
            Value::Object(o) => o.weight() / 64,
            _ => 0,
        };
        self.spend(copied as u64)?;
        let two = branch.pipe.decl.len() > 1;
        let plain = |v: Value| Dot::plain(v);
        let mut rounds = 0usize;
        let mut over = |state: &mut Self, index: Dot, elem: Dot| -> Result<bool> {
            rounds += 1;
            state.round(branch, index, elem)
        };
        match &value {
            Value::Int(n, kind) if !two => {
                for i in 0..*n {
                    if !over(self, plain(Value::Missing), plain(Value::Int(i, *kind)))? {
                        break;
                    }
                }
            }
            Value::Uint(n, kind) if !two => {
                for i in 0..*n {
                    if !over(self, plain(Value::Missing), plain(Value::Uint(i, *kind)))? {
                        break;
                    }
                }
            }
            Value::Int(..) | Value::Uint(..) => {
                let shown = self.shown(&value);
                return self
                    .fail(format!("can't use {shown} to iterate over more than one variable"));
            }
            Value::List(list) => {
                let interface = list.elem() == Elem::Any;
                for (i, item) in list.items().iter().enumerate() {
                    let elem = Dot { value: item.clone(), interface };
                    if !over(self, plain(index_value(i)), elem)? {
                        break;
                    }
                }
            }
            Value::Bytes(bytes) => {
                for (i, b) in bytes.as_bytes().iter().enumerate() {
                    let elem = Value::Uint(u64::from(*b), UintType::Uint8);
                    if !over(self, plain(index_value(i)), plain(elem))? {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                let interface = map.elem() == Elem::Any;
                for (key, value) in map.snapshot() {
                    let elem = Dot { value, interface };
                    if !over(self, plain(Value::Str(key)), elem)? {
                        break;
                    }
                }
            }
            Value::Missing | Value::Nil => {}
            Value::Object(o) => match o.shape() {
                crate::object::Shape::List(items) => {
                    for (i, item) in items.into_iter().enumerate() {
                        if !over(self, plain(index_value(i)), plain(item))? {
                            break;
                        }
                    }
                }
                crate::object::Shape::Map(entries) => {
                    for (key, value) in entries {
                        if !over(self, plain(Value::Str(key)), plain(value))? {
                            break;
                        }
                    }
                }
                crate::object::Shape::Keyed(entries) => {
                    for (key, value) in entries {
                        if !over(self, plain(key), plain(value))? {
                            break;
                        }
                    }
                }
                _ => return self.not_iterable(&value),
            },
            _ => return self.not_iterable(&value),
        }
        match &branch.else_list {
            Some(list) if rounds == 0 => self.list(dot, list),
            _ => Ok(Flow::Next),
        }
    }

    fn not_iterable<T>(&self, value: &Value) -> Result<T> {
        let shown = self.shown(value);
        self.fail(format!("range can't iterate over {shown}"))
    }

    /// The value as `%v` shows it, cut for an error message.
    pub(crate) fn shown(&self, value: &Value) -> String {
        match printf::sprint(std::slice::from_ref(value), 64 << 10) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => "a very large value".into(),
        }
    }

    /// One round of a loop; false when the loop ends here.
    fn round(&mut self, branch: &'t Branch, index: Dot, elem: Dot) -> Result<bool> {
        self.step()?;
        let mark = self.vars.len();
        let decl = &branch.pipe.decl;
        if branch.pipe.is_assign {
            if let [first, second] = decl.as_slice() {
                self.set_var(&first.ident[0], index)?;
                self.set_var(&second.ident[0], elem.clone())?;
            } else if let [only] = decl.as_slice() {
                self.set_var(&only.ident[0], elem.clone())?;
            }
        } else {
            // The pipeline has pushed them, in order.
            if !decl.is_empty()
                && let Some(top) = self.vars.last_mut()
            {
                top.1 = elem.clone();
            }
            if decl.len() > 1
                && let Some(second) = mark.checked_sub(2)
            {
                self.vars[second].1 = index;
            }
        }
        let flow = self.list(&elem, &branch.list)?;
        self.vars.truncate(mark);
        Ok(!matches!(flow, Flow::Break))
    }

    fn template(&mut self, dot: &Dot, name: &str, pipe: Option<&'t Pipe>) -> Result<()> {
        let Some(tree) = self.cx.templates.lookup(name).cloned() else {
            let shown = crate::quote::quote(name.as_bytes());
            return self.fail(format!("template {shown} not defined"));
        };
        if self.cx.depth >= self.cx.limits.depth {
            let most = self.cx.limits.depth;
            return self.fail(format!("exceeded maximum template depth ({most})"));
        }
        let data = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Value::Missing,
        };
        self.cx.run(&tree, Dot::plain(data), self.out)
    }

    pub(crate) fn set_var(&mut self, name: &str, value: Dot) -> Result<()> {
        match self.vars.iter_mut().rev().find(|(n, _)| *n == name) {
            Some(var) => {
                var.1 = value;
                Ok(())
            }
            None => self.fail(format!("undefined variable: {name}")),
        }
    }
}

fn index_value(i: usize) -> Value {
    Value::int(i64::try_from(i).unwrap_or(i64::MAX))
}
