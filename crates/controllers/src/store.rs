//! What the API server holds of one kind, kept by a watch and by our own writes.
//!
//! A write's answer is put here at once ([`Store::put`]), so that a reconciler reads its own writes, and a new
//! artifact reaches its consumers without waiting for the watch to bring it round. Versions only move forward: a
//! late watch event never undoes a newer answer.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use borax_reconcile::Key;
use futures::{Stream, StreamExt, pin_mut};
use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt};
use tokio::sync::watch;

/// One change of one object. `old` is absent for what is new, `new` for what is gone.
pub struct Change<K> {
    /// The object's key.
    pub key: Key,
    /// What was known before.
    pub old: Option<Arc<K>>,
    /// What is known now.
    pub new: Option<Arc<K>>,
}

type Listener<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;

/// The objects of one kind.
pub struct Store<K> {
    objects: RwLock<HashMap<Key, Arc<K>>>,
    listeners: RwLock<Vec<Listener<K>>>,
    synced: watch::Sender<bool>,
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        let (synced, _) = watch::channel(false);
        Self { objects: RwLock::default(), listeners: RwLock::default(), synced }
    }
}

/// The key of a namespaced object.
pub fn key_of<K: Resource>(object: &K) -> Key {
    Key::new(&object.namespace().unwrap_or_default(), &object.name_any())
}

/// Resource versions are opaque by contract and have been numbers in every API server since Kubernetes 1.0;
/// what is no number is taken to be newer than anything.
fn version<K: Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

impl<K: Resource> Store<K> {
    /// Calls `listener` on every change, on the thread that brings it: it must be quick.
    pub fn on_change(&self, listener: impl Fn(&Change<K>) + Send + Sync + 'static) {
        self.listeners
            .write()
            .expect("no listener panics while it is added")
            .push(Box::new(listener));
    }

    /// The object with `key`.
    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read().get(key).cloned()
    }

    /// Every object for which `wanted` holds.
    pub fn find(&self, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.read().values().filter(|object| wanted(object)).cloned().collect()
    }

    /// Takes in an object, unless what is known is as new.
    pub fn put(&self, object: K) {
        let key = key_of(&object);
        let new = Arc::new(object);
        let old = {
            let mut objects = self.write();
            match objects.get(&key) {
                Some(known) if version(known.as_ref()) >= version(new.as_ref()) => return,
                _ => objects.insert(key.clone(), Arc::clone(&new)),
            }
        };
        self.tell(&Change { key, old, new: Some(new) });
    }

    /// Forgets an object that is gone.
    pub fn remove(&self, key: &Key) {
        let old = self.write().remove(key);
        if old.is_some() {
            self.tell(&Change { key: key.clone(), old, new: None });
        }
    }

    /// Resolves once the first full list has been taken in.
    pub async fn synced(&self) {
        // The sender lives in self, so waiting can't fail.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    /// Says that the store is not fed, so that no one waits for it.
    pub fn leave_empty(&self) {
        self.synced.send_replace(true);
    }

    /// Feeds the store from a watch until the stream ends.
    ///
    /// Errors are logged; the watcher itself backs off and starts over.
    pub async fn follow(&self, events: impl Stream<Item = watcher::Result<Event<K>>>) {
        pin_mut!(events);
        let mut listed: Option<Vec<Key>> = None;
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed = Some(Vec::new()),
                Ok(Event::InitApply(object)) => {
                    if let Some(listed) = &mut listed {
                        listed.push(key_of(&object));
                    }
                    self.put(object);
                }
                Ok(Event::InitDone) => {
                    if let Some(listed) = listed.take() {
                        self.retain(&listed);
                    }
                    self.synced.send_replace(true);
                }
                Ok(Event::Apply(object)) => self.put(object),
                Ok(Event::Delete(object)) => self.remove(&key_of(&object)),
                // There are no objects of a kind that is not installed. It is looked for again, for it may come.
                Err(error) if is_missing(&error) => {
                    if !self.synced.send_replace(true) {
                        tracing::info!(
                            kind = std::any::type_name::<K>(),
                            "the kind is not installed"
                        );
                    }
                }
                Err(error) => {
                    tracing::warn!(kind = std::any::type_name::<K>(), %error, "the watch broke; it starts over")
                }
            }
        }
    }

    fn retain(&self, listed: &[Key]) {
        let listed: std::collections::HashSet<&Key> = listed.iter().collect();
        let gone: Vec<Key> =
            self.read().keys().filter(|key| !listed.contains(key)).cloned().collect();
        for key in gone {
            self.remove(&key);
        }
    }

    fn tell(&self, change: &Change<K>) {
        for listener in self.listeners.read().expect("listeners don't panic").iter() {
            listener(change);
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<Key, Arc<K>>> {
        self.objects.read().expect("nothing panics while it holds the map")
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<Key, Arc<K>>> {
        self.objects.write().expect("nothing panics while it holds the map")
    }
}

/// Whether the API server knows no such kind.
fn is_missing(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::stream;
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(name: &str, version: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("ns".into());
        object.metadata.name = Some(name.into());
        object.metadata.resource_version = Some(version.into());
        object
    }

    #[tokio::test]
    async fn versions_only_move_forward_and_a_new_list_removes_what_is_gone() {
        let store = Store::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        store.on_change(move |change: &Change<ConfigMap>| {
            let version = |object: &Option<Arc<ConfigMap>>| {
                object.as_ref().map(|object| version(object.as_ref()))
            };
            log.lock().unwrap().push((
                change.key.to_string(),
                version(&change.old),
                version(&change.new),
            ));
        });
        let events = [
            Event::Init,
            Event::InitApply(object("a", "5")),
            Event::InitApply(object("b", "6")),
            Event::InitDone,
            Event::Apply(object("a", "4")),
            Event::Apply(object("a", "7")),
            Event::Init,
            Event::InitApply(object("a", "7")),
            Event::InitDone,
        ];
        store.follow(stream::iter(events.map(Ok))).await;
        store.synced().await;
        let seen = seen.lock().unwrap().clone();
        assert_eq!(
            seen,
            [
                ("ns/a".to_owned(), None, Some(5)),
                ("ns/b".to_owned(), None, Some(6)),
                ("ns/a".to_owned(), Some(5), Some(7)),
                ("ns/b".to_owned(), Some(6), None),
            ]
        );
    }

    #[tokio::test]
    async fn a_kind_that_is_not_installed_keeps_no_one_waiting_and_may_come() {
        let store = Store::<ConfigMap>::default();
        let failed = |code| {
            let status = kube::core::Status::failure("no", "no").with_code(code);
            Err(watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status))))
        };
        store.follow(stream::iter([failed(403)])).await;
        assert!(!*store.synced.borrow(), "what may not be listed is not known");
        store.follow(stream::iter([failed(404)])).await;
        store.synced().await;
        let events = [Event::Init, Event::InitApply(object("a", "5")), Event::InitDone].map(Ok);
        store.follow(stream::iter(events)).await;
        assert!(store.get(&Key::new("ns", "a")).is_some());
    }
}
