//! What a turn says of itself: conditions, status fields, events. Pure.
//!
//! Behaviour: image-automation-controller v1.2 `internal/controller/imageupdateautomation_controller.go`
//! (`reconcile`, `notify`), fluxcd/pkg `runtime/reconcile/result.go`.

use borax_api::image::ImageUpdateAutomationStatus as Status;
use borax_api::meta::{
    Condition, ConditionStatus, Time, condition_types as types, find_condition, is_condition_true,
    reasons, remove_condition, set_condition,
};
use borax_kubeio::EventKind;
use borax_source::git::{Proposed, Pushed};

use super::decide::{Failure, Work};

/// The message of a successful turn.
const UP_TO_DATE: &str = "repository up-to-date";

/// How many left values a message names.
const NAMED: usize = 5;

/// An event to be told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Telling {
    pub(super) kind: EventKind,
    pub(super) reason: String,
    pub(super) message: String,
}

/// The status while a new generation is being worked on.
pub(super) fn progressing(status: &mut Status, generation: i64, now: Time) {
    let message =
        format!("processing object: new generation {} -> {generation}", status.observed_generation);
    remove_condition(&mut status.conditions, types::STALLED);
    let set = |status: &mut Status, type_, value| {
        let condition =
            Condition::new(type_, value, reasons::PROGRESSING, message.as_str(), generation);
        set_condition(&mut status.conditions, condition, now);
    };
    set(status, types::RECONCILING, ConditionStatus::True);
    let ready = find_condition(&status.conditions, types::READY);
    if ready.is_none_or(|ready| ready.status == ConditionStatus::Unknown) {
        set(status, types::READY, ConditionStatus::Unknown);
    }
}

/// The status after a turn that worked; what to tell.
pub(super) fn succeeded(
    before: &Status,
    status: &mut Status,
    generation: i64,
    outcome: (&Work, &Proposed, &[String]),
    now: Time,
) -> Option<Telling> {
    let (work, proposed, problems) = outcome;
    match proposed {
        Proposed::Unmoved => {}
        Proposed::Nothing { revision } => {
            status.observed_source_revision.clone_from(revision);
            status.observed_policies.clone_from(&work.observed);
        }
        Proposed::Pushed(pushed) => {
            status.observed_source_revision.clone_from(&pushed.revision);
            status.observed_policies.clone_from(&work.observed);
            status.last_push_commit.clone_from(&pushed.commit);
            status.last_push_time = Some(now);
        }
    }
    // Files that were not looked into are still as they were.
    let ready = find_condition(&before.conditions, types::READY);
    let message = match (proposed, ready) {
        (Proposed::Unmoved, Some(ready)) if ready.status == ConditionStatus::True => {
            ready.message.clone()
        }
        _ => left(problems),
    };
    status.observed_generation = generation;
    remove_condition(&mut status.conditions, types::STALLED);
    remove_condition(&mut status.conditions, types::RECONCILING);
    let ready = Condition::new(
        types::READY,
        ConditionStatus::True,
        reasons::SUCCEEDED,
        message.as_str(),
        generation,
    );
    set_condition(&mut status.conditions, ready, now);
    let message = match proposed {
        Proposed::Pushed(pushed) => summary(pushed, work),
        _ if is_ready(before) => return None,
        _ => message,
    };
    let reason = reasons::SUCCEEDED.to_owned();
    Some(Telling { kind: EventKind::Normal, reason, message })
}

/// The Ready message, with the marked values that were left alone: a person must learn of them, and Flux says nothing.
fn left(problems: &[String]) -> String {
    let mut text = UP_TO_DATE.to_owned();
    for (i, problem) in problems.iter().take(NAMED).enumerate() {
        text.push_str(if i == 0 { "; left as they are: " } else { "; " });
        text.push_str(problem);
    }
    if let Some(more @ 1..) = problems.len().checked_sub(NAMED) {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// `pushed commit '…' to branch '…'`, and the commit's message.
fn summary(pushed: &Pushed, work: &Work) -> String {
    let short = pushed.commit.get(..7).unwrap_or(&pushed.commit);
    let mut text = format!("pushed commit '{short}' to branch '{}'", work.branch);
    if !work.refspecs.is_empty() {
        let refspecs: Vec<String> = work.refspecs.iter().map(ToString::to_string).collect();
        text.push_str(&format!(" and refspecs '{}'", refspecs.join("', '")));
    }
    if !pushed.message.is_empty() {
        text.push('\n');
        text.push_str(&pushed.message);
    }
    text
}

/// The status after a turn that failed; what to tell, when it is news.
pub(super) fn failed(
    before: &Status,
    status: &mut Status,
    generation: i64,
    failure: &Failure,
    now: Time,
) -> Option<Telling> {
    let Failure { reason, message, stalled } = failure;
    if *stalled {
        status.observed_generation = generation;
        remove_condition(&mut status.conditions, types::RECONCILING);
        let stalled = Condition::new(
            types::STALLED,
            ConditionStatus::True,
            reason,
            message.as_str(),
            generation,
        );
        set_condition(&mut status.conditions, stalled, now);
    } else {
        remove_condition(&mut status.conditions, types::STALLED);
        let going = find_condition(&status.conditions, types::RECONCILING);
        let going = going.map_or("reconciliation in progress".to_owned(), |c| c.message.clone());
        let reason = reasons::PROGRESSING_WITH_RETRY;
        let reconciling =
            Condition::new(types::RECONCILING, ConditionStatus::True, reason, going, generation);
        set_condition(&mut status.conditions, reconciling, now);
    }
    let ready =
        Condition::new(types::READY, ConditionStatus::False, reason, message.as_str(), generation);
    set_condition(&mut status.conditions, ready, now);
    let told = find_condition(&before.conditions, types::READY)
        .is_some_and(|ready| ready.message == *message && ready.reason == **reason);
    (!told).then(|| Telling {
        kind: EventKind::Warning,
        reason: (*reason).to_owned(),
        message: message.clone(),
    })
}

fn is_ready(status: &Status) -> bool {
    is_condition_true(&status.conditions, types::READY)
        && find_condition(&status.conditions, types::STALLED).is_none()
        && find_condition(&status.conditions, types::RECONCILING).is_none()
}

#[cfg(test)]
#[path = "report/tests.rs"]
mod tests;
