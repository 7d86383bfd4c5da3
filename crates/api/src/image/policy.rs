//! ImagePolicy: which of an image's tags is the latest.

use std::fmt;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{Condition, Duration, NamespacedObjectReference};
use crate::schema::{INTERVAL, is_zero, string_enum};

/// What an ImagePolicy asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "image.toolkit.fluxcd.io",
    version = "v1",
    kind = "ImagePolicy",
    plural = "imagepolicies"
)]
#[kube(namespaced, status = "ImagePolicyStatus", derive = "PartialEq", derive = "Default")]
#[kube(
    shortname = "imgpol",
    shortname = "imagepol",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-images"
)]
#[kube(doc = "The rule by which one of an image's tags is the latest.")]
#[kube(
    printcolumn = r#"{"name": "Image", "type": "string", "jsonPath": ".status.latestRef.name"}"#
)]
#[kube(printcolumn = r#"{"name": "Tag", "type": "string", "jsonPath": ".status.latestRef.tag"}"#)]
#[kube(
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Status", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.interval) || (has(self.digestReflectionPolicy) && self.digestReflectionPolicy == 'Always')", "message": "spec.interval is only accepted when spec.digestReflectionPolicy is set to 'Always'"},
    {"rule": "has(self.interval) || !has(self.digestReflectionPolicy) || self.digestReflectionPolicy != 'Always'", "message": "spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'"},
]))]
pub struct ImagePolicySpec {
    /// The ImageRepository with the tags.
    pub image_repository_ref: NamespacedObjectReference,
    /// The order of the tags; exactly one must be set.
    pub policy: ImagePolicyChoice,
    /// Which tags count; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_tags: Option<TagFilter>,
    /// Whether to find out the latest image's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "Never"))]
    pub digest_reflection_policy: Option<ReflectionPolicy>,
    /// How often to look for a new digest; with the reflection policy Always only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = INTERVAL))]
    pub interval: Option<Duration>,
    /// Whether to stop reconciling.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

string_enum! {
    /// When to find out a digest.
    pub enum ReflectionPolicy {
        /// Again and again.
        Always = "Always",
        /// When the latest tag changes.
        IfNotPresent = "IfNotPresent",
        /// Never.
        #[default]
        Never = "Never",
    }
}

/// An order of tags. Exactly one must be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImagePolicyChoice {
    /// By version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semver: Option<SemVerPolicy>,
    /// As text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alphabetical: Option<AlphabeticalPolicy>,
    /// As numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerical: Option<NumericalPolicy>,
}

/// The order of versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SemVerPolicy {
    /// The versions that count; the highest is the latest.
    pub range: String,
}

/// The order of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlphabeticalPolicy {
    /// Ascending: the last in the alphabet is the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "asc"))]
    pub order: Option<SortOrder>,
}

/// The order of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NumericalPolicy {
    /// Ascending: the highest number is the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "asc"))]
    pub order: Option<SortOrder>,
}

string_enum! {
    /// A direction.
    pub enum SortOrder {
        /// Ascending.
        #[default]
        Asc = "asc",
        /// Descending.
        Desc = "desc",
    }
}

/// Which tags count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TagFilter {
    /// A regular expression that a tag must match.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pattern: String,
    /// The part of the match that is compared: a reference to one of its groups.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub extract: String,
}

/// One image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ImageRef {
    /// Its name.
    pub name: String,
    /// Its tag.
    pub tag: String,
    /// Its digest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

/// What was seen and done for an ImagePolicy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-default" = {"observedGeneration": -1}))]
pub struct ImagePolicyStatus {
    /// The latest image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_ref: Option<ImageRef>,
    /// The latest image before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_previous_ref: Option<ImageRef>,
    /// The last generation that was reconciled.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// The conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The last reconcile request that was honoured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}

impl ImagePolicySpec {
    /// When to find out the digest, with Flux's default.
    pub fn digest_reflection_policy(&self) -> ReflectionPolicy {
        self.digest_reflection_policy.unwrap_or_default()
    }

    /// How often to look for a new digest; `None` when that is not asked for.
    pub fn interval(&self) -> Option<std::time::Duration> {
        if self.digest_reflection_policy() != ReflectionPolicy::Always {
            return None;
        }
        match self.interval {
            Some(interval) if interval != Duration::default() => Some(interval.into()),
            _ => Some(std::time::Duration::from_secs(600)),
        }
    }
}

impl fmt::Display for ImageRef {
    /// `name:tag[@digest]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)?;
        if !self.digest.is_empty() {
            write!(f, "@{}", self.digest)?;
        }
        Ok(())
    }
}
