//! One blocking fetch: its deadline, its cancellation, and the small runtime its sockets live on.
//!
//! libgit2 and the archive writer are blocking, the network crates are not. Each fetch drives its own current-thread
//! runtime from the blocking thread it runs on, so nothing is shared between fetches and nothing outlives one: dropping
//! the [`Session`] closes every socket. It knows nothing of Git.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Why a fetch was stopped from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The caller's token was cancelled (a newer request, a shutdown).
    #[error("cancelled")]
    Cancelled,
    /// The time limit (`spec.timeout`) has passed. Go's text, as Flux's users know it.
    #[error("context deadline exceeded")]
    Deadline,
}

impl From<Stopped> for io::Error {
    fn from(stopped: Stopped) -> Self {
        io::Error::other(stopped)
    }
}

/// The life of one fetch.
pub(crate) struct Session {
    runtime: Runtime,
    deadline: Instant,
    cancel: CancellationToken,
}

impl Session {
    /// Starts the clock of `timeout`. Must not be called on a thread that drives async tasks.
    pub(crate) fn start(timeout: Duration, cancel: &CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let deadline = Instant::now()
            .checked_add(timeout)
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(24 * 60 * 60));
        Ok(Self { runtime, deadline, cancel: cancel.clone() })
    }

    /// Waits for `future`, no longer than the fetch may live.
    pub(crate) fn wait<F: Future>(&self, future: F) -> Result<F::Output, Stopped> {
        self.check()?;
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Err(Stopped::Cancelled),
                done = tokio::time::timeout_at(self.deadline, future) => done.map_err(|_| Stopped::Deadline),
            }
        })
    }

    /// Whether the fetch may go on: for the stretches that wait for nothing.
    pub(crate) fn check(&self) -> Result<(), Stopped> {
        if self.cancel.is_cancelled() {
            return Err(Stopped::Cancelled);
        }
        if Instant::now() >= self.deadline {
            return Err(Stopped::Deadline);
        }
        Ok(())
    }
}
