//! Unpacked trees by digest: each unpacked once, shared, and the longest unused dropped past a limit.
//!
//! A dropped tree is freed with its last user; a user that still holds one is not disturbed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::digest::Digest;
use crate::unpacked::UnpackedTree;

/// Where a tree is or will be.
type Place = Arc<Mutex<Option<Arc<UnpackedTree>>>>;

/// How much is kept although no one uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Most trees; each holds a file descriptor.
    pub max_trees: usize,
    /// Most bytes on disk.
    pub max_bytes: u64,
}

impl Default for CacheLimits {
    /// 256 trees, 2 GiB.
    fn default() -> Self {
        Self { max_trees: 256, max_bytes: 2 << 30 }
    }
}

#[derive(Debug)]
pub(crate) struct TreeCache {
    limits: CacheLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    slots: BTreeMap<Digest, Slot>,
    /// Counts uses; a slot's last use is its age.
    clock: u64,
}

#[derive(Debug, Default)]
struct Slot {
    /// Locked by whoever unpacks, so that the others wait for it.
    tree: Place,
    size: u64,
    used: u64,
}

impl TreeCache {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Arc<UnpackedTree>> {
        let mut state = self.state();
        state.clock += 1;
        let clock = state.clock;
        let slot = state.slots.get_mut(digest)?;
        slot.used = clock;
        // A tree that is just being unpacked is not at hand yet.
        slot.tree.try_lock().ok()?.clone()
    }

    pub(crate) fn get_or_unpack<E>(
        &self,
        digest: &Digest,
        unpack: impl FnOnce() -> Result<Arc<UnpackedTree>, E>,
    ) -> Result<Arc<UnpackedTree>, E> {
        let slot = self.touch(digest);
        let mut place = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = &*place {
            return Ok(Arc::clone(tree));
        }
        let unpacked = unpack();
        match &unpacked {
            Ok(tree) => {
                *place = Some(Arc::clone(tree));
                drop(place);
                self.account(digest, tree.size());
            }
            Err(_) => {
                drop(place);
                drop(slot);
                self.evict_empty(digest);
            }
        }
        unpacked
    }

    pub(crate) fn insert(&self, digest: &Digest, tree: Arc<UnpackedTree>) {
        let size = tree.size();
        let slot = self.touch(digest);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(tree);
        self.account(digest, size);
    }

    pub(crate) fn evict(&self, digest: &Digest) {
        self.state().slots.remove(digest);
    }

    fn touch(&self, digest: &Digest) -> Place {
        let mut state = self.state();
        state.clock += 1;
        let clock = state.clock;
        let slot = state.slots.entry(digest.clone()).or_default();
        slot.used = clock;
        Arc::clone(&slot.tree)
    }

    /// Notes a tree's size and drops the longest unused until the limits hold again (never the tree itself).
    fn account(&self, digest: &Digest, size: u64) {
        let mut state = self.state();
        if let Some(slot) = state.slots.get_mut(digest) {
            slot.size = size;
        }
        loop {
            let bytes: u64 = state.slots.values().map(|slot| slot.size).sum();
            if state.slots.len() <= self.limits.max_trees && bytes <= self.limits.max_bytes {
                return;
            }
            let others = state.slots.iter().filter(|(other, _)| *other != digest);
            let Some((oldest, _)) = others.min_by_key(|(_, slot)| slot.used) else { return };
            let oldest = oldest.clone();
            state.slots.remove(&oldest);
        }
    }

    /// Removes the slot of a failed unpacking, unless others wait in it to try for themselves.
    fn evict_empty(&self, digest: &Digest) {
        let mut state = self.state();
        if state
            .slots
            .get(digest)
            .is_some_and(|slot| Arc::strong_count(&slot.tree) == 1 && slot.size == 0)
        {
            state.slots.remove(digest);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state sound, so what a panic left can be used.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
