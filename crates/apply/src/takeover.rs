//! Taking objects over from other tools: whose fields become ours, and which traces go.

use borax_object::{Value, meta};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

/// Annotations of other tools that go (kustomize-controller, `apply`).
const ANNOTATIONS: [&str; 3] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/checksum",
    "fluxcd.io/sync-checksum",
];

/// Labels of other tools that go.
const LABELS: [&str; 1] = ["fluxcd.io/sync-gc-mark"];

/// A field manager whose fields become ours. Matches every manager whose name starts so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldManager {
    /// How the manager's name starts.
    pub prefix: String,
    /// `Apply` or `Update`.
    pub operation: String,
}

/// How objects are taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    /// The owner group, for marks.
    pub group: String,
    /// Our field manager.
    pub manager: String,
    /// The managers we take over from.
    pub from: Vec<FieldManager>,
}

impl Takeover {
    /// What kustomize-controller takes over: kubectl's fields, those from before the first apply, its own from before
    /// server-side apply, and those of `--override-manager`.
    pub fn new(group: &str, manager: &str, overrides: &[String]) -> Self {
        let from = |prefix: &str, operation: &str| FieldManager {
            prefix: prefix.to_owned(),
            operation: operation.to_owned(),
        };
        let mut managers = vec![
            from("kubectl", "Apply"),
            from("kubectl", "Update"),
            from("before-first-apply", "Update"),
            from(manager, "Update"),
        ];
        for name in overrides {
            managers.extend([from(name, "Apply"), from(name, "Update")]);
        }
        Self { group: group.to_owned(), manager: manager.to_owned(), from: managers }
    }

    /// What a release takes over: what Helm's own client left, and its own from before server-side apply (Helm
    /// `pkg/kube/client.go`, `upgradeClientSideFieldManager`).
    pub fn of_releases(group: &str, manager: &str, overrides: &[String]) -> Self {
        let from = |prefix: &str, operation: &str| FieldManager {
            prefix: prefix.to_owned(),
            operation: operation.to_owned(),
        };
        let mut managers =
            vec![from("helm", "Update"), from("helm", "Apply"), from(manager, "Update")];
        for name in overrides {
            managers.extend([from(name, "Apply"), from(name, "Update")]);
        }
        Self { group: group.to_owned(), manager: manager.to_owned(), from: managers }
    }

    /// Whether an entry of `managedFields` is what we have applied.
    pub(crate) fn is_ours(&self, entry: &Value) -> bool {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        text("manager") == self.manager && text("operation") == "Apply"
    }

    fn is_taken(&self, entry: &Value) -> bool {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let matches = |from: &FieldManager| {
            from.operation == text("operation") && text("manager").starts_with(&from.prefix)
        };
        // Where kubectl is overridden by our own name's prefix, our own entry is no one else's.
        text("subresource").is_empty() && !self.is_ours(entry) && self.from.iter().any(matches)
    }

    /// Whether [`Self::patch`] would do something.
    pub fn is_needed(&self, object: &Value) -> bool {
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        ANNOTATIONS.iter().any(|key| meta::annotation(object, key).is_some())
            || LABELS.iter().any(|key| meta::label(object, key).is_some())
            || entries.into_iter().flatten().any(|entry| self.is_taken(entry))
    }

    /// The JSON patch that takes a live object over; `None` when there is nothing to take
    /// (fluxcd/pkg `ssa/patch.go`: `PatchReplaceFieldsManagers`).
    pub fn patch(&self, object: &Value) -> Option<Value> {
        let remove = |field: &str, key: &str| json!({"op": "remove", "path": format!("/metadata/{field}/{}", key.replace('~', "~0").replace('/', "~1"))});
        let mut patch: Vec<Value> = Vec::new();
        patch.extend(
            ANNOTATIONS
                .iter()
                .filter(|key| meta::annotation(object, key).is_some())
                .map(|key| remove("annotations", key)),
        );
        patch.extend(
            LABELS
                .iter()
                .filter(|key| meta::label(object, key).is_some())
                .map(|key| remove("labels", key)),
        );
        patch.extend(self.managed_fields(object).map(replace_managed_fields));
        (!patch.is_empty()).then_some(Value::Array(patch))
    }

    /// The entries after the take-over: what was taken is merged into ours, which goes last.
    fn managed_fields(&self, object: &Value) -> Option<Vec<Value>> {
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array)?;
        let mut ours = entries.iter().rfind(|entry| self.is_ours(entry)).cloned();
        let own = entries.iter().rposition(|entry| self.is_ours(entry));
        let mut kept = Vec::with_capacity(entries.len());
        let mut taken = false;
        for (index, entry) in entries.iter().enumerate() {
            if Some(index) == own {
                continue;
            }
            if !self.is_taken(entry) {
                kept.push(entry.clone());
                continue;
            }
            taken = true;
            match &mut ours {
                None => {
                    let mut renamed = entry.clone();
                    renamed["manager"] = Value::String(self.manager.clone());
                    renamed["operation"] = Value::String("Apply".to_owned());
                    ours = Some(renamed);
                }
                Some(ours) => {
                    if let Some(fields) = entry.get("fieldsV1") {
                        let merged = match ours.get("fieldsV1") {
                            Some(before) => union(before, fields),
                            None => fields.clone(),
                        };
                        ours["fieldsV1"] = merged;
                    }
                }
            }
        }
        kept.extend(ours);
        taken.then_some(kept)
    }
}

fn replace_managed_fields(entries: Vec<Value>) -> Value {
    json!({"op": "replace", "path": "/metadata/managedFields", "value": entries})
}

/// The union of two sets of fields in the `FieldsV1` form: an empty map is a field, and `.` marks a field that has
/// fields below it.
fn union(a: &Value, b: &Value) -> Value {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else { return a.clone() };
    if a.is_empty() || b.is_empty() {
        let mut merged = if a.is_empty() { b.clone() } else { a.clone() };
        if !merged.is_empty() {
            merged.insert(".".to_owned(), Value::Object(Map::new()));
        }
        return Value::Object(merged);
    }
    let mut merged = a.clone();
    for (key, value) in b {
        match merged.get_mut(key) {
            Some(existing) => *existing = union(existing, value),
            None => {
                merged.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(merged)
}

/// The JSON patch that moves every entry of `managedFields` to `api_version`, for the gate `MigrateAPIVersion`: entries
/// of an old version can make the server refuse an apply for fields that only the new one has. `None` when nothing is
/// to be moved.
pub fn migration_patch(object: &Value, api_version: &str) -> Option<Value> {
    let mut entries = object.pointer("/metadata/managedFields").and_then(Value::as_array)?.clone();
    let mut changed = false;
    for entry in &mut entries {
        if entry.get("apiVersion").and_then(Value::as_str) != Some(api_version) {
            entry["apiVersion"] = Value::String(api_version.to_owned());
            changed = true;
        }
    }
    changed.then(|| Value::Array(vec![replace_managed_fields(entries)]))
}
