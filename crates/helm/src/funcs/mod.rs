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

use borax_gotmpl::{Context, Func, FuncError, FuncMap, Map, Type, Value};

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
pub(crate) struct Mutated(Rc<RefCell<Vec<Map>>>);

impl Mutated {
    fn note(&self, map: &Map) {
        self.0.borrow_mut().push(map.clone());
    }

    /// Empties every map that was changed.
    pub(crate) fn release(&self) {
        for map in self.0.take() {
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

/// Refuses results that could not be written anyway.
fn fits(cx: &Context<'_>, bytes: usize) -> Result<(), FuncError> {
    if bytes > cx.output_left() {
        return Err(FuncError::Limit("output"));
    }
    Ok(())
}
