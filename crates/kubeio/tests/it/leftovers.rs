//! Events, leases, status patches and finalizers on a real kube-apiserver.

use std::collections::BTreeMap;
use std::time::Duration;

use borax_kubeio::{
    EventKind, Events, Lease, LeaseTimes, ObjectRef, add_finalizer, patch_status, remove_finalizer,
};
use borax_object::Gvk;
use serde_json::json;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_events_are_counted_and_floods_combined() {
    let Some(world) = World::new().await else { return };
    let collection = format!("/api/v1/namespaces/{}/configmaps", world.namespace);
    let object = world.post(&collection, &world.config("about", "1")).await;
    let events = Events::new(&world.cluster, "kustomize-controller");
    let mut about = ObjectRef::of(&object);
    (about.api_version, about.kind) = ("v1".into(), "ConfigMap".into());
    for _ in 0..3 {
        let annotations = BTreeMap::from([(
            "kustomize.toolkit.fluxcd.io/revision".to_owned(),
            "main".to_owned(),
        )]);
        events.emit(&about, EventKind::Normal, "ReconciliationSucceeded", "done", annotations);
    }
    for n in 0..13 {
        events.emit(
            &about,
            EventKind::Warning,
            "BuildFailed",
            &format!("try {n}"),
            BTreeMap::new(),
        );
    }
    let list = format!(
        "/api/v1/namespaces/{}/events?fieldSelector=involvedObject.name%3Dabout",
        world.namespace
    );
    let find = |items: &serde_json::Value, message: &str| {
        let items = items["items"].as_array().cloned().unwrap_or_default();
        items
            .into_iter()
            .find(|event| event["message"].as_str().is_some_and(|m| m.starts_with(message)))
    };
    let last = "(combined from similar events): try 12";
    world
        .until(|| async {
            world.get(&list).await.is_some_and(|items| find(&items, last).is_some())
        })
        .await;
    let items = world.get(&list).await.expect("a list");
    let event = find(&items, "done").expect("the event");
    assert_eq!((&event["count"], &event["type"]), (&json!(3), &json!("Normal")));
    assert_eq!(event["source"]["component"], "kustomize-controller");
    assert_eq!(event["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/revision"], "main");
    assert_eq!(event["involvedObject"]["uid"], object["metadata"]["uid"]);
    assert_eq!(find(&items, last).expect("the combined event")["count"], 3);
    assert_eq!(items["items"].as_array().map(Vec::len), Some(12));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_candidate_leads_and_the_next_follows_when_it_lets_go() {
    let Some(world) = World::new().await else { return };
    let times = LeaseTimes {
        lease: Duration::from_secs(3),
        renew_deadline: Duration::from_secs(2),
        retry: Duration::from_millis(200),
    };
    let candidate = |name: &'static str| {
        Lease::acquire(&world.cluster, &world.namespace, "leader", name, times)
    };
    let first = candidate("one").await;
    let mut second = std::pin::pin!(candidate("two"));
    assert!(
        tokio::time::timeout(Duration::from_secs(5), &mut second).await.is_err(),
        "a renewed lease holds"
    );
    first.release().await.expect("released");
    let mut second =
        tokio::time::timeout(Duration::from_secs(2), second).await.expect("the lease is free");

    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/leader", world.namespace);
    let lease = world.get(&path).await.expect("the lease");
    assert_eq!(
        (&lease["spec"]["holderIdentity"], &lease["spec"]["leaseTransitions"]),
        (&json!("two"), &json!(1))
    );
    // Someone else takes it by force: leadership is lost.
    world
        .merge(&path, &json!({"spec": {"holderIdentity": "three", "leaseDurationSeconds": 60}}))
        .await;
    tokio::time::timeout(Duration::from_secs(5), second.lost()).await.expect("the loss is noticed");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_is_written_when_something_but_time_changes() {
    let Some(world) = World::new().await else { return };
    let created = world.deployment("web", json!({"borax.test/outcome": "never"}));
    let old = world
        .post(&format!("/apis/apps/v1/namespaces/{}/deployments", world.namespace), &created)
        .await;
    let gvk = Gvk::new("apps/v1", "Deployment");
    let resource = world.cluster.discovery().resolve(&world.cluster, &gvk).await.expect("served");
    let status = |message: &str, at: &str| {
        json!({"conditions": [{"type": "Custom", "status": "True", "reason": "R", "message": message,
                               "lastTransitionTime": at, "lastUpdateTime": at}]})
    };
    let new = status("a", "2024-01-01T00:00:00Z");
    let object =
        patch_status(&world.cluster, &resource, &old, &new, "gotk-kustomize-controller").await;
    let object = object.expect("accepted").expect("something changed");
    let managers = object["metadata"]["managedFields"].as_array().expect("entries");
    assert!(
        managers
            .iter()
            .any(|m| m["manager"] == "gotk-kustomize-controller" && m["subresource"] == "status")
    );
    let mut read = old.clone();
    read["status"] = new;
    let before = world.cluster.requests();
    let later = status("a", "2025-01-01T00:00:00Z");
    let result =
        patch_status(&world.cluster, &resource, &read, &later, "gotk-kustomize-controller").await;
    assert!(result.expect("nothing to send").is_none());
    assert_eq!(world.cluster.requests() - before, 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finalizers_come_and_go_without_undoing_others() {
    let Some(world) = World::new().await else { return };
    let collection = format!("/api/v1/namespaces/{}/configmaps", world.namespace);
    let object = world.post(&collection, &world.config("a", "1")).await;
    let gvk = Gvk::new("v1", "ConfigMap");
    let resource = world.cluster.discovery().resolve(&world.cluster, &gvk).await.expect("served");
    let add = |object: serde_json::Value, name: &'static str| {
        let (cluster, resource) = (world.cluster.clone(), resource.clone());
        async move { add_finalizer(&cluster, &resource, &object, name, "gotk").await }
    };
    let one = add(object.clone(), "example.com/one").await.expect("accepted").expect("added");
    assert!(add(one.clone(), "example.com/one").await.expect("nothing to do").is_none());
    let stale = add(object, "example.com/two").await.expect_err("the object has changed since");
    assert_eq!(stale.source.reason(), "Conflict");
    let none = remove_finalizer(&world.cluster, &resource, &one, "example.com/one", "gotk").await;
    assert_eq!(none.expect("accepted").expect("removed")["metadata"].get("finalizers"), None);
    world.finish().await;
}
