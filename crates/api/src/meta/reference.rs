//! References from one object to another. Names only: nothing here looks anything up.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names an object in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalObjectReference {
    /// The object's name.
    pub name: String,
}

/// Names an object in some namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedObjectReference {
    /// The object's name.
    pub name: String,
    /// The object's namespace; the referring object's own when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// Names an object of some kind in some namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedObjectKindReference {
    /// The object's API version; the one the server prefers when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The object's namespace; the referring object's own when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// Names an object of the referring object's own kind that must be ready first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DependencyReference {
    /// The object's name.
    pub name: String,
    /// The object's namespace; the referring object's own when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// A CEL expression over `dep` and `self` that says when the dependency is ready. It replaces
    /// the built-in check, or with the feature gate AdditiveCELDependencyCheck adds to it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ready_expr: String,
}

/// Names a Secret in the same namespace and, if need be, one of its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// The Secret's name.
    pub name: String,
    /// The key to read; which one is meant when empty is up to the reader.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
}

/// Where to find the way to another cluster: a ConfigMap (secret-less) or a Secret with a
/// kubeconfig.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.configMapRef) || has(self.secretRef)", "message": "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified"},
    {"rule": "!has(self.configMapRef) || !has(self.secretRef)", "message": "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified"},
]))]
pub struct KubeConfigReference {
    /// A ConfigMap with the keys `provider` (aws, azure, gcp or generic), `cluster`, `address`,
    /// `ca.crt`, `audiences` and `serviceAccountName`, from which a short-lived login is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<LocalObjectReference>,
    /// A Secret with a self-contained kubeconfig, under the key `value` or `value.yaml` unless
    /// another is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyReference>,
}

impl NamespacedObjectReference {
    /// The namespace meant, `own` being that of the referring object.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        non_empty_or(&self.namespace, own)
    }
}

impl NamespacedObjectKindReference {
    /// The namespace meant, `own` being that of the referring object.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        non_empty_or(&self.namespace, own)
    }
}

impl DependencyReference {
    /// The namespace meant, `own` being that of the referring object.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        non_empty_or(&self.namespace, own)
    }
}

/// `text`, unless it is empty: then `fallback`. Empty means absent all over Flux's API.
pub(crate) fn non_empty_or<'a>(text: &'a str, fallback: &'a str) -> &'a str {
    if text.is_empty() { fallback } else { text }
}

impl fmt::Display for NamespacedObjectReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

impl fmt::Display for DependencyReference {
    /// `[namespace/]name[@readyExpr]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)?;
        if !self.ready_expr.is_empty() {
            write!(f, "@{}", self.ready_expr)?;
        }
        Ok(())
    }
}
