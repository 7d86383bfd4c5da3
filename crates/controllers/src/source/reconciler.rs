//! The reconciliation that all kinds of sources share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use borax_api::meta::{
    Artifact, FINALIZER, RECONCILE_REQUEST, condition_types as common, find_condition,
    is_condition_true, reasons, remove_condition,
};
use borax_api::source::{
    CONTROLLER, GROUP, STATUS_MANAGER, condition_types as types, reasons as source_reasons,
};
use borax_artifact::path::ArtifactPath;
use borax_kubeio::EventKind;
use borax_object::LabelSelector;
use borax_reconcile::{Key, Outcome, Queue, Reconciler, Turn};
use kube::ResourceExt;

use super::summary::{self, Problem, Remedy};
use super::{Produced, Producer, SourceStatus};
use crate::options::jittered;
use crate::owned::{Names, Owned};
use crate::shared::{Shared, now, rand_unit};
use crate::store::key_of;

/// Reconciles sources of one kind.
pub struct SourceReconciler<K> {
    shared: Arc<Shared>,
    owned: Owned<K>,
}

impl<K: Producer> SourceReconciler<K> {
    /// A reconciler over the shared state of the process.
    pub fn new(shared: Arc<Shared>, labels: Option<LabelSelector>) -> Arc<Self> {
        let names = Names { kind: K::KIND, controller: CONTROLLER, manager: STATUS_MANAGER };
        let owned = Owned::new(&shared, K::store, names, labels);
        Arc::new(Self { shared, owned })
    }

    /// Wires the stores' changes to `queue`: its own spec, annotation and deletion, and what its kind depends on.
    pub fn listen(self: &Arc<Self>, queue: &Queue) {
        K::listen(&self.shared, queue);
        self.owned.listen(queue);
    }

    async fn finalize(&self, object: &K) -> Outcome {
        let key = key_of(object);
        let removed =
            self.in_storage(object, |storage, path| storage.remove_all(&path).map(|_| ())).await;
        if let Err(message) = removed {
            tracing::error!(object = %key, kind = K::KIND, "garbage collection for deleted resource failed: {message}");
            self.event(
                object,
                None,
                EventKind::Warning,
                source_reasons::GARBAGE_COLLECTION_FAILED,
                &message,
            );
            return Outcome::Backoff;
        }
        self.owned.let_go(object).await
    }

    /// Suspended: nothing is done, and what was asked for counts as seen, as in Flux.
    async fn suspended(&self, object: &K) -> Outcome {
        let key = key_of(object);
        tracing::info!(object = %key, kind = K::KIND, "reconciliation is suspended for this object");
        let generation = object.meta().generation.unwrap_or_default();
        let mut status = object.status().cloned().unwrap_or_default();
        if !status.conditions().is_empty() {
            summary::seen(status.conditions(), generation, now());
            *status.observed_generation() = generation;
        }
        if let Some(requested) = object.annotations().get(RECONCILE_REQUEST) {
            status.last_handled_reconcile_at().clone_from(requested);
        }
        self.owned.status(object, &status).await.err().unwrap_or(Outcome::Done)
    }

    /// Runs a blocking step on the storage with the path of the object's artifacts.
    async fn in_storage(
        &self,
        object: &K,
        step: impl FnOnce(
            &borax_artifact::Storage,
            ArtifactPath,
        ) -> Result<(), borax_artifact::ArtifactError>
        + Send
        + 'static,
    ) -> Result<(), String> {
        let filename = "any.tar.gz";
        let namespace = object.namespace().unwrap_or_default();
        let path = ArtifactPath::new(K::KIND, &namespace, &object.name_any(), filename);
        let path = path.map_err(|error| error.to_string())?;
        let storage = Arc::clone(self.shared.artifacts.storage());
        let done = tokio::task::spawn_blocking(move || step(&storage, path)).await;
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Drops an artifact from the status that the storage lost, so that it is made again.
    async fn check_storage(&self, object: &K, status: &mut K::Status) -> bool {
        let Some(artifact) = status.artifact().clone() else { return false };
        match self.shared.artifacts.verify(&artifact).await {
            Ok(()) => {
                // The host and port may be others since it was made.
                let url = self.shared.artifacts.url(&artifact);
                if let (Some(artifact), Some(url)) = (status.artifact(), url) {
                    artifact.url = url;
                }
                let path = ArtifactPath::parse(&artifact.path).ok();
                let latest = K::LATEST.zip(path).and_then(|(name, path)| path.sibling(name).ok());
                if let (Some(latest), Some(url)) = (latest, K::latest_url(status))
                    && !url.is_empty()
                {
                    *url = self.shared.artifacts.storage().url(&latest);
                }
                false
            }
            Err(error) => {
                tracing::warn!(object = %key_of(object), kind = K::KIND, %error, "the artifact must be made again");
                *status.artifact() = None;
                if let Some(url) = K::latest_url(status) {
                    url.clear();
                }
                remove_condition(status.conditions(), types::ARTIFACT_IN_STORAGE);
                true
            }
        }
    }

    async fn go(&self, object: &K, turn: &Turn) -> Outcome {
        let generation = object.meta().generation.unwrap_or_default();
        let before = object.status().cloned().unwrap_or_default();
        let mut status = before.clone();
        let lost = self.check_storage(object, &mut status).await;
        if *status.observed_generation() != generation || lost || status.artifact().is_none() {
            let message = if lost {
                "building artifact: disappeared from storage".to_owned()
            } else if *status.observed_generation() != generation && status.artifact().is_some() {
                format!(
                    "processing object: new generation {} -> {generation}",
                    status.observed_generation()
                )
            } else {
                "building artifact".to_owned()
            };
            // A source that keeps failing says why it fails, not that it starts over.
            if !summary::has_failed(status.conditions())
                || *status.observed_generation() != generation
            {
                summary::progressing(status.conditions(), generation, &message, now());
                if let Err(outcome) = self.owned.status(object, &status).await {
                    return outcome;
                }
            }
        }
        let produced = turn.park(K::produce(&self.shared, object, &mut status)).await;
        self.report(object, before, status, produced, generation).await
    }

    async fn report(
        &self,
        object: &K,
        mut before: K::Status,
        mut status: K::Status,
        produced: Result<Produced, Problem>,
        generation: i64,
    ) -> Outcome {
        let key = key_of(object);
        let options = &self.shared.options;
        let next = jittered(object.interval(), options.interval_jitter_percentage, rand_unit());
        let (outcome, event) = match &produced {
            Ok(made) => {
                let called = match made {
                    Produced::New { artifact, called } => {
                        *status.artifact() = Some(artifact.clone());
                        self.point_latest(artifact, &mut status).await;
                        called.as_deref()
                    }
                    Produced::Unchanged => None,
                };
                let artifact = status.artifact().clone().unwrap_or_default();
                let (reason, stored) = object.stored(&artifact, called);
                summary::succeeded(status.conditions(), generation, reason, &stored, now());
                *status.observed_generation() = generation;
                (Outcome::After(next), self.success_event(object, &mut before, &mut status, made))
            }
            Err(problem) => {
                summary::failed(status.conditions(), generation, problem, now());
                if problem.remedy == Remedy::Spec {
                    *status.observed_generation() = generation;
                }
                let outcome = match problem.remedy {
                    Remedy::Retry => Outcome::Backoff,
                    Remedy::Wait(retry) => Outcome::RetryAfter(retry),
                    Remedy::Spec => Outcome::Done,
                };
                tracing::error!(object = %key, kind = K::KIND, reason = problem.reason, "{}", problem.message);
                let is_news =
                    message_of(before.conditions(), common::READY) != Some(&problem.message);
                (
                    outcome,
                    is_news.then(|| {
                        let kind = match problem.remedy {
                            Remedy::Wait(_) => EventKind::Normal,
                            Remedy::Retry | Remedy::Spec => EventKind::Warning,
                        };
                        (kind, problem.reason.clone(), problem.message.clone())
                    }),
                )
            }
        };
        if let Some(requested) = object.annotations().get(RECONCILE_REQUEST) {
            status.last_handled_reconcile_at().clone_from(requested);
        }
        if let Err(outcome) = self.owned.status(object, &status).await {
            return outcome;
        }
        if let Some((kind, reason, message)) = event {
            self.event(object, status.artifact().as_ref(), kind, &reason, &message);
        }
        if let (Ok(Produced::New { .. }), Some(artifact)) = (&produced, status.artifact()) {
            self.collect_garbage(object, artifact).await;
        }
        outcome
    }

    /// A new artifact is told, and so is the end of a failure.
    fn success_event(
        &self,
        object: &K,
        before: &mut K::Status,
        status: &mut K::Status,
        made: &Produced,
    ) -> Option<(EventKind, String, String)> {
        let artifact = status.artifact().as_ref()?;
        let called = match made {
            Produced::New { called, .. } => called.as_deref(),
            Produced::Unchanged => None,
        };
        let is_new = before.artifact().as_ref().is_none_or(|old| !old.has_digest(&artifact.digest));
        if !is_new && !summary::has_failed(before.conditions()) {
            return None;
        }
        let (reason, message) = object.event(artifact, called, is_new);
        tracing::info!(kind = K::KIND, revision = artifact.revision, "{message}");
        Some((EventKind::Normal, reason.to_owned(), message))
    }

    /// Sets the link to the newest artifact; without it the artifact is still there.
    async fn point_latest(&self, artifact: &Artifact, status: &mut K::Status) {
        let (Some(latest), Ok(path)) = (K::LATEST, ArtifactPath::parse(&artifact.path)) else {
            return;
        };
        let storage = Arc::clone(self.shared.artifacts.storage());
        let linked = tokio::task::spawn_blocking(move || storage.symlink(&path, latest)).await;
        match (linked, K::latest_url(status)) {
            (Ok(Ok(url)), Some(place)) => *place = url,
            (Ok(Err(error)), _) => {
                tracing::warn!(kind = K::KIND, %error, "failed to update status URL symlink")
            }
            _ => {}
        }
    }

    /// Takes away what an object has that only holds settings: it may have been of another type before.
    async fn clear(&self, object: &K) -> Outcome {
        let has_finalizer = object.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
        let deleted = object.meta().deletion_timestamp.is_some();
        if object.is_suspended() && !deleted {
            return Outcome::Done;
        }
        let nothing = K::Status::default();
        let has_status = object.status().is_some_and(|status| *status != nothing);
        if !has_finalizer && !has_status {
            return Outcome::Done;
        }
        let key = key_of(object);
        let removed =
            self.in_storage(object, |storage, path| storage.remove_all(&path).map(|_| ())).await;
        if let Err(message) = removed {
            tracing::error!(object = %key, kind = K::KIND, "garbage collection failed: {message}");
            return Outcome::Backoff;
        }
        if has_status && let Err(outcome) = self.owned.status(object, &nothing).await {
            return outcome;
        }
        self.owned.let_go(object).await
    }

    async fn collect_garbage(&self, object: &K, current: &Artifact) {
        let Ok(path) = ArtifactPath::parse(&current.path) else { return };
        let collected = self
            .in_storage(object, move |storage, _| {
                storage.garbage_collect(&path, SystemTime::now()).map(|_| ())
            })
            .await;
        if let Err(error) = collected {
            tracing::warn!(object = %key_of(object), kind = K::KIND, error, "garbage collection failed");
        }
    }

    fn event(
        &self,
        object: &K,
        artifact: Option<&Artifact>,
        kind: EventKind,
        reason: &str,
        message: &str,
    ) {
        let mut annotations = BTreeMap::new();
        if let Some(artifact) = artifact {
            annotations.insert(format!("{GROUP}/revision"), artifact.revision.clone());
            annotations.insert(format!("{GROUP}/digest"), artifact.digest.clone());
        }
        self.owned.tell(object, kind, reason, message, annotations);
    }
}

fn message_of<'a>(conditions: &'a [borax_api::meta::Condition], type_: &str) -> Option<&'a String> {
    find_condition(conditions, type_).map(|condition| &condition.message)
}

impl<K: Producer> Reconciler for SourceReconciler<K> {
    const KIND: &'static str = K::CONTROLLER;

    async fn reconcile(&self, key: Key, turn: Turn) -> Outcome {
        let Some((object, _length)) = self.owned.begin(&key) else { return Outcome::Forget };
        if object.is_static() {
            return self.clear(&object).await;
        }
        if object.meta().deletion_timestamp.is_some() {
            return self.finalize(&object).await;
        }
        if let Err(outcome) = self.owned.add_finalizer(&object).await {
            return outcome;
        }
        match object.is_suspended() {
            true => self.suspended(&object).await,
            false => self.go(&object, &turn).await,
        }
    }

    async fn panicked(&self, key: Key, message: String) {
        let Some(object) = self.owned.store().get(&key) else { return };
        let mut status = object.status().cloned().unwrap_or_default();
        let problem =
            Problem::fetch(reasons::FAILED, format!("internal error, please report it: {message}"));
        summary::failed(
            status.conditions(),
            object.meta().generation.unwrap_or_default(),
            &problem,
            now(),
        );
        // What stands in the way of the report is in the log.
        let _ = self.owned.status(&object, &status).await;
    }
}

/// Whether the status says that the artifact is in the storage: only then may a fetch be skipped.
pub fn is_stored(conditions: &[borax_api::meta::Condition]) -> bool {
    is_condition_true(conditions, types::ARTIFACT_IN_STORAGE)
}
