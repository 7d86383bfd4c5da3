//! What was seen and done for a HelmRelease, and the history of its releases.
//!
//! Behaviour: helm-controller `api/v2/snapshot_types.go`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kustomize::ResourceInventory;
use crate::meta::{Condition, Duration, Time};
use crate::schema::{is_zero, string_enum, unsized_int};

/// How a snapshot's digest is computed today: as of Helm 4.
pub const SNAPSHOT_API_VERSION: &str = "v2";

/// What was seen and done for a HelmRelease.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-default" = {"observedGeneration": -1}))]
pub struct HelmReleaseStatus {
    /// The last generation that was reconciled.
    #[serde(skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// The checksum of the post-renderers of the last release that worked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed_post_renderers_digest: String,
    /// The checksum of the common metadata of the last release that worked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub observed_common_metadata_digest: String,
    /// The last generation that was tried.
    #[serde(skip_serializing_if = "is_zero")]
    pub last_attempted_generation: i64,
    /// The conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The HelmChart made for this release, `namespace/name`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub helm_chart: String,
    /// The namespace of Helm's records of the current release.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 63))]
    pub storage_namespace: String,
    /// The releases made since the last one that worked, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Snapshot>,
    /// The objects of the latest release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inventory: Option<ResourceInventory>,
    /// The action that was tried last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_release_action: Option<AttemptedAction>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempted_release_action_duration: Option<Duration>,
    /// How often reconciling has failed since it last worked or the spec changed.
    #[serde(skip_serializing_if = "is_zero")]
    pub failures: i64,
    /// How often installing has failed since then.
    #[serde(skip_serializing_if = "is_zero")]
    pub install_failures: i64,
    /// How often upgrading has failed since then.
    #[serde(skip_serializing_if = "is_zero")]
    pub upgrade_failures: i64,
    /// The chart version that was tried last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_attempted_revision: String,
    /// The digest of the chart's artifact that was tried last; for artifacts of an OCIRepository.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_attempted_revision_digest: String,
    /// Older than `lastAttemptedConfigDigest`: the checksum of the values tried last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_attempted_values_checksum: String,
    /// Older than `history`: the number of the last release.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(transform = unsized_int)]
    pub last_release_revision: i64,
    /// The checksum of the values that were tried last.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_attempted_config_digest: String,
    /// The last reconcile request that was honoured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reconcile_at: String,
    /// The last force request that was seen.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_force_at: String,
    /// The last reset request that was seen.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_handled_reset_at: String,
}

string_enum! {
    /// An action that makes a release.
    pub enum AttemptedAction {
        /// An install.
        #[default]
        Install = "install",
        /// An upgrade.
        Upgrade = "upgrade",
    }
}

/// One release, as it was when last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Snapshot {
    /// How the digest is computed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The checksum of Helm's record.
    pub digest: String,
    /// The release's name.
    pub name: String,
    /// The namespace it is installed to.
    pub namespace: String,
    /// The release's number.
    #[schemars(transform = unsized_int)]
    pub version: i64,
    /// The release's status in Helm's words.
    pub status: String,
    /// The action that led here: install, upgrade, rollback, uninstall or uninstall-remediation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// The chart's name.
    pub chart_name: String,
    /// The chart's version.
    pub chart_version: String,
    /// The version of what the chart installs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    /// The checksum of the values.
    pub config_digest: String,
    /// When the release was first made.
    pub first_deployed: Time,
    /// When it was last made.
    pub last_deployed: Time,
    /// When it was uninstalled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Time>,
    /// How its tests went; an empty map says that there are none, absence that none were run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_hooks: Option<BTreeMap<String, TestHookStatus>>,
    /// The digest of the OCI artifact the chart came from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub oci_digest: String,
}

/// How a test went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct TestHookStatus {
    /// When it last started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_started: Option<Time>,
    /// When it last ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_completed: Option<Time>,
    /// How it ended: Succeeded, Failed or Running.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phase: String,
}

/// The actions a snapshot can name.
pub mod release_actions {
    /// An install.
    pub const INSTALL: &str = "install";
    /// An upgrade.
    pub const UPGRADE: &str = "upgrade";
    /// A rollback.
    pub const ROLLBACK: &str = "rollback";
    /// An uninstall.
    pub const UNINSTALL: &str = "uninstall";
    /// An uninstall to remediate a failure.
    pub const UNINSTALL_REMEDIATION: &str = "uninstall-remediation";
}

const DEPLOYED: &str = "deployed";
const SUPERSEDED: &str = "superseded";
const TEST_FAILED: &str = "Failed";
const TEST_SUCCEEDED: &str = "Succeeded";

impl HelmReleaseStatus {
    /// The namespace and name of the HelmChart made for this release.
    pub fn helm_chart(&self) -> Option<(&str, &str)> {
        let (namespace, rest) = self.helm_chart.split_once('/')?;
        Some((namespace, rest.split('/').next().unwrap_or(rest)))
    }

    /// Forgets the failures.
    pub fn clear_failures(&mut self) {
        self.failures = 0;
        self.install_failures = 0;
        self.upgrade_failures = 0;
    }
}

impl Snapshot {
    /// `namespace/name.vN`.
    pub fn full_release_name(&self) -> String {
        format!("{}/{}.v{}", self.namespace, self.name, self.version)
    }

    /// `chart@version`.
    pub fn versioned_chart_name(&self) -> String {
        format!("{}@{}", self.chart_name, self.chart_version)
    }

    /// Whether this is the release of that name, namespace and number.
    pub fn targets(&self, name: &str, namespace: &str, version: i64) -> bool {
        self.name == name && self.namespace == namespace && self.version == version
    }

    /// Whether the tests have been run to an end: one failed, all succeeded, or there are none.
    pub fn has_been_tested(&self) -> bool {
        self.test_hooks.as_ref().is_some_and(|hooks| {
            self.has_test_in_phase(TEST_FAILED)
                || hooks.values().all(|hook| hook.phase == TEST_SUCCEEDED)
        })
    }

    /// Whether one of the tests is in that phase.
    pub fn has_test_in_phase(&self, phase: &str) -> bool {
        self.test_hooks.iter().flat_map(BTreeMap::values).any(|hook| hook.phase == phase)
    }

    /// Whether one can go back to this release.
    fn is_good(&self, ignore_tests: bool) -> bool {
        (self.status == DEPLOYED || self.status == SUPERSEDED)
            && (ignore_tests || !self.has_test_in_phase(TEST_FAILED))
    }
}

/// The latest release.
pub fn latest(history: &[Snapshot]) -> Option<&Snapshot> {
    history.iter().max_by_key(|snapshot| snapshot.version)
}

/// The latest release before the [`latest`] that one can go back to. A release with a failed test is none,
/// unless tests are ignored.
pub fn previous(history: &[Snapshot], ignore_tests: bool) -> Option<&Snapshot> {
    let newest = latest(history)?.version;
    history
        .iter()
        .filter(|snapshot| snapshot.version < newest && snapshot.is_good(ignore_tests))
        .max_by_key(|snapshot| snapshot.version)
}

/// Sorts a history, the latest first, and drops what is older than [`previous`]; without one, what is beyond
/// the latest five.
pub fn truncate(history: &mut Vec<Snapshot>, ignore_tests: bool) {
    sort(history);
    let keep = match history.iter().skip(1).position(|snapshot| snapshot.is_good(ignore_tests)) {
        Some(place) => place + 2,
        None => HISTORY_SIZE,
    };
    history.truncate(keep);
}

/// Sorts a history, the latest first, and keeps the latest five.
pub fn truncate_ignoring_previous(history: &mut Vec<Snapshot>) {
    sort(history);
    history.truncate(HISTORY_SIZE);
}

fn sort(history: &mut [Snapshot]) {
    history.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.version));
}

const HISTORY_SIZE: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn history(entries: &[(i64, &str, Option<&str>)]) -> Vec<Snapshot> {
        let snapshot = |&(version, status, test): &(i64, &str, Option<&str>)| Snapshot {
            version,
            status: status.to_owned(),
            test_hooks: test.map(|phase| {
                let hook = TestHookStatus { phase: phase.to_owned(), ..TestHookStatus::default() };
                BTreeMap::from([("t".to_owned(), hook)])
            }),
            ..Snapshot::default()
        };
        entries.iter().map(snapshot).collect()
    }

    fn versions(history: &[Snapshot]) -> Vec<i64> {
        history.iter().map(|s| s.version).collect()
    }

    #[test]
    fn the_previous_release_is_the_last_that_worked() {
        let all = history(&[
            (1, "superseded", None),
            (2, "superseded", Some("Failed")),
            (4, "failed", None),
            (3, "failed", None),
        ]);
        assert_eq!(latest(&all).map(|s| s.version), Some(4));
        assert_eq!(previous(&all, false).map(|s| s.version), Some(1));
        assert_eq!(previous(&all, true).map(|s| s.version), Some(2));
        assert_eq!(previous(&all[..1], false), None);
    }

    #[test]
    fn a_history_keeps_what_one_can_go_back_to() {
        let mut kept = history(&[
            (1, "superseded", None),
            (2, "superseded", None),
            (3, "failed", None),
            (4, "deployed", None),
        ]);
        truncate(&mut kept, false);
        assert_eq!(versions(&kept), [4, 3, 2]);
        let mut failed = history(&[
            (1, "failed", None),
            (2, "failed", None),
            (3, "failed", None),
            (4, "failed", None),
            (5, "failed", None),
            (6, "failed", None),
        ]);
        truncate(&mut failed, false);
        assert_eq!(versions(&failed), [6, 5, 4, 3, 2]);
    }

    #[test]
    fn tests_are_over_when_one_failed_or_all_succeeded() {
        for (test, over) in [
            (None, false),
            (Some("Running"), false),
            (Some("Failed"), true),
            (Some("Succeeded"), true),
        ] {
            assert_eq!(history(&[(1, "deployed", test)])[0].has_been_tested(), over, "{test:?}");
        }
        let none = Snapshot { test_hooks: Some(BTreeMap::new()), ..Snapshot::default() };
        assert!(none.has_been_tested());
    }
}
