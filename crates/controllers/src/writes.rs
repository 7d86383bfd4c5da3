//! Writes to our own custom resources: status and finalizer, each answer put into the store at once.

use borax_api::meta::FINALIZER;
use borax_kubeio::{Cluster, Resource, StatusError, add_finalizer, patch_status, remove_finalizer};
use borax_object::Gvk;
use kube::ResourceExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::store::{Store, key_of};

/// Writes objects of one kind, as one field manager.
pub struct Writer {
    /// The kind.
    pub resource: Resource,
    manager: &'static str,
}

impl Writer {
    /// A writer of `K`, as `manager`.
    pub fn new<K: kube::Resource<DynamicType = ()>>(manager: &'static str) -> Self {
        let gvk = Gvk {
            group: K::group(&()).into(),
            version: K::version(&()).into(),
            kind: K::kind(&()).into(),
        };
        let resource =
            Resource { gvk, plural: K::plural(&()).into(), namespaced: true, watchable: true };
        Self { resource, manager }
    }

    /// Writes a status, unless it differs from what is known in nothing but times.
    ///
    /// # Errors
    /// The API server refused, or could not be reached.
    pub async fn status<K>(
        &self,
        cluster: &Cluster,
        store: &Store<K>,
        object: &K,
        status: &impl Serialize,
    ) -> Result<(), StatusError>
    where
        K: kube::Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        // An earlier step of this turn may have written already: compare with the newest that is known.
        let current = store.get(&key_of(object));
        let old = value(current.as_deref().unwrap_or(object));
        let written =
            patch_status(cluster, &self.resource, &old, &value(status), self.manager).await?;
        take_in(store, written);
        Ok(())
    }

    /// Adds Flux's finalizer, unless it is there.
    ///
    /// # Errors
    /// The API server refused, or could not be reached.
    pub async fn add_finalizer<K>(
        &self,
        cluster: &Cluster,
        store: &Store<K>,
        object: &K,
    ) -> Result<(), StatusError>
    where
        K: kube::Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        if object.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(());
        }
        let written =
            add_finalizer(cluster, &self.resource, &value(object), FINALIZER, self.manager).await?;
        take_in(store, written);
        Ok(())
    }

    /// Takes Flux's finalizer away, so that the object can go.
    ///
    /// # Errors
    /// The API server refused, or could not be reached.
    pub async fn remove_finalizer<K>(
        &self,
        cluster: &Cluster,
        store: &Store<K>,
        object: &K,
    ) -> Result<(), StatusError>
    where
        K: kube::Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        let current = store.get(&key_of(object));
        let object = value(current.as_deref().unwrap_or(object));
        remove_finalizer(cluster, &self.resource, &object, FINALIZER, self.manager).await?;
        Ok(())
    }
}

fn value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).expect("resource types have text keys only, so they are JSON")
}

fn take_in<K: kube::Resource<DynamicType = ()> + DeserializeOwned>(
    store: &Store<K>,
    written: Option<Value>,
) {
    let Some(written) = written else { return };
    match serde_json::from_value::<K>(written) {
        Ok(mut object) => {
            object.meta_mut().managed_fields = None;
            store.put(object);
        }
        // The watch will bring it, and complain.
        Err(error) => {
            tracing::debug!(kind = %K::kind(&()), %error, "the answer to a write is no valid resource")
        }
    }
}
