//! What a turn says of itself: conditions, status fields, events. Pure.
//!
//! Behaviour: image-automation-controller v1.2 `internal/controller/imageupdateautomation_controller.go`
//! (`reconcile`, `notify`), fluxcd/pkg `runtime/reconcile/result.go`.

use borax_api::image::ImageUpdateAutomationStatus as Status;
use borax_api::meta::{ConditionStatus, Time, condition_types as types, find_condition, reasons};
use borax_kubeio::EventKind;
use borax_source::git::{Proposed, Pushed};

use super::decide::Work;
use crate::image::summary::{self, Problem, Telling};

/// The message of a successful turn.
const UP_TO_DATE: &str = "repository up-to-date";

/// How many left values a message names.
const NAMED: usize = 5;

/// The status while a new generation is being worked on.
pub(super) fn progressing(status: &mut Status, generation: i64, now: Time) {
    let message =
        format!("processing object: new generation {} -> {generation}", status.observed_generation);
    summary::progressing(&mut status.conditions, generation, &message, now);
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
    summary::succeeded(&mut status.conditions, generation, &message, now);
    let message = match proposed {
        Proposed::Pushed(pushed) => told_of(pushed, work),
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
fn told_of(pushed: &Pushed, work: &Work) -> String {
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
    problem: &Problem,
    now: Time,
) -> Option<Telling> {
    if problem.is_stalled {
        status.observed_generation = generation;
    }
    summary::failed(&mut status.conditions, generation, problem, now);
    summary::event(&before.conditions, &status.conditions)
}

fn is_ready(status: &Status) -> bool {
    summary::is_ready(&status.conditions)
        && find_condition(&status.conditions, types::STALLED).is_none()
        && find_condition(&status.conditions, types::RECONCILING).is_none()
}

#[cfg(test)]
#[path = "report/tests.rs"]
mod tests;
