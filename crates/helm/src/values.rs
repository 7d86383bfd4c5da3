//! Values: files and their merging, coalescing of user values with chart defaults down the tree of
//! charts, null deletion. Source: Helm `pkg/chart/common/util/coalesce.go`.

use borax_gotmpl::{Map, Room, Str, Value};
use serde_json::Value as Json;

use crate::convert::{self, MAX_DEPTH};
use crate::error::Error;
use crate::render::MAX_VALUES;
use crate::tree::Tree;
use crate::yaml;

/// Loads a values text: several documents are merged.
///
/// # Errors
/// The YAML library's words.
pub(crate) fn load(text: &[u8]) -> Result<serde_json::Map<String, Json>, String> {
    let mut values = serde_json::Map::new();
    for document in yaml::documents(text) {
        let document = document.map_err(|e| format!("error reading yaml document: {e}"))?;
        let next = yaml::read_map(&document)
            .map_err(|e| format!("cannot unmarshal yaml document: {e}"))?;
        merge(&mut values, next);
    }
    Ok(values)
}

/// Merges maps: the second wins, maps merge.
pub(crate) fn merge(into: &mut serde_json::Map<String, Json>, from: serde_json::Map<String, Json>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Json::Object(held)), Json::Object(value)) => merge(held, value),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// One chart's values as the linter checks them: the user's over the defaults, dependencies left alone.
///
/// # Errors
/// When values are nested too deep.
pub(crate) fn over(
    user: &serde_json::Map<String, Json>,
    defaults: &serde_json::Map<String, Json>,
) -> Result<Map, Error> {
    let values = convert::map(user);
    merge_tables(&values, &convert::map(defaults), false, 0)?;
    Ok(values)
}

const TOO_DEEP: &str = "values are nested too deep";

fn too_deep() -> Error {
    Error::Coalesce(TOO_DEEP.into())
}

fn copy(map: &Map) -> Result<Map, Error> {
    convert::deep_copy_map(map, &mut Room::of(MAX_VALUES), 0).map_err(|_| too_deep())
}

/// Merges values and defaults of a chart and its dependencies; with `keep_nulls` as Helm's
/// `MergeValues`, without as its `CoalesceValues`. The given values are not changed.
///
/// # Errors
/// When a dependency's values are no map.
pub(crate) fn coalesce(tree: &Tree, values: &Map, keep_nulls: bool) -> Result<Map, Error> {
    let values = copy(values)?;
    coalesce_into(tree, &values, keep_nulls, 0)?;
    Ok(values)
}

fn coalesce_into(tree: &Tree, dest: &Map, merge: bool, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    coalesce_defaults(tree, dest, merge)?;
    for child in &tree.children {
        let name = child.name();
        let values = match dest.get(name) {
            None => {
                let fresh = Map::new();
                dest.set(name, Value::Map(fresh.clone()));
                fresh
            }
            Some(Value::Map(values)) => values,
            Some(other) => {
                // Go prints the value with the verb for booleans.
                let shown = match borax_gotmpl::sprintf(b"%t", &[other], 64 << 10) {
                    Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                    Err(_) => "a large value".into(),
                };
                return Err(Error::Coalesce(format!("type mismatch on {name}: {shown}")));
            }
        };
        coalesce_globals(&values, dest)?;
        coalesce_into(child, &values, merge, depth + 1)?;
    }
    Ok(())
}

const GLOBAL: &str = "global";

/// The global values of a map; `None` when they are no map.
fn globals(map: &Map) -> Option<Map> {
    match map.get(GLOBAL) {
        None => Some(Map::new()),
        Some(Value::Map(globals)) => Some(globals),
        Some(_) => None,
    }
}

fn coalesce_globals(dest: &Map, src: &Map) -> Result<(), Error> {
    let (Some(into), Some(from)) = (globals(dest), globals(src)) else {
        return Ok(());
    };
    for (key, value) in from.snapshot() {
        match &value {
            Value::Map(table) => {
                let shallow: Map = table.snapshot().into_iter().collect();
                match into.get(&key) {
                    None => into.set(key, Value::Map(shallow)),
                    Some(Value::Map(held)) => {
                        merge_tables(&shallow, &held, true, 0)?;
                        into.set(key, Value::Map(shallow));
                    }
                    Some(_) => {}
                }
            }
            _ if matches!(into.get(&key), Some(Value::Map(_))) => {}
            _ => into.set(key, value),
        }
    }
    dest.set(GLOBAL, Value::Map(into));
    Ok(())
}

fn coalesce_defaults(tree: &Tree, values: &Map, merge: bool) -> Result<(), Error> {
    let defaults = copy(&tree.values)?;
    for (key, default) in defaults.snapshot() {
        match values.get(&key) {
            Some(held) if held.is_nil() => {
                if !merge {
                    values.remove(&key);
                }
            }
            Some(Value::Map(held)) => {
                if let Value::Map(default) = &default {
                    // Nulls for a dependency's values are that dependency's to resolve.
                    let child = tree.children.iter().any(|c| c.name().as_bytes() == key.as_bytes());
                    let merge = merge || child;
                    if !merge {
                        remove_nulls(default, 0)?;
                    }
                    merge_tables(&held, default, merge, 0)?;
                }
            }
            Some(_) => {}
            None => {
                if !merge {
                    if default.is_nil() {
                        continue;
                    }
                    if let Value::Map(default) = &default {
                        remove_nulls(default, 0)?;
                    }
                }
                values.set(key, default);
            }
        }
    }
    Ok(())
}

/// Fills the first map from the second, the first winning; without `merge`, a null in the first removes
/// what the second has.
pub(crate) fn merge_tables(dst: &Map, src: &Map, merge: bool, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    if dst.same(src) {
        return Ok(());
    }
    let had: std::collections::BTreeSet<Str> =
        src.snapshot().into_iter().filter(|(_, v)| !v.is_nil()).map(|(k, _)| k).collect();
    for (key, value) in dst.snapshot() {
        if value.is_nil() {
            src.set(key, Value::Nil);
        }
    }
    for (key, value) in src.snapshot() {
        match dst.get(&key) {
            Some(held) if held.is_nil() && !merge && had.contains(&key) => {
                dst.remove(&key);
            }
            None => dst.set(key, value),
            Some(Value::Map(held)) => {
                if let Value::Map(value) = &value {
                    merge_tables(&held, value, merge, depth + 1)?;
                }
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn remove_nulls(map: &Map, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    for (key, value) in map.snapshot() {
        match &value {
            Value::Map(inner) => remove_nulls(inner, depth + 1)?,
            v if v.is_nil() => {
                map.remove(&key);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The map at a dotted path.
pub(crate) fn table(values: &Map, path: &str) -> Option<Map> {
    let mut at = values.clone();
    for part in path.split('.') {
        match at.get(part) {
            Some(Value::Map(next)) => at = next,
            _ => return None,
        }
    }
    Some(at)
}

/// The value at a dotted path, when it is no map.
pub(crate) fn path_value(values: &Map, path: &str) -> Option<Value> {
    let (table, key) = match path.rsplit_once('.') {
        Some((tables, key)) => (self::table(values, tables)?, key),
        None => (values.clone(), path),
    };
    table.get(key).filter(|v| !matches!(v, Value::Map(_)))
}
