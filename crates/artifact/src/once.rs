//! "Run once, everyone awaits": concurrent callers with one key share one run of the work.
//!
//! Knows nothing of what the work is. Nothing is kept after the run: a later caller runs anew, so a result is never older
//! than the call that receives it by more than the run itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// Work in progress by key. `V` is cloned for everyone; make an error cheap to clone (`Arc`).
#[derive(Debug)]
pub struct Once<K, V> {
    running: Mutex<HashMap<K, Arc<OnceCell<V>>>>,
}

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self { running: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Once<K, V> {
    /// Nothing in progress.
    pub fn new() -> Self {
        Self::default()
    }

    /// The result of `work`, or of the work that is already running for `key`.
    ///
    /// Cancellation: when the future that runs the work is dropped, the work is dropped with it, and one of those that
    /// wait runs its own. No caller waits on one that is gone.
    pub async fn run<F>(&self, key: K, work: impl FnOnce() -> F) -> V
    where
        F: Future<Output = V>,
    {
        let cell = Arc::clone(self.running().entry(key.clone()).or_default());
        let entry = Entry { once: self, key, cell };
        entry.cell.get_or_init(work).await.clone()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<K, Arc<OnceCell<V>>>> {
        // Every change is a single insert or removal, so what a panic left is sound.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's part in a run; takes the run off the map when it is done or nobody takes part any more.
struct Entry<'a, K: Clone + Eq + Hash, V: Clone> {
    once: &'a Once<K, V>,
    key: K,
    cell: Arc<OnceCell<V>>,
}

impl<K: Clone + Eq + Hash, V: Clone> Drop for Entry<'_, K, V> {
    fn drop(&mut self) {
        let mut running = self.once.running();
        let is_ours = running.get(&self.key).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell));
        // Two: the map's and ours. Callers take theirs under the lock that we hold.
        if is_ours && (self.cell.initialized() || Arc::strong_count(&self.cell) == 2) {
            running.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn concurrent_callers_share_one_run_and_later_ones_run_anew() {
        let once = Once::<&str, usize>::new();
        let runs = AtomicUsize::new(0);
        let gate = Notify::new();
        let work = || async {
            gate.notified().await;
            runs.fetch_add(1, Ordering::Relaxed)
        };
        let (a, b, c, ()) =
            tokio::join!(once.run("k", work), once.run("k", work), once.run("k", work), async {
                gate.notify_one();
            });
        assert_eq!((a, b, c), (0, 0, 0));
        gate.notify_one();
        assert_eq!(once.run("k", work).await, 1);
        assert!(once.running().is_empty());
    }

    #[tokio::test]
    async fn keys_do_not_wait_for_each_other() {
        let once = Once::<u8, u8>::new();
        let gate = Notify::new();
        let slow = once.run(1, || async {
            gate.notified().await;
            1
        });
        let quick = async {
            let two = once.run(2, || async { 2 }).await;
            gate.notify_one();
            two
        };
        assert_eq!(tokio::join!(slow, quick), (1, 2));
    }

    #[tokio::test]
    async fn a_cancelled_leader_strands_no_one() {
        let once = Arc::new(Once::<(), u8>::new());
        let started = Arc::new(Notify::new());
        let leader = tokio::spawn({
            let (once, started) = (Arc::clone(&once), Arc::clone(&started));
            async move {
                let never = || async {
                    started.notify_one();
                    std::future::pending().await
                };
                once.run((), never).await
            }
        });
        started.notified().await;
        let follower = tokio::spawn({
            let once = Arc::clone(&once);
            async move { once.run((), || async { 7 }).await }
        });
        tokio::task::yield_now().await;
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        assert_eq!(follower.await.unwrap(), 7);
        assert!(once.running().is_empty());
    }
}
