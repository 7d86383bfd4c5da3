//! The API server goes away and comes back.

use std::sync::Arc;
use std::time::Duration;

use borax_apply::{CommonMetadata, Options as ApplyOptions, Owner, prepare};
use borax_health::Checks;
use borax_kubeio::{Applier, Cluster, ConnectOptions, Source, WaitOptions};
use borax_object::ObjectId;
use borax_testkit::cluster::{Component, Options, own};
use serde_json::{Value, json};

async fn apply(cluster: &Cluster, mut objects: Vec<Value>) -> borax_apply::ChangeSet {
    let owner = Owner::kustomization("app", "default");
    prepare(&mut objects, &owner, &CommonMetadata::default()).expect("valid objects");
    let applier = Applier::new(cluster, owner, ApplyOptions::default(), 4);
    let plan = applier.plan(objects, &[]).await;
    applier.apply(&plan).await.expect("the server is there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_and_waits_survive_a_restart_of_the_server_without_spinning() {
    let Some(mut plane) = own(Options::default()) else { return };
    let source = Source::Path(plane.kubeconfig());
    let cluster = Cluster::connect(source, ConnectOptions::default()).await.expect("a kubeconfig");
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"},
                        "data": {"a": "1"}});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "held", "namespace": "default"},
        "spec": {"parallelism": 0, "template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "main", "image": "example.com/job:1"}]}}}});
    apply(&cluster, vec![config.clone(), job.clone()]).await;
    let mut drifts = cluster.live().drift();

    let waiting = {
        let (cluster, id) = (cluster.clone(), ObjectId::of(&job));
        tokio::spawn(async move {
            let options =
                WaitOptions { timeout: Duration::from_secs(90), ..WaitOptions::default() };
            cluster.live().wait_healthy(&cluster, &[id], Arc::new(Checks::none()), &options).await
        })
    };
    let before = cluster.requests() + cluster.watches();
    plane.kill(Component::Apiserver).expect("it runs");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let tried = cluster.requests() + cluster.watches() - before;
    // Two watches, each 0.2, 0.6, 1.4, 3 s after the fall.
    assert!((2..=12).contains(&tried), "{tried} requests in 3 s");
    plane.start_component(Component::Apiserver).expect("it starts");
    plane.wait_ready().expect("it is ready");

    let client = plane.client().await.expect("a client");
    let patch = |path: &str, body: Value| {
        let request = http::Request::patch(path)
            .header("content-type", "application/merge-patch+json")
            .body(body.to_string().into_bytes())
            .expect("a valid request");
        let client = client.clone();
        async move { client.request::<Value>(request).await.expect("the patch is accepted") }
    };
    patch(
        "/api/v1/namespaces/default/configmaps/a?fieldManager=other",
        json!({"data": {"a": "edited"}}),
    )
    .await;
    let drift = tokio::time::timeout(Duration::from_secs(30), drifts.recv())
        .await
        .expect("in time")
        .expect("open");
    assert_eq!(drift.id, ObjectId::of(&config));
    let changes = apply(&cluster, vec![config, job.clone()]).await;
    assert_eq!(changes.changed().to_string(), "ConfigMap/default/a configured");

    patch(
        "/apis/batch/v1/namespaces/default/jobs/held?fieldManager=other",
        json!({"spec": {"suspend": true}}),
    )
    .await;
    waiting.await.expect("no panic").expect("a suspended Job is healthy");
}
