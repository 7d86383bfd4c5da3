//! The functions a chart's templates can call: Sprig's set and Helm's own.
//!
//! One file per family. What needs the outside (clock, randomness, DNS, the cluster) gets it through
//! [`Env`](crate::Env) and [`Lookup`](crate::Lookup).

mod args;
mod case;
mod cert;
mod crypto;
mod dates;
mod decimal;
mod dicts;
mod encode;
mod helm;
mod hermetic;
mod json;
mod key;
mod lists;
mod logic;
mod math;
mod paths;
mod random;
mod regexes;
mod semvers;
mod strings;
mod time;
mod toml;
mod urls;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use borax_gotmpl::{Context, Func, FuncError, FuncMap, Map, Str, Type, Value, sprint};

use crate::env::{Env, Lookup};

pub(crate) use self::dates::parse_duration;
pub(crate) use self::helm::strip_no_value;
pub use self::hermetic::hermetic;
pub(crate) use self::json::{mismatch as json_mismatch, parse as parse_json, to_json};
pub(crate) use self::paths::{base as base_path, clean as clean_path};
pub(crate) use self::urls::Url;

/// The maps that templates changed. Only they can hold themselves, so emptying them at the end of a
/// rendering frees every cycle.
#[derive(Clone, Default)]
pub(crate) struct Mutated(Rc<RefCell<HashMap<usize, Map>>>);

impl Mutated {
    /// Keeps the map, once; while it is kept, its address is its own.
    fn note(&self, map: &Map) {
        self.0.borrow_mut().entry(map.address()).or_insert_with(|| map.clone());
    }

    /// As [`Mutated::note`], when the value that the map is given could hold the map.
    fn note_for(&self, map: &Map, value: &Value) {
        if matches!(value, Value::Map(_) | Value::List(_) | Value::Object(_) | Value::Func(_)) {
            self.note(map);
        }
    }

    /// Empties every map that was changed.
    pub(crate) fn release(&self) {
        for map in self.0.take().into_values() {
            map.clear();
        }
    }
}

/// What the functions of one rendering share.
pub(crate) struct Host {
    /// Clock, randomness, DNS.
    pub(crate) env: Arc<dyn Env>,
    /// The cluster, when the rendering may ask it.
    pub(crate) lookup: Option<Arc<dyn Lookup>>,
    /// Missing required values are no error, `fail` does not fail.
    pub(crate) lint: bool,
    /// `getHostByName` asks the resolver.
    pub(crate) enable_dns: bool,
    /// Changed maps.
    pub(crate) mutated: Mutated,
    /// How deep each name is included now.
    pub(crate) included: Rc<RefCell<HashMap<String, usize>>>,
}

/// All functions for one rendering.
pub(crate) fn functions(host: &Rc<Host>) -> FuncMap {
    let mut f = FuncMap::new();
    strings::add(&mut f);
    lists::add(&mut f);
    dicts::add(&mut f, &host.mutated);
    math::add(&mut f);
    logic::add(&mut f);
    encode::add(&mut f);
    json::add(&mut f);
    regexes::add(&mut f);
    dates::add(&mut f, &host.env);
    random::add(&mut f, &host.env);
    crypto::add(&mut f, &host.env);
    cert::add(&mut f, &host.env);
    urls::add(&mut f);
    paths::add(&mut f);
    semvers::add(&mut f);
    toml::add(&mut f);
    helm::add(&mut f, host);
    f
}

type Answer = Result<Value, FuncError>;

fn fixed(
    f: &mut FuncMap,
    name: &'static str,
    params: &[Type],
    body: impl Fn(&mut Context<'_>, &[Value]) -> Answer + 'static,
) {
    f.insert(name, Func::fixed(params, body));
}

fn variadic(
    f: &mut FuncMap,
    name: &'static str,
    params: &[Type],
    body: impl Fn(&mut Context<'_>, &[Value]) -> Answer + 'static,
) {
    f.insert(name, Func::variadic(params, body));
}

/// The text of any value, as Sprig's `strval` makes it.
fn strval(cx: &mut Context<'_>, v: &Value) -> Result<Str, FuncError> {
    if let Value::Str(s) | Value::Bytes(s) = v {
        return Ok(s.clone());
    }
    let mut room = cx.room();
    let text = sprint(std::slice::from_ref(v), room.left()).map_err(|_| room.over())?;
    room.take(text.len())?;
    cx.made(room)?;
    Ok(Str::from(text))
}

/// Sprig's `strslice`: anything as a list of strings, nils left out.
fn strvals(cx: &mut Context<'_>, v: &Value) -> Result<Vec<Str>, FuncError> {
    match crate::convert::items(v) {
        Some(items) => items.iter().filter(|v| !v.is_nil()).map(|v| strval(cx, v)).collect(),
        None if v.is_nil() => Ok(Vec::new()),
        None => Ok(vec![strval(cx, v)?]),
    }
}
