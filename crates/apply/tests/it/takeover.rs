//! Fields of kubectl and others become ours, their traces go.

use borax_apply::{Takeover, migration_patch};
use serde_json::{Value, json};

fn takeover(overrides: &[&str]) -> Takeover {
    let overrides: Vec<String> = overrides.iter().map(|name| (*name).to_owned()).collect();
    Takeover::new("kustomize.toolkit.fluxcd.io", "kustomize-controller", &overrides)
}

fn entry(manager: &str, operation: &str, fields: Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
}

fn object(entries: Vec<Value>) -> Value {
    json!({"metadata": {"name": "a", "managedFields": entries}})
}

fn replaced(patch: Option<Value>) -> Vec<Value> {
    let patch = patch.expect("a patch");
    let last = patch.as_array().and_then(|ops| ops.last()).expect("an operation");
    assert_eq!(
        (&last["op"], &last["path"]),
        (&json!("replace"), &json!("/metadata/managedFields"))
    );
    last["value"].as_array().expect("entries").clone()
}

#[test]
fn kubectls_entry_is_renamed_where_we_have_none() {
    let live = object(vec![
        entry("kubectl-client-side-apply", "Update", json!({"f:data": {}})),
        entry("kube-controller-manager", "Update", json!({"f:status": {}})),
    ]);
    assert!(takeover(&[]).is_needed(&live));
    assert_eq!(
        replaced(takeover(&[]).patch(&live)),
        [
            entry("kube-controller-manager", "Update", json!({"f:status": {}})),
            entry("kustomize-controller", "Apply", json!({"f:data": {}})),
        ]
    );
}

#[test]
fn what_is_taken_is_merged_into_ours() {
    let live = object(vec![
        entry("kustomize-controller", "Apply", json!({"f:data": {"f:a": {}}})),
        entry("kubectl", "Apply", json!({"f:data": {".": {}, "f:b": {}}})),
        entry("before-first-apply", "Update", json!({"f:data": {"f:a": {"f:deep": {}}}})),
    ]);
    assert_eq!(
        replaced(takeover(&[]).patch(&live)),
        [entry(
            "kustomize-controller",
            "Apply",
            json!({"f:data": {".": {}, "f:a": {".": {}, "f:deep": {}}, "f:b": {}}})
        )]
    );
}

#[test]
fn subresources_and_other_managers_are_not_taken_unless_overridden() {
    let mut scale = entry("kubectl-scale", "Update", json!({}));
    scale["subresource"] = json!("scale");
    let live = object(vec![scale, entry("helm", "Update", json!({"f:data": {}}))]);
    assert_eq!(takeover(&[]).patch(&live), None);
    assert!(!takeover(&[]).is_needed(&live));
    assert_eq!(
        replaced(takeover(&["helm"]).patch(&live))[1],
        entry("kustomize-controller", "Apply", json!({"f:data": {}}))
    );
}

#[test]
fn traces_of_other_tools_are_removed() {
    let live = json!({"metadata": {
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "keep": "x"},
        "labels": {"fluxcd.io/sync-gc-mark": "x"},
    }});
    assert_eq!(
        takeover(&[]).patch(&live),
        Some(json!([
            {"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},
            {"op": "remove", "path": "/metadata/labels/fluxcd.io~1sync-gc-mark"},
        ]))
    );
    assert_eq!(takeover(&[]).patch(&json!({"metadata": {}})), None);
}

#[test]
fn managed_fields_move_to_the_applied_version() {
    let live = object(vec![entry("a", "Apply", json!({}))]);
    assert_eq!(migration_patch(&live, "v1"), None);
    let patch = migration_patch(&live, "v2").expect("a patch");
    assert_eq!(patch[0]["value"][0]["apiVersion"], "v2");
}
