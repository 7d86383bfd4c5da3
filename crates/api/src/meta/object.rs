//! What can be asked of an object of any kind: whether it is suspended, its conditions, its artifact.

use super::{Artifact, Condition, condition_types, is_condition_true, reconcile_request};
use crate::{helm, image, kustomize, notification, source};

/// An object of any of Flux's kinds.
pub trait FluxObject: kube::Resource<DynamicType = ()> {
    /// Whether its owner asked to leave it alone.
    fn is_suspended(&self) -> bool;

    /// Its conditions; empty for kinds without a status, and before the first reconciliation.
    fn conditions(&self) -> &[Condition];

    /// The last reconcile request that was honoured, empty before any; `None` for kinds that honour none.
    fn last_handled_reconcile_at(&self) -> Option<&str>;

    /// What it made, for the kinds that make artifacts.
    fn artifact(&self) -> Option<&Artifact>;

    /// The reconcile request that has not been honoured yet.
    fn pending_reconcile_request(&self) -> Option<&str> {
        let annotations = self.meta().annotations.as_ref()?;
        reconcile_request(annotations, self.last_handled_reconcile_at()?)
    }

    /// Whether it says that it is ready, and says so of its present spec.
    fn is_ready(&self) -> bool {
        let generation = self.meta().generation.unwrap_or_default();
        let ready = |c: &&Condition| c.type_ == condition_types::READY;
        is_condition_true(self.conditions(), condition_types::READY)
            && self
                .conditions()
                .iter()
                .find(ready)
                .is_some_and(|c| c.observed_generation == generation)
    }
}

/// One line a kind: whether it can be suspended, has a status, honours reconcile requests, makes artifacts.
macro_rules! flux_object {
    ($($type:ty: $($what:ident)*;)+) => {$(
        impl FluxObject for $type {
            fn is_suspended(&self) -> bool {
                false $(|| flux_object!(@suspended self $what))*
            }

            fn conditions(&self) -> &[Condition] {
                [$(flux_object!(@conditions self $what)),*].into_iter().flatten().next().unwrap_or(&[])
            }

            fn last_handled_reconcile_at(&self) -> Option<&str> {
                [$(flux_object!(@handled self $what)),*].into_iter().flatten().next()
            }

            fn artifact(&self) -> Option<&Artifact> {
                [$(flux_object!(@artifact self $what)),*].into_iter().flatten().next()
            }
        }
    )+};
    (@suspended $self:ident suspend) => { $self.spec.suspend };
    (@suspended $self:ident $other:ident) => { false };
    (@conditions $self:ident status) => { $self.status.as_ref().map(|s| s.conditions.as_slice()) };
    (@conditions $self:ident $other:ident) => { None::<&[Condition]> };
    (@handled $self:ident requests) => {
        Some($self.status.as_ref().map_or("", |s| s.last_handled_reconcile_at.as_str()))
    };
    (@handled $self:ident $other:ident) => { None::<&str> };
    (@artifact $self:ident artifact) => { $self.status.as_ref().and_then(|s| s.artifact.as_ref()) };
    (@artifact $self:ident $other:ident) => { None::<&Artifact> };
}

flux_object! {
    helm::HelmRelease: suspend status requests;
    image::ImagePolicy: suspend status requests;
    image::ImageRepository: suspend status requests;
    image::ImageUpdateAutomation: suspend status requests;
    kustomize::Kustomization: suspend status requests;
    notification::Alert: suspend;
    notification::Provider: suspend;
    notification::Receiver: suspend status requests;
    source::Bucket: suspend status requests artifact;
    source::ExternalArtifact: status artifact;
    source::GitRepository: suspend status requests artifact;
    source::HelmChart: suspend status requests artifact;
    source::HelmRepository: suspend status requests artifact;
    source::OCIRepository: suspend status requests artifact;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_ready_when_it_says_so_of_its_present_spec() {
        let with = |generation: i64| -> source::GitRepository {
            serde_json::from_value(serde_json::json!({
                "metadata": {"name": "a", "generation": generation, "annotations": {"reconcile.fluxcd.io/requestedAt": "2"}},
                "spec": {"url": "https://example.com/a", "interval": "1m", "suspend": true},
                "status": {
                    "artifact": {"revision": "main@sha1:00"},
                    "lastHandledReconcileAt": "1",
                    "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}],
                },
            }))
            .unwrap()
        };
        assert!(with(2).is_ready());
        assert!(!with(3).is_ready());
        let object = with(2);
        assert!(object.is_suspended());
        assert!(object.artifact().is_some_and(|artifact| artifact.has_revision("main@sha1:00")));
        assert_eq!(object.pending_reconcile_request(), Some("2"));
    }

    #[test]
    fn a_kind_without_status_has_no_conditions() {
        let mut alert = notification::Alert::default();
        let request = (crate::meta::RECONCILE_REQUEST.to_owned(), "1".to_owned());
        alert.metadata.annotations = Some([request].into());
        assert!(
            alert.conditions().is_empty() && !alert.is_suspended() && alert.artifact().is_none()
        );
        assert_eq!(alert.pending_reconcile_request(), None);
    }
}
