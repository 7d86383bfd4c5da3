//! The parts of kustomize's own vocabulary that Flux's resources embed, and what they share for drift.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Replaces a container image's name, tag or digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The image to replace, without a tag.
    pub name: String,
    /// The name to put in its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub new_name: String,
    /// The tag to put in its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub new_tag: String,
    /// The digest to put in its place; wins over `newTag`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

/// Selects objects; all that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// API group, a regular expression.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// API version, a regular expression.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Kind, a regular expression.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Namespace, a regular expression.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name, a regular expression.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A label-selector expression over the annotations.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub annotation_selector: String,
    /// A label-selector expression over the labels.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label_selector: String,
}

/// A patch and what it applies to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Patch {
    /// A strategic merge patch, or a JSON 6902 list of operations, as YAML.
    pub patch: String,
    /// The objects to patch; a strategic merge patch without it names its object itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}

/// How to tell the health of one kind of custom resource, in CEL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomHealthCheck {
    /// The kind's API version.
    pub api_version: String,
    /// The kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// True when the object has become what was asked for.
    pub current: String,
    /// True while it is on its way.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub in_progress: String,
    /// True when it never will be.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failed: String,
}

/// Labels and annotations for every object; they win over what an object has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonMetadata {
    /// Annotations to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels to set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Parts of objects that others own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IgnoreRule {
    /// JSON pointers (RFC 6901) to leave alone.
    pub paths: Vec<String>,
    /// The objects meant; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Selector>,
}
