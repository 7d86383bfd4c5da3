//! Reading arguments whose type the call has already checked.

use std::borrow::Cow;

use borax_gotmpl::Value;

/// The bytes of a string argument.
pub(super) fn bytes(v: &Value) -> &[u8] {
    match v {
        Value::Str(s) => s.as_bytes(),
        _ => b"",
    }
}

/// The text of a string argument.
pub(super) fn text(v: &Value) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes(v))
}

/// An integer argument.
pub(super) fn int(v: &Value) -> i64 {
    match v {
        Value::Int(n, _) => *n,
        Value::Uint(n, _) => n.cast_signed(),
        _ => 0,
    }
}

/// A float argument.
pub(super) fn float(v: &Value) -> f64 {
    match v {
        Value::Float(f) => *f,
        _ => 0.0,
    }
}
