//! A GitRepository and a Kustomization: what Git says is applied, kept, pruned, protected and let go.

use std::time::Duration;

use borax_testkit::git::Change;
use serde_json::json;

use crate::harness::{App, Ref, config_map, message, ready, reason, revision, status_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_reaches_the_cluster_and_a_removed_file_is_pruned() {
    let files =
        [("a.yaml", &*config_map("a", "key", "one")), ("b.yaml", &*config_map("b", "key", "one"))];
    let Some(app) = App::start("commit", &files, "").await else { return };
    let applied = app.kube.get(&app.config_map("a")).await.unwrap();
    assert_eq!(applied["data"]["key"], "one");
    let labels = &applied["metadata"]["labels"];
    assert_eq!(labels["kustomize.toolkit.fluxcd.io/name"], "app");
    assert_eq!(labels["kustomize.toolkit.fluxcd.io/namespace"], "commit");
    let managers = applied["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(managers.len(), 1, "{managers:?}");
    assert_eq!(managers[0]["manager"], "kustomize-controller");

    let text = config_map("a", "key", "two");
    let second = app.push(&[("a.yaml", Change::File(text.as_bytes()))]).await;
    app.kube.until_value(&app.config_map("a"), "key", "two").await;
    let object = app.kube.until_ready(&app.kustomization, &second).await;
    assert_eq!(revision(&object), format!("main@sha1:{second}"));
    assert_eq!(reason(&object, "Ready"), "ReconciliationSucceeded");
    assert_eq!(message(&object, "Ready"), format!("Applied revision: main@sha1:{second}"));
    let entries = object["status"]["inventory"]["entries"].as_array().unwrap();
    let ids: Vec<&str> = entries.iter().filter_map(|entry| entry["id"].as_str()).collect();
    assert_eq!(ids, ["commit_a__ConfigMap", "commit_b__ConfigMap"]);

    app.push(&[("b.yaml", Change::Delete)]).await;
    app.kube.until_gone(&app.config_map("b")).await;
    assert!(app.kube.get(&app.config_map("a")).await.is_some());
    let object = app.kube.until_ready(&app.kustomization, &app.repository.hash("main")).await;
    assert_eq!(object["status"]["inventory"]["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_it_is_not_to_be_pruned_stays() {
    let files =
        [("a.yaml", &*config_map("a", "key", "one")), ("b.yaml", &*config_map("b", "key", "one"))];
    let Some(app) = App::start("protect", &files, "").await else { return };
    let annotation =
        json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/prune": "disabled"}}});
    app.kube.merge(&app.config_map("b"), annotation).await;
    let commit = app.push(&[("b.yaml", Change::Delete)]).await;
    app.kube.until_ready(&app.kustomization, &commit).await;
    assert!(app.kube.get(&app.config_map("b")).await.is_some(), "it was pruned all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_commit_keeps_the_last_good_state_and_says_file_and_cause() {
    let files = [("app/a.yaml", &*config_map("a", "key", "one"))];
    let Some(app) = App::start("broken", &files, "").await else { return };
    let good = app.repository.hash("main");
    let broken = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n data: {\n";
    app.push(&[("app/a.yaml", Change::File(broken))]).await;
    let object = app
        .kube
        .until_some("the broken commit is reported", &app.kustomization, |object| {
            ready(object) == Some("False")
        })
        .await;
    assert_eq!(reason(&object, "Ready"), "BuildFailed");
    assert!(message(&object, "Ready").contains("app/a.yaml"), "{}", message(&object, "Ready"));
    assert_eq!(
        revision(&object),
        format!("main@sha1:{good}"),
        "what is applied is the good commit"
    );
    let applied = app.kube.get(&app.config_map("a")).await.unwrap();
    assert_eq!(applied["data"]["key"], "one");

    let mended = config_map("a", "key", "mended");
    let commit = app.push(&[("app/a.yaml", Change::File(mended.as_bytes()))]).await;
    app.kube.until_value(&app.config_map("a"), "key", "mended").await;
    app.kube.until_ready(&app.kustomization, &commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_change_or_delete_by_hand_is_put_right() {
    let Some(app) = App::start("drift", &[("a.yaml", &config_map("a", "key", "git"))], "").await
    else {
        return;
    };
    app.kube.merge_as("tuner", &app.config_map("a"), json!({"data": {"tuned": "yes"}})).await;
    app.kube.merge(&app.config_map("a"), json!({"data": {"key": "hand", "extra": "mine"}})).await;
    let object = app.kube.until_value(&app.config_map("a"), "key", "git").await;
    // What kubectl added goes as well; a field that Git does not speak of and a controller owns is that controller's.
    assert_eq!(object["data"], json!({"key": "git", "tuned": "yes"}));
    app.kube.delete(&app.config_map("a")).await;
    let uid = object["metadata"]["uid"].clone();
    app.kube
        .until_some("it is made again", &app.config_map("a"), |object| {
            object["metadata"]["uid"] != uid
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_suspended_nothing_happens_and_resuming_catches_up() {
    let Some(app) = App::start("suspend", &[("a.yaml", &config_map("a", "key", "one"))], "").await
    else {
        return;
    };
    app.kube.merge(&app.kustomization, json!({"spec": {"suspend": true}})).await;
    let two = config_map("a", "key", "two");
    let commit = app.push(&[("a.yaml", Change::File(two.as_bytes()))]).await;
    app.kube.until_ready(&app.source, &commit).await;
    app.kube
        .stays(
            "a suspended Kustomization applies nothing",
            &app.config_map("a"),
            Duration::from_secs(2),
            |object| object.is_some_and(|object| object["data"]["key"] == "one"),
        )
        .await;
    app.kube.merge(&app.kustomization, json!({"spec": {"suspend": false}})).await;
    app.kube.until_value(&app.config_map("a"), "key", "two").await;

    app.kube.merge(&app.source, json!({"spec": {"suspend": true}})).await;
    let three = config_map("a", "key", "three");
    app.push(&[("a.yaml", Change::File(three.as_bytes()))]).await;
    app.kube
        .stays(
            "a suspended source fetches nothing",
            &app.config_map("a"),
            Duration::from_secs(2),
            |object| object.is_some_and(|object| object["data"]["key"] == "two"),
        )
        .await;
    app.kube.merge(&app.source, json!({"spec": {"suspend": false}})).await;
    app.kube.until_value(&app.config_map("a"), "key", "three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_honoured_and_acknowledged() {
    let Some(app) = App::start("request", &[("a.yaml", &config_map("a", "key", "one"))], "").await
    else {
        return;
    };
    let before = app.kube.get(&app.kustomization).await.unwrap();
    let object = app.kube.reconcile(&app.kustomization).await;
    assert_eq!(ready(&object), Some("True"));
    assert_eq!(revision(&object), revision(&before));
    let object = app.kube.reconcile(&app.source).await;
    assert_eq!(ready(&object), Some("True"));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_kustomization_deletes_what_it_applied() {
    let Some(app) = App::start("delete", &[("a.yaml", &config_map("a", "key", "one"))], "").await
    else {
        return;
    };
    let object = app.kube.get(&app.kustomization).await.unwrap();
    assert_eq!(object["metadata"]["finalizers"], json!(["finalizers.fluxcd.io"]));
    app.kube.delete(&app.kustomization).await;
    app.kube.until_gone(&app.kustomization).await;
    assert!(app.kube.get(&app.config_map("a")).await.is_none(), "it was left behind");
    app.kube.delete(&app.source).await;
    app.kube.until_gone(&app.source).await;
    let artifacts = app.world.borax.storage().join("gitrepository/delete/app");
    assert!(!artifacts.exists(), "{} was left behind", artifacts.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deletion_policy_decides_what_stays() {
    for (name, more, prune, stays) in [
        ("policy-orphan", "deletionPolicy: Orphan\n", true, true),
        ("policy-delete", "deletionPolicy: Delete\n", false, false),
        ("policy-mirror", "deletionPolicy: MirrorPrune\n", false, true),
        ("policy-wait", "deletionPolicy: WaitForTermination\n", true, false),
    ] {
        let Some(app) = App::start(name, &[("a.yaml", &config_map("a", "key", "one"))], more).await
        else {
            return;
        };
        app.kube.merge(&app.kustomization, json!({"spec": {"prune": prune}})).await;
        app.kube
            .until_some("the spec is observed", &app.kustomization, |object| {
                ready(object) == Some("True")
            })
            .await;
        app.kube.delete(&app.kustomization).await;
        app.kube.until_gone(&app.kustomization).await;
        assert_eq!(app.kube.get(&app.config_map("a")).await.is_some(), stays, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_kustomization_leaves_everything_when_it_is_deleted() {
    let Some(app) = App::start("leave", &[("a.yaml", &config_map("a", "key", "one"))], "").await
    else {
        return;
    };
    app.kube.merge(&app.kustomization, json!({"spec": {"suspend": true}})).await;
    app.kube.delete(&app.kustomization).await;
    app.kube.until_gone(&app.kustomization).await;
    assert!(app.kube.get(&app.config_map("a")).await.is_some(), "it was deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_changed_is_made_anew_only_by_force() {
    let job = |word: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: once\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n        - name: main\n          image: example.org/none\n          args: [{word}]\n"
        )
    };
    let Some(app) = App::start("force", &[("job.yaml", &job("one"))], "").await else { return };
    let id = Ref::new("batch/v1", "Job", "force", "once");
    let uid = app.kube.get(&id).await.unwrap()["metadata"]["uid"].clone();
    let two = job("two");
    let commit = app.push(&[("job.yaml", Change::File(two.as_bytes()))]).await;
    let object = app
        .kube
        .until_some("the refusal is reported", &app.kustomization, |object| {
            ready(object) == Some("False")
        })
        .await;
    assert_eq!(reason(&object, "Ready"), "ReconciliationFailed");
    assert!(message(&object, "Ready").contains("Job/force/once"), "{}", message(&object, "Ready"));
    assert_eq!(app.kube.get(&id).await.unwrap()["metadata"]["uid"], uid);
    app.kube.merge(&app.kustomization, json!({"spec": {"force": true}})).await;
    app.kube.until_ready(&app.kustomization, &commit).await;
    let job = app.kube.get(&id).await.unwrap();
    assert_ne!(job["metadata"]["uid"], uid);
    assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["args"], json!(["two"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_revision_ends_the_wait_for_the_old_one() {
    let deployment = |outcome: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  selector:\n    matchLabels: {{app: web}}\n  template:\n    metadata:\n      labels: {{app: web}}\n      annotations: {{borax.test/outcome: \"{outcome}\"}}\n    spec:\n      containers:\n        - name: main\n          image: example.org/none\n"
        )
    };
    let Some(app) = App::start(
        "waiting",
        &[("a.yaml", &config_map("a", "key", "one"))],
        "wait: true\ntimeout: 1h\n",
    )
    .await
    else {
        return;
    };
    let never = deployment("never");
    app.push(&[("web.yaml", Change::File(never.as_bytes()))]).await;
    let object = app
        .kube
        .until_some("it waits for health", &app.kustomization, |object| {
            status_of(object, "Healthy") == Some("Unknown")
                && status_of(object, "Ready") == Some("Unknown")
        })
        .await;
    assert_eq!(status_of(&object, "Reconciling"), Some("True"));
    let good = deployment("ready");
    let commit = app.push(&[("web.yaml", Change::File(good.as_bytes()))]).await;
    app.kube.until_ready(&app.kustomization, &commit).await;
}
