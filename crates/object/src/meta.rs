//! Accessors for the fields every object has. What is missing or of another type reads as empty, as it does in Go's
//! `unstructured` package.

use serde_json::{Map, Value};

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// `apiVersion`.
pub fn api_version(object: &Value) -> &str {
    text(object, "/apiVersion")
}

/// `kind`.
pub fn kind(object: &Value) -> &str {
    text(object, "/kind")
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.namespace`.
pub fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// `metadata.uid`; empty before the object exists.
pub fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// `metadata.resourceVersion`; empty in the answer to a dry run that would create the object.
pub fn resource_version(object: &Value) -> &str {
    text(object, "/metadata/resourceVersion")
}

/// `metadata.generation`.
pub fn generation(object: &Value) -> Option<i64> {
    object.pointer("/metadata/generation").and_then(Value::as_i64)
}

/// Whether the object is being deleted.
pub fn is_terminating(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// `metadata.labels`.
pub fn labels(object: &Value) -> Option<&Map<String, Value>> {
    object.pointer("/metadata/labels").and_then(Value::as_object)
}

/// `metadata.annotations`.
pub fn annotations(object: &Value) -> Option<&Map<String, Value>> {
    object.pointer("/metadata/annotations").and_then(Value::as_object)
}

/// The label `key`.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    labels(object)?.get(key)?.as_str()
}

/// The annotation `key`.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    annotations(object)?.get(key)?.as_str()
}

/// Whether a label or an annotation `key` has `value`, in any case of letters
/// (fluxcd/pkg `ssa/utils/meta.go`: `AnyInMetadata`).
pub fn has(object: &Value, key: &str, value: &str) -> bool {
    [label(object, key), annotation(object, key)]
        .into_iter()
        .flatten()
        .any(|found| !found.is_empty() && found.to_lowercase() == value.to_lowercase())
}

/// The map at `field` of `parent`, made where it is missing or something else; `None` when `parent` is no map.
fn map_at<'a>(parent: &'a mut Value, field: &str) -> Option<&'a mut Map<String, Value>> {
    let slot = parent.as_object_mut()?.entry(field).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

fn set_in(object: &mut Value, field: &str, key: &str, value: &str) {
    map_at(object, "metadata");
    if let Some(map) = object.get_mut("metadata").and_then(|metadata| map_at(metadata, field)) {
        map.insert(key.to_owned(), Value::String(value.to_owned()));
    }
}

/// Sets a label.
pub fn set_label(object: &mut Value, key: &str, value: &str) {
    set_in(object, "labels", key, value);
}

/// Sets an annotation.
pub fn set_annotation(object: &mut Value, key: &str, value: &str) {
    set_in(object, "annotations", key, value);
}

/// Sets `metadata.namespace`, or removes it when `namespace` is empty.
pub fn set_namespace(object: &mut Value, namespace: &str) {
    if let Some(metadata) = map_at(object, "metadata") {
        if namespace.is_empty() {
            metadata.remove("namespace");
        } else {
            metadata.insert("namespace".to_owned(), Value::String(namespace.to_owned()));
        }
    }
}

/// Whether `object` is a CustomResourceDefinition.
pub fn is_crd(object: &Value) -> bool {
    kind(object).eq_ignore_ascii_case("customresourcedefinition")
        && api_version(object).starts_with("apiextensions.k8s.io/")
}

/// Whether `object` is a core Namespace.
pub fn is_namespace(object: &Value) -> bool {
    kind(object).eq_ignore_ascii_case("namespace") && api_version(object) == "v1"
}

/// Whether `object` is a ClusterRole.
pub fn is_cluster_role(object: &Value) -> bool {
    kind(object).eq_ignore_ascii_case("clusterrole")
        && api_version(object).starts_with("rbac.authorization.k8s.io/")
}

/// Whether `object` is a core Secret.
pub fn is_secret(object: &Value) -> bool {
    kind(object).eq_ignore_ascii_case("secret") && api_version(object) == "v1"
}

/// Whether `object` is a batch Job.
pub fn is_job(object: &Value) -> bool {
    kind(object) == "Job" && api_version(object).starts_with("batch/")
}
