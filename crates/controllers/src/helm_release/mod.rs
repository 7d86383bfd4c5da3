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

use std::collections::BTreeMap;
use std::sync::Arc;

use borax_api::helm::{CONTROLLER, ChartRefKind, GROUP, HelmRelease, STATUS_MANAGER};
use borax_api::meta::{Condition, condition_types, find_condition, reasons};
use borax_api::source::{ExternalArtifact, HelmChart, OCIRepository};
use borax_kubeio::EventKind;
use borax_object::LabelSelector;
use borax_reconcile::{Key, Outcome, Reconciler, Turn};
use borax_release::{Draft, Told};

use crate::consumers::Consumers;
use crate::kustomization::target::Remotes;
use crate::owned::{Names, Owned};
use crate::shared::{Shared, now};
use crate::store::key_of;
use gate::{Gate, Observed, Source, SourceRef, Stop, Until, source_ref};

/// Reconciles HelmReleases.
pub struct HelmReleaseReconciler {
    shared: Arc<Shared>,
    remotes: Remotes,
    charts: Arc<chart::Charts>,
    consumers: Arc<Consumers<HelmRelease>>,
}

impl HelmReleaseReconciler {
    /// A reconciler over the shared state of the process.
    pub fn new(shared: Arc<Shared>, labels: Option<LabelSelector>) -> Arc<Self> {
        let names = Names { kind: "HelmRelease", controller: CONTROLLER, manager: STATUS_MANAGER };
        let owned = Owned::new(&shared, |stores| &stores.helm_releases, names, labels);
        let consumers = Consumers::new(owned, shared.options.backoff);
        Arc::new(Self { shared, remotes: Remotes::default(), charts: Arc::default(), consumers })
    }

    /// The HelmReleases, and what wakes them.
    pub fn consumers(&self) -> &Arc<Consumers<HelmRelease>> {
        &self.consumers
    }

    fn owned(&self) -> &Owned<HelmRelease> {
        &self.consumers.owned
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

    /// Writes a draft's status, then tells its events.
    async fn write_draft(
        &self,
        object: &HelmRelease,
        draft: &mut Draft<'_>,
    ) -> Result<(), Outcome> {
        self.owned().status(object, &draft.status).await?;
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
        let kind = if told.warning { EventKind::Warning } else { EventKind::Normal };
        self.owned().tell(object, kind, told.reason, &told.message, metadata);
    }

    /// Suspended: nothing is done, and what was asked for counts as seen, as in Flux.
    async fn suspended(&self, object: &HelmRelease) -> Outcome {
        tracing::info!(object = %key_of(object), "Reconciliation is suspended for this object");
        let mut draft = Draft::new(object, now());
        draft.finish(true);
        self.owned().status(object, &draft.status).await.err().unwrap_or(Outcome::Done)
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
        self.consumers
            .remember(&key, |memory| memory.waits_for_dependency = stop.until == Until::Dependency);
        tracing::info!(object = %key, reason = stop.reason, "{}", stop.message);
        if let Err(outcome) = self.write_draft(object, &mut draft).await {
            return outcome;
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
        let Some((object, _length)) = self.owned().begin(&key) else {
            self.consumers.forget(&key);
            return Outcome::Forget;
        };
        self.consumers.looks(&key);
        let deleting = object.metadata.deletion_timestamp.is_some();
        if !deleting && let Err(outcome) = self.owned().add_finalizer(&object).await {
            return outcome;
        }
        // The HelmChart that the spec describes comes first: it is the source.
        if !deleting
            && !object.spec.suspend
            && let Err(outcome) = self.sync_chart(&object).await
        {
            return outcome;
        }
        let object = self.owned().store().get(&key).unwrap_or(object);
        let gate = gate::decide(&Observed {
            object: &object,
            source: self.source(&source_ref(&object)),
            find: &|namespace, name| self.owned().store().get(&Key::new(namespace, name)),
            options: &self.shared.options,
        });
        match gate {
            Gate::Finalize => self.finalize(&object, &turn).await,
            Gate::Suspended => self.suspended(&object).await,
            Gate::Stop(stop) => self.stopped(&object, stop).await,
            Gate::Go(artifact) => self.go(&object, &artifact, &turn).await,
        }
    }

    async fn panicked(&self, key: Key, message: String) {
        let Some(object) = self.owned().store().get(&key) else { return };
        let mut draft = Draft::new(&object, now());
        let message = format!("internal error, please report it: {message}");
        draft.not_ready(reasons::RECONCILIATION_FAILED, &message);
        draft.finish(false);
        // What stands in the way of the report is in the log.
        let _ = self.owned().status(&object, &draft.status).await;
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
