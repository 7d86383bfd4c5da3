//! ImageRepository: a container image's repository whose tags are scanned.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{AccessFrom, Condition, Duration, LocalObjectReference, Time};
use crate::schema::{INTERVAL, TIMEOUT, is_zero, unsized_int};
use crate::source::CloudProvider;

/// What an ImageRepository asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "image.toolkit.fluxcd.io",
    version = "v1",
    kind = "ImageRepository",
    plural = "imagerepositories"
)]
#[kube(namespaced, status = "ImageRepositoryStatus", derive = "PartialEq", derive = "Default")]
#[kube(
    shortname = "imgrepo",
    shortname = "imagerepo",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-images"
)]
#[kube(doc = "The repository of a container image, whose tags are scanned.")]
#[kube(printcolumn = r#"{"name": "Image", "type": "string", "jsonPath": ".spec.image"}"#)]
#[kube(
    printcolumn = r#"{"name": "Tags", "type": "string", "jsonPath": ".status.lastScanResult.tagCount"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Status", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Last scan", "type": "string", "priority": 1, "jsonPath": ".status.lastScanResult.scanTime"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
pub struct ImageRepositorySpec {
    /// The image, without a tag.
    pub image: String,
    /// How often to scan.
    #[schemars(regex(pattern = INTERVAL))]
    pub interval: Duration,
    /// How long a scan may take; `interval` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIMEOUT))]
    pub timeout: Option<Duration>,
    /// A Secret of type kubernetes.io/dockerconfigjson with the login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// A Secret with the proxy's `address` and, if need be, its `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// The service account whose image pull secrets, or cloud identity, to log in with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub service_account_name: String,
    /// A Secret with a client certificate (`tls.crt`, `tls.key`), a CA (`ca.crt`), or both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// Whether to stop scanning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// The namespaces whose ImagePolicies may refer to this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_from: Option<AccessFrom>,
    /// Regular expressions for tags to leave out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 25), extend("x-default" = ["^.*\\.sig$"]))]
    pub exclusion_list: Vec<String>,
    /// How to log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "generic"))]
    pub provider: Option<CloudProvider>,
    /// Whether to talk plain HTTP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct ScanResult {
    /// A checksum of the tags.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// How many tags there are.
    #[schemars(transform = unsized_int)]
    pub tag_count: i64,
    /// When the scan was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan_time: Option<Time>,
    /// A few of the tags, in descending alphabetical order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub latest_tags: Vec<String>,
}

/// What was seen and done for an ImageRepository.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-default" = {"observedGeneration": -1}))]
pub struct ImageRepositoryStatus {
    /// The conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The last generation that was reconciled.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// The image's name with nothing left implied: `docker.io/library/alpine`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub canonical_image_name: String,
    /// What the last scan found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scan_result: Option<ScanResult>,
    /// The `exclusionList` of that scan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_exclusion_list: Vec<String>,
    /// The last reconcile request that was honoured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}

/// What is left out unless the spec says otherwise: cosign's signatures.
pub const DEFAULT_EXCLUSION: &str = r"^.*\.sig$";

impl ImageRepositorySpec {
    /// How to log in, with Flux's default.
    pub fn provider(&self) -> CloudProvider {
        self.provider.unwrap_or_default()
    }

    /// How long a scan may take: what is asked for or the interval, and never under a second.
    pub fn timeout(&self) -> std::time::Duration {
        self.timeout.unwrap_or(self.interval).0.max(std::time::Duration::from_secs(1))
    }

    /// The regular expressions for tags to leave out, with Flux's default.
    pub fn exclusion_list(&self) -> Vec<&str> {
        match self.exclusion_list.as_slice() {
            [] => vec![DEFAULT_EXCLUSION],
            list => list.iter().map(String::as_str).collect(),
        }
    }
}
