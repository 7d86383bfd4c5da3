//! JSON patches (RFC 6902) with the liberties of the library that kustomize uses.
//!
//! Source of behaviour: gopkg.in/evanphx/json-patch.v4 `patch.go`: negative indices count from the
//! end, `replace` of a missing key of a map adds it.

use serde_json::{Map, Value};

use crate::diag::{Diagnostics, Result, fail};
use crate::scalar::{from_decoded_json, go_json, to_value};
use crate::tree::{NodeId, Tree};

/// Operations in order.
#[derive(Clone, Debug)]
pub(crate) struct JsonPatch(Vec<Map<String, Value>>);

impl JsonPatch {
    /// From a patch's value; null is the empty patch.
    pub(crate) fn parse(value: Value) -> Result<JsonPatch> {
        let operations = match value {
            Value::Null => Vec::new(),
            Value::Array(items) => items,
            _ => return fail("a JSON patch must be a list of operations"),
        };
        let operation = |value| match value {
            Value::Object(map) => Ok(map),
            Value::Null => Ok(Map::new()),
            other => fail(format!("a JSON patch operation must be a map, not {other}")),
        };
        operations.into_iter().map(operation).collect::<Result<_>>().map(JsonPatch)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object with all operations applied, as a new node.
    pub(crate) fn apply(&self, tree: &mut Tree, object: NodeId) -> Result<NodeId> {
        let mut value = to_value(tree, object)?;
        for operation in &self.0 {
            apply_one(&mut value, operation)?;
        }
        if !value.is_object() {
            return fail("the JSON patch leaves no map");
        }
        Ok(from_decoded_json(tree, &value))
    }
}

fn apply_one(document: &mut Value, operation: &Map<String, Value>) -> Result<()> {
    let text = |key: &str| operation.get(key).and_then(Value::as_str);
    let kind = text("op").unwrap_or("unknown");
    let pointer = |key: &str| {
        text(key).ok_or_else(|| Diagnostics::new(format!("{kind} operation has no {key:?}")))
    };
    let value = || operation.get("value").cloned().unwrap_or_default();
    match kind {
        "add" => add(document, pointer("path")?, value(), kind),
        "remove" => remove(document, pointer("path")?, kind).map(drop),
        "replace" => replace(document, pointer("path")?, value()),
        "move" => {
            let moved = remove(document, pointer("from")?, kind)?;
            add(document, pointer("path")?, moved, kind)
        }
        "copy" => {
            let copied = get(document, pointer("from")?, kind)?.cloned().unwrap_or_default();
            add(document, pointer("path")?, copied, kind)
        }
        "test" => {
            let path = pointer("path")?;
            let found = if path.is_empty() {
                document.clone()
            } else {
                get(document, path, kind)?.cloned().unwrap_or_default()
            };
            let wanted = value();
            if go_json(&found) == go_json(&wanted) {
                return Ok(());
            }
            fail(format!("testing value {path} failed")).map_err(|e| {
                e.hint(format!("it is {} and not {}", go_json(&found), go_json(&wanted)))
            })
        }
        other => fail(format!(
            "unexpected kind of JSON patch operation {other:?}: use add, remove, replace, move, copy or test"
        )),
    }
}

/// The map or list that holds the pointer's last step, and that step.
fn holder<'d>(document: &'d mut Value, path: &str, kind: &str) -> Result<(&'d mut Value, String)> {
    let missing = |at: &str| {
        fail(format!("{kind} operation does not apply: doc is missing path: {path:?}")).map_err(
            |e: Diagnostics| if at.is_empty() { e } else { e.hint(format!("there is no {at}")) },
        )
    };
    let mut steps: Vec<String> =
        path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let last = match steps.pop() {
        Some(last) if !steps.is_empty() => last,
        _ => return missing(""),
    };
    let mut at = document;
    let mut walked = String::new();
    for step in steps.iter().skip(1) {
        walked.push('/');
        walked.push_str(step);
        let next = match at {
            Value::Object(map) => map.get_mut(step),
            Value::Array(items) => match index(step, items.len()) {
                Some(place) => items.get_mut(place),
                None => None,
            },
            _ => None,
        };
        match next {
            Some(next) if next.is_object() || next.is_array() => at = next,
            _ => return missing(&walked),
        }
    }
    Ok((at, last))
}

fn index(step: &str, length: usize) -> Option<usize> {
    let place: i64 = step.parse().ok()?;
    let place = if place < 0 { place + length as i64 } else { place };
    usize::try_from(place).ok()
}

fn bad_index<T>(kind: &str, path: &str, step: &str, length: usize) -> Result<T> {
    fail(format!("{kind} operation for path {path:?}: unable to access invalid index: {step}"))
        .map_err(|e| e.hint(format!("the list has {length} items")))
}

fn add(document: &mut Value, path: &str, value: Value, kind: &str) -> Result<()> {
    let (holder, last) = holder(document, path, kind)?;
    match holder {
        Value::Object(map) => {
            map.insert(last, value);
        }
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => match index(&last, items.len() + 1) {
            Some(place) if place <= items.len() => items.insert(place, value),
            _ => return bad_index(kind, path, &last, items.len()),
        },
        _ => {}
    }
    Ok(())
}

fn get<'d>(document: &'d mut Value, path: &str, kind: &str) -> Result<Option<&'d Value>> {
    let (holder, last) = holder(document, path, kind)?;
    match holder {
        Value::Object(map) => Ok(map.get(&last)),
        Value::Array(items) => match index(&last, items.len()).and_then(|place| items.get(place)) {
            Some(found) => Ok(Some(found)),
            None => bad_index(kind, path, &last, items.len()),
        },
        _ => Ok(None),
    }
}

fn remove(document: &mut Value, path: &str, kind: &str) -> Result<Value> {
    let (holder, last) = holder(document, path, kind)?;
    match holder {
        Value::Object(map) => {
            match map.remove(&last) {
                Some(value) => Ok(value),
                None => {
                    let keys: Vec<&str> = map.keys().map(String::as_str).take(8).collect();
                    fail(format!("{kind} operation for path {path:?}: unable to remove nonexistent key: {last}"))
                    .map_err(|e| e.hint(format!("there are {}", keys.join(", "))))
                }
            }
        }
        Value::Array(items) => match index(&last, items.len()) {
            Some(place) if place < items.len() => Ok(items.remove(place)),
            _ => bad_index(kind, path, &last, items.len()),
        },
        _ => Ok(Value::Null),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<()> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return fail("replace operation value must be object or array");
        }
        *document = value;
        return Ok(());
    }
    let (holder, last) = holder(document, path, "replace")?;
    match holder {
        Value::Object(map) => {
            map.insert(last, value);
        }
        Value::Array(items) => match index(&last, items.len()) {
            Some(place) if place < items.len() => items[place] = value,
            _ => return bad_index("replace", path, &last, items.len()),
        },
        _ => {}
    }
    Ok(())
}
