//! The outside as templates reach it: clock, randomness, name resolution, and the cluster.
//! Only traits live here; the engine does no input or output.

use serde_json::Value as Json;

/// Clock, randomness and DNS of a rendering.
pub trait Env: Send + Sync {
    /// The time now: seconds since 1970 and nanoseconds.
    fn now(&self) -> (i64, u32);

    /// Fills the buffer with unpredictable bytes.
    fn random(&self, buf: &mut [u8]);

    /// Addresses of a host name, empty when there are none. Asked only when DNS is enabled.
    fn lookup_host(&self, name: &str) -> Vec<String>;
}

/// The cluster as the `lookup` function sees it.
pub trait Lookup: Send + Sync {
    /// The object of that name, or the list of all when the name is empty. An object that is not there is
    /// an empty map.
    ///
    /// # Errors
    /// Why the cluster could not answer.
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Json, String>;
}

/// A fixed outside: the clock stands at the time, randomness is a counted sequence, no host resolves.
/// For tests, and for previews that must not differ from run to run.
#[derive(Debug, Default)]
pub struct FixedEnv {
    seconds: i64,
    drawn: std::sync::atomic::AtomicU64,
}

impl FixedEnv {
    /// A clock that stands at these seconds since 1970.
    pub fn at(seconds: i64) -> FixedEnv {
        FixedEnv { seconds, drawn: std::sync::atomic::AtomicU64::new(0) }
    }
}

impl Env for FixedEnv {
    fn now(&self) -> (i64, u32) {
        (self.seconds, 0)
    }

    fn random(&self, buf: &mut [u8]) {
        // SplitMix64: every draw differs, every run is the same.
        for chunk in buf.chunks_mut(8) {
            let n = self.drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
        }
    }

    fn lookup_host(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }
}
