//! One turn of one HelmRelease: prerequisites, then actions until the release is as wanted or nothing more can be done.
//!
//! ```text
//! values ─► artifact ─► chart ─► cluster ─► records ─┐
//!                                                     ▼
//!                       ┌──────────────────────── determine ─► next ─┬─ done ─► status
//!                       │                                            ├─ stalled ─► status
//!                       └── action (status: Reconciling) ◄───────────┘
//! ```
//!
//! Behaviour: helm-controller v1.6 `internal/controller/helmrelease_controller.go` (`reconcileRelease`),
//! `internal/reconcile/atomic_release.go`.

use std::sync::Arc;

use borax_api::helm::{DriftDetectionMode, HelmRelease, reasons as helm_reasons};
use borax_api::meta::{Artifact, FORCE_REQUEST, RESET_REQUEST, condition_types, reasons, request};
use borax_health::Checks;
use borax_kubeio::Cluster;
use borax_reconcile::{Outcome, Turn};
use borax_release::decide::{self, ActionType};
use borax_release::{Action, Draft, Next, State, Stop as End, Wanted, shorten_name, state};
use kube::ResourceExt;

use super::act::drift_lines;
use super::chart::{ChartFailed, Loaded};
use super::finalize::reach;
use super::gate::{invalid_checks, source_ref};
use super::ops::Ops;
use super::records::Records;
use super::work::Work;
use super::{HelmReleaseReconciler, drift, values};
use crate::artifacts::OpenError;
use crate::consumers::health_checks;
use crate::options::jittered;
use crate::shared::{now, rand_unit};
use crate::store::key_of;

/// What a turn ends with.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// Whether the generation is observed: nothing is left to do for it before something changes.
    pub(super) observed: bool,
}

impl Ended {
    pub(super) fn now(outcome: Outcome, observed: bool) -> Self {
        Self { outcome, observed }
    }
}

impl HelmReleaseReconciler {
    /// Reconciles the chart in `artifact`.
    pub(super) async fn go(
        &self,
        object: &HelmRelease,
        artifact: &Artifact,
        turn: &Turn,
    ) -> Outcome {
        let key = key_of(object);
        let checks = match health_checks(&object.spec.health_check_exprs) {
            Ok(checks) => Arc::new(checks),
            Err(error) => return self.stopped(object, invalid_checks(&error)).await,
        };
        self.consumers.remember(&key, |memory| {
            memory.waits_for_dependency = false;
            memory.tried = Some(artifact.digest.clone());
        });
        let mut draft = Draft::new(object, now());
        draft.no_longer(&[
            reasons::DEPENDENCY_NOT_READY,
            reasons::ACCESS_DENIED,
            reasons::ARTIFACT_FAILED,
            helm_reasons::SOURCE_NOT_READY,
        ]);
        let ended = self.prerequisites(object, artifact, checks, &mut draft, turn).await;
        draft.at(now());
        draft.finish(ended.observed);
        if let Err(outcome) = self.write_draft(object, &mut draft).await {
            return outcome;
        }
        ended.outcome
    }

    async fn prerequisites(
        &self,
        object: &HelmRelease,
        artifact: &Artifact,
        checks: Arc<Checks>,
        draft: &mut Draft<'_>,
        turn: &Turn,
    ) -> Ended {
        let shared = &self.shared;
        let key = key_of(object);
        let failed = |draft: &mut Draft<'_>, reason: &'static str, message: &str, told: bool| {
            tracing::error!(object = %key, reason, "{message}");
            let is_news = draft.message(condition_types::READY) != message;
            draft.not_ready(reason, message);
            draft.reconciling(reasons::PROGRESSING_WITH_RETRY, message);
            if told && is_news {
                draft.tell_plain(true, reason, message);
            }
            Ended::now(Outcome::Backoff, false)
        };
        let composed = values::compose(&shared.cluster.client(), object).await;
        let values::Composed { mut values, secrets } = match composed {
            Ok(composed) => composed,
            Err(error) => {
                return failed(draft, helm_reasons::VALUES_ERROR, &error.to_string(), true);
            }
        };
        draft.no_longer(&[helm_reasons::VALUES_ERROR]);
        let loaded = match self.load(object, artifact).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(ChartFailed::Mark(error))) => {
                return failed(draft, helm_reasons::CHART_MUTATE_ERROR, &error, false);
            }
            Ok(Err(ChartFailed::Load(error))) => {
                let message = format!("Could not load chart: {error}");
                return failed(draft, reasons::ARTIFACT_FAILED, &message, true);
            }
            Err(OpenError::NotFound) => {
                let after = shared.options.requeue_dependency;
                let retry = borax_stdx::duration::format(after);
                let message = format!("Source not ready: artifact not found. Retrying in {retry}");
                let ended = failed(draft, reasons::ARTIFACT_FAILED, &message, false);
                self.consumers.remember(&key, |memory| memory.tried = None);
                return Ended { outcome: Outcome::RetryAfter(after), ..ended };
            }
            Err(error) => {
                let message = format!("Could not load chart: {error}");
                return failed(draft, reasons::ARTIFACT_FAILED, &message, true);
            }
        };
        draft.no_longer(&[helm_reasons::CHART_MUTATE_ERROR]);
        let namespace = object.namespace().unwrap_or_default();
        let reach = reach(object, &namespace);
        let cluster = match reach.cluster(&shared.cluster, &self.remotes, &shared.options).await {
            Ok(cluster) => cluster,
            Err(error) => {
                return failed(draft, helm_reasons::REST_CLIENT_ERROR, &error.to_string(), false);
            }
        };
        draft.no_longer(&[helm_reasons::REST_CLIENT_ERROR]);

        let name = loaded.chart.metadata.name.clone();
        if let Some(changed) = state::target_changed(object, &draft.status, &name) {
            tracing::info!(object = %key, "release target configuration changed ({changed}): running uninstall for current release");
            if let Err(error) = self.uninstall(object, draft, cluster, turn).await {
                tracing::error!(object = %key, error, "the release could not be uninstalled");
                return Ended::now(Outcome::Backoff, false);
            }
            draft.status.history.clear();
            draft.status.clear_failures();
            draft.status.storage_namespace.clear();
            return Ended::now(Outcome::Again, false);
        }
        let release = shorten_name(&object.release_name());
        let records = Records::read(&cluster, object.storage_namespace(), &release).await;
        let records = match records {
            Ok(records) => records,
            Err(error) => {
                let message = format!("Could not determine release state: {error}");
                return failed(draft, helm_reasons::STATE_ERROR, &message, false);
            }
        };
        // The values of the release that is there stay below the new ones, so they are part of what is wanted.
        if object.upgrade().preserve_values
            && let Some(current) = records.history.current()
        {
            match borax_helm::coalesce_values(&values, &current.config) {
                Ok(all) => values = all,
                Err(error) => {
                    return failed(draft, helm_reasons::VALUES_ERROR, &error.to_string(), true);
                }
            }
        }
        let config_digest = state::wanted_digest(&values);
        let wanted = Wanted {
            chart: &loaded.chart.metadata,
            config_digest: &config_digest,
            oci_digest: &loaded.oci_digest,
        };
        self.note_attempt(object, draft, &wanted, &loaded.oci_digest);
        draft.no_longer(&[helm_reasons::STATE_ERROR, helm_reasons::RECONCILE_ERROR]);
        let mut work = Work {
            object,
            chart: Arc::clone(&loaded.chart),
            values,
            secrets,
            ops: self.ops(object, cluster, checks),
            records,
            turn,
            enable_dns: shared.options.gates.allow_dns_lookups,
            observed: Vec::new(),
        };
        let ended = self.actions(&mut work, draft, &wanted).await;
        match ended {
            Ok(ended) => ended,
            Err(error) => {
                let error = work.secrets.masked(&error);
                let message = format!("Could not determine release state: {error}");
                failed(draft, helm_reasons::STATE_ERROR, &message, false)
            }
        }
    }

    fn note_attempt(
        &self,
        object: &HelmRelease,
        draft: &mut Draft<'_>,
        wanted: &Wanted<'_>,
        oci_digest: &str,
    ) {
        let status = &mut draft.status;
        object.storage_namespace().clone_into(&mut status.storage_namespace);
        let reset = {
            let annotations = object.annotations();
            let (reset_at, reconciled) =
                (&status.last_handled_reset_at, &status.last_handled_reconcile_at);
            let reset = request(annotations, RESET_REQUEST, reset_at, reconciled);
            (reset.honour, reset.handled.map(str::to_owned))
        };
        if let Some(handled) = reset.1 {
            status.last_handled_reset_at = handled;
        }
        if let Some(why) = state::must_reset_failures(object, status, wanted, reset.0) {
            tracing::debug!(object = %key_of(object), "resetting failure count ({why})");
            status.clear_failures();
        }
        status.last_attempted_generation = object.metadata.generation.unwrap_or_default();
        status.last_attempted_revision.clone_from(&wanted.chart.version);
        oci_digest.clone_into(&mut status.last_attempted_revision_digest);
        wanted.config_digest.clone_into(&mut status.last_attempted_config_digest);
        status.last_attempted_values_checksum.clear();
        status.last_release_revision = 0;
    }

    async fn load(
        &self,
        object: &HelmRelease,
        artifact: &Artifact,
    ) -> Result<Result<Loaded, ChartFailed>, OpenError> {
        let files = self.shared.artifacts.open(artifact).await?;
        let (charts, artifact) = (Arc::clone(&self.charts), artifact.clone());
        let kind = source_ref(object).kind;
        let mark = !self.shared.options.gates.disable_chart_digest_tracking;
        let work = move || charts.load(&*files, &artifact, kind, mark);
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| OpenError::Failed(format!("loading broke off: {error}")))
    }

    /// The operations for the object's release.
    pub(super) fn ops(&self, object: &HelmRelease, cluster: Cluster, checks: Arc<Checks>) -> Ops {
        Ops {
            cluster,
            namespace: object.release_namespace().to_owned(),
            concurrency: self.shared.options.concurrent_ssa,
            checks,
            wait: object.spec.wait_strategy.as_ref().map(|s| s.name).unwrap_or_default(),
        }
    }

    /// Acts until the release is as wanted, or nothing more can be done in this turn.
    ///
    /// # Errors
    /// The release's state can't be told.
    async fn actions(
        &self,
        work: &mut Work<'_>,
        draft: &mut Draft<'_>,
        wanted: &Wanted<'_>,
    ) -> Result<Ended, String> {
        let object = work.object;
        let key = key_of(object);
        let options = &self.shared.options;
        let by_default = options.gates.default_to_retry_on_failure;
        let interval =
            || jittered(object.interval(), options.interval_jitter_percentage, rand_unit());
        let mut forced = self.force_requested(object, draft);
        let mut done: Vec<ActionType> = Vec::new();
        loop {
            let state = state::determine(object, &draft.status, &work.records.history, wanted)?;
            tracing::debug!(object = %key, ?state, "release state");
            if matches!(state, State::Unmanaged(_))
                && draft.status.history.is_empty()
                && !forced
                && self.take_over(work, draft, wanted).await
            {
                continue;
            }
            let history = &work.records.history;
            let forced_now = std::mem::take(&mut forced);
            let next =
                decide::next(object, &mut draft.status, &state, history, forced_now, by_default);
            let mut drifted = Vec::new();
            let action = match next {
                Next::Done => {
                    if drift::detects(object) {
                        drifted = self.look_for_drift(work).await?;
                    }
                    let lines = drift_lines(&drifted);
                    if !drifted.is_empty() {
                        draft.drifted(&lines);
                    }
                    if drifted.is_empty() || drift::mode(object) != DriftDetectionMode::Enabled {
                        draft.in_sync(drift::detects(object) && drifted.is_empty());
                        // What this very turn put right may be changed again at once.
                        if drifted.is_empty() && !done.contains(&ActionType::DriftCorrection) {
                            self.consumers.remember(&key, |memory| memory.drifts = 0);
                        }
                        return Ok(Ended::now(Outcome::After(interval()), true));
                    }
                    Action::CorrectDrift
                }
                Next::RetriesExceeded(what) => {
                    tracing::error!(object = %key, "exceeded maximum retries: {what}");
                    draft.retries_exceeded();
                    return Ok(Ended::now(Outcome::Done, true));
                }
                Next::MissingRollbackTarget => {
                    let message = "Failed to perform remediation: missing target release for \
                                   rollback: cannot remediate failed release";
                    draft.stalled(helm_reasons::MISSING_ROLLBACK_TARGET, message);
                    return Ok(Ended::now(Outcome::Done, true));
                }
                Next::Run(action) => action,
            };
            if done.contains(&action.kind()) {
                let end = decide::stop_before(object, &draft.status, by_default);
                return Ok(self.ended(draft, end, interval()));
            }
            let timeout = borax_stdx::duration::format(action.timeout(object));
            let message = format!("Running '{}' action with timeout of {timeout}", action.name());
            draft.at(now());
            draft.reconciling(reasons::PROGRESSING, &message);
            if action.kind() == ActionType::Release {
                let (type_, status) =
                    (condition_types::READY, borax_api::meta::ConditionStatus::Unknown);
                draft.set(type_, status, reasons::PROGRESSING, &message);
            }
            if let Err(outcome) = self.write_draft(object, draft).await {
                return Ok(Ended::now(outcome, false));
            }
            tracing::info!(object = %key, "{message}");
            if matches!(state, State::Untested) {
                draft.untested();
            }
            if let Some(ended) = self.act(work, draft, wanted, action, &drifted, by_default).await {
                return Ok(ended);
            }
            if action.kind() == ActionType::Remediate {
                let end = decide::stop_after_remediation(object, &draft.status, by_default);
                return Ok(self.ended(draft, end, interval()));
            }
            done.push(action.kind());
        }
    }

    /// Takes over a release that someone else made and that is just what is wanted.
    async fn take_over(
        &self,
        work: &mut Work<'_>,
        draft: &mut Draft<'_>,
        wanted: &Wanted<'_>,
    ) -> bool {
        let Some(last) = work.records.history.last().cloned() else { return false };
        if !state::may_be_taken_over(&last, wanted) || !work.would_make(&last).await {
            return false;
        }
        draft.taken_over(&last);
        work.observed = vec![last];
        self.note_inventory(work, draft).await;
        true
    }

    fn force_requested(&self, object: &HelmRelease, draft: &mut Draft<'_>) -> bool {
        let status = &draft.status;
        let (forced_at, reconciled) =
            (&status.last_handled_force_at, &status.last_handled_reconcile_at);
        let force = request(object.annotations(), FORCE_REQUEST, forced_at, reconciled);
        let (honour, handled) = (force.honour, force.handled.map(str::to_owned));
        if let Some(handled) = handled {
            draft.status.last_handled_force_at = handled;
        }
        honour
    }

    pub(super) fn ended(
        &self,
        draft: &mut Draft<'_>,
        end: End,
        interval: std::time::Duration,
    ) -> Ended {
        match end {
            End::Retry(after) => {
                let message = format!("retrying after {}", borax_stdx::duration::format(after));
                draft.reconciling(reasons::PROGRESSING_WITH_RETRY, &message);
                let spread = self.shared.options.interval_jitter_percentage;
                Ended::now(Outcome::RetryAfter(jittered(after, spread, rand_unit())), true)
            }
            End::Again => {
                let message = draft.message(condition_types::READY).to_owned();
                draft.reconciling(reasons::PROGRESSING_WITH_RETRY, &message);
                // Slower each time: what does not come right must not keep the server busy.
                Ended::now(Outcome::Backoff, false)
            }
            End::RetriesExceeded => {
                draft.retries_exceeded();
                Ended::now(Outcome::Done, true)
            }
            End::Settled => {
                draft.remove(condition_types::RECONCILING);
                Ended::now(Outcome::After(interval), true)
            }
        }
    }

    async fn look_for_drift(
        &self,
        work: &Work<'_>,
    ) -> Result<Vec<(super::ops::Placed, borax_release::drift::Drifted)>, String> {
        let Some(last) = work.records.history.last() else { return Ok(Vec::new()) };
        let rules = drift::rules(work.object)?;
        let objects = work.ops.target(&last.manifest, &last.name).await?;
        drift::detect(&work.ops, &objects, &rules)
            .await
            .map_err(|error| format!("unable to determine cluster state: {error}"))
    }
}
