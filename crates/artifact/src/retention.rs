//! Which stored artifacts of an object are garbage: a pure decision over names and ages.
//!
//! Source: fluxcd/pkg `artifact/storage/gc.go`. Kept: the advertised artifact always; of the others those younger than the
//! time to live, and of these only the newest, so that with the advertised one no more than the record limit remain.
//! Deviation: where some artifacts had expired, Flux counts each later removal twice and so leaves too many for the next
//! collection; here one collection is enough.

use std::time::{Duration, SystemTime};

/// How long and how many artifacts of one object are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// `--artifact-retention-ttl`: age from which what is not advertised may go.
    pub ttl: Duration,
    /// `--artifact-retention-records`: most artifacts kept, the advertised one included.
    pub records: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(60), records: 2 }
    }
}

/// A file in an object's artifact directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The file's name.
    pub filename: String,
    /// When it was written.
    pub modified: SystemTime,
}

/// The files to remove, oldest first. `current` names the advertised artifact.
pub fn garbage(
    mut stored: Vec<Stored>,
    current: &str,
    retention: Retention,
    now: SystemTime,
) -> Vec<Stored> {
    let total = stored.len();
    stored.retain(|file| file.filename != current);
    stored.sort_by(|a, b| (a.modified, &a.filename).cmp(&(b.modified, &b.filename)));
    let expired =
        |file: &Stored| now.duration_since(file.modified).is_ok_and(|age| age > retention.ttl);
    let n_expired = stored.partition_point(expired);
    let n_over = total.saturating_sub(retention.records).min(stored.len());
    stored.truncate(n_expired.max(n_over));
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ages: &[u64], current: usize, records: usize, want: &[usize]) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        let file = |(at, age): (usize, &u64)| Stored {
            filename: at.to_string(),
            modified: now - Duration::from_secs(*age),
        };
        let stored = ages.iter().enumerate().map(file).collect();
        let retention = Retention { ttl: Duration::from_secs(60), records };
        let gone = garbage(stored, &current.to_string(), retention, now);
        let gone: Vec<String> = gone.into_iter().map(|file| file.filename).collect();
        let want: Vec<String> = want.iter().map(usize::to_string).collect();
        assert_eq!(gone, want, "ages {ages:?}");
    }

    #[test]
    fn the_advertised_artifact_stays_however_old() {
        check(&[500], 0, 2, &[]);
        check(&[500, 400, 300], 0, 2, &[1, 2]);
    }

    #[test]
    fn young_artifacts_stay_up_to_the_record_limit() {
        check(&[1, 20], 0, 2, &[]);
        check(&[1, 20, 30, 40], 0, 2, &[3, 2]);
        check(&[1, 20, 30, 40], 0, 9, &[]);
    }

    #[test]
    fn expired_artifacts_go_even_below_the_record_limit() {
        check(&[1, 61], 0, 2, &[1]);
        check(&[1, 60], 0, 2, &[]);
    }

    #[test]
    fn one_collection_suffices_when_some_have_expired() {
        check(&[1, 2, 3, 4, 100, 200], 0, 2, &[5, 4, 3, 2]);
    }

    #[test]
    fn a_missing_current_artifact_does_not_protect_others() {
        check(&[10, 20, 30], 99, 2, &[2]);
    }
}
