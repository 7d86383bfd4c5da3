//! The pods of a StatefulSet or ReplicaSet that does not get ready: crash-looping ones make it fail at once
//! (Flux's fork of cli-utils, `pkg/kstatus/polling/statusreaders/pod_controller.go`).
//!
//! Deployments are judged without their pods, as Flux judges them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use borax_health::State;
use borax_object::{Gvk, ObjectId, Value, meta};
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::cluster::Cluster;
use crate::live::Waiter;
use crate::request::{RequestError, encode};
use crate::watch::{self as watching, Sink, Through};

/// How long a workload may take before its pods are looked at: most are ready by then and cost nothing.
const GRACE: Duration = Duration::from_secs(5);

/// Whether pods decide about objects like this.
pub(crate) fn decide_about(id: &ObjectId) -> bool {
    id.group == "apps" && matches!(&*id.kind, "StatefulSet" | "ReplicaSet")
}

/// After a while, counts the failed pods of a workload into `failed`, and keeps the count right.
pub(crate) async fn follow(
    cluster: Cluster,
    id: ObjectId,
    waiter: Arc<Waiter>,
    failed: Arc<AtomicUsize>,
) {
    tokio::time::sleep(GRACE).await;
    let discovery = cluster.discovery();
    let Ok(resource) = discovery.resolve_kind(&cluster, &id.group_kind()).await else { return };
    let Ok(pods) = discovery.resolve(&cluster, &Gvk::new("v1", "Pod")).await else { return };
    let Ok(object) = cluster.get(&resource.path(&id.namespace, Some(&id.name))).await else {
        return;
    };
    let Some(selector) = object.pointer("/spec/selector").and_then(selector) else { return };
    let path = pods.path(&id.namespace, None);
    let sink = PodSink { failing: BTreeSet::new(), failed, waiter };
    let selector = format!("labelSelector={}", encode(&selector));
    watching::run(Through::Strong(cluster), path, selector, Arc::new(Notify::new()), sink).await;
}

/// A `LabelSelector` in the form of a query; `None` for one that selects everything, or nothing sensible.
fn selector(selector: &Value) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten()
    {
        parts.push(format!("{key}={}", value.as_str()?));
    }
    for requirement in
        selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten()
    {
        let key = requirement.get("key")?.as_str()?;
        let values = requirement.get("values").and_then(Value::as_array);
        let values: Vec<&str> = values.into_iter().flatten().filter_map(Value::as_str).collect();
        parts.push(match requirement.get("operator")?.as_str()? {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

struct PodSink {
    failing: BTreeSet<String>,
    failed: Arc<AtomicUsize>,
    waiter: Arc<Waiter>,
}

impl PodSink {
    fn tell(&self) {
        self.failed.store(self.failing.len(), Ordering::Relaxed);
        self.waiter.notify.notify_one();
    }
}

impl Sink for PodSink {
    fn restart(&mut self) {
        self.failing.clear();
    }

    fn object(&mut self, object: &Value, deleted: bool) {
        // An unschedulable pod may yet get a node: an autoscaler is at work, perhaps.
        let unschedulable = borax_health::due(object).is_some();
        let state = borax_health::compute(object, Timestamp::now()).state;
        if state == State::Failed && !unschedulable && !deleted {
            self.failing.insert(meta::name(object).to_owned());
        } else {
            self.failing.remove(meta::name(object));
        }
        self.tell();
    }

    fn listed(&mut self, _: &str) {
        self.tell();
    }

    fn failed(&mut self, _: &RequestError) {}
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_become_queries() {
        let value = json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "x", "operator": "NotIn", "values": ["c"]},
                {"key": "y", "operator": "Exists"},
                {"key": "z", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(selector(&value).as_deref(), Some("app=web,tier in (a,b),x notin (c),y,!z"));
        assert_eq!(selector(&json!({})), None);
    }
}
