//! The conditions of image objects. Pure.
//!
//! Behaviour: fluxcd/pkg `runtime/reconcile/result.go` as image-reflector-controller v1.2 uses it.

use borax_api::meta::{
    Condition, ConditionStatus, Time, condition_types as types, find_condition, is_condition_true,
    reasons, remove_condition, set_condition,
};
use borax_kubeio::EventKind;

/// Why an object is not what its spec asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The reason of the conditions.
    pub reason: &'static str,
    /// What a person should know.
    pub message: String,
    /// Whether only another spec helps.
    pub is_stalled: bool,
}

impl Problem {
    /// Trying again may help.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), is_stalled: false }
    }

    /// Only another spec helps.
    pub fn stalled(reason: &'static str, message: impl Into<String>) -> Self {
        Self { is_stalled: true, ..Self::new(reason, message) }
    }
}

/// An event to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// Whether it is a warning.
    pub kind: EventKind,
    /// Its reason: that of the Ready condition.
    pub reason: String,
    /// What a person should know.
    pub message: String,
}

/// What is going on; Ready says so too, unless it has something to say already.
pub fn progressing(conditions: &mut Vec<Condition>, generation: i64, message: &str, now: Time) {
    remove_condition(conditions, types::STALLED);
    let condition =
        |type_, status| Condition::new(type_, status, reasons::PROGRESSING, message, generation);
    set_condition(conditions, condition(types::RECONCILING, ConditionStatus::True), now);
    let ready = find_condition(conditions, types::READY);
    if ready.is_none_or(|ready| ready.status == ConditionStatus::Unknown) {
        set_condition(conditions, condition(types::READY, ConditionStatus::Unknown), now);
    }
}

/// The object is what its spec asks for.
pub fn succeeded(conditions: &mut Vec<Condition>, generation: i64, message: &str, now: Time) {
    remove_condition(conditions, types::STALLED);
    remove_condition(conditions, types::RECONCILING);
    let status = ConditionStatus::True;
    let ready = Condition::new(types::READY, status, reasons::SUCCEEDED, message, generation);
    set_condition(conditions, ready, now);
}

/// The object is not what its spec asks for.
pub fn failed(conditions: &mut Vec<Condition>, generation: i64, problem: &Problem, now: Time) {
    let (type_, reason, message) = if problem.is_stalled {
        remove_condition(conditions, types::RECONCILING);
        (types::STALLED, problem.reason, problem.message.clone())
    } else {
        remove_condition(conditions, types::STALLED);
        let going_on = find_condition(conditions, types::RECONCILING);
        let going_on = going_on.map(|reconciling| reconciling.message.clone());
        let message = going_on.unwrap_or_else(|| "reconciliation in progress".to_owned());
        (types::RECONCILING, reasons::PROGRESSING_WITH_RETRY, message)
    };
    let told = Condition::new(type_, ConditionStatus::True, reason, message, generation);
    set_condition(conditions, told, now);
    let (status, message) = (ConditionStatus::False, problem.message.as_str());
    let ready = Condition::new(types::READY, status, problem.reason, message, generation);
    set_condition(conditions, ready, now);
}

/// The event that the change of an object's conditions is worth: it became ready, is ready in another way, or failed in
/// another way.
pub fn event(before: &[Condition], after: &[Condition]) -> Option<Telling> {
    let ready = find_condition(after, types::READY)?;
    let old = find_condition(before, types::READY);
    let is_news = old.is_none_or(|old| {
        (old.status, &old.reason, &old.message) != (ready.status, &ready.reason, &ready.message)
    });
    let kind = match ready.status {
        ConditionStatus::True => EventKind::Normal,
        _ => EventKind::Warning,
    };
    is_news.then(|| Telling { kind, reason: ready.reason.clone(), message: ready.message.clone() })
}

/// Whether conditions say that the object is as it should be.
pub fn is_ready(conditions: &[Condition]) -> bool {
    is_condition_true(conditions, types::READY)
}

/// Whether conditions say that nothing is left to do for the generation that they are about.
pub fn is_settled(conditions: &[Condition]) -> bool {
    is_ready(conditions) || is_condition_true(conditions, types::STALLED)
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
    fn conditions_of_a_life() {
        let now = Time::default();
        let mut c = Vec::new();
        progressing(&mut c, 1, "scanning: first scan", now);
        assert_eq!(
            shown(&c),
            [
                "Reconciling=True Progressing: scanning: first scan",
                "Ready=Unknown Progressing: scanning: first scan"
            ]
        );
        let before = c.clone();
        succeeded(&mut c, 1, "successful scan", now);
        assert_eq!(shown(&c), ["Ready=True Succeeded: successful scan"]);
        let told = event(&before, &c).unwrap();
        assert_eq!((told.kind, told.message.as_str()), (EventKind::Normal, "successful scan"));
        assert_eq!(event(&c, &c), None);

        progressing(&mut c, 2, "processing object: new generation 1 -> 2", now);
        failed(&mut c, 2, &Problem::new("ReadOperationFailed", "scan failed: no"), now);
        assert_eq!(
            shown(&c),
            [
                "Reconciling=True ProgressingWithRetry: processing object: new generation 1 -> 2",
                "Ready=False ReadOperationFailed: scan failed: no"
            ]
        );
        failed(&mut c, 3, &Problem::stalled("ImageURLInvalid", "bad"), now);
        assert_eq!(
            shown(&c),
            ["Stalled=True ImageURLInvalid: bad", "Ready=False ImageURLInvalid: bad"]
        );
    }
}
