//! The objects of one kind that a controller reconciles: whose turn it is, what is written to them, what is told of
//! them. Each answer to a write is put into the store at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use borax_api::meta::{FINALIZER, RECONCILE_REQUEST};
use borax_kubeio::{
    EventKind, Resource, StatusError, add_finalizer, patch_status, remove_finalizer,
};
use borax_object::{Gvk, LabelSelector};
use borax_reconcile::{Key, Outcome, Queue, Trigger};
use kube::ResourceExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::recorder::Told;
use crate::shared::{Shared, Stores};
use crate::store::{Change, Store, key_of};

/// Who reconciles a kind, in Flux's words.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The kind, as manifests have it.
    pub kind: &'static str,
    /// The controller, which events name.
    pub controller: &'static str,
    /// The field manager of status and finalizer.
    pub manager: &'static str,
}

/// The objects of one kind.
pub struct Owned<K> {
    shared: Arc<Shared>,
    store: fn(&Stores) -> &Store<K>,
    names: Names,
    resource: Resource,
    /// Which objects are reconciled (`--watch-label-selector`); all when absent.
    labels: Option<LabelSelector>,
}

/// A turn of an object; how long it took is recorded when it ends.
pub struct Length {
    shared: Arc<Shared>,
    kind: &'static str,
    key: Key,
    began: Instant,
}

impl Drop for Length {
    fn drop(&mut self) {
        let (namespace, name) = (&self.key.namespace, &self.key.name);
        self.shared.metrics.object_reconciled(self.kind, namespace, name, self.began.elapsed());
    }
}

impl<K> Owned<K>
where
    K: kube::Resource<DynamicType = ()> + Serialize + DeserializeOwned + 'static,
{
    /// The objects in `store` that have these `labels`.
    pub fn new(
        shared: &Arc<Shared>,
        store: fn(&Stores) -> &Store<K>,
        names: Names,
        labels: Option<LabelSelector>,
    ) -> Self {
        let gvk = Gvk {
            group: K::group(&()).into(),
            version: K::version(&()).into(),
            kind: K::kind(&()).into(),
        };
        let resource =
            Resource { gvk, plural: K::plural(&()).into(), namespaced: true, watchable: true };
        Self { shared: Arc::clone(shared), store, names, resource, labels }
    }

    /// What the API server holds of the kind.
    pub fn store(&self) -> &Store<K> {
        (self.store)(&self.shared.stores)
    }

    /// Wires the objects' own changes to `queue`: their spec, requests and deletion. Their status asks for nothing.
    pub fn listen(&self, queue: &Queue) {
        let (kind, queue) = (self.names.kind, queue.clone());
        self.store().on_change(move |change: &Change<K>| match &change.new {
            Some(new) if concerns_itself(change.old.as_deref(), new.as_ref()) => {
                queue.wake(change.key.clone(), Some(Trigger { kind, key: change.key.clone() }));
            }
            Some(_) => {}
            None => queue.wake(change.key.clone(), None),
        });
    }

    /// Begins the turn of an object, unless it is gone or not one of ours.
    pub fn begin(&self, key: &Key) -> Option<(Arc<K>, Length)> {
        let Some(object) = self.store().get(key) else {
            self.shared.metrics.object_gone(self.names.kind, &key.namespace, &key.name);
            return None;
        };
        let length = || Length {
            shared: Arc::clone(&self.shared),
            kind: self.names.kind,
            key: key.clone(),
            began: Instant::now(),
        };
        let labels = object.labels();
        let is_ours = self.labels.as_ref().is_none_or(|selector| {
            selector.matches_with(|name| labels.get(name).map(String::as_str))
        });
        is_ours.then(|| (Arc::clone(&object), length()))
    }

    /// As [`Self::begin`], for a kind that leaves nothing behind: what is being deleted is let go, and what stays gets
    /// Flux's finalizer.
    ///
    /// # Errors
    /// There is nothing to reconcile, or the finalizer could not be written: what the turn comes to.
    pub async fn admit(&self, key: &Key) -> Result<(Arc<K>, Length), Outcome> {
        let Some((object, length)) = self.begin(key) else { return Err(Outcome::Forget) };
        if object.meta().deletion_timestamp.is_some() {
            return Err(self.let_go(&object).await);
        }
        self.add_finalizer(&object).await?;
        Ok((object, length))
    }

    /// Writes a status, unless it differs from what is known in nothing but times.
    ///
    /// # Errors
    /// The API server refused, or could not be reached; the log says so. What the turn comes to.
    pub async fn status(&self, object: &K, status: &impl Serialize) -> Result<(), Outcome> {
        self.write(object, status).await.map_err(|error| self.failed(object, &error))
    }

    /// As [`Self::status`], for a turn that reports failures itself.
    ///
    /// # Errors
    /// The API server refused, or could not be reached.
    pub async fn write(&self, object: &K, status: &impl Serialize) -> Result<(), StatusError> {
        // An earlier step of this turn may have written already: compare with the newest that is known.
        let current = self.store().get(&key_of(object));
        let old = value(current.as_deref().unwrap_or(object));
        let (cluster, manager) = (&self.shared.cluster, self.names.manager);
        let written = patch_status(cluster, &self.resource, &old, &value(status), manager).await?;
        self.take_in(written);
        Ok(())
    }

    /// Adds Flux's finalizer, unless it is there.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn add_finalizer(&self, object: &K) -> Result<(), Outcome> {
        if object.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(());
        }
        let (cluster, manager) = (&self.shared.cluster, self.names.manager);
        let known = value(object);
        match add_finalizer(cluster, &self.resource, &known, FINALIZER, manager).await {
            Ok(written) => self.take_in(written),
            Err(error) => return Err(self.failed(object, &error)),
        }
        Ok(())
    }

    /// Takes Flux's finalizer away, so that the object can go.
    pub async fn let_go(&self, object: &K) -> Outcome {
        let current = self.store().get(&key_of(object));
        let known = value(current.as_deref().unwrap_or(object));
        let (cluster, manager) = (&self.shared.cluster, self.names.manager);
        match remove_finalizer(cluster, &self.resource, &known, FINALIZER, manager).await {
            Ok(_) => Outcome::Done,
            Err(error) => self.failed(object, &error),
        }
    }

    /// Tells an event about an object.
    pub fn tell(
        &self,
        object: &K,
        kind: EventKind,
        reason: &str,
        message: &str,
        metadata: BTreeMap<String, String>,
    ) {
        self.shared.events.tell(Told {
            controller: self.names.controller,
            meta: object.meta(),
            resource: &self.resource,
            kind,
            reason,
            message,
            metadata,
        });
    }

    fn failed(&self, object: &K, error: &StatusError) -> Outcome {
        tracing::error!(object = %key_of(object), kind = self.names.kind, %error, "can't write the object");
        Outcome::Backoff
    }

    fn take_in(&self, written: Option<Value>) {
        match written.map(serde_json::from_value::<K>) {
            None => {}
            Some(Ok(mut object)) => {
                object.meta_mut().managed_fields = None;
                self.store().put(object);
            }
            // The watch will bring it, and complain.
            Some(Err(error)) => {
                tracing::debug!(kind = self.names.kind, %error, "the answer to a write is no valid resource")
            }
        }
    }
}

fn value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).expect("resource types have text keys only, so they are JSON")
}

/// Whether a change of an object asks for a reconciliation of it.
fn concerns_itself<K: kube::Resource>(old: Option<&K>, new: &K) -> bool {
    let Some(old) = old else { return true };
    let requested = |object: &K| object.annotations().get(RECONCILE_REQUEST).cloned();
    old.meta().generation != new.meta().generation
        || old.meta().deletion_timestamp.is_some() != new.meta().deletion_timestamp.is_some()
        || requested(new).is_some_and(|new| Some(new) != requested(old))
}

#[cfg(test)]
mod tests {
    use borax_api::kustomize::{Kustomization, KustomizationSpec, KustomizationStatus};
    use k8s_openapi::jiff;

    use super::*;

    #[test]
    fn a_spec_a_request_and_a_deletion_ask_for_a_turn_and_a_status_does_not() {
        let mut old = Kustomization::new("web", KustomizationSpec::default());
        old.metadata.generation = Some(1);
        let changed = |change: fn(&mut Kustomization)| {
            let mut new = old.clone();
            change(&mut new);
            new
        };
        let seen = changed(|new| new.status = Some(KustomizationStatus::default()));
        assert!(!concerns_itself(Some(&old), &seen));
        let other = changed(|new| new.metadata.generation = Some(2));
        assert!(concerns_itself(Some(&old), &other));
        let going = changed(|new| {
            let now = jiff::Timestamp::UNIX_EPOCH;
            new.metadata.deletion_timestamp =
                Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
        });
        assert!(concerns_itself(Some(&old), &going));
        let asked = changed(|new| {
            new.annotations_mut().insert(RECONCILE_REQUEST.into(), "1".into());
        });
        assert!(concerns_itself(Some(&old), &asked));
        // Taking the annotation away asks for nothing.
        assert!(!concerns_itself(Some(&asked), &old));
        assert!(concerns_itself(None, &old));
    }
}
