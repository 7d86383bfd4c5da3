//! Asking the API server, and waiting on what it tells by watches.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ::kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use ::kube::config::{KubeConfigOptions, Kubeconfig};
use ::kube::core::GroupVersionKind;
use ::kube::runtime::{WatchStreamExt as _, watcher};
use ::kube::{Api, Client};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::tail;

/// How long something that must happen may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Names one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ref {
    api_version: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Ref {
    pub(crate) fn new(api_version: &str, kind: &str, namespace: &str, name: &str) -> Self {
        let [api_version, kind, namespace, name] =
            [api_version, kind, namespace, name].map(str::to_owned);
        Self { api_version, kind, namespace, name }
    }

    pub(crate) fn kustomization(namespace: &str, name: &str) -> Self {
        Self::new("kustomize.toolkit.fluxcd.io/v1", "Kustomization", namespace, name)
    }

    pub(crate) fn helm_release(namespace: &str, name: &str) -> Self {
        Self::new("helm.toolkit.fluxcd.io/v2", "HelmRelease", namespace, name)
    }

    pub(crate) fn git(namespace: &str, name: &str) -> Self {
        Self::new("source.toolkit.fluxcd.io/v1", "GitRepository", namespace, name)
    }

    pub(crate) fn config_map(namespace: &str, name: &str) -> Self {
        Self::new("v1", "ConfigMap", namespace, name)
    }

    pub(crate) fn deployment(namespace: &str, name: &str) -> Self {
        Self::new("apps/v1", "Deployment", namespace, name)
    }

    pub(crate) fn namespace(name: &str) -> Self {
        Self::new("v1", "Namespace", "", name)
    }

    fn of(object: &Value) -> Self {
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        Self::new(
            text("/apiVersion"),
            text("/kind"),
            text("/metadata/namespace"),
            text("/metadata/name"),
        )
    }

    pub(crate) fn resource(&self) -> ApiResource {
        let (group, version) = self.api_version.split_once('/').unwrap_or(("", &self.api_version));
        ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &self.kind))
    }

    fn api(&self, client: &Client) -> Api<DynamicObject> {
        match self.namespace.as_str() {
            "" => Api::all_with(client.clone(), &self.resource()),
            namespace => Api::namespaced_with(client.clone(), namespace, &self.resource()),
        }
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// A client of the administrator, and where to look when something does not happen.
pub(crate) struct Kube {
    pub(crate) client: Client,
    log: Option<PathBuf>,
}

impl Kube {
    pub(crate) async fn connect(kubeconfig: &Path, log: Option<PathBuf>) -> Self {
        let file = Kubeconfig::read_from(kubeconfig).unwrap();
        let config = ::kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .unwrap();
        Self { client: Client::try_from(config).unwrap(), log }
    }

    /// Installs Flux's CRDs and waits until they are served.
    pub(crate) async fn install_crds(&self) {
        let crds = borax_api::crds();
        for crd in &crds {
            self.apply_value(serde_json::to_value(crd).unwrap()).await;
        }
        for crd in &crds {
            let name = crd.metadata.name.as_deref().unwrap();
            let crd = Ref::new("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name);
            self.until(&format!("{name} is served"), &crd, |crd| {
                crd.is_some_and(|crd| {
                    conditions(crd)
                        .iter()
                        .any(|c| c["type"] == "Established" && c["status"] == "True")
                })
            })
            .await;
        }
    }

    /// Applies the documents of a YAML text, as `kubectl apply --server-side --force-conflicts` does.
    pub(crate) async fn apply(&self, text: &str) {
        for document in serde_norway::Deserializer::from_str(text) {
            let object =
                Value::deserialize(document).unwrap_or_else(|error| panic!("{error} in:\n{text}"));
            if !object.is_null() {
                self.apply_value(object).await;
            }
        }
    }

    pub(crate) async fn apply_value(&self, object: Value) {
        let id = Ref::of(&object);
        let params = PatchParams::apply("kubectl").force();
        let applied = id.api(&self.client).patch(&id.name, &params, &Patch::Apply(&object)).await;
        applied.unwrap_or_else(|error| panic!("apply {id}: {error}"));
    }

    /// A JSON merge patch, as `kubectl edit` and its like make it.
    pub(crate) async fn merge(&self, id: &Ref, patch: Value) -> Value {
        self.merge_as("kubectl-edit", id, patch).await
    }

    /// A JSON merge patch by the field manager `manager`.
    pub(crate) async fn merge_as(&self, manager: &str, id: &Ref, patch: Value) -> Value {
        let params = PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
        let patched = id.api(&self.client).patch(&id.name, &params, &Patch::Merge(&patch)).await;
        serde_json::to_value(patched.unwrap_or_else(|error| panic!("patch {id}: {error}"))).unwrap()
    }

    /// Sets the status of an object, as its controller would.
    pub(crate) async fn merge_status(&self, id: &Ref, status: Value) {
        let patch = Patch::Merge(json!({ "status": status }));
        let patched =
            id.api(&self.client).patch_status(&id.name, &PatchParams::default(), &patch).await;
        patched.unwrap_or_else(|error| panic!("patch the status of {id}: {error}"));
    }

    pub(crate) async fn get(&self, id: &Ref) -> Option<Value> {
        let found = id.api(&self.client).get_opt(&id.name).await;
        let found = found.unwrap_or_else(|error| panic!("get {id}: {error}"));
        found.map(|object| serde_json::to_value(object).unwrap())
    }

    pub(crate) async fn delete(&self, id: &Ref) {
        let deleted = id.api(&self.client).delete(&id.name, &DeleteParams::background()).await;
        deleted.unwrap_or_else(|error| panic!("delete {id}: {error}"));
    }

    /// All objects of a kind in a namespace (everywhere when it is empty).
    pub(crate) async fn list(&self, api_version: &str, kind: &str, namespace: &str) -> Vec<Value> {
        let id = Ref::new(api_version, kind, namespace, "");
        let list = id.api(&self.client).list(&ListParams::default()).await;
        let list = list.unwrap_or_else(|error| panic!("list {id}: {error}"));
        list.items.into_iter().map(|object| serde_json::to_value(object).unwrap()).collect()
    }

    /// The events about an object, oldest first: type, reason, message.
    pub(crate) async fn events(&self, id: &Ref) -> Vec<(String, String, String)> {
        let mut events = self.list("v1", "Event", &id.namespace).await;
        events.retain(|event| {
            event["involvedObject"]["kind"] == *id.kind
                && event["involvedObject"]["name"] == *id.name
        });
        events.sort_by_key(|event| {
            event["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok())
        });
        let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        events.iter().map(|e| (text(e, "type"), text(e, "reason"), text(e, "message"))).collect()
    }

    /// Asks for a reconciliation as `flux reconcile` does, and returns what was asked.
    pub(crate) async fn request(&self, id: &Ref) -> String {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_nanos()
            .to_string();
        self.merge(
            id,
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": now}}}),
        )
        .await;
        now
    }

    /// Asks for a reconciliation and waits until it was done.
    pub(crate) async fn reconcile(&self, id: &Ref) -> Value {
        let asked = self.request(id).await;
        self.until_some(&format!("{id} is reconciled on request"), id, |object| {
            object["status"]["lastHandledReconcileAt"] == *asked
        })
        .await
    }

    /// Waits until an object exists (or goes) in a state; `what` says what was to happen.
    pub(crate) async fn until(
        &self,
        what: &str,
        id: &Ref,
        holds: impl Fn(Option<&Value>) -> bool,
    ) -> Option<Value> {
        let mut last = None;
        let watch = async {
            let fields = format!("metadata.name={}", id.name);
            let config = watcher::Config::default().fields(&fields);
            let events = watcher(id.api(&self.client), config).default_backoff();
            futures::pin_mut!(events);
            // Errors are what a restarted API server gives; the watch starts over.
            let mut present = None;
            while let Some(event) = events.next().await {
                let settled = match event {
                    Ok(watcher::Event::Init) => {
                        present = None;
                        false
                    }
                    Ok(watcher::Event::InitApply(object)) => {
                        present = Some(serde_json::to_value(object).unwrap());
                        false
                    }
                    Ok(watcher::Event::InitDone) => true,
                    Ok(watcher::Event::Apply(object)) => {
                        present = Some(serde_json::to_value(object).unwrap());
                        true
                    }
                    Ok(watcher::Event::Delete(_)) => {
                        present = None;
                        true
                    }
                    Err(_) => false,
                };
                if settled {
                    last.clone_from(&present);
                    if holds(present.as_ref()) {
                        return present;
                    }
                }
            }
            unreachable!("watches start over for ever");
        };
        match tokio::time::timeout(PATIENCE, watch).await {
            Ok(object) => object,
            Err(_) => {
                let seen = last.map_or("not there".to_owned(), |object| {
                    serde_norway::to_string(&trimmed(object)).unwrap()
                });
                panic!(
                    "in {} s it did not happen that {what}\n--- {id}\n{seen}\n{}",
                    PATIENCE.as_secs(),
                    self.report().await
                )
            }
        }
    }

    /// Waits until an object is there in a state.
    pub(crate) async fn until_some(
        &self,
        what: &str,
        id: &Ref,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        self.until(what, id, |object| object.is_some_and(&holds))
            .await
            .expect("it holds of an object")
    }

    /// Waits until an object is ready at its generation, and at a revision that contains `revision`.
    pub(crate) async fn until_ready(&self, id: &Ref, revision: &str) -> Value {
        self.until_some(&format!("{id} becomes ready at {revision:?}"), id, |object| {
            ready(object) == Some("True") && self::revision(object).contains(revision)
        })
        .await
    }

    /// Waits until a HelmRelease is ready with a release of a chart version, and returns it.
    pub(crate) async fn until_released(&self, id: &Ref, version: &str) -> Value {
        self.until_some(&format!("chart {version} is released"), id, |object| {
            super::is_released(object, version)
        })
        .await
    }

    /// Waits until an object is gone.
    pub(crate) async fn until_gone(&self, id: &Ref) {
        self.until(&format!("{id} goes"), id, |object| object.is_none()).await;
    }

    /// Waits until a ConfigMap has a value.
    pub(crate) async fn until_value(&self, id: &Ref, key: &str, value: &str) -> Value {
        self.until_some(&format!("{id} has {key}={value}"), id, |object| {
            object["data"][key] == *value
        })
        .await
    }

    /// Holds for a while that nothing about an object changes a fact: watches, and fails at the first breach.
    pub(crate) async fn stays(
        &self,
        what: &str,
        id: &Ref,
        time: Duration,
        holds: impl Fn(Option<&Value>) -> bool,
    ) {
        let fields = format!("metadata.name={}", id.name);
        let events = watcher(id.api(&self.client), watcher::Config::default().fields(&fields));
        let breach = events.try_filter_map(|event| async {
            Ok(match event {
                watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
                    Some(Some(serde_json::to_value(object).unwrap()))
                }
                watcher::Event::Delete(_) => Some(None),
                watcher::Event::Init | watcher::Event::InitDone => None,
            })
        });
        futures::pin_mut!(breach);
        let watched = tokio::time::timeout(time, async {
            while let Some(seen) = breach.next().await {
                if let Ok(seen) = seen
                    && !holds(seen.as_ref())
                {
                    return seen;
                }
            }
            None
        });
        if let Ok(seen) = watched.await {
            panic!("it did not stay that {what}: {seen:?}\n{}", self.report().await);
        }
    }

    /// What there is to know when a story went wrong: every Flux object's status, and the end of Borax's log.
    pub(crate) async fn report(&self) -> String {
        let mut text = String::new();
        let kinds = [
            ("source.toolkit.fluxcd.io/v1", "GitRepository"),
            ("source.toolkit.fluxcd.io/v1", "OCIRepository"),
            ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
        ];
        for (api_version, kind) in kinds {
            let list = Ref::new(api_version, kind, "", "")
                .api(&self.client)
                .list(&ListParams::default())
                .await;
            let Ok(list) = list else {
                text += &format!("--- {kind}: can't be listed: {}\n", list.unwrap_err());
                continue;
            };
            for object in list.items {
                let object = serde_json::to_value(object).unwrap();
                text += &format!("--- {} {}\n", Ref::of(&object), self::revision(&object));
                for condition in conditions(&object) {
                    let word = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
                    text += &format!(
                        "    {}={} {}: {}\n",
                        word("type"),
                        word("status"),
                        word("reason"),
                        word("message")
                    );
                }
                if text.len() > 20_000 {
                    text += "... and more\n";
                    break;
                }
            }
        }
        if let Some(log) = &self.log {
            text += &format!("--- the end of borax's log\n{}\n", tail(log, 60));
        }
        text
    }
}

/// Without what nobody reads.
fn trimmed(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}

/// The conditions of an object.
pub(crate) fn conditions(object: &Value) -> &[Value] {
    object["status"]["conditions"].as_array().map_or(&[], Vec::as_slice)
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    conditions(object).iter().find(|condition| condition["type"] == kind)
}

/// The status of a condition: True, False, Unknown; absent when there is none.
pub(crate) fn status_of<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    condition(object, kind)?["status"].as_str()
}

/// The status of Ready, when it is about the object's generation.
pub(crate) fn ready(object: &Value) -> Option<&str> {
    let condition = condition(object, "Ready")?;
    let current = condition["observedGeneration"] == object["metadata"]["generation"]
        && object["status"]["observedGeneration"] == object["metadata"]["generation"];
    // A failure is told before the generation counts as observed.
    let status = condition["status"].as_str()?;
    (current
        || (status == "False"
            && condition["observedGeneration"] == object["metadata"]["generation"]))
        .then_some(status)
}

/// The reason of a condition.
pub(crate) fn reason<'a>(object: &'a Value, kind: &str) -> &'a str {
    condition(object, kind).and_then(|condition| condition["reason"].as_str()).unwrap_or_default()
}

/// The message of a condition.
pub(crate) fn message<'a>(object: &'a Value, kind: &str) -> &'a str {
    condition(object, kind).and_then(|condition| condition["message"].as_str()).unwrap_or_default()
}

/// The revision an object is at: the applied one, or that of its artifact.
pub(crate) fn revision(object: &Value) -> String {
    let status = &object["status"];
    let found =
        status["lastAppliedRevision"].as_str().or_else(|| status["artifact"]["revision"].as_str());
    found.unwrap_or_default().to_owned()
}
