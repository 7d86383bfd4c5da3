//! The group `helm.toolkit.fluxcd.io`: HelmRelease, its names and the rules that follow from its fields.
//!
//! Behaviour: helm-controller `api/v2`.

mod actions;
mod names;
mod spec;
mod status;

use std::time::Duration;

pub use actions::*;
pub use names::*;
pub use spec::*;
pub use status::*;

use crate::meta::non_empty_or;

/// The API group.
pub const GROUP: &str = "helm.toolkit.fluxcd.io";

/// The API version.
pub const VERSION: &str = "v2";

/// The field manager of applied objects, also the name events are reported under.
pub const CONTROLLER: &str = "helm-controller";

/// The field manager of writes to the HelmReleases themselves.
pub const STATUS_MANAGER: &str = "gotk-helm-controller";

/// The label on a release's object that names its HelmRelease.
pub const OWNER_NAME_LABEL: &str = "helm.toolkit.fluxcd.io/name";

/// The label on a release's object that names its HelmRelease's namespace.
pub const OWNER_NAMESPACE_LABEL: &str = "helm.toolkit.fluxcd.io/namespace";

/// The label or annotation on an object that with `disabled` keeps it out of drift detection.
pub const DRIFT_DETECTION: &str = "helm.toolkit.fluxcd.io/driftDetection";

/// The value of [`DRIFT_DETECTION`] that keeps an object out.
pub const DRIFT_DETECTION_DISABLED: &str = "disabled";

/// How long to wait for one operation unless the spec says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// How soon to try again under the strategy RetryOnFailure unless the spec says otherwise.
pub const DEFAULT_RETRY_INTERVAL: Duration = Duration::from_secs(300);

/// How many records of a release to keep unless the spec says otherwise.
pub const DEFAULT_MAX_HISTORY: i64 = 5;

/// What to do about an action that failed, from an install's or upgrade's settings with Flux's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remediation {
    /// How often to try again; endlessly when negative.
    pub retries: i64,
    /// Whether failed tests do not count; `None` leaves it to the test's own setting.
    pub ignore_test_failures: Option<bool>,
    /// Whether to remediate after the last failure too.
    pub remediate_last_failure: bool,
    /// What to do.
    pub strategy: RemediationStrategy,
}

impl Remediation {
    /// Whether there are no tries left after that many failures.
    pub fn is_exhausted(&self, failures: i64) -> bool {
        self.retries >= 0 && failures > self.retries
    }
}

impl Install {
    /// How to remediate.
    pub fn remediation(&self) -> Remediation {
        let asked = self.remediation.clone().unwrap_or_default();
        Remediation {
            retries: asked.retries,
            ignore_test_failures: asked.ignore_test_failures,
            remediate_last_failure: asked.remediate_last_failure.unwrap_or(false),
            strategy: RemediationStrategy::Uninstall,
        }
    }

    /// How soon to try again where the strategy is to retry; `by_default` when the spec names no strategy and
    /// the feature gate DefaultToRetryOnFailure is on.
    pub fn retry_interval(&self, by_default: bool) -> Option<Duration> {
        let asked = self.strategy.as_ref().map(|s| (s.name, s.retry_interval));
        retry_interval(asked, by_default)
    }
}

impl Upgrade {
    /// How to remediate.
    pub fn remediation(&self) -> Remediation {
        let asked = self.remediation.clone().unwrap_or_default();
        Remediation {
            retries: asked.retries,
            ignore_test_failures: asked.ignore_test_failures,
            remediate_last_failure: asked.remediate_last_failure.unwrap_or(asked.retries > 0),
            strategy: asked.strategy.unwrap_or_default(),
        }
    }

    /// How soon to try again where the strategy is to retry; `by_default` when the spec names no strategy and
    /// the feature gate DefaultToRetryOnFailure is on.
    pub fn retry_interval(&self, by_default: bool) -> Option<Duration> {
        let asked = self.strategy.as_ref().map(|s| (s.name, s.retry_interval));
        retry_interval(asked, by_default)
    }

    /// What to do when the chart gets another name, with Flux's default.
    pub fn chart_name_change_strategy(&self) -> ChartNameChangeStrategy {
        self.chart_name_change_strategy.unwrap_or_default()
    }
}

fn retry_interval(
    asked: Option<(ActionStrategyName, Option<crate::meta::Duration>)>,
    by_default: bool,
) -> Option<Duration> {
    match asked {
        None => by_default.then_some(DEFAULT_RETRY_INTERVAL),
        Some((ActionStrategyName::RetryOnFailure, interval)) => {
            Some(interval.map_or(DEFAULT_RETRY_INTERVAL, Into::into))
        }
        Some((ActionStrategyName::RemediateOnFailure, _)) => None,
    }
}

impl Uninstall {
    /// What becomes of objects that depend on deleted ones, with Flux's default.
    pub fn deletion_propagation(&self) -> DeletionPropagation {
        self.deletion_propagation.unwrap_or_default()
    }
}

impl DriftDetection {
    /// What to do, with Flux's default.
    pub fn mode(&self) -> DriftDetectionMode {
        self.mode.unwrap_or_default()
    }
}

impl ValuesReference {
    /// The key in the object's data, with Flux's default.
    pub fn values_key(&self) -> &str {
        non_empty_or(&self.values_key, "values.yaml")
    }
}

impl CrossNamespaceObjectReference {
    /// The namespace meant, `own` being that of the HelmRelease.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        non_empty_or(&self.namespace, own)
    }
}

impl CrossNamespaceSourceReference {
    /// The namespace meant, `own` being that of the HelmRelease.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        non_empty_or(&self.namespace, own)
    }
}

impl HelmRelease {
    fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// How often to reconcile when nothing changes, before jitter.
    pub fn interval(&self) -> Duration {
        self.spec.interval.into()
    }

    /// How long to wait for one operation; `own` is the action's setting.
    pub fn timeout(&self, own: Option<crate::meta::Duration>) -> Duration {
        own.or(self.spec.timeout).map_or(DEFAULT_TIMEOUT, Into::into)
    }

    /// How many records of the release to keep, 0 for all.
    pub fn max_history(&self) -> i64 {
        self.spec.max_history.unwrap_or(DEFAULT_MAX_HISTORY)
    }

    /// The release's name, not yet shortened to what Helm allows.
    pub fn release_name(&self) -> String {
        match (self.spec.release_name.as_str(), self.spec.target_namespace.as_str()) {
            ("", "") => self.name().to_owned(),
            ("", namespace) => format!("{namespace}-{}", self.name()),
            (name, _) => name.to_owned(),
        }
    }

    /// The namespace to install to.
    pub fn release_namespace(&self) -> &str {
        non_empty_or(&self.spec.target_namespace, self.namespace())
    }

    /// The namespace of Helm's records.
    pub fn storage_namespace(&self) -> &str {
        non_empty_or(&self.spec.storage_namespace, self.namespace())
    }

    /// The name of the HelmChart made for this release.
    pub fn helm_chart_name(&self) -> String {
        format!("{}-{}", self.namespace(), self.name())
    }

    /// How to install.
    pub fn install(&self) -> Install {
        self.spec.install.clone().unwrap_or_default()
    }

    /// How to upgrade.
    pub fn upgrade(&self) -> Upgrade {
        self.spec.upgrade.clone().unwrap_or_default()
    }

    /// What to do about the action that was tried last, and how often it has failed; `None` before any.
    pub fn active_remediation(&self) -> Option<(Remediation, i64)> {
        let status = self.status.as_ref()?;
        Some(match status.last_attempted_release_action? {
            AttemptedAction::Install => (self.install().remediation(), status.install_failures),
            AttemptedAction::Upgrade => (self.upgrade().remediation(), status.upgrade_failures),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(spec: serde_json::Value) -> HelmRelease {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web", "namespace": "apps"},
            "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn names_and_namespaces_follow_from_the_target() {
        let plain = release(serde_json::json!({"interval": "5m"}));
        assert_eq!(plain.release_name(), "web");
        assert_eq!((plain.release_namespace(), plain.storage_namespace()), ("apps", "apps"));
        assert_eq!(plain.helm_chart_name(), "apps-web");
        let moved = release(serde_json::json!({"interval": "5m", "targetNamespace": "prod"}));
        assert_eq!(moved.release_name(), "prod-web");
        assert_eq!((moved.release_namespace(), moved.storage_namespace()), ("prod", "apps"));
    }

    #[test]
    fn an_upgrade_remediates_its_last_failure_only_if_it_has_retries() {
        let with = |retries: i64| Upgrade {
            remediation: Some(UpgradeRemediation { retries, ..UpgradeRemediation::default() }),
            ..Upgrade::default()
        };
        assert!(!with(0).remediation().remediate_last_failure);
        assert!(with(2).remediation().remediate_last_failure);
        assert_eq!(with(2).remediation().strategy, RemediationStrategy::Rollback);
        assert!(with(2).remediation().is_exhausted(3) && !with(2).remediation().is_exhausted(2));
        assert!(!with(-1).remediation().is_exhausted(1000));
    }

    #[test]
    fn a_retry_needs_its_strategy_or_the_feature_gate() {
        let named = |name| Install {
            strategy: Some(InstallStrategy { name, retry_interval: None }),
            ..Install::default()
        };
        assert_eq!(Install::default().retry_interval(false), None);
        assert_eq!(Install::default().retry_interval(true), Some(DEFAULT_RETRY_INTERVAL));
        assert_eq!(named(ActionStrategyName::RemediateOnFailure).retry_interval(true), None);
        let retry = named(ActionStrategyName::RetryOnFailure).retry_interval(false);
        assert_eq!(retry, Some(DEFAULT_RETRY_INTERVAL));
    }

    #[test]
    fn a_timeout_is_the_actions_the_releases_or_five_minutes() {
        let plain = release(serde_json::json!({"interval": "5m"}));
        assert_eq!(plain.timeout(None), DEFAULT_TIMEOUT);
        let set = release(serde_json::json!({"interval": "5m", "timeout": "7m"}));
        assert_eq!(set.timeout(None), Duration::from_secs(420));
        assert_eq!(set.timeout(Some(crate::meta::Duration::from_secs(1))), Duration::from_secs(1));
    }
}
