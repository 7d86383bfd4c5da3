//! Inventory ids read back what they write; the cases are those cli-utils and Flux's fork agree on.

use borax_object::{Entry, ObjectId, check, flatten, meta};
use serde_json::json;

fn id(group: &str, kind: &str, namespace: &str, name: &str) -> ObjectId {
    ObjectId {
        group: group.into(),
        kind: kind.into(),
        namespace: namespace.into(),
        name: name.into(),
    }
}

#[test]
fn inventory_ids_go_both_ways() {
    let rbac = "rbac.authorization.k8s.io";
    for (text, id) in [
        ("_test-name_apps_ReplicaSet", id("apps", "ReplicaSet", "", "test-name")),
        ("ns_test-name_apps_Deployment", id("apps", "Deployment", "ns", "test-name")),
        ("ns_cm__ConfigMap", id("", "ConfigMap", "ns", "cm")),
        (
            "ns_kubeadm__nodes_rbac.authorization.k8s.io_Role",
            id(rbac, "Role", "ns", "kubeadm:nodes"),
        ),
        (
            "ns_system____leader_rbac.authorization.k8s.io_Role",
            id(rbac, "Role", "ns", "system::leader"),
        ),
        ("_leader___rbac.authorization.k8s.io_RoleBinding", id(rbac, "RoleBinding", "", "leader:")),
        ("ns_test_name_apps_Deployment", id("apps", "Deployment", "ns", "test_name")),
    ] {
        assert_eq!(ObjectId::parse(text), Ok(id.clone()), "{text}");
        assert_eq!(id.inventory_id(), text);
    }
    for text in ["", "_test-name_apps", "no-separators"] {
        assert!(ObjectId::parse(text).is_err(), "{text}");
    }
}

#[test]
fn an_entry_knows_its_version() {
    let entry = Entry::of(
        &json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}),
    );
    assert_eq!((entry.version.as_str(), entry.gvk().api_version().as_str()), ("v1", "apps/v1"));
    assert_eq!(Entry::parse(&entry.id.inventory_id(), "v1"), Ok(entry));
}

#[test]
fn what_is_no_object_is_refused_by_field() {
    let text = |value| check(&value).unwrap_err().to_string();
    assert_eq!(
        text(json!({"kind": "A", "metadata": {"name": "x"}})),
        "apiVersion is missing or no text in object \"A/x\""
    );
    assert_eq!(
        text(json!({"apiVersion": "v1", "kind": "A"})),
        "metadata.name is missing or no text in object \"v1/A\""
    );
    assert!(text(json!([1])).contains("this document is a list"));
}

#[test]
fn lists_open_once() {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [{"kind": "A"}, {"kind": "B", "items": [1]}]});
    assert_eq!(flatten(list), [json!({"kind": "A"}), json!({"kind": "B", "items": [1]})]);
    assert_eq!(flatten(json!({"kind": "A"})), [json!({"kind": "A"})]);
}

#[test]
fn markers_match_in_any_case_in_labels_and_annotations() {
    let object = json!({"metadata": {"labels": {"a": "Disabled"}, "annotations": {"b": "x"}}});
    assert!(meta::has(&object, "a", "disabled"));
    assert!(meta::has(&object, "b", "X"));
    assert!(!meta::has(&object, "b", "y") && !meta::has(&object, "c", ""));
}
