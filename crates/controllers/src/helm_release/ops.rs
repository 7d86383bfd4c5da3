//! What Helm does with objects in the cluster: place, apply, delete, wait. One set of operations per release and turn,
//! with the rights of the HelmRelease's service account.
//!
//! Behaviour: Helm `pkg/kube/client.go`; helm-controller `internal/action/wait.go`.

use std::sync::Arc;
use std::time::Duration;

use borax_api::helm::WaitStrategyName;
use borax_health::Checks;
use borax_kubeio::{ApplyOptions, Cluster, DiscoveryError, Propagation, Resource, WaitOptions};
use borax_object::{Gvk, ObjectId, meta};
use borax_release::objects;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::Value;

/// The field manager of everything that is applied.
pub(super) const MANAGER: &str = borax_api::helm::CONTROLLER;

const JSON_PATCH: &str = "application/json-patch+json";

/// Kinds that Helm 3 waited for.
const LEGACY_KINDS: [&str; 11] = [
    "Pod",
    "Job",
    "Deployment",
    "PersistentVolumeClaim",
    "Service",
    "DaemonSet",
    "CustomResourceDefinition",
    "StatefulSet",
    "ReplicationController",
    "ReplicaSet",
    "Namespace",
];

/// An object, and where the server has it.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) object: Value,
    pub(super) resource: Arc<Resource>,
}

impl Placed {
    pub(super) fn id(&self) -> ObjectId {
        ObjectId::of(&self.object)
    }
}

/// Why objects could not be written.
pub(super) struct ApplyFailed {
    pub(super) message: String,
    /// What was made before.
    pub(super) created: Vec<Placed>,
}

/// The operations.
pub(super) struct Ops {
    pub(super) cluster: Cluster,
    /// The release's namespace.
    pub(super) namespace: String,
    pub(super) concurrency: usize,
    pub(super) checks: Arc<Checks>,
    pub(super) wait: WaitStrategyName,
}

impl Ops {
    /// Finds out where each object is, and gives those without a namespace the release's.
    ///
    /// # Errors
    /// A kind that is not served.
    pub(super) async fn place(&self, objects: Vec<Value>) -> Result<Vec<Placed>, String> {
        let mut placed = Vec::with_capacity(objects.len());
        for object in objects {
            let one = self.place_one(object).await;
            placed.push(one.map_err(|(id, error)| {
                format!("{id}: {error}, ensure CRDs are installed first")
            })?);
        }
        Ok(placed)
    }

    /// As [`Self::place`], for one object, which the error names.
    pub(super) async fn place_one(
        &self,
        mut object: Value,
    ) -> Result<Placed, (ObjectId, DiscoveryError)> {
        let gvk = Gvk::of(&object);
        let resource = self.cluster.discovery().resolve(&self.cluster, &gvk).await;
        let resource = resource.map_err(|error| (ObjectId::of(&object), error))?;
        if !resource.namespaced {
            meta::set_namespace(&mut object, "");
        } else if meta::namespace(&object).is_empty() {
            meta::set_namespace(&mut object, &self.namespace);
        }
        Ok(Placed { object, resource })
    }

    /// As [`Self::place`], for the objects of an earlier release; those whose kinds are no longer served are left out, for
    /// no such object can still be there.
    ///
    /// # Errors
    /// The server could not be asked which kinds it serves, so there may be others.
    pub(super) async fn place_those_served(
        &self,
        objects: Vec<Value>,
    ) -> Result<Vec<Placed>, String> {
        let mut placed = Vec::with_capacity(objects.len());
        for object in objects {
            match self.place_one(object).await {
                Ok(one) => placed.push(one),
                Err((_, DiscoveryError::NoMatch { .. } | DiscoveryError::NoKind(..))) => {}
                Err((id, error @ DiscoveryError::Request(_))) => {
                    return Err(format!("{id}: {error}"));
                }
            }
        }
        Ok(placed)
    }

    /// The objects of a manifest, placed and marked as the release's.
    ///
    /// # Errors
    /// The manifest holds something else, or a kind is not served.
    pub(super) async fn target(
        &self,
        manifest: &str,
        release: &str,
    ) -> Result<Vec<Placed>, String> {
        let parsed = objects::parse(manifest).map_err(|error| error.to_string())?;
        let mut placed = self.place(parsed).await?;
        for each in &mut placed {
            objects::mark(&mut each.object, release, &self.namespace);
        }
        Ok(placed)
    }

    /// Starts the watches of the objects' kinds, so that waiting and drift need no requests.
    pub(super) async fn cover(&self, objects: &[Placed]) {
        let gvks: std::collections::BTreeSet<Gvk> =
            objects.iter().map(|placed| placed.resource.gvk.clone()).collect();
        self.cluster.live_releases().cover(gvks).await;
    }

    /// Applies objects in their order, those of one kind at the same time.
    ///
    /// # Errors
    /// The first that was refused.
    pub(super) async fn apply(&self, objects: &[Placed]) -> Result<Vec<Placed>, ApplyFailed> {
        self.cover(objects).await;
        let mut created = Vec::new();
        for same_kind in objects.chunk_by(|a, b| meta::kind(&a.object) == meta::kind(&b.object)) {
            let writes: Vec<_> =
                same_kind.iter().map(|placed| self.apply_one(placed, true).boxed()).collect();
            let results: Vec<Result<bool, String>> =
                futures::stream::iter(writes).buffered(self.concurrency).collect().await;
            let mut errors = Vec::new();
            for (placed, result) in same_kind.iter().zip(results) {
                match result {
                    Ok(true) => created.push(placed.clone()),
                    Ok(false) => {}
                    Err(error) => errors.push(error),
                }
            }
            if !errors.is_empty() {
                return Err(ApplyFailed { message: errors.join(" && "), created });
            }
        }
        Ok(created)
    }

    /// Applies one object; says whether it was made.
    pub(super) async fn apply_one(&self, placed: &Placed, force: bool) -> Result<bool, String> {
        let (live, id) = (self.cluster.live_releases(), placed.id());
        let options = ApplyOptions { manager: MANAGER, force, dry_run: false };
        if meta::name(&placed.object).is_empty() {
            let made = self.cluster.create_object(&placed.resource, &placed.object, MANAGER).await;
            return made.map(|_| true).map_err(|error| refusal(&placed.object, &error));
        }
        live.about_to_write(&id);
        let apply = || self.cluster.apply_object(&placed.resource, &placed.object, options);
        let mut answer = apply().await.map_err(|error| refusal(&placed.object, &error))?;
        // Fields that Helm's own client left under its name would outlive their removal from the chart.
        if let Some(patch) = live.takeover().patch(&answer) {
            let patched =
                self.cluster.patch_object(&placed.resource, &id, JSON_PATCH, &patch, MANAGER).await;
            patched.map_err(|error| refusal(&placed.object, &error))?;
            answer = apply().await.map_err(|error| refusal(&placed.object, &error))?;
        }
        live.wrote(&id, &placed.object, &answer);
        if meta::is_crd(&answer) {
            self.cluster.discovery().learn(&answer);
        }
        Ok(meta::generation(&answer).is_none_or(|generation| generation == 1) && is_fresh(&answer))
    }

    /// Deletes objects in their order; a failure does not keep the others from being deleted.
    ///
    /// # Errors
    /// Those that were refused.
    pub(super) async fn delete(
        &self,
        objects: &[Placed],
        propagation: Propagation,
    ) -> Result<(), String> {
        let mut errors = Vec::new();
        for same_kind in objects.chunk_by(|a, b| meta::kind(&a.object) == meta::kind(&b.object)) {
            let deletions: Vec<_> = same_kind
                .iter()
                .map(|placed| {
                    let id = placed.id();
                    async move {
                        self.cluster.live_releases().about_to_write(&id);
                        let (namespace, name) = (&id.namespace, &id.name);
                        self.cluster
                            .delete_object(&placed.resource, namespace, name, propagation, None)
                            .await
                            .map_err(|error| format!("{id} delete failed: {error}"))
                    }
                    .boxed()
                })
                .collect();
            let results: Vec<Result<(), String>> =
                futures::stream::iter(deletions).buffered(self.concurrency).collect().await;
            errors.extend(results.into_iter().filter_map(Result::err));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
    }

    /// Waits until objects are gone.
    ///
    /// # Errors
    /// The first that is still there after `timeout`.
    pub(super) async fn wait_gone(
        &self,
        objects: &[Placed],
        timeout: Duration,
    ) -> Result<(), String> {
        let waits: Vec<_> = objects
            .iter()
            .map(|placed| {
                let id = placed.id();
                async move { self.cluster.wait_gone(&placed.resource, &id, timeout).await }.boxed()
            })
            .collect();
        for result in futures::future::join_all(waits).await {
            result.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Waits until objects are healthy.
    ///
    /// # Errors
    /// Those that are not in time, or have failed.
    pub(super) async fn wait_healthy(
        &self,
        objects: &[Placed],
        jobs: bool,
        timeout: Duration,
    ) -> Result<(), String> {
        let ids: Vec<ObjectId> = objects
            .iter()
            .filter(|placed| self.is_waited_for(&placed.object, jobs))
            .map(Placed::id)
            .collect();
        let vanishing: Vec<ObjectId> = objects
            .iter()
            .filter(|placed| meta::is_job(&placed.object))
            .filter(|placed| placed.object.pointer("/spec/ttlSecondsAfterFinished").is_some())
            .map(Placed::id)
            .collect();
        let options = WaitOptions { timeout, fail_fast: true, jobs_with_ttl: vanishing };
        let live = self.cluster.live_releases();
        live.wait_healthy(&self.cluster, &ids, Arc::clone(&self.checks), &options)
            .await
            .map_err(|error| error.to_string())
    }

    fn is_waited_for(&self, object: &Value, jobs: bool) -> bool {
        let paused = meta::kind(object) == "Deployment"
            && object.pointer("/spec/paused").and_then(Value::as_bool) == Some(true);
        if paused || meta::name(object).is_empty() || (meta::is_job(object) && !jobs) {
            return false;
        }
        self.wait == WaitStrategyName::Poller || LEGACY_KINDS.contains(&meta::kind(object))
    }
}

/// Whether an answer is about an object that was just made: nothing of it was managed before.
fn is_fresh(answer: &Value) -> bool {
    let entries = answer.pointer("/metadata/managedFields").and_then(Value::as_array);
    let times: Vec<&str> =
        entries.into_iter().flatten().filter_map(|entry| entry.get("time")?.as_str()).collect();
    let made = answer.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
    times.len() == 1 && made == times.first().copied()
}

/// Why an object was refused: the object first, then the cause, without a value that is long or secret.
pub(super) fn refusal(object: &Value, error: &borax_kubeio::RequestError) -> String {
    let id = ObjectId::of(object);
    let text = terse(&error.to_string());
    let verb = if error.reason() == "Conflict" {
        "conflict occurred while applying"
    } else {
        "apply failed"
    };
    format!("{id} {verb}: {text}")
}

/// A message of the server without the values it quotes: they may be whole objects, or secret.
fn terse(text: &str) -> String {
    const MARKS: [&str; 3] = ["Invalid value: ", "Unsupported value: ", "Duplicate value: "];
    let mut out = String::new();
    let mut rest = text;
    loop {
        let found =
            MARKS.iter().filter_map(|mark| rest.find(mark).map(|at| (at, mark.len()))).min();
        let Some((at, length)) = found else { break };
        out.push_str(&rest[..at]);
        let after = &rest[at + length..];
        rest = &after[end_of_value(after)..];
        rest = rest.strip_prefix(": ").unwrap_or(rest);
    }
    out.push_str(rest);
    // `.immutable: expected boolean, got &{value}`
    match out.find(", got &{") {
        Some(at) => out[..at].to_owned(),
        None => out,
    }
}

/// Where a value that the server quotes ends: a Go string, or everything up to the next cause.
fn end_of_value(text: &str) -> usize {
    if let Some(inner) = text.strip_prefix('"') {
        let mut escaped = false;
        for (at, c) in inner.char_indices() {
            match c {
                '"' if !escaped => return at + 2,
                '\\' if !escaped => escaped = true,
                _ => escaped = false,
            }
        }
        return text.len();
    }
    let whole = text.rfind("}: ").map(|end| end + 1);
    whole.or_else(|| text.find(": ")).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_leaves_out_the_objects_it_quotes() {
        let text = "Deployment.apps \"web\" is invalid: spec.selector: Invalid value: \
                    v1.LabelSelector{MatchLabels:map[string]string{\"app\":\"web\", \"tier\":\"front\"}}: field is immutable";
        assert_eq!(
            terse(text),
            "Deployment.apps \"web\" is invalid: spec.selector: field is immutable"
        );
        assert_eq!(
            terse("spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
            "spec.replicas: must be greater than or equal to 0"
        );
        assert_eq!(
            terse(
                "data[x]: Invalid value: \"a\\\": b\": must be short, and .y: expected boolean, got &{z}"
            ),
            "data[x]: must be short, and .y: expected boolean"
        );
    }
}
