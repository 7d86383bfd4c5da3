//! How many requests go to one upstream host at once.
//!
//! Fetches hold no worker slot, so a bound is needed elsewhere: per host, for the host that is slow or overrun is
//! the one that should wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Fetches at once from one host.
const PER_HOST: usize = 4;

/// The places at each host that is in use.
#[derive(Default)]
pub struct Upstreams {
    hosts: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// A place at a host, given back when dropped.
pub struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Upstreams {
    /// Waits for a place at `host`.
    pub async fn place(&self, host: &str) -> Place {
        let semaphore = self.semaphore(host);
        // The semaphore is never closed.
        Place { _permit: semaphore.acquire_owned().await.ok() }
    }

    fn semaphore(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(semaphore) = hosts.get(host).and_then(Weak::upgrade) {
            return semaphore;
        }
        // Whoever asks anew clears what nobody holds any more, so that the map stays as large as its use.
        hosts.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(PER_HOST));
        hosts.insert(host.to_owned(), Arc::downgrade(&semaphore));
        semaphore
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_host_delays_no_other() {
        let upstreams = Upstreams::default();
        let mut held = Vec::new();
        for _ in 0..PER_HOST {
            held.push(upstreams.place("slow").await);
        }
        assert!(futures::poll!(std::pin::pin!(upstreams.place("slow"))).is_pending());
        assert!(futures::poll!(std::pin::pin!(upstreams.place("fast"))).is_ready());
        held.pop();
        assert!(futures::poll!(std::pin::pin!(upstreams.place("slow"))).is_ready());
    }
}
