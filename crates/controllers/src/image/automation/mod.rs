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

use std::collections::BTreeMap;
use std::sync::Arc;

use borax_api::image::{
    AUTOMATION_CONTROLLER, AUTOMATION_STATUS_MANAGER, ImagePolicy, ImageUpdateAutomation,
};
use borax_api::meta::{RECONCILE_REQUEST, reasons};
use borax_api::source::GitRepository;
use borax_object::LabelSelector;
use borax_reconcile::{Key, Outcome, Queue, Reconciler, Trigger, Turn};
use borax_source::git::Proposed;
use kube::ResourceExt;

use self::decide::{Observed, Work, decide};
use super::summary::{Problem, Telling};
use crate::owned::{Names, Owned};
use crate::shared::{Shared, now};
use crate::store::{Change, key_of};

/// Reconciles ImageUpdateAutomations.
pub struct AutomationReconciler {
    shared: Arc<Shared>,
    owned: Owned<ImageUpdateAutomation>,
}

impl AutomationReconciler {
    /// A reconciler over the shared state of the process.
    pub fn new(shared: Arc<Shared>, labels: Option<LabelSelector>) -> Arc<Self> {
        let names = Names {
            kind: "ImageUpdateAutomation",
            controller: AUTOMATION_CONTROLLER,
            manager: AUTOMATION_STATUS_MANAGER,
        };
        let owned = Owned::new(&shared, |stores| &stores.image_update_automations, names, labels);
        Arc::new(Self { shared, owned })
    }

    /// Wires the stores' changes to `queue`.
    pub fn listen(self: &Arc<Self>, queue: &Queue) {
        let stores = &self.shared.stores;
        self.owned.listen(queue);
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

    fn observe(&self, object: &ImageUpdateAutomation) -> Observed {
        let stores = &self.shared.stores;
        let namespace = object.namespace();
        Observed {
            policies: stores.image_policies.find(|policy| policy.namespace() == namespace),
            source: stores.git_repositories.get(&source_key(object)),
            no_cross_namespace_refs: self.shared.options.no_cross_namespace_refs,
        }
    }

    /// Suspended: nothing is done, and its spec counts as seen, as in Flux.
    async fn suspended(&self, key: &Key, object: &ImageUpdateAutomation) -> Outcome {
        tracing::info!(object = %key, "reconciliation is suspended for this object");
        let mut status = object.status.clone().unwrap_or_default();
        status.observed_generation = object.metadata.generation.unwrap_or_default();
        self.owned.status(object, &status).await.err().unwrap_or(Outcome::Done)
    }

    async fn go(&self, key: &Key, object: &ImageUpdateAutomation, turn: &Turn) -> Outcome {
        let started = now();
        let generation = object.metadata.generation.unwrap_or_default();
        let before = object.status.clone().unwrap_or_default();
        let mut status = before.clone();
        if before.observed_generation != generation {
            report::progressing(&mut status, generation, started);
            if let Err(outcome) = self.owned.status(object, &status).await {
                return outcome;
            }
        }
        let done = match decide(object, self.observe(object)) {
            Ok(work) => {
                let acting = act::act(&self.shared, key, object, work.clone());
                turn.park(acting).await.map(|done| (work, done))
            }
            Err(problem) => Err(problem),
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
            Err(problem) => {
                tracing::error!(object = %key, reason = problem.reason, "{}", problem.message);
                let telling = report::failed(&before, &mut status, generation, &problem, now());
                (if problem.is_stalled { Outcome::Done } else { Outcome::Backoff }, telling)
            }
        };
        if let Err(outcome) = self.owned.status(object, &status).await {
            return outcome;
        }
        if let Some(Telling { kind, reason, message }) = telling {
            self.owned.tell(object, kind, &reason, &message, BTreeMap::new());
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
}

/// The GitRepository that an automation writes to.
fn source_key(object: &ImageUpdateAutomation) -> Key {
    let own = object.namespace().unwrap_or_default();
    let reference = &object.spec.source_ref;
    Key::new(reference.namespace_or(&own), &reference.name)
}

impl Reconciler for AutomationReconciler {
    const KIND: &'static str = "imageupdateautomation";

    async fn reconcile(&self, key: Key, turn: Turn) -> Outcome {
        let (object, _length) = match self.owned.admit(&key).await {
            Ok(admitted) => admitted,
            Err(outcome) => return outcome,
        };
        if object.spec.suspend {
            return self.suspended(&key, &object).await;
        }
        self.go(&key, &object, &turn).await
    }

    async fn panicked(&self, key: Key, message: String) {
        let Some(object) = self.owned.store().get(&key) else { return };
        let before = object.status.clone().unwrap_or_default();
        let mut status = before.clone();
        let problem =
            Problem::new(reasons::FAILED, format!("internal error, please report it: {message}"));
        let generation = object.metadata.generation.unwrap_or_default();
        report::failed(&before, &mut status, generation, &problem, now());
        // What stands in the way of the report is in the log.
        let _ = self.owned.status(&object, &status).await;
    }
}
