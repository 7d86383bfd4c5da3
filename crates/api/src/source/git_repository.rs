//! GitRepository: a Git repository at a reference, fetched and made an artifact.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{Artifact, Condition, Duration, LocalObjectReference};
use crate::schema::{INTERVAL, TIMEOUT, is_zero, string_enum};

/// What a GitRepository asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "GitRepository",
    plural = "gitrepositories"
)]
#[kube(namespaced, status = "GitRepositoryStatus", derive = "PartialEq", derive = "Default")]
#[kube(shortname = "gitrepo", category = "all", category = "fluxcd", category = "fluxcd-sources")]
#[kube(doc = "A Git repository at a reference, fetched and made an artifact.")]
#[kube(printcolumn = r#"{"name": "URL", "type": "string", "jsonPath": ".spec.url"}"#)]
#[kube(
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Status", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.serviceAccountName) || (has(self.provider) && (self.provider == 'azure' || self.provider == 'aws'))", "message": "serviceAccountName can only be set when provider is 'azure' or 'aws'"},
]))]
pub struct GitRepositorySpec {
    /// The repository, over http, https or ssh.
    #[schemars(regex(pattern = r"^(http|https|ssh)://.*$"))]
    pub url: String,
    /// A Secret with the login: `username` and `password`, or `bearerToken`, for https; `identity`
    /// and `known_hosts` for ssh; `githubApp*` keys for the provider github.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// How to log in; generic when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<GitProvider>,
    /// The service account to log in with; for azure and aws only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
    /// How often to look at the remote; jitter applies.
    #[schemars(regex(pattern = INTERVAL))]
    pub interval: Duration,
    /// How long one operation on the remote may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIMEOUT), extend("x-default" = "60s"))]
    pub timeout: Option<Duration>,
    /// What to check out; the branch `master` when absent.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<GitRepositoryRef>,
    /// Which signatures must be there.
    #[serde(rename = "verify", default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<GitRepositoryVerification>,
    /// A Secret with the proxy's `address` and, if need be, its `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// Patterns in .gitignore's format for files to leave out; replaces the built-in set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Whether to stop fetching.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// Whether submodules are checked out too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recurse_submodules: bool,
    /// Contents of other GitRepositories to put into this artifact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<GitRepositoryInclude>,
    /// The directories to check out; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sparse_checkout: Vec<String>,
}

string_enum! {
    /// A way to log in to a Git server.
    pub enum GitProvider {
        /// With what the Secret holds.
        #[default]
        Generic = "generic",
        /// As an AWS identity, to CodeCommit.
        Aws = "aws",
        /// As an Azure identity, to Azure DevOps.
        Azure = "azure",
        /// As a GitHub App.
        Github = "github",
    }
}

/// Contents of another GitRepository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryInclude {
    /// The other GitRepository, in the same namespace.
    pub repository: LocalObjectReference,
    /// The directory to take; its root when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from_path: String,
    /// Where to put it; a directory with the other's name when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to_path: String,
}

/// What to check out. The first that is set wins: commit, name, semver, tag, branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryRef {
    /// A branch.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// A tag.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// A range of versions; the highest tag in it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub semver: String,
    /// A full reference name, such as `refs/pull/420/head`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A commit's hash. With `branch` only that branch is fetched.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub commit: String,
}

/// Which signatures must be there, and whose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositoryVerification {
    /// What must be signed; HEAD when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "HEAD"))]
    pub mode: Option<GitVerificationMode>,
    /// A Secret with the public keys of those trusted: PGP keys under `*.asc`, SSH keys under
    /// `*.sshpub`.
    pub secret_ref: LocalObjectReference,
}

string_enum! {
    /// What must be signed.
    pub enum GitVerificationMode {
        /// The older spelling of HEAD.
        LegacyHead = "head",
        /// The commit that is checked out.
        #[default]
        Head = "HEAD",
        /// The tag that is checked out.
        Tag = "Tag",
        /// Both.
        TagAndHead = "TagAndHEAD",
    }
}

/// What was seen and done for a GitRepository.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-default" = {"observedGeneration": -1}))]
pub struct GitRepositoryStatus {
    /// The last generation that was reconciled.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// The conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The artifact made last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The artifacts of other GitRepositories that are part of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub included_artifacts: Vec<Artifact>,
    /// The `ignore` it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// The `recurseSubmodules` it was made with.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub observed_recurse_submodules: bool,
    /// The `include` it was made with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_include: Vec<GitRepositoryInclude>,
    /// The `sparseCheckout` it was made with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_sparse_checkout: Vec<String>,
    /// What was verified last: HEAD, Tag or TagAndHEAD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_verification_mode: Option<String>,
    /// The last reconcile request that was honoured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}

impl GitRepositorySpec {
    /// How to log in, with Flux's default.
    pub fn provider(&self) -> GitProvider {
        self.provider.unwrap_or_default()
    }

    /// How long one operation on the remote may take, with Flux's default of 60 s.
    pub fn timeout(&self) -> std::time::Duration {
        self.timeout.map_or(super::DEFAULT_TIMEOUT, Into::into)
    }
}

impl GitRepositoryInclude {
    /// Where the included contents go: `toPath`, or a directory with the other repository's name.
    pub fn to_path(&self) -> &str {
        crate::meta::non_empty_or(&self.to_path, &self.repository.name)
    }
}

impl GitRepositoryVerification {
    /// What must be signed, with Flux's default and without the older spelling.
    pub fn mode(&self) -> GitVerificationMode {
        match self.mode {
            None | Some(GitVerificationMode::LegacyHead) => GitVerificationMode::Head,
            Some(mode) => mode,
        }
    }

    /// Whether the checked out commit must be signed.
    pub fn verifies_head(&self) -> bool {
        matches!(self.mode(), GitVerificationMode::Head | GitVerificationMode::TagAndHead)
    }

    /// Whether the checked out tag must be signed.
    pub fn verifies_tag(&self) -> bool {
        matches!(self.mode(), GitVerificationMode::Tag | GitVerificationMode::TagAndHead)
    }
}
