//! How long a failing key waits before it is tried again.

use std::time::Duration;

/// Exponential backoff between two bounds (`--min-retry-delay`, `--max-retry-delay`).
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The wait after the first failure.
    pub min: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Default for Backoff {
    /// Flux's defaults: 750 ms to 15 min.
    fn default() -> Self {
        Self { min: Duration::from_millis(750), max: Duration::from_secs(15 * 60) }
    }
}

impl Backoff {
    /// The wait after `failures` failures in a row (1 is the first): doubled each time, up to the maximum.
    pub fn delay(&self, failures: u32) -> Duration {
        let factor = 1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.min.saturating_mul(factor.max(1)).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_maximum() {
        let backoff = Backoff::default();
        let delays: Vec<u128> =
            [1, 2, 3, 11, 12, 40, u32::MAX].map(|n| backoff.delay(n).as_millis()).into();
        assert_eq!(delays, [750, 1_500, 3_000, 768_000, 900_000, 900_000, 900_000]);
    }
}
