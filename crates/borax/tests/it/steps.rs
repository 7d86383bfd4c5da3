//! What a status says of the step that a reconciliation stopped in, and what is told with its events.

use borax_testkit::git::Change;
use serde_json::{Value, json};

use crate::harness::{
    App, Ref, World, config_map, kustomization, message, reason, revision, status_of,
};

/// The events of an object: reason, message, annotations.
async fn events(app: &App<'_>, id: &Ref) -> Vec<(String, String, Value)> {
    let all = app.kube.list("v1", "Event", &id.namespace).await;
    let about = all.into_iter().filter(|event| {
        event["involvedObject"]["kind"] == *id.kind && event["involvedObject"]["name"] == *id.name
    });
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    about
        .map(|e| (text(&e, "reason"), text(&e, "message"), e["metadata"]["annotations"].clone()))
        .collect()
}

/// Waits for the event that starts with `message`; its annotations.
async fn annotations(app: &App<'_>, id: &Ref, message: &str) -> Value {
    for _ in 0..200 {
        let found = events(app, id).await.into_iter().find(|event| event.1.starts_with(message));
        if let Some((_, _, annotations)) = found {
            return annotations;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no event {message:?} in {:#?}", events(app, id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_does_not_build_was_attempted() {
    let Some(app) = App::start("unbuilt", &[("a.yaml", &config_map("a", "key", "one"))], "").await
    else {
        return;
    };
    let before = app.kube.get(&app.kustomization).await.unwrap();
    let broken = b"resources: [nowhere.yaml]\n";
    let commit = app.push(&[("kustomization.yaml", Change::File(broken))]).await;
    app.until_failed("BuildFailed").await;
    let object = app.kube.get(&app.kustomization).await.unwrap();
    let status = &object["status"];
    assert_eq!(status["lastAttemptedRevision"], format!("main@sha1:{commit}"));
    assert_eq!(status["lastAppliedRevision"], revision(&before));
    assert_eq!(status["inventory"], before["status"]["inventory"]);
    assert_eq!(status["history"], before["status"]["history"], "nothing was built");
    assert_eq!(reason(&object, "Reconciling"), "ProgressingWithRetry");
    assert_eq!(
        message(&object, "Reconciling"),
        format!("Building manifests for revision main@sha1:{commit} with a timeout of 59m30s")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_missing_was_not_attempted() {
    let Some(world) = World::shared().await else { return };
    let files = [("a.yaml", &*config_map("a", "key", "one"))];
    let app = App::place(world, "unfetched", &files, "targetNamespace: unfetched\n").await;
    app.kube.until_ready(&app.kustomization, "main@").await;
    let before = app.kube.get(&app.kustomization).await.unwrap();
    let commit = app.push(&[("b.yaml", Change::File(b""))]).await;
    app.kube.until_ready(&app.kustomization, &commit).await;
    app.kube.merge(&app.kustomization, json!({"spec": {"path": "./nope", "suspend": true}})).await;
    let commit = app.push(&[("c.yaml", Change::File(b""))]).await;
    app.kube.until_ready(&app.source, &commit).await;
    app.kube.merge(&app.kustomization, json!({"spec": {"suspend": false}})).await;
    app.until_failed("ArtifactFailed").await;
    let object = app.kube.get(&app.kustomization).await.unwrap();
    assert_ne!(object["status"]["lastAttemptedRevision"], format!("main@sha1:{commit}"));
    assert_ne!(
        object["status"]["lastAttemptedRevision"],
        before["status"]["lastAttemptedRevision"]
    );
    let words = message(&object, "Reconciling");
    assert!(words.starts_with("Fetching manifests for revision main@sha1:"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_suspended_was_seen_all_the_same() {
    let Some(app) = App::start("seen", &[("a.yaml", &config_map("a", "key", "one"))], "").await
    else {
        return;
    };
    for id in [&app.kustomization, &app.source] {
        app.kube.merge(id, json!({"spec": {"suspend": true}})).await;
        let request = app.kube.request(id).await;
        let object = app
            .kube
            .until_some("the request is seen", id, |object| {
                object["status"]["lastHandledReconcileAt"] == *request
            })
            .await;
        assert_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"]);
        assert_eq!(status_of(&object, "Ready"), Some("True"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_carry_the_revision_and_what_a_commit_status_is_to_do() {
    let Some(app) = App::start("told", &[("a.yaml", &config_map("a", "key", "one"))], "").await
    else {
        return;
    };
    let revision = revision(&app.kube.get(&app.kustomization).await.unwrap());
    let group = "kustomize.toolkit.fluxcd.io";
    let of_revision = json!({format!("{group}/revision"): revision});
    let finished = annotations(&app, &app.kustomization, "Reconciliation finished in ").await;
    assert_eq!(
        finished,
        json!({format!("{group}/revision"): revision, format!("{group}/commit_status"): "update"})
    );
    let applied = annotations(&app, &app.kustomization, "ConfigMap/told/a created").await;
    assert_eq!(applied, of_revision);
    let more = "targetNamespace: told\ndependsOn:\n  - name: nowhere\n";
    app.kube.apply(&kustomization("told", "late", "app", "./", more)).await;
    let late = Ref::kustomization("told", "late");
    let waits = annotations(&app, &late, "Dependencies do not meet ready condition").await;
    assert_eq!(waits, of_revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_health_expression_is_told_though_the_source_is_missing() {
    let Some(world) = World::shared().await else { return };
    let kube = world.kube().await;
    let more = "healthCheckExprs:\n  - apiVersion: v1\n    kind: ConfigMap\n    current: 'true'\n    inProgress: foo.\n";
    let text =
        crate::harness::namespace("unread") + &kustomization("unread", "app", "none", "./", more);
    kube.apply(&text).await;
    let id = Ref::kustomization("unread", "app");
    let object = kube
        .until_some("it stalls", &id, |object| status_of(object, "Stalled") == Some("True"))
        .await;
    for condition in ["Ready", "Stalled"] {
        assert_eq!(reason(&object, condition), "InvalidCELExpression");
        let words = "Reconciliation failed terminally due to configuration error: failed to create custom status \
                     evaluator for healthchecks[0]: failed to parse the expression InProgress: failed to parse the CEL \
                     expression 'foo.': ERROR: <input>:1:5: Syntax error: ";
        assert!(message(&object, condition).starts_with(words), "{}", message(&object, condition));
    }
    assert_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"]);
}
