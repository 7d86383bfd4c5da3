//! The control plane behaves as a real cluster does.

use std::time::Duration;

use borax_testkit::cluster::{self, Component, Options, count_by};
use serde_json::{Value, json};

async fn send(client: &kube::Client, method: &str, path: &str, body: &Value) -> Value {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("Content-Type", "application/json")
        .body(serde_json::to_vec(body).unwrap())
        .unwrap();
    client.request(request).await.unwrap_or_else(|e| panic!("{method} {path}: {e}"))
}

async fn get(client: &kube::Client, path: &str) -> Option<Value> {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    client.request(request).await.ok()
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(60), wait).await;
    assert!(done.is_ok(), "in a minute it did not happen that {what}");
}

fn workload(kind: &str, namespace: &str, name: &str, extra: &Value) -> Value {
    let mut spec = json!({
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "main", "image": "example.org/none"}]},
        },
    });
    if kind != "Job" {
        spec["selector"] = json!({"matchLabels": {"app": name}});
    }
    for (key, value) in extra.as_object().unwrap() {
        spec["template"][key] = value.clone();
        if key == "spec" {
            spec["template"]["spec"]["containers"] =
                json!([{"name": "main", "image": "example.org/none"}]);
        }
    }
    let api = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    json!({
        "apiVersion": api, "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    })
}

async fn namespace(client: &kube::Client, name: &str) {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    send(client, "POST", "/api/v1/namespaces", &body).await;
    let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
    until("the namespace has its service account", async || get(client, &account).await.is_some())
        .await;
}

#[tokio::test]
async fn deployments_become_ready_and_a_namespace_takes_everything_with_it() {
    let Some(cluster) = cluster::require() else { return };
    let client = cluster.client().await.unwrap();
    let ns = "testkit-life";
    namespace(&client, ns).await;
    let apps = format!("/apis/apps/v1/namespaces/{ns}");
    let pods = format!("/api/v1/namespaces/{ns}/pods");

    let body = workload("Deployment", ns, "good", &json!({}));
    send(&client, "POST", &format!("{apps}/deployments"), &body).await;
    let body = workload("DaemonSet", ns, "daemon", &json!({}));
    send(&client, "POST", &format!("{apps}/daemonsets"), &body).await;
    let never = json!({"metadata": {"labels": {"app": "never"},
        "annotations": {"borax.test/outcome": "never"}}});
    let body = workload("Deployment", ns, "never", &never);
    send(&client, "POST", &format!("{apps}/deployments"), &body).await;
    let batch = format!("/apis/batch/v1/namespaces/{ns}/jobs");
    let body = workload("Job", ns, "done", &json!({"spec": {"restartPolicy": "Never"}}));
    send(&client, "POST", &batch, &body).await;

    let number = async |path: String, field: &str| {
        get(&client, &path).await.and_then(|o| o.pointer(field)?.as_i64())
    };
    until("the Deployment is ready", async || {
        number(format!("{apps}/deployments/good"), "/status/readyReplicas").await == Some(1)
    })
    .await;
    until("the DaemonSet is ready", async || {
        number(format!("{apps}/daemonsets/daemon"), "/status/numberReady").await == Some(1)
    })
    .await;
    until("the Job has completed", async || {
        number(format!("{batch}/done"), "/status/succeeded").await == Some(1)
    })
    .await;
    let never = number(format!("{apps}/deployments/never"), "/status/readyReplicas").await;
    assert_eq!(never, None);

    send(&client, "DELETE", &format!("{apps}/deployments/good"), &json!({})).await;
    until("the owner's pods are collected", async || {
        let list = get(&client, &format!("{pods}?labelSelector=app%3Dgood")).await;
        list.is_some_and(|l| l["items"].as_array().is_some_and(Vec::is_empty))
    })
    .await;
    send(&client, "DELETE", &format!("/api/v1/namespaces/{ns}"), &json!({})).await;
    until("the namespace is gone", async || {
        get(&client, &format!("/api/v1/namespaces/{ns}")).await.is_none()
    })
    .await;
}

#[tokio::test]
async fn a_control_plane_of_ones_own_can_be_broken_counted_and_measured() {
    let Some(mut plane) = cluster::own(Options { audit: true, ..Options::default() }) else {
        return;
    };
    let client = plane.client().await.unwrap();
    let mut log = plane.request_log();
    log.take().unwrap();
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}});
    let maps = "/api/v1/namespaces/default/configmaps";
    send(&client, "POST", maps, &body).await;
    let requests = log.take().unwrap();
    let counts = count_by(&requests, |r| (r.user.clone(), r.label()));
    assert_eq!(counts[&("borax-test-admin".to_owned(), "create configmaps".to_owned())], 1);

    plane.freeze(Component::Apiserver).unwrap();
    let path = format!("{maps}/kept");
    let cut = tokio::time::timeout(Duration::from_millis(500), get(&client, &path)).await;
    assert!(cut.is_err(), "a frozen server does not answer");
    plane.thaw(Component::Apiserver).unwrap();
    until("the server answers again", async || get(&client, &path).await.is_some()).await;

    plane.restart_apiserver().unwrap();
    let client = plane.client().await.unwrap();
    assert!(get(&client, &path).await.is_some(), "what was stored survives");
    for component in Component::ALL {
        let usage = plane.usage(component).unwrap();
        assert!(usage.resident > 0 && usage.peak_resident >= usage.resident, "{component:?}");
    }

    let folder = plane.folder().to_path_buf();
    let pids: Vec<u32> = Component::ALL.iter().filter_map(|c| plane.pid(*c)).collect();
    drop(plane);
    assert!(!folder.exists());
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
