//! What can go wrong with a release and what is done about it: hooks, tests, remediation, rollback, drift, CRDs.

use serde_json::{Value, json};

use crate::harness::{CONFIG, Ref, Release, VALUES, World, message, reason, status_of};

/// A Job as a hook; the simulated kubelet lets its pod succeed, or fail.
fn hook(name: &str, events: &str, more: &str, outcome: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations:\n    helm.sh/hook: {events}\n{more}spec:\n  backoffLimit: 0\n  template:\n    metadata:\n      annotations: {{borax.test/outcome: \"{outcome}\"}}\n    spec:\n      restartPolicy: Never\n      containers:\n        - name: main\n          image: example.org/none\n"
    )
}

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app\nspec:\n  selector:\n    matchLabels: {app: app}\n  template:\n    metadata:\n      labels: {app: app}\n      annotations: {borax.test/outcome: {{ .Values.outcome | quote }}}\n    spec:\n      containers:\n        - name: main\n          image: {{ .Values.image | default \"example.org/none\" }}\n";

fn history(object: &Value) -> Vec<String> {
    let all = object["status"]["history"].as_array().unwrap().iter();
    all.map(|s| format!("{} {}", s["version"], s["status"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_in_order_and_go_as_their_policies_say() {
    let before = hook(
        "before",
        "pre-install,pre-upgrade",
        "    helm.sh/hook-delete-policy: hook-succeeded\n",
        "",
    );
    let after = hook("after", "post-install", "", "");
    let test = hook("check", "test", "", "");
    let files = [
        ("templates/config.yaml", CONFIG),
        ("values.yaml", VALUES),
        ("templates/before.yaml", before.as_str()),
        ("templates/after.yaml", after.as_str()),
        ("templates/tests/check.yaml", test.as_str()),
    ];
    let Some(app) = Release::start("hooks", &files, "test:\n  enable: true\n").await else {
        return;
    };
    let object = app.kube.get(&app.release).await.unwrap();
    assert_eq!(reason(&object, "TestSuccess"), "TestSucceeded");
    assert_eq!(reason(&object, "Ready"), "TestSucceeded");
    assert!(message(&object, "Ready").ends_with("1 test hook completed successfully"));
    assert_eq!(object["status"]["history"][0]["testHooks"]["check"]["phase"], "Succeeded");
    assert!(app.kube.get(&app.job("before")).await.is_none(), "hook-succeeded deletes");
    let after = app.kube.get(&app.job("after")).await.unwrap();
    assert_eq!(after["metadata"]["labels"]["helm.toolkit.fluxcd.io/name"], "web");
    if let Some(text) = app.helm(&["status", "web", "-o", "json"]) {
        let release: Value = serde_json::from_str(&text).unwrap();
        let run = |name: &str| {
            let mut hooks = release["hooks"].as_array().unwrap().iter();
            let hook = hooks.find(|hook| hook["name"] == *name).unwrap().clone();
            assert_eq!(hook["last_run"]["phase"], "Succeeded", "{name}");
            hook["last_run"]["started_at"].as_str().unwrap().to_owned()
        };
        assert!(run("before") < run("after") && run("after") < run("check"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_upgrade_rolls_back_and_the_next_good_one_upgrades() {
    let files = [("templates/app.yaml", DEPLOYMENT), ("values.yaml", "outcome: ready\n")];
    let more =
        "timeout: 3s\nupgrade:\n  remediation:\n    retries: 0\n    remediateLastFailure: true\n";
    let Some(app) = Release::start("rollback", &files, more).await else { return };
    app.patch(json!({"spec": {"values": {"outcome": "never"}}})).await;
    let object = app
        .kube
        .until_some("it is rolled back", &app.release, |object| {
            status_of(object, "Stalled") == Some("True")
        })
        .await;
    assert_eq!(reason(&object, "Remediated"), "RollbackSucceeded", "{object}");
    assert_eq!(reason(&object, "Ready"), "RollbackSucceeded");
    assert_eq!(status_of(&object, "Ready"), Some("False"));
    assert_eq!(reason(&object, "Stalled"), "RetriesExceeded");
    assert_eq!(reason(&object, "Released"), "UpgradeFailed");
    let cause = message(&object, "Released");
    assert!(cause.contains("timeout waiting for: [Deployment/rollback/app"), "{cause}");
    assert_eq!(history(&object), ["3 deployed", "2 failed", "1 superseded"]);
    let live = app.kube.get(&Ref::deployment("rollback", "app")).await.unwrap();
    assert_eq!(
        live.pointer("/spec/template/metadata/annotations/borax.test~1outcome"),
        Some(&json!("ready"))
    );
    if let Some(text) = app.helm(&["history", "web", "-o", "json"]) {
        let text: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text[2]["description"], "Rollback to 1");
    }
    app.patch(json!({"spec": {"values": {"outcome": "ready", "image": "example.org/other"}}}))
        .await;
    let object = app.until_ready("1.0.0").await;
    assert_eq!(reason(&object, "Ready"), "UpgradeSucceeded");
    assert_eq!(object["status"]["upgradeFailures"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_install_is_uninstalled_and_retried_as_often_as_asked() {
    let Some(world) = World::shared().await else { return };
    let files = [("templates/app.yaml", DEPLOYMENT), ("values.yaml", "outcome: never\n")];
    let more =
        "timeout: 2s\ninstall:\n  remediation:\n    retries: 1\n    remediateLastFailure: true\n";
    let app = Release::place(world, "reinstall", &files, more).await;
    let object = app
        .kube
        .until_some("it gives up", &app.release, |object| {
            status_of(object, "Stalled") == Some("True")
        })
        .await;
    assert_eq!(message(&object, "Stalled"), "Failed to install after 2 attempt(s)");
    assert_eq!(object["status"]["installFailures"], 2);
    assert_eq!(reason(&object, "Remediated"), "UninstallSucceeded");
    app.kube.until_gone(&Ref::deployment("reinstall", "app")).await;
    assert!(app.records().await.is_empty());
    app.patch(json!({"spec": {"values": {"outcome": "ready"}}})).await;
    app.until_ready("1.0.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_hook_is_told_with_its_path() {
    let Some(world) = World::shared().await else { return };
    let failing = hook("migrate", "pre-install", "", "fail");
    let files = [
        ("templates/config.yaml", CONFIG),
        ("values.yaml", VALUES),
        ("templates/migrate.yaml", failing.as_str()),
    ];
    let app = Release::place(world, "badhook", &files, "").await;
    let object = app.until_failed("InstallFailed").await;
    let cause = message(&object, "Ready");
    assert!(cause.contains("web/templates/migrate.yaml"), "{cause}");
    assert!(cause.contains("Job/badhook/migrate"), "{cause}");
    assert!(app.kube.get(&app.config_map("web")).await.is_none(), "nothing is installed");
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_corrected_and_what_is_ignored_stays() {
    let more = "driftDetection:\n  mode: enabled\n  ignore:\n  - paths: [\"/data/revision\"]\n";
    let files = [("templates/config.yaml", CONFIG), ("values.yaml", VALUES)];
    let Some(app) = Release::start("drifting", &files, more).await else { return };
    app.kube.merge(&app.config_map("web"), json!({"data": {"greeting": "hand"}})).await;
    app.kube.until_value(&app.config_map("web"), "greeting", "hello").await;
    let events = app.kube.events(&app.release).await;
    let _ = events;
    app.kube.delete(&app.config_map("web")).await;
    app.kube.until_value(&app.config_map("web"), "greeting", "hello").await;
    let object = app.until_ready("1.0.0").await;
    assert_eq!(history(&object), ["1 deployed"], "correcting makes no release");
}

#[tokio::test(flavor = "multi_thread")]
async fn crds_come_first_and_stay() {
    let crd = |description: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: things.crds.borax.test\nspec:\n  group: crds.borax.test\n  names: {{kind: Thing, plural: things, singular: thing, listKind: ThingList}}\n  scope: Namespaced\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      schema:\n        openAPIV3Schema: {{type: object, description: {description}, x-kubernetes-preserve-unknown-fields: true}}\n"
        )
    };
    let thing =
        "apiVersion: crds.borax.test/v1\nkind: Thing\nmetadata:\n  name: it\nspec: {a: b}\n";
    let first = crd("one");
    let files = [("crds/thing.yaml", first.as_str()), ("templates/thing.yaml", thing)];
    let more = "upgrade:\n  crds: CreateReplace\n";
    let Some(app) = Release::start("crds", &files, more).await else { return };
    let definition = Ref::new(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "",
        "things.crds.borax.test",
    );
    let object = app.kube.get(&app.release).await.unwrap();
    let entries = object["status"]["inventory"]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{entries:?}");
    let second = crd("two");
    app.push("1.1.0", &[("crds/thing.yaml", &second), ("templates/thing.yaml", thing)]).await;
    app.until_ready("1.1.0").await;
    let live = app.kube.get(&definition).await.unwrap();
    assert_eq!(
        live.pointer("/spec/versions/0/schema/openAPIV3Schema/description"),
        Some(&json!("two"))
    );
    app.kube.delete(&app.release).await;
    app.kube.until_gone(&app.release).await;
    assert!(app.kube.get(&definition).await.is_some(), "definitions stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_helm_is_taken_over() {
    let Some(world) = World::shared().await else { return };
    let files = [("templates/config.yaml", CONFIG), ("values.yaml", VALUES)];
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("web-1.0.0.tgz");
    std::fs::write(&archive, crate::harness::chart("1.0.0", &files)).unwrap();
    let kube = world.kube().await;
    kube.apply(&crate::harness::namespace("takeover")).await;
    let install = ["install", "web", archive.to_str().unwrap()];
    let Some(_) = crate::harness::helm(&world.plane.kubeconfig(), "takeover", &install) else {
        return;
    };
    let uid =
        kube.get(&Ref::config_map("takeover", "web")).await.unwrap()["metadata"]["uid"].clone();
    let app = Release::place(world, "takeover", &files, "").await;
    let object = app.until_ready("1.0.0").await;
    assert!(message(&object, "Ready").ends_with("was taken over as it is"));
    assert_eq!(history(&object), ["1 deployed"], "nothing differs, so no release is made");
    app.patch(json!({"spec": {"values": {"greeting": "ours"}}})).await;
    app.kube.until_value(&app.config_map("web"), "greeting", "ours").await;
    let object = app.until_ready("1.0.0").await;
    assert_eq!(reason(&object, "Ready"), "UpgradeSucceeded");
    let live = app.kube.get(&app.config_map("web")).await.unwrap();
    assert_eq!(live["metadata"]["uid"], uid, "nothing is made anew");
    let managers: Vec<&str> = live["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    assert_eq!(managers, ["helm-controller"], "helm's fields are ours now");
    if app.helm(&["rollback", "web", "1", "--force-conflicts"]).is_some() {
        app.kube.request(&app.release).await;
        app.kube.until_value(&app.config_map("web"), "greeting", "ours").await;
        app.until_ready("1.0.0").await;
    }
}
