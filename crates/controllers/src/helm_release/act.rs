//! One action of a turn, carried out and reported on.
//!
//! Behaviour: helm-controller v1.6 `internal/reconcile` (`install.go`, `upgrade.go`, `test.go`,
//! `rollback_remediation.go`, `uninstall_remediation.go`, `unlock.go`, `correct_cluster_drift.go`).

use std::time::Instant;

use borax_api::helm::{AttemptedAction, release_actions};
use borax_api::kustomize::{ResourceInventory, ResourceRef};
use borax_api::meta::{condition_types, reasons};
use borax_reconcile::{Key, Outcome};
use borax_release::drift::Drifted;
use borax_release::{Action, Attempt, Draft, Stop as End, Wanted, decide};

use super::HelmReleaseReconciler;
use super::ops::Placed;
use super::run::Ended;
use super::work::{ActionFailed, Work};
use crate::shared::{now, rounded};
use crate::store::key_of;

impl HelmReleaseReconciler {
    /// Runs one action and reports on it. Says how the turn ends, if the action ends it.
    pub(super) async fn act(
        &self,
        work: &mut Work<'_>,
        draft: &mut Draft<'_>,
        wanted: &Wanted<'_>,
        action: Action,
        drifted: &[(Placed, Drifted)],
        by_default: bool,
    ) -> Option<Ended> {
        let started = Instant::now();
        work.observed.clear();
        let result = match action {
            Action::Install | Action::Upgrade => {
                let attempted = match action {
                    Action::Install => AttemptedAction::Install,
                    _ => AttemptedAction::Upgrade,
                };
                draft.attempting(attempted);
                let result = match attempted {
                    AttemptedAction::Install => work.install().await,
                    AttemptedAction::Upgrade => work.upgrade().await,
                };
                let result = result.map_err(|error| error.masked(&work.secrets));
                draft.at(now());
                let took = rounded(started.elapsed());
                draft.status.last_attempted_release_action_duration = Some(took.into());
                self.released(work, draft, wanted, attempted, &result, by_default).await;
                result
            }
            Action::Test => {
                let result = work.test().await.map_err(|error| error.masked(&work.secrets));
                draft.at(now());
                for release in &work.observed {
                    draft.observed_test(release);
                }
                match &result {
                    Ok(()) => draft.tests_succeeded(),
                    Err(error) => {
                        if draft.tests_failed(&error.message()) {
                            return None;
                        }
                    }
                }
                result
            }
            Action::Rollback(version) => {
                let known = draft.status.history.iter().find(|s| s.version == version).cloned();
                let result =
                    work.rollback(version).await.map_err(|error| error.masked(&work.secrets));
                draft.at(now());
                for release in &work.observed {
                    draft.observed_rollback(release);
                }
                self.note_inventory(work, draft).await;
                let cause = result.as_ref().err().map(ActionFailed::message);
                let target = known.unwrap_or_default();
                draft.rolled_back(&target, wanted.config_digest, cause.as_deref());
                result
            }
            Action::UninstallRemediation => {
                let result = work.uninstall().await.map_err(|error| error.masked(&work.secrets));
                draft.at(now());
                for release in &work.observed {
                    let action = release_actions::UNINSTALL_REMEDIATION;
                    draft.observed_earlier(release, Some(action));
                }
                let cause = result.as_ref().err().map(ActionFailed::message);
                draft.uninstalled_to_remediate(cause.as_deref());
                result
            }
            Action::Unlock => {
                let mut release = work.records.history.last().cloned()?;
                let was = release.info.status;
                let result = work.unlock(&mut release).await;
                draft.at(now());
                draft.observed_earlier(&release, None);
                draft.unlocked(&release, was, result.as_ref().err().map(String::as_str));
                result.map_err(ActionFailed::Failed)
            }
            Action::CorrectDrift => {
                self.correct(work, draft, drifted).await;
                return None;
            }
        };
        let error = result.err()?;
        self.after_failure(work, draft, action, error, by_default)
    }

    async fn released(
        &self,
        work: &Work<'_>,
        draft: &mut Draft<'_>,
        wanted: &Wanted<'_>,
        attempted: AttemptedAction,
        result: &Result<(), ActionFailed>,
        by_default: bool,
    ) {
        let mut observed: Vec<_> = work.observed.iter().collect();
        observed.sort_by_key(|release| release.version);
        if let Some((newest, earlier)) = observed.split_last() {
            for release in earlier {
                draft.observed_earlier(release, None);
            }
            draft.observed(newest, attempted);
            self.note_inventory(work, draft).await;
        }
        match result {
            Ok(()) => draft.released(attempted, by_default),
            Err(error) => {
                let attempt = Attempt {
                    chart: wanted.chart.name.clone(),
                    version: wanted.chart.version.clone(),
                    app_version: wanted.chart.app_version.clone(),
                    config_digest: wanted.config_digest.to_owned(),
                };
                // What was given up for something newer did not fail.
                let counts = !work.observed.is_empty() && matches!(error, ActionFailed::Failed(_));
                draft.release_failed(attempted, &attempt, &error.message(), counts);
            }
        }
    }

    pub(super) async fn note_inventory(&self, work: &Work<'_>, draft: &mut Draft<'_>) {
        let newest = work.observed.iter().max_by_key(|release| release.version);
        let Some(release) = newest else { return };
        let placed = work.ops.target(&release.manifest, &release.name).await;
        let crds = work.crds().unwrap_or_default();
        let objects = placed.unwrap_or_default();
        let all = objects.iter().map(|placed| &placed.object).chain(&crds);
        let entries = borax_release::objects::inventory(all)
            .into_iter()
            .map(|entry| ResourceRef { id: entry.id.inventory_id(), version: entry.version })
            .collect();
        draft.status.inventory = Some(ResourceInventory { entries });
    }

    fn after_failure(
        &self,
        work: &Work<'_>,
        draft: &mut Draft<'_>,
        action: Action,
        error: ActionFailed,
        by_default: bool,
    ) -> Option<Ended> {
        let key: Key = key_of(work.object);
        if let ActionFailed::Interrupted(trigger) = &error {
            let message = format!("New reconciliation triggered by {trigger}");
            draft.not_ready(reasons::HEALTH_CHECK_CANCELED, &message);
            draft.tell_plain(
                false,
                reasons::HEALTH_CHECK_CANCELED,
                &format!("Health checks canceled due to new reconciliation triggered by {trigger}"),
            );
            return Some(Ended::now(Outcome::Again, false));
        }
        tracing::error!(object = %key, error = error.message(), "failed to run '{}' action", action.name());
        // With a record there is something to go on from; without, the same is tried again later.
        if !work.observed.is_empty() {
            return None;
        }
        if let Some(after) = decide::active_retry(work.object, &draft.status, by_default) {
            return Some(self.ended(draft, End::Retry(after), after));
        }
        let message = draft.message(condition_types::READY).to_owned();
        draft.reconciling(reasons::PROGRESSING_WITH_RETRY, &message);
        Some(Ended::now(Outcome::Backoff, false))
    }

    async fn correct(&self, work: &Work<'_>, draft: &mut Draft<'_>, drifted: &[(Placed, Drifted)]) {
        let (mut corrected, mut errors) = (Vec::new(), Vec::new());
        for (placed, how) in drifted {
            let id = placed.id();
            let verb = match how {
                Drifted::Removed => "created",
                Drifted::Changed { .. } => "configured",
            };
            match work.ops.apply_one(placed, true).await {
                Ok(_) => corrected.push(format!("{id} {verb}")),
                Err(error) => errors.push(work.secrets.masked(&error)),
            }
        }
        draft.at(now());
        let errors = errors.join("\n");
        let error = (!errors.is_empty()).then_some(errors.as_str());
        draft.drift_corrected(&corrected.join("\n"), error);
    }
}

/// One line per object that has drifted.
pub(super) fn drift_lines(drifted: &[(Placed, Drifted)]) -> String {
    let lines: Vec<String> =
        drifted.iter().map(|(placed, how)| format!("{} {}", placed.id(), how.words())).collect();
    lines.join("\n")
}
