//! Which state a release is in, and what happens next: Flux's table.

use borax_api::helm::HelmReleaseStatus;
use borax_release::decide::{next, stop_after_remediation, stop_before};
use borax_release::state::{determine, target_changed};
use borax_release::{Action, History, Next, State, Status, Stop, Wanted, config_digest, snapshot};
use serde_json::{Map, Value, json};

fn known(versions: &[(i64, Status)]) -> (HelmReleaseStatus, History) {
    let releases: Vec<_> =
        versions.iter().map(|(version, status)| crate::release(*version, *status)).collect();
    let mut history: Vec<_> = releases.iter().map(|r| snapshot(r, "install", "")).collect();
    history.reverse();
    let status = HelmReleaseStatus {
        history,
        storage_namespace: "apps".into(),
        observed_generation: 2,
        ..HelmReleaseStatus::default()
    };
    (status, History::new(releases))
}

fn state_of(spec: Value, status: &HelmReleaseStatus, history: &History) -> State {
    let chart = borax_helm::Metadata {
        name: "web".into(),
        version: "1.0.0".into(),
        ..borax_helm::Metadata::default()
    };
    let digest = config_digest(&Map::new());
    let wanted = Wanted { chart: &chart, config_digest: &digest, oci_digest: "" };
    determine(&crate::object(spec, json!({})), status, history, &wanted).unwrap()
}

#[test]
fn a_release_is_told_apart_by_its_records_and_the_status() {
    let none = HelmReleaseStatus::default();
    let plain = || json!({});
    assert!(matches!(state_of(plain(), &none, &History::default()), State::Absent(_)));
    let (_, deployed) = known(&[(1, Status::Deployed)]);
    assert!(matches!(state_of(plain(), &none, &deployed), State::Unmanaged(_)));
    let (status, pending) = known(&[(1, Status::PendingUpgrade)]);
    assert_eq!(state_of(plain(), &status, &pending), State::Locked(Status::PendingUpgrade));
    let (status, history) = known(&[(1, Status::Deployed)]);
    assert_eq!(state_of(plain(), &status, &history), State::InSync);
    let (status, history) = known(&[(1, Status::Failed)]);
    assert!(matches!(state_of(plain(), &status, &history), State::Failed(_)));
    let (status, history) = known(&[(1, Status::Uninstalled)]);
    assert!(matches!(state_of(plain(), &status, &history), State::Absent(_)));
    let (status, history) = known(&[(1, Status::Uninstalling)]);
    assert_eq!(state_of(plain(), &status, &history), State::Uninstalling);
    let tests = json!({"test": {"enable": true}});
    let (mut status, history) = known(&[(1, Status::Deployed)]);
    assert_eq!(state_of(tests.clone(), &status, &history), State::Untested);
    status.history[0].test_hooks = Some([].into());
    assert_eq!(state_of(tests, &status, &history), State::InSync);
}

#[test]
fn values_charts_and_renderers_make_it_out_of_sync() {
    let (mut status, history) = known(&[(1, Status::Deployed)]);
    status.history[0].config_digest = "sha256:other".into();
    assert!(matches!(state_of(json!({}), &status, &history), State::OutOfSync(_)));
    let (mut status, history) = known(&[(1, Status::Deployed)]);
    status.observed_generation = 1;
    assert_eq!(state_of(json!({}), &status, &history), State::InSync);
    let common = json!({"commonMetadata": {"labels": {"a": "b"}}});
    assert!(matches!(state_of(common, &status, &history), State::OutOfSync(_)));
    let mut foreign = crate::release(1, Status::Deployed);
    foreign.manifest = "someone else's".into();
    let foreign = History::new(vec![foreign]);
    assert!(matches!(state_of(json!({}), &status, &foreign), State::Unmanaged(_)));
}

fn decided(
    spec: Value,
    versions: &[(i64, Status)],
    attempted: Value,
    state: &State,
    forced: bool,
) -> Next {
    let (mut status, history) = known(versions);
    let more: HelmReleaseStatus = serde_json::from_value(attempted).unwrap();
    status.last_attempted_release_action = more.last_attempted_release_action;
    status.install_failures = more.install_failures;
    status.upgrade_failures = more.upgrade_failures;
    next(&crate::object(spec, json!({})), &mut status, state, &history, forced, false)
}

#[test]
fn a_failed_upgrade_is_rolled_back_as_often_as_the_spec_says() {
    let failed = State::Failed("");
    let two = [(1, Status::Superseded), (2, Status::Failed)];
    let spec = |remediation: Value| json!({"upgrade": {"remediation": remediation}});
    let after = |failures: i64| json!({"lastAttemptedReleaseAction": "upgrade", "upgradeFailures": failures});
    let retries = || spec(json!({"retries": 1}));
    assert_eq!(decided(retries(), &two, after(1), &failed, false), Next::Run(Action::Rollback(1)));
    // With retries the last failure is remediated as well.
    assert_eq!(decided(retries(), &two, after(2), &failed, false), Next::Run(Action::Rollback(1)));
    assert!(matches!(
        decided(spec(json!({})), &two, after(1), &failed, false),
        Next::RetriesExceeded(_)
    ));
    // A person may try all the same, and what has changed is tried anew.
    assert_eq!(decided(spec(json!({})), &two, after(1), &failed, true), Next::Run(Action::Upgrade));
    assert_eq!(
        decided(spec(json!({})), &two, after(0), &failed, false),
        Next::Run(Action::Upgrade)
    );
    assert_eq!(
        decided(
            spec(json!({"retries": 1, "strategy": "uninstall"})),
            &two,
            after(1),
            &failed,
            false
        ),
        Next::Run(Action::UninstallRemediation)
    );
    assert_eq!(
        decided(retries(), &[(2, Status::Failed)], after(1), &failed, false),
        Next::MissingRollbackTarget
    );
    let retry = json!({"upgrade": {"strategy": {"name": "RetryOnFailure"}}});
    assert_eq!(decided(retry, &two, after(9), &failed, false), Next::Run(Action::Upgrade));
}

#[test]
fn a_failed_install_is_uninstalled_and_tried_again() {
    let failed = State::Failed("");
    let one = [(1, Status::Failed)];
    let after = |failures: i64| json!({"lastAttemptedReleaseAction": "install", "installFailures": failures});
    let spec = || json!({"install": {"remediation": {"retries": 1}}});
    assert_eq!(
        decided(spec(), &one, after(1), &failed, false),
        Next::Run(Action::UninstallRemediation)
    );
    assert!(matches!(decided(spec(), &one, after(2), &failed, false), Next::RetriesExceeded(_)));
    let absent = State::Absent("");
    assert_eq!(decided(spec(), &[], after(1), &absent, false), Next::Run(Action::Install));
    assert!(matches!(decided(spec(), &[], after(2), &absent, false), Next::RetriesExceeded(_)));
}

#[test]
fn other_states_have_one_answer() {
    let one = [(1, Status::Deployed)];
    let of = |state: State| decided(json!({}), &one, json!({}), &state, false);
    assert_eq!(of(State::InSync), Next::Done);
    assert_eq!(of(State::Locked(Status::PendingInstall)), Next::Run(Action::Unlock));
    assert_eq!(of(State::Unmanaged("")), Next::Run(Action::Upgrade));
    assert_eq!(of(State::OutOfSync("")), Next::Run(Action::Upgrade));
    assert_eq!(of(State::Untested), Next::Run(Action::Test));
    assert_eq!(of(State::Uninstalling), Next::Run(Action::UninstallRemediation));
    assert_eq!(
        decided(json!({}), &one, json!({}), &State::InSync, true),
        Next::Run(Action::Upgrade)
    );
}

#[test]
fn a_turn_ends_as_the_strategy_says() {
    let object = |spec| crate::object(spec, json!({}));
    let status = |failures: i64| HelmReleaseStatus {
        upgrade_failures: failures,
        last_attempted_release_action: Some(borax_api::helm::AttemptedAction::Upgrade),
        ..HelmReleaseStatus::default()
    };
    let plain = object(json!({"upgrade": {"remediation": {"retries": 1}}}));
    assert_eq!(stop_before(&plain, &status(1), false), Stop::Again);
    assert_eq!(stop_before(&plain, &status(2), false), Stop::Settled);
    assert_eq!(stop_after_remediation(&plain, &status(1), false), Stop::Again);
    assert_eq!(stop_after_remediation(&plain, &status(2), false), Stop::RetriesExceeded);
    let retry = object(json!({"upgrade": {"strategy": {
        "name": "RetryOnFailure", "retryInterval": "1m",
    }}}));
    assert_eq!(
        stop_before(&retry, &status(5), false),
        Stop::Retry(std::time::Duration::from_secs(60))
    );
}

#[test]
fn another_target_means_another_release() {
    let (status, _) = known(&[(1, Status::Deployed)]);
    let changed =
        |spec: Value, chart| target_changed(&crate::object(spec, json!({})), &status, chart);
    assert_eq!(changed(json!({}), "web"), None);
    assert_eq!(changed(json!({"storageNamespace": "x"}), "web"), Some("storage namespace"));
    assert_eq!(changed(json!({"targetNamespace": "x"}), "web"), Some("release namespace"));
    assert_eq!(changed(json!({"releaseName": "x"}), "web"), Some("release name"));
    assert_eq!(changed(json!({}), "other"), Some("chart name"));
    let in_place = json!({"upgrade": {"chartNameChangeStrategy": "InPlaceUpdate"}});
    assert_eq!(changed(in_place, "other"), None);
}
