//! Calling functions and methods: argument count, argument types, constants read as the parameter's
//! type, `and`/`or` short circuit. Behaviour: Go 1.26 `text/template/exec.go`.

use std::rc::Rc;

use crate::builtins;
use crate::error::{FuncError, Notice};
use crate::exec::{Dot, Result, State};
use crate::func::{Func, Type};
use crate::node::{Arg, ArgKind, At, Number};
use crate::value::{Elem, IntType, UintType, Value};

impl<'t> State<'_, '_, 't> {
    pub(crate) fn function(
        &mut self,
        dot: &Dot,
        name: &'t str,
        node: At<'t>,
        args: &'t [Arg],
        last: Option<Value>,
    ) -> Result<Value> {
        if let Some(func) = self.cx.funcs().get(name) {
            let func = Rc::clone(func);
            return self.invoke(dot, &func, name, node, args, last);
        }
        let rest = args.get(1..).unwrap_or_default();
        if matches!(name, "and" | "or") {
            return self.short_circuit(dot, name, rest, last);
        }
        let Some(builtin) = builtins::lookup(name) else {
            let shown = crate::quote::quote(name.as_bytes());
            return self.fail(format!("{shown} is not a defined function"));
        };
        let mut values = self.arguments(dot, name, builtin.params, builtin.variadic, rest, last)?;
        let callee = match (name, rest.first(), values.first()) {
            ("call", Some(arg), _) => arg.shown(),
            ("call", None, Some(Value::Str(s))) => s.to_text().into_owned(),
            ("call", None, Some(v)) => format!("<{} Value>", v.type_name()),
            _ => String::new(),
        };
        let result = match self.cx.charge_call(&values) {
            Ok(()) => (builtin.body)(self.cx, &mut values, &callee),
            Err(e) => Err(e),
        };
        self.returned(name, node, result)
    }

    /// Checks and calls a function value or a method.
    pub(crate) fn invoke(
        &mut self,
        dot: &Dot,
        func: &Func,
        name: &str,
        node: At<'t>,
        args: &'t [Arg],
        last: Option<Value>,
    ) -> Result<Value> {
        let rest = args.get(1..).unwrap_or_default();
        let values = self.arguments(dot, name, &func.params, func.variadic, rest, last)?;
        let result = match self.cx.charge_call(&values) {
            Ok(()) => (func.body)(self.cx, &values),
            Err(e) => Err(e),
        };
        self.returned(name, node, result)
    }

    fn returned(
        &mut self,
        name: &str,
        node: At<'t>,
        result: std::result::Result<Value, FuncError>,
    ) -> Result<Value> {
        match result {
            Ok(value) => Ok(value),
            Err(FuncError::Noted(message, value)) => {
                let location = self.tree.source.location(node.pos());
                self.cx.note(Notice { location, function: name.to_owned(), message });
                Ok(value)
            }
            Err(e) => {
                self.at = node;
                self.fail_with(format!("error calling {name}: {e}"), Some(e))
            }
        }
    }

    fn short_circuit(
        &mut self,
        dot: &Dot,
        name: &str,
        args: &'t [Arg],
        last: Option<Value>,
    ) -> Result<Value> {
        if args.is_empty() && last.is_none() {
            return self.fail(format!("wrong number of args for {name}: want at least 1 got 0"));
        }
        let mut value = Value::Missing;
        for arg in args {
            value = self.arg(dot, Some(Type::Reflect), arg)?;
            if value.truth() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn arguments(
        &mut self,
        dot: &Dot,
        name: &str,
        params: &[Type],
        variadic: bool,
        args: &'t [Arg],
        last: Option<Value>,
    ) -> Result<Vec<Value>> {
        let given = args.len() + usize::from(last.is_some());
        if variadic {
            let least = params.len() - 1;
            if given < least {
                let got = args.len();
                return self.fail(format!(
                    "wrong number of args for {name}: want at least {least} got {got}"
                ));
            }
        } else if given != params.len() {
            let want = params.len();
            return self.fail(format!("wrong number of args for {name}: want {want} got {given}"));
        }
        let param = |i: usize| params.get(i).or(params.last()).copied().unwrap_or(Type::Any);
        let mut values = Vec::with_capacity(given);
        for (i, arg) in args.iter().enumerate() {
            values.push(self.arg(dot, Some(param(i)), arg)?);
        }
        if let Some(last) = last {
            values.push(self.validated(last, Some(param(args.len())))?);
        }
        Ok(values)
    }

    /// The value of an operand where a parameter of the type wants it.
    pub(crate) fn arg(&mut self, dot: &Dot, want: Option<Type>, arg: &'t Arg) -> Result<Value> {
        self.at = At::Arg(arg);
        let value = match &arg.kind {
            ArgKind::Dot => dot.value.clone(),
            ArgKind::Nil => {
                return match want {
                    Some(Type::Reflect) => Ok(Value::Missing),
                    Some(t) if t.can_be_nil() => Ok(Value::Nil),
                    Some(t) => self.fail(format!("cannot assign nil to {}", t.go_name())),
                    None => Ok(Value::Missing),
                };
            }
            ArgKind::Field(_) | ArgKind::Variable(_) | ArgKind::Chain { .. } => {
                self.path(dot, arg, &[], None)?
            }
            ArgKind::Pipe(pipe) => crate::grow(|| self.pipeline(dot, pipe))?,
            ArgKind::Ident(name) => self.function(dot, name, At::Arg(arg), &[], None)?,
            ArgKind::Bool(_) | ArgKind::Number(_) | ArgKind::Str { .. } => {
                return self.constant(want.unwrap_or(Type::Any), arg);
            }
        };
        self.validated(value, want)
    }

    fn constant(&mut self, want: Type, arg: &'t Arg) -> Result<Value> {
        let number = |n: &'t Number| n;
        match (want, &arg.kind) {
            (Type::Any | Type::Reflect, kind) => match kind {
                ArgKind::Number(n) => self.ideal_constant(arg, n),
                ArgKind::Bool(b) => Ok(Value::Bool(*b)),
                ArgKind::Str { text, .. } => Ok(Value::str(text.as_slice())),
                _ => self.fail("internal error: not a constant"),
            },
            (Type::Bool, ArgKind::Bool(b)) => Ok(Value::Bool(*b)),
            (Type::Bool, _) => self.fail(format!("expected bool; found {}", arg.shown())),
            (Type::Str, ArgKind::Str { text, .. }) => Ok(Value::str(text.as_slice())),
            (Type::Str, _) => self.fail(format!("expected string; found {}", arg.shown())),
            (Type::Int | Type::Int32 | Type::Int64, kind) => match kind {
                ArgKind::Number(n) if number(n).int.is_some() => {
                    let i = n.int.unwrap_or_default();
                    Ok(match want {
                        Type::Int => Value::int(i),
                        Type::Int64 => Value::int64(i),
                        // Go wraps silently when it sets a narrower integer.
                        _ => Value::Int(wrap_i32(i), IntType::Int32),
                    })
                }
                _ => self.fail(format!("expected integer; found {}", arg.shown())),
            },
            (Type::Uint | Type::Uint32 | Type::Uint64, kind) => match kind {
                ArgKind::Number(n) if n.uint.is_some() => {
                    let u = n.uint.unwrap_or_default();
                    Ok(match want {
                        Type::Uint => Value::Uint(u, UintType::Uint),
                        Type::Uint64 => Value::Uint(u, UintType::Uint64),
                        _ => Value::Uint(u & 0xffff_ffff, UintType::Uint32),
                    })
                }
                _ => self.fail(format!("expected unsigned integer; found {}", arg.shown())),
            },
            (Type::Float, kind) => match kind {
                ArgKind::Number(Number { float: Some(f), .. }) => Ok(Value::Float(*f)),
                _ => self.fail(format!("expected float; found {}", arg.shown())),
            },
            (Type::Complex, kind) => match kind {
                ArgKind::Number(Number { complex: Some((re, im)), .. }) => {
                    Ok(Value::Complex(*re, *im))
                }
                _ => self.fail(format!("expected complex; found {}", arg.shown())),
            },
            (other, _) => {
                let name = other.go_name();
                self.fail(format!("can't handle {} for arg of type {name}", arg.shown()))
            }
        }
    }

    fn validated(&self, value: Value, want: Option<Type>) -> Result<Value> {
        let Some(want) = want else {
            return Ok(value);
        };
        let name = want.go_name();
        match (&value, want) {
            (_, Type::Reflect) => Ok(value),
            (Value::Missing, t) if t.can_be_nil() => Ok(Value::Nil),
            (Value::Missing, _) => self.fail(format!("invalid value; expected {name}")),
            (_, Type::Any) => Ok(value),
            (Value::Nil, _) => {
                self.fail(format!("wrong type for value; expected {name}; got interface {{}}"))
            }
            // A named map becomes the parameter's plain type.
            (Value::Map(m), Type::Map | Type::StrMap) if assignable(&value, want) => {
                Ok(Value::Map(m.with_kind(None)))
            }
            (_, t) if assignable(&value, t) => Ok(value),
            _ => {
                let got = value.type_name();
                self.fail(format!("wrong type for value; expected {name}; got {got}"))
            }
        }
    }
}

fn wrap_i32(i: i64) -> i64 {
    let low = u32::try_from(i & 0xffff_ffff).unwrap_or_default();
    i64::from(low.cast_signed())
}

/// Whether Go's reflection would let the value be given for the type.
pub(crate) fn assignable(value: &Value, want: Type) -> bool {
    match (value, want) {
        (_, Type::Any | Type::Reflect) => true,
        (Value::Bool(_), Type::Bool)
        | (Value::Float(_), Type::Float)
        | (Value::Complex(..), Type::Complex)
        | (Value::Str(_), Type::Str)
        | (Value::Bytes(_), Type::Bytes) => true,
        (Value::Int(_, kind), _) => match want {
            Type::Int => *kind == IntType::Int,
            Type::Int32 => *kind == IntType::Int32,
            Type::Int64 => *kind == IntType::Int64,
            _ => false,
        },
        (Value::Uint(_, kind), _) => match want {
            Type::Uint => *kind == UintType::Uint,
            Type::Uint32 => *kind == UintType::Uint32,
            Type::Uint64 => *kind == UintType::Uint64,
            _ => false,
        },
        (Value::List(l), Type::List) => l.elem() == Elem::Any,
        (Value::List(l), Type::StrList) => l.elem() == Elem::Str,
        (Value::Map(m), Type::Map) => m.elem() == Elem::Any,
        (Value::Map(m), Type::StrMap) => m.elem() == Elem::Str,
        (Value::Object(o), want) => o.assignable_to(want.go_name()),
        _ => false,
    }
}
