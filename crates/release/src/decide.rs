//! The next action for a release. Source: helm-controller `internal/reconcile/atomic_release.go`.

use std::time::Duration;

use borax_api::helm::{
    AttemptedAction, HelmRelease, HelmReleaseStatus, Remediation, RemediationStrategy, previous,
    truncate, truncate_ignoring_previous,
};

use crate::observe::verify;
use crate::state::State;
use crate::storage::History;

/// Something to do with a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Install it.
    Install,
    /// Upgrade it.
    Upgrade,
    /// Run its tests.
    Test,
    /// Go back to the release with that number.
    Rollback(i64),
    /// Uninstall what failed.
    UninstallRemediation,
    /// Mark as failed what no one is doing any more.
    Unlock,
    /// Undo what others changed.
    CorrectDrift,
}

/// A group of actions, each of which happens once in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionType {
    /// Makes a release.
    Release,
    /// Undoes one.
    Remediate,
    /// Tests one.
    Test,
    /// Unlocks one.
    Unlock,
    /// Corrects drift.
    DriftCorrection,
}

impl Action {
    /// Flux's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Test => "test",
            Self::Rollback(_) => "rollback",
            Self::UninstallRemediation => "uninstall",
            Self::Unlock => "unlock",
            Self::CorrectDrift => "correct cluster drift",
        }
    }

    /// Its group.
    pub fn kind(self) -> ActionType {
        match self {
            Self::Install | Self::Upgrade => ActionType::Release,
            Self::Rollback(_) | Self::UninstallRemediation => ActionType::Remediate,
            Self::Test => ActionType::Test,
            Self::Unlock => ActionType::Unlock,
            Self::CorrectDrift => ActionType::DriftCorrection,
        }
    }

    /// How long it may take.
    pub fn timeout(self, object: &HelmRelease) -> Duration {
        let spec = &object.spec;
        object.timeout(match self {
            Self::Install => spec.install.as_ref().and_then(|own| own.timeout),
            Self::Upgrade => spec.upgrade.as_ref().and_then(|own| own.timeout),
            Self::Test => spec.test.as_ref().and_then(|own| own.timeout),
            Self::Rollback(_) => spec.rollback.as_ref().and_then(|own| own.timeout),
            Self::UninstallRemediation => spec.uninstall.as_ref().and_then(|own| own.timeout),
            Self::Unlock | Self::CorrectDrift => None,
        })
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the release is as wanted.
    Done,
    /// This.
    Run(Action),
    /// Nothing before the spec changes: no tries are left.
    RetriesExceeded(&'static str),
    /// Nothing before the spec changes: there is nothing to go back to.
    MissingRollbackTarget,
}

/// What to do about the action that was tried last, and how often it has failed.
pub fn active_remediation(
    object: &HelmRelease,
    status: &HelmReleaseStatus,
) -> Option<(Remediation, i64)> {
    Some(match status.last_attempted_release_action? {
        AttemptedAction::Install => (object.install().remediation(), status.install_failures),
        AttemptedAction::Upgrade => (object.upgrade().remediation(), status.upgrade_failures),
    })
}

/// How soon to try again the action that was tried last, where its strategy is to retry.
pub fn active_retry(
    object: &HelmRelease,
    status: &HelmReleaseStatus,
    by_default: bool,
) -> Option<Duration> {
    match status.last_attempted_release_action? {
        AttemptedAction::Install => object.install().retry_interval(by_default),
        AttemptedAction::Upgrade => object.upgrade().retry_interval(by_default),
    }
}

fn ignores_tests(object: &HelmRelease, remediation: Option<&Remediation>) -> bool {
    let own = object.spec.test.as_ref().is_some_and(|test| test.ignore_failures);
    remediation.and_then(|remediation| remediation.ignore_test_failures).unwrap_or(own)
}

/// Whether the object's failed tests are no failure.
pub fn ignores_test_failures(object: &HelmRelease, status: &HelmReleaseStatus) -> bool {
    ignores_tests(object, active_remediation(object, status).map(|(r, _)| r).as_ref())
}

/// The release a rollback would go back to.
pub fn rollback_target(object: &HelmRelease, status: &HelmReleaseStatus) -> Option<i64> {
    let remediation = object.upgrade().remediation();
    previous(&status.history, ignores_tests(object, Some(&remediation))).map(|s| s.version)
}

/// Decides what to do in a state. Shortens `status.history` as the decision allows, and clears it where the release is
/// not the object's. `forced` says that a person asked for an action in any case; `by_default` is the feature gate
/// DefaultToRetryOnFailure.
pub fn next(
    object: &HelmRelease,
    status: &mut HelmReleaseStatus,
    state: &State,
    history: &History,
    forced: bool,
    by_default: bool,
) -> Next {
    let retries = active_retry(object, status, by_default).is_some();
    match state {
        State::InSync => {
            if retries {
                truncate_ignoring_previous(&mut status.history);
            } else {
                let ignore = ignores_test_failures(object, status);
                truncate(&mut status.history, ignore);
            }
            if forced { Next::Run(Action::Upgrade) } else { Next::Done }
        }
        State::Locked(_) => Next::Run(Action::Unlock),
        State::Absent(_) => {
            let exhausted = object.install().remediation().is_exhausted(status.install_failures);
            match exhausted && !forced {
                true => Next::RetriesExceeded("cannot install release"),
                false => Next::Run(Action::Install),
            }
        }
        State::Unmanaged(_) => {
            status.history.clear();
            Next::Run(Action::Upgrade)
        }
        State::OutOfSync(_) => {
            let exhausted = object.upgrade().remediation().is_exhausted(status.upgrade_failures);
            match exhausted && !forced {
                true => Next::RetriesExceeded("cannot upgrade release"),
                false => Next::Run(Action::Upgrade),
            }
        }
        State::Uninstalling => Next::Run(Action::UninstallRemediation),
        State::Untested => Next::Run(Action::Test),
        State::Failed(_) => {
            if retries {
                truncate_ignoring_previous(&mut status.history);
                return Next::Run(Action::Upgrade);
            }
            failed(object, status, history, forced)
        }
    }
}

fn failed(
    object: &HelmRelease,
    status: &mut HelmReleaseStatus,
    history: &History,
    forced: bool,
) -> Next {
    let Some((remediation, failures)) = active_remediation(object, status) else {
        return Next::Run(Action::Upgrade);
    };
    if failures <= 0 || forced {
        return Next::Run(Action::Upgrade);
    }
    if remediation.is_exhausted(failures) && !remediation.remediate_last_failure {
        return Next::RetriesExceeded("cannot remediate failed release");
    }
    let ignore = ignores_tests(object, Some(&remediation));
    truncate(&mut status.history, ignore);
    match remediation.strategy {
        RemediationStrategy::Uninstall => Next::Run(Action::UninstallRemediation),
        RemediationStrategy::Rollback => {
            let Some(target) = previous(&status.history, ignore) else {
                return Next::MissingRollbackTarget;
            };
            // A target that is gone, or not what it was, is none: upgrading again is the most that can be done.
            match history.get(target.version).map(|release| verify(target, release)) {
                Some(Ok(())) => Next::Run(Action::Rollback(target.version)),
                None | Some(Err(_)) => Next::Run(Action::Upgrade),
            }
        }
    }
}

/// What ends a turn after, or before, an action that may not follow the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Try again after the strategy's interval.
    Retry(Duration),
    /// Go on at once, in another turn.
    Again,
    /// Nothing before the spec changes.
    RetriesExceeded,
    /// Nothing before the next interval.
    Settled,
}

/// How a turn ends that may not run the next action, because one of its group has run already.
pub fn stop_before(object: &HelmRelease, status: &HelmReleaseStatus, by_default: bool) -> Stop {
    if let Some(interval) = active_retry(object, status, by_default) {
        return Stop::Retry(interval);
    }
    match active_remediation(object, status) {
        Some((remediation, failures)) if remediation.is_exhausted(failures) => Stop::Settled,
        _ => Stop::Again,
    }
}

/// How a turn ends that has remediated.
pub fn stop_after_remediation(
    object: &HelmRelease,
    status: &HelmReleaseStatus,
    by_default: bool,
) -> Stop {
    if let Some(interval) = active_retry(object, status, by_default) {
        return Stop::Retry(interval);
    }
    let is_upgrade = status.last_attempted_release_action == Some(AttemptedAction::Upgrade);
    match active_remediation(object, status) {
        Some((remediation, failures)) if remediation.is_exhausted(failures) => {
            // An upgrade that was remediated by an uninstall is to be followed by an install.
            let reinstalls = is_upgrade && remediation.strategy == RemediationStrategy::Uninstall;
            if reinstalls { Stop::Again } else { Stop::RetriesExceeded }
        }
        _ => Stop::Again,
    }
}
