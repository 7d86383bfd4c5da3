//! HelmChart: one chart of a Helm repository, registry, Git repository or bucket, made an artifact.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{OIDCIdentityMatch, VerificationProvider};
use crate::meta::{Artifact, Condition, Duration, LocalObjectReference};
use crate::schema::{INTERVAL, is_zero, string_enum};

/// What a HelmChart asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "source.toolkit.fluxcd.io",
    version = "v1",
    kind = "HelmChart",
    plural = "helmcharts"
)]
#[kube(namespaced, status = "HelmChartStatus", derive = "PartialEq", derive = "Default")]
#[kube(shortname = "hc", category = "all", category = "fluxcd", category = "fluxcd-sources")]
#[kube(doc = "A chart of a Helm repository, Git repository or bucket, made an artifact.")]
#[kube(printcolumn = r#"{"name": "Chart", "type": "string", "jsonPath": ".spec.chart"}"#)]
#[kube(printcolumn = r#"{"name": "Version", "type": "string", "jsonPath": ".spec.version"}"#)]
#[kube(
    printcolumn = r#"{"name": "Source Kind", "type": "string", "jsonPath": ".spec.sourceRef.kind"}"#
)]
#[kube(
    printcolumn = r#"{"name": "Source Name", "type": "string", "jsonPath": ".spec.sourceRef.name"}"#
)]
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
    {"rule": "!has(self.verify) || self.sourceRef.kind == 'HelmRepository'", "message": "spec.verify is only supported when spec.sourceRef.kind is 'HelmRepository'"},
]))]
pub struct HelmChartSpec {
    /// The chart's name in the repository, or its path in the source.
    pub chart: String,
    /// A range of versions; the newest when empty. Not looked at for Git repositories and buckets.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("x-default" = "*"))]
    pub version: String,
    /// Where the chart is.
    pub source_ref: LocalHelmChartSourceReference,
    /// How often to look; jitter applies.
    #[schemars(regex(pattern = INTERVAL))]
    pub interval: Duration,
    /// What makes a new artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "ChartVersion"))]
    pub reconcile_strategy: Option<ReconcileStrategy>,
    /// Files in the source to take as the chart's values instead of its `values.yaml`; later ones
    /// win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,
    /// Whether values files that do not exist are left out instead of failing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_missing_values_files: bool,
    /// Whether to stop fetching.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// Which signature must be there; for charts in a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<HelmChartVerification>,
}

string_enum! {
    /// What makes a new artifact of a chart.
    pub enum ReconcileStrategy {
        /// A new version of the chart.
        #[default]
        ChartVersion = "ChartVersion",
        /// A new revision of the source.
        Revision = "Revision",
    }
}

/// Names a source of charts in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalHelmChartSourceReference {
    /// The source's API version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The source's kind.
    pub kind: ChartSourceKind,
    /// The source's name.
    pub name: String,
}

string_enum! {
    /// A kind of source of charts.
    pub enum ChartSourceKind {
        /// A Helm repository or registry.
        #[default]
        HelmRepository = "HelmRepository",
        /// A Git repository.
        GitRepository = "GitRepository",
        /// A bucket.
        Bucket = "Bucket",
    }
}

/// Which signature must be there, and whose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmChartVerification {
    /// The kind of signature.
    #[schemars(extend("x-default" = "cosign"))]
    pub provider: VerificationProvider,
    /// A Secret with the trusted public keys or certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// The identities trusted in keyless verification; one must match.
    #[serde(rename = "matchOIDCIdentity", default, skip_serializing_if = "Vec::is_empty")]
    pub match_oidc_identity: Vec<OIDCIdentityMatch>,
}

/// What was seen and done for a HelmChart.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-default" = {"observedGeneration": -1}))]
pub struct HelmChartStatus {
    /// The last generation that was reconciled.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// The revision of the source that was looked at last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed_source_artifact_revision: String,
    /// The chart's name that was found last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed_chart_name: String,
    /// The values files that are in the artifact.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_values_files: Vec<String>,
    /// The conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where the artifact made last is served.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The artifact made last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The last reconcile request that was honoured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
}

impl HelmChartSpec {
    /// The range of versions, with Flux's default.
    pub fn version(&self) -> &str {
        crate::meta::non_empty_or(&self.version, "*")
    }

    /// What makes a new artifact, with Flux's default.
    pub fn reconcile_strategy(&self) -> ReconcileStrategy {
        self.reconcile_strategy.unwrap_or_default()
    }
}
