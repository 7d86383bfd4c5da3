//! Sprig's dictionary functions. `set`, `unset` and the merge family change the map they are given,
//! for every holder of it, as in Go.

use borax_gotmpl::{Context, FuncError, FuncMap, Map, Str, Type, Value};

use super::args::{bytes, text};
use super::{Mutated, fixed, variadic};
use crate::convert::{self, MAX_DEPTH, is_empty};

/// What an entry of a new map takes.
const ENTRY: usize = 128;

pub(super) fn add(f: &mut FuncMap, mutated: &Mutated) {
    use Type::{Any, Map as M, Str as S};
    variadic(f, "dict", &[Any], |cx, a| {
        let map = Map::new();
        for pair in a.chunks(2) {
            let value = pair.get(1).cloned().unwrap_or_else(|| Value::str(""));
            map.set(super::strval(cx, &pair[0])?, value);
        }
        Ok(Value::Map(map))
    });
    fixed(f, "get", &[M, S], |_, a| {
        let found = a[0].as_map().and_then(|m| m.get(bytes(&a[1])));
        Ok(found.unwrap_or_else(|| Value::str("")))
    });
    let changes = mutated.clone();
    fixed(f, "set", &[M, S, Any], move |_, a| match &a[0] {
        Value::Map(map) => {
            changes.note_for(map, &a[2]);
            map.set(Str::from(bytes(&a[1])), a[2].clone());
            Ok(a[0].clone())
        }
        _ => Err("assignment to entry in nil map".into()),
    });
    fixed(f, "unset", &[M, S], |_, a| {
        if let Value::Map(map) = &a[0] {
            map.remove(bytes(&a[1]));
        }
        Ok(or_empty(&a[0]))
    });
    fixed(f, "hasKey", &[M, S], |_, a| {
        Ok(Value::Bool(a[0].as_map().is_some_and(|m| m.contains(bytes(&a[1])))))
    });
    variadic(f, "pluck", &[S, M], |_, a| {
        let key = bytes(&a[0]);
        let found = a[1..].iter().filter_map(|d| d.as_map()?.get(key)).collect();
        Ok(Value::list(found))
    });
    // Go gives the keys in no order; sorted is one of its answers.
    variadic(f, "keys", &[M], |cx, a| {
        let mut keys: Vec<Str> = Vec::new();
        for map in a.iter().filter_map(Value::as_map) {
            cx.make((keys.len() + map.len()) * size_of::<Value>())?;
            keys.extend(map.entries().keys().cloned());
        }
        Ok(Value::strings(keys))
    });
    fixed(f, "values", &[M], |cx, a| {
        cx.make(a[0].as_map().map_or(0, Map::len) * size_of::<Value>())?;
        let all = a[0].as_map().map(|m| m.entries().values().cloned().collect());
        Ok(Value::list(all.unwrap_or_default()))
    });
    variadic(f, "pick", &[M, S], |_, a| {
        let out = Map::new();
        if let Value::Map(map) = &a[0] {
            for key in &a[1..] {
                if let Some(value) = map.get(bytes(key)) {
                    out.set(Str::from(bytes(key)), value);
                }
            }
        }
        Ok(Value::Map(out))
    });
    variadic(f, "omit", &[M, S], |cx, a| {
        let out = Map::new();
        if let Value::Map(map) = &a[0] {
            cx.make(map.len() * ENTRY)?;
            for (key, value) in map.snapshot() {
                if !a[1..].iter().any(|k| bytes(k) == key.as_bytes()) {
                    out.set(key, value);
                }
            }
        }
        Ok(Value::Map(out))
    });
    for (name, overwrite) in [
        ("merge", false),
        ("mustMerge", false),
        ("mergeOverwrite", true),
        ("mustMergeOverwrite", true),
    ] {
        let changes = mutated.clone();
        variadic(f, name, &[M, M], move |cx, a| {
            let into = match &a[0] {
                Value::Map(map) => map.clone(),
                _ => Map::new(),
            };
            changes.note(&into);
            for from in a[1..].iter().filter_map(Value::as_map) {
                merge(cx, &into, from, overwrite, &changes, 0)?;
            }
            Ok(Value::Map(into))
        });
    }
    for name in ["deepCopy", "mustDeepCopy"] {
        fixed(f, name, &[Any], |cx, a| {
            let mut room = cx.room();
            let copy = convert::deep_copy(&a[0], &mut room, 0)?;
            cx.made(room)?;
            Ok(copy)
        });
    }
    variadic(f, "dig", &[Any], |_, a| dig(a));
}

fn or_empty(v: &Value) -> Value {
    if v.is_nil() { Value::Map(Map::new()) } else { v.clone() }
}

/// The mergo library's merge of two maps: what `into` lacks (or holds empty) comes from `from`; with
/// `overwrite`, everything does.
fn merge(
    cx: &mut Context<'_>,
    into: &Map,
    from: &Map,
    overwrite: bool,
    changes: &Mutated,
    depth: usize,
) -> Result<(), FuncError> {
    if depth > MAX_DEPTH {
        return Err("values are nested too deep to be merged".into());
    }
    cx.make(from.len() * ENTRY)?;
    for (key, source) in from.snapshot() {
        cx.spend(1)?;
        if source.is_nil() {
            if overwrite {
                into.set(key, source);
            }
            continue;
        }
        let held = into.get(&key);
        match (&source, &held) {
            (Value::Map(source), Some(Value::Map(held))) => {
                if held.same(source) {
                    continue;
                }
                changes.note(held);
                merge(cx, held, source, overwrite, changes, depth + 1)?;
                if !held.is_empty() {
                    continue;
                }
            }
            (Value::List(_) | Value::Bytes(_), Some(held)) if !is_empty(held) => {
                if overwrite {
                    into.set(key, source);
                }
                continue;
            }
            _ => {}
        }
        if overwrite || held.is_none_or(|v| is_empty(&v)) {
            into.set(key, source);
        }
    }
    Ok(())
}

fn conversion(v: &Value, want: &str) -> FuncError {
    let got = if v.is_nil() { "nil".to_owned() } else { v.type_name() };
    FuncError::new(format!("interface conversion: interface {{}} is {got}, not {want}"))
}

fn dig(a: &[Value]) -> Result<Value, FuncError> {
    let [path @ .., default, dict] = a else {
        return Err("dig needs at least three arguments".into());
    };
    if path.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    // A type assertion: a map of a named type is another type.
    let plain = |v: &Value| match v {
        Value::Map(m) if m.kind().is_none() => Ok(m.clone()),
        other => Err(conversion(other, "map[string]interface {}")),
    };
    let mut dict = plain(dict)?;
    for key in path {
        if !matches!(key, Value::Str(_)) {
            return Err(conversion(key, "string"));
        }
    }
    for (i, key) in path.iter().enumerate() {
        let Some(step) = dict.get(text(key).as_bytes()) else {
            return Ok(default.clone());
        };
        if i + 1 == path.len() {
            return Ok(step);
        }
        dict = plain(&step)?;
    }
    Ok(default.clone())
}
