//! Statuses and events of every outcome.

use super::*;
use borax_api::image::reasons as image;
use borax_api::meta::Condition;
use borax_api::source::GitRepository;
use std::sync::Arc;

fn work(refspec: Option<&str>) -> Work {
    Work {
        source: Arc::new(GitRepository::new("repo", Default::default())),
        git: Default::default(),
        reference: Default::default(),
        branch: "main".to_owned(),
        refspecs: refspec
            .map(|text| borax_source::git::Refspec::parse(text).unwrap())
            .into_iter()
            .collect(),
        options: Vec::new(),
        path: String::new(),
        policies: Default::default(),
        observed: [("web".to_owned(), Default::default())].into(),
        unless: None,
    }
}

fn shown(status: &Status) -> Vec<String> {
    let show = |c: &Condition| format!("{}={} {}: {}", c.type_, c.status, c.reason, c.message);
    status.conditions.iter().map(show).collect()
}

fn pushed() -> Proposed {
    Proposed::Pushed(Pushed {
        revision: "main@sha1:0123456789".to_owned(),
        commit: "0123456789".to_owned(),
        message: "New images".to_owned(),
        attempts: 1,
    })
}

fn nothing() -> Proposed {
    Proposed::Nothing { revision: "main@sha1:1".to_owned() }
}

fn success(status: &mut Status, proposed: &Proposed, problems: &[&str]) -> Option<String> {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let before = status.clone();
    succeeded(&before, status, 2, (&work(None), proposed, &problems), Time::default())
        .map(|telling| format!("{:?} {} {}", telling.kind, telling.reason, telling.message))
}

#[test]
fn a_push_is_recorded_and_told() {
    let mut status = Status::default();
    progressing(&mut status, 2, Time::default());
    assert_eq!(
        shown(&status),
        [
            "Reconciling=True Progressing: processing object: new generation 0 -> 2",
            "Ready=Unknown Progressing: processing object: new generation 0 -> 2"
        ]
    );
    let told = success(&mut status, &pushed(), &[]);
    assert_eq!(
        told.as_deref(),
        Some("Normal Succeeded pushed commit '0123456' to branch 'main'\nNew images")
    );
    assert_eq!(shown(&status), ["Ready=True Succeeded: repository up-to-date"]);
    assert_eq!(status.last_push_commit, "0123456789");
    assert_eq!(status.observed_source_revision, "main@sha1:0123456789");
    assert_eq!((status.observed_generation, status.observed_policies.len()), (2, 1));
    assert!(status.last_push_time.is_some());
    let before = status.clone();
    assert_eq!(success(&mut status, &nothing(), &[]), None, "nothing is news");
    assert_eq!(status.last_push_commit, before.last_push_commit);
    assert_eq!(status.observed_source_revision, "main@sha1:1");
    // The commit is told though it was ready before.
    assert!(success(&mut status, &pushed(), &[]).is_some());
}

#[test]
fn refspecs_are_part_of_the_summary() {
    let Proposed::Pushed(pushed) = pushed() else { return };
    assert_eq!(
        told_of(
            &Pushed { message: String::new(), ..pushed },
            &work(Some("refs/heads/a:refs/for/b"))
        ),
        "pushed commit '0123456' to branch 'main' and refspecs 'refs/heads/a:refs/for/b'"
    );
}

#[test]
fn what_was_left_is_told_until_the_files_are_looked_into_again() {
    let mut status = Status::default();
    success(&mut status, &nothing(), &["a.yaml:3: no YAML", "b.yaml:1: no YAML"]);
    let left = "Ready=True Succeeded: repository up-to-date; left as they are: a.yaml:3: no YAML; b.yaml:1: no YAML";
    assert_eq!(shown(&status), [left]);
    success(&mut status, &Proposed::Unmoved, &[]);
    assert_eq!(shown(&status), [left]);
    success(&mut status, &nothing(), &[]);
    assert_eq!(shown(&status), ["Ready=True Succeeded: repository up-to-date"]);
    success(&mut status, &nothing(), &["1"; 8]);
    assert!(shown(&status)[0].ends_with("1; 1; 1; 1; 1; and 3 more"), "{:?}", shown(&status));
}

#[test]
fn failures_are_told_once_and_their_end_too() {
    let mut status = Status::default();
    success(&mut status, &nothing(), &[]);
    let failure = Problem::new(image::GIT_OPERATION_FAILED, "failed to checkout source: no route");
    let fail = |status: &mut Status, failure: &Problem| {
        let before = status.clone();
        failed(&before, status, 3, failure, Time::default()).map(|telling| telling.message)
    };
    assert_eq!(fail(&mut status, &failure).as_deref(), Some("failed to checkout source: no route"));
    assert_eq!(fail(&mut status, &failure), None);
    assert_eq!(
        shown(&status),
        [
            "Reconciling=True ProgressingWithRetry: reconciliation in progress",
            "Ready=False GitOperationFailed: failed to checkout source: no route"
        ]
    );
    assert_eq!(status.observed_generation, 2, "it is not done with the new generation");
    let stalled = Problem::stalled(image::INVALID_UPDATE_STRATEGY, "no update strategy");
    assert!(fail(&mut status, &stalled).is_some());
    assert_eq!(
        shown(&status),
        [
            "Stalled=True InvalidUpdateStrategy: no update strategy",
            "Ready=False InvalidUpdateStrategy: no update strategy"
        ]
    );
    assert_eq!(status.observed_generation, 3);
    assert_eq!(
        success(&mut status, &nothing(), &[]).as_deref(),
        Some("Normal Succeeded repository up-to-date")
    );
}
