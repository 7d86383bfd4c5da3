//! HelmRepository: a Helm repository over HTTP, or a registry with charts.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CloudProvider;
use crate::meta::{AccessFrom, Artifact, Condition, Duration, LocalObjectReference};
use crate::schema::{INTERVAL, TIMEOUT, is_zero, string_enum};

/// What a HelmRepository asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "HelmRepository",
    plural = "helmrepositories"
)]
#[kube(namespaced, status = "HelmRepositoryStatus", derive = "PartialEq", derive = "Default")]
#[kube(shortname = "helmrepo", category = "all", category = "fluxcd", category = "fluxcd-sources")]
#[kube(doc = "A Helm repository, or a registry with charts.")]
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
pub struct HelmRepositorySpec {
    /// The repository: `https://…` with an index, or `oci://…`.
    #[schemars(regex(pattern = r"^(http|https|oci)://.*$"))]
    pub url: String,
    /// A Secret with the login: `username` and `password`, or for a registry of type
    /// kubernetes.io/dockerconfigjson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// A Secret with a client certificate (`tls.crt`, `tls.key`), a CA (`ca.crt`), or both; wins
    /// over certificates in `secretRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// Whether the login is also sent to other hosts that the index names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pass_credentials: bool,
    /// How often to look at the index; jitter applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = INTERVAL))]
    pub interval: Option<Duration>,
    /// Whether to talk plain HTTP to a registry.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// How long fetching the index, or one operation on the registry, may take; 60 s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIMEOUT))]
    pub timeout: Option<Duration>,
    /// Whether to stop fetching.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// Reserved in Flux: who may refer to this object from other namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
    /// Whether this is a repository with an index or a registry; the former when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<HelmRepositoryType>,
    /// How to log in to a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "generic"))]
    pub provider: Option<CloudProvider>,
}

string_enum! {
    /// A way to keep charts.
    pub enum HelmRepositoryType {
        /// A repository with an index.
        #[default]
        Default = "default",
        /// A registry.
        Oci = "oci",
    }
}

/// What was seen and done for a HelmRepository.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-default" = {"observedGeneration": -1}))]
pub struct HelmRepositoryStatus {
    /// The last generation that was reconciled.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// The conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where the index fetched last is served.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The index fetched last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The last reconcile request that was honoured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}

impl HelmRepositorySpec {
    /// How to log in to a registry, with Flux's default.
    pub fn provider(&self) -> CloudProvider {
        self.provider.unwrap_or_default()
    }

    /// How long one operation may take, with Flux's default of 60 s.
    pub fn timeout(&self) -> std::time::Duration {
        self.timeout.map_or(super::DEFAULT_TIMEOUT, Into::into)
    }

    /// How often to look at the index: every minute unless the spec says otherwise.
    pub fn interval(&self) -> std::time::Duration {
        match self.interval {
            Some(interval) if interval != Duration::default() => interval.into(),
            _ => std::time::Duration::from_secs(60),
        }
    }

    /// Whether this is a registry.
    pub fn is_oci(&self) -> bool {
        self.type_ == Some(HelmRepositoryType::Oci)
    }
}
