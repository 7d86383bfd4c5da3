//! The compiled table from outside.

use borax_schema::{Scope, Shape, Table, kustomize};
use serde_json::json;

#[test]
fn built_in_lists_know_their_keys() {
    let table = kustomize();
    let pod = table.type_of("apps/v1", "Deployment").unwrap();
    let pod = pod.field("spec").unwrap().field("template").unwrap().field("spec").unwrap();
    let containers = pod.field("containers").unwrap();
    assert_eq!((containers.merges(), containers.merge_key()), (true, Some("name")));
    let ports = containers.elements().unwrap().field("ports").unwrap();
    assert_eq!(ports.list_map_keys(), ["containerPort", "protocol"]);
    assert!(pod.field("volumes").unwrap().retains_keys());
    assert!(!pod.field("tolerations").unwrap().merges());
    let service = table.type_of("v1", "Service").unwrap().field("spec").unwrap();
    assert_eq!(service.field("ports").unwrap().merge_key(), Some("port"));
}

#[test]
fn scopes_are_known_for_built_in_kinds_only() {
    assert_eq!(kustomize().scope("v1", "Namespace"), Some(Scope::Cluster));
    assert_eq!(kustomize().scope("apps/v1", "Deployment"), Some(Scope::Namespaced));
    assert_eq!(kustomize().scope("example.org/v1", "Thing"), None);
}

#[test]
fn references_and_recursion_resolve() {
    let document = json!({"definitions": {
        "a.Thing": {
            "type": "object",
            "properties": {"next": {"$ref": "#/definitions/a.Thing"}, "n": {"type": "integer"}},
            "x-kubernetes-group-version-kind": [{"group": "a.org", "version": "v1", "kind": "Thing"}],
        },
    }, "paths": {"/apis/a.org/v1/namespaces/{namespace}/things": {"get": {
        "x-kubernetes-group-version-kind": {"group": "a.org", "version": "v1", "kind": "Thing"},
    }}}});
    let table = Table::compile(&document).unwrap();
    let thing = table.type_of("a.org/v1", "Thing").unwrap();
    let deep = thing.field("next").unwrap().field("next").unwrap();
    assert_eq!(deep.field("n").unwrap().shape(), Shape::Integer);
    assert_eq!(table.scope("a.org/v1", "Thing"), Some(Scope::Namespaced));
    assert_eq!(table.kinds().collect::<Vec<_>>(), [("a.org/v1", "Thing")]);
}

#[test]
fn a_table_on_top_of_another_refers_into_it() {
    let document = json!({"definitions": {"x": {
        "type": "object",
        "properties": {"template": {"$ref": "#/definitions/io.k8s.api.core.v1.PodTemplateSpec"}},
        "x-kubernetes-group-version-kind": [{"group": "x.org", "version": "v1", "kind": "X"}],
    }}});
    let table = Table::compile_onto(kustomize(), &document).unwrap();
    let spec = table.type_of("x.org/v1", "X").unwrap().field("template").unwrap();
    let containers = spec.field("spec").unwrap().field("containers").unwrap();
    assert_eq!(containers.merge_key(), Some("name"));
    assert!(table.type_of("v1", "Pod").is_some());
}

#[test]
fn a_definition_that_is_only_itself_is_refused() {
    let document = json!({"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}});
    assert!(Table::compile(&document).is_err());
}

#[test]
fn bytes_that_are_no_table_hold_nothing() {
    for bytes in
        [&b""[..], b"BXS2", b"BXS2\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"nonsense"]
    {
        let table = Table::from_static(bytes.to_vec().leak());
        assert!(table.type_of("v1", "Pod").is_none());
    }
}
