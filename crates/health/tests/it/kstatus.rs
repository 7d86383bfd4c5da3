//! The table of objects and their states in `tests/cases/kstatus.yaml`.

use borax_health::{Status, compute, due};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    case: String,
    now: Option<String>,
    object: Value,
    expect: Status,
}

#[test]
fn objects_are_judged_as_kstatus_and_flux_judge_them() {
    let cases: Vec<Case> = serde_norway::from_str(include_str!("../cases/kstatus.yaml")).unwrap();
    assert!(cases.len() > 45);
    for case in cases {
        let now = case.now.as_deref().unwrap_or("2024-01-01T00:00:00Z").parse().unwrap();
        assert_eq!(compute(&case.object, now), case.expect, "{}", case.case);
    }
}

#[test]
fn only_an_unschedulable_pod_changes_by_time_alone() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
                                                        "reason": "Unschedulable"}]},
    });
    assert_eq!(due(&pod), Some("2024-01-01T00:00:15Z".parse().unwrap()));
    assert_eq!(
        due(&json!({"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Running"}})),
        None
    );
    assert_eq!(due(&json!({"apiVersion": "apps/v1", "kind": "Deployment"})), None);
}

#[test]
fn the_table_is_what_flux_own_packages_say() {
    let cases: Vec<Case> = serde_norway::from_str(include_str!("../cases/kstatus.yaml")).unwrap();
    let recorded: std::collections::BTreeMap<String, Status> =
        serde_json::from_str(include_str!("../cases/kstatus.flux.json")).unwrap();
    for case in cases.iter().filter(|case| case.now.is_none()) {
        let flux = recorded.get(&case.case).expect("every case has a baseline");
        assert_eq!(case.expect.state, flux.state, "{}", case.case);
        // The package's errors are Go's; ours name the field.
        if flux.state != borax_health::State::Unknown {
            assert_eq!(case.expect.message, flux.message, "{}", case.case);
        }
    }
}
