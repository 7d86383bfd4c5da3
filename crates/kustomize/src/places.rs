//! Which objects go by a key, in the order they came; small, since a build keeps one of these for each level of bases
//! while it gathers.
//!
//! Keys are kept as hashes, so what is found may hold strangers: whoever asks has to look.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};

/// Where the next link lies; stands for "nowhere" too.
const NONE: u32 = u32::MAX;

/// Places by the hash of a key.
#[derive(Debug, Default)]
pub(crate) struct Places {
    hasher: RandomState,
    /// The last link of each key.
    last: HashMap<u64, u32>,
    links: Vec<Link>,
}

#[derive(Debug)]
struct Link {
    place: u32,
    /// The link before this one.
    before: u32,
}

impl Places {
    /// Notes that the object at `place` goes by the key. Places only grow.
    pub(crate) fn add(&mut self, key: impl Hash, place: u32) {
        let next = self.links.len() as u32;
        let last = self.last.entry(self.hasher.hash_one(key)).or_insert(NONE);
        if self.links.get(*last as usize).is_some_and(|link| link.place == place) {
            return;
        }
        self.links.push(Link { place, before: *last });
        *last = next;
    }

    /// Where objects may go by the key, first come first.
    pub(crate) fn find(&self, key: impl Hash) -> Vec<usize> {
        let mut at = self.last.get(&self.hasher.hash_one(key)).copied().unwrap_or(NONE);
        let mut found = Vec::new();
        while let Some(link) = self.links.get(at as usize) {
            found.push(link.place as usize);
            at = link.before;
        }
        found.reverse();
        found
    }
}
