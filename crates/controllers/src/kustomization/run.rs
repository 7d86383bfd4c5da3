//! One reconciliation of one Kustomization: fetch, build, plan, record, apply, prune, wait, report.
//!
//! ```text
//! artifact ─► build ─► plan ─► (status: inventory of all that was and will be) ─► apply ─► prune
//!                       │                                                            │
//!                       └─ nothing to write, nothing to tell ─► done                 └─► wait, parked ─► status
//! ```
//!
//! Every failure carries the reason of the Ready condition it becomes. Nothing here touches conditions; that is
//! [`super::report`]'s part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use borax_api::kustomize::Kustomization;
use borax_api::meta::{Artifact, condition_types, is_condition_true, reasons};
use borax_apply::{CommonMetadata, IgnoreRules, Owner, Plan};
use borax_artifact::unpacked::UnpackedTree;
use borax_health::Checks;
use borax_kubeio::{Applier, Cluster, WaitOptions};
use borax_kustomize::Remote;
use borax_object::{Entry, ObjectId};
use borax_reconcile::{Trigger, Turn};
use kube::ResourceExt;

use super::report::{About, Draft, inventory, is_settled};
use super::{KustomizationReconciler, build, target, variables};
use crate::artifacts::OpenError;
use crate::shared::{now, rounded};

/// What is healthy within this time needs no status that says it is waited for.
const QUICK: Duration = Duration::from_millis(100);

/// Artifacts that take longer to open are being fetched from elsewhere.
const NEAR: Duration = Duration::from_millis(500);

/// How a reconciliation ended.
pub(super) enum Ended {
    /// It worked. False when there was nothing to write and nothing to tell.
    Succeeded { told: bool },
    /// The artifact is not there yet; something will bring it.
    NoArtifact(String),
    /// There is something newer to do, and nothing was done.
    Superseded,
    /// The wait for health was given up.
    Interrupted(Trigger),
    /// It failed.
    Failed(Failure),
}

/// A failure and the reason of the Ready condition it becomes.
pub(super) struct Failure {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Failure {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

enum Stopped {
    NoArtifact(String),
    Superseded,
    Interrupted(Trigger),
    Failed(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The state of one reconciliation.
pub(super) struct Run<'a> {
    pub(super) reconciler: &'a KustomizationReconciler,
    pub(super) object: &'a Kustomization,
    pub(super) artifact: &'a Artifact,
    pub(super) checks: &'a Arc<Checks>,
    pub(super) turn: &'a Turn,
    pub(super) draft: &'a mut Draft,
    pub(super) about: &'a mut About,
}

impl Run<'_> {
    pub(super) async fn run(mut self) -> Ended {
        match self.steps().await {
            Ok(told) => Ended::Succeeded { told },
            Err(Stopped::NoArtifact(message)) => Ended::NoArtifact(message),
            Err(Stopped::Superseded) => Ended::Superseded,
            Err(Stopped::Interrupted(trigger)) => Ended::Interrupted(trigger),
            Err(Stopped::Failed(failure)) => Ended::Failed(failure),
        }
    }

    async fn steps(&mut self) -> Result<bool, Stopped> {
        let shared = &self.reconciler.shared;
        self.draft.fetching(self.about);
        let files = self.fetch().await?;
        self.draft.building(self.about);
        let cluster =
            target::target(&shared.cluster, &self.reconciler.remotes, self.object, &shared.options)
                .await
                .map_err(|error| {
                    Failure::new(
                        reasons::RECONCILIATION_FAILED,
                        format!("failed to build kube client: {error}"),
                    )
                })?;
        let built = self.build(files).await?;
        self.about.digest = Some(built.digest.clone());
        if !built.dropped.is_empty() {
            let fields = built.dropped.join(", ");
            tracing::warn!(object = %self.object.name_any(), fields, "unknown fields in the kustomization file had no effect");
        }
        self.draft.detecting(self.about);
        let applier = self.applier(&cluster)?;
        let plan = self.plan(&applier, built.objects).await?;

        let was_settled = self.was_settled();
        let started = self.needs_record(&plan);
        if started {
            // All that was and all that will be, so that a crash at any point leaves no object that the next run does
            // not know of.
            self.draft.set_inventory(&plan.recorded());
            self.reconciler
                .owned()
                .write(self.object, &self.draft.status)
                .await
                .map_err(status_failed)?;
        }

        let changes = self.apply(&applier, &plan).await?;
        let changed = changes.changed();
        if !changed.entries.is_empty() {
            let lines = changed.to_string();
            self.tell(lines.trim_end());
        }
        self.draft.at(now());
        self.draft.set_inventory(&changes.inventory());
        self.prune(&applier, &plan.stale, &changes.inventory()).await?;

        let settled = was_settled && !started && changed.entries.is_empty();
        let wanted = self.to_check(&changes.ids_to_check());
        let health_is_news = self
            .wait(&cluster, wanted.as_deref(), &plan, !changed.entries.is_empty(), settled)
            .await?;
        Ok(!settled || health_is_news)
    }

    /// Tells an event of a step of the reconciliation.
    fn tell(&self, message: &str) {
        self.reconciler.event(self.object, &self.draft.status, self.about, false, message);
    }

    /// Whether the status said all there is to say of this artifact and spec.
    fn was_settled(&self) -> bool {
        let generation = self.object.metadata.generation.unwrap_or_default();
        let requested_at = super::requested_at(self.object);
        let status = self.object.status.as_ref();
        status.is_some_and(|status| is_settled(status, generation, self.about, requested_at))
    }

    /// Whether something must be written down before the first object is: what a crash would otherwise make an
    /// orphan, and that a new revision or spec is being applied.
    fn needs_record(&self, plan: &Plan) -> bool {
        let status = self.object.status.as_ref();
        let last = inventory(status);
        let is_new = status.is_none_or(|status| {
            status.last_attempted_revision != self.about.revision
                || Some(status.observed_generation) != self.object.metadata.generation
        });
        !plan.stale.is_empty()
            || plan.recorded().iter().any(|entry| !last.contains(entry))
            || (is_new && plan.needs_requests())
    }

    /// The artifact's files. One that is far away, or was served by a process that is gone, holds no worker slot, and
    /// is given up when the source has another.
    async fn open(&self) -> Result<Result<Arc<UnpackedTree>, OpenError>, Stopped> {
        let open = self.reconciler.shared.artifacts.open(self.artifact);
        tokio::pin!(open);
        if let Ok(opened) = tokio::time::timeout(NEAR, &mut open).await {
            return Ok(opened);
        }
        let waited = self.turn.park(async {
            tokio::select! {
                opened = open => Ok(opened),
                _ = self.turn.interrupted() => Err(Stopped::Superseded),
            }
        });
        waited.await
    }

    /// The artifact's files, with the directory to build among them.
    async fn fetch(&self) -> Result<Arc<UnpackedTree>, Stopped> {
        let files = match self.open().await? {
            Ok(files) => files,
            Err(OpenError::NotFound) => {
                let retry = self.reconciler.shared.options.requeue_dependency;
                let retry = borax_stdx::duration::format(retry);
                let message =
                    format!("Source is not ready, artifact not found, retrying in {retry}");
                return Err(Stopped::NoArtifact(message));
            }
            Err(error) => {
                return Err(Failure::new(reasons::ARTIFACT_FAILED, error.to_string()).into());
            }
        };
        build::directory(&*files, &self.object.spec)
            .map_err(|error| Failure::new(reasons::ARTIFACT_FAILED, error.to_string()))?;
        Ok(files)
    }

    async fn build(&self, files: Arc<UnpackedTree>) -> Result<build::Built, Stopped> {
        let shared = &self.reconciler.shared;
        let variables = match &self.object.spec.post_build {
            Some(post_build) => {
                let namespace = self.object.namespace().unwrap_or_default();
                Some(variables::load(&shared.cluster.client(), &namespace, post_build).await)
            }
            None => None,
        };
        let object = self.object.clone();
        let options = shared.options.clone();
        let bases = (!options.no_remote_bases).then(|| Arc::clone(&shared.bases));
        let built = tokio::task::spawn_blocking(move || {
            let remote = bases.as_deref().map(|bases| bases as &dyn Remote);
            build::build(&*files, &object, variables, remote, &options)
        })
        .await
        .map_err(|error| {
            Failure::new(reasons::BUILD_FAILED, format!("the build broke off: {error}"))
        })?;
        built.map_err(|error| Failure::new(reasons::BUILD_FAILED, error.to_string()).into())
    }

    fn applier(&self, cluster: &Cluster) -> Result<Applier, Stopped> {
        let options = &self.reconciler.shared.options;
        let rules: Vec<_> = self.object.spec.ignore.iter().map(super::ignore_rule).collect();
        let ignore = IgnoreRules::compile(&rules).map_err(|error| {
            Failure::new(reasons::RECONCILIATION_FAILED, format!("spec.ignore: {error}"))
        })?;
        let apply = borax_apply::Options {
            force: self.object.spec.force,
            custom_stage_kinds: options.custom_apply_stage_kinds.clone(),
            migrate_api_version: options.gates.migrate_api_version,
            ignore,
        };
        Ok(Applier::new(cluster, owner(self.object), apply, options.concurrent_ssa))
    }

    async fn plan(
        &self,
        applier: &Applier,
        mut objects: Vec<serde_json::Value>,
    ) -> Result<Plan, Stopped> {
        let common = self.object.spec.common_metadata.as_ref();
        let common = common.map(|common| CommonMetadata {
            labels: common.labels.clone(),
            annotations: common.annotations.clone(),
        });
        borax_apply::prepare(&mut objects, &owner(self.object), &common.unwrap_or_default())
            .map_err(|error| Failure::new(reasons::RECONCILIATION_FAILED, error.to_string()))?;
        let last = inventory(self.object.status.as_ref());
        Ok(applier.plan(objects, &last).await)
    }

    async fn apply(
        &self,
        applier: &Applier,
        plan: &Plan,
    ) -> Result<borax_apply::ChangeSet, Stopped> {
        let timeout = self.about.timeout;
        match tokio::time::timeout(timeout, applier.apply(plan)).await {
            Ok(Ok(changes)) => Ok(changes),
            Ok(Err(failed)) => {
                let message = format!("{}\n{}", failed.source, failed.changes.changed());
                Err(Failure::new(reasons::RECONCILIATION_FAILED, message.trim_end()).into())
            }
            Err(_) => {
                let timeout = borax_stdx::duration::format(timeout);
                let message = format!("apply did not end within the timeout of {timeout}");
                Err(Failure::new(reasons::RECONCILIATION_FAILED, message).into())
            }
        }
    }

    async fn prune(
        &mut self,
        applier: &Applier,
        stale: &[Entry],
        applied: &[Entry],
    ) -> Result<(), Stopped> {
        if !self.object.spec.prune || stale.is_empty() {
            return Ok(());
        }
        let pruned = applier.prune(stale).await;
        if let Some(error) = pruned.error {
            // What was not deleted stays in the inventory, to be tried again.
            let kept: Vec<Entry> = applied.iter().chain(&pruned.survivors).cloned().collect();
            self.draft.set_inventory(&kept);
            return Err(Failure::new(reasons::PRUNE_FAILED, error).into());
        }
        if !pruned.changes.entries.is_empty() {
            let lines = pruned.changes.to_string();
            self.tell(lines.trim_end());
        }
        Ok(())
    }

    /// What must become healthy: everything applied with `wait`, else what `healthChecks` names; never itself.
    /// `None` when nothing is asked for.
    fn to_check(&self, applied: &[ObjectId]) -> Option<Vec<ObjectId>> {
        let own = self.object.namespace().unwrap_or_default();
        let name = self.object.name_any();
        let wanted: Vec<ObjectId> = if self.object.spec.wait {
            applied.to_vec()
        } else {
            self.object
                .spec
                .health_checks
                .iter()
                .map(|reference| super::checked_object(reference, &own))
                .collect()
        };
        let is_self =
            |id: &ObjectId| id.kind == "Kustomization" && id.namespace == own && id.name == name;
        let asked = !wanted.is_empty();
        asked.then(|| wanted.into_iter().filter(|id| !is_self(id)).collect())
    }

    /// Waits until all of `wanted` is healthy, without holding a worker slot. Says whether health became news.
    async fn wait(
        &mut self,
        cluster: &Cluster,
        wanted: Option<&[ObjectId]>,
        plan: &Plan,
        changed: bool,
        settled: bool,
    ) -> Result<bool, Stopped> {
        let Some(wanted) = wanted else {
            self.draft.health_unchecked();
            return Ok(false);
        };
        let started = Instant::now();
        let conditions = &self.draft.status.conditions;
        let was_healthy = is_condition_true(conditions, condition_types::HEALTHY);
        self.draft.at(now());
        self.draft.waiting(self.about);
        let is_new = !self.artifact.has_revision(&self.draft.status.last_applied_revision);
        let options = WaitOptions {
            timeout: self.about.timeout,
            fail_fast: !self.reconciler.shared.options.gates.disable_fail_fast_behavior,
            jobs_with_ttl: jobs_with_ttl(plan),
        };
        let checks = Arc::clone(self.checks);
        let healthy = cluster.live().wait_healthy(cluster, wanted, checks, &options);
        tokio::pin!(healthy);
        let result = match tokio::time::timeout(QUICK, &mut healthy).await {
            Ok(result) => result,
            Err(_) => {
                self.reconciler
                    .owned()
                    .write(self.object, &self.draft.status)
                    .await
                    .map_err(status_failed)?;
                let parked = self.turn.park(async {
                    tokio::select! {
                        result = healthy => Ok(result),
                        trigger = self.turn.interrupted() => Err(trigger),
                    }
                });
                parked.await.map_err(Stopped::Interrupted)?
            }
        };
        let took = borax_stdx::duration::format(rounded(started.elapsed()));
        if let Err(error) = result {
            self.draft.at(now());
            self.draft.unhealthy(&error.to_string());
            let message = format!("health check failed after {took}: {error}");
            return Err(Failure::new(reasons::HEALTH_CHECK_FAILED, message).into());
        }
        if settled && was_healthy {
            return Ok(false);
        }
        let message = format!("Health check passed in {took}");
        if !was_healthy || (is_new && changed) {
            self.tell(&message);
        }
        self.draft.at(now());
        self.draft.healthy(&message);
        Ok(true)
    }
}

/// The Jobs that vanish by themselves once they are done: not to find one is success
/// (fluxcd/pkg `ssa/utils`: `ExtractJobsWithTTL`).
fn jobs_with_ttl(plan: &Plan) -> Vec<ObjectId> {
    let vanishes =
        |object: &serde_json::Value| object.pointer("/spec/ttlSecondsAfterFinished").is_some();
    plan.steps()
        .filter(|step| step.entry.id.kind == "Job" && step.entry.id.group == "batch")
        .filter(|step| vanishes(&step.object))
        .map(|step| step.entry.id.clone())
        .collect()
}

pub(super) fn owner(object: &Kustomization) -> Owner {
    Owner::kustomization(&object.name_any(), &object.namespace().unwrap_or_default())
}

fn status_failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(reasons::RECONCILIATION_FAILED, format!("failed to update status: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_jobs_with_a_ttl_may_vanish() {
        let job = |name: &str, spec: serde_json::Value| {
            let metadata = json!({"name": name, "namespace": "ns"});
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
        };
        let objects =
            vec![job("stays", json!({})), job("goes", json!({"ttlSecondsAfterFinished": 0}))];
        let owner = Owner::kustomization("web", "ns");
        let plan =
            borax_apply::plan(objects, &[], &|_| None, &owner, &borax_apply::Options::default());
        let names: Vec<String> = jobs_with_ttl(&plan).into_iter().map(|id| id.name).collect();
        assert_eq!(names, ["goes"]);
    }
}
