//! Drift, ignored fields, and errors that recreation can heal.

use borax_apply::{IgnoreRule, IgnoreRules, IgnoreTarget, has_drifted, is_immutable_error};
use serde_json::{Value, json};

fn deployment(replicas: i64, managers: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
           "metadata": {"name": "web", "resourceVersion": "1", "labels": {"app": "web"}, "managedFields": managers},
           "spec": {"replicas": replicas, "containers": [{"name": "a", "image": "x"}]}})
}

fn rules(paths: &[&str], target: Option<IgnoreTarget>) -> IgnoreRules {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    IgnoreRules::compile(&[IgnoreRule { paths, target }]).expect("valid rules")
}

#[test]
fn only_labels_annotations_and_content_count() {
    let none = IgnoreRules::default();
    let live = deployment(1, json!([]));
    let mut same = deployment(1, json!([{"manager": "m"}]));
    same["status"] = json!({"ready": 1});
    same["metadata"]["generation"] = json!(7);
    same["metadata"]["finalizers"] = json!(["f"]);
    assert!(!has_drifted(&live, &same, &none));
    assert!(has_drifted(&live, &deployment(2, json!([])), &none));
    let mut labelled = live.clone();
    labelled["metadata"]["labels"]["x"] = json!("y");
    assert!(has_drifted(&live, &labelled, &none));
    let mut new = live.clone();
    new["metadata"]["resourceVersion"] = json!("");
    assert!(has_drifted(&live, &new, &none));
}

#[test]
fn ignored_fields_do_not_count_where_the_target_fits() {
    let (live, dry_run) = (deployment(3, json!([])), deployment(1, json!([])));
    assert!(!has_drifted(&live, &dry_run, &rules(&["/spec/replicas"], None)));
    let target = |kind: &str, labels: &str| {
        Some(IgnoreTarget {
            kind: kind.into(),
            label_selector: labels.into(),
            ..IgnoreTarget::default()
        })
    };
    assert!(!has_drifted(
        &live,
        &dry_run,
        &rules(&["/spec/replicas"], target("Deploy.*", "app in (web, api),!x"))
    ));
    assert!(has_drifted(&live, &dry_run, &rules(&["/spec/replicas"], target("Deploy", ""))));
    assert!(has_drifted(&live, &dry_run, &rules(&["/spec/replicas"], target("", "app!=web"))));
}

#[test]
fn an_ignored_field_is_left_to_its_applier_and_otherwise_kept_as_it_lives() {
    let rule = rules(&["/spec/replicas", "/spec/containers/0/image"], None);
    let applied = json!([{"manager": "hpa", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
    let updated = json!([{"manager": "hpa", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
    let dry_run = deployment(1, json!([]));
    let adapted = |live: Value| {
        let mut desired = deployment(1, json!(null));
        rule.adapt(&mut desired, &live, &dry_run, "kustomize-controller");
        desired["spec"].clone()
    };
    assert_eq!(
        adapted(deployment(3, applied)),
        json!({"containers": [{"name": "a", "image": "x"}]})
    );
    assert_eq!(adapted(deployment(3, updated))["replicas"], 3);

    let by_list_key = json!([{"manager": "vpa", "operation": "Apply",
        "fieldsV1": {"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {"f:image": {}}}}}}]);
    let mut live = deployment(1, by_list_key);
    live["spec"]["containers"][0]["image"] = json!("y");
    assert_eq!(adapted(live), json!({"replicas": 1, "containers": [{"name": "a"}]}));
}

#[test]
fn ignore_rules_that_make_no_sense_say_where() {
    let text = |target: IgnoreTarget| {
        IgnoreRules::compile(&[IgnoreRule { paths: vec![], target: Some(target) }])
            .unwrap_err()
            .to_string()
    };
    assert!(
        text(IgnoreTarget { name: "(".into(), ..Default::default() })
            .starts_with("invalid name regex in ignore rule 0")
    );
    assert_eq!(
        text(IgnoreTarget { label_selector: "a in (b".into(), ..Default::default() }),
        "invalid label selector in ignore rule 0: a parenthesis is open in \"a in (b\""
    );
}

#[test]
fn conflicts_invalid_objects_and_words_about_immutability_can_be_healed() {
    assert!(is_immutable_error("Invalid", "spec.selector: field is immutable"));
    assert!(is_immutable_error("Conflict", ""));
    assert!(is_immutable_error("Forbidden", "updates to an immutable field are denied"));
    assert!(!is_immutable_error("Forbidden", "no rights"));
}
