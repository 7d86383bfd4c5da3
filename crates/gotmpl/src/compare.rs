//! `eq`, `ne`, `lt`, `le`, `gt`, `ge`: what may be compared and what the errors say.
//! Behaviour: Go 1.26 `text/template/funcs.go`.

use crate::error::FuncError;
use crate::printf;
use crate::value::Value;

#[derive(PartialEq)]
enum Basic<'a> {
    Bool(bool),
    Complex(f64, f64),
    Int(i64),
    Float(f64),
    Str(&'a [u8]),
    Uint(u64),
}

fn basic(v: &Value) -> Option<Basic<'_>> {
    Some(match v {
        Value::Bool(b) => Basic::Bool(*b),
        Value::Complex(re, im) => Basic::Complex(*re, *im),
        Value::Int(n, _) => Basic::Int(*n),
        Value::Uint(n, _) => Basic::Uint(*n),
        Value::Float(f) => Basic::Float(*f),
        Value::Str(s) => Basic::Str(s.as_bytes()),
        _ => return None,
    })
}

fn shown(v: &Value, verb: &[u8]) -> String {
    match printf::sprintf(verb, std::slice::from_ref(v), 64 << 10) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => "a very large value".into(),
    }
}

fn incompatible(a: &Value, b: &Value) -> FuncError {
    FuncError::new(format!(
        "incompatible types for comparison: {} and {}",
        a.type_name(),
        b.type_name()
    ))
}

/// Go's kind of a value that is not basic, for telling whether two can be compared at all.
fn kind(v: &Value) -> u8 {
    match v {
        Value::Missing | Value::Nil => 0,
        Value::List(_) | Value::Bytes(_) => 1,
        Value::Map(_) => 2,
        Value::Func(_) => 3,
        Value::Object(o) => match o.shape() {
            crate::object::Shape::Struct(_) => 4,
            crate::object::Shape::Pointer(_) => 5,
            crate::object::Shape::List(_) => 1,
            crate::object::Shape::Map(_) | crate::object::Shape::Keyed(_) => 2,
        },
        _ => 6,
    }
}

/// `eq first others…`: whether the first equals any of the others.
pub(crate) fn eq(first: &Value, others: &[Value]) -> Result<bool, FuncError> {
    if others.is_empty() {
        return Err(FuncError::new("missing argument for comparison"));
    }
    for other in others {
        let equal = match (basic(first), basic(other)) {
            (Some(Basic::Int(a)), Some(Basic::Uint(b)))
            | (Some(Basic::Uint(b)), Some(Basic::Int(a))) => u64::try_from(a) == Ok(b),
            (Some(a), Some(b)) => {
                if std::mem::discriminant(&a) != std::mem::discriminant(&b) {
                    return Err(incompatible(first, other));
                }
                a == b
            }
            (Some(_), None) | (None, Some(_)) => {
                if !first.is_nil() && !other.is_nil() {
                    return Err(incompatible(first, other));
                }
                false
            }
            (None, None) => equal_others(first, other)?,
        };
        if equal {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal_others(a: &Value, b: &Value) -> Result<bool, FuncError> {
    let (ka, kb) = (kind(a), kind(b));
    if ka != kb && ka != 0 && kb != 0 {
        return Err(FuncError::new(format!(
            "non-comparable types {}: {}, {}: {}",
            shown(a, b"%s"),
            a.type_name(),
            b.type_name(),
            shown(b, b"%v")
        )));
    }
    if a.is_nil() || b.is_nil() {
        return Ok(a.is_nil() && b.is_nil());
    }
    let verdict = match (a, b) {
        (Value::Object(a), Value::Object(b)) => a.equals(b.as_ref()),
        _ => None,
    };
    verdict.ok_or_else(|| {
        FuncError::new(format!("non-comparable type {}: {}", shown(b, b"%s"), b.type_name()))
    })
}

/// `lt a b`.
pub(crate) fn lt(a: &Value, b: &Value) -> Result<bool, FuncError> {
    let bad = || FuncError::new("invalid type for comparison");
    let (x, y) = (basic(a).ok_or_else(bad)?, basic(b).ok_or_else(bad)?);
    Ok(match (x, y) {
        (Basic::Int(a), Basic::Int(b)) => a < b,
        (Basic::Uint(a), Basic::Uint(b)) => a < b,
        (Basic::Float(a), Basic::Float(b)) => a < b,
        (Basic::Str(a), Basic::Str(b)) => a < b,
        (Basic::Int(a), Basic::Uint(b)) => u64::try_from(a).is_ok_and(|a| a < b) || a < 0,
        (Basic::Uint(a), Basic::Int(b)) => u64::try_from(b).is_ok_and(|b| a < b),
        (x, y) if std::mem::discriminant(&x) == std::mem::discriminant(&y) => return Err(bad()),
        _ => return Err(incompatible(a, b)),
    })
}

/// `le a b`.
pub(crate) fn le(a: &Value, b: &Value) -> Result<bool, FuncError> {
    Ok(lt(a, b)? || eq(a, std::slice::from_ref(b))?)
}
