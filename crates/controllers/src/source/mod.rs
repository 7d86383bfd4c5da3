//! Sources: GitRepository, OCIRepository, HelmRepository and HelmChart become artifacts.
//!
//! ```text
//! object ─► finalizer ─► storage (is the artifact still there?) ─► Producer::produce (parked) ─► status ─► events
//!                                                                       │
//!                                                          one folder per kind knows how
//! ```
//!
//! The flow, the conditions and the storage are the same for every kind ([`reconciler`], [`summary`]); what a kind
//! adds is a [`Producer`]: fetch, verify, archive.
//!
//! Behaviour: source-controller v1.9 `internal/controller`, `internal/reconcile`.

pub mod git;
pub mod helm_chart;
mod helm_login;
pub mod helm_repository;
pub mod oci;
pub mod reconciler;
pub mod secrets;
pub mod summary;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use borax_api::meta::{Artifact, Condition};
use borax_reconcile::Queue;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::shared::{Shared, Stores};
use crate::store::Store;
use summary::Problem;

/// What every source's status has.
pub trait SourceStatus: Clone + Default + PartialEq + Serialize + Send + Sync + 'static {
    /// The conditions.
    fn conditions(&mut self) -> &mut Vec<Condition>;
    /// The artifact made last.
    fn artifact(&mut self) -> &mut Option<Artifact>;
    /// The last generation that was reconciled.
    fn observed_generation(&mut self) -> &mut i64;
    /// The last reconcile request that was honoured.
    fn last_handled_reconcile_at(&mut self) -> &mut String;
}

/// A kind of source.
pub trait Source:
    Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Its status.
    type Status: SourceStatus;
    /// The kind, for logs, events and metrics.
    const KIND: &'static str;
    /// The controller's name in metrics.
    const CONTROLLER: &'static str;

    /// The status as the API server has it.
    fn status(&self) -> Option<&Self::Status>;
    /// Whether it is suspended.
    fn is_suspended(&self) -> bool;
    /// How often to look at the upstream.
    fn interval(&self) -> Duration;
    /// Where objects of this kind are kept.
    fn store(stores: &Stores) -> &Store<Self>;
}

/// What a fetch came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Produced {
    /// The upstream is where the artifact is, and nothing that shapes the artifact changed.
    Unchanged,
    /// A new artifact, and how the event about it names it.
    New {
        /// What was stored.
        artifact: Artifact,
        /// What people call it, where that is not the revision: a commit's subject, what was done to a chart.
        called: Option<String>,
    },
}

/// A reason and a message: of a condition, or of an event.
pub type Words = (&'static str, String);

/// How a kind makes its artifact.
pub trait Producer: Source {
    /// Makes the artifact, setting in `status` what the kind observes beside it (and its SourceVerified condition).
    ///
    /// Called parked: it holds no worker slot, however slow the upstream is.
    fn produce(
        shared: &Arc<Shared>,
        object: &Self,
        status: &mut Self::Status,
    ) -> impl Future<Output = Result<Produced, Problem>> + Send;

    /// What the ArtifactInStorage condition says of the artifact. `called` is that of [`Produced::New`].
    fn stored(&self, artifact: &Artifact, called: Option<&str>) -> Words;

    /// The event that tells of a new artifact (`is_new`), or of the end of a failure.
    fn event(&self, artifact: &Artifact, called: Option<&str>, is_new: bool) -> Words;

    /// Whether it only holds settings for others, and so is given neither finalizer, artifact nor status.
    fn is_static(&self) -> bool {
        false
    }

    /// The name beside an artifact that leads to the newest, where the status tells it.
    const LATEST: Option<&'static str> = None;

    /// Where the status tells that name's URL.
    fn latest_url(_: &mut Self::Status) -> Option<&mut String> {
        None
    }

    /// Wires changes of other objects to `queue`.
    fn listen(_: &Arc<Shared>, _: &Queue) {}
}

/// The reason of an event as most sources have it.
fn event_reason(is_new: bool) -> &'static str {
    if is_new {
        borax_api::source::reasons::NEW_ARTIFACT
    } else {
        borax_api::meta::reasons::SUCCEEDED
    }
}

macro_rules! source {
    ($kind:ident, $status:ident, $store:ident, $controller:literal, |$spec:ident| $interval:expr) => {
        impl SourceStatus for borax_api::source::$status {
            fn conditions(&mut self) -> &mut Vec<Condition> {
                &mut self.conditions
            }
            fn artifact(&mut self) -> &mut Option<Artifact> {
                &mut self.artifact
            }
            fn observed_generation(&mut self) -> &mut i64 {
                &mut self.observed_generation
            }
            fn last_handled_reconcile_at(&mut self) -> &mut String {
                &mut self.last_handled_reconcile_at
            }
        }

        impl Source for borax_api::source::$kind {
            type Status = borax_api::source::$status;
            const KIND: &'static str = stringify!($kind);
            const CONTROLLER: &'static str = $controller;

            fn status(&self) -> Option<&Self::Status> {
                self.status.as_ref()
            }
            fn is_suspended(&self) -> bool {
                self.spec.suspend
            }
            fn interval(&self) -> Duration {
                let $spec = &self.spec;
                $interval
            }
            fn store(stores: &Stores) -> &Store<Self> {
                &stores.$store
            }
        }
    };
}

source!(GitRepository, GitRepositoryStatus, git_repositories, "gitrepository", |spec| spec
    .interval
    .into());
source!(OCIRepository, OCIRepositoryStatus, oci_repositories, "ocirepository", |spec| spec
    .interval
    .into());
source!(HelmRepository, HelmRepositoryStatus, helm_repositories, "helmrepository", |spec| spec
    .interval());
source!(HelmChart, HelmChartStatus, helm_charts, "helmchart", |spec| spec.interval.into());
