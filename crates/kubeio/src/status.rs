//! Writes to custom resources: status by merge patch, and only when something but time changed; finalizers.

use borax_object::{Value, meta};
use serde_json::{Map, json};

use crate::cluster::Cluster;
use crate::discovery::Resource;
use crate::request::{RequestError, encode};

const MERGE_PATCH: &str = "application/merge-patch+json";

/// Why a status or a finalizer was not written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed to patch {what} of {kind}/{namespace}/{name}: {source}")]
pub struct StatusError {
    /// `status` or `finalizers`.
    pub what: &'static str,
    /// The kind.
    pub kind: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The refusal.
    pub source: RequestError,
}

/// Fields that hold nothing but a time.
fn is_time(field: &str) -> bool {
    matches!(
        field,
        "lastTransitionTime"
            | "lastReconciled"
            | "lastReconciledDuration"
            | "lastProbeTime"
            | "lastUpdateTime"
    )
}

/// Whether two statuses say the same at different times.
pub fn same_but_for_time(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = |map: &Map<String, Value>| map.keys().filter(|key| !is_time(key)).count();
            let same = |(key, value): (&String, &Value)| {
                is_time(key) || b.get(key).is_some_and(|other| same_but_for_time(value, other))
            };
            keys(a) == keys(b) && a.iter().all(same)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_but_for_time(a, b))
        }
        (a, b) => a == b,
    }
}

/// The merge patch (RFC 7386) that makes `old` into `new`; `None` when they are equal.
fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut patch = Map::new();
            for (key, value) in new {
                let change = match old.get(key) {
                    Some(before) => merge_patch(before, value),
                    None => Some(value.clone()),
                };
                patch.extend(change.map(|change| (key.clone(), change)));
            }
            for key in old.keys().filter(|key| !new.contains_key(*key)) {
                patch.insert(key.clone(), Value::Null);
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        (old, new) => (old != new).then(|| new.clone()),
    }
}

fn failed(
    what: &'static str,
    resource: &Resource,
    object: &Value,
    source: RequestError,
) -> StatusError {
    StatusError {
        what,
        kind: resource.gvk.kind.clone(),
        namespace: meta::namespace(object).to_owned(),
        name: meta::name(object).to_owned(),
        source,
    }
}

/// Writes the status of a custom resource as the field manager `manager`. `old` is the object as it was read, with its
/// status, and `new` the status it shall have. Returns the object as it then is, or `None` when nothing but time would
/// change and nothing was sent.
///
/// # Errors
/// The server refused, or could not be reached.
pub async fn patch_status(
    cluster: &Cluster,
    resource: &Resource,
    old: &Value,
    new: &Value,
    manager: &str,
) -> Result<Option<Value>, StatusError> {
    let nothing = Value::Object(Map::new());
    let before = old.get("status").filter(|status| !status.is_null()).unwrap_or(&nothing);
    if same_but_for_time(before, new) {
        return Ok(None);
    }
    let Some(patch) = merge_patch(before, new) else { return Ok(None) };
    let path = format!(
        "{}/status?fieldManager={}",
        resource.path(meta::namespace(old), Some(meta::name(old))),
        encode(manager)
    );
    let answer = cluster.patch(&path, MERGE_PATCH, &json!({"status": patch})).await;
    answer.map(Some).map_err(|source| failed("status", resource, old, source))
}

fn finalizers(object: &Value) -> Vec<Value> {
    object.pointer("/metadata/finalizers").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Adds a finalizer. Returns the object as it then is, or `None` when it has the finalizer already.
///
/// The patch names the resource version: a list can only be replaced whole, and must not undo someone else's change.
///
/// # Errors
/// The server refused (a conflict when the object changed meanwhile), or could not be reached.
pub async fn add_finalizer(
    cluster: &Cluster,
    resource: &Resource,
    object: &Value,
    finalizer: &str,
    manager: &str,
) -> Result<Option<Value>, StatusError> {
    let mut all = finalizers(object);
    if all.iter().any(|f| f.as_str() == Some(finalizer)) {
        return Ok(None);
    }
    all.push(Value::String(finalizer.to_owned()));
    replace_finalizers(cluster, resource, object, all, manager).await.map(Some)
}

/// Removes a finalizer. Returns the object as it then is (it may be gone), or `None` when it has no such finalizer or
/// is gone already.
///
/// # Errors
/// The server refused (a conflict when the object changed meanwhile), or could not be reached.
pub async fn remove_finalizer(
    cluster: &Cluster,
    resource: &Resource,
    object: &Value,
    finalizer: &str,
    manager: &str,
) -> Result<Option<Value>, StatusError> {
    let mut all = finalizers(object);
    let before = all.len();
    all.retain(|f| f.as_str() != Some(finalizer));
    if all.len() == before {
        return Ok(None);
    }
    match replace_finalizers(cluster, resource, object, all, manager).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.source.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn replace_finalizers(
    cluster: &Cluster,
    resource: &Resource,
    object: &Value,
    finalizers: Vec<Value>,
    manager: &str,
) -> Result<Value, StatusError> {
    let path = format!(
        "{}?fieldManager={}",
        resource.path(meta::namespace(object), Some(meta::name(object))),
        encode(manager)
    );
    let patch = json!({"metadata": {
        "resourceVersion": meta::resource_version(object),
        "finalizers": if finalizers.is_empty() { Value::Null } else { Value::Array(finalizers) },
    }});
    cluster
        .patch(&path, MERGE_PATCH, &patch)
        .await
        .map_err(|source| failed("finalizers", resource, object, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_alone_is_no_change() {
        let status = |ready: &str, at: &str| json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": at}]});
        assert!(same_but_for_time(&status("True", "1"), &status("True", "2")));
        assert!(!same_but_for_time(&status("True", "1"), &status("False", "1")));
        assert!(!same_but_for_time(&json!({"a": 1}), &json!({})));
        assert!(!same_but_for_time(&json!({}), &json!({"a": 1})));
        assert!(!same_but_for_time(&json!([1]), &json!([1, 2])));
    }

    #[test]
    fn merge_patches_hold_only_what_changes() {
        let old = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]});
        let new = json!({"a": 1, "b": {"c": 2}, "e": [1, 2], "f": {}});
        assert_eq!(
            merge_patch(&old, &new),
            Some(json!({"b": {"c": 2, "d": null}, "e": [1, 2], "f": {}}))
        );
        assert_eq!(merge_patch(&old, &old), None);
    }
}
