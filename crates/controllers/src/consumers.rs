//! What kinds that are made of sources, and depend on others of their kind, have in common: what is remembered of their
//! objects between turns, and what wakes these besides their own changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use borax_api::kustomize::{CustomHealthCheck, ValuesKind};
use borax_api::meta::{DependencyReference, KubeConfigReference};
use borax_health::{CheckError, Checks, CustomCheck};
use borax_kubeio::Drift;
use borax_reconcile::{Backoff, Key, Queue, Trigger};
use kube::core::object::HasStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::owned::Owned;
use crate::store::{Change, key_of};

/// A kind whose objects are made of sources.
pub trait Consumer:
    kube::Resource<DynamicType = ()>
    + HasStatus<Status: PartialEq>
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// `spec.dependsOn`.
    fn dependencies(&self) -> &[DependencyReference];

    /// `spec.kubeConfig`.
    fn kube_config(&self) -> Option<&KubeConfigReference>;

    /// Whether it takes values from a ConfigMap or Secret of its namespace.
    fn takes_values(&self, kind: ValuesKind, name: &str) -> bool;

    /// Whether it corrects, or tells of, drift of what it made.
    fn minds_drift(&self) -> bool;

    /// `spec.interval`.
    fn interval(&self) -> Duration;

    /// Whether it depends on the object of its kind with `key`.
    fn depends_on(&self, key: &Key) -> bool {
        let own = self.meta().namespace.as_deref().unwrap_or_default();
        self.dependencies().iter().any(|dependency| {
            dependency.namespace_or(own) == &*key.namespace && *dependency.name == *key.name
        })
    }

    /// Whether it takes values from, or connects with, the ConfigMap or Secret.
    fn reads(&self, kind: ValuesKind, config: &Key) -> bool {
        let connects = || {
            let secret = self.kube_config().and_then(|config| config.secret_ref.as_ref());
            kind == ValuesKind::Secret && secret.is_some_and(|secret| *secret.name == *config.name)
        };
        self.meta().namespace.as_deref().unwrap_or_default() == &*config.namespace
            && (self.takes_values(kind, &config.name) || connects())
    }
}

/// `spec.healthCheckExprs`, compiled.
///
/// # Errors
/// An expression is wrong; nothing but another spec mends that.
pub fn health_checks(expressions: &[CustomHealthCheck]) -> Result<Checks, CheckError> {
    let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let checks: Vec<CustomCheck> = expressions
        .iter()
        .map(|check| CustomCheck {
            api_version: check.api_version.clone(),
            kind: check.kind.clone(),
            current: check.current.clone(),
            failed: optional(&check.failed),
            in_progress: optional(&check.in_progress),
        })
        .collect();
    Checks::compile(&checks)
}

/// What is remembered of an object between turns. Losing it costs a reconciliation, nothing else.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// It waits for a dependency, so a change of one wakes it.
    pub waits_for_dependency: bool,
    /// The digest of the artifact that was tried last; empty when it could not be had. Absent before the first try.
    pub tried: Option<String>,
    /// Turns in a row that drift woke, to slow down when someone else keeps changing an object.
    pub drifts: u32,
    /// Drift was told of that no turn has looked into yet.
    pub has_drifted: bool,
}

impl Memory {
    /// Notes that someone changed what the object made. Many changes before the next turn are one reason to look.
    fn drifted(&mut self) {
        if !std::mem::replace(&mut self.has_drifted, true) {
            self.drifts = self.drifts.saturating_add(1);
        }
    }
}

/// The objects of such a kind.
pub struct Consumers<K> {
    /// The objects themselves.
    pub owned: Owned<K>,
    memories: Mutex<HashMap<Key, Memory>>,
    backoff: Backoff,
}

impl<K: Consumer> Consumers<K> {
    /// `owned`, of which nothing is remembered. Corrections of drift in a row are `backoff` apart.
    pub fn new(owned: Owned<K>, backoff: Backoff) -> Arc<Self> {
        Arc::new(Self { owned, memories: Mutex::default(), backoff })
    }

    fn memories(&self) -> MutexGuard<'_, HashMap<Key, Memory>> {
        // Every change is one insertion or removal, so what a panic left is sound.
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of an object.
    pub fn memory(&self, key: &Key) -> Memory {
        self.memories().get(key).cloned().unwrap_or_default()
    }

    /// Remembers something of an object, and gives what is remembered now.
    pub fn remember(&self, key: &Key, change: impl FnOnce(&mut Memory)) -> Memory {
        let mut memories = self.memories();
        let memory = memories.entry(key.clone()).or_default();
        change(memory);
        memory.clone()
    }

    /// A turn looks into whatever was told until now.
    pub fn looks(&self, key: &Key) {
        self.remember(key, |memory| memory.has_drifted = false);
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, key: &Key) {
        self.memories().remove(key);
    }

    /// Wires the objects' own changes to `queue`, and each one's status to those that wait for it.
    pub fn listen(self: &Arc<Self>, queue: &Queue) {
        self.owned.listen(queue);
        let (this, queue) = (Arc::clone(self), queue.clone());
        self.owned.store().on_change(move |change| this.wake_dependents(change, &queue));
    }

    fn wake_dependents(&self, change: &Change<K>, queue: &Queue) {
        let (old, new) = (change.old.as_deref(), change.new.as_deref());
        if old.map(HasStatus::status) == new.map(HasStatus::status) {
            return;
        }
        let mut waiting: Vec<Key> = {
            let memories = self.memories();
            let waiting = memories.iter().filter(|(_, memory)| memory.waits_for_dependency);
            waiting.map(|(key, _)| key.clone()).collect()
        };
        waiting.sort();
        for key in waiting {
            let object = self.owned.store().get(&key);
            if object.is_some_and(|object| object.depends_on(&change.key)) {
                queue.wake(key, None);
            }
        }
    }

    /// A watched ConfigMap or Secret changed: wakes those that read it.
    pub fn config_changed(&self, kind: ValuesKind, config: &Key, queue: &Queue) {
        let kind_name = match kind {
            ValuesKind::ConfigMap => "ConfigMap",
            ValuesKind::Secret => "Secret",
        };
        for object in self.owned.store().find(|object| object.reads(kind, config)) {
            let trigger = Trigger { kind: kind_name, key: config.clone() };
            queue.wake(key_of(object.as_ref()), Some(trigger));
        }
    }

    /// Wakes the objects whose doings were changed by someone else, as long as `drifts` tells.
    pub async fn follow_drift(self: Arc<Self>, mut drifts: Receiver<Drift>, queue: Queue) {
        loop {
            match drifts.recv().await {
                Ok(drift) => {
                    self.drifted(&Key::new(&drift.owner_namespace, &drift.owner_name), &queue)
                }
                // Too many at once to tell whose: anyone's may be among them.
                Err(RecvError::Lagged(_)) => {
                    for object in self.owned.store().find(|_| true) {
                        self.drifted(&key_of(object.as_ref()), &queue);
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Something that an object made is no longer as it was made.
    ///
    /// Someone who keeps changing it is answered ever more slowly, up to the interval.
    fn drifted(&self, key: &Key, queue: &Queue) {
        let Some(object) = self.owned.store().get(key) else { return };
        if !object.minds_drift() {
            return;
        }
        let memory = self.remember(key, Memory::drifted);
        let delay = self.backoff.delay(memory.drifts).min(object.interval());
        queue.wake_after(key.clone(), None, delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_slows_down_by_turns_and_not_by_objects() {
        let mut memory = Memory::default();
        for _ in 0..50 {
            memory.drifted();
        }
        assert_eq!(memory.drifts, 1);
        memory.has_drifted = false;
        memory.drifted();
        assert_eq!(memory.drifts, 2);
    }
}
