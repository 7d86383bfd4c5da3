//! The Kustomization resource's fields. Only the shape: no decisions.

use std::collections::BTreeMap;
use std::fmt;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CommonMetadata, CustomHealthCheck, IgnoreRule, Image, Patch};
use crate::meta::{
    Condition, DependencyReference, Duration, KubeConfigReference, LocalObjectReference,
    NamespacedObjectKindReference, Snapshot,
};
use crate::schema::{INTERVAL, is_zero, string_enum};

/// What a Kustomization asks for: a directory of a source, built and kept applied.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "kustomize.toolkit.fluxcd.io",
    version = "v1",
    kind = "Kustomization",
    plural = "kustomizations"
)]
#[kube(namespaced, status = "KustomizationStatus", derive = "PartialEq", derive = "Default")]
#[kube(shortname = "ks", category = "all", category = "fluxcd", category = "fluxcd-appliers")]
#[kube(doc = "A directory of a source that is built with kustomize and kept applied to a cluster.")]
#[kube(
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Status", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
pub struct KustomizationSpec {
    /// Labels and annotations for every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_metadata: Option<CommonMetadata>,
    /// Kustomizations that must be ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependencyReference>,
    /// How to decrypt Secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decryption: Option<Decryption>,
    /// How often to reconcile when nothing changes; jitter applies.
    #[schemars(regex(pattern = INTERVAL))]
    pub interval: Duration,
    /// How soon to try again after a failure; `interval` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = INTERVAL))]
    pub retry_interval: Option<Duration>,
    /// The cluster to apply to; the one Borax runs in when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<KubeConfigReference>,
    /// The directory in the source; its root when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Substitutions in what was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_build: Option<PostBuild>,
    /// Whether objects that are gone from the source are deleted from the cluster.
    pub prune: bool,
    /// What becomes of the objects when this Kustomization is deleted; MirrorPrune when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Objects whose health counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<NamespacedObjectKindReference>,
    /// A prefix for every object's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 200))]
    pub name_prefix: String,
    /// A suffix for every object's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 200))]
    pub name_suffix: String,
    /// Patches over what the directory builds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Image replacements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// The service account on whose behalf every request is made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
    /// The source that holds the directory.
    pub source_ref: CrossNamespaceSourceReference,
    /// Whether to stop reconciling.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// The namespace to put every namespaced object in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 63))]
    pub target_namespace: String,
    /// How long building, applying and waiting for health may take together; follows from
    /// `interval` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = INTERVAL))]
    pub timeout: Option<Duration>,
    /// Whether to delete and create anew what can't be changed in place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("x-default" = false))]
    pub force: bool,
    /// Whether the health of every applied object counts; `healthChecks` are then not looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wait: bool,
    /// Which of kustomize's build metadata to add to the objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub build_metadata: Vec<BuildMetadataOption>,
    /// Paths of kustomize components to add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Whether components whose path does not exist are left out instead of failing the build.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_missing_components: bool,
    /// How to tell the health of custom resources; looked at with `wait` or `healthChecks`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<CustomHealthCheck>,
    /// Parts of objects that others own: neither applied nor corrected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreRule>,
}

string_enum! {
    /// Metadata that kustomize can add to what it builds.
    pub enum BuildMetadataOption {
        /// `config.kubernetes.io/origin`: the file an object came from.
        #[default]
        OriginAnnotations = "originAnnotations",
        /// `alpha.config.kubernetes.io/transformations`: what changed it.
        TransformerAnnotations = "transformerAnnotations",
    }
}

/// How to decrypt Secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decryption {
    /// The format they are encrypted in.
    pub provider: DecryptionProvider,
    /// The service account to log in to cloud key services with; a login in the Secret wins.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
    /// The Secret with the keys, or with logins to key services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
}

string_enum! {
    /// A format of encrypted files.
    pub enum DecryptionProvider {
        /// Mozilla SOPS.
        #[default]
        Sops = "sops",
    }
}

string_enum! {
    /// What becomes of applied objects when their Kustomization is deleted.
    pub enum DeletionPolicy {
        /// As `prune` says: delete or orphan.
        #[default]
        MirrorPrune = "MirrorPrune",
        /// Delete them.
        Delete = "Delete",
        /// Delete them and wait until they are gone.
        WaitForTermination = "WaitForTermination",
        /// Leave them.
        Orphan = "Orphan",
    }
}

/// Substitution of `${variables}` in what was built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostBuild {
    /// When to substitute at all; WithVariables when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute_strategy: Option<SubstituteStrategy>,
    /// Variables and their values; they win over `substituteFrom`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub substitute: BTreeMap<String, String>,
    /// ConfigMaps and Secrets whose keys are variables; later ones win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub substitute_from: Vec<SubstituteReference>,
}

string_enum! {
    /// When to substitute.
    pub enum SubstituteStrategy {
        /// When at least one variable is known.
        #[default]
        WithVariables = "WithVariables",
        /// Always, so that defaults in the expressions take effect.
        Always = "Always",
    }
}

/// An object whose data holds variables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubstituteReference {
    /// ConfigMap or Secret.
    pub kind: ValuesKind,
    /// Its name, in the Kustomization's namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whether it may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("x-default" = false))]
    pub optional: bool,
}

string_enum! {
    /// A kind of object that holds values.
    pub enum ValuesKind {
        /// A Secret.
        Secret = "Secret",
        /// A ConfigMap.
        #[default]
        ConfigMap = "ConfigMap",
    }
}

/// Names a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceSourceReference {
    /// The source's API version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The source's kind.
    pub kind: SourceKind,
    /// The source's name.
    pub name: String,
    /// The source's namespace; the Kustomization's own when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

string_enum! {
    /// A kind of source that a Kustomization builds from.
    pub enum SourceKind {
        /// An OCI artifact.
        OCIRepository = "OCIRepository",
        /// A Git repository.
        #[default]
        GitRepository = "GitRepository",
        /// A bucket of an object store.
        Bucket = "Bucket",
        /// An artifact made by someone else's controller.
        ExternalArtifact = "ExternalArtifact",
    }
}

/// What was seen and done for a Kustomization.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-default" = {"observedGeneration": -1}))]
pub struct KustomizationStatus {
    /// The last reconcile request that was honoured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
    /// The last generation that was reconciled.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// The conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The artifact revision that was last applied with success.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_applied_revision: String,
    /// The revision of the code behind it, where the source tells.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_applied_origin_revision: String,
    /// The artifact revision that was last tried.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_attempted_revision: String,
    /// The objects that were applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<ResourceInventory>,
    /// What was reconciled lately, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Snapshot>,
}

/// The objects that a reconciliation applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceInventory {
    /// One entry for each object.
    pub entries: Vec<ResourceRef>,
}

/// One applied object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceRef {
    /// `<namespace>_<name>_<group>_<kind>`.
    pub id: String,
    /// The API version without the group.
    #[serde(rename = "v")]
    pub version: String,
}

impl CrossNamespaceSourceReference {
    /// The namespace meant, `own` being that of the Kustomization.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        crate::meta::non_empty_or(&self.namespace, own)
    }
}

impl fmt::Display for CrossNamespaceSourceReference {
    /// `Kind/name`, or `Kind/namespace/name` when a namespace is set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}
