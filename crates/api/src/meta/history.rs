//! The short history of reconciliations that a status keeps.
//!
//! Behaviour: fluxcd/pkg `apis/meta/history.go`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, Time};

/// How many snapshots a history keeps.
pub const HISTORY_SIZE: usize = 5;

/// What came of reconciling one set of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Snapshot {
    /// The checksum of the objects, `<algorithm>:<hex>`.
    pub digest: String,
    /// When this came out for the first time.
    pub first_reconciled: Time,
    /// When it came out last.
    pub last_reconciled: Time,
    /// How long that took.
    pub last_reconciled_duration: Duration,
    /// How it ended: a condition's reason.
    pub last_reconciled_status: String,
    /// How often it came out so.
    pub total_reconciliations: i64,
    /// More about it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Records a reconciliation: the snapshot of the same digest and status moves to the front and counts one
/// more, or a new one takes the front and the oldest beyond [`HISTORY_SIZE`] go.
pub fn record(
    history: &mut Vec<Snapshot>,
    digest: &str,
    at: Time,
    took: Duration,
    status: &str,
    metadata: BTreeMap<String, String>,
) {
    let same =
        history.iter().position(|s| s.digest == digest && s.last_reconciled_status == status);
    let mut snapshot = match same {
        Some(place) => history.remove(place),
        None => Snapshot {
            digest: digest.to_owned(),
            first_reconciled: at,
            last_reconciled_status: status.to_owned(),
            ..Snapshot::default()
        },
    };
    snapshot.last_reconciled = at;
    snapshot.last_reconciled_duration = took;
    snapshot.total_reconciliations = snapshot.total_reconciliations.saturating_add(1);
    snapshot.metadata = metadata;
    history.insert(0, snapshot);
    history.truncate(HISTORY_SIZE);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(history: &[Snapshot]) -> Vec<(&str, i64)> {
        history.iter().map(|s| (s.digest.as_str(), s.total_reconciliations)).collect()
    }

    #[test]
    fn a_known_outcome_moves_to_the_front_and_the_oldest_go() {
        let mut history = Vec::new();
        let mut add = |digest: &str, status: &str| {
            record(
                &mut history,
                digest,
                Time::default(),
                Duration::default(),
                status,
                BTreeMap::new(),
            );
        };
        for digest in ["a", "b", "c", "d", "e", "f"] {
            add(digest, "ReconciliationSucceeded");
        }
        add("c", "ReconciliationSucceeded");
        add("f", "BuildFailed");
        assert_eq!(digests(&history), [("f", 1), ("c", 2), ("f", 1), ("e", 1), ("d", 1)]);
    }
}
