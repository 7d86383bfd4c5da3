//! The ConfigMaps and Secrets that others read: which of them changed.

use std::collections::{HashMap, HashSet};

use borax_reconcile::Key;
use kube::ResourceExt;
use kube::runtime::watcher::Event;

use crate::store::key_of;

/// The versions of the watched objects of one kind.
#[derive(Default)]
pub struct Known {
    versions: HashMap<Key, String>,
    /// What a list that is under way had so far.
    listed: Option<HashSet<Key>>,
}

impl Known {
    /// Takes in an event of the watch, and gives the keys of what changed, came or went by it.
    ///
    /// A list after a gap tells only what changed meanwhile: most of the time nothing.
    pub fn take<K: ResourceExt<DynamicType = ()>>(&mut self, event: Event<K>) -> Vec<Key> {
        match event {
            Event::Init => self.listed = Some(HashSet::new()),
            Event::InitApply(object) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(key_of(&object));
                }
                return self.put(&object);
            }
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let mut gone = Vec::new();
                self.versions.retain(|key, _| {
                    let stays = listed.contains(key);
                    if !stays {
                        gone.push(key.clone());
                    }
                    stays
                });
                return gone;
            }
            Event::Apply(object) => return self.put(&object),
            Event::Delete(object) => {
                let key = key_of(&object);
                self.versions.remove(&key);
                return vec![key];
            }
        }
        Vec::new()
    }

    fn put<K: ResourceExt<DynamicType = ()>>(&mut self, object: &K) -> Vec<Key> {
        let (key, version) = (key_of(object), object.resource_version().unwrap_or_default());
        match self.versions.insert(key.clone(), version.clone()) {
            Some(known) if known == version => Vec::new(),
            _ => vec![key],
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;

    fn object(name: &str, version: &str) -> ConfigMap {
        let metadata = ObjectMeta {
            name: Some(name.into()),
            namespace: Some("ns".into()),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    fn names(known: &mut Known, events: impl IntoIterator<Item = Event<ConfigMap>>) -> String {
        let keys = events.into_iter().flat_map(|event| known.take(event));
        keys.map(|key| key.name.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn only_what_changed_is_told_whatever_way_it_is_heard_of() {
        let known = &mut Known::default();
        let list = |objects: &[(&str, &str)]| {
            let each =
                objects.iter().map(|(name, version)| Event::InitApply(object(name, version)));
            let events = [Event::Init].into_iter().chain(each).chain([Event::InitDone]);
            events.collect::<Vec<_>>()
        };
        assert_eq!(names(known, list(&[("a", "1"), ("b", "1"), ("c", "1")])), "a b c");
        assert_eq!(names(known, [Event::Apply(object("a", "2"))]), "a");
        // After a gap: b changed, c went, d came.
        assert_eq!(names(known, list(&[("a", "2"), ("b", "3"), ("d", "4")])), "b d c");
        assert_eq!(names(known, list(&[("a", "2"), ("b", "3"), ("d", "4")])), "");
        assert_eq!(names(known, [Event::Delete(object("d", "5"))]), "d");
        assert_eq!(names(known, [Event::Apply(object("d", "6"))]), "d");
    }
}
