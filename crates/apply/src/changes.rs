//! What came of a plan: one line per object, in Flux's words (fluxcd/pkg `ssa/changeset.go`).

use std::fmt;

use borax_object::{Entry, ObjectId};
use serde::{Deserialize, Serialize};

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It was not there.
    Created,
    /// It was changed.
    Configured,
    /// It was as wanted.
    Unchanged,
    /// It was deleted, or was already gone.
    Deleted,
    /// It asked to be left alone.
    Skipped,
    /// The attempt failed.
    Unknown,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        })
    }
}

/// What happened to one object. Displayed as `Kind/namespace/name action`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The object.
    pub entry: Entry,
    /// What happened to it.
    pub action: Action,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.entry.id, self.action)
    }
}

/// What happened to a set of objects, in order. Displayed as one line per object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// The lines.
    pub entries: Vec<Change>,
}

impl ChangeSet {
    /// Adds a line.
    pub fn push(&mut self, entry: Entry, action: Action) {
        self.entries.push(Change { entry, action });
    }

    /// Only what changed, as Flux's events list it.
    #[must_use]
    pub fn changed(&self) -> Self {
        let changed = |change: &&Change| {
            matches!(change.action, Action::Created | Action::Configured | Action::Deleted)
        };
        Self { entries: self.entries.iter().filter(changed).cloned().collect() }
    }

    /// Whether nothing happened to anything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The objects as an inventory lists them.
    pub fn inventory(&self) -> Vec<Entry> {
        self.entries.iter().map(|change| change.entry.clone()).collect()
    }

    /// The objects whose health counts: all but those that asked to be left alone.
    pub fn ids_to_check(&self) -> Vec<ObjectId> {
        let counts = |change: &&Change| change.action != Action::Skipped;
        self.entries.iter().filter(counts).map(|change| change.entry.id.clone()).collect()
    }
}

impl fmt::Display for ChangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, change) in self.entries.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            change.fmt(f)?;
        }
        Ok(())
    }
}
