//! The changes of many files, as commit message templates see them.
//!
//! Behaviour: image-automation-controller v1.2 `internal/update/result.go`; there maps are walked in no order, here in
//! that of paths and objects.

use std::collections::BTreeMap;

use crate::setters::{Change, ObjectId};

/// Changes by object.
pub type ObjectChanges = BTreeMap<ObjectId, Vec<Change>>;

/// What an update changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// By the file's path, relative to the update's.
    pub file_changes: BTreeMap<String, ObjectChanges>,
}

impl Update {
    /// Adds the changes of one file.
    pub fn add(&mut self, path: &str, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let objects = self.file_changes.entry(path.to_owned()).or_default();
        for change in changes {
            objects.entry(change.object.clone()).or_default().push(change.clone());
        }
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.file_changes.is_empty()
    }

    /// Every change once: of those that have old value, new value and setter in common the first.
    pub fn changes(&self) -> Vec<&Change> {
        let mut different: Vec<&Change> = Vec::new();
        let all = self.file_changes.values().flat_map(BTreeMap::values).flatten();
        for change in all {
            let told =
                |change: &Change| (change.old.clone(), change.new.clone(), change.setter.clone());
            if !different.iter().any(|known| told(known) == told(change)) {
                different.push(change);
            }
        }
        different
    }

    /// The changes of every object, whichever files it is in.
    pub fn objects(&self) -> ObjectChanges {
        let mut objects = ObjectChanges::new();
        for (object, changes) in self.file_changes.values().flatten() {
            objects.entry(object.clone()).or_default().extend(changes.iter().cloned());
        }
        objects
    }
}
