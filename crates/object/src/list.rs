//! From documents to objects: lists opened, and what is no object refused.

use serde_json::Value;

use crate::meta;

/// Why a document is no Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidObject {
    /// The document is a scalar or a list.
    #[error(
        "a Kubernetes object is a map with apiVersion, kind and metadata.name; this document is {0}"
    )]
    NoMap(&'static str),
    /// A field every object needs is missing, empty or no text.
    #[error("{field} is missing or no text in {what}")]
    Missing {
        /// The field.
        field: &'static str,
        /// As much of `apiVersion/kind/name` as there is.
        what: String,
    },
}

/// Checks that `object` has what the API server needs to know which object it is.
///
/// # Errors
/// The first of `apiVersion`, `kind`, `metadata.name` that is missing.
pub fn check(object: &Value) -> Result<(), InvalidObject> {
    match object {
        Value::Object(_) => {}
        Value::Null => return Err(InvalidObject::NoMap("empty")),
        Value::Array(_) => return Err(InvalidObject::NoMap("a list")),
        _ => return Err(InvalidObject::NoMap("a single value")),
    }
    let fields = [
        ("apiVersion", meta::api_version(object)),
        ("kind", meta::kind(object)),
        ("metadata.name", meta::name(object)),
    ];
    match fields.iter().find(|(_, value)| value.is_empty()) {
        None => Ok(()),
        Some((field, _)) => {
            let known: Vec<&str> =
                fields.iter().map(|(_, v)| *v).filter(|v| !v.is_empty()).collect();
            Err(InvalidObject::Missing { field, what: format!("object {:?}", known.join("/")) })
        }
    }
}

/// Opens a list (a document with an `items` list, as `kubectl get -o yaml` writes) into its items; anything else is
/// itself. Lists inside of lists stay closed, as they do for Flux.
pub fn flatten(document: Value) -> Vec<Value> {
    match document {
        Value::Object(mut map) if map.get("items").is_some_and(Value::is_array) => {
            match map.remove("items") {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            }
        }
        other => vec![other],
    }
}
