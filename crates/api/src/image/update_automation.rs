//! ImageUpdateAutomation: writes the latest images into a Git repository.

use std::collections::BTreeMap;
use std::fmt;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ImageRef;
use crate::meta::{Condition, Duration, LabelSelector, LocalObjectReference, Time};
use crate::schema::{INTERVAL, is_zero, string_enum};
use crate::source::GitRepositoryRef;

/// What an ImageUpdateAutomation asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "image.toolkit.fluxcd.io",
    version = "v1",
    kind = "ImageUpdateAutomation",
    plural = "imageupdateautomations"
)]
#[kube(
    namespaced,
    status = "ImageUpdateAutomationStatus",
    derive = "PartialEq",
    derive = "Default"
)]
#[kube(
    shortname = "iua",
    shortname = "imgupd",
    shortname = "imgauto",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-images"
)]
#[kube(doc = "Writes the latest images into a Git repository.")]
#[kube(
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Status", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Last run", "type": "string", "priority": 1, "jsonPath": ".status.lastAutomationRunTime"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
pub struct ImageUpdateAutomationSpec {
    /// The GitRepository to write to.
    pub source_ref: CrossNamespaceSourceReference,
    /// How to check out, commit and push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSpec>,
    /// How often to run when no policy changes.
    #[schemars(regex(pattern = INTERVAL))]
    pub interval: Duration,
    /// The ImagePolicies that count; all in the namespace when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_selector: Option<LabelSelector>,
    /// How to find the places to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = {"strategy": "Setters"}))]
    pub update: Option<UpdateStrategy>,
    /// Whether to stop running.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// Names a source to write to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CrossNamespaceSourceReference {
    /// The source's API version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The source's kind.
    #[schemars(extend("x-default" = "GitRepository"))]
    pub kind: UpdateSourceKind,
    /// The source's name.
    pub name: String,
    /// The source's namespace; the automation's own when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

string_enum! {
    /// A kind of source that can be written to.
    pub enum UpdateSourceKind {
        /// A Git repository.
        #[default]
        GitRepository = "GitRepository",
    }
}

/// How to find the places to write to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategy {
    /// The way to find them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "Setters"))]
    pub strategy: Option<UpdateStrategyName>,
    /// The directory to look in; the whole repository when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
}

string_enum! {
    /// A way to find the places to write to.
    pub enum UpdateStrategyName {
        /// Comments beside the values, such as `# {"$imagepolicy": "apps:web"}`.
        #[default]
        Setters = "Setters",
    }
}

/// How to check out, commit and push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitSpec {
    /// What to check out; what the GitRepository checks out when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<GitCheckoutSpec>,
    /// How to commit.
    pub commit: CommitSpec,
    /// Where to push; the branch that was checked out when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushSpec>,
}

/// What to check out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitCheckoutSpec {
    /// The reference.
    #[serde(rename = "ref")]
    pub reference: GitRepositoryRef,
}

/// How to commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommitSpec {
    /// Who makes the commit.
    pub author: CommitUser,
    /// The key to sign with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<SigningKey>,
    /// A Go template for the message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message_template: String,
    /// Values for the template, under `.Values`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub message_template_values: BTreeMap<String, String>,
}

/// Who makes a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommitUser {
    /// Their name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Their address.
    pub email: String,
}

/// A key to sign commits with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SigningKey {
    /// A Secret with the key: `git.asc` and if need be `passphrase` for gpg, `identity` and if need
    /// be `password` for ssh.
    pub secret_ref: LocalObjectReference,
    /// The key's format; gpg when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<SigningKeyType>,
}

string_enum! {
    /// A format of signing keys.
    pub enum SigningKeyType {
        /// OpenPGP.
        #[default]
        Gpg = "gpg",
        /// SSH.
        Ssh = "ssh",
    }
}

/// Where to push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushSpec {
    /// The branch; made from what was checked out when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// A Git refspec to push besides.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub refspec: String,
    /// Push options for the server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// What was seen and done for an ImageUpdateAutomation.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-default" = {"observedGeneration": -1}))]
pub struct ImageUpdateAutomationStatus {
    /// When it last ran to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_automation_run_time: Option<Time>,
    /// The last commit that was pushed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_push_commit: String,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_push_time: Option<Time>,
    /// The last generation that was reconciled.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// The conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The images that were written, by policy.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub observed_policies: BTreeMap<String, ImageRef>,
    /// The source's revision that was looked at last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed_source_revision: String,
    /// The last reconcile request that was honoured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}

impl CrossNamespaceSourceReference {
    /// The namespace meant, `own` being that of the automation.
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
