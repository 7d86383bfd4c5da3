//! The keys that are ready to run, served in turn between namespaces.
//!
//! One tenant with a thousand objects must not delay another with one: each namespace has a line of its own,
//! and the lines are served round-robin.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::Key;

/// First in, first out within a namespace; round-robin between namespaces. Holds each key at most once
/// (the queue's own bookkeeping sees to that).
#[derive(Default)]
pub(crate) struct Ready {
    lines: HashMap<Arc<str>, VecDeque<Key>>,
    turn: VecDeque<Arc<str>>,
    len: usize,
}

impl Ready {
    pub(crate) fn push(&mut self, key: Key) {
        self.len += 1;
        let line = self.lines.entry(Arc::clone(&key.namespace)).or_default();
        if line.is_empty() {
            self.turn.push_back(Arc::clone(&key.namespace));
        }
        line.push_back(key);
    }

    pub(crate) fn pop(&mut self) -> Option<Key> {
        let namespace = self.turn.pop_front()?;
        let line = self.lines.get_mut(&namespace)?;
        let key = line.pop_front()?;
        self.len -= 1;
        if line.is_empty() {
            self.lines.remove(&namespace);
        } else {
            self.turn.push_back(namespace);
        }
        Some(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_namespaces_in_turn_and_keys_in_order() {
        let mut ready = Ready::default();
        for (namespace, name) in [("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("c", "1")] {
            ready.push(Key::new(namespace, name));
        }
        let served: Vec<String> =
            std::iter::from_fn(|| ready.pop()).map(|key| key.to_string()).collect();
        assert_eq!(served, ["a/1", "b/1", "c/1", "a/2", "a/3"]);
        assert_eq!(ready.len(), 0);
    }
}
