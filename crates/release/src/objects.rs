//! The objects of a release: read from its manifest, marked as its own, compared with those of another. Source: Helm
//! `pkg/action/validate.go`, `upgrade.go` (`objectKey`), `uninstall.go`, `pkg/release/v1/util/kind_sorter.go`.

use std::collections::BTreeSet;

use borax_api::helm::{OWNER_NAME_LABEL, OWNER_NAMESPACE_LABEL};
use borax_object::{Entry, ObjectId, meta};
use serde_json::Value;

/// The label of everything that Helm applies.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const HELM: &str = "Helm";
/// The annotations that name an object's release.
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";
/// The annotation that keeps an object when its release goes.
const RESOURCE_POLICY: &str = "helm.sh/resource-policy";

/// Kinds in the order Helm deletes them; all others come after, by name.
const UNINSTALL_ORDER: [&str; 38] = [
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "APIService",
    "Ingress",
    "IngressClass",
    "Service",
    "CronJob",
    "Job",
    "StatefulSet",
    "HorizontalPodAutoscaler",
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "Pod",
    "DaemonSet",
    "RoleBindingList",
    "RoleBinding",
    "RoleList",
    "Role",
    "ClusterRoleBindingList",
    "ClusterRoleBinding",
    "ClusterRoleList",
    "ClusterRole",
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "ConfigMap",
    "SecretList",
    "Secret",
    "ServiceAccount",
    "PodDisruptionBudget",
    "PodSecurityPolicy",
    "LimitRange",
    "ResourceQuota",
    "NetworkPolicy",
    "Namespace",
    "PriorityClass",
];

/// Why a manifest holds no objects. The text names the document's kind and name, and nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_path}: {cause}")]
pub struct ManifestError {
    source_path: String,
    cause: String,
}

/// The objects in a manifest, in its order, lists opened.
///
/// # Errors
/// The first document that is no object.
pub fn parse(manifest: &str) -> Result<Vec<Value>, ManifestError> {
    let mut objects = Vec::new();
    for document in borax_helm::split(manifest) {
        let source_path = document
            .lines()
            .find_map(|line| line.strip_prefix("# Source: "))
            .unwrap_or("manifest")
            .to_owned();
        let parsed = borax_yaml::to_json(document).map_err(|e| ManifestError {
            source_path: source_path.clone(),
            cause: e.to_string(),
        })?;
        if parsed.is_null() {
            continue;
        }
        for object in borax_object::flatten(parsed) {
            if object.as_object().is_none_or(serde_json::Map::is_empty) {
                continue;
            }
            let is_generated = object.pointer("/metadata/generateName").is_some();
            if let Err(error) = borax_object::check(&object)
                && !(is_generated && meta::name(&object).is_empty())
            {
                return Err(ManifestError { source_path, cause: error.to_string() });
            }
            objects.push(object);
        }
    }
    Ok(objects)
}

/// Marks an object as belonging to a release.
pub fn mark(object: &mut Value, release: &str, namespace: &str) {
    meta::set_label(object, MANAGED_BY, HELM);
    meta::set_annotation(object, RELEASE_NAME, release);
    meta::set_annotation(object, RELEASE_NAMESPACE, namespace);
}

/// Whether a live object belongs to a release.
///
/// # Errors
/// Helm's words for what is missing.
pub fn check_owner(object: &Value, release: &str, namespace: &str) -> Result<(), String> {
    let require = |what: &str, found: Option<&str>, key: &str, value: &str| match found {
        None => {
            Some(format!("{what} validation error: missing key {key:?}: must be set to {value:?}"))
        }
        Some(other) if other != value => Some(format!(
            "{what} validation error: key {key:?} must equal {value:?}: current value is {other:?}"
        )),
        Some(_) => None,
    };
    let annotation = |key| meta::annotation(object, key);
    let errors: Vec<String> = [
        require("label", meta::label(object, MANAGED_BY), MANAGED_BY, HELM),
        require("annotation", annotation(RELEASE_NAME), RELEASE_NAME, release),
        require("annotation", annotation(RELEASE_NAMESPACE), RELEASE_NAMESPACE, namespace),
    ]
    .into_iter()
    .flatten()
    .collect();
    match errors.is_empty() {
        true => Ok(()),
        false => Err(format!("invalid ownership metadata; {}", errors.join("; "))),
    }
}

/// Whether two manifests hold the same objects, in any order, but for the labels that name a HelmRelease.
pub fn are_same(a: &str, b: &str) -> bool {
    let objects = |manifest: &str| -> Option<Vec<String>> {
        let mut texts: Vec<String> = parse(manifest)
            .ok()?
            .into_iter()
            .map(|mut object| {
                for label in [OWNER_NAME_LABEL, OWNER_NAMESPACE_LABEL] {
                    if let Some(labels) = object.pointer_mut("/metadata/labels")
                        && let Some(labels) = labels.as_object_mut()
                    {
                        labels.remove(label);
                    }
                }
                let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
                if labels.is_some_and(serde_json::Map::is_empty)
                    && let Some(metadata) =
                        object.get_mut("metadata").and_then(Value::as_object_mut)
                {
                    metadata.remove("labels");
                }
                borax_yaml::json_string(&object)
            })
            .collect();
        texts.sort();
        Some(texts)
    };
    objects(a).is_some_and(|a| objects(b).is_some_and(|b| a == b))
}

/// Whether an object stays when its release goes, or no longer has it.
pub fn is_kept(object: &Value) -> bool {
    meta::annotation(object, RESOURCE_POLICY)
        .is_some_and(|policy| policy.trim().eq_ignore_ascii_case("keep"))
}

/// The objects of `before` that `after` has no more, in the order of `before`.
pub fn removed(before: &[Value], after: &[Value]) -> Vec<Value> {
    let stays: BTreeSet<ObjectId> = after.iter().map(ObjectId::of).collect();
    before.iter().filter(|object| !stays.contains(&ObjectId::of(object))).cloned().collect()
}

/// Puts objects in the order Helm deletes them, which is stable.
pub fn sort_for_uninstall(objects: &mut [Value]) {
    objects.sort_by_cached_key(|object| {
        let kind = meta::kind(object).to_owned();
        match UNINSTALL_ORDER.iter().position(|known| *known == kind) {
            Some(place) => (place, String::new()),
            None => (usize::MAX, kind),
        }
    });
}

/// The inventory of a release: its objects, and the definitions its chart brings.
pub fn inventory<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Vec<Entry> {
    objects.into_iter().map(Entry::of).collect()
}

/// `Kind "name" in namespace "namespace"`, as Helm's errors name an object.
pub fn described(object: &Value) -> String {
    let (kind, name) = (meta::kind(object), meta::name(object));
    format!("{kind} {name:?} in namespace {:?}", meta::namespace(object))
}
