//! What wakes a HelmRelease: which change of which object concerns whom. The rules are pure; wiring is at the end.
//!
//! Behaviour: helm-controller v1.6 `internal/controller/helmrelease_indexers.go`, `helmrelease_manager.go`. Unlike Flux,
//! a source that appears wakes those that miss it, and a dependency wakes those that wait for it.

use std::sync::Arc;

use borax_api::helm::{ChartRefKind, HelmRelease};
use borax_api::kustomize::ValuesKind;
use borax_api::meta::RECONCILE_REQUEST;
use borax_reconcile::{Key, Queue, Trigger};
use kube::ResourceExt;

use super::gate::source_ref;
use super::{HelmReleaseReconciler, Memory};
use crate::store::{Change, key_of};

/// Whether a change of the HelmRelease itself asks for a reconciliation. Its status does not.
fn concerns_itself(old: Option<&HelmRelease>, new: &HelmRelease) -> bool {
    let Some(old) = old else { return true };
    let requested = |object: &HelmRelease| object.annotations().get(RECONCILE_REQUEST).cloned();
    old.metadata.generation != new.metadata.generation
        || old.metadata.deletion_timestamp.is_some() != new.metadata.deletion_timestamp.is_some()
        || requested(new).is_some_and(|new| Some(new) != requested(old))
}

fn has_source(object: &HelmRelease, kind: ChartRefKind, source: &Key) -> bool {
    let reference = source_ref(object);
    reference.kind == kind
        && *reference.name == *source.name
        && *reference.namespace == *source.namespace
}

/// Whether `object` takes values from, or connects with, the ConfigMap or Secret.
fn reads(object: &HelmRelease, kind: ValuesKind, config: &Key) -> bool {
    if object.namespace().unwrap_or_default() != *config.namespace {
        return false;
    }
    let values =
        object.spec.values_from.iter().any(|from| from.kind == kind && *from.name == *config.name);
    let connects = kind == ValuesKind::Secret
        && object.spec.kube_config.as_ref().is_some_and(|kube_config| {
            kube_config.secret_ref.as_ref().is_some_and(|secret| *secret.name == *config.name)
        });
    values || connects
}

fn depends_on(object: &HelmRelease, key: &Key) -> bool {
    let own = object.namespace().unwrap_or_default();
    object.spec.depends_on.iter().any(|dependency| {
        *dependency.namespace_or(&own) == *key.namespace && *dependency.name == *key.name
    })
}

/// Whether a source whose artifact has `digest` has something that was not tried.
fn has_news(memory: Option<&Memory>, digest: Option<&str>) -> bool {
    match (memory.and_then(|memory| memory.tried.as_deref()), digest) {
        (Some(tried), Some(digest)) => tried != digest,
        _ => true,
    }
}

impl HelmReleaseReconciler {
    /// Wires the stores' changes to `queue`.
    pub fn listen(self: &Arc<Self>, queue: &Queue) {
        let stores = &self.shared.stores;
        let (this, wakes) = (Arc::clone(self), queue.clone());
        stores.helm_releases.on_change(move |change| this.changed(change, &wakes));
        macro_rules! source {
            ($store:ident, $kind:ident) => {
                let (this, wakes) = (Arc::clone(self), queue.clone());
                stores.$store.on_change(move |change| {
                    // Conditions count as well: they say why there is nothing to install yet.
                    let status = |object: &Option<Arc<borax_api::source::$kind>>| {
                        let status = object.as_ref().and_then(|o| o.status.clone())?;
                        let ready = borax_api::meta::find_condition(&status.conditions, "Ready")
                            .map(|c| (c.status, c.message.clone()));
                        Some((status.artifact.map(|a| (a.revision, a.digest)), ready))
                    };
                    let (old, new) = (status(&change.old), status(&change.new));
                    if change.old.is_none() || old != new {
                        let digest = new.and_then(|(artifact, _)| artifact.map(|(_, d)| d));
                        this.source_changed(
                            ChartRefKind::$kind,
                            stringify!($kind),
                            &change.key,
                            digest.as_deref(),
                            &wakes,
                        );
                    }
                });
            };
        }
        source!(oci_repositories, OCIRepository);
        source!(helm_charts, HelmChart);
        source!(external_artifacts, ExternalArtifact);
    }

    fn changed(&self, change: &Change<HelmRelease>, queue: &Queue) {
        let trigger = || Some(Trigger { kind: "HelmRelease", key: change.key.clone() });
        match &change.new {
            Some(new) if concerns_itself(change.old.as_deref(), new) => {
                queue.wake(change.key.clone(), trigger())
            }
            Some(_) => {}
            None => queue.wake(change.key.clone(), None),
        }
        if change.old.as_ref().map(|old| &old.status) == change.new.as_ref().map(|new| &new.status)
        {
            return;
        }
        let waiting: Vec<Key> = {
            let memory = self.memory();
            let mut waiting: Vec<Key> = memory
                .iter()
                .filter(|(_, memory)| memory.waits_for_dependency)
                .map(|(key, _)| key.clone())
                .collect();
            waiting.sort();
            waiting
        };
        for key in waiting {
            let object = self.shared.stores.helm_releases.get(&key);
            if object.is_some_and(|object| depends_on(&object, &change.key)) {
                queue.wake(key, None);
            }
        }
    }

    fn source_changed(
        &self,
        kind: ChartRefKind,
        kind_name: &'static str,
        source: &Key,
        digest: Option<&str>,
        queue: &Queue,
    ) {
        let consumers =
            self.shared.stores.helm_releases.find(|object| has_source(object, kind, source));
        for object in consumers {
            let key = key_of(object.as_ref());
            let memory = self.memory().get(&key).cloned();
            if has_news(memory.as_ref(), digest) {
                queue.wake(key, Some(Trigger { kind: kind_name, key: source.clone() }));
            }
        }
    }

    /// A watched ConfigMap or Secret changed.
    pub fn config_changed(&self, kind: ValuesKind, config: &Key, queue: &Queue) {
        let kind_name = match kind {
            ValuesKind::ConfigMap => "ConfigMap",
            ValuesKind::Secret => "Secret",
        };
        for object in self.shared.stores.helm_releases.find(|object| reads(object, kind, config)) {
            let trigger = Trigger { kind: kind_name, key: config.clone() };
            queue.wake(key_of(object.as_ref()), Some(trigger));
        }
    }

    /// Something that `key` installed is no longer as it was applied.
    ///
    /// Only those that detect drift look. Someone who keeps changing it is answered ever more slowly, up to the
    /// interval.
    pub fn drifted(&self, key: &Key, queue: &Queue) {
        let Some(object) = self.shared.stores.helm_releases.get(key) else { return };
        if !super::drift::detects(&object) {
            return;
        }
        let mut drifts = 0;
        self.remember(key, |memory| {
            memory.drifts = memory.drifts.saturating_add(1);
            drifts = memory.drifts;
        });
        let delay = self.shared.options.backoff.delay(drifts).min(object.interval());
        queue.wake_after(key.clone(), None, delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> HelmRelease {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web", "namespace": "apps", "generation": 1},
            "spec": {
                "interval": "5m",
                "chartRef": {"kind": "OCIRepository", "name": "chart", "namespace": "charts"},
                "dependsOn": [{"name": "db"}],
                "valuesFrom": [{"kind": "Secret", "name": "values"}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn what_an_object_names_concerns_it() {
        let object = object();
        assert!(has_source(&object, ChartRefKind::OCIRepository, &Key::new("charts", "chart")));
        assert!(!has_source(&object, ChartRefKind::OCIRepository, &Key::new("apps", "chart")));
        assert!(!has_source(&object, ChartRefKind::HelmChart, &Key::new("charts", "chart")));
        assert!(depends_on(&object, &Key::new("apps", "db")));
        assert!(reads(&object, ValuesKind::Secret, &Key::new("apps", "values")));
        assert!(!reads(&object, ValuesKind::ConfigMap, &Key::new("apps", "values")));
        assert!(!reads(&object, ValuesKind::Secret, &Key::new("other", "values")));
    }

    #[test]
    fn an_artifact_is_news_by_its_digest_and_its_absence_always_is() {
        let memory = Memory { tried: Some("a".into()), ..Memory::default() };
        assert!(!has_news(Some(&memory), Some("a")));
        assert!(has_news(Some(&memory), Some("b")));
        assert!(has_news(Some(&memory), None));
        assert!(has_news(None, Some("a")));
    }

    #[test]
    fn a_status_wakes_no_one_and_a_request_does() {
        let old = object();
        let mut new = old.clone();
        new.status = Some(borax_api::helm::HelmReleaseStatus::default());
        assert!(!concerns_itself(Some(&old), &new));
        new.annotations_mut().insert(RECONCILE_REQUEST.into(), "1".into());
        assert!(concerns_itself(Some(&old), &new));
    }
}
