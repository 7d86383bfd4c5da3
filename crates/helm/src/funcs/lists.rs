//! Sprig's list functions. Lists are never changed in place.

use borax_gotmpl::{Elem, FuncError, FuncMap, List, Type, Value};

use super::args::int;
use super::{fixed, variadic};
use crate::convert::{self, deep_equal, is_empty, items, kind};

type Answer = Result<Value, FuncError>;

pub(super) fn add(f: &mut FuncMap) {
    use Type::{Any, Int};
    for name in ["list", "tuple"] {
        variadic(f, name, &[Any], |_, a| Ok(Value::list(a.to_vec())));
    }
    for name in ["append", "push", "mustAppend", "mustPush"] {
        fixed(f, name, &[Any, Any], |_, a| {
            let mut list = elements(&a[0], "Cannot push on type")?;
            list.push(a[1].clone());
            Ok(Value::list(list))
        });
    }
    for name in ["prepend", "mustPrepend"] {
        fixed(f, name, &[Any, Any], |_, a| {
            let mut list = elements(&a[0], "Cannot prepend on type")?;
            list.insert(0, a[1].clone());
            Ok(Value::list(list))
        });
    }
    for name in ["first", "mustFirst"] {
        fixed(f, name, &[Any], |_, a| {
            let list = elements(&a[0], "Cannot find first on type")?;
            Ok(list.first().cloned().unwrap_or(Value::Nil))
        });
    }
    for name in ["last", "mustLast"] {
        fixed(f, name, &[Any], |_, a| {
            let list = elements(&a[0], "Cannot find last on type")?;
            Ok(list.last().cloned().unwrap_or(Value::Nil))
        });
    }
    for name in ["rest", "mustRest"] {
        fixed(f, name, &[Any], |_, a| {
            let list = elements(&a[0], "Cannot find rest on type")?;
            Ok(Value::list(list.into_iter().skip(1).collect()))
        });
    }
    for name in ["initial", "mustInitial"] {
        fixed(f, name, &[Any], |_, a| {
            let mut list = elements(&a[0], "Cannot find initial on type")?;
            list.pop();
            Ok(Value::list(list))
        });
    }
    for name in ["reverse", "mustReverse"] {
        fixed(f, name, &[Any], |_, a| {
            let mut list = elements(&a[0], "Cannot find reverse on type")?;
            list.reverse();
            Ok(Value::list(list))
        });
    }
    for name in ["compact", "mustCompact"] {
        fixed(f, name, &[Any], |_, a| {
            let mut list = elements(&a[0], "Cannot compact on type")?;
            list.retain(|v| !is_empty(v));
            Ok(Value::list(list))
        });
    }
    for name in ["uniq", "mustUniq"] {
        fixed(f, name, &[Any], |cx, a| {
            let list = elements(&a[0], "Cannot find uniq on type")?;
            let mut kept: Vec<Value> = Vec::new();
            for item in list {
                if !contains(cx, &kept, &item)? {
                    kept.push(item);
                }
            }
            Ok(Value::list(kept))
        });
    }
    for name in ["without", "mustWithout"] {
        variadic(f, name, &[Any, Any], |cx, a| {
            let mut kept = Vec::new();
            for item in elements(&a[0], "Cannot find without on type")? {
                if !contains(cx, &a[1..], &item)? {
                    kept.push(item);
                }
            }
            Ok(Value::list(kept))
        });
    }
    for name in ["has", "mustHas"] {
        fixed(f, name, &[Any, Any], |cx, a| {
            if a[1].is_nil() {
                return Ok(Value::Bool(false));
            }
            let list = elements(&a[1], "Cannot find has on type")?;
            Ok(Value::Bool(contains(cx, &list, &a[0])?))
        });
    }
    for name in ["slice", "mustSlice"] {
        variadic(f, name, &[Any, Any], |_, a| slice(a));
    }
    variadic(f, "concat", &[Any], |cx, a| {
        let mut out = Vec::new();
        for list in a {
            let Some(mut list_items) = items(list) else {
                let name = kind_or_panic(list)?;
                return Err(format!("Cannot concat type {name} as list").into());
            };
            cx.make((out.len() + list_items.len()) * size_of::<Value>())?;
            out.append(&mut list_items);
        }
        Ok(Value::list(out))
    });
    for name in ["chunk", "mustChunk"] {
        fixed(f, name, &[Int, Any], |_, a| {
            let list = elements(&a[1], "Cannot chunk type")?;
            let size = usize::try_from(int(&a[0])).unwrap_or(0);
            if size == 0 {
                return Err("runtime error: makeslice: len out of range".into());
            }
            let chunks = list.chunks(size).map(|c| Value::list(c.to_vec())).collect();
            Ok(Value::List(List::new(Elem::List, chunks)))
        });
    }
    fixed(f, "sortAlpha", &[Any], |cx, a| {
        let mut all = super::strvals(cx, &a[0])?;
        // Each text is compared about as often as the list can be halved.
        let bytes: usize = all.iter().map(|s| 16 + s.len()).fold(0, usize::saturating_add);
        cx.spend(bytes as u64 / 64 * u64::from(all.len().max(2).ilog2()))?;
        all.sort();
        Ok(Value::strings(all))
    });
    fixed(f, "until", &[Int], |cx, a| {
        let n = int(&a[0]);
        until_step(cx, 0, n, if n < 0 { -1 } else { 1 })
    });
    fixed(f, "untilStep", &[Int, Int, Int], |cx, a| {
        until_step(cx, int(&a[0]), int(&a[1]), int(&a[2]))
    });
    variadic(f, "seq", &[Int], seq);
}

/// Go's nil has no kind; asking for it is a nil pointer there.
fn kind_or_panic(v: &Value) -> Result<&'static str, FuncError> {
    if v.is_nil() {
        return Err("runtime error: invalid memory address or nil pointer dereference".into());
    }
    Ok(kind(v))
}

fn elements(v: &Value, refusal: &str) -> Result<Vec<Value>, FuncError> {
    match items(v) {
        Some(items) => Ok(items),
        None => Err(format!("{refusal} {}", kind_or_panic(v)?).into()),
    }
}

fn contains(
    cx: &mut borax_gotmpl::Context<'_>,
    list: &[Value],
    item: &Value,
) -> Result<bool, FuncError> {
    for other in list {
        if deep_equal(cx, item, other, 0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn slice(a: &[Value]) -> Answer {
    let Some(list) = items(&a[0]) else {
        let name = kind_or_panic(&a[0])?;
        return Err(format!("list should be type of slice or array but {name}").into());
    };
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let len = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let start = a.get(1).map_or(0, convert::to_int);
    let end = a.get(2).map_or(len, convert::to_int);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    match range.and_then(|(from, to)| list.get(from..to)) {
        Some(part) => Ok(match &a[0] {
            Value::List(l) => Value::List(List::new(l.elem(), part.to_vec())),
            _ => Value::list(part.to_vec()),
        }),
        None => Err("reflect.Value.Slice: slice index out of bounds".into()),
    }
}

/// What a number of a sequence takes, with its text.
const NUMBER: usize = 96;

fn numbers(
    cx: &mut borax_gotmpl::Context<'_>,
    start: i64,
    stop: i64,
    step: i64,
) -> Result<Vec<i64>, FuncError> {
    let mut out = Vec::new();
    let down = stop < start;
    if (down && step >= 0) || (!down && step <= 0) {
        return Ok(out);
    }
    let count = start.abs_diff(stop) / step.unsigned_abs();
    cx.spend(count)?;
    cx.make(usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(NUMBER))?;
    let mut i = start;
    while (down && i > stop) || (!down && i < stop) {
        out.push(i);
        match i.checked_add(step) {
            Some(next) => i = next,
            None => break,
        }
    }
    Ok(out)
}

fn until_step(cx: &mut borax_gotmpl::Context<'_>, start: i64, stop: i64, step: i64) -> Answer {
    let all = numbers(cx, start, stop, step)?.into_iter().map(Value::int).collect();
    Ok(Value::List(List::new(Elem::Int, all)))
}

fn seq(cx: &mut borax_gotmpl::Context<'_>, a: &[Value]) -> Answer {
    let p: Vec<i64> = a.iter().map(int).collect();
    let (start, stop, step) = match p.as_slice() {
        [end] => {
            let step = if *end < 1 { -1 } else { 1 };
            (1, end.saturating_add(step), step)
        }
        [start, end] => {
            let step = if end < start { -1 } else { 1 };
            (*start, end.saturating_add(step), step)
        }
        [start, step, end] => {
            let increment = if end < start { -1 } else { 1 };
            if end < start && *step > 0 {
                return Ok(Value::str(""));
            }
            (*start, end.saturating_add(increment), *step)
        }
        _ => return Ok(Value::str("")),
    };
    let all: Vec<String> = numbers(cx, start, stop, step)?.iter().map(i64::to_string).collect();
    Ok(Value::str(all.join(" ")))
}
