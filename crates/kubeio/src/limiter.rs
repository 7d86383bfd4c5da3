//! The rate of requests (`--kube-api-qps`, `--kube-api-burst`): a bucket of tokens, ignored where the server shares
//! itself out fairly.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A bucket that fills at a rate. Starts full.
pub(crate) struct Limiter {
    rate: f64,
    burst: f64,
    state: Mutex<(f64, Instant)>,
    off: AtomicBool,
}

impl Limiter {
    /// `rate` tokens a second up to `burst`; a rate of zero or less does not limit.
    pub(crate) fn new(rate: f64, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self {
            rate,
            burst,
            state: Mutex::new((burst, Instant::now())),
            off: AtomicBool::new(rate <= 0.0),
        }
    }

    /// Stops limiting: the server has priority and fairness.
    pub(crate) fn switch_off(&self) {
        self.off.store(true, Ordering::Relaxed);
    }

    /// Waits for its turn.
    pub(crate) async fn turn(&self) {
        if self.off.load(Ordering::Relaxed) {
            return;
        }
        let wait = self.take();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes a token, and says how long it is until that token exists.
    fn take(&self) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        let (tokens, at) = *state;
        let filled = (tokens + now.duration_since(at).as_secs_f64() * self.rate).min(self.burst);
        *state = (filled - 1.0, now);
        if filled >= 1.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64((1.0 - filled) / self.rate)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate_holds() {
        let limiter = Limiter::new(10.0, 5);
        let start = Instant::now();
        for _ in 0..5 {
            limiter.turn().await;
        }
        assert!(start.elapsed() < Duration::from_millis(1));
        for _ in 0..10 {
            limiter.turn().await;
        }
        let elapsed = start.elapsed().as_millis();
        assert!((990..1_020).contains(&elapsed), "{elapsed}");
        limiter.switch_off();
        limiter.turn().await;
        assert!(start.elapsed().as_millis() < elapsed + 5);
    }
}
