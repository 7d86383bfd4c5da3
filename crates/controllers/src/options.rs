//! What the flags of `borax run` decide for the controllers. Plain data; parsing them is the program's matter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use borax_object::GroupKind;
use borax_reconcile::Backoff;
use borax_source::git::PushRules;

/// Settings of all controllers, with Flux's defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// Turns at once, per controller (`--concurrent`).
    pub concurrent: usize,
    /// Objects of one Kustomization applied at once (`--concurrent-ssa`).
    pub concurrent_ssa: usize,
    /// How soon a missing source is looked at again when nothing wakes its consumer (`--requeue-dependency`).
    pub requeue_dependency: Duration,
    /// How often tags of deleted ImageRepositories are looked for (`--gc-interval`); zero for at the start only.
    pub gc_interval: Duration,
    /// How far intervals are spread, in percent (`--interval-jitter-percentage`).
    pub interval_jitter_percentage: u8,
    /// The wait after failures (`--min-retry-delay`, `--max-retry-delay`).
    pub backoff: Backoff,
    /// Whether references into other namespaces are refused (`--no-cross-namespace-refs`).
    pub no_cross_namespace_refs: bool,
    /// Whether kustomize bases on other hosts are refused (`--no-remote-bases`).
    pub no_remote_bases: bool,
    /// The service account of objects that name none (`--default-service-account`); empty for none.
    pub default_service_account: String,
    /// Whether kubeconfigs may run commands (`--insecure-kubeconfig-exec`).
    pub insecure_kubeconfig_exec: bool,
    /// Whether kubeconfigs may switch TLS verification off (`--insecure-kubeconfig-tls`).
    pub insecure_kubeconfig_tls: bool,
    /// Field managers whose fields are taken over (`--override-manager`).
    pub override_managers: Vec<String>,
    /// Kinds applied in a stage of their own (`--custom-apply-stage-kinds`).
    pub custom_apply_stage_kinds: BTreeSet<GroupKind>,
    /// Tries at fetching an artifact (`--http-retry`).
    pub http_retry: u32,
    /// SSH key exchange algorithms to offer (`--ssh-kex-algos`); the defaults when empty.
    pub ssh_kex_algos: Vec<String>,
    /// SSH host key algorithms to accept (`--ssh-hostkey-algos`); the defaults when empty.
    pub ssh_hostkey_algos: Vec<String>,
    /// Feature gates that were set or are on by default.
    pub gates: Gates,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrent: 4,
            concurrent_ssa: 4,
            requeue_dependency: Duration::from_secs(30),
            gc_interval: Duration::from_secs(600),
            interval_jitter_percentage: 5,
            backoff: Backoff::default(),
            no_cross_namespace_refs: false,
            no_remote_bases: false,
            default_service_account: String::new(),
            insecure_kubeconfig_exec: false,
            insecure_kubeconfig_tls: false,
            override_managers: Vec::new(),
            custom_apply_stage_kinds: BTreeSet::new(),
            http_retry: 9,
            ssh_kex_algos: Vec::new(),
            ssh_hostkey_algos: Vec::new(),
            gates: Gates::default(),
        }
    }
}

/// The feature gates that change what the controllers do. Gates whose behaviour Borax always has are not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gates {
    /// An unset variable fails the build (on by default).
    pub strict_post_build_substitutions: bool,
    /// A dependency's `readyExpr` comes on top of the built-in check instead of replacing it.
    pub additive_cel_dependency_check: bool,
    /// ExternalArtifact may be a source.
    pub external_artifact: bool,
    /// ConfigMaps and Secrets are not watched.
    pub disable_config_watchers: bool,
    /// Waiting for health goes on to the timeout though an object has already failed.
    pub disable_fail_fast_behavior: bool,
    /// Managed fields are moved to the applied API version.
    pub migrate_api_version: bool,
    /// Templates may resolve host names.
    pub allow_dns_lookups: bool,
    /// Chart versions are not marked with the digest of their source.
    pub disable_chart_digest_tracking: bool,
    /// A HelmRelease whose actions name no strategy retries instead of remediating.
    pub default_to_retry_on_failure: bool,
    /// How update automations clone and push (all on by default).
    pub push_rules: PushRules,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            strict_post_build_substitutions: true,
            additive_cel_dependency_check: false,
            external_artifact: false,
            disable_config_watchers: false,
            disable_fail_fast_behavior: false,
            migrate_api_version: false,
            allow_dns_lookups: false,
            disable_chart_digest_tracking: false,
            default_to_retry_on_failure: false,
            push_rules: PushRules {
                all_branch_references: true,
                force_push_branch: true,
                shallow_clone: true,
            },
        }
    }
}

/// Reads `--custom-apply-stage-kinds`: `group/Kind`, separated by commas.
pub use borax_apply::parse_kinds;

/// What became of one `Name=bool` of `--feature-gates`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateEffect {
    /// It changed a setting.
    Set,
    /// Borax always behaves as if it were on.
    Always,
    /// It belongs to something that Borax does otherwise; it changes nothing.
    NotApplicable,
}

impl Gates {
    /// Sets the gates named in `wanted`.
    ///
    /// # Errors
    /// The names that no Flux controller knows, sorted.
    pub fn set(
        &mut self,
        wanted: &BTreeMap<String, bool>,
    ) -> Result<Vec<(String, GateEffect)>, Vec<String>> {
        let mut effects = Vec::new();
        let mut unknown = Vec::new();
        for (name, on) in wanted {
            match self.set_one(name, *on) {
                Some(effect) => effects.push((name.clone(), effect)),
                None => unknown.push(name.clone()),
            }
        }
        if unknown.is_empty() { Ok(effects) } else { Err(unknown) }
    }

    fn set_one(&mut self, name: &str, on: bool) -> Option<GateEffect> {
        let slot = match name {
            "StrictPostBuildSubstitutions" => &mut self.strict_post_build_substitutions,
            "AdditiveCELDependencyCheck" => &mut self.additive_cel_dependency_check,
            "ExternalArtifact" => &mut self.external_artifact,
            "DisableConfigWatchers" => &mut self.disable_config_watchers,
            "DisableFailFastBehavior" => &mut self.disable_fail_fast_behavior,
            "MigrateAPIVersion" => &mut self.migrate_api_version,
            "AllowDNSLookups" => &mut self.allow_dns_lookups,
            "DisableChartDigestTracking" => &mut self.disable_chart_digest_tracking,
            "DefaultToRetryOnFailure" => &mut self.default_to_retry_on_failure,
            "GitAllBranchReferences" => &mut self.push_rules.all_branch_references,
            "GitForcePushBranch" => &mut self.push_rules.force_push_branch,
            "GitShallowClone" => &mut self.push_rules.shallow_clone,
            // Waits are always given up for a newer revision; status is always watched, not polled;
            // only the trees of spec.update.path are ever looked into.
            "CancelHealthCheckOnNewRevision" | "DisableStatusPollerCache" | "GitSparseCheckout" => {
                return Some(GateEffect::Always);
            }
            "CacheSecretsAndConfigMaps"
            | "DirectSourceFetch"
            | "GroupChangeLog"
            | "ObjectLevelWorkloadIdentity"
            | "DetectDrift"
            | "CorrectDrift"
            | "OOMWatch"
            | "AdoptLegacyReleases"
            | "UseHelm3Defaults"
            | "FluxStorage" => {
                return Some(GateEffect::NotApplicable);
            }
            _ => return None,
        };
        *slot = on;
        Some(GateEffect::Set)
    }
}

/// Spreads `interval` by up to `percentage` in both directions. `random` is in `0.0..1.0`.
///
/// Behaviour: fluxcd/pkg `runtime/jitter`.
pub fn jittered(interval: Duration, percentage: u8, random: f64) -> Duration {
    let spread = f64::from(percentage.min(100)) / 100.0;
    interval.mul_f64(1.0 - spread + 2.0 * spread * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_its_percentage() {
        let interval = Duration::from_secs(100);
        assert_eq!(jittered(interval, 5, 0.0), Duration::from_secs(95));
        assert_eq!(jittered(interval, 5, 0.5), interval);
        assert_eq!(jittered(interval, 0, 0.9), interval);
    }

    #[test]
    fn unknown_gates_are_named_and_known_ones_tell_their_effect() {
        let mut gates = Gates::default();
        let wanted = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), true)).collect();
        assert_eq!(gates.set(&wanted(&["Nope", "ExternalArtifact"])).unwrap_err(), ["Nope"]);
        let effects = gates
            .set(&wanted(&["ExternalArtifact", "OOMWatch", "CancelHealthCheckOnNewRevision"]))
            .unwrap();
        assert!(gates.external_artifact);
        assert_eq!(effects[0], ("CancelHealthCheckOnNewRevision".to_owned(), GateEffect::Always));
        assert_eq!(effects[2].1, GateEffect::NotApplicable);
    }
}
