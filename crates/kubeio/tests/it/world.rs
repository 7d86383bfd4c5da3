//! A namespace of its own on the shared control plane, and an owner in it.

use std::sync::atomic::{AtomicU32, Ordering};

use borax_apply::{ChangeSet, CommonMetadata, IgnoreRules, Options, Owner, Plan, prepare};
use borax_kubeio::{Applier, Cluster, ConnectOptions, Source};
use borax_object::{Entry, ObjectId};
use http::Method;
use serde_json::{Value, json};

static COUNT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: String,
    kubeconfig: std::path::PathBuf,
}

impl World {
    /// `None` (and a loud skip) without a control plane.
    pub(crate) async fn new() -> Option<Self> {
        let shared = borax_testkit::cluster::require()?;
        let kubeconfig = shared.kubeconfig().to_owned();
        let cluster = connect(&kubeconfig).await;
        let nanos = jiff::Timestamp::now().as_nanosecond() % 1_000_000_000_000;
        let namespace = format!("kubeio-{nanos}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let world = Self { cluster, namespace, kubeconfig };
        let object =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}});
        world.post("/api/v1/namespaces", &object).await;
        // Pods need the account that the controller manager makes.
        let account = format!("/api/v1/namespaces/{}/serviceaccounts/default", world.namespace);
        world.until(|| async { world.get(&account).await.is_some() }).await;
        Some(world)
    }

    /// The same server as a new process would see it: nothing cached, nothing remembered.
    pub(crate) async fn restarted(&self) -> Cluster {
        connect(&self.kubeconfig).await
    }

    pub(crate) fn owner(&self) -> Owner {
        Owner::kustomization("app", &self.namespace)
    }

    pub(crate) fn applier(&self, cluster: &Cluster) -> Applier {
        Applier::new(cluster, self.owner(), Options::default(), 4)
    }

    pub(crate) fn forcing(&self) -> Applier {
        let options = Options { force: true, ..Options::default() };
        Applier::new(&self.cluster, self.owner(), options, 4)
    }

    pub(crate) fn ignoring(&self, ignore: IgnoreRules) -> Applier {
        Applier::new(&self.cluster, self.owner(), Options { ignore, ..Options::default() }, 4)
    }

    /// Prepares, plans and applies; errors as text.
    pub(crate) async fn apply_with(
        &self,
        applier: &Applier,
        objects: Vec<Value>,
    ) -> Result<ChangeSet, String> {
        let plan = self.plan(applier, objects).await;
        applier.apply(&plan).await.map_err(|error| error.to_string())
    }

    pub(crate) async fn plan(&self, applier: &Applier, mut objects: Vec<Value>) -> Plan {
        prepare(&mut objects, applier.owner(), &CommonMetadata::default()).expect("valid objects");
        applier.plan(objects, &[]).await
    }

    pub(crate) async fn apply(&self, objects: Vec<Value>) -> Result<ChangeSet, String> {
        self.apply_with(&self.applier(&self.cluster), objects).await
    }

    pub(crate) fn object(&self, api_version: &str, kind: &str, name: &str, more: Value) -> Value {
        let mut object = json!({"apiVersion": api_version, "kind": kind,
                                "metadata": {"name": name, "namespace": self.namespace}});
        for (key, value) in more.as_object().into_iter().flatten() {
            match (key.as_str(), value) {
                ("metadata", Value::Object(fields)) => {
                    for (key, value) in fields {
                        object["metadata"][key] = value.clone();
                    }
                }
                _ => object[key] = value.clone(),
            }
        }
        object
    }

    pub(crate) fn config(&self, name: &str, value: &str) -> Value {
        self.object("v1", "ConfigMap", name, json!({"data": {"key": value}}))
    }

    pub(crate) fn deployment(&self, name: &str, annotations: Value) -> Value {
        let labels = json!({"app": name});
        self.object(
            "apps/v1",
            "Deployment",
            name,
            json!({"spec": {
                "replicas": 1, "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": annotations},
                    "spec": {"containers": [{"name": "main", "image": "example.com/web:1"}]},
                },
            }}),
        )
    }

    pub(crate) fn id(&self, object: &Value) -> ObjectId {
        ObjectId::of(object)
    }

    pub(crate) fn path(&self, plural: &str, name: &str) -> String {
        let root = match plural {
            "deployments" => "/apis/apps/v1",
            _ => "/api/v1",
        };
        format!("{root}/namespaces/{}/{plural}/{name}", self.namespace)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: &Value,
    ) -> Result<Value, kube::Error> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content)
            .body(body.to_string().into_bytes())
            .expect("a valid request");
        self.cluster.client().request(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.call(Method::POST, path, "application/json", body)
            .await
            .expect("the object is accepted")
    }

    pub(crate) async fn merge(&self, path: &str, body: &Value) -> Value {
        let content = "application/merge-patch+json";
        self.call(Method::PATCH, path, content, body).await.expect("the patch is accepted")
    }

    pub(crate) async fn delete(&self, path: &str) {
        let _ = self.call(Method::DELETE, path, "application/json", &json!({})).await;
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let request = http::Request::get(path).body(Vec::new()).expect("a valid request");
        self.cluster.client().request(request).await.ok()
    }

    /// Waits for a condition that no watch tells.
    pub(crate) async fn until<F: Future<Output = bool>>(&self, mut condition: impl FnMut() -> F) {
        let mut tries = 600;
        while !condition().await {
            tries -= 1;
            assert!(tries > 0, "the condition did not come true within 30 s");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn finish(&self) {
        self.delete(&format!("/api/v1/namespaces/{}", self.namespace)).await;
    }
}

async fn connect(kubeconfig: &std::path::Path) -> Cluster {
    let options = ConnectOptions { qps: 0.0, ..ConnectOptions::default() };
    Cluster::connect(Source::Path(kubeconfig.to_owned()), options)
        .await
        .expect("the kubeconfig is valid")
}

/// `name action` of each line, for comparison.
pub(crate) fn lines(changes: &ChangeSet) -> Vec<String> {
    changes
        .entries
        .iter()
        .map(|change| format!("{} {}", change.entry.id.name, change.action))
        .collect()
}

pub(crate) fn entries(objects: &[Value]) -> Vec<Entry> {
    objects.iter().map(Entry::of).collect()
}
