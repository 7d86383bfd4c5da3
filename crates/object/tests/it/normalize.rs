//! Objects are normalised as Flux normalises them before it applies.

use borax_object::{normalize, normalize_dry_run};
use serde_json::{Value, json};

#[track_caller]
fn check(mut object: Value, expect: Value) {
    normalize(&mut object).expect("the object is a map");
    assert_eq!(object, expect);
}

#[test]
fn unknown_fields_and_nulls_of_built_in_kinds_go() {
    check(
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "creationTimestamp": null, "annotations": null},
            "spec": {
                "replicas": 2, "nonsense": 1, "paused": null, "selector": {"matchLabels": {"a": "b"}},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"containers": [
                        {"name": "c", "image": "i", "extra": {}, "ports": [{"containerPort": 80}],
                         "resources": {"limits": {"cpu": "1000m"}}},
                        {"name": "d", "ports": [{"containerPort": 53, "protocol": "UDP"}]},
                    ]},
                },
            },
            "status": {"replicas": 1},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 2, "selector": {"matchLabels": {"a": "b"}},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"containers": [
                        {"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}],
                         "resources": {"limits": {"cpu": "1000m"}}},
                        {"name": "d", "ports": [{"containerPort": 53, "protocol": "UDP"}]},
                    ]},
                },
            },
        }),
    );
}

#[test]
fn an_object_that_does_not_fit_its_type_is_left_to_the_server() {
    let wrong = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": 3}, "x": 1});
    check(wrong.clone(), wrong);
}

#[test]
fn custom_resources_keep_every_field_but_status() {
    check(
        json!({"apiVersion": "example.com/v1", "kind": "W", "metadata": {"name": "a"}, "x": null, "status": {}}),
        json!({"apiVersion": "example.com/v1", "kind": "W", "metadata": {"name": "a"}, "x": null}),
    );
}

#[test]
fn string_data_moves_to_data_and_wins() {
    check(
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
               "data": {"a": "YQ==", "b": "Yg=="}, "stringData": {"b": "new"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"a": "YQ==", "b": "bmV3"}}),
    );
}

#[test]
fn service_ports_get_their_protocol() {
    check(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
               "spec": {"ports": [{"port": 80, "protocol": "TCP"}]}}),
    );
}

#[test]
fn crds_keep_status_and_lose_an_invalid_ca_bundle() {
    let crd = |bundle: Value| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a"},
               "spec": {"conversion": {"webhook": {"clientConfig": bundle}}}, "status": {"a": 1}})
    };
    for invalid in ["Cg==", "no base64", "LS0tLS1CRUdJTi0tLS0t"] {
        check(crd(json!({"caBundle": invalid, "url": "u"})), crd(json!({"url": "u"})));
    }
    check(crd(json!({"caBundle": ""})), crd(json!({"caBundle": ""})));
}

#[test]
fn doubled_metrics_of_old_servers_go() {
    let metric = json!({"type": "Resource", "resource": {"name": "cpu"}});
    let hpa = |metrics: Value| json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": {"metrics": metrics}});
    let mut answer = hpa(json!([metric, metric, {"type": ""}]));
    normalize_dry_run(&mut answer);
    assert_eq!(answer, hpa(json!([metric])));
}
