//! Evaluating pipelines, commands, fields and variables. Function calls are `call`.
//! Behaviour: Go 1.26 `text/template/exec.go`.

use std::rc::Rc;

use crate::exec::{Dot, MissingKey, Result, State};
use crate::node::{Arg, ArgKind, At, Command, Number, Pipe};
use crate::value::{Elem, Value};

impl<'t> State<'_, '_, 't> {
    /// The value of a pipeline; its declarations are pushed or assigned.
    pub(crate) fn pipeline(&mut self, dot: &Dot, pipe: &'t Pipe) -> Result<Value> {
        self.at = At::Pipe(pipe);
        let mut value: Option<Value> = None;
        for command in &pipe.cmds {
            self.step()?;
            let next = self.command(dot, command, value.take())?;
            // An interface holding nothing becomes no value.
            value = Some(if matches!(next, Value::Nil) { Value::Missing } else { next });
        }
        let value = value.unwrap_or_default();
        for variable in &pipe.decl {
            let held = Dot::plain(value.clone());
            if pipe.is_assign {
                self.set_var(&variable.ident[0], held)?;
            } else {
                self.vars.push((&variable.ident[0], held));
            }
        }
        Ok(value)
    }

    fn not_a_function(&self, args: &[Arg], last: &Option<Value>) -> Result<()> {
        if args.len() > 1 || last.is_some() {
            return self.fail(format!("can't give argument to non-function {}", args[0].shown()));
        }
        Ok(())
    }

    fn command(&mut self, dot: &Dot, command: &'t Command, last: Option<Value>) -> Result<Value> {
        let first = &command.args[0];
        match &first.kind {
            ArgKind::Field(_) | ArgKind::Chain { .. } | ArgKind::Variable(_) => {
                return self.path(dot, first, &command.args, last);
            }
            ArgKind::Ident(name) => {
                self.at = At::Arg(first);
                return self.function(dot, name, At::Command(command), &command.args, last);
            }
            ArgKind::Pipe(pipe) => {
                self.not_a_function(&command.args, &last)?;
                return crate::grow(|| self.pipeline(dot, pipe));
            }
            _ => {}
        }
        self.at = At::Arg(first);
        self.not_a_function(&command.args, &last)?;
        match &first.kind {
            ArgKind::Bool(b) => Ok(Value::Bool(*b)),
            ArgKind::Dot => Ok(dot.value.clone()),
            ArgKind::Nil => self.fail("nil is not a command"),
            ArgKind::Number(n) => self.ideal_constant(first, n),
            ArgKind::Str { text, .. } => Ok(Value::str(text.as_slice())),
            _ => {
                let shown = crate::quote::quote(first.shown().as_bytes());
                self.fail(format!("can't evaluate command {shown}"))
            }
        }
    }

    pub(crate) fn ideal_constant(&mut self, arg: &'t Arg, n: &Number) -> Result<Value> {
        self.at = At::Arg(arg);
        if let Some((re, im)) = n.complex {
            return Ok(Value::Complex(re, im));
        }
        let text = n.text.as_bytes();
        let hex = text.len() > 2
            && text[0] == b'0'
            && matches!(text[1], b'x' | b'X')
            && !n.text.contains(['p', 'P']);
        let rune = text.first() == Some(&b'\'');
        if let Some(f) = n.float
            && !hex
            && !rune
            && n.text.contains(['.', 'e', 'E', 'p', 'P'])
        {
            return Ok(Value::Float(f));
        }
        match (n.int, n.uint) {
            (Some(i), _) => Ok(Value::int(i)),
            (None, Some(_)) => self.fail(format!("{} overflows int", n.text)),
            _ => Ok(Value::Missing),
        }
    }

    /// The value of a field, chain or variable, with arguments when it ends in a method.
    pub(crate) fn path(
        &mut self,
        dot: &Dot,
        arg: &'t Arg,
        args: &'t [Arg],
        last: Option<Value>,
    ) -> Result<Value> {
        self.at = At::Arg(arg);
        match &arg.kind {
            ArgKind::Field(fields) => self.fields(dot, dot.clone(), arg, fields, args, last),
            ArgKind::Variable(idents) => {
                let Some((_, held)) = self.vars.iter().rev().find(|(n, _)| *n == &*idents[0])
                else {
                    return self.fail(format!("undefined variable: {}", idents[0]));
                };
                let held = held.clone();
                if idents.len() == 1 {
                    if !args.is_empty() {
                        self.not_a_function(args, &last)?;
                    }
                    return Ok(held.value);
                }
                self.fields(dot, held, arg, &idents[1..], args, last)
            }
            ArgKind::Chain { node, fields } => {
                if matches!(node.kind, ArgKind::Nil) {
                    let shown = arg.shown();
                    return self.fail(format!("indirection through explicit nil in {shown}"));
                }
                let start = crate::grow(|| self.arg(dot, None, node))?;
                self.fields(dot, Dot::plain(start), arg, fields, args, last)
            }
            _ => self.fail("internal error: not a path"),
        }
    }

    fn fields(
        &mut self,
        dot: &Dot,
        mut receiver: Dot,
        node: &'t Arg,
        names: &[Box<str>],
        args: &'t [Arg],
        last: Option<Value>,
    ) -> Result<Value> {
        let Some((final_name, inner)) = names.split_last() else {
            return Ok(receiver.value);
        };
        for name in inner {
            receiver = self.field(dot, name, node, &[], None, &receiver)?;
        }
        Ok(self.field(dot, final_name, node, args, last, &receiver)?.value)
    }

    fn field(
        &mut self,
        dot: &Dot,
        name: &str,
        node: &'t Arg,
        args: &'t [Arg],
        last: Option<Value>,
        receiver: &Dot,
    ) -> Result<Dot> {
        let has_args = args.len() > 1 || last.is_some();
        match &receiver.value {
            Value::Missing => {
                if self.cx.missing_key() == MissingKey::Error {
                    let shown = crate::quote::quote(name.as_bytes());
                    return self.fail(format!("nil data; no entry for key {shown}"));
                }
                Ok(Dot::plain(Value::Missing))
            }
            Value::Nil => self.fail(format!("nil pointer evaluating interface {{}}.{name}")),
            Value::Map(map) => {
                if let Some(method) = map.kind().and_then(|kind| kind.method(map, name)) {
                    let value = self.invoke(dot, &method, name, At::Arg(node), args, last)?;
                    return Ok(Dot::plain(value));
                }
                if has_args {
                    return self.fail(format!("{name} is not a method but has arguments"));
                }
                let interface = map.elem() == Elem::Any;
                let value = match map.get(name) {
                    Some(value) => value,
                    None => self.missing_entry(name, map.elem().zero())?,
                };
                Ok(Dot { value, interface })
            }
            Value::Object(object) => {
                let object = Rc::clone(object);
                if let Some(method) = object.method(name) {
                    let value = self.invoke(dot, &method, name, At::Arg(node), args, last)?;
                    return Ok(Dot::plain(value));
                }
                let is_map = matches!(object.shape(), crate::object::Shape::Map(_));
                let value = object.field(name);
                if has_args && (is_map || value.is_some()) {
                    return self.fail(if is_map {
                        format!("{name} is not a method but has arguments")
                    } else {
                        format!("{name} has arguments but cannot be invoked as function")
                    });
                }
                match value {
                    Some(value) => Ok(Dot::plain(value)),
                    None if is_map => {
                        Ok(Dot::plain(self.missing_entry(name, object.missing_entry())?))
                    }
                    None => self.no_field(name, receiver),
                }
            }
            _ => self.no_field(name, receiver),
        }
    }

    fn missing_entry(&self, name: &str, zero: Value) -> Result<Value> {
        match self.cx.missing_key() {
            MissingKey::Invalid => Ok(Value::Missing),
            MissingKey::Zero => Ok(zero),
            MissingKey::Error => {
                let shown = crate::quote::quote(name.as_bytes());
                self.fail(format!("map has no entry for key {shown}"))
            }
        }
    }

    fn no_field<T>(&self, name: &str, receiver: &Dot) -> Result<T> {
        let kind =
            if receiver.interface { "interface {}".to_owned() } else { receiver.value.type_name() };
        self.fail(format!("can't evaluate field {name} in type {kind}"))
    }
}
