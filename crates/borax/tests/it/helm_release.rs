//! A chart in a registry and a HelmRelease: installed, upgraded, tested, rolled back and uninstalled, beside the real
//! helm reading the records.

use serde_json::{Value, json};

use crate::harness::{CONFIG, Ref, Release, VALUES, World, message, reason};

const FILES: [(&str, &str); 2] = [("templates/config.yaml", CONFIG), ("values.yaml", VALUES)];

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_is_installed_upgraded_and_uninstalled_and_helm_reads_its_records() {
    let more = "values:\n  greeting: one\n";
    let Some(app) = Release::start("release", &FILES, more).await else { return };
    let applied = app.kube.get(&app.config_map("web")).await.unwrap();
    assert_eq!(applied["data"], json!({"greeting": "one", "revision": "1"}));
    let metadata = &applied["metadata"];
    assert_eq!(
        metadata["labels"],
        json!({
            "app.kubernetes.io/managed-by": "Helm",
            "helm.toolkit.fluxcd.io/name": "web",
            "helm.toolkit.fluxcd.io/namespace": "release",
        })
    );
    assert_eq!(metadata["annotations"]["meta.helm.sh/release-name"], "web");
    assert_eq!(metadata["annotations"]["meta.helm.sh/release-namespace"], "release");
    assert_eq!(metadata["managedFields"][0]["manager"], "helm-controller");
    assert_eq!(metadata["managedFields"][0]["operation"], "Apply");

    let object = app.kube.get(&app.release).await.unwrap();
    assert_eq!(reason(&object, "Ready"), "InstallSucceeded");
    let version = object["status"]["lastAttemptedRevision"].as_str().unwrap().to_owned();
    assert!(version.starts_with("1.0.0+"), "{version}");
    assert_eq!(
        message(&object, "Ready"),
        format!("Helm install succeeded for release release/web.v1 with chart web@{version}")
    );
    let snapshot = &object["status"]["history"][0];
    assert_eq!(snapshot["status"], "deployed");
    assert_eq!(snapshot["action"], "install");
    assert_eq!(snapshot["version"], 1);
    let entries = object["status"]["inventory"]["entries"].as_array().unwrap();
    assert_eq!(entries[0]["id"], "release_web__ConfigMap");

    if let Some(list) = app.helm(&["list", "-o", "json"]) {
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list[0]["status"], "deployed");
        assert_eq!(list[0]["revision"], "1");
        assert_eq!(list[0]["chart"], format!("web-{version}"));
        let values = app.helm(&["get", "values", "web", "-o", "json"]).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&values).unwrap(), json!({"greeting": "one"}));
    }

    app.patch(json!({"spec": {"values": {"greeting": "two"}}})).await;
    app.kube.until_value(&app.config_map("web"), "greeting", "two").await;
    let object = app.until_ready("1.0.0").await;
    assert_eq!(reason(&object, "Ready"), "UpgradeSucceeded");
    app.push("1.1.0", &FILES).await;
    let object = app.until_ready("1.1.0").await;
    let history = object["status"]["history"].as_array().unwrap();
    assert_eq!(history[0]["version"], 3);
    assert_eq!(history[1]["status"], "superseded");
    if let Some(text) = app.helm(&["history", "web", "-o", "json"]) {
        let history: Value = serde_json::from_str(&text).unwrap();
        let words = |field: &str| -> Vec<String> {
            let all = history.as_array().unwrap().iter();
            all.map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(words("status"), ["superseded", "superseded", "deployed"]);
        assert_eq!(
            words("description"),
            ["Install complete", "Upgrade complete", "Upgrade complete"]
        );
    }

    app.kube.delete(&app.release).await;
    app.kube.until_gone(&app.config_map("web")).await;
    app.kube.until_gone(&app.release).await;
    assert!(app.records().await.is_empty(), "records are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_suspended_was_seen_all_the_same() {
    let Some(app) = Release::start("release-seen", &FILES, "").await else { return };
    let change = json!({"spec": {"suspend": true, "values": {"greeting": "two"}}});
    app.kube.merge(&app.release, change).await;
    let seen = app.kube.reconcile(&app.release).await;
    assert_eq!(seen["status"]["observedGeneration"], seen["metadata"]["generation"]);
    assert_eq!(seen["status"]["history"][0]["version"], 1, "nothing else was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_from_config_maps_and_secrets_and_follow_them() {
    let Some(world) = World::shared().await else { return };
    let more = "valuesFrom:\n- kind: ConfigMap\n  name: values\n- kind: Secret\n  name: secret\n  valuesKey: word\n  targetPath: greeting\n";
    let app = Release::place(world, "values", &FILES, more).await;
    let object = app.until_failed("ValuesError").await;
    assert_eq!(
        message(&object, "Ready"),
        "could not resolve ConfigMap chart values reference 'values/values' with key 'values.yaml': configmaps \"values\" not found"
    );
    let watched = "labels: {reconcile.fluxcd.io/watch: Enabled}";
    let secret = |word: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: secret\n  namespace: values\n  {watched}\nstringData:\n  word: {word}\n---\n"
        )
    };
    let config = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: values\n  namespace: values\n  {watched}\ndata:\n  values.yaml: |\n    greeting: config\n---\n"
    );
    app.kube.apply(&(secret("hidden") + &config)).await;
    app.kube.until_value(&app.config_map("web"), "greeting", "hidden").await;
    app.until_ready("1.0.0").await;
    app.kube.apply(&secret("changed")).await;
    app.kube.until_value(&app.config_map("web"), "greeting", "changed").await;
}

impl Release<'_> {
    /// The names of Helm's records in the namespace.
    pub(crate) async fn records(&self) -> Vec<String> {
        let secrets = self.kube.list("v1", "Secret", &self.namespace).await;
        let records = secrets.iter().filter(|secret| secret["type"] == "helm.sh/release.v1");
        records
            .filter_map(|record| record["metadata"]["name"].as_str().map(str::to_owned))
            .collect()
    }

    pub(crate) fn job(&self, name: &str) -> Ref {
        Ref::new("batch/v1", "Job", &self.namespace, name)
    }
}
