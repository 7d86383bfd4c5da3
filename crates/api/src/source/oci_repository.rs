//! OCIRepository: an OCI artifact or image at a reference, pulled and made an artifact.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CloudProvider;
use crate::meta::{Artifact, Condition, Duration, LocalObjectReference};
use crate::schema::{INTERVAL, TIMEOUT, is_zero, string_enum};

/// What an OCIRepository asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "OCIRepository",
    plural = "ocirepositories"
)]
#[kube(namespaced, status = "OCIRepositoryStatus", derive = "PartialEq", derive = "Default")]
#[kube(shortname = "ocirepo", category = "all", category = "fluxcd", category = "fluxcd-sources")]
#[kube(doc = "An OCI artifact at a reference, pulled and made an artifact.")]
#[kube(printcolumn = r#"{"name": "URL", "type": "string", "jsonPath": ".spec.url"}"#)]
#[kube(
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Status", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
pub struct OCIRepositorySpec {
    /// The repository in a registry, `oci://host/path`, without a tag.
    #[schemars(regex(pattern = r"^oci://.*$"))]
    pub url: String,
    /// What to pull; the tag `latest` when absent.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<OCIRepositoryRef>,
    /// Which layer to take, and how; the first one, extracted, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_selector: Option<OCILayerSelector>,
    /// How to log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "generic"))]
    pub provider: Option<CloudProvider>,
    /// A Secret of type kubernetes.io/dockerconfigjson with the login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Which signature must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<OCIRepositoryVerification>,
    /// The service account whose image pull secrets, or cloud identity, to log in with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
    /// A Secret with a client certificate (`tls.crt`, `tls.key`), a CA (`ca.crt`), or both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// A Secret with the proxy's `address` and, if need be, its `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// How often to look at the registry; jitter applies.
    #[schemars(regex(pattern = INTERVAL))]
    pub interval: Duration,
    /// How long one operation on the registry may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIMEOUT), extend("x-default" = "60s"))]
    pub timeout: Option<Duration>,
    /// Patterns in .gitignore's format for files to leave out; replaces the built-in set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<String>,
    /// Whether to talk plain HTTP.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// Whether to stop pulling.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// What to pull. The first that is set wins: digest, semver, tag.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OCIRepositoryRef {
    /// A manifest's digest, `sha256:<hex>`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// A range of versions; the highest tag in it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub semver: String,
    /// A regular expression that tags must match to be looked at for `semver`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub semver_filter: String,
    /// A tag.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
}

/// Which layer of an artifact to take, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OCILayerSelector {
    /// The layer's media type; the first layer of that type is taken.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// What to do with it; extract when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OCILayerOperation>,
}

string_enum! {
    /// What to do with a layer.
    pub enum OCILayerOperation {
        /// Unpack it.
        #[default]
        Extract = "extract",
        /// Keep it as it is.
        Copy = "copy",
    }
}

/// Which signature must be there, and whose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OCIRepositoryVerification {
    /// The kind of signature.
    #[schemars(extend("x-default" = "cosign"))]
    pub provider: VerificationProvider,
    /// A Secret with the trusted public keys or certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// The identities trusted in keyless verification; one must match.
    #[serde(rename = "matchOIDCIdentity", default, skip_serializing_if = "Vec::is_empty")]
    pub match_oidc_identity: Vec<OIDCIdentityMatch>,
    /// A Secret with the trust root (`trusted_root.json`) of a Sigstore instance of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_root_secret_ref: Option<LocalObjectReference>,
}

string_enum! {
    /// A kind of signature.
    pub enum VerificationProvider {
        /// Sigstore's cosign.
        #[default]
        Cosign = "cosign",
        /// The Notary Project's notation.
        Notation = "notation",
    }
}

/// An identity, each part a regular expression.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OIDCIdentityMatch {
    /// Who vouches for the identity.
    pub issuer: String,
    /// The identity.
    pub subject: String,
}

/// What was seen and done for an OCIRepository.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-default" = {"observedGeneration": -1}))]
pub struct OCIRepositoryStatus {
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
    /// The `layerSelector` it was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_layer_selector: Option<OCILayerSelector>,
    /// The last reconcile request that was honoured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}

/// What an OCIRepository's URL starts with.
pub const OCI_PREFIX: &str = "oci://";

impl OCIRepositorySpec {
    /// How to log in, with Flux's default.
    pub fn provider(&self) -> CloudProvider {
        self.provider.unwrap_or_default()
    }

    /// How long one operation on the registry may take, with Flux's default of 60 s.
    pub fn timeout(&self) -> std::time::Duration {
        self.timeout.map_or(super::DEFAULT_TIMEOUT, Into::into)
    }

    /// The media type of the layer to take; empty when any will do.
    pub fn layer_media_type(&self) -> &str {
        self.layer_selector.as_ref().map_or("", |selector| &selector.media_type)
    }

    /// What to do with the layer, with Flux's default.
    pub fn layer_operation(&self) -> OCILayerOperation {
        self.layer_selector.as_ref().and_then(|selector| selector.operation).unwrap_or_default()
    }
}
