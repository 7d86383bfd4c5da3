//! The clones that automations work in: one for each repository, login and branch, used by one automation at a time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use borax_source::git::Workspace;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Clones that are kept though nobody works in them; each is a folder on the cache disk.
const IDLE: usize = 32;

/// What makes two automations share a clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct DeskKey {
    /// The repository.
    pub(super) url: String,
    /// The login, in a form that does not show it.
    pub(super) login: [u8; 32],
    /// The branch that is pushed to.
    pub(super) branch: String,
}

struct Desk {
    workspace: Arc<AsyncMutex<Workspace>>,
    /// When it was asked for last.
    used: u64,
}

/// All clones of the process. Losing one costs a fetch.
#[derive(Default)]
pub struct Desks {
    desks: Mutex<(HashMap<DeskKey, Desk>, u64)>,
}

impl Desks {
    /// Waits until it is the caller's turn at a clone; whoever came first goes first.
    pub(super) async fn sit_down(&self, key: DeskKey, cache: &Path) -> OwnedMutexGuard<Workspace> {
        let workspace = self.find(key, cache);
        workspace.lock_owned().await
    }

    fn find(&self, key: DeskKey, cache: &Path) -> Arc<AsyncMutex<Workspace>> {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let (desks, clock) = &mut *desks;
        *clock += 1;
        let new = || Desk { workspace: Arc::new(AsyncMutex::new(Workspace::new(cache))), used: 0 };
        let desk = desks.entry(key).or_insert_with(new);
        desk.used = *clock;
        let workspace = Arc::clone(&desk.workspace);
        if desks.len() > IDLE {
            // Nobody else holds it, so nobody works or waits there.
            let idle = desks.iter().filter(|(_, desk)| Arc::strong_count(&desk.workspace) == 1);
            let oldest = idle.min_by_key(|(_, desk)| desk.used).map(|(key, _)| key.clone());
            oldest.map(|key| desks.remove(&key));
        }
        workspace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(branch: usize) -> DeskKey {
        DeskKey { url: "https://example.com/x".into(), login: [0; 32], branch: branch.to_string() }
    }

    #[tokio::test]
    async fn a_clone_is_used_by_one_at_a_time() {
        let (desks, cache) = (Desks::default(), Path::new("unused"));
        let held = desks.sit_down(key(0), cache).await;
        let mut second = std::pin::pin!(desks.sit_down(key(0), cache));
        assert!(futures::poll!(second.as_mut()).is_pending());
        assert!(futures::poll!(std::pin::pin!(desks.sit_down(key(1), cache))).is_ready());
        drop(held);
        assert!(futures::poll!(second.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn only_idle_clones_are_given_up() {
        let (desks, cache) = (Desks::default(), Path::new("unused"));
        let held = desks.sit_down(key(0), cache).await;
        for branch in 1..100 {
            desks.sit_down(key(branch), cache).await;
        }
        let desks = desks.desks.lock().unwrap();
        assert!(desks.0.len() <= IDLE + 1, "{}", desks.0.len());
        assert!(desks.0.contains_key(&key(0)) && desks.0.contains_key(&key(99)));
        drop(held);
    }
}
