//! Receiver: a webhook that wakes objects.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CrossNamespaceObjectReference;
use crate::meta::{Condition, Duration, LocalObjectReference};
use crate::schema::{INTERVAL, is_zero, string_enum};

/// What a Receiver asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "notification.toolkit.fluxcd.io",
    version = "v1",
    kind = "Receiver",
    plural = "receivers"
)]
#[kube(namespaced, status = "ReceiverStatus", derive = "PartialEq", derive = "Default")]
#[kube(category = "all", category = "fluxcd", category = "fluxcd-notifications")]
#[kube(doc = "A webhook that wakes objects.")]
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
    {"rule": "self.type != 'generic-oidc' || (has(self.oidcProviders) && size(self.oidcProviders) > 0)", "message": "generic-oidc receivers must define at least one oidcProvider"},
    {"rule": "self.type == 'generic-oidc' || !has(self.oidcProviders) || size(self.oidcProviders) == 0", "message": "oidcProviders can only be set when type is generic-oidc"},
    {"rule": "self.type != 'generic-oidc' || !has(self.secretRef)", "message": "secretRef cannot be set when type is generic-oidc"},
    {"rule": "self.type == 'generic-oidc' || has(self.secretRef)", "message": "secretRef is required when type is not generic-oidc"},
]))]
pub struct ReceiverSpec {
    /// Who calls, and so how a call is checked and read.
    pub type_: ReceiverType,
    /// How often to look at the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = INTERVAL), extend("x-default" = "10m"))]
    pub interval: Option<Duration>,
    /// The events that count, in the caller's words; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// The objects to wake.
    pub resources: Vec<ReceiverResource>,
    /// A CEL expression over `res` and `req` that says for each object whether to wake it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource_filter: String,
    /// A Secret with the `token` that calls are checked with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Who may vouch for a caller; for generic-oidc.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["issuerURL"]))]
    pub oidc_providers: Vec<OIDCProvider>,
    /// Whether to stop listening.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

string_enum! {
    /// A kind of caller.
    pub enum ReceiverType {
        /// Anyone who knows the address.
        #[default]
        Generic = "generic",
        /// Anyone who can sign.
        GenericHmac = "generic-hmac",
        /// Anyone with a fitting identity token.
        GenericOidc = "generic-oidc",
        /// GitHub.
        GitHub = "github",
        /// GitLab.
        GitLab = "gitlab",
        /// Bitbucket.
        Bitbucket = "bitbucket",
        /// Harbor.
        Harbor = "harbor",
        /// Docker Hub.
        DockerHub = "dockerhub",
        /// Quay.
        Quay = "quay",
        /// Google's registries, over Pub/Sub.
        Gcr = "gcr",
        /// Nexus.
        Nexus = "nexus",
        /// Azure's registry.
        Acr = "acr",
        /// A sender of CDEvents.
        CdEvents = "cdevents",
    }
}

/// Objects to wake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverResource {
    /// The objects.
    #[serde(flatten)]
    pub reference: CrossNamespaceObjectReference,
    /// A CEL expression over `res` and `req`; it must hold besides `resourceFilter`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filter: String,
}

/// Someone who vouches for callers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OIDCProvider {
    /// Their address, as in the token's `iss`.
    #[serde(rename = "issuerURL")]
    #[schemars(regex(pattern = r"^https?://"))]
    pub issuer_url: String,
    /// The audience that a token must be made for; `notification-controller` when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub audience: String,
    /// Named CEL expressions, each of which later ones can use as `vars.<name>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<OIDCVariable>,
    /// What must hold of the token.
    #[schemars(length(min = 1))]
    pub validations: Vec<OIDCValidation>,
}

/// A named CEL expression.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OIDCVariable {
    /// Its name.
    pub name: String,
    /// The expression over `claims` and `vars`.
    pub expression: String,
}

/// What must hold of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OIDCValidation {
    /// A CEL expression over `claims` and `vars`.
    pub expression: String,
    /// What the caller is told when it does not.
    pub message: String,
}

/// What was seen and done for a Receiver.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-default" = {"observedGeneration": -1}))]
pub struct ReceiverStatus {
    /// The last reconcile request that was honoured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
    /// The conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The path to call.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub webhook_path: String,
    /// The last generation that was reconciled.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
}

impl ReceiverSpec {
    /// How often to look at the Secret, with Flux's default of 10 minutes.
    pub fn interval(&self) -> std::time::Duration {
        self.interval.map_or(std::time::Duration::from_secs(600), Into::into)
    }
}

impl OIDCProvider {
    /// The audience that a token must be made for, with Flux's default.
    pub fn audience(&self) -> &str {
        crate::meta::non_empty_or(&self.audience, super::CONTROLLER)
    }
}
