//! Bucket: the objects of a bucket in an object store, made an artifact.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{Artifact, Condition, Duration, LocalObjectReference};
use crate::schema::{INTERVAL, TIMEOUT, is_zero, string_enum};

/// What a Bucket asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(group = "source.toolkit.fluxcd.io", version = "v1", kind = "Bucket", plural = "buckets")]
#[kube(namespaced, status = "BucketStatus", derive = "PartialEq", derive = "Default")]
#[kube(category = "all", category = "fluxcd", category = "fluxcd-sources")]
#[kube(doc = "The objects of a bucket in an object store, made an artifact.")]
#[kube(printcolumn = r#"{"name": "Endpoint", "type": "string", "jsonPath": ".spec.endpoint"}"#)]
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
    {"rule": "self.provider == 'aws' || self.provider == 'generic' || !has(self.sts)", "message": "STS configuration is only supported for the 'aws' and 'generic' Bucket providers"},
    {"rule": "self.provider != 'aws' || !has(self.sts) || self.sts.provider == 'aws'", "message": "'aws' is the only supported STS provider for the 'aws' Bucket provider"},
    {"rule": "self.provider != 'generic' || !has(self.sts) || self.sts.provider == 'ldap'", "message": "'ldap' is the only supported STS provider for the 'generic' Bucket provider"},
    {"rule": "!has(self.sts) || self.sts.provider != 'aws' || !has(self.sts.secretRef)", "message": "spec.sts.secretRef is not required for the 'aws' STS provider"},
    {"rule": "!has(self.sts) || self.sts.provider != 'aws' || !has(self.sts.certSecretRef)", "message": "spec.sts.certSecretRef is not required for the 'aws' STS provider"},
    {"rule": "self.provider != 'generic' || !has(self.serviceAccountName)", "message": "ServiceAccountName is not supported for the 'generic' Bucket provider"},
    {"rule": "!has(self.secretRef) || !has(self.serviceAccountName)", "message": "cannot set both .spec.secretRef and .spec.serviceAccountName"},
]))]
pub struct BucketSpec {
    /// The kind of object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "generic"))]
    pub provider: Option<BucketProvider>,
    /// The bucket.
    pub bucket_name: String,
    /// The object store's address.
    pub endpoint: String,
    /// Where to get short-lived logins; for the providers aws and generic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sts: Option<BucketSTSSpec>,
    /// Whether to talk plain HTTP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// The region the bucket is in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// What an object's key must start with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// A Secret with the login; which keys depends on the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// The service account whose cloud identity to log in with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
    /// A Secret with a client certificate (`tls.crt`, `tls.key`), a CA (`ca.crt`), or both; for the
    /// provider generic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// A Secret with the proxy's `address` and, if need be, its `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// How often to look at the bucket; jitter applies.
    #[schemars(regex(pattern = INTERVAL))]
    pub interval: Duration,
    /// How long fetching may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIMEOUT), extend("x-default" = "60s"))]
    pub timeout: Option<Duration>,
    /// Patterns in .gitignore's format for files to leave out; replaces the built-in set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Whether to stop fetching.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

string_enum! {
    /// A kind of object store.
    pub enum BucketProvider {
        /// One that speaks S3.
        #[default]
        Generic = "generic",
        /// AWS S3.
        Aws = "aws",
        /// Google Cloud Storage.
        Gcp = "gcp",
        /// Azure Blob Storage.
        Azure = "azure",
    }
}

/// A security token service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BucketSTSSpec {
    /// The kind of service.
    pub provider: STSProvider,
    /// The service's address.
    #[schemars(regex(pattern = r"^(http|https)://.*$"))]
    pub endpoint: String,
    /// A Secret with `username` and `password`; for ldap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// A Secret with a client certificate (`tls.crt`, `tls.key`), a CA (`ca.crt`), or both; for
    /// ldap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
}

string_enum! {
    /// A kind of security token service.
    pub enum STSProvider {
        /// AWS STS.
        #[default]
        Aws = "aws",
        /// One that knows LDAP users.
        Ldap = "ldap",
    }
}

/// What was seen and done for a Bucket.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-default" = {"observedGeneration": -1}))]
pub struct BucketStatus {
    /// The last generation that was reconciled.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// The conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where the artifact made last is served.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The artifact made last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The `ignore` it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// The last reconcile request that was honoured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}

impl BucketSpec {
    /// The kind of object store, with Flux's default.
    pub fn provider(&self) -> BucketProvider {
        self.provider.unwrap_or_default()
    }

    /// How long fetching may take, with Flux's default of 60 s.
    pub fn timeout(&self) -> std::time::Duration {
        self.timeout.map_or(super::DEFAULT_TIMEOUT, Into::into)
    }
}
