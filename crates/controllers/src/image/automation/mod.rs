//! ImageUpdateAutomation: the latest images are written into a Git repository.
//!
//! ```text
//! policies, source ─► decide ─► log in ─► wait for the clone ─► list refs ─► nothing moved: done
//!                                                                   │
//!                                     files ─► setters ─► message ─► commit ─► push ─► status ─► event
//! ```
//!
//! What wakes it: its own spec and requests, a policy's new image, a changed GitRepository, and an artifact of it that
//! is of another commit than the one that was seen last.
//!
//! Behaviour: image-automation-controller v1.2 `internal/controller/imageupdateautomation_controller.go`.

mod act;
mod decide;
mod desks;
mod message;
mod report;

pub use desks::Desks;

use std::sync::Arc;
use std::time::Instant;

use borax_api::image::{
    AUTOMATION_CONTROLLER, AUTOMATION_STATUS_MANAGER, ImagePolicy, ImageUpdateAutomation,
    ImageUpdateAutomationStatus,
};
use borax_api::meta::{RECONCILE_REQUEST, reasons};
use borax_api::source::GitRepository;
use borax_object::LabelSelector;
use borax_reconcile::{Key, Outcome, Queue, Reconciler, Trigger, Turn};
use borax_source::git::Proposed;
use kube::ResourceExt;

use self::decide::{Failure, Observed, Work, decide};
use self::report::Telling;
use crate::recorder::Told;
use crate::shared::{Shared, is_chosen, now};
use crate::store::{Change, key_of};
use crate::writes::Writer;

/// Reconciles ImageUpdateAutomations.
pub struct AutomationReconciler {
    shared: Arc<Shared>,
    writer: Writer,
    /// Which objects are reconciled; all when absent.
    labels: Option<LabelSelector>,
}

impl AutomationReconciler {
    /// A reconciler over the shared state of the process.
    pub fn new(shared: Arc<Shared>, labels: Option<LabelSelector>) -> Arc<Self> {
        let writer = Writer::new::<ImageUpdateAutomation>(AUTOMATION_STATUS_MANAGER);
        Arc::new(Self { shared, writer, labels })
    }

    /// Wires the stores' changes to `queue`.
    pub fn listen(self: &Arc<Self>, queue: &Queue) {
        let stores = &self.shared.stores;
        let wakes = queue.clone();
        stores.image_update_automations.on_change(move |change: &Change<ImageUpdateAutomation>| {
            let Some(new) = &change.new else {
                wakes.wake(change.key.clone(), None);
                return;
            };
            if concerns_itself(change.old.as_deref(), new) {
                let trigger = Trigger { kind: "ImageUpdateAutomation", key: change.key.clone() };
                wakes.wake(change.key.clone(), Some(trigger));
            }
        });
        let (this, wakes) = (Arc::clone(self), queue.clone());
        stores.image_policies.on_change(move |change: &Change<ImagePolicy>| {
            let latest = |policy: &Arc<ImagePolicy>| policy.status.as_ref()?.latest_ref.clone();
            let new = change.new.as_ref().and_then(latest);
            if new.is_none() || new == change.old.as_ref().and_then(latest) {
                return;
            }
            let trigger = Trigger { kind: "ImagePolicy", key: change.key.clone() };
            this.wake(&wakes, &trigger, |object| {
                object.namespace().as_deref() == Some(&*change.key.namespace)
            });
        });
        let (this, wakes) = (Arc::clone(self), queue.clone());
        stores.git_repositories.on_change(move |change: &Change<GitRepository>| {
            let Some(new) = &change.new else { return };
            let generation = |source: &GitRepository| source.metadata.generation;
            let is_other = change.old.as_deref().map(generation) != Some(generation(new));
            let revision = |source: &GitRepository| {
                let artifact = source.status.as_ref()?.artifact.as_ref()?;
                Some(artifact.revision.clone())
            };
            let artifact = revision(new);
            let is_new = artifact != change.old.as_deref().and_then(revision);
            if !is_other && !is_new {
                return;
            }
            let trigger = Trigger { kind: "GitRepository", key: change.key.clone() };
            this.wake(&wakes, &trigger, |object| {
                let status = object.status.as_ref();
                let seen = status.map(|status| status.observed_source_revision.as_str());
                source_key(object) == change.key && (is_other || seen != artifact.as_deref())
            });
        });
    }

    fn wake(
        &self,
        queue: &Queue,
        trigger: &Trigger,
        wanted: impl Fn(&ImageUpdateAutomation) -> bool,
    ) {
        for object in self.shared.stores.image_update_automations.find(wanted) {
            queue.wake(key_of(object.as_ref()), Some(trigger.clone()));
        }
    }

    async fn write(
        &self,
        object: &ImageUpdateAutomation,
        status: &ImageUpdateAutomationStatus,
    ) -> bool {
        let (shared, store) = (&self.shared, &self.shared.stores.image_update_automations);
        match self.writer.status(&shared.cluster, store, object, status).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(object = %key_of(object), %error, "can't write the object");
                false
            }
        }
    }

    fn observe(&self, object: &ImageUpdateAutomation) -> Observed {
        let stores = &self.shared.stores;
        let namespace = object.namespace();
        Observed {
            policies: stores.image_policies.find(|policy| policy.namespace() == namespace),
            source: stores.git_repositories.get(&source_key(object)),
            no_cross_namespace_refs: self.shared.options.no_cross_namespace_refs,
        }
    }

    async fn go(&self, key: &Key, object: &ImageUpdateAutomation, turn: &Turn) -> Outcome {
        let started = now();
        let generation = object.metadata.generation.unwrap_or_default();
        let before = object.status.clone().unwrap_or_default();
        let mut status = before.clone();
        if before.observed_generation != generation {
            report::progressing(&mut status, generation, started);
            if !self.write(object, &status).await {
                return Outcome::Backoff;
            }
        }
        let done = match decide(object, self.observe(object)) {
            Ok(work) => {
                let acting = act::act(&self.shared, key, object, work.clone());
                turn.park(acting).await.map(|done| (work, done))
            }
            Err(failure) => Err(failure),
        };
        status.last_automation_run_time = Some(started);
        if let Some(requested) = object.annotations().get(RECONCILE_REQUEST) {
            status.last_handled_reconcile_at.clone_from(requested);
        }
        let (outcome, telling) = match done {
            Ok((work, done)) => {
                self.log(key, &work, &done);
                let outcome = (&work, &done.proposed, done.problems.as_slice());
                let telling = report::succeeded(&before, &mut status, generation, outcome, now());
                (Outcome::After(object.spec.interval.into()), telling)
            }
            Err(failure) => {
                tracing::error!(object = %key, reason = failure.reason, "{}", failure.message);
                let telling = report::failed(&before, &mut status, generation, &failure, now());
                (if failure.stalled { Outcome::Done } else { Outcome::Backoff }, telling)
            }
        };
        if !self.write(object, &status).await {
            return Outcome::Backoff;
        }
        if let Some(telling) = telling {
            self.tell(object, &telling);
        }
        outcome
    }

    fn log(&self, key: &Key, work: &Work, done: &act::Done) {
        for problem in &done.problems {
            tracing::warn!(object = %key, "left as it is: {problem}");
        }
        match &done.proposed {
            Proposed::Unmoved => {
                tracing::info!(object = %key, "no change since last reconciliation");
            }
            Proposed::Nothing { revision } => {
                tracing::info!(object = %key, revision, "repository up-to-date");
            }
            Proposed::Pushed(pushed) => {
                let (commit, attempts) = (&pushed.commit, pushed.attempts);
                tracing::info!(object = %key, commit, branch = work.branch, attempts, "pushed commit");
            }
        }
    }

    fn tell(&self, object: &ImageUpdateAutomation, telling: &Telling) {
        self.shared.events.tell(Told {
            controller: AUTOMATION_CONTROLLER,
            meta: &object.metadata,
            resource: &self.writer.resource,
            kind: telling.kind,
            reason: &telling.reason,
            message: &telling.message,
            metadata: Default::default(),
        });
    }

    async fn finalize(&self, object: &ImageUpdateAutomation) -> Outcome {
        let (shared, store) = (&self.shared, &self.shared.stores.image_update_automations);
        match self.writer.remove_finalizer(&shared.cluster, store, object).await {
            Ok(()) => Outcome::Done,
            Err(error) => {
                tracing::error!(object = %key_of(object), %error, "can't write the object");
                Outcome::Backoff
            }
        }
    }
}

/// The GitRepository that an automation writes to.
fn source_key(object: &ImageUpdateAutomation) -> Key {
    let own = object.namespace().unwrap_or_default();
    let reference = &object.spec.source_ref;
    Key::new(reference.namespace_or(&own), &reference.name)
}

/// Whether a change of the automation itself asks for a reconciliation.
fn concerns_itself(old: Option<&ImageUpdateAutomation>, new: &ImageUpdateAutomation) -> bool {
    let Some(old) = old else { return true };
    let requested =
        |object: &ImageUpdateAutomation| object.annotations().get(RECONCILE_REQUEST).cloned();
    old.metadata.generation != new.metadata.generation
        || old.metadata.deletion_timestamp.is_some() != new.metadata.deletion_timestamp.is_some()
        || requested(new).is_some_and(|new| Some(new) != requested(old))
}

impl Reconciler for AutomationReconciler {
    const KIND: &'static str = "imageupdateautomation";

    async fn reconcile(&self, key: Key, turn: Turn) -> Outcome {
        let store = &self.shared.stores.image_update_automations;
        let Some(object) = store.get(&key) else {
            self.shared.metrics.object_gone("ImageUpdateAutomation", &key.namespace, &key.name);
            return Outcome::Forget;
        };
        if !is_chosen(self.labels.as_ref(), object.labels()) {
            return Outcome::Forget;
        }
        let started = Instant::now();
        let outcome = if object.metadata.deletion_timestamp.is_some() {
            self.finalize(&object).await
        } else if let Err(error) =
            self.writer.add_finalizer(&self.shared.cluster, store, &object).await
        {
            tracing::error!(object = %key, %error, "can't write the object");
            Outcome::Backoff
        } else if object.spec.suspend {
            tracing::info!(object = %key, "reconciliation is suspended for this object");
            Outcome::Done
        } else {
            self.go(&key, &object, &turn).await
        };
        let took = started.elapsed();
        self.shared.metrics.object_reconciled(
            "ImageUpdateAutomation",
            &key.namespace,
            &key.name,
            took,
        );
        outcome
    }

    async fn panicked(&self, key: Key, message: String) {
        let store = &self.shared.stores.image_update_automations;
        let Some(object) = store.get(&key) else { return };
        let before = object.status.clone().unwrap_or_default();
        let mut status = before.clone();
        let failure =
            Failure::retry(reasons::FAILED, format!("internal error, please report it: {message}"));
        let generation = object.metadata.generation.unwrap_or_default();
        report::failed(&before, &mut status, generation, &failure, now());
        self.write(&object, &status).await;
    }
}
