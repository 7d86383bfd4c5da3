//! Kustomization: a directory of a source, built with kustomize and kept applied.
//!
//! ```text
//! wakes: its own spec, annotation or deletion; its source's artifact; a dependency it waits for;
//!        a watched ConfigMap or Secret it substitutes from; drift of what it applied; its interval
//!
//! observe (stores) ─► gate::decide ─┬─ Finalize ─► finalize
//!                                   ├─ Stop ─────► report
//!                                   └─ Go ───────► run (build ─ plan ─ apply ─ prune ─ wait) ─► report
//! ```
//!
//! Behaviour: kustomize-controller v1.9, its `docs/spec/v1/kustomizations.md`.

mod build;
mod finalize;
mod gate;
mod generate;
mod report;
mod run;
pub(crate) mod target;
mod variables;
mod wake;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use borax_api::kustomize::{
    CONTROLLER, GROUP, Kustomization, KustomizationStatus, STATUS_MANAGER, SourceKind,
};
use borax_api::meta::{
    Artifact, NamespacedObjectKindReference, RECONCILE_REQUEST, condition_types, find_condition,
    reasons,
};
use borax_health::Checks;
use borax_kubeio::EventKind;
use borax_object::{Gvk, LabelSelector, ObjectId};
use borax_reconcile::{Key, Outcome, Reconciler, Turn};
use kube::ResourceExt;

use crate::consumers::Consumers;
use crate::options::jittered;
use crate::owned::{Names, Owned};
use crate::shared::{Shared, now, rand_unit, rounded};
use crate::store::key_of;
use gate::{Gate, Observed, Revision, Source, Stop, Until};
use report::{About, Draft, StalledBy};
use run::{Ended, Run};

/// Reconciles Kustomizations.
pub struct KustomizationReconciler {
    shared: Arc<Shared>,
    remotes: target::Remotes,
    consumers: Arc<Consumers<Kustomization>>,
}

impl KustomizationReconciler {
    /// A reconciler over the shared state of the process.
    pub fn new(shared: Arc<Shared>, labels: Option<LabelSelector>) -> Arc<Self> {
        let names =
            Names { kind: "Kustomization", controller: CONTROLLER, manager: STATUS_MANAGER };
        let owned = Owned::new(&shared, |stores| &stores.kustomizations, names, labels);
        let consumers = Consumers::new(owned, shared.options.backoff);
        Arc::new(Self { shared, remotes: target::Remotes::default(), consumers })
    }

    /// The Kustomizations, and what wakes them.
    pub fn consumers(&self) -> &Arc<Consumers<Kustomization>> {
        &self.consumers
    }

    fn owned(&self) -> &Owned<Kustomization> {
        &self.consumers.owned
    }

    fn source(&self, object: &Kustomization) -> Source {
        let own = object.namespace().unwrap_or_default();
        let reference = &object.spec.source_ref;
        let key = Key::new(reference.namespace_or(&own), &reference.name);
        let stores = &self.shared.stores;
        let artifact: Option<Option<Artifact>> = match reference.kind {
            SourceKind::GitRepository => stores
                .git_repositories
                .get(&key)
                .map(|s| s.status.as_ref().and_then(|s| s.artifact.clone())),
            SourceKind::OCIRepository => stores
                .oci_repositories
                .get(&key)
                .map(|s| s.status.as_ref().and_then(|s| s.artifact.clone())),
            SourceKind::ExternalArtifact => stores
                .external_artifacts
                .get(&key)
                .map(|s| s.status.as_ref().and_then(|s| s.artifact.clone())),
            SourceKind::Bucket => {
                stores.buckets.get(&key).map(|s| s.status.as_ref().and_then(|s| s.artifact.clone()))
            }
        };
        match artifact {
            None => Source::Missing,
            Some(None) => Source::NoArtifact,
            Some(Some(artifact)) => Source::Artifact(artifact),
        }
    }

    /// Tells an event. Its reason is that of the Ready condition in `status`, as in Flux.
    fn event(
        &self,
        object: &Kustomization,
        status: &KustomizationStatus,
        about: &About,
        is_error: bool,
        message: &str,
    ) {
        let ready = find_condition(&status.conditions, condition_types::READY);
        let severity = if is_error { "error" } else { "info" };
        let reason = ready.map_or(severity, |ready| ready.reason.as_str());
        let mut annotations = BTreeMap::new();
        let told = [
            ("revision", &about.revision),
            ("originRevision", &about.origin_revision),
            ("commit_status", &about.commit_status),
        ];
        for (name, value) in told {
            if !value.is_empty() {
                annotations.insert(format!("{GROUP}/{name}"), value.clone());
            }
        }
        let kind = if is_error { EventKind::Warning } else { EventKind::Normal };
        self.owned().tell(object, kind, reason, message, annotations);
    }

    async fn stopped(&self, object: &Kustomization, stop: Stop) -> Outcome {
        let key = key_of(object);
        let before = object.status.clone().unwrap_or_default();
        let mut draft = self.draft(object);
        match stop.until {
            Until::Spec => draft.stalled(stop.reason, &stop.message, StalledBy::Spec),
            Until::Flags => draft.stalled(stop.reason, &stop.message, StalledBy::Flags),
            Until::Source | Until::Dependency => draft.not_ready(stop.reason, &stop.message),
        }
        draft.finish(requested_at(object));
        self.consumers
            .remember(&key, |memory| memory.waits_for_dependency = stop.until == Until::Dependency);
        tracing::info!(object = %key, reason = stop.reason, "{}", stop.message);
        if let Err(outcome) = self.owned().status(object, &draft.status).await {
            return outcome;
        }
        let ready = |conditions| {
            find_condition(conditions, condition_types::READY)
                .map(|c| (c.reason.clone(), c.message.clone()))
        };
        let is_news = ready(&before.conditions) != ready(&draft.status.conditions);
        if let Some(message) = stop.event
            && is_news
        {
            let is_error = matches!(stop.until, Until::Spec | Until::Flags);
            let about = About {
                revision: stop.revision.artifact,
                origin_revision: stop.revision.origin,
                ..About::default()
            };
            self.event(object, &draft.status, &about, is_error, &message);
        }
        match stop.until {
            Until::Spec | Until::Flags => Outcome::Done,
            Until::Source
                if stop.reason == reasons::ARTIFACT_FAILED
                    && self.source(object) == Source::Missing =>
            {
                Outcome::RetryAfter(object.retry_interval())
            }
            Until::Source | Until::Dependency => {
                Outcome::RetryAfter(self.shared.options.requeue_dependency)
            }
        }
    }

    fn draft(&self, object: &Kustomization) -> Draft {
        let generation = object.metadata.generation.unwrap_or_default();
        Draft::new(object.status.clone().unwrap_or_default(), generation, now())
    }

    /// Suspended: nothing is done, and what was asked for counts as seen, as in Flux.
    async fn suspended(&self, object: &Kustomization) -> Outcome {
        let key = key_of(object);
        tracing::info!(object = %key, "Reconciliation is suspended for this object");
        let mut draft = self.draft(object);
        draft.finish(requested_at(object));
        self.owned().status(object, &draft.status).await.err().unwrap_or(Outcome::Done)
    }

    async fn go(
        &self,
        object: &Kustomization,
        artifact: &Artifact,
        checks: &Arc<Checks>,
        turn: &Turn,
    ) -> Outcome {
        let key = key_of(object);
        let started = Instant::now();
        self.consumers.remember(&key, |memory| {
            memory.waits_for_dependency = false;
            memory.tried = Some(artifact.digest.clone());
        });
        let revision = Revision::of(artifact);
        let mut about = About {
            revision: revision.artifact,
            origin_revision: revision.origin,
            timeout: object.timeout(),
            ..About::default()
        };
        let mut draft = self.draft(object);
        let run = Run {
            reconciler: self,
            object,
            artifact,
            checks,
            turn,
            draft: &mut draft,
            about: &mut about,
        };
        let ended = run.run().await;
        let took = rounded(started.elapsed());
        draft.at(now());
        self.ended(object, ended, draft, about, took).await
    }

    async fn ended(
        &self,
        object: &Kustomization,
        ended: Ended,
        mut draft: Draft,
        mut about: About,
        took: std::time::Duration,
    ) -> Outcome {
        let key = key_of(object);
        let options = &self.shared.options;
        let (outcome, event) = match ended {
            Ended::Succeeded { told } => {
                let next =
                    jittered(object.interval(), options.interval_jitter_percentage, rand_unit());
                if !told {
                    self.consumers.remember(&key, |memory| memory.drifts = 0);
                    return Outcome::After(next);
                }
                draft.succeeded(&about, took);
                "update".clone_into(&mut about.commit_status);
                let took = borax_stdx::duration::format(took);
                let interval = borax_stdx::duration::format(object.interval());
                let message = format!("Reconciliation finished in {took}, next run in {interval}");
                tracing::info!(object = %key, revision = about.revision, "{message}");
                (Outcome::After(next), Some((false, message)))
            }
            Ended::NoArtifact(message) => {
                draft.not_ready(reasons::ARTIFACT_FAILED, &message);
                // When it is made again it may be the very same.
                self.consumers.remember(&key, |memory| memory.tried = Some(String::new()));
                tracing::info!(object = %key, "{message}");
                (Outcome::RetryAfter(options.requeue_dependency), None)
            }
            Ended::Superseded => {
                // What comes may be the very same, at another place.
                self.consumers.remember(&key, |memory| memory.tried = Some(String::new()));
                return Outcome::Again;
            }
            Ended::Interrupted(trigger) => {
                draft.canceled(&trigger.to_string());
                let message = format!(
                    "Health checks canceled due to new reconciliation triggered by {trigger}"
                );
                tracing::info!(object = %key, "{message}");
                (Outcome::Again, Some((false, message)))
            }
            Ended::Failed(failure) => {
                draft.failed(&about, failure.reason, &failure.message, took);
                let (took, next) = (borax_stdx::duration::format(took), object.retry_interval());
                let retry = borax_stdx::duration::format(next);
                tracing::error!(
                    object = %key,
                    revision = about.revision,
                    error = failure.message,
                    "Reconciliation failed after {took}, next try in {retry}"
                );
                (Outcome::RetryAfter(next), Some((true, failure.message)))
            }
        };
        draft.finish(requested_at(object));
        if let Err(outcome) = self.owned().status(object, &draft.status).await {
            return outcome;
        }
        if let Some((is_error, message)) = event {
            self.event(object, &draft.status, &about, is_error, &message);
        }
        outcome
    }
}

impl Reconciler for KustomizationReconciler {
    const KIND: &'static str = "kustomization";

    async fn reconcile(&self, key: Key, turn: Turn) -> Outcome {
        let Some((object, _length)) = self.owned().begin(&key) else {
            self.consumers.forget(&key);
            return Outcome::Forget;
        };
        self.consumers.looks(&key);
        let gate = gate::decide(&Observed {
            object: &object,
            source: self.source(&object),
            find: &|namespace, name| self.owned().store().get(&Key::new(namespace, name)),
            options: &self.shared.options,
        });
        if !matches!(gate, Gate::Finalize)
            && let Err(outcome) = self.owned().add_finalizer(&object).await
        {
            return outcome;
        }
        match gate {
            Gate::Finalize => self.finalize(&object, &turn).await,
            Gate::Suspended => self.suspended(&object).await,
            Gate::Stop(stop) => self.stopped(&object, stop).await,
            Gate::Go(artifact, checks) => self.go(&object, &artifact, &checks, &turn).await,
        }
    }

    async fn panicked(&self, key: Key, message: String) {
        let Some(object) = self.owned().store().get(&key) else { return };
        let mut draft = self.draft(&object);
        let message = format!("internal error, please report it: {message}");
        draft.not_ready(reasons::RECONCILIATION_FAILED, &message);
        draft.finish(requested_at(&object));
        // What stands in the way of the report is in the log.
        let _ = self.owned().status(&object, &draft.status).await;
    }
}

/// The reconcile request on the object, handled or not.
fn requested_at(object: &Kustomization) -> Option<&str> {
    object.annotations().get(RECONCILE_REQUEST).map(String::as_str)
}

fn checked_object(reference: &NamespacedObjectKindReference, own: &str) -> ObjectId {
    let gvk = Gvk::new(&reference.api_version, &reference.kind);
    ObjectId {
        group: gvk.group,
        kind: gvk.kind,
        namespace: reference.namespace_or(own).to_owned(),
        name: reference.name.clone(),
    }
}

fn ignore_rule(rule: &borax_api::kustomize::IgnoreRule) -> borax_apply::IgnoreRule {
    let target = rule.target.as_ref().map(|target| borax_apply::IgnoreTarget {
        group: target.group.clone(),
        version: target.version.clone(),
        kind: target.kind.clone(),
        name: target.name.clone(),
        namespace: target.namespace.clone(),
        label_selector: target.label_selector.clone(),
        annotation_selector: target.annotation_selector.clone(),
    });
    borax_apply::IgnoreRule { paths: rule.paths.clone(), target }
}
