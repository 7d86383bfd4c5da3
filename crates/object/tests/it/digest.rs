//! Digests change with what matters and with nothing else.

use borax_object::Digest;
use serde_json::json;

#[test]
fn server_written_fields_do_not_matter() {
    let written =
        json!({"kind": "A", "metadata": {"name": "x", "labels": {"a": "b"}}, "spec": {"n": 1}});
    let read = json!({
        "kind": "A", "spec": {"n": 1}, "status": {"ready": true},
        "metadata": {
            "name": "x", "labels": {"a": "b"}, "uid": "1", "resourceVersion": "7", "generation": 2,
            "creationTimestamp": "2020-01-01T00:00:00Z", "managedFields": [{"manager": "m"}],
        },
    });
    assert_eq!(Digest::of_desired(&written), Digest::of_desired(&read));
    assert_eq!(Digest::of_live(&written), Digest::of_live(&read));
}

#[test]
fn content_matters() {
    let base = json!({"metadata": {"name": "x"}, "data": {"ab": "c"}});
    for other in [
        json!({"metadata": {"name": "x"}, "data": {"a": "bc"}}),
        json!({"metadata": {"name": "x"}, "data": {"ab": "d"}}),
        json!({"metadata": {"name": "x", "labels": {"a": "b"}}, "data": {"ab": "c"}}),
        json!({"metadata": {"name": "x", "annotations": {"a": "b"}}, "data": {"ab": "c"}}),
        json!({"metadata": {"name": "x"}, "data": {"ab": "c"}, "binaryData": {}}),
        json!({"metadata": {"name": "x"}, "data": {"ab": ["c"]}}),
    ] {
        assert_ne!(Digest::of_desired(&base), Digest::of_desired(&other), "{other}");
        assert_ne!(Digest::of_live(&base), Digest::of_live(&other), "{other}");
    }
}

#[test]
fn empty_labels_are_no_labels_when_live() {
    let (none, empty) =
        (json!({"metadata": {}}), json!({"metadata": {"labels": {}, "annotations": null}}));
    assert_eq!(Digest::of_live(&none), Digest::of_live(&empty));
}
