//! One turn's work on one release: what its actions share, and the hooks they run.
//!
//! Behaviour: Helm `pkg/action/hooks.go`; helm-controller `internal/action`.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use borax_api::helm::{Filter, HelmRelease};
use borax_health::{Checks, CustomCheck};
use borax_helm::{Chart, HookEvent};
use borax_kubeio::{Propagation, WaitOptions};
use borax_object::{ObjectId, meta};
use borax_reconcile::{Trigger, Turn};
use borax_release::record::event_name;
use borax_release::{Phase, Release, hooks, objects};
use serde_json::{Map, Value};

use super::ops::{Ops, Placed};
use super::records::{Records, stamp};
use super::values::Secrets;

/// A hook's pod is done when it has succeeded, and not before.
static HOOK_CHECKS: LazyLock<Arc<Checks>> = LazyLock::new(|| {
    let pod = CustomCheck {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        current: "status.phase == 'Succeeded'".to_owned(),
        failed: Some("status.phase == 'Failed'".to_owned()),
        in_progress: None,
    };
    Arc::new(Checks::compile(&[pod]).unwrap_or_default())
});

/// Why an action did not work.
#[derive(Debug)]
pub(super) enum ActionFailed {
    /// Something is wrong.
    Failed(String),
    /// The wait was given up for something newer.
    Interrupted(Trigger),
}

impl ActionFailed {
    pub(super) fn message(&self) -> String {
        match self {
            Self::Failed(message) => message.clone(),
            Self::Interrupted(trigger) => format!("New reconciliation triggered by {trigger}"),
        }
    }

    /// Without the texts that must not show.
    pub(super) fn masked(self, secrets: &Secrets) -> Self {
        match self {
            Self::Failed(message) => Self::Failed(secrets.masked(&message)),
            interrupted => interrupted,
        }
    }

    pub(super) fn during(self, what: &str) -> Self {
        match self {
            Self::Failed(message) => Self::Failed(format!("{what}: {message}")),
            interrupted => interrupted,
        }
    }
}

impl From<String> for ActionFailed {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

/// Everything an action works with.
pub(super) struct Work<'a> {
    pub(super) object: &'a HelmRelease,
    pub(super) chart: Arc<Chart>,
    pub(super) values: Map<String, Value>,
    pub(super) secrets: Secrets,
    pub(super) ops: Ops,
    pub(super) records: Records,
    pub(super) turn: &'a Turn,
    pub(super) enable_dns: bool,
    /// What an action wrote, for the status: each record as it was last written.
    pub(super) observed: Vec<Release>,
}

impl Work<'_> {
    /// Stores a record anew and remembers that.
    ///
    /// # Errors
    /// The server refused.
    pub(super) async fn record(&mut self, release: &Release) -> Result<(), String> {
        self.records.update(release).await?;
        self.observe(release);
        Ok(())
    }

    /// Stores a new record and remembers that.
    ///
    /// # Errors
    /// The server refused.
    pub(super) async fn store(&mut self, release: &Release) -> Result<(), String> {
        self.records.create(release, self.object.max_history()).await?;
        self.observe(release);
        Ok(())
    }

    fn observe(&mut self, release: &Release) {
        self.observed.retain(|known| known.version != release.version);
        self.observed.push(release.clone());
    }

    /// Waits for objects without holding a worker slot; gives up for something newer.
    pub(super) async fn wait_healthy(
        &self,
        objects: &[Placed],
        jobs: bool,
        timeout: Duration,
    ) -> Result<(), ActionFailed> {
        let wait = self.ops.wait_healthy(objects, jobs, timeout);
        tokio::pin!(wait);
        // Most are healthy at once, and going through the queue is not free.
        if let Ok(result) = tokio::time::timeout(Duration::from_millis(20), &mut wait).await {
            return result.map_err(ActionFailed::Failed);
        }
        self.turn
            .park(async {
                tokio::select! {
                    result = wait => result.map_err(ActionFailed::Failed),
                    trigger = self.turn.interrupted() => Err(ActionFailed::Interrupted(trigger)),
                }
            })
            .await
    }

    /// Runs the hooks of an event, one after the other, and deletes them as their policies say.
    ///
    /// # Errors
    /// The first that failed; those after it have not run.
    pub(super) async fn run_hooks(
        &mut self,
        release: &mut Release,
        event: HookEvent,
        filters: &[Filter],
        timeout: Duration,
    ) -> Result<(), ActionFailed> {
        let order = hooks::order(release, event, filters);
        for (index, place) in order.iter().copied().enumerate() {
            hooks::default_policy(release, place);
            if let Err(error) = self.run_hook(release, place, event, timeout).await {
                if let Err(deletion) =
                    self.delete_hook(release, place, hooks::FAILED, timeout).await
                {
                    tracing::warn!(error = deletion, "a failed hook could not be deleted");
                }
                for earlier in &order[..index] {
                    self.delete_hook(release, *earlier, hooks::SUCCEEDED, timeout).await?;
                }
                return Err(error);
            }
        }
        for place in order.into_iter().rev() {
            self.delete_hook(release, place, hooks::SUCCEEDED, timeout).await?;
        }
        Ok(())
    }

    async fn run_hook(
        &mut self,
        release: &mut Release,
        place: usize,
        event: HookEvent,
        timeout: Duration,
    ) -> Result<(), ActionFailed> {
        self.delete_hook(release, place, hooks::BEFORE_CREATION, timeout).await?;
        let Some(hook) = release.hooks.get(place) else { return Ok(()) };
        let (name, path) = (event_name(event), hook.path.clone());
        let parsed = objects::parse(&hook.manifest).map_err(|error| error.to_string())?;
        let placed = self.ops.place(parsed).await.map_err(|error| {
            format!("unable to build kubernetes object for {name} hook {path}: {error}")
        })?;
        if let Some(hook) = release.hooks.get_mut(place) {
            hook.last_run.started_at = stamp();
            hook.last_run.completed_at.clear();
            hook.last_run.phase = Phase::Running;
        }
        // A record that can't be written now will be written with the outcome.
        if let Err(error) = self.record(release).await {
            tracing::warn!(error, "the start of a hook could not be recorded");
        }
        let result = self.hook_outcome(&placed, name, &path, timeout).await;
        if let Some(hook) = release.hooks.get_mut(place) {
            hook.last_run.completed_at = stamp();
            hook.last_run.phase = if result.is_ok() { Phase::Succeeded } else { Phase::Failed };
        }
        result.map_err(ActionFailed::Failed)
    }

    async fn hook_outcome(
        &self,
        placed: &[Placed],
        event: &str,
        path: &str,
        timeout: Duration,
    ) -> Result<(), String> {
        self.ops.cover(placed).await;
        for each in placed {
            self.ops
                .apply_one(each, true)
                .await
                .map_err(|error| format!("{event} hook {path} failed: {error}"))?;
        }
        // Only Jobs and Pods run to an end; everything else is done once it is there.
        let ids: Vec<ObjectId> = placed
            .iter()
            .filter(|each| meta::is_job(&each.object) || meta::kind(&each.object) == "Pod")
            .map(Placed::id)
            .collect();
        let options = WaitOptions { timeout, fail_fast: false, jobs_with_ttl: ids.clone() };
        let live = self.ops.cluster.live_releases();
        let checks = Arc::clone(&HOOK_CHECKS);
        let wait = live.wait_healthy(&self.ops.cluster, &ids, checks, &options);
        self.turn.park(wait).await.map_err(|error| format!("{event} hook {path} failed: {error}"))
    }

    async fn delete_hook(
        &self,
        release: &Release,
        place: usize,
        policy: &str,
        timeout: Duration,
    ) -> Result<(), String> {
        if !hooks::is_deleted(release, place, policy) {
            return Ok(());
        }
        let Some(hook) = release.hooks.get(place) else { return Ok(()) };
        let parsed = objects::parse(&hook.manifest).map_err(|error| error.to_string())?;
        let placed = self.ops.place(parsed).await?;
        self.ops.delete(&placed, Propagation::Background).await?;
        self.turn.park(self.ops.wait_gone(&placed, timeout)).await
    }
}
