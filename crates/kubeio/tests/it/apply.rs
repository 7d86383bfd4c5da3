//! Plans on a real kube-apiserver: what they cost, and what they leave alone.

use std::time::Duration;

use borax_apply::{IgnoreRule, IgnoreRules};
use borax_kubeio::{Cluster, Drift};
use serde_json::json;

use crate::world::{World, lines};

fn five(world: &World) -> Vec<serde_json::Value> {
    vec![
        world.config("settings", "1"),
        world.object("v1", "Secret", "token", json!({"stringData": {"a": "b"}})),
        world.object("v1", "ServiceAccount", "runner", json!({})),
        world.object(
            "v1",
            "Service",
            "web",
            json!({"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}),
        ),
        world.deployment("web", json!({})),
    ]
}

async fn drift(receiver: &mut tokio::sync::broadcast::Receiver<Drift>) -> Option<Drift> {
    tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await.ok()?.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_objects_cost_two_requests_changed_ones_two_and_unchanged_ones_none() {
    let Some(world) = World::new().await else { return };
    let applier = world.applier(&world.cluster);
    let plan = world.plan(&applier, five(&world)).await;

    let before = world.cluster.requests();
    let changes = applier.apply(&plan).await.expect("all objects are valid");
    assert_eq!(world.cluster.requests() - before, 10);
    let created =
        ["runner created", "settings created", "token created", "web created", "web created"];
    assert_eq!(lines(&changes), created);

    let before = world.cluster.requests();
    for _ in 0..3 {
        let changes = world.apply(five(&world)).await.expect("nothing changes");
        assert!(changes.changed().is_empty(), "{changes}");
    }
    assert_eq!(world.cluster.requests() - before, 0);

    let mut commit = five(&world);
    commit[0]["data"]["key"] = json!("2");
    let changes = world.apply(commit.clone()).await.expect("a valid change");
    assert_eq!(
        changes.changed().to_string(),
        format!("ConfigMap/{}/settings configured", world.namespace)
    );
    assert_eq!(world.cluster.requests() - before, 2);

    // The watch has brought our own writes by the time the Deployment's status moves; they are no drift.
    let id = world.id(&commit[4]);
    world
        .until(|| async {
            world.cluster.live().get(&id).is_some_and(|r| r.status.message.contains("available"))
        })
        .await;
    let before = world.cluster.requests();
    assert!(world.apply(commit).await.expect("nothing changes").changed().is_empty());
    assert_eq!(world.cluster.requests() - before, 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_an_unchanged_object_costs_one_dry_run() {
    let Some(world) = World::new().await else { return };
    world.apply(five(&world)).await.expect("all objects are valid");
    let cluster: Cluster = world.restarted().await;
    let applier = world.applier(&cluster);
    let plan = world.plan(&applier, five(&world)).await;
    let before = cluster.requests();
    let changes = applier.apply(&plan).await.expect("nothing changes");
    assert!(changes.changed().is_empty(), "{changes}");
    let cost = cluster.requests() - before;
    // The Deployment's status may move between the store and the dry run: then it is read.
    assert!((5..=6).contains(&cost), "{cost}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_our_fields_is_drift_and_undone_and_one_of_others_is_not() {
    let Some(world) = World::new().await else { return };
    let mut drifts = world.cluster.live().drift();
    let object = world.config("settings", "1");
    world.apply(vec![object.clone()]).await.expect("a valid object");
    let path = world.path("configmaps", "settings");

    world.merge(&format!("{path}?fieldManager=someone"), &json!({"data": {"other": "x"}})).await;
    world
        .merge(&format!("{path}?fieldManager=kubectl-edit"), &json!({"data": {"key": "edited"}}))
        .await;
    let found = drift(&mut drifts).await.expect("the edit is noticed");
    assert_eq!((&*found.owner_name, &*found.owner_namespace), ("app", &*world.namespace));
    let changes = world.apply(vec![object.clone()]).await.expect("a valid object");
    assert_eq!(lines(&changes), ["settings configured"]);
    let live = world.get(&path).await.expect("it lives");
    // kubectl's managers are taken over, and what they own goes; others keep theirs.
    assert_eq!(live["data"], json!({"key": "1", "other": "x"}));

    let before = world.cluster.requests();
    world.merge(&format!("{path}?fieldManager=someone"), &json!({"data": {"other": "y"}})).await;
    let version = |value: &serde_json::Value| {
        value["metadata"]["resourceVersion"].as_str().map(str::to_owned)
    };
    let now = version(&world.get(&path).await.expect("it lives")).expect("a version");
    let id = world.id(&object);
    world
        .until(|| async {
            world.cluster.live().get(&id).is_some_and(|r| r.version.to_string() == now)
        })
        .await;
    let changes = world.apply(vec![object.clone()]).await.expect("a valid object");
    assert_eq!(lines(&changes), ["settings unchanged"]);
    assert_eq!(world.cluster.requests() - before, 2, "one edit, one read, nothing else");

    world.delete(&path).await;
    let found = drift(&mut drifts).await.expect("the deletion is noticed");
    assert_eq!(found.id, id);
    assert_eq!(
        lines(&world.apply(vec![object]).await.expect("a valid object")),
        ["settings created"]
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_of_kubectl_apply_are_taken_over() {
    let Some(world) = World::new().await else { return };
    let mut theirs = world.config("settings", "1");
    theirs["data"]["gone"] = json!("x");
    theirs["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": "{}", "keep": "a"});
    let collection = format!("/api/v1/namespaces/{}/configmaps", world.namespace);
    world.post(&format!("{collection}?fieldManager=kubectl-client-side-apply"), &theirs).await;

    let changes = world.apply(vec![world.config("settings", "1")]).await.expect("a valid object");
    assert_eq!(lines(&changes), ["settings configured"]);
    let live = world.get(&world.path("configmaps", "settings")).await.expect("it lives");
    assert_eq!(live["data"], json!({"key": "1"}));
    assert_eq!(live["metadata"].get("annotations"), None);
    let managers = live["metadata"]["managedFields"].as_array().expect("entries");
    assert_eq!(managers.len(), 1);
    assert_eq!(
        (&managers[0]["manager"], &managers[0]["operation"]),
        (&json!("kustomize-controller"), &json!("Apply"))
    );

    let before = world.cluster.requests();
    assert_eq!(
        lines(&world.apply(vec![world.config("settings", "1")]).await.expect("valid")),
        ["settings unchanged"]
    );
    assert_eq!(world.cluster.requests() - before, 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_objects_keep_others_fields_and_settle() {
    let Some(world) = World::new().await else { return };
    let mut theirs = world.config("settings", "1");
    theirs["data"]["theirs"] = json!("x");
    let collection = format!("/api/v1/namespaces/{}/configmaps", world.namespace);
    world.post(&format!("{collection}?fieldManager=kubectl-client-side-apply"), &theirs).await;
    let mut ours = world.config("settings", "2");
    ours["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/ssa": "Merge"});
    assert_eq!(
        lines(&world.apply(vec![ours.clone()]).await.expect("valid")),
        ["settings configured"]
    );
    let live = world.get(&world.path("configmaps", "settings")).await.expect("it lives");
    assert_eq!(live["data"], json!({"key": "2", "theirs": "x"}));
    let before = world.cluster.requests();
    assert_eq!(lines(&world.apply(vec![ours]).await.expect("valid")), ["settings unchanged"]);
    assert_eq!(world.cluster.requests() - before, 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn immutable_objects_are_made_again_only_when_that_is_allowed() {
    let Some(world) = World::new().await else { return };
    let with = |value: &str| {
        let mut object = world.config("frozen", value);
        object["immutable"] = json!(true);
        object
    };
    world.apply(vec![with("1")]).await.expect("valid");
    let error = world.apply(vec![with("2")]).await.expect_err("it is immutable");
    let prefix = format!(
        "ConfigMap/{}/frozen dry-run failed (Invalid): ConfigMap \"frozen\" is invalid: ",
        world.namespace
    );
    assert!(error.starts_with(&prefix), "{error}");

    let mut marked = with("2");
    marked["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/force": "Enabled"});
    assert_eq!(lines(&world.apply(vec![marked]).await.expect("marked")), ["frozen created"]);

    let finalized = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    let path = world.path("configmaps", "frozen");
    world.merge(&path, &finalized).await;
    let release = async {
        world
            .until(|| async {
                world
                    .get(&path)
                    .await
                    .is_some_and(|o| !o["metadata"]["deletionTimestamp"].is_null())
            })
            .await;
        world.merge(&path, &json!({"metadata": {"finalizers": null}})).await;
    };
    let forcing = world.forcing();
    let (changes, ()) = tokio::join!(world.apply_with(&forcing, vec![with("3")]), release);
    assert_eq!(lines(&changes.expect("forced")), ["frozen created"]);
    assert_eq!(world.get(&path).await.expect("it lives")["data"]["key"], "3");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_that_ask_for_it_are_left_alone() {
    let Some(world) = World::new().await else { return };
    let marked = |value: &str, mark: &str| {
        let mut object = world.config("settings", value);
        object["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/ssa": mark});
        object
    };
    assert_eq!(
        lines(&world.apply(vec![marked("1", "IfNotPresent")]).await.expect("valid")),
        ["settings created"]
    );
    assert_eq!(
        lines(&world.apply(vec![marked("2", "IfNotPresent")]).await.expect("valid")),
        ["settings skipped"]
    );
    // Also by one that has never seen it.
    let cluster = world.restarted().await;
    let changes =
        world.apply_with(&world.applier(&cluster), vec![marked("2", "IfNotPresent")]).await;
    assert_eq!(lines(&changes.expect("valid")), ["settings skipped"]);

    let path = world.path("configmaps", "settings");
    world.merge(&path, &json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}}})).await;
    let cluster = world.restarted().await;
    let changes =
        world.apply_with(&world.applier(&cluster), vec![world.config("settings", "3")]).await;
    assert_eq!(lines(&changes.expect("valid")), ["settings skipped"]);
    assert_eq!(world.get(&path).await.expect("it lives")["data"]["key"], "1");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_and_its_objects_come_in_one_plan() {
    let Some(world) = World::new().await else { return };
    let group = format!("{}.example.com", world.namespace);
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    let widget =
        world.object(&format!("{group}/v1"), "Widget", "one", json!({"spec": {"size": 1}}));
    let changes = world
        .apply(vec![widget.clone(), crd.clone()])
        .await
        .expect("the kind is established in between");
    assert_eq!(lines(&changes), [format!("widgets.{group} created"), "one created".to_owned()]);
    let before = world.cluster.requests();
    let changes = world.apply(vec![widget, crd]).await.expect("nothing changes");
    assert!(changes.changed().is_empty(), "{changes}");
    assert_eq!(world.cluster.requests() - before, 0);
    world
        .delete(&format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{group}"))
        .await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_read_as_flux_writes_them() {
    let Some(world) = World::new().await else { return };
    let namespace = world.namespace.clone();
    let mut homeless = world.config("settings", "1");
    homeless["metadata"].as_object_mut().expect("metadata").remove("namespace");
    assert_eq!(
        world.apply(vec![homeless]).await,
        Err("ConfigMap/settings namespace not specified: the server could not find the requested resource".to_owned())
    );
    assert_eq!(
        world.apply(vec![world.object("example.com/v1", "Nothing", "a", json!({}))]).await,
        Err(format!(
            "Nothing/{namespace}/a dry-run failed: no matches for kind \"Nothing\" in version \"example.com/v1\""
        ))
    );
    let mut elsewhere = world.config("settings", "1");
    elsewhere["metadata"]["namespace"] = json!("no-such-namespace");
    assert_eq!(
        world.apply(vec![elsewhere]).await,
        Err("ConfigMap/no-such-namespace/settings not found: namespaces \"no-such-namespace\" not found".to_owned())
    );
    let wrong = world.object("v1", "ConfigMap", "settings", json!({"data": {"a": 3}}));
    let error = world.apply(vec![wrong]).await.expect_err("a number is no text");
    assert!(
        error.starts_with(&format!("ConfigMap/{namespace}/settings dry-run failed")),
        "{error}"
    );
    assert!(
        error.contains(".data.a: expected string, got &value.valueUnstructured{Value:3}"),
        "{error}"
    );

    let tenant = world.cluster.as_user(&format!("system:serviceaccount:{namespace}:tenant"));
    let error =
        world.apply_with(&world.applier(&tenant), vec![world.config("settings", "1")]).await;
    let error = error.expect_err("the tenant has no rights");
    let expect = format!(
        "ConfigMap/{namespace}/settings dry-run failed (Forbidden): configmaps \"settings\" is forbidden: \
         User \"system:serviceaccount:{namespace}:tenant\" cannot patch resource \"configmaps\""
    );
    assert!(error.starts_with(&expect), "{error}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_stage_is_written_when_one_object_is_refused() {
    let Some(world) = World::new().await else { return };
    let bad = world.object("v1", "Service", "bad", json!({"spec": {"ports": [{"port": 99_999}]}}));
    assert!(world.apply(vec![world.config("settings", "1"), bad]).await.is_err());
    assert_eq!(world.get(&world.path("configmaps", "settings")).await, None);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ignored_fields_are_left_to_others() {
    let Some(world) = World::new().await else { return };
    let rules =
        IgnoreRules::compile(&[IgnoreRule { paths: vec!["/spec/replicas".into()], target: None }]);
    let applier = world.ignoring(rules.expect("valid"));
    let deployment = world.deployment("web", json!({}));
    world.apply_with(&applier, vec![deployment.clone()]).await.expect("valid");
    let path = world.path("deployments", "web");
    world
        .merge(&format!("{path}?fieldManager=autoscaler"), &json!({"spec": {"replicas": 3}}))
        .await;
    let id = world.id(&deployment);
    world
        .until(|| async {
            world.cluster.live().get(&id).is_some_and(|r| r.status.message.contains("Replicas: 3"))
        })
        .await;
    assert_eq!(
        lines(&world.apply_with(&applier, vec![deployment.clone()]).await.expect("valid")),
        ["web unchanged"]
    );
    let mut labelled = deployment;
    labelled["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(
        lines(&world.apply_with(&applier, vec![labelled]).await.expect("valid")),
        ["web configured"]
    );
    assert_eq!(world.get(&path).await.expect("it lives")["spec"]["replicas"], 3);
    world.finish().await;
}
