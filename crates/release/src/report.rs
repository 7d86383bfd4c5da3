//! What happens to a release, in its HelmRelease's status and events: conditions, history, failures. Source:
//! helm-controller `internal/reconcile` (`install.go`, `upgrade.go`, `test.go`, `rollback_remediation.go`,
//! `uninstall_remediation.go`, `uninstall.go`, `unlock.go`, `release.go`).

use borax_api::helm::{
    AttemptedAction, HelmRelease, HelmReleaseStatus, Snapshot, condition_types as types, latest,
    reasons, release_actions as actions,
};
use borax_api::meta::{
    Condition, ConditionStatus, Time, condition_types as meta_types, find_condition,
    is_condition_true, reasons as meta_reasons, remove_condition, set_condition,
};

use crate::decide::active_remediation;
use crate::observe::{snapshot, test_hooks};
use crate::record::{Release, Status};
use crate::state::{common_metadata_digest, post_renderers_digest};

/// An event about the HelmRelease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Whether it is a warning.
    pub warning: bool,
    /// In one word.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// The chart's version.
    pub revision: String,
    /// The checksum of the values.
    pub token: String,
    /// The version of what the chart installs.
    pub app_version: String,
    /// The digest of the chart's OCI artifact.
    pub oci_digest: String,
}

/// What an attempt is about, for messages where there is no release to name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The chart's name.
    pub chart: String,
    /// The chart's version.
    pub version: String,
    /// The version of what it installs.
    pub app_version: String,
    /// The checksum of the values.
    pub config_digest: String,
}

/// A status on its way from what it was to what it will be.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    object: &'a HelmRelease,
    /// The status so far.
    pub status: HelmReleaseStatus,
    /// The events so far, to be told once the status is written.
    pub events: Vec<Told>,
    now: Time,
}

impl<'a> Draft<'a> {
    /// A draft that starts from the object's status.
    pub fn new(object: &'a HelmRelease, now: Time) -> Self {
        let status = object.status.clone().unwrap_or_default();
        Self { object, status, events: Vec::new(), now }
    }

    /// Time goes on between the steps of a turn.
    pub fn at(&mut self, now: Time) {
        self.now = now;
    }

    fn generation(&self) -> i64 {
        self.object.metadata.generation.unwrap_or_default()
    }

    /// Sets a condition.
    pub fn set(&mut self, type_: &str, status: ConditionStatus, reason: &str, message: &str) {
        let condition = Condition::new(type_, status, reason, message, self.generation());
        set_condition(&mut self.status.conditions, condition, self.now);
    }

    /// Takes a condition away.
    pub fn remove(&mut self, type_: &str) {
        remove_condition(&mut self.status.conditions, type_);
    }

    /// The message of a condition.
    pub fn message(&self, type_: &str) -> &str {
        find_condition(&self.status.conditions, type_).map_or("", |c| c.message.as_str())
    }

    fn is_true(&self, type_: &str) -> bool {
        is_condition_true(&self.status.conditions, type_)
    }

    /// Work goes on.
    pub fn reconciling(&mut self, reason: &str, message: &str) {
        self.remove(meta_types::STALLED);
        self.set(meta_types::RECONCILING, ConditionStatus::True, reason, message);
    }

    /// It will be tried again.
    pub fn not_ready(&mut self, reason: &str, message: &str) {
        self.set(meta_types::READY, ConditionStatus::False, reason, message);
    }

    /// Nothing happens before the spec changes. Ready says the same unless it says more already.
    pub fn stalled(&mut self, reason: &str, message: &str) {
        self.remove(meta_types::RECONCILING);
        self.set(meta_types::STALLED, ConditionStatus::True, reason, message);
    }

    /// What stood in the way last time does no more.
    pub fn no_longer(&mut self, reasons: &[&str]) {
        let ready = find_condition(&self.status.conditions, meta_types::READY);
        if ready.is_some_and(|ready| reasons.contains(&ready.reason.as_str())) {
            let message = "reconciliation in progress";
            let (reason, status) = (meta_reasons::PROGRESSING, ConditionStatus::Unknown);
            self.set(meta_types::READY, status, reason, message);
        }
    }

    fn tell(&mut self, warning: bool, reason: &'static str, message: &str, about: &Snapshot) {
        self.events.push(Told {
            warning,
            reason,
            message: message.to_owned(),
            revision: about.chart_version.clone(),
            token: about.config_digest.clone(),
            app_version: about.app_version.clone(),
            oci_digest: about.oci_digest.clone(),
        });
    }

    /// Tells an event that is about no release.
    pub fn tell_plain(&mut self, warning: bool, reason: &'static str, message: &str) {
        let message = message.to_owned();
        self.events.push(Told { warning, reason, message, ..Told::default() });
    }

    fn latest(&self) -> Snapshot {
        latest(&self.status.history).cloned().unwrap_or_default()
    }

    /// An install or upgrade begins: what was said of earlier ones does not hold any more.
    pub fn attempting(&mut self, action: AttemptedAction) {
        self.status.last_attempted_release_action = Some(action);
        if action == AttemptedAction::Install {
            self.status.history.clear();
        }
        self.remove(types::TEST_SUCCESS);
        self.remove(types::REMEDIATED);
    }

    /// A record was written by an install or upgrade.
    pub fn observed(&mut self, release: &Release, action: AttemptedAction) {
        let words = match action {
            AttemptedAction::Install => actions::INSTALL,
            AttemptedAction::Upgrade => actions::UPGRADE,
        };
        let oci = self.status.last_attempted_revision_digest.clone();
        let same = |s: &Snapshot| s.targets(&release.name, &release.namespace, release.version);
        match self.status.history.iter_mut().find(|s| same(s)) {
            Some(known) => *known = snapshot(release, words, &oci),
            None => self.status.history.insert(0, snapshot(release, words, &oci)),
        }
    }

    /// The record of an earlier release was written anew.
    pub fn observed_earlier(&mut self, release: &Release, action: Option<&str>) {
        let same = |s: &Snapshot| s.targets(&release.name, &release.namespace, release.version);
        if let Some(known) = self.status.history.iter_mut().find(|s| same(s)) {
            let action = action.unwrap_or(&known.action);
            let mut new = snapshot(release, action, &known.oci_digest);
            new.test_hooks = known.test_hooks.take();
            *known = new;
        }
    }

    /// A record was written by a rollback.
    pub fn observed_rollback(&mut self, release: &Release) {
        let same = |s: &Snapshot| s.targets(&release.name, &release.namespace, release.version);
        if self.status.history.iter().any(same) {
            self.observed_earlier(release, Some(actions::ROLLBACK));
        } else {
            self.status.history.insert(0, snapshot(release, actions::ROLLBACK, ""));
        }
    }

    /// A record was written by tests.
    pub fn observed_test(&mut self, release: &Release) {
        let filters = self.object.spec.test.clone().unwrap_or_default().filters;
        let same = |s: &Snapshot| s.targets(&release.name, &release.namespace, release.version);
        if let Some(known) = self.status.history.iter_mut().find(|s| same(s)) {
            let mut new = snapshot(release, &known.action, &known.oci_digest);
            new.test_hooks = Some(test_hooks(release, &filters));
            *known = new;
        }
    }

    /// A release that someone else made is just what is wanted: it is the object's from now on.
    pub fn taken_over(&mut self, release: &Release) {
        let oci = self.status.last_attempted_revision_digest.clone();
        let about = snapshot(release, "", &oci);
        let (name, chart) = (about.full_release_name(), about.versioned_chart_name());
        let message = format!("Helm release {name} with chart {chart} was taken over as it is");
        self.status.history = vec![about.clone()];
        let reason = reasons::UPGRADE_SUCCEEDED;
        self.set(types::RELEASED, ConditionStatus::True, reason, &message);
        self.tell(false, reason, &message, &about);
    }

    /// An install or upgrade worked.
    pub fn released(&mut self, action: AttemptedAction, by_default: bool) {
        let about = self.latest();
        let (release, chart) = (about.full_release_name(), about.versioned_chart_name());
        let (verb, reason, retries) = match action {
            AttemptedAction::Install => (
                "install",
                reasons::INSTALL_SUCCEEDED,
                self.object.install().retry_interval(by_default),
            ),
            AttemptedAction::Upgrade => (
                "upgrade",
                reasons::UPGRADE_SUCCEEDED,
                self.object.upgrade().retry_interval(by_default),
            ),
        };
        let message = format!("Helm {verb} succeeded for release {release} with chart {chart}");
        self.set(types::RELEASED, ConditionStatus::True, reason, &message);
        let test = self.object.spec.test.clone().unwrap_or_default();
        if test.enable && !about.has_been_tested() {
            let message = format!("Helm release {release} with chart {chart} is awaiting tests");
            let (type_, reason) = (types::TEST_SUCCESS, reasons::AWAITING_TESTS);
            self.set(type_, ConditionStatus::Unknown, reason, &message);
        }
        if retries.is_some() {
            self.status.clear_failures();
        }
        self.tell(false, reason, &message, &about);
        self.summarize();
    }

    /// An install or upgrade failed; `counts` when a record was written, so that there is something to remediate.
    pub fn release_failed(
        &mut self,
        action: AttemptedAction,
        attempt: &Attempt,
        cause: &str,
        counts: bool,
    ) {
        let (verb, reason) = match action {
            AttemptedAction::Install => ("install", reasons::INSTALL_FAILED),
            AttemptedAction::Upgrade => ("upgrade", reasons::UPGRADE_FAILED),
        };
        let message = format!(
            "Helm {verb} failed for release {}/{} with chart {}@{}: {}",
            self.object.release_namespace(),
            self.object.release_name(),
            attempt.chart,
            attempt.version,
            cause.trim()
        );
        self.status.failures += 1;
        self.set(types::RELEASED, ConditionStatus::False, reason, &message);
        self.events.push(Told {
            warning: true,
            reason,
            message,
            revision: attempt.version.clone(),
            token: attempt.config_digest.clone(),
            app_version: attempt.app_version.clone(),
            oci_digest: self.status.last_attempted_revision_digest.clone(),
        });
        if counts {
            match action {
                AttemptedAction::Install => self.status.install_failures += 1,
                AttemptedAction::Upgrade => self.status.upgrade_failures += 1,
            }
        }
        self.summarize();
    }

    /// The tests worked.
    pub fn tests_succeeded(&mut self) {
        let about = self.latest();
        let count = about.test_hooks.as_ref().map_or(0, std::collections::BTreeMap::len);
        let hooks = match count {
            0 => "no test hooks".to_owned(),
            1 => "1 test hook completed successfully".to_owned(),
            more => format!("{more} test hooks completed successfully"),
        };
        let (release, chart) = (about.full_release_name(), about.versioned_chart_name());
        let message =
            format!("Helm test succeeded for release {release} with chart {chart}: {hooks}");
        let (type_, reason) = (types::TEST_SUCCESS, reasons::TEST_SUCCEEDED);
        self.set(type_, ConditionStatus::True, reason, &message);
        self.tell(false, reason, &message, &about);
        self.summarize();
    }

    /// A test failed. Says whether that is recorded, else it is to be tried again.
    pub fn tests_failed(&mut self, cause: &str) -> bool {
        let about = self.latest();
        let (release, chart) = (about.full_release_name(), about.versioned_chart_name());
        let cause = cause.trim();
        let message = format!("Helm test failed for release {release} with chart {chart}: {cause}");
        self.status.failures += 1;
        let (type_, reason) = (types::TEST_SUCCESS, reasons::TEST_FAILED);
        self.set(type_, ConditionStatus::False, reason, &message);
        self.tell(true, reason, &message, &about);
        let tested = about.has_been_tested();
        if tested && !crate::decide::ignores_test_failures(self.object, &self.status) {
            match self.status.last_attempted_release_action {
                Some(AttemptedAction::Install) => self.status.install_failures += 1,
                Some(AttemptedAction::Upgrade) => self.status.upgrade_failures += 1,
                None => {}
            }
        }
        self.summarize();
        tested
    }

    /// A rollback to `target` worked, or why it did not.
    pub fn rolled_back(&mut self, target: &Snapshot, token: &str, cause: Option<&str>) {
        let (release, chart) = (target.full_release_name(), target.versioned_chart_name());
        let what = format!("Helm rollback to previous release {release} with chart {chart}");
        let about = Snapshot { config_digest: token.to_owned(), ..target.clone() };
        let result = match cause {
            None => Ok((reasons::ROLLBACK_SUCCEEDED, format!("{what} succeeded"))),
            Some(cause) => {
                Err((reasons::ROLLBACK_FAILED, format!("{what} failed: {}", cause.trim())))
            }
        };
        self.remediated(result, &about);
    }

    /// An uninstall after a failure worked, or why it did not.
    pub fn uninstalled_to_remediate(&mut self, cause: Option<&str>) {
        let about = self.latest();
        let (release, chart) = (about.full_release_name(), about.versioned_chart_name());
        let what = format!("Helm uninstall remediation for release {release} with chart {chart}");
        let result = match cause {
            None => {
                self.status.inventory = None;
                Ok((reasons::UNINSTALL_SUCCEEDED, format!("{what} succeeded")))
            }
            Some(cause) => {
                Err((reasons::UNINSTALL_FAILED, format!("{what} failed: {}", cause.trim())))
            }
        };
        self.remediated(result, &about);
    }

    fn remediated(
        &mut self,
        result: Result<(&'static str, String), (&'static str, String)>,
        about: &Snapshot,
    ) {
        let (status, warning) = match &result {
            Ok(_) => (ConditionStatus::True, false),
            Err(_) => (ConditionStatus::False, true),
        };
        let (reason, message) = match result {
            Ok(words) | Err(words) => words,
        };
        if warning {
            self.status.failures += 1;
        }
        self.set(types::REMEDIATED, status, reason, &message);
        self.tell(warning, reason, &message, about);
        self.summarize();
    }

    /// An uninstall worked, or why it did not.
    pub fn uninstalled(&mut self, cause: Option<&str>) {
        let about = self.latest();
        let (release, chart) = (about.full_release_name(), about.versioned_chart_name());
        let what = |verb| format!("Helm uninstall {verb} for release {release} with chart {chart}");
        let (warning, reason, message) = match cause {
            None => {
                self.status.inventory = None;
                (false, reasons::UNINSTALL_SUCCEEDED, what("succeeded"))
            }
            Some(cause) => {
                self.status.failures += 1;
                let message = format!("{}: {}", what("failed"), cause.trim());
                (true, reasons::UNINSTALL_FAILED, message)
            }
        };
        self.set(types::RELEASED, ConditionStatus::False, reason, &message);
        self.tell(warning, reason, &message, &about);
        self.summarize();
    }

    /// There was nothing to uninstall.
    pub fn was_uninstalled(&mut self, message: &str) {
        let reason = reasons::UNINSTALL_SUCCEEDED;
        self.set(types::RELEASED, ConditionStatus::False, reason, message);
        self.summarize();
    }

    /// A release in the middle of nothing was marked as failed, or why it was not.
    pub fn unlocked(&mut self, release: &Release, was: Status, cause: Option<&str>) {
        let mut about = snapshot(release, "", "");
        let same = |s: &&Snapshot| s.targets(&release.name, &release.namespace, release.version);
        if let Some(known) = self.status.history.iter().find(same) {
            about.oci_digest.clone_from(&known.oci_digest);
        }
        let (release, chart) = (about.full_release_name(), about.versioned_chart_name());
        let reason = reasons::PENDING_RELEASE;
        let message = match cause {
            None => format!("Unlocked Helm release {release} with chart {chart} in {was} state"),
            Some(cause) => {
                self.status.failures += 1;
                format!(
                    "Unlock of Helm release {release} with chart {chart} in {was} state failed: {}",
                    cause.trim()
                )
            }
        };
        self.set(types::RELEASED, ConditionStatus::False, reason, &message);
        self.tell(cause.is_some(), reason, &message, &about);
        self.summarize();
    }

    /// The release is as wanted: conditions of what it took to get here go.
    pub fn in_sync(&mut self, detects_drift: bool) {
        let about = self.latest();
        let (release, chart) = (about.full_release_name(), about.versioned_chart_name());
        let words =
            |verb| format!("Helm {verb} succeeded for release {release} with chart {chart}");
        if self.is_true(types::REMEDIATED) {
            self.remove(types::REMEDIATED);
            let reason = reasons::UPGRADE_SUCCEEDED;
            self.set(types::RELEASED, ConditionStatus::True, reason, &words("upgrade"));
        }
        if !self.is_true(meta_types::READY) || !self.is_true(types::RELEASED) {
            let released = find_condition(&self.status.conditions, types::RELEASED);
            let reason = released.map(|condition| condition.reason.clone()).unwrap_or_default();
            let succeeded = match reason.as_str() {
                reasons::INSTALL_FAILED => Some((reasons::INSTALL_SUCCEEDED, words("install"))),
                reasons::UPGRADE_FAILED => Some((reasons::UPGRADE_SUCCEEDED, words("upgrade"))),
                _ => None,
            };
            if let Some((reason, message)) = succeeded {
                self.set(types::RELEASED, ConditionStatus::True, reason, &message);
            }
        }
        if detects_drift {
            let (type_, reason) = (types::DRIFTED, reasons::NO_DRIFT_DETECTED);
            let message = "No drift detected against the cluster state";
            self.set(type_, ConditionStatus::False, reason, message);
        }
        self.remove(meta_types::RECONCILING);
        self.summarize();
    }

    /// A release that is about to be tested after all is no longer one that was remediated.
    pub fn untested(&mut self) {
        if self.is_true(types::REMEDIATED) {
            let about = self.latest();
            let (release, chart) = (about.full_release_name(), about.versioned_chart_name());
            let message =
                format!("Helm upgrade succeeded for release {release} with chart {chart}");
            self.remove(types::REMEDIATED);
            let reason = reasons::UPGRADE_SUCCEEDED;
            self.set(types::RELEASED, ConditionStatus::True, reason, &message);
        }
    }

    /// The cluster has drifted: one line per object.
    pub fn drifted(&mut self, lines: &str) {
        let release = self.latest().full_release_name();
        let message = format!(
            "Cluster state of release {release} has drifted from the desired state:\n{lines}"
        );
        let (type_, reason) = (types::DRIFTED, reasons::DRIFT_DETECTED);
        self.set(type_, ConditionStatus::True, reason, &message);
        self.tell_plain(true, reason, &message);
    }

    /// Drift was corrected: one line per object, or why it was not.
    pub fn drift_corrected(&mut self, corrected: &str, error: Option<&str>) {
        let about = self.latest();
        let release = about.full_release_name();
        match error {
            Some(error) => {
                let partially = if corrected.is_empty() { "" } else { "partially " };
                let done = match corrected {
                    "" => String::new(),
                    lines => format!("\n\nSuccessful corrections:\n{lines}"),
                };
                let message = format!(
                    "Failed to {partially}correct cluster state of release {release}:\n{error}{done}"
                );
                self.tell(true, reasons::DRIFT_CORRECTION_FAILED, &message, &about);
            }
            None if !corrected.is_empty() => {
                let message =
                    format!("Cluster state of release {release} has been corrected:\n{corrected}");
                self.tell(false, reasons::DRIFT_CORRECTED, &message, &about);
            }
            None => {}
        }
    }

    /// No tries are left.
    pub fn retries_exceeded(&mut self) {
        let action = match self.status.last_attempted_release_action {
            Some(AttemptedAction::Install) => "install",
            Some(AttemptedAction::Upgrade) => "upgrade",
            None => "",
        };
        let failures = active_remediation(self.object, &self.status).map_or(0, |(_, count)| count);
        let message = format!("Failed to {action} after {failures} attempt(s)");
        self.stalled(reasons::RETRIES_EXCEEDED, &message);
    }

    /// Makes Ready of what is known of the release: of the conditions that count, the one of the highest generation,
    /// and among those Remediated before TestSuccess before Released.
    pub fn summarize(&mut self) {
        let test = self.object.spec.test.clone().unwrap_or_default();
        if !test.enable {
            self.remove(types::TEST_SUCCESS);
        }
        let mut counted = vec![types::REMEDIATED];
        if test.enable && !test.ignore_failures {
            counted.push(types::TEST_SUCCESS);
        }
        counted.push(types::RELEASED);
        let mut chosen: Option<Condition> = None;
        for type_ in counted {
            let Some(found) = find_condition(&self.status.conditions, type_) else { continue };
            if chosen.as_ref().is_none_or(|c| found.observed_generation > c.observed_generation) {
                chosen = Some(found.clone());
            }
        }
        if let Some(chosen) = chosen {
            let is_remediated = chosen.type_ == types::REMEDIATED;
            let status = if is_remediated { ConditionStatus::False } else { chosen.status };
            if status == ConditionStatus::True {
                self.remove(meta_types::STALLED);
            }
            self.set(meta_types::READY, status, &chosen.reason, &chosen.message);
        }
        self.status.observed_post_renderers_digest = post_renderers_digest(self.object);
        self.status.observed_common_metadata_digest = common_metadata_digest(self.object);
    }

    /// What every turn ends with: requests are handled; the generation is observed when nothing is left to do for it.
    pub fn finish(&mut self, observed: bool) {
        let requested = self
            .object
            .metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get(borax_api::meta::RECONCILE_REQUEST));
        if let Some(requested) = requested {
            self.status.last_handled_reconcile_at.clone_from(requested);
        }
        if observed {
            self.status.observed_generation = self.generation();
        }
    }
}
