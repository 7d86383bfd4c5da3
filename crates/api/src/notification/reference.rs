//! References to the objects that alerts listen to and receivers wake.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::string_enum;

/// Names one object, or all of a kind that have some labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceObjectReference {
    /// The objects' API version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The objects' kind.
    pub kind: ObjectKind,
    /// The object's name, or `*`.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The objects' namespace; the referring object's own when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 253))]
    pub namespace: String,
    /// Labels that the objects must have; with the name `*` only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

string_enum! {
    /// A kind that sends events and can be woken.
    pub enum ObjectKind {
        /// A bucket of an object store.
        Bucket = "Bucket",
        /// A Git repository.
        GitRepository = "GitRepository",
        /// A Kustomization.
        #[default]
        Kustomization = "Kustomization",
        /// A Helm release.
        HelmRelease = "HelmRelease",
        /// A Helm chart.
        HelmChart = "HelmChart",
        /// A Helm repository.
        HelmRepository = "HelmRepository",
        /// An image repository.
        ImageRepository = "ImageRepository",
        /// An image policy.
        ImagePolicy = "ImagePolicy",
        /// An image update automation.
        ImageUpdateAutomation = "ImageUpdateAutomation",
        /// An OCI repository.
        OCIRepository = "OCIRepository",
        /// A maker of artifacts outside of Flux.
        ArtifactGenerator = "ArtifactGenerator",
        /// An artifact made outside of Flux.
        ExternalArtifact = "ExternalArtifact",
    }
}

impl CrossNamespaceObjectReference {
    /// The namespace meant, `own` being that of the referring object.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        crate::meta::non_empty_or(&self.namespace, own)
    }
}
