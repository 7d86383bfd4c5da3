//! Sprig as it is without Helm, and of it what gives the same result wherever and whenever it is called.
//!
//! Source: Sprig 3.3 `functions.go`, `HermeticTxtFuncMap`. Flux's commit messages are made with it.

use std::sync::Arc;

use borax_gotmpl::{FuncError, FuncMap, Type, Value};

use super::args::text;
use super::json::{from_json, parse};
use super::{Mutated, fixed};
use crate::env::Env;

/// What Sprig itself does not count as hermetic. (Its generators of keys and certificates it does.)
const OTHERS: [&str; 8] = [
    "date",
    "date_in_zone",
    "date_modify",
    "now",
    "htmlDate",
    "htmlDateInZone",
    "dateInZone",
    "dateModify",
];

/// Sprig's hermetic functions.
pub fn hermetic(env: &Arc<dyn Env>) -> FuncMap {
    let mut f = FuncMap::new();
    super::strings::add(&mut f);
    super::lists::add(&mut f);
    super::dicts::add(&mut f, &Mutated::default());
    super::math::add(&mut f);
    super::logic::add(&mut f);
    super::encode::add(&mut f);
    super::json::add(&mut f);
    super::regexes::add(&mut f);
    super::dates::add(&mut f, env);
    super::crypto::add(&mut f, env);
    super::cert::add(&mut f, env);
    super::urls::add(&mut f);
    super::paths::add(&mut f);
    super::semvers::add(&mut f);
    for name in OTHERS {
        f.remove(name);
    }
    // Helm's own.
    f.remove("fromJsonArray");
    // Helm's want a map.
    fixed(&mut f, "fromJson", &[Type::Str], |_, a| {
        Ok(parse(&text(&a[0])).map_or(Value::Nil, |json| from_json(&json)))
    });
    fixed(&mut f, "fail", &[Type::Str], |_, a| Err(FuncError::new(text(&a[0]))));
    f
}
