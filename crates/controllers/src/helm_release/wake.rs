//! What wakes a HelmRelease: which change of which object concerns whom. The rules are pure; wiring is at the end.
//!
//! Behaviour: helm-controller v1.6 `internal/controller/helmrelease_indexers.go`, `helmrelease_manager.go`. Unlike Flux,
//! a source that appears wakes those that miss it, and a dependency wakes those that wait for it.

use std::sync::Arc;
use std::time::Duration;

use borax_api::helm::{ChartRefKind, HelmRelease};
use borax_api::kustomize::ValuesKind;
use borax_api::meta::{DependencyReference, KubeConfigReference};
use borax_reconcile::{Key, Queue, Trigger};

use super::HelmReleaseReconciler;
use super::gate::source_ref;
use crate::consumers::{Consumer, Memory};
use crate::store::key_of;

fn has_source(object: &HelmRelease, kind: ChartRefKind, source: &Key) -> bool {
    let reference = source_ref(object);
    reference.kind == kind
        && *reference.name == *source.name
        && *reference.namespace == *source.namespace
}

impl Consumer for HelmRelease {
    fn dependencies(&self) -> &[DependencyReference] {
        &self.spec.depends_on
    }

    fn kube_config(&self) -> Option<&KubeConfigReference> {
        self.spec.kube_config.as_ref()
    }

    fn takes_values(&self, kind: ValuesKind, name: &str) -> bool {
        self.spec.values_from.iter().any(|from| from.kind == kind && from.name == name)
    }

    fn minds_drift(&self) -> bool {
        super::drift::detects(self)
    }

    fn interval(&self) -> Duration {
        self.interval()
    }
}

/// Whether a source whose artifact has `digest` has something that was not tried.
fn has_news(memory: &Memory, digest: Option<&str>) -> bool {
    match (memory.tried.as_deref(), digest) {
        (Some(tried), Some(digest)) => tried != digest,
        _ => true,
    }
}

impl HelmReleaseReconciler {
    /// Wires the stores' changes to `queue`.
    pub fn listen(self: &Arc<Self>, queue: &Queue) {
        self.consumers.listen(queue);
        let stores = &self.shared.stores;
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

    fn source_changed(
        &self,
        kind: ChartRefKind,
        kind_name: &'static str,
        source: &Key,
        digest: Option<&str>,
        queue: &Queue,
    ) {
        for object in self.owned().store().find(|object| has_source(object, kind, source)) {
            let key = key_of(object.as_ref());
            if has_news(&self.consumers.memory(&key), digest) {
                queue.wake(key, Some(Trigger { kind: kind_name, key: source.clone() }));
            }
        }
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
        assert!(object.depends_on(&Key::new("apps", "db")));
        assert!(object.reads(ValuesKind::Secret, &Key::new("apps", "values")));
        assert!(!object.reads(ValuesKind::ConfigMap, &Key::new("apps", "values")));
        assert!(!object.reads(ValuesKind::Secret, &Key::new("other", "values")));
    }

    #[test]
    fn an_artifact_is_news_by_its_digest_and_its_absence_always_is() {
        let memory = Memory { tried: Some("a".into()), ..Memory::default() };
        assert!(!has_news(&memory, Some("a")));
        assert!(has_news(&memory, Some("b")));
        assert!(has_news(&memory, None));
        assert!(has_news(&Memory::default(), Some("a")));
    }
}
