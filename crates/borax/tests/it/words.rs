//! What surprises in Flux, and its words: conditions, reasons, messages and events of sources and Kustomizations.

use borax_testkit::git::Change;
use serde_json::json;

use crate::harness::{
    App, Ref, World, conditions, config_map, git_repository, kustomization, message, namespace,
    ready, reason, revision, status_of,
};

fn deployment(name: &str, annotations: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  selector:\n    matchLabels: {{app: {name}}}\n  template:\n    metadata:\n      labels: {{app: {name}}}\n      annotations: {{{annotations}}}\n    spec:\n      containers:\n        - name: main\n          image: example.org/none\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_of_dependencies_stops_only_those_in_it_and_is_shown() {
    let Some(app) = App::start("circle", &[("a.yaml", &config_map("a", "key", "one"))], "").await
    else {
        return;
    };
    let on = |name: &str, other: &str| {
        let more = format!("targetNamespace: circle\ndependsOn:\n  - name: {other}\n");
        kustomization("circle", name, "app", "./", &more)
    };
    app.kube.apply(&(on("left", "right") + &on("right", "left"))).await;
    for name in ["left", "right"] {
        let id = Ref::kustomization("circle", name);
        let object = app
            .kube
            .until_some("the circle is shown", &id, |object| {
                message(object, "Ready").contains(" -> ")
            })
            .await;
        assert_eq!(reason(&object, "Ready"), "DependencyNotReady");
    }
    let two = config_map("a", "key", "two");
    app.push(&[("a.yaml", Change::File(two.as_bytes()))]).await;
    app.kube.until_value(&app.config_map("a"), "key", "two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ignore_of_the_source_reaches_the_cluster_at_the_same_commit() {
    let files =
        [("a.yaml", &*config_map("a", "key", "one")), ("b.yaml", &*config_map("b", "key", "one"))];
    let Some(app) = App::start("ignore", &files, "").await else { return };
    let before = app.kube.get(&app.kustomization).await.unwrap();
    app.kube.merge(&app.source, json!({"spec": {"ignore": "b.yaml"}})).await;
    app.kube.until_gone(&app.config_map("b")).await;
    let after = app.kube.until_ready(&app.kustomization, "main@").await;
    assert_eq!(revision(&before), revision(&after));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_variable_fails_the_build_unless_there_are_no_variables_at_all() {
    let Some(world) = World::shared().await else { return };
    let files = [("a.yaml", &*config_map("out", "key", "${nowhere}"))];
    let more = "targetNamespace: strict\npostBuild:\n  substitute:\n    somewhere: here\n";
    let app = App::place(world, "strict", &files, more).await;
    assert_eq!(
        app.until_failed("BuildFailed").await,
        "post build failed for 'ConfigMap.v1.[noGrp]/out': envsubst error: variable substitution failed: variable \
         not set (strict mode): \"nowhere\""
    );
    let none = json!({"spec": {"postBuild": {
        "substitute": null,
        "substituteFrom": [{"kind": "ConfigMap", "name": "missing", "optional": true}],
    }}});
    app.kube.merge(&app.kustomization, none).await;
    app.kube.until_value(&app.config_map("out"), "key", "${nowhere}").await;

    let needed = json!({"spec": {"postBuild": {"substituteFrom": [{"kind": "ConfigMap", "name": "missing"}]}}});
    app.kube.merge(&app.kustomization, needed).await;
    assert_eq!(
        app.until_failed("BuildFailed").await,
        "post build failed for 'ConfigMap.v1.[noGrp]/out': substitute from 'ConfigMap/missing' error: \
         configmaps \"missing\" not found"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quoted_variable_loses_its_quotes() {
    let Some(world) = World::shared().await else { return };
    let files = [("a.yaml", &*config_map("a", "a", "${v}"))];
    let more = "targetNamespace: quotes\npostBuild:\n  substitute:\n    v: \"3\"\n";
    let app = App::place(world, "quotes", &files, more).await;
    let message = app.until_failed("ReconciliationFailed").await;
    let words = ".data.a: expected string, got &value.valueUnstructured{Value:3}";
    assert!(
        message.starts_with("ConfigMap/quotes/a dry-run failed") && message.contains(words),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_config_map_is_substituted_again_when_it_changes() {
    let Some(world) = World::shared().await else { return };
    let files = [("a.yaml", &*config_map("a", "key", "${colour}"))];
    let colour = |value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: colours\n  namespace: watched\n  labels:\n    reconcile.fluxcd.io/watch: Enabled\ndata:\n  colour: {value}\n"
        )
    };
    let more = "targetNamespace: watched\npostBuild:\n  substituteFrom:\n    - kind: ConfigMap\n      name: colours\n";
    let app = App::place(world, "watched", &files, more).await;
    app.kube.apply(&colour("red")).await;
    app.kube.until_value(&app.config_map("a"), "key", "red").await;
    app.kube.apply(&colour("blue")).await;
    app.kube.until_value(&app.config_map("a"), "key", "blue").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_without_a_namespace_is_refused() {
    let Some(world) = World::shared().await else { return };
    let app = App::place(world, "nowhere", &[("a.yaml", &config_map("a", "key", "one"))], "").await;
    assert_eq!(
        app.until_failed("ReconciliationFailed").await,
        "ConfigMap/a namespace not specified: the server could not find the requested resource"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_source_and_a_missing_path_are_named() {
    let Some(world) = World::shared().await else { return };
    let kube = world.kube().await;
    kube.apply(&(namespace("missing") + &kustomization("missing", "app", "app", "./nope", "")))
        .await;
    let id = Ref::kustomization("missing", "app");
    let object = kube
        .until_some("the source is missed", &id, |object| {
            status_of(object, "Ready") == Some("False")
        })
        .await;
    assert_eq!(reason(&object, "Ready"), "ArtifactFailed");
    assert_eq!(
        message(&object, "Ready"),
        "GitRepository.source.toolkit.fluxcd.io \"app\" not found"
    );
    let repository = world.repository("missing.git", &[("a.yaml", "")]);
    kube.apply(&git_repository("missing", "app", &world.url(&repository))).await;
    let object = kube
        .until_some("the path is missed", &id, |object| message(object, "Ready").contains("nope"))
        .await;
    assert_eq!(reason(&object, "Ready"), "ArtifactFailed");
    assert!(
        message(&object, "Ready").starts_with("kustomization path not found:"),
        "{}",
        message(&object, "Ready")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_revision_that_never_gets_healthy_leaves_its_inventory_only() {
    let Some(world) = World::shared().await else { return };
    let files = [("web.yaml", &*deployment("web", "borax.test/outcome: never"))];
    let app = App::place(
        world,
        "unhealthy",
        &files,
        "targetNamespace: unhealthy\nwait: true\ntimeout: 2s\n",
    )
    .await;
    let words = app.until_failed("HealthCheckFailed").await;
    // No timeout is shorter than half a minute, as in Flux.
    assert!(words.starts_with("health check failed after 30"), "{words}");
    assert!(
        words.ends_with("s: timeout waiting for: [Deployment/unhealthy/web status: 'InProgress']"),
        "{words}"
    );
    let object = app.kube.get(&app.kustomization).await.unwrap();
    assert_eq!(
        message(&object, "Healthy"),
        "timeout waiting for: [Deployment/unhealthy/web status: 'InProgress']"
    );
    assert_eq!(reason(&object, "Healthy"), "HealthCheckFailed");
    assert_eq!(object["status"]["observedGeneration"], -1);
    assert!(object["status"].get("lastAppliedRevision").is_none(), "{}", object["status"]);
    assert_eq!(
        object["status"]["inventory"]["entries"],
        json!([{"id": "unhealthy_web_apps_Deployment", "v": "v1"}])
    );
    assert_eq!(status_of(&object, "Reconciling"), Some("True"));
    assert_eq!(reason(&object, "Reconciling"), "ProgressingWithRetry");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_ends_the_wait_early() {
    let Some(world) = World::shared().await else { return };
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: once\nspec:\n  backoffLimit: 0\n  template:\n    metadata:\n      annotations: {borax.test/outcome: fail}\n    spec:\n      restartPolicy: Never\n      containers:\n        - name: main\n          image: example.org/none\n";
    let more = "targetNamespace: failing\nwait: true\ntimeout: 10m\n";
    let app = App::place(world, "failing", &[("job.yaml", job)], more).await;
    let words = app.until_failed("HealthCheckFailed").await;
    assert!(
        words.contains("failed early due to stalled resources: [Job/failing/once status: 'Failed'"),
        "{words}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_ready_expression_stalls() {
    let Some(world) = World::shared().await else { return };
    let files = [("a.yaml", &*config_map("a", "key", "one"))];
    let more = "targetNamespace: expression\ndependsOn:\n  - name: other\n    readyExpr: \"this is no expression\"\n";
    let app = App::place(world, "expression", &files, more).await;
    app.kube
        .apply(&kustomization("expression", "other", "app", "./", "targetNamespace: expression\n"))
        .await;
    let words = app.until_failed("InvalidCELExpression").await;
    assert!(
        words.starts_with("Reconciliation failed terminally due to configuration error: "),
        "{words}"
    );
    let object = app.kube.get(&app.kustomization).await.unwrap();
    assert_eq!(reason(&object, "Stalled"), "InvalidCELExpression");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_expression_and_a_health_expression_decide() {
    let Some(world) = World::shared().await else { return };
    let files = [
        ("app/a.yaml", &*config_map("a", "key", "one")),
        (
            "crd/crd.yaml",
            include_str!(
                "../../../../config/d1/infra/components/monitoring/controllers/base/crd.yaml"
            ),
        ),
        (
            "scrape/s.yaml",
            "apiVersion: metrics.example.com/v1\nkind: Scrape\nmetadata:\n  name: one\n  labels: {state: waiting}\nspec:\n  port: http\n",
        ),
    ];
    let more = "dependsOn:\n  - name: scrape\n    readyExpr: dep.metadata.labels.go == 'on'\ntargetNamespace: cel\n";
    let app = App::place(world, "cel", &files, more).await;
    app.kube.merge(&app.kustomization, json!({"spec": {"path": "./app"}})).await;
    let exprs = "targetNamespace: cel\nwait: true\ntimeout: 10m\ndependsOn:\n  - name: crd\nhealthCheckExprs:\n  - apiVersion: metrics.example.com/v1\n    kind: Scrape\n    current: metadata.labels.state == 'done'\n";
    let crd = kustomization("cel", "crd", "app", "./crd", "wait: true\n");
    app.kube.apply(&(crd + &kustomization("cel", "scrape", "app", "./scrape", exprs))).await;
    let scrape = Ref::kustomization("cel", "scrape");
    app.kube
        .until_some("it waits for the expression", &scrape, |o| {
            status_of(o, "Healthy") == Some("Unknown")
        })
        .await;
    let one = Ref::new("metrics.example.com/v1", "Scrape", "cel", "one");
    app.kube.until_some("it was applied", &one, |_| true).await;
    // The label is Git's: a healthy state is committed, which also interrupts the wait.
    let done = files[2].1.replace("waiting", "done");
    app.push(&[("scrape/s.yaml", Change::File(done.as_bytes()))]).await;
    app.kube.until_ready(&scrape, "main@").await;
    let object = app.kube.get(&app.kustomization).await.unwrap();
    assert_eq!(reason(&object, "Ready"), "DependencyNotReady", "{}", message(&object, "Ready"));
    app.kube.merge(&scrape, json!({"metadata": {"labels": {"go": "on"}}})).await;
    app.kube.request(&app.kustomization).await;
    app.kube.until_ready(&app.kustomization, "main@").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_once_and_merge_are_honoured() {
    let annotated = |name: &str, value: &str, how: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  annotations:\n    kustomize.toolkit.fluxcd.io/ssa: {how}\ndata:\n  key: {value}\n"
        )
    };
    let files = [
        ("once.yaml", &*annotated("once", "one", "IfNotPresent")),
        ("merged.yaml", &*annotated("merged", "one", "Merge")),
        ("ignored.yaml", &*annotated("ignored", "one", "Ignore")),
    ];
    let Some(app) = App::start("annotated", &files, "").await else { return };
    assert!(app.kube.get(&app.config_map("ignored")).await.is_none());
    app.kube.merge(&app.config_map("merged"), json!({"data": {"mine": "yes"}})).await;
    let (once, merged) =
        (annotated("once", "two", "IfNotPresent"), annotated("merged", "two", "Merge"));
    let changes = [
        ("once.yaml", Change::File(once.as_bytes())),
        ("merged.yaml", Change::File(merged.as_bytes())),
    ];
    let commit = app.push(&changes).await;
    app.kube.until_ready(&app.kustomization, &commit).await;
    assert_eq!(app.kube.get(&app.config_map("once")).await.unwrap()["data"], json!({"key": "one"}));
    assert_eq!(
        app.kube.get(&app.config_map("merged")).await.unwrap()["data"],
        json!({"key": "two", "mine": "yes"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubectl_applied_before_is_taken_over() {
    let Some(world) = World::shared().await else { return };
    let kube = world.kube().await;
    let before = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: takeover\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: '{}'\ndata:\n  key: kubectl\n  only: kubectl\n";
    kube.apply(&(namespace("takeover") + before)).await;
    let Some(app) = App::start("takeover", &[("a.yaml", &config_map("a", "key", "git"))], "").await
    else {
        return;
    };
    let object = app.kube.get(&app.config_map("a")).await.unwrap();
    assert_eq!(object["data"], json!({"key": "git"}));
    let annotations = &object["metadata"]["annotations"];
    assert!(
        annotations.get("kubectl.kubernetes.io/last-applied-configuration").is_none(),
        "{annotations}"
    );
    let managers: Vec<_> = object["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["manager"])
        .collect();
    assert_eq!(managers, ["kustomize-controller"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_managers_of_the_custom_resources_are_fluxs() {
    let Some(app) = App::start("managers", &[("a.yaml", &config_map("a", "key", "one"))], "").await
    else {
        return;
    };
    for (id, manager) in
        [(&app.kustomization, "gotk-kustomize-controller"), (&app.source, "gotk-source-controller")]
    {
        let object = app.kube.get(id).await.unwrap();
        let mut managers: Vec<_> = object["metadata"]["managedFields"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|m| m["manager"].as_str())
            .filter(|name| !name.starts_with("kubectl"))
            .collect();
        managers.dedup();
        assert_eq!(managers, [manager], "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_files_and_ignored_files_are_left_out_of_plain_directories() {
    let json =
        r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "json"}, "data": {}}"#;
    let files = [
        ("a.yaml", &*config_map("a", "key", "one")),
        ("b.json", json),
        ("skip/c.yaml", &*config_map("c", "key", "one")),
        (".sourceignore", "skip/\n"),
    ];
    let Some(app) = App::start("plain", &files, "").await else { return };
    assert!(app.kube.get(&app.config_map("json")).await.is_none());
    assert!(app.kube.get(&app.config_map("c")).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_fetch_says_why_twice_and_keeps_the_artifact() {
    let Some(app) = App::start("fetch", &[("a.yaml", &config_map("a", "key", "one"))], "").await
    else {
        return;
    };
    let before = app.kube.get(&app.source).await.unwrap();
    app.kube.merge(&app.source, json!({"spec": {"ref": {"branch": "nope"}}})).await;
    let object = app
        .kube
        .until_some("the branch is missed", &app.source, |object| {
            status_of(object, "FetchFailed") == Some("True")
        })
        .await;
    assert_eq!(status_of(&object, "Ready"), Some("False"));
    for condition in ["Ready", "FetchFailed"] {
        assert_eq!(reason(&object, condition), "GitOperationFailed");
        assert_eq!(message(&object, condition), message(&object, "FetchFailed"));
    }
    assert_eq!(object["status"]["artifact"], before["status"]["artifact"]);
    assert!(app.kube.get(&app.config_map("a")).await.is_some());

    let sparse = json!({"spec": {"ref": {"branch": "main"}, "sparseCheckout": ["nope"]}});
    app.kube.merge(&app.source, sparse).await;
    let words = "failed to sparse checkout directories : sparse checkout dir 'nope' does not exist in repository";
    app.kube
        .until_some("the folder is missed", &app.source, |object| {
            message(object, "Ready").starts_with(words)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_after_the_service_account_is_gone_leaves_everything() {
    let Some(world) = World::shared().await else { return };
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: tenant\n  namespace: orphaned\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata:\n  name: tenant\n  namespace: orphaned\nroleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: admin\nsubjects:\n  - kind: ServiceAccount\n    name: tenant\n    namespace: orphaned\n";
    let kube = world.kube().await;
    kube.apply(&(namespace("orphaned") + account)).await;
    let files = [("a.yaml", &*config_map("a", "key", "one"))];
    let Some(app) = App::start("orphaned", &files, "serviceAccountName: tenant\n").await else {
        return;
    };
    app.kube.delete(&Ref::new("v1", "ServiceAccount", "orphaned", "tenant")).await;
    app.kube.delete(&app.kustomization).await;
    app.kube.until_gone(&app.kustomization).await;
    assert!(app.kube.get(&app.config_map("a")).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_lost_its_owner_labels_is_not_pruned() {
    let files =
        [("a.yaml", &*config_map("a", "key", "one")), ("b.yaml", &*config_map("b", "key", "one"))];
    let Some(app) = App::start("disowned", &files, "").await else { return };
    app.kube.merge(&app.kustomization, json!({"spec": {"suspend": true}})).await;
    let labels = json!({"metadata": {"labels": {
        "kustomize.toolkit.fluxcd.io/name": "another", "kustomize.toolkit.fluxcd.io/namespace": "another",
    }}});
    app.kube.merge(&app.config_map("b"), labels).await;
    let commit = app.push(&[("b.yaml", Change::Delete)]).await;
    app.kube.until_ready(&app.source, &commit).await;
    app.kube.merge(&app.kustomization, json!({"spec": {"suspend": false}})).await;
    app.kube.until_ready(&app.kustomization, &commit).await;
    assert!(app.kube.get(&app.config_map("b")).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_first_reconciliation_and_of_a_commit_are_fluxs() {
    let Some(app) = App::start("events", &[("a.yaml", &config_map("a", "key", "one"))], "").await
    else {
        return;
    };
    let two = config_map("a", "key", "two");
    let commit = app.push(&[("a.yaml", Change::File(two.as_bytes()))]).await;
    let object = app.kube.until_ready(&app.kustomization, &commit).await;
    assert_eq!(status_of(&object, "Reconciling"), None, "{:?}", conditions(&object));
    assert_eq!(ready(&object), Some("True"));
    // Events are told after the fact; the last of them is waited for.
    let mut events = Vec::new();
    for _ in 0..200 {
        events = app.kube.events(&app.kustomization).await;
        if events.iter().filter(|(_, reason, _)| reason == "ReconciliationSucceeded").count() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let has = |kind: &str, reason: &str, start: &str| {
        events.iter().any(|(k, r, message)| k == kind && r == reason && message.starts_with(start))
    };
    assert!(has("Normal", "Progressing", "ConfigMap/events/a created"), "{events:#?}");
    assert!(has("Normal", "Progressing", "ConfigMap/events/a configured"), "{events:#?}");
    assert!(has("Normal", "ReconciliationSucceeded", "Reconciliation finished in "), "{events:#?}");
    let source = app.kube.events(&app.source).await;
    let told = |word: &str| {
        source.iter().any(|(_, reason, message)| reason == "NewArtifact" && message == word)
    };
    assert!(told("stored artifact for commit 'A change'"), "{source:#?}");
}
