//! Between plain data (JSON values) and template values, and the loose readings of Go's `cast`
//! library that Sprig's functions use. Knows no function.

use borax_gotmpl::{Context, FuncError, List, Map, Room, Shape, Str, Value, sprint};
use serde_json::Value as Json;

/// Deepest nesting of a value that is copied, compared or written.
pub(crate) const MAX_DEPTH: usize = 200;

/// A template value of plain data: integers are Go's `int64`, other numbers `float64`.
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match n.as_i64() {
            Some(i) => Value::int64(i),
            None => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(s) => Value::str(s.as_str()),
        Json::Array(items) => Value::list(items.iter().map(value).collect()),
        Json::Object(entries) => Value::Map(map(entries)),
    }
}

/// A template map of plain data.
pub(crate) fn map(entries: &serde_json::Map<String, Json>) -> Map {
    entries.iter().map(|(k, v)| (Str::from(k.as_str()), value(v))).collect()
}

/// What an element of a copied value takes.
const COPIED: usize = 128;

/// A copy that shares no map and no list with the original (Go's copystructure).
///
/// # Errors
/// When the value is nested too deep (or in a circle), or there is no room for the copy.
pub(crate) fn deep_copy(v: &Value, room: &mut Room, depth: usize) -> Result<Value, FuncError> {
    if depth > MAX_DEPTH {
        return Err("value is nested too deep to be copied".into());
    }
    room.take(COPIED)?;
    Ok(match v {
        Value::List(l) => {
            let items: Result<Vec<Value>, FuncError> =
                l.items().iter().map(|i| deep_copy(i, room, depth + 1)).collect();
            Value::List(List::new(l.elem(), items?))
        }
        Value::Map(m) => Value::Map(deep_copy_map(m, room, depth)?),
        other => other.clone(),
    })
}

/// A deep copy of a map.
///
/// # Errors
/// As [`deep_copy`].
pub(crate) fn deep_copy_map(m: &Map, room: &mut Room, depth: usize) -> Result<Map, FuncError> {
    let copy = Map::typed(m.elem());
    for (k, v) in m.entries().iter() {
        copy.set(k.clone(), deep_copy(v, room, depth + 1)?);
    }
    Ok(copy)
}

/// Go's `reflect.DeepEqual`.
///
/// # Errors
/// When the comparing takes more steps than are left.
pub(crate) fn deep_equal(
    cx: &mut Context<'_>,
    a: &Value,
    b: &Value,
    depth: usize,
) -> Result<bool, FuncError> {
    if depth > MAX_DEPTH {
        return Ok(false);
    }
    cx.spend(1)?;
    Ok(match (a, b) {
        (Value::Missing | Value::Nil, Value::Missing | Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a, t), Value::Int(b, u)) => a == b && t == u,
        (Value::Uint(a, t), Value::Uint(b, u)) => a == b && t == u,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
        (Value::Str(a), Value::Str(b)) | (Value::Bytes(a), Value::Bytes(b)) => {
            cx.spend(a.len().min(b.len()) as u64 / 64)?;
            a == b
        }
        (Value::List(a), Value::List(b)) => {
            if a.same(b) {
                return Ok(true);
            }
            if a.elem() != b.elem() || a.items().len() != b.items().len() {
                return Ok(false);
            }
            for (a, b) in a.items().iter().zip(b.items()) {
                if !deep_equal(cx, a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.same(b) {
                return Ok(true);
            }
            if a.elem() != b.elem() || a.len() != b.len() {
                return Ok(false);
            }
            for ((k, v), (l, w)) in a.entries().iter().zip(b.entries().iter()) {
                if k != l || !deep_equal(cx, v, w, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Object(a), Value::Object(b)) => a.equals(b.as_ref()).unwrap_or(false),
        _ => false,
    })
}

/// Sprig's `strval`, of a value that is small: strings as they are, the rest as `%v`.
pub(crate) fn text(v: &Value) -> Str {
    match v {
        Value::Str(s) => s.clone(),
        Value::Bytes(b) => b.clone(),
        other => Str::from(sprint(std::slice::from_ref(other), 64 << 10).unwrap_or_default()),
    }
}

/// The elements of anything list-like.
pub(crate) fn items(v: &Value) -> Option<Vec<Value>> {
    match v {
        Value::List(l) => Some(l.items().to_vec()),
        Value::Bytes(b) => Some(
            b.as_bytes()
                .iter()
                .map(|b| Value::Uint(u64::from(*b), borax_gotmpl::UintType::Uint8))
                .collect(),
        ),
        Value::Object(o) => match o.shape() {
            Shape::List(items) => Some(items),
            _ => None,
        },
        _ => None,
    }
}

/// The name of Go's kind of the value.
pub(crate) fn kind(v: &Value) -> &'static str {
    use borax_gotmpl::{IntType, UintType};
    match v {
        Value::Missing | Value::Nil => "invalid",
        Value::Bool(_) => "bool",
        Value::Int(_, IntType::Int32) => "int32",
        Value::Int(_, IntType::Int64) => "int64",
        Value::Int(..) => "int",
        Value::Uint(_, UintType::Uint) => "uint",
        Value::Uint(_, UintType::Uint8) => "uint8",
        Value::Uint(_, UintType::Uint32) => "uint32",
        Value::Uint(_, UintType::Uint64) => "uint64",
        Value::Float(_) => "float64",
        Value::Complex(..) => "complex128",
        Value::Str(_) => "string",
        Value::Bytes(_) | Value::List(_) => "slice",
        Value::Map(_) => "map",
        Value::Func(_) => "func",
        Value::Object(o) => match o.shape() {
            Shape::Struct(_) => "struct",
            Shape::Pointer(_) => "ptr",
            Shape::List(_) => "slice",
            Shape::Map(_) | Shape::Keyed(_) => "map",
        },
    }
}

/// Go's conversion of a float to an integer on amd64: what does not fit is the least integer.
#[expect(clippy::cast_possible_truncation, reason = "range checked")]
pub(crate) fn float_to_int(f: f64) -> i64 {
    if f.is_nan() || !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&f) {
        return i64::MIN;
    }
    f as i64
}

fn trim_zero_decimal(s: &str) -> &str {
    match s.rsplit_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        _ => s,
    }
}

/// `cast.ToInt64`: what cannot be read is 0.
pub(crate) fn to_int64(v: &Value) -> i64 {
    match v {
        Value::Int(n, _) => *n,
        Value::Uint(n, _) => n.cast_signed(),
        Value::Float(f) => float_to_int(*f),
        Value::Bool(b) => i64::from(*b),
        Value::Str(s) => borax_gotmpl::parse_int(trim_zero_decimal(&s.to_text())).unwrap_or(0),
        _ => 0,
    }
}

/// `cast.ToInt`: as [`to_int64`], but strings are read in decimal when they carry leading zeros.
pub(crate) fn to_int(v: &Value) -> i64 {
    to_int64(v)
}

/// `cast.ToFloat64`: what cannot be read is 0.
#[expect(clippy::cast_precision_loss, reason = "Go rounds the same way")]
pub(crate) fn to_float64(v: &Value) -> f64 {
    match v {
        Value::Int(n, _) => *n as f64,
        Value::Uint(n, _) => *n as f64,
        Value::Float(f) => *f,
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::Str(s) => borax_gotmpl::parse_float(&s.to_text()).unwrap_or(0.0),
        _ => 0.0,
    }
}

/// Sprig's `empty`: the zero value of its type.
pub(crate) fn is_empty(v: &Value) -> bool {
    !v.truth()
}
