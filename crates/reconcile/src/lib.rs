//! The controller harness: a queue of object keys, workers, backoff, wake-ups and metrics.
//!
//! ```text
//! watch events ─► Queue::wake(key, trigger) ─► ready (fair between namespaces) ─► worker slot
//!                                                  ▲                                │
//!                     timers: After, Retry ────────┘            Reconciler::reconcile(key, turn)
//!                                                                 turn.park(): waits without a slot
//!                                                                 turn.interrupted(): a newer trigger
//! ```
//!
//! Invariants:
//! - One key is reconciled by at most one task at a time; a trigger that arrives meanwhile runs it again.
//! - A parked turn holds no worker slot, so a thousand waits cost no one else anything.
//! - A panic is caught, counted and handed to [`Reconciler::panicked`]; other keys go on.
//!
//! The crate knows no Flux kind and no Kubernetes client. Start reading at [`queue`].

pub mod backoff;
pub mod metrics;
pub mod queue;
mod ready;

pub use backoff::Backoff;
pub use metrics::Metrics;
pub use queue::{Controller, Limits, Outcome, Queue, Reconciler, Turn};

use std::fmt;
use std::sync::Arc;

/// The namespace and name of the object a controller works on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The object's namespace.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
}

impl Key {
    /// A key from its parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What made a key ready: the kind, namespace and name of the object whose change woke it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The kind of the object that changed.
    pub kind: &'static str,
    /// Its namespace and name.
    pub key: Key,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.key)
    }
}
