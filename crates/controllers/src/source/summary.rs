//! The conditions of a source and the Ready condition they add up to. Pure.
//!
//! Behaviour: source-controller v1.9 `internal/reconcile/{reconcile,summarize}`, fluxcd/pkg
//! `runtime/conditions/merge.go`.

use std::time::Duration;

use borax_api::meta::{
    Condition, ConditionStatus, Time, condition_types as common, find_condition, is_condition_true,
    reasons, remove_condition, set_condition,
};
use borax_api::source::condition_types as types;

/// Conditions that are true when something is wrong or under way, in the order in which they speak for Ready.
const NEGATIVE: [&str; 7] = [
    types::STORAGE_OPERATION_FAILED,
    types::FETCH_FAILED,
    types::BUILD_FAILED,
    types::INCLUDE_UNAVAILABLE,
    types::ARTIFACT_OUTDATED,
    common::STALLED,
    common::RECONCILING,
];

/// Conditions that say that the last attempt failed.
const FAILURES: [&str; 4] = [
    types::FETCH_FAILED,
    types::BUILD_FAILED,
    types::INCLUDE_UNAVAILABLE,
    types::STORAGE_OPERATION_FAILED,
];

/// Why there is no new artifact.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The condition that tells: one of the failures, or SourceVerified.
    pub condition: &'static str,
    /// The condition's reason.
    pub reason: String,
    /// The condition's message.
    pub message: String,
    /// What helps.
    pub remedy: Remedy,
}

/// What helps against a [`Problem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Trying again, with backoff.
    Retry,
    /// Trying again after this long, or when something wakes the source; not a failure.
    Wait(Duration),
    /// Only another spec.
    Spec,
}

impl Problem {
    /// The upstream could not be fetched.
    pub fn fetch(reason: &str, message: impl Into<String>) -> Self {
        Self {
            condition: types::FETCH_FAILED,
            reason: reason.into(),
            message: message.into(),
            remedy: Remedy::Retry,
        }
    }

    /// The artifact could not be stored.
    pub fn storage(reason: &str, message: impl Into<String>) -> Self {
        Self { condition: types::STORAGE_OPERATION_FAILED, ..Self::fetch(reason, message) }
    }

    /// The signature is missing or wrong.
    pub fn verification(reason: &str, message: impl Into<String>) -> Self {
        Self { condition: types::SOURCE_VERIFIED, ..Self::fetch(reason, message) }
    }

    /// Another condition than the constructor's.
    pub fn about(mut self, condition: &'static str) -> Self {
        self.condition = condition;
        self
    }

    /// Only another spec helps.
    pub fn stalled(mut self) -> Self {
        self.remedy = Remedy::Spec;
        self
    }

    /// Waits, rather than fails.
    pub fn waiting(mut self, retry: Duration) -> Self {
        self.remedy = Remedy::Wait(retry);
        self
    }

    /// `field` is known and not honoured yet.
    pub fn unsupported(field: &str, instead: &str) -> Self {
        let message = format!("{field} is not supported yet: {instead}");
        Self::fetch(borax_api::source::reasons::INVALID_PROVIDER_CONFIGURATION, message).stalled()
    }
}

/// What is going on, before the first attempt at a generation.
pub fn progressing(conditions: &mut Vec<Condition>, generation: i64, message: &str, now: Time) {
    remove_condition(conditions, common::STALLED);
    for (type_, status) in
        [(common::RECONCILING, ConditionStatus::True), (common::READY, ConditionStatus::Unknown)]
    {
        let condition = Condition::new(type_, status, reasons::PROGRESSING, message, generation);
        set_condition(conditions, condition, now);
    }
}

/// The conditions after an attempt that left an artifact in the storage, of which `reason` and `stored` tell.
pub fn succeeded(
    conditions: &mut Vec<Condition>,
    generation: i64,
    reason: &str,
    stored: &str,
    now: Time,
) {
    for type_ in NEGATIVE {
        remove_condition(conditions, type_);
    }
    let stored = Condition::new(
        types::ARTIFACT_IN_STORAGE,
        ConditionStatus::True,
        reason,
        stored,
        generation,
    );
    set_condition(conditions, stored, now);
    summarize(conditions, generation, now);
}

/// The conditions after a failed attempt.
pub fn failed(conditions: &mut Vec<Condition>, generation: i64, problem: &Problem, now: Time) {
    for type_ in FAILURES {
        remove_condition(conditions, type_);
    }
    let status = if problem.condition == types::SOURCE_VERIFIED {
        ConditionStatus::False
    } else {
        ConditionStatus::True
    };
    let told = Condition::new(
        problem.condition,
        status,
        &problem.reason,
        problem.message.as_str(),
        generation,
    );
    set_condition(conditions, told, now);
    match problem.remedy {
        Remedy::Spec => {
            remove_condition(conditions, common::RECONCILING);
            let stalled = Condition::new(
                common::STALLED,
                ConditionStatus::True,
                &problem.reason,
                problem.message.as_str(),
                generation,
            );
            set_condition(conditions, stalled, now);
        }
        Remedy::Retry | Remedy::Wait(_) => {
            remove_condition(conditions, common::STALLED);
            let message = match find_condition(conditions, common::RECONCILING) {
                Some(reconciling) => reconciling.message.clone(),
                None => "reconciliation in progress".to_owned(),
            };
            let reason = reasons::PROGRESSING_WITH_RETRY;
            let reconciling = Condition::new(
                common::RECONCILING,
                ConditionStatus::True,
                reason,
                message,
                generation,
            );
            set_condition(conditions, reconciling, now);
        }
    }
    summarize(conditions, generation, now);
}

/// The conditions of a source that is suspended: what they said still holds, for this generation too.
pub fn seen(conditions: &mut Vec<Condition>, generation: i64, now: Time) {
    remove_condition(conditions, common::STALLED);
    if let Some(reconciling) = find_condition(conditions, common::RECONCILING).cloned() {
        let reason = reasons::PROGRESSING_WITH_RETRY.to_owned();
        let observed_generation = generation;
        set_condition(conditions, Condition { reason, observed_generation, ..reconciling }, now);
    }
    summarize(conditions, generation, now);
}

/// Whether conditions say that the last attempt failed.
pub fn has_failed(conditions: &[Condition]) -> bool {
    FAILURES.iter().any(|type_| find_condition(conditions, type_).is_some())
}

/// Sets Ready: the first that is wrong speaks, a failed verification before all, else the stored artifact.
fn summarize(conditions: &mut Vec<Condition>, generation: i64, now: Time) {
    let verified = find_condition(conditions, types::SOURCE_VERIFIED);
    let unverified = verified.filter(|verified| verified.status == ConditionStatus::False);
    let wrong = NEGATIVE.iter().find(|type_| is_condition_true(conditions, type_));
    let wrong = wrong.and_then(|type_| find_condition(conditions, type_));
    let stored = find_condition(conditions, types::ARTIFACT_IN_STORAGE);
    let (status, from) = match (unverified, wrong, stored) {
        (Some(condition), _, _) | (None, Some(condition), _) => (ConditionStatus::False, condition),
        (None, None, Some(condition)) => (ConditionStatus::True, condition),
        (None, None, None) => return,
    };
    let ready =
        Condition::new(common::READY, status, &from.reason, from.message.as_str(), generation);
    set_condition(conditions, ready, now);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(conditions: &[Condition]) -> Vec<String> {
        conditions
            .iter()
            .map(|c| format!("{}={:?} {}: {}", c.type_, c.status, c.reason, c.message))
            .collect()
    }

    #[test]
    fn a_failure_speaks_for_ready_and_the_artifact_stays() {
        let mut conditions = Vec::new();
        succeeded(
            &mut conditions,
            1,
            reasons::SUCCEEDED,
            "stored artifact for revision 'main@sha1:1'",
            Time::default(),
        );
        assert_eq!(
            shown(&conditions),
            [
                "Ready=True Succeeded: stored artifact for revision 'main@sha1:1'",
                "ArtifactInStorage=True Succeeded: stored artifact for revision 'main@sha1:1'",
            ]
        );
        failed(
            &mut conditions,
            1,
            &Problem::fetch("GitOperationFailed", "no route"),
            Time::default(),
        );
        assert!(has_failed(&conditions));
        assert_eq!(
            shown(&conditions),
            [
                "Reconciling=True ProgressingWithRetry: reconciliation in progress",
                "Ready=False GitOperationFailed: no route",
                "ArtifactInStorage=True Succeeded: stored artifact for revision 'main@sha1:1'",
                "FetchFailed=True GitOperationFailed: no route",
            ]
        );
        succeeded(&mut conditions, 1, reasons::SUCCEEDED, "stored", Time::default());
        assert_eq!(
            shown(&conditions),
            ["Ready=True Succeeded: stored", "ArtifactInStorage=True Succeeded: stored"]
        );
    }

    #[test]
    fn a_stall_is_no_retry() {
        let mut conditions = Vec::new();
        failed(
            &mut conditions,
            1,
            &Problem::unsupported("spec.verify", "remove it"),
            Time::default(),
        );
        assert_eq!(
            shown(&conditions),
            [
                "Stalled=True InvalidProviderConfiguration: spec.verify is not supported yet: remove it",
                "Ready=False InvalidProviderConfiguration: spec.verify is not supported yet: remove it",
                "FetchFailed=True InvalidProviderConfiguration: spec.verify is not supported yet: remove it",
            ]
        );
    }

    #[test]
    fn what_is_suspended_is_seen() {
        let mut conditions = Vec::new();
        seen(&mut conditions, 2, Time::default());
        assert!(conditions.is_empty());
        succeeded(&mut conditions, 1, reasons::SUCCEEDED, "stored", Time::default());
        seen(&mut conditions, 2, Time::default());
        assert_eq!(find_condition(&conditions, "Ready").unwrap().observed_generation, 2);
        assert_eq!(
            shown(&conditions),
            ["Ready=True Succeeded: stored", "ArtifactInStorage=True Succeeded: stored"]
        );
    }

    #[test]
    fn a_bad_signature_speaks_first() {
        let mut conditions = Vec::new();
        failed(
            &mut conditions,
            1,
            &Problem::verification("InvalidCommitSignature", "bad"),
            Time::default(),
        );
        let ready = find_condition(&conditions, "Ready").unwrap();
        assert_eq!(
            (ready.reason.as_str(), ready.message.as_str()),
            ("InvalidCommitSignature", "bad")
        );
    }
}
