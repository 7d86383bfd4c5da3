//! The group `kustomize.toolkit.fluxcd.io`: Kustomization, its names and the rules that follow from its fields.
//!
//! Behaviour: kustomize-controller `api/v1` and `internal/controller`.

mod spec;
mod types;

use std::time::Duration;

pub use spec::*;
pub use types::*;

/// The API group.
pub const GROUP: &str = "kustomize.toolkit.fluxcd.io";

/// The API version.
pub const VERSION: &str = "v1";

/// The field manager of applied objects, also the name events are reported under.
pub const CONTROLLER: &str = "kustomize-controller";

/// The field manager of writes to the Kustomizations themselves.
pub const STATUS_MANAGER: &str = "gotk-kustomize-controller";

/// The label on an applied object that names its Kustomization.
pub const OWNER_NAME_LABEL: &str = "kustomize.toolkit.fluxcd.io/name";

/// The label on an applied object that names its Kustomization's namespace.
pub const OWNER_NAMESPACE_LABEL: &str = "kustomize.toolkit.fluxcd.io/namespace";

/// Annotations and labels on objects that say how to treat them. As labels they count alike.
pub mod annotations {
    /// `disabled`: deleting from the source leaves the object in the cluster.
    pub const PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";
    /// `disabled`: the object is not reconciled.
    pub const RECONCILE: &str = "kustomize.toolkit.fluxcd.io/reconcile";
    /// `Merge`, `IfNotPresent` or `Ignore`: how to apply.
    pub const SSA: &str = "kustomize.toolkit.fluxcd.io/ssa";
    /// `enabled`: what can't be changed in place is deleted and created anew.
    pub const FORCE: &str = "kustomize.toolkit.fluxcd.io/force";
    /// `disabled`: no variables are substituted in the object.
    pub const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";
    /// Switches a behaviour on.
    pub const ENABLED: &str = "enabled";
    /// Switches a behaviour off.
    pub const DISABLED: &str = "disabled";
    /// For [`SSA`]: fields that other managers set stay.
    pub const MERGE: &str = "Merge";
    /// For [`SSA`]: create, never change.
    pub const IF_NOT_PRESENT: &str = "IfNotPresent";
    /// For [`SSA`]: neither create nor change.
    pub const IGNORE: &str = "Ignore";
}

/// The shortest time that building, applying and waiting get.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(30);

impl Kustomization {
    /// How often to reconcile when nothing changes, before jitter.
    pub fn interval(&self) -> Duration {
        self.spec.interval.into()
    }

    /// How soon to try again after a failure.
    pub fn retry_interval(&self) -> Duration {
        self.spec.retry_interval.map_or(self.interval(), Into::into)
    }

    /// How long building, applying and waiting for health may take together: what is asked for, or 30 s less
    /// than the interval, and never under 30 s.
    pub fn timeout(&self) -> Duration {
        self.spec
            .timeout
            .map_or_else(|| self.interval().saturating_sub(SHORTEST_TIMEOUT), Into::into)
            .max(SHORTEST_TIMEOUT)
    }

    /// What becomes of the objects when this Kustomization is deleted, with Flux's default.
    pub fn deletion_policy(&self) -> DeletionPolicy {
        self.spec.deletion_policy.unwrap_or_default()
    }

    /// When to substitute variables, with Flux's default.
    pub fn substitute_strategy(&self) -> SubstituteStrategy {
        self.spec.post_build.as_ref().and_then(|post| post.substitute_strategy).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(interval: &str, timeout: Option<&str>, retry: Option<&str>) -> Kustomization {
        let parse = |text: &str| crate::meta::Duration::parse(text).unwrap();
        let spec = KustomizationSpec {
            interval: parse(interval),
            timeout: timeout.map(parse),
            retry_interval: retry.map(parse),
            ..KustomizationSpec::default()
        };
        Kustomization::new("app", spec)
    }

    #[test]
    fn the_timeout_follows_from_the_interval_and_is_never_under_30_s() {
        for (interval, timeout, expect) in
            [("10m", None, 570), ("10s", None, 30), ("1m", Some("5m"), 300), ("1m", Some("1s"), 30)]
        {
            assert_eq!(with(interval, timeout, None).timeout(), Duration::from_secs(expect));
        }
    }

    #[test]
    fn a_retry_comes_after_the_interval_unless_said_otherwise() {
        assert_eq!(with("10m", None, None).retry_interval(), Duration::from_secs(600));
        assert_eq!(with("10m", None, Some("2m")).retry_interval(), Duration::from_secs(120));
    }
}
