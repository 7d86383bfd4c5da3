//! Go's builtin template functions, `and` and `or` excepted (they are the evaluator's).
//! Behaviour: Go 1.26 `text/template/funcs.go`.

use crate::call::assignable;
use crate::compare;
use crate::error::FuncError;
use crate::escape;
use crate::exec::Context;
use crate::func::{Func, Type};
use crate::object::Shape;
use crate::printf::{self, Overflow};
use crate::value::{List, UintType, Value};

type Answer = Result<Value, FuncError>;

/// A builtin: its signature and what it does. The text is the name of what `call` calls.
pub(crate) struct Builtin {
    pub(crate) params: &'static [Type],
    pub(crate) variadic: bool,
    pub(crate) body: fn(&mut Context<'_>, &mut Vec<Value>, &str) -> Answer,
}

const R: Type = Type::Reflect;

const fn variadic(
    params: &'static [Type],
    body: fn(&mut Context<'_>, &mut Vec<Value>, &str) -> Answer,
) -> Option<Builtin> {
    Some(Builtin { params, variadic: true, body })
}

const fn fixed(
    params: &'static [Type],
    body: fn(&mut Context<'_>, &mut Vec<Value>, &str) -> Answer,
) -> Option<Builtin> {
    Some(Builtin { params, variadic: false, body })
}

pub(crate) fn lookup(name: &str) -> Option<Builtin> {
    match name {
        "call" => variadic(&[R, R], |cx, args, name| call(cx, args, name)),
        "html" => variadic(&[Type::Any], |cx, args, _| {
            let text = text_of(cx, args)?;
            Ok(Value::str(escape::html_escape(&text)))
        }),
        "js" => variadic(&[Type::Any], |cx, args, _| {
            let text = text_of(cx, args)?;
            Ok(Value::str(escape::js_escape(&text)))
        }),
        "urlquery" => variadic(&[Type::Any], |cx, args, _| {
            let text = text_of(cx, args)?;
            Ok(Value::str(escape::query_escape(&text)))
        }),
        "index" => variadic(&[R, R], |_, args, _| index(args)),
        "slice" => variadic(&[R, R], |_, args, _| slice(args)),
        "len" => fixed(&[R], |_, args, _| length(&args[0])),
        "not" => fixed(&[R], |_, args, _| Ok(Value::Bool(!args[0].truth()))),
        "print" => {
            variadic(&[Type::Any], |cx, args, _| printed(cx, |limit| printf::sprint(args, limit)))
        }
        "println" => {
            variadic(&[Type::Any], |cx, args, _| printed(cx, |limit| printf::sprintln(args, limit)))
        }
        "printf" => variadic(&[Type::Str, Type::Any], |cx, args, _| {
            let format = args[0].as_str().cloned().unwrap_or_default();
            printed(cx, |limit| printf::sprintf(format.as_bytes(), &args[1..], limit))
        }),
        "eq" => variadic(&[R, R], |_, args, _| Ok(Value::Bool(compare::eq(&args[0], &args[1..])?))),
        "ne" => fixed(&[R, R], |_, args, _| Ok(Value::Bool(!compare::eq(&args[0], &args[1..])?))),
        "lt" => fixed(&[R, R], |_, a, _| Ok(Value::Bool(compare::lt(&a[0], &a[1])?))),
        "le" => fixed(&[R, R], |_, a, _| Ok(Value::Bool(compare::le(&a[0], &a[1])?))),
        "gt" => fixed(&[R, R], |_, a, _| Ok(Value::Bool(!compare::le(&a[0], &a[1])?))),
        "ge" => fixed(&[R, R], |_, a, _| Ok(Value::Bool(!compare::lt(&a[0], &a[1])?))),
        _ => None,
    }
}

fn printed(cx: &mut Context<'_>, print: impl FnOnce(usize) -> Result<Vec<u8>, Overflow>) -> Answer {
    let mut room = cx.room();
    let bytes = print(room.left()).map_err(|_| room.over())?;
    room.take(bytes.len())?;
    cx.made(room)?;
    Ok(Value::str(bytes))
}

/// The arguments as text, for functions that make up to six bytes of one.
fn text_of(cx: &mut Context<'_>, args: &[Value]) -> Result<Vec<u8>, FuncError> {
    let shown: Vec<Value> = args
        .iter()
        .map(|v| if v.is_nil() { Value::str("<no value>") } else { v.clone() })
        .collect();
    let mut room = cx.room();
    let text = printf::sprint(&shown, room.left() / 6).map_err(|_| room.over())?;
    room.take(text.len() * 6)?;
    cx.made(room)?;
    Ok(text)
}

/// Reads an index argument; `most` is the largest allowed.
fn index_arg(index: &Value, most: usize) -> Result<usize, FuncError> {
    let n = match index {
        Value::Int(n, _) => *n,
        Value::Uint(n, _) => n.cast_signed(),
        Value::Missing | Value::Nil => return Err("cannot index slice/array with nil".into()),
        other => {
            let name = other.type_name();
            return Err(format!("cannot index slice/array with type {name}").into());
        }
    };
    match usize::try_from(n) {
        Ok(x) if x <= most => Ok(x),
        _ => Err(format!("index out of range: {n}").into()),
    }
}

fn out_of_range(what: &str) -> FuncError {
    FuncError::new(format!("reflect: {what} index out of range"))
}

fn index(args: &[Value]) -> Answer {
    let mut item = args[0].clone();
    if item.is_nil() {
        return Err("index of untyped nil".into());
    }
    for key in &args[1..] {
        item = match &item {
            Value::Missing | Value::Nil => return Err("index of nil pointer".into()),
            Value::List(list) => {
                let x = index_arg(key, list.items().len())?;
                list.items().get(x).cloned().ok_or_else(|| out_of_range("slice"))?
            }
            Value::Bytes(bytes) => {
                let x = index_arg(key, bytes.len())?;
                byte(bytes.as_bytes().get(x)).ok_or_else(|| out_of_range("slice"))?
            }
            Value::Str(s) => {
                let x = index_arg(key, s.len())?;
                byte(s.as_bytes().get(x)).ok_or_else(|| out_of_range("string"))?
            }
            Value::Map(map) => {
                let key = map_key(key)?;
                map.get(key.as_bytes()).unwrap_or_else(|| map.elem().zero())
            }
            Value::Object(o) => match o.shape() {
                Shape::List(items) => {
                    let x = index_arg(key, items.len())?;
                    items.get(x).cloned().ok_or_else(|| out_of_range("slice"))?
                }
                Shape::Map(entries) => {
                    let key = map_key(key)?;
                    let found = entries.into_iter().find(|(k, _)| *k == key);
                    found.map_or_else(|| o.missing_entry(), |(_, v)| v)
                }
                _ => return Err(cannot_index(&item)),
            },
            _ => return Err(cannot_index(&item)),
        };
    }
    Ok(item)
}

fn byte(b: Option<&u8>) -> Option<Value> {
    b.map(|b| Value::Uint(u64::from(*b), UintType::Uint8))
}

fn cannot_index(item: &Value) -> FuncError {
    FuncError::new(format!("can't index item of type {}", item.type_name()))
}

fn map_key(key: &Value) -> Result<crate::text::Str, FuncError> {
    match key {
        Value::Str(s) => Ok(s.clone()),
        Value::Missing | Value::Nil => Err("value is nil; should be of type string".into()),
        other => {
            let name = other.type_name();
            Err(format!("value has type {name}; should be string").into())
        }
    }
}

fn slice(args: &[Value]) -> Answer {
    let (item, indexes) = (&args[0], &args[1..]);
    if item.is_nil() {
        return Err("slice of untyped nil".into());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()).into());
    }
    let len = match item {
        Value::Str(s) => {
            if indexes.len() == 3 {
                return Err("cannot 3-index slice a string".into());
            }
            s.len()
        }
        Value::List(l) => l.items().len(),
        Value::Bytes(b) => b.len(),
        other => {
            return Err(format!("can't slice item of type {}", other.type_name()).into());
        }
    };
    let mut bounds = [0, len, len];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = index_arg(index, len)?;
    }
    let [from, to, cap] = bounds;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}").into());
    }
    if indexes.len() == 3 && to > cap {
        return Err(format!("invalid slice index: {to} > {cap}").into());
    }
    Ok(match item {
        Value::Str(s) => Value::str(&s.as_bytes()[from..to]),
        Value::Bytes(b) => Value::Bytes(b.as_bytes()[from..to].into()),
        Value::List(l) => Value::List(List::new(l.elem(), l.items()[from..to].to_vec())),
        other => other.clone(),
    })
}

fn length(item: &Value) -> Answer {
    let n = match item {
        Value::Nil => return Err("len of nil pointer".into()),
        Value::Missing => {
            return Err("reflect: call of reflect.Value.Type on zero Value".into());
        }
        Value::Str(s) => s.len(),
        Value::List(l) => l.items().len(),
        Value::Bytes(b) => b.len(),
        Value::Map(m) => m.len(),
        Value::Object(o) => match o.shape() {
            Shape::List(items) => items.len(),
            Shape::Map(entries) => entries.len(),
            Shape::Keyed(entries) => entries.len(),
            _ => return Err(format!("len of type {}", item.type_name()).into()),
        },
        other => return Err(format!("len of type {}", other.type_name()).into()),
    };
    Ok(Value::int(i64::try_from(n).unwrap_or(i64::MAX)))
}

fn call(cx: &mut Context<'_>, args: &mut [Value], name: &str) -> Answer {
    let func: std::rc::Rc<Func> = match &args[0] {
        Value::Missing | Value::Nil => return Err("call of nil".into()),
        Value::Func(f) => f.clone(),
        other => {
            let kind = other.type_name();
            return Err(format!("non-function {name} of type {kind}").into());
        }
    };
    let given = args.len() - 1;
    let params = func.params.len();
    if func.variadic {
        if given + 1 < params {
            let least = params - 1;
            return Err(format!(
                "wrong number of args for {name}: got {given} want at least {least}"
            )
            .into());
        }
    } else if given != params {
        return Err(format!("wrong number of args for {name}: got {given} want {params}").into());
    }
    for (i, arg) in args[1..].iter_mut().enumerate() {
        let want = func.param(i).unwrap_or(Type::Any);
        let type_name = want.go_name();
        if arg.is_nil() {
            if !want.can_be_nil() {
                return Err(format!("arg {i}: value is nil; should be of type {type_name}").into());
            }
            *arg = Value::Nil;
        } else if !assignable(arg, want) {
            *arg = convert_int(arg, want).ok_or_else(|| {
                let got = arg.type_name();
                FuncError::new(format!("arg {i}: value has type {got}; should be {type_name}"))
            })?;
        }
    }
    (func.body)(cx, &args[1..])
}

/// Between integer types a call converts.
fn convert_int(value: &Value, want: Type) -> Option<Value> {
    use crate::value::IntType;
    let n = match value {
        Value::Int(n, _) => *n,
        Value::Uint(n, _) => n.cast_signed(),
        _ => return None,
    };
    Some(match want {
        Type::Int => Value::int(n),
        Type::Int64 => Value::int64(n),
        Type::Int32 => Value::Int(n, IntType::Int32),
        Type::Uint => Value::Uint(n.cast_unsigned(), UintType::Uint),
        Type::Uint32 => Value::Uint(n.cast_unsigned() & 0xffff_ffff, UintType::Uint32),
        Type::Uint64 => Value::Uint(n.cast_unsigned(), UintType::Uint64),
        _ => return None,
    })
}
