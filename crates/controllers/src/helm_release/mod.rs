//! HelmRelease: a chart, installed and kept as its values say.
//!
//! ```text
//! wakes: its own spec, annotation or deletion; its source's artifact; a dependency it waits for;
//!        a watched ConfigMap or Secret with values; drift of what it installed; its interval
//!
//! observe (stores) ─► gate::decide ─┬─ Finalize ─► finalize (uninstall)
//!                                   ├─ Stop ─────► report
//!                                   └─ Go ───────► run: values, chart, records ─► state ─► action ─► … ─► report
//! ```
//!
//! Behaviour: helm-controller v1.6, its `docs/spec/v2/helmreleases.md`.

mod act;
mod actions;
mod chart;
mod crds;
mod drift;
mod finalize;
mod gate;
mod ops;
mod records;
mod render;
mod run;
mod template;
mod values;
mod wake;
mod work;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use borax_api::helm::{
    CONTROLLER, ChartRefKind, GROUP, HelmRelease, HelmReleaseStatus, STATUS_MANAGER,
};
use borax_api::meta::{Condition, condition_types, find_condition, reasons};
use borax_api::source::{ExternalArtifact, HelmChart, OCIRepository};
use borax_kubeio::{EventKind, StatusError};
use borax_object::LabelSelector;
use borax_reconcile::{Key, Outcome, Reconciler, Turn};
use borax_release::{Draft, Told};
use kube::{Resource, ResourceExt};

use crate::kustomization::target::Remotes;
use crate::recorder;
use crate::shared::{Shared, is_chosen, now};
use crate::store::key_of;
use crate::writes::Writer;
use gate::{Gate, Observed, Source, SourceRef, Stop, Until, source_ref};

/// Reconciles HelmReleases.
pub struct HelmReleaseReconciler {
    shared: Arc<Shared>,
    remotes: Remotes,
    charts: Arc<chart::Charts>,
    writer: Writer,
    /// Which objects are reconciled; all when absent.
    labels: Option<LabelSelector>,
    memory: Mutex<HashMap<Key, Memory>>,
}

/// What is remembered of a HelmRelease between turns. Losing it costs a reconciliation, nothing else.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// It waits for a dependency, so a change of one wakes it.
    waits_for_dependency: bool,
    /// The digest of the artifact that was tried last. Absent before the first try.
    tried: Option<String>,
    /// Corrections of drift in a row, to slow down when someone else keeps changing an object.
    drifts: u32,
}

impl HelmReleaseReconciler {
    /// A reconciler over the shared state of the process.
    pub fn new(shared: Arc<Shared>, labels: Option<LabelSelector>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            remotes: Remotes::default(),
            charts: Arc::default(),
            writer: Writer::new::<HelmRelease>(STATUS_MANAGER),
            labels,
            memory: Mutex::default(),
        })
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<Key, Memory>> {
        // Every change is one insertion or removal, so what a panic left is sound.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, key: &Key, change: impl FnOnce(&mut Memory)) {
        change(self.memory().entry(key.clone()).or_default());
    }

    fn source(&self, reference: &SourceRef) -> Source {
        let key = Key::new(&reference.namespace, &reference.name);
        let stores = &self.shared.stores;
        match reference.kind {
            ChartRefKind::OCIRepository => stores.oci_repositories.get(&key).map(of_repository),
            ChartRefKind::HelmChart => stores.helm_charts.get(&key).map(of_chart),
            ChartRefKind::ExternalArtifact => stores.external_artifacts.get(&key).map(of_external),
        }
        .unwrap_or(Source::Missing)
    }

    async fn write(
        &self,
        object: &HelmRelease,
        new: &HelmReleaseStatus,
    ) -> Result<(), StatusError> {
        let shared = &self.shared;
        self.writer.status(&shared.cluster, &shared.stores.helm_releases, object, new).await
    }

    /// Writes a draft's status, then tells its events.
    async fn write_draft(
        &self,
        object: &HelmRelease,
        draft: &mut Draft<'_>,
    ) -> Result<(), StatusError> {
        self.write(object, &draft.status).await?;
        for told in std::mem::take(&mut draft.events) {
            self.tell(object, &told);
        }
        Ok(())
    }

    fn tell(&self, object: &HelmRelease, told: &Told) {
        let mut metadata = BTreeMap::new();
        for (name, value) in [
            ("revision", &told.revision),
            ("token", &told.token),
            ("app-version", &told.app_version),
            ("oci-digest", &told.oci_digest),
        ] {
            if !value.is_empty() {
                metadata.insert(format!("{GROUP}/{name}"), value.clone());
            }
        }
        self.shared.events.tell(recorder::Told {
            controller: CONTROLLER,
            meta: object.meta(),
            resource: &self.writer.resource,
            kind: if told.warning { EventKind::Warning } else { EventKind::Normal },
            reason: told.reason,
            message: &told.message,
            metadata,
        });
    }

    async fn stopped(&self, object: &HelmRelease, stop: Stop) -> Outcome {
        let key = key_of(object);
        let mut draft = Draft::new(object, now());
        let before = ready(&draft.status.conditions);
        draft.not_ready(stop.reason, &stop.message);
        if stop.until == Until::Spec {
            draft.stalled(stop.reason, &stop.message);
        } else {
            draft.reconciling(reasons::PROGRESSING_WITH_RETRY, "Fulfilling prerequisites");
        }
        let is_news = before != ready(&draft.status.conditions);
        if let Some(warning) = stop.event.filter(|_| is_news) {
            draft.tell_plain(warning, stop.reason, &stop.message);
        }
        draft.finish(stop.until == Until::Spec);
        self.remember(&key, |memory| memory.waits_for_dependency = stop.until == Until::Dependency);
        tracing::info!(object = %key, reason = stop.reason, "{}", stop.message);
        if let Err(error) = self.write_draft(object, &mut draft).await {
            return write_failed(&key, &error);
        }
        match stop.until {
            Until::Spec => Outcome::Done,
            Until::Source | Until::Dependency => {
                Outcome::RetryAfter(self.shared.options.requeue_dependency)
            }
        }
    }
}

impl Reconciler for HelmReleaseReconciler {
    const KIND: &'static str = "helmrelease";

    async fn reconcile(&self, key: Key, turn: Turn) -> Outcome {
        let stores = &self.shared.stores;
        let Some(object) = stores.helm_releases.get(&key) else {
            self.memory().remove(&key);
            self.shared.metrics.object_gone("HelmRelease", &key.namespace, &key.name);
            return Outcome::Forget;
        };
        if !is_chosen(self.labels.as_ref(), object.labels()) {
            return Outcome::Forget;
        }
        let started = Instant::now();
        let deleting = object.metadata.deletion_timestamp.is_some();
        if !deleting
            && let Err(error) = self
                .writer
                .add_finalizer(&self.shared.cluster, &stores.helm_releases, &object)
                .await
        {
            return write_failed(&key, &error);
        }
        // The HelmChart that the spec describes comes first: it is the source.
        if !deleting
            && !object.spec.suspend
            && let Err(outcome) = self.sync_chart(&object).await
        {
            return outcome;
        }
        let object = stores.helm_releases.get(&key).unwrap_or(object);
        let gate = gate::decide(&Observed {
            object: &object,
            source: self.source(&source_ref(&object)),
            find: &|namespace, name| stores.helm_releases.get(&Key::new(namespace, name)),
            options: &self.shared.options,
        });
        let outcome = match gate {
            Gate::Finalize => self.finalize(&object, &turn).await,
            Gate::Suspended => {
                tracing::info!(object = %key, "Reconciliation is suspended for this object");
                Outcome::Done
            }
            Gate::Stop(stop) => self.stopped(&object, stop).await,
            Gate::Go(artifact) => self.go(&object, &artifact, &turn).await,
        };
        self.shared.metrics.object_reconciled(
            "HelmRelease",
            &key.namespace,
            &key.name,
            started.elapsed(),
        );
        outcome
    }

    async fn panicked(&self, key: Key, message: String) {
        let Some(object) = self.shared.stores.helm_releases.get(&key) else { return };
        let mut draft = Draft::new(&object, now());
        let message = format!("internal error, please report it: {message}");
        draft.not_ready(reasons::RECONCILIATION_FAILED, &message);
        draft.finish(false);
        if let Err(error) = self.write(&object, &draft.status).await {
            tracing::error!(object = %key, %error, "can't report a panic");
        }
    }
}

fn ready(conditions: &[Condition]) -> Option<(String, String)> {
    find_condition(conditions, condition_types::READY)
        .map(|condition| (condition.reason.clone(), condition.message.clone()))
}

fn of_repository(object: Arc<OCIRepository>) -> Source {
    let status = object.status.clone().unwrap_or_default();
    Source::Found {
        generation: object.metadata.generation.unwrap_or_default(),
        observed: Some(status.observed_generation),
        conditions: status.conditions,
        artifact: status.artifact,
    }
}

fn of_chart(object: Arc<HelmChart>) -> Source {
    let status = object.status.clone().unwrap_or_default();
    Source::Found {
        generation: object.metadata.generation.unwrap_or_default(),
        observed: Some(status.observed_generation),
        conditions: status.conditions,
        artifact: status.artifact,
    }
}

fn of_external(object: Arc<ExternalArtifact>) -> Source {
    let status = object.status.clone().unwrap_or_default();
    Source::Found {
        generation: object.metadata.generation.unwrap_or_default(),
        observed: None,
        conditions: Vec::new(),
        artifact: status.artifact,
    }
}

fn write_failed(key: &Key, error: &StatusError) -> Outcome {
    tracing::error!(object = %key, %error, "can't write the object");
    Outcome::Backoff
}

/// To the millisecond: nobody reads more of a duration.
fn rounded(duration: Duration) -> Duration {
    Duration::from_millis(duration.as_millis().try_into().unwrap_or(u64::MAX))
}
