//! What all controllers of one process share: the client, the stores, the artifact cache, events, flags.

use std::sync::Arc;
use std::time::Duration;

use borax_api::helm::HelmRelease;
use borax_api::image::{ImagePolicy, ImageRepository, ImageUpdateAutomation};
use borax_api::kustomize::Kustomization;
use borax_api::source::{
    Bucket, ExternalArtifact, GitRepository, HelmChart, HelmRepository, OCIRepository,
};
use borax_kubeio::Cluster;
use borax_reconcile::Metrics;
use borax_source::bases::Bases;
use borax_source::helm_repo::Repositories;
use borax_source::oci::OciClient;

use crate::artifacts::Artifacts;
use crate::image::automation::Desks;
use crate::image::tags::Tags;
use crate::options::Options;
use crate::recorder::Recorder;
use crate::source::git::{AppTokens, Fetches};
use crate::store::Store;
use crate::upstreams::Upstreams;

/// The objects that controllers watch.
#[derive(Default)]
pub struct Stores {
    /// Kustomizations.
    pub kustomizations: Store<Kustomization>,
    /// HelmReleases.
    pub helm_releases: Store<HelmRelease>,
    /// GitRepositories.
    pub git_repositories: Store<GitRepository>,
    /// OCIRepositories.
    pub oci_repositories: Store<OCIRepository>,
    /// HelmRepositories.
    pub helm_repositories: Store<HelmRepository>,
    /// HelmCharts.
    pub helm_charts: Store<HelmChart>,
    /// ExternalArtifacts.
    pub external_artifacts: Store<ExternalArtifact>,
    /// ImageRepositories.
    pub image_repositories: Store<ImageRepository>,
    /// ImagePolicies.
    pub image_policies: Store<ImagePolicy>,
    /// ImageUpdateAutomations.
    pub image_update_automations: Store<ImageUpdateAutomation>,
    /// Buckets, which only Flux's own source-controller serves so far.
    pub buckets: Store<Bucket>,
}

impl Stores {
    /// Resolves once all of them hold what the API server had at the start.
    pub async fn synced(&self) {
        self.kustomizations.synced().await;
        self.helm_releases.synced().await;
        self.git_repositories.synced().await;
        self.oci_repositories.synced().await;
        self.helm_repositories.synced().await;
        self.helm_charts.synced().await;
        self.external_artifacts.synced().await;
        self.image_repositories.synced().await;
        self.image_policies.synced().await;
        self.image_update_automations.synced().await;
        self.buckets.synced().await;
    }
}

/// Everything a controller needs. Made once in `main`.
pub struct Shared {
    /// The API server Borax runs against.
    pub cluster: Cluster,
    /// What it holds.
    pub stores: Stores,
    /// The artifact cache.
    pub artifacts: Artifacts,
    /// Fetches kustomize bases on other hosts.
    pub bases: Arc<Bases>,
    /// Git fetches that are under way.
    pub git_fetches: Fetches,
    /// The clones that update automations work in.
    pub desks: Desks,
    /// Tokens of GitHub Apps.
    pub app_tokens: AppTokens,
    /// The way to OCI registries.
    pub oci: OciClient,
    /// The way to chart repositories.
    pub charts: Repositories,
    /// The tags of scanned images, where image repositories are scanned.
    pub tags: Option<Arc<Tags>>,
    /// Places at upstream hosts.
    pub upstreams: Upstreams,
    /// Events on the objects.
    pub events: Recorder,
    /// Metrics of the process.
    pub metrics: Arc<Metrics>,
    /// The flags.
    pub options: Options,
}

/// To the millisecond: nobody reads more of a duration.
pub fn rounded(duration: Duration) -> Duration {
    Duration::from_millis(duration.as_millis().try_into().unwrap_or(u64::MAX))
}

/// The time as statuses have it.
pub fn now() -> borax_api::meta::Time {
    jiff::Timestamp::now().into()
}

/// A number in `0.0..1.0` that spreads intervals; it needs no more quality than the clock has.
pub fn rand_unit() -> f64 {
    f64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs() % 1_000_003) / 1_000_003.0
}
