//! Waiting for health on a real kube-apiserver.

use std::sync::Arc;
use std::time::Duration;

use borax_health::{Checks, CustomCheck};
use borax_kubeio::{WaitError, WaitOptions};
use borax_object::ObjectId;
use serde_json::{Value, json};

use crate::world::World;

async fn wait(world: &World, ids: &[ObjectId], checks: Checks, seconds: f64) -> Result<(), String> {
    let options =
        WaitOptions { timeout: Duration::from_secs_f64(seconds), ..WaitOptions::default() };
    let live = world.cluster.live();
    live.wait_healthy(&world.cluster, ids, Arc::new(checks), &options)
        .await
        .map_err(|error: WaitError| error.to_string())
}

fn job(world: &World, name: &str, outcome: Value) -> Value {
    let pod = json!({"metadata": {"annotations": outcome},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example.com/job:1"}]}});
    world.object("batch/v1", "Job", name, json!({"spec": {"template": pod, "backoffLimit": 0}}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owned_objects_are_waited_for_without_a_request() {
    let Some(world) = World::new().await else { return };
    let objects = vec![
        world.deployment("web", json!({})),
        world.config("a", "1"),
        job(&world, "migrate", json!({})),
    ];
    let changes = world.apply(objects).await.expect("valid");
    let before = world.cluster.requests();
    wait(&world, &changes.ids_to_check(), Checks::none(), 60.0).await.expect("all become ready");
    assert_eq!(world.cluster.requests() - before, 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_gets_ready_times_out_in_flux_words() {
    let Some(world) = World::new().await else { return };
    let object = world.deployment("web", json!({"borax.test/outcome": "never"}));
    world.apply(vec![object.clone()]).await.expect("valid");
    let missing = ObjectId { name: "missing".into(), ..world.id(&world.config("x", "")) };
    let error = wait(&world, &[world.id(&object), missing], Checks::none(), 2.0)
        .await
        .expect_err("it is never ready");
    let namespace = &world.namespace;
    assert_eq!(
        error,
        format!(
            "timeout waiting for: [Deployment/{namespace}/web status: 'InProgress', \
             ConfigMap/{namespace}/missing status: 'NotFound']"
        )
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_job_ends_the_wait_early() {
    let Some(world) = World::new().await else { return };
    let object = job(&world, "migrate", json!({"borax.test/outcome": "fail"}));
    world.apply(vec![object.clone()]).await.expect("valid");
    let error =
        wait(&world, &[world.id(&object)], Checks::none(), 60.0).await.expect_err("it fails");
    assert_eq!(
        error,
        format!(
            "failed early due to stalled resources: [Job/{}/migrate status: 'Failed']",
            world.namespace
        )
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_are_not_ours_are_watched_with_the_tenants_rights() {
    let Some(world) = World::new().await else { return };
    let collection = format!("/apis/apps/v1/namespaces/{}/deployments", world.namespace);
    let object = world.post(&collection, &world.deployment("theirs", json!({}))).await;
    let id = world.id(&world.deployment("theirs", json!({})));
    assert_eq!(object["metadata"]["name"], "theirs");
    wait(&world, std::slice::from_ref(&id), Checks::none(), 60.0).await.expect("it becomes ready");

    let tenant =
        world.cluster.as_user(&format!("system:serviceaccount:{}:tenant", world.namespace));
    let options = WaitOptions { timeout: Duration::from_secs(1), ..WaitOptions::default() };
    let error =
        world.cluster.live().wait_healthy(&tenant, &[id], Arc::new(Checks::none()), &options).await;
    let error = error.expect_err("the tenant has no rights").to_string();
    let expect = format!(
        "timeout waiting for: [Deployment/{0}/theirs status: 'Unknown': deployments.apps \"theirs\" is forbidden: \
         User \"system:serviceaccount:{0}:tenant\" cannot get resource",
        world.namespace
    );
    assert!(error.starts_with(&expect), "{error}");
    world.finish().await;
}

/// The store knows it, but only with our own rights, and the expression would tell what is in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_tenant_applied_is_watched_with_the_tenants_rights() {
    let Some(world) = World::new().await else { return };
    let ours = world.config("ours", "1");
    world.apply(vec![ours.clone()]).await.expect("valid");
    let check = CustomCheck {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        current: "true".into(),
        ..CustomCheck::default()
    };
    let live = world.cluster.live();
    let options = WaitOptions { timeout: Duration::from_secs(1), ..WaitOptions::default() };
    let ids = [world.id(&ours)];
    let ask = async |namespace: &str, checks: &[CustomCheck]| {
        let tenant = world.cluster.as_user(&format!("system:serviceaccount:{namespace}:tenant"));
        let checks = Arc::new(Checks::compile(checks).expect("valid"));
        live.wait_healthy(&tenant, &ids, checks, &options).await.map_err(|e| e.to_string())
    };
    for checks in [&[][..], std::slice::from_ref(&check)] {
        let error = ask("strangers", checks).await.expect_err("the tenant has no rights");
        assert!(error.contains("cannot get resource"), "{error}");
    }
    // In the namespace of the Kustomization that applied it, the store answers.
    ask(&world.namespace, &[]).await.expect("a ConfigMap is healthy at once");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions_are_asked_of_owned_and_of_other_objects() {
    let Some(world) = World::new().await else { return };
    let check = CustomCheck {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        current: "data.ready == 'yes'".into(),
        ..CustomCheck::default()
    };
    let ours = world.config("ours", "1");
    world.apply(vec![ours.clone()]).await.expect("valid");
    let collection = format!("/api/v1/namespaces/{}/configmaps", world.namespace);
    world.post(&collection, &world.config("theirs", "1")).await;
    let ids = [world.id(&ours), world.id(&world.config("theirs", "1"))];

    let checks = || Checks::compile(std::slice::from_ref(&check)).expect("valid");
    let error = wait(&world, &ids[..1], checks(), 0.5).await.expect_err("there is no such field");
    assert!(error.contains("status: 'Unknown': failed to evaluate the CEL expression"), "{error}");

    let edit = async {
        for name in ["ours", "theirs"] {
            world.merge(&world.path("configmaps", name), &json!({"data": {"ready": "yes"}})).await;
        }
    };
    let (result, ()) = tokio::join!(wait(&world, &ids, checks(), 20.0), edit);
    result.expect("both become ready");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stateful_set_with_a_crash_looping_pod_has_failed() {
    let Some(world) = World::new().await else { return };
    let labels = json!({"app": "db"});
    let set = world.object(
        "apps/v1",
        "StatefulSet",
        "db",
        json!({"spec": {"serviceName": "db", "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels, "annotations": {"borax.test/outcome": "never"}},
            "spec": {"containers": [{"name": "main", "image": "example.com/db:1"}]}}}}),
    );
    world.apply(vec![set.clone()]).await.expect("valid");
    let path = world.path("pods", "db-0");
    world
        .until(|| async {
            world.get(&path).await.is_some_and(|pod| !pod["spec"]["nodeName"].is_null())
        })
        .await;
    let crash = json!({"status": {"phase": "Running", "containerStatuses": [{"name": "main", "image": "x", "imageID": "", "ready": false,
        "restartCount": 5, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}});
    world.merge(&format!("{path}/status"), &crash).await;
    let error =
        wait(&world, &[world.id(&set)], Checks::none(), 60.0).await.expect_err("its pod crashes");
    assert_eq!(
        error,
        format!(
            "failed early due to stalled resources: [StatefulSet/{}/db status: 'Failed']",
            world.namespace
        )
    );
    world.finish().await;
}
