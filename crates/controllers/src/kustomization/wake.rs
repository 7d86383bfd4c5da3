//! What wakes a Kustomization: which change of which object concerns whom. The rules are pure; wiring is at the end.
//!
//! Behaviour: kustomize-controller v1.9 `internal/controller/kustomization_indexers.go`, `source_predicate.go`. Unlike
//! Flux, an artifact's digest counts as well as its revision (a changed `spec.ignore` reaches its consumers at once),
//! and a source that appears wakes those that miss it.

use std::sync::Arc;

use borax_api::kustomize::{Kustomization, SourceKind, ValuesKind};
use borax_api::meta::{Artifact, RECONCILE_REQUEST};
use borax_reconcile::{Key, Queue, Trigger};
use kube::ResourceExt;

use super::{KustomizationReconciler, Memory};
use crate::store::{Change, key_of};

/// Whether a change of the Kustomization itself asks for a reconciliation. Its status does not.
fn concerns_itself(old: Option<&Kustomization>, new: &Kustomization) -> bool {
    let Some(old) = old else { return true };
    let requested = |object: &Kustomization| object.annotations().get(RECONCILE_REQUEST).cloned();
    old.metadata.generation != new.metadata.generation
        || old.metadata.deletion_timestamp.is_some() != new.metadata.deletion_timestamp.is_some()
        || requested(new).is_some_and(|new| Some(new) != requested(old))
}

/// Whether `object` builds from the source.
fn builds_from(object: &Kustomization, kind: SourceKind, source: &Key) -> bool {
    let reference = &object.spec.source_ref;
    let own = object.namespace().unwrap_or_default();
    reference.kind == kind
        && *reference.name == *source.name
        && reference.namespace_or(&own) == &*source.namespace
}

/// Whether a source with `artifact` has something that `object` has not tried.
fn has_news(object: &Kustomization, memory: Option<&Memory>, artifact: Option<&Artifact>) -> bool {
    let Some(artifact) = artifact else { return false };
    match memory.and_then(|memory| memory.tried.as_ref()) {
        // The digest tells revisions and contents apart.
        Some(tried) => *tried != artifact.digest,
        None => object
            .status
            .as_ref()
            .is_none_or(|status| !artifact.has_revision(&status.last_attempted_revision)),
    }
}

/// Whether `object` substitutes from, or connects with, the ConfigMap or Secret.
fn reads(object: &Kustomization, kind: ValuesKind, config: &Key) -> bool {
    if object.namespace().unwrap_or_default() != *config.namespace {
        return false;
    }
    let substitutes = object.spec.post_build.as_ref().is_some_and(|post_build| {
        post_build
            .substitute_from
            .iter()
            .any(|from| from.kind == kind && *from.name == *config.name)
    });
    let connects = kind == ValuesKind::Secret
        && object.spec.kube_config.as_ref().is_some_and(|kube_config| {
            kube_config.secret_ref.as_ref().is_some_and(|secret| *secret.name == *config.name)
        });
    substitutes || connects
}

/// Whether `object` depends on the Kustomization with `key`.
fn depends_on(object: &Kustomization, key: &Key) -> bool {
    let own = object.namespace().unwrap_or_default();
    let matches = |namespace: &str, name: &str| namespace == &*key.namespace && name == &*key.name;
    object
        .spec
        .depends_on
        .iter()
        .any(|dependency| matches(dependency.namespace_or(&own), &dependency.name))
}

impl KustomizationReconciler {
    /// Wires the stores' changes to `queue`.
    pub fn listen(self: &Arc<Self>, queue: &Queue) {
        let stores = &self.shared.stores;
        let (this, wakes) = (Arc::clone(self), queue.clone());
        stores.kustomizations.on_change(move |change| this.changed(change, &wakes));
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

    fn changed(&self, change: &Change<Kustomization>, queue: &Queue) {
        let trigger = || Some(Trigger { kind: "Kustomization", key: change.key.clone() });
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
            memory
                .iter()
                .filter(|(_, memory)| memory.waits_for_dependency)
                .map(|(key, _)| key.clone())
                .collect()
        };
        for key in waiting {
            let object = self.shared.stores.kustomizations.get(&key);
            if object.is_some_and(|object| depends_on(&object, &change.key)) {
                queue.wake(key, None);
            }
        }
    }

    fn source_changed(
        &self,
        kind: SourceKind,
        kind_name: &'static str,
        source: &Key,
        artifact: Option<&Artifact>,
        queue: &Queue,
    ) {
        let consumers =
            self.shared.stores.kustomizations.find(|object| builds_from(object, kind, source));
        for object in consumers {
            let key = key_of(object.as_ref());
            let memory = self.memory().get(&key).cloned();
            // A source that has no artifact yet still changes what the Ready condition says.
            if artifact.is_none() || has_news(&object, memory.as_ref(), artifact) {
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
        for object in self.shared.stores.kustomizations.find(|object| reads(object, kind, config)) {
            queue.wake(
                key_of(object.as_ref()),
                Some(Trigger { kind: kind_name, key: config.clone() }),
            );
        }
    }

    /// Something that `key` applied is no longer as it was applied.
    ///
    /// Someone who keeps changing it is answered ever more slowly, up to the interval.
    pub fn drifted(&self, key: &Key, queue: &Queue) {
        let Some(object) = self.shared.stores.kustomizations.get(key) else { return };
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
    fn a_status_wakes_no_one_and_a_request_does() {
        let old = object();
        let mut new = old.clone();
        new.status =
            Some(KustomizationStatus { observed_generation: 1, ..KustomizationStatus::default() });
        assert!(!concerns_itself(Some(&old), &new));
        new.annotations_mut().insert(RECONCILE_REQUEST.into(), "1".into());
        assert!(concerns_itself(Some(&old), &new));
        // Taking the annotation away asks for nothing.
        assert!(!concerns_itself(Some(&new), &old));
        assert!(concerns_itself(None, &old));
    }

    #[test]
    fn an_artifact_is_news_by_its_digest() {
        let mut object = object();
        let artifact = |digest: &str| Artifact {
            revision: "r".into(),
            digest: digest.into(),
            ..Artifact::default()
        };
        let tried = Memory { tried: Some("a".into()), ..Memory::default() };
        assert!(!has_news(&object, Some(&tried), Some(&artifact("a"))));
        assert!(has_news(&object, Some(&tried), Some(&artifact("b"))));
        // After a restart only the revision is known.
        assert!(has_news(&object, None, Some(&artifact("a"))));
        object.status = Some(KustomizationStatus {
            last_attempted_revision: "r".into(),
            ..KustomizationStatus::default()
        });
        assert!(!has_news(&object, None, Some(&artifact("a"))));
        assert!(!has_news(&object, None, None));
    }

    #[test]
    fn configs_and_sources_concern_who_names_them() {
        let object = object();
        assert!(reads(&object, ValuesKind::ConfigMap, &Key::new("apps", "vars")));
        assert!(!reads(&object, ValuesKind::Secret, &Key::new("apps", "vars")));
        assert!(!reads(&object, ValuesKind::ConfigMap, &Key::new("other", "vars")));
        assert!(builds_from(&object, SourceKind::GitRepository, &Key::new("apps", "app")));
        assert!(!builds_from(&object, SourceKind::OCIRepository, &Key::new("apps", "app")));
    }
}
