//! What wakes a Kustomization: which change of which object concerns whom. The rules are pure; wiring is at the end.
//!
//! Behaviour: kustomize-controller v1.9 `internal/controller/kustomization_indexers.go`, `source_predicate.go`. Unlike
//! Flux, an artifact's digest counts as well as its revision (a changed `spec.ignore` reaches its consumers at once),
//! and a source that appears wakes those that miss it.

use std::sync::Arc;
use std::time::Duration;

use borax_api::kustomize::{Kustomization, SourceKind, ValuesKind};
use borax_api::meta::{Artifact, DependencyReference, KubeConfigReference};
use borax_reconcile::{Key, Queue, Trigger};
use kube::ResourceExt;

use super::KustomizationReconciler;
use crate::consumers::{Consumer, Memory};
use crate::store::key_of;

/// Whether `object` builds from the source.
fn builds_from(object: &Kustomization, kind: SourceKind, source: &Key) -> bool {
    let reference = &object.spec.source_ref;
    let own = object.namespace().unwrap_or_default();
    reference.kind == kind
        && *reference.name == *source.name
        && reference.namespace_or(&own) == &*source.namespace
}

/// Whether a source with `artifact` has something that `object` has not tried.
fn has_news(object: &Kustomization, memory: &Memory, artifact: Option<&Artifact>) -> bool {
    let Some(artifact) = artifact else { return false };
    match &memory.tried {
        // The digest tells revisions and contents apart.
        Some(tried) => *tried != artifact.digest,
        None => object
            .status
            .as_ref()
            .is_none_or(|status| !artifact.has_revision(&status.last_attempted_revision)),
    }
}

impl Consumer for Kustomization {
    fn dependencies(&self) -> &[DependencyReference] {
        &self.spec.depends_on
    }

    fn kube_config(&self) -> Option<&KubeConfigReference> {
        self.spec.kube_config.as_ref()
    }

    fn takes_values(&self, kind: ValuesKind, name: &str) -> bool {
        self.spec.post_build.as_ref().is_some_and(|post_build| {
            let mut from = post_build.substitute_from.iter();
            from.any(|from| from.kind == kind && from.name == name)
        })
    }

    fn minds_drift(&self) -> bool {
        true
    }

    fn interval(&self) -> Duration {
        self.interval()
    }
}

impl KustomizationReconciler {
    /// Wires the stores' changes to `queue`.
    pub fn listen(self: &Arc<Self>, queue: &Queue) {
        self.consumers.listen(queue);
        let stores = &self.shared.stores;
        macro_rules! source {
            ($store:ident, $kind:ident) => {
                let (this, wakes) = (Arc::clone(self), queue.clone());
                stores.$store.on_change(move |change| {
                    let artifact = |object: &Option<Arc<borax_api::source::$kind>>| {
                        object
                            .as_ref()
                            .and_then(|o| o.status.as_ref())
                            .and_then(|s| s.artifact.clone())
                    };
                    let (old, new) = (artifact(&change.old), artifact(&change.new));
                    let appeared = change.old.is_none();
                    if appeared
                        || old.as_ref().map(|a| (&a.revision, &a.digest))
                            != new.as_ref().map(|a| (&a.revision, &a.digest))
                    {
                        this.source_changed(
                            SourceKind::$kind,
                            stringify!($kind),
                            &change.key,
                            new.as_ref(),
                            &wakes,
                        );
                    }
                });
            };
        }
        source!(git_repositories, GitRepository);
        source!(oci_repositories, OCIRepository);
        source!(external_artifacts, ExternalArtifact);
        source!(buckets, Bucket);
    }

    fn source_changed(
        &self,
        kind: SourceKind,
        kind_name: &'static str,
        source: &Key,
        artifact: Option<&Artifact>,
        queue: &Queue,
    ) {
        for object in self.owned().store().find(|object| builds_from(object, kind, source)) {
            let key = key_of(object.as_ref());
            // A source that has no artifact yet still changes what the Ready condition says.
            if artifact.is_none() || has_news(&object, &self.consumers.memory(&key), artifact) {
                queue.wake(key, Some(Trigger { kind: kind_name, key: source.clone() }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use borax_api::kustomize::{
        CrossNamespaceSourceReference, KustomizationSpec, KustomizationStatus, PostBuild,
        SubstituteReference,
    };

    use super::*;

    fn object() -> Kustomization {
        let spec = KustomizationSpec {
            source_ref: CrossNamespaceSourceReference {
                name: "app".into(),
                ..CrossNamespaceSourceReference::default()
            },
            post_build: Some(PostBuild {
                substitute_from: vec![SubstituteReference {
                    name: "vars".into(),
                    ..SubstituteReference::default()
                }],
                ..PostBuild::default()
            }),
            ..KustomizationSpec::default()
        };
        let mut object = Kustomization::new("web", spec);
        object.metadata.namespace = Some("apps".into());
        object.metadata.generation = Some(1);
        object
    }

    #[test]
    fn an_artifact_is_news_by_its_digest() {
        let mut object = object();
        let artifact = |digest: &str| Artifact {
            revision: "r".into(),
            digest: digest.into(),
            ..Artifact::default()
        };
        let (none, tried) =
            (Memory::default(), Memory { tried: Some("a".into()), ..Memory::default() });
        assert!(!has_news(&object, &tried, Some(&artifact("a"))));
        assert!(has_news(&object, &tried, Some(&artifact("b"))));
        // After a restart only the revision is known.
        assert!(has_news(&object, &none, Some(&artifact("a"))));
        object.status = Some(KustomizationStatus {
            last_attempted_revision: "r".into(),
            ..KustomizationStatus::default()
        });
        assert!(!has_news(&object, &none, Some(&artifact("a"))));
        assert!(!has_news(&object, &none, None));
    }

    #[test]
    fn configs_and_sources_concern_who_names_them() {
        let object = object();
        assert!(object.reads(ValuesKind::ConfigMap, &Key::new("apps", "vars")));
        assert!(!object.reads(ValuesKind::Secret, &Key::new("apps", "vars")));
        assert!(!object.reads(ValuesKind::ConfigMap, &Key::new("other", "vars")));
        assert!(builds_from(&object, SourceKind::GitRepository, &Key::new("apps", "app")));
        assert!(!builds_from(&object, SourceKind::OCIRepository, &Key::new("apps", "app")));
    }
}
