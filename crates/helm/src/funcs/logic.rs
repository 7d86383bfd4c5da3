//! Defaults, emptiness, ternary and what asks for types.

use borax_gotmpl::{FuncMap, Type, Value};

use super::args::text;
use super::{fixed, variadic};
use crate::convert::{deep_equal, is_empty, kind};

pub(super) fn add(f: &mut FuncMap) {
    use Type::{Any, Bool, Str as S};
    fixed(f, "hello", &[], |_, _| Ok(Value::str("Hello!")));
    variadic(f, "default", &[Any, Any], |_, a| {
        Ok(a.get(1).filter(|given| !is_empty(given)).unwrap_or(&a[0]).clone())
    });
    fixed(f, "empty", &[Any], |_, a| Ok(Value::Bool(is_empty(&a[0]))));
    variadic(f, "coalesce", &[Any], |_, a| {
        Ok(a.iter().find(|v| !is_empty(v)).cloned().unwrap_or(Value::Nil))
    });
    variadic(f, "all", &[Any], |_, a| Ok(Value::Bool(!a.iter().any(is_empty))));
    variadic(f, "any", &[Any], |_, a| Ok(Value::Bool(!a.iter().all(is_empty))));
    fixed(f, "ternary", &[Any, Any, Bool], |_, a| {
        Ok(if a[2].truth() { a[0].clone() } else { a[1].clone() })
    });
    fixed(f, "typeOf", &[Any], |_, a| Ok(Value::str(a[0].type_name())));
    fixed(f, "typeIs", &[S, Any], |_, a| Ok(Value::Bool(text(&a[0]) == a[1].type_name())));
    fixed(f, "typeIsLike", &[S, Any], |_, a| {
        let name = a[1].type_name();
        let target = text(&a[0]);
        Ok(Value::Bool(target == name || name.strip_prefix('*') == Some(&target)))
    });
    fixed(f, "kindOf", &[Any], |_, a| Ok(Value::str(kind(&a[0]))));
    fixed(f, "kindIs", &[S, Any], |_, a| Ok(Value::Bool(text(&a[0]) == kind(&a[1]))));
    fixed(f, "deepEqual", &[Any, Any], |cx, a| Ok(Value::Bool(deep_equal(cx, &a[0], &a[1], 0)?)));
}
