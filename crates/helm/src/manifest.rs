//! What templates gave, as manifests and hooks: split, told apart, put in install order. Source: Helm
//! `pkg/release/v1/util`.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::error::Error;
use crate::metadata::scalar_text;

/// A rendered manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Path of its template below the root chart.
    pub path: String,
    /// Its text.
    pub content: String,
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its `kind`.
    pub kind: String,
    /// Its `metadata.name`.
    pub name: String,
}

/// A hook event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookEvent {
    /// `pre-install`
    PreInstall,
    /// `post-install`
    PostInstall,
    /// `pre-delete`
    PreDelete,
    /// `post-delete`
    PostDelete,
    /// `pre-upgrade`
    PreUpgrade,
    /// `post-upgrade`
    PostUpgrade,
    /// `pre-rollback`
    PreRollback,
    /// `post-rollback`
    PostRollback,
    /// `test`, also `test-success`
    Test,
}

impl HookEvent {
    fn parse(text: &str) -> Option<HookEvent> {
        Some(match text {
            "pre-install" => HookEvent::PreInstall,
            "post-install" => HookEvent::PostInstall,
            "pre-delete" => HookEvent::PreDelete,
            "post-delete" => HookEvent::PostDelete,
            "pre-upgrade" => HookEvent::PreUpgrade,
            "post-upgrade" => HookEvent::PostUpgrade,
            "pre-rollback" => HookEvent::PreRollback,
            "post-rollback" => HookEvent::PostRollback,
            "test" | "test-success" => HookEvent::Test,
            _ => return None,
        })
    }
}

/// A rendered hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The manifest.
    pub manifest: Manifest,
    /// What triggers it.
    pub events: Vec<HookEvent>,
    /// Order among hooks of an event.
    pub weight: i64,
    /// When it is deleted: `before-hook-creation`, `hook-succeeded`, `hook-failed`.
    pub delete_policies: Vec<String>,
    /// When its logs are shown: `hook-succeeded`, `hook-failed`.
    pub output_log_policies: Vec<String>,
}

impl Hook {
    /// Whether `helm test` runs it.
    pub fn is_test(&self) -> bool {
        self.events.contains(&HookEvent::Test)
    }
}

/// Kinds in the order Helm installs them; all others come after, by name.
pub const INSTALL_ORDER: [&str; 38] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Go's space, of a text's ends.
fn is_space(c: char) -> bool {
    borax_gotmpl::is_space(c)
}

/// Splits a text at `(?:^|\s*\n)---\s*`: into documents, blank ones left out, leading space cut.
pub fn split(text: &str) -> Vec<&str> {
    // The expression's \s are ASCII spaces.
    let space = |b: u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0c);
    let text = text.trim_start_matches(is_space);
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut begin = 0;
    let mut search = 0;
    while let Some(found) = text[search..].find("---").map(|i| i + search) {
        let mut start = found;
        while start > begin && space(bytes[start - 1]) {
            start -= 1;
        }
        // A newline must stand directly before the dashes, or nothing at the very start.
        let after_newline = found > begin && bytes[found - 1] == b'\n';
        if !(found == 0 || after_newline) {
            search = found + 1;
            continue;
        }
        let mut end = found + 3;
        while end < bytes.len() && space(bytes[end]) {
            end += 1;
        }
        out.push(&text[begin..start]);
        begin = end;
        search = end;
    }
    out.push(&text[begin..]);
    out.retain(|d| !d.trim_matches(is_space).is_empty());
    for document in &mut out {
        *document = document.trim_start_matches(is_space);
    }
    out
}

/// The few fields that sorting looks at.
#[derive(Default)]
struct Head {
    api_version: String,
    kind: String,
    name: String,
    annotations: BTreeMap<String, String>,
}

fn text_field(json: &Json, path: &str) -> Result<String, String> {
    match json {
        Json::Null => Ok(String::new()),
        other => scalar_text(other).ok_or_else(|| {
            let kind = if other.is_array() { "array" } else { "object" };
            // Fields of the nested struct, which has no name, go without one.
            let within = if path.starts_with("metadata") { "." } else { "SimpleHead." };
            format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go struct field {within}{path} of type string"
            )
        }),
    }
}

fn head(document: &str) -> Result<Head, String> {
    let json =
        borax_yaml::to_json(document).map_err(|e| format!("error converting YAML to JSON: {e}"))?;
    let mut head = Head::default();
    let entries = match &json {
        Json::Null => return Ok(head),
        Json::Object(entries) => entries,
        other => {
            return Err(format!(
                "error unmarshaling JSON: while decoding JSON: {}",
                crate::funcs::json_mismatch(other, "util.SimpleHead")
            ));
        }
    };
    let get = |entries: &serde_json::Map<String, Json>, name: &str| {
        let exact = entries.get(name);
        let any = || entries.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        exact.or_else(any).cloned().unwrap_or(Json::Null)
    };
    head.api_version = text_field(&get(entries, "apiVersion"), "apiVersion")?;
    head.kind = text_field(&get(entries, "kind"), "kind")?;
    let metadata = get(entries, "metadata");
    let mismatch = |json: &Json, path: &str, want: &str| {
        let words = crate::funcs::json_mismatch(json, want);
        let words = words.replace("Go value", &format!("Go struct field SimpleHead.{path}"));
        Err(format!("error unmarshaling JSON: while decoding JSON: {words}"))
    };
    match &metadata {
        Json::Null => {}
        Json::Object(metadata) => {
            head.name = text_field(&get(metadata, "name"), "metadata.name")?;
            match &get(metadata, "annotations") {
                Json::Null => {}
                Json::Object(annotations) => {
                    for (key, value) in annotations {
                        let text = text_field(value, "metadata.annotations")?;
                        head.annotations.insert(key.clone(), text);
                    }
                }
                other => return mismatch(other, "metadata.annotations", "map[string]string"),
            }
        }
        other => {
            return mismatch(
                other,
                "metadata",
                "struct { Name string \"json:\\\"name\\\"\"; Annotations map[string]string \"json:\\\"annotations\\\"\" }",
            );
        }
    }
    Ok(head)
}

/// Splits, tells apart and sorts what the templates gave, by path.
///
/// # Errors
/// When a document is no YAML map.
pub fn sort(files: &BTreeMap<String, String>) -> Result<(Vec<Manifest>, Vec<Hook>), Error> {
    let mut manifests = Vec::new();
    let mut hooks = Vec::new();
    for (path, text) in files {
        for document in split(text) {
            let head = head(document)
                .map_err(|message| Error::Manifest { path: path.clone(), message })?;
            let manifest = Manifest {
                path: path.clone(),
                content: document.to_owned(),
                api_version: head.api_version,
                kind: head.kind,
                name: head.name,
            };
            match head.annotations.get("helm.sh/hook") {
                None => manifests.push(manifest),
                Some(events) => hooks.extend(hook(manifest, events, &head.annotations)),
            }
        }
    }
    manifests.sort_by(|a, b| rank(&a.kind).cmp(&rank(&b.kind)));
    hooks.sort_by(|a, b| rank(&a.manifest.kind).cmp(&rank(&b.manifest.kind)));
    Ok((manifests, hooks))
}

/// Place of a kind: its number, or after all others by name.
fn rank(kind: &str) -> (usize, &str) {
    match INSTALL_ORDER.iter().position(|k| *k == kind) {
        Some(place) => (place, ""),
        None => (usize::MAX, kind),
    }
}

/// `None` when an event is unknown: Helm drops such documents.
fn hook(manifest: Manifest, events: &str, annotations: &BTreeMap<String, String>) -> Option<Hook> {
    let word = |w: &str| w.trim_matches(is_space).to_lowercase();
    let events =
        events.split(',').map(|e| HookEvent::parse(&word(e))).collect::<Option<Vec<_>>>()?;
    let list = |key: &str| match annotations.get(key) {
        Some(text) => text.split(',').map(word).collect(),
        None => Vec::new(),
    };
    let weight = annotations.get("helm.sh/hook-weight").and_then(|w| w.parse().ok());
    Some(Hook {
        manifest,
        events,
        weight: weight.unwrap_or(0),
        delete_policies: list("helm.sh/hook-delete-policy"),
        output_log_policies: list("helm.sh/hook-output-log-policy"),
    })
}
