//! Deletes what is no longer wanted, but only what still is ours (fluxcd/pkg `ssa/manager_delete.go`).

use std::time::Duration;

use borax_apply::{Action, ChangeSet, Marks};
use borax_object::{Entry, meta};
use tokio::time::Instant;

use crate::applier::{Applier, delete};
use crate::discovery::DiscoveryError;
use crate::follow;
use crate::request::RequestError;
use crate::wait::WaitError;

/// What came of deletions.
#[derive(Clone, Debug, Default)]
pub struct Pruned {
    /// What happened to each object, in order.
    pub changes: ChangeSet,
    /// Those whose deletion failed: keep them in the inventory.
    pub survivors: Vec<Entry>,
    /// What failed, in Flux's words; `None` when nothing did.
    pub error: Option<String>,
}

/// What is known about an object before it is deleted.
enum Fate {
    /// It may be deleted, if it is still this incarnation.
    Delete(String),
    /// It is not ours, or asks to be left alone.
    Skip,
    /// It is not there.
    Gone,
}

impl Applier {
    /// Deletes objects in the given order (see `Plan::stale`), in the background. Left alone are objects without the
    /// owner's labels, and those marked `prune: disabled`, `reconcile: disabled` or `ssa: Ignore`.
    ///
    /// An object of the store costs one request, any other two. A failure does not keep the others from being deleted.
    pub async fn prune(&self, stale: &[Entry]) -> Pruned {
        let mut pruned = Pruned::default();
        let mut errors = String::new();
        for entry in stale {
            match self.prune_one(entry).await {
                Ok(action) => pruned.changes.push(entry.clone(), action),
                Err(cause) => {
                    pruned.changes.push(entry.clone(), Action::Unknown);
                    pruned.survivors.push(entry.clone());
                    errors.push_str(&format!("{} {cause};", entry.id));
                }
            }
        }
        if !errors.is_empty() {
            pruned.error = Some(format!("delete failed, errors: {errors}"));
        }
        pruned
    }

    async fn prune_one(&self, entry: &Entry) -> Result<Action, String> {
        let (cluster, id) = (self.cluster(), &entry.id);
        let query_failed = |error: &dyn std::fmt::Display| format!("query failed: {error}");
        let discovery = cluster.discovery();
        let resource = match discovery.resolve(cluster, &entry.gvk()).await {
            Ok(resource) => resource,
            // The version the object was written in may be gone while the object is not.
            Err(error @ DiscoveryError::NoMatch { .. }) => discovery
                .resolve_kind(cluster, &id.group_kind())
                .await
                .map_err(|_| query_failed(&error))?,
            Err(error) => return Err(query_failed(&error)),
        };
        let mut fate = self.known_fate(entry);
        // Each time that it was made anew meanwhile costs a read and a deletion.
        for _ in 0..6 {
            let uid = match fate.take() {
                Some(Fate::Skip) => return Ok(Action::Skipped),
                Some(Fate::Gone) => {
                    cluster.live().forget(id);
                    return Ok(Action::Deleted);
                }
                Some(Fate::Delete(uid)) => uid,
                None => {
                    let read = cluster.get(&resource.path(&id.namespace, Some(&id.name))).await;
                    fate = Some(self.fate(read).map_err(|error| query_failed(&error))?);
                    continue;
                }
            };
            cluster.live().writing(id);
            match delete(cluster, &resource, id, Some(&uid)).await {
                Ok(()) => return Ok(Action::Deleted),
                Err(error) if error.is_not_found() => return Ok(Action::Deleted),
                Err(error) if error.reason() == "Conflict" => {}
                Err(error) => return Err(format!("delete failed: {error}")),
            }
        }
        Err("delete failed: the object changes faster than it can be read".to_owned())
    }

    /// What the store says; `None` when it says nothing, which does not mean that the object is gone.
    fn known_fate(&self, entry: &Entry) -> Option<Fate> {
        let live = self.cluster().live();
        let record = live.covers(&entry.gvk()).then(|| live.get(&entry.id)).flatten()?;
        let owner = self.owner();
        let ours = record.owner.is_some_and(|(name, namespace)| {
            *name == *owner.name && *namespace == *owner.namespace
        });
        let marks = record.fingerprint.marks;
        if !ours || marks.keep || marks.excluded {
            return Some(Fate::Skip);
        }
        Some(Fate::Delete(record.uid.into()))
    }

    fn fate(&self, read: Result<borax_object::Value, RequestError>) -> Result<Fate, RequestError> {
        let object = match read {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Ok(Fate::Gone),
            Err(error) => return Err(error),
        };
        let marks = Marks::of(&object, &self.owner().group);
        if !self.owner().owns(&object) || marks.keep || marks.excluded {
            return Ok(Fate::Skip);
        }
        Ok(Fate::Delete(meta::uid(&object).to_owned()))
    }

    /// Waits until everything that `changes` says was deleted is gone, by watch.
    ///
    /// # Errors
    /// The first object that is still there after `timeout`.
    pub async fn wait_gone(&self, changes: &ChangeSet, timeout: Duration) -> Result<(), WaitError> {
        let deadline = Instant::now() + timeout;
        for change in changes.entries.iter().filter(|change| change.action == Action::Deleted) {
            let id = &change.entry.id;
            let discovery = self.cluster().discovery();
            let resource = match discovery.resolve_kind(self.cluster(), &id.group_kind()).await {
                Ok(resource) => resource,
                // Nobody can say that it is gone.
                Err(DiscoveryError::Request(_)) => {
                    return Err(WaitError::Termination(id.clone()));
                }
                // A kind that is not served any more has no objects.
                Err(DiscoveryError::NoMatch { .. } | DiscoveryError::NoKind(..)) => continue,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            follow::gone(self.cluster(), &resource, id, None, left).await?;
        }
        Ok(())
    }
}
