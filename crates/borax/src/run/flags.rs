//! The flags of `borax run`: Flux's own, with Flux's defaults, of all its controllers at once.
//!
//! An unknown flag is an error. A known one that changes nothing here is accepted and logged ([`Flags::inert`]).
//! Booleans are written as in Go: `--flag`, `--flag=false`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use borax_controllers::options::{GateEffect, Gates, Options};
use borax_controllers::start::Group;
use borax_reconcile::Backoff;
use clap::{ArgAction, Args};

fn duration(text: &str) -> Result<Duration, String> {
    borax_stdx::duration::parse(text).map_err(|error| error.to_string())
}

/// A number of bytes.
fn bytes(text: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(0) | Err(_) => Err(format!("{text:?} is no number of bytes above 0")),
        Ok(bytes) => Ok(bytes),
    }
}

/// Flags of `borax run`.
#[derive(Args, Clone, Debug)]
#[command(rename_all = "kebab-case")]
pub(crate) struct Flags {
    /// The kubeconfig file. KUBECONFIG, then the service account of the pod, otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The controllers to run, separated by commas: source, kustomize, helm, image-reflector,
    /// image-automation. All that exist by default.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) controllers: Vec<Group>,

    // What is reconciled, and how.
    /// Turns at once, per controller.
    #[arg(long, default_value_t = 4)]
    pub(crate) concurrent: usize,
    /// Objects of one Kustomization applied at once.
    #[arg(long, default_value_t = 4)]
    pub(crate) concurrent_ssa: usize,
    /// How soon a missing source or dependency is looked at again when nothing wakes its consumer.
    #[arg(long, value_parser = duration, default_value = "30s")]
    pub(crate) requeue_dependency: Duration,
    /// Minutes between looks for tags of deleted ImageRepositories; 0 for one look at the start
    #[arg(long, default_value_t = 10)]
    pub(crate) gc_interval: u16,
    /// How far intervals are spread, in percent.
    #[arg(long, default_value_t = 5)]
    pub(crate) interval_jitter_percentage: u8,
    /// The wait after a first failure.
    #[arg(long, value_parser = duration, default_value = "750ms")]
    pub(crate) min_retry_delay: Duration,
    /// The longest wait after failures.
    #[arg(long, value_parser = duration, default_value = "15m")]
    pub(crate) max_retry_delay: Duration,
    /// Watch all namespaces; else only the one Borax runs in (RUNTIME_NAMESPACE).
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    pub(crate) watch_all_namespaces: bool,
    /// Reconcile only objects with these labels.
    #[arg(long, default_value = "")]
    pub(crate) watch_label_selector: String,
    /// ConfigMaps and Secrets with these labels wake the objects that read them.
    #[arg(long, default_value = "reconcile.fluxcd.io/watch=Enabled")]
    pub(crate) watch_configs_label_selector: String,
    /// Refuse references into other namespaces.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    pub(crate) no_cross_namespace_refs: bool,
    /// Refuse kustomize bases on other hosts.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    pub(crate) no_remote_bases: bool,
    /// The service account to act as for objects that name none.
    #[arg(long, default_value = "")]
    pub(crate) default_service_account: String,
    /// The service account for logins to remote clusters.
    #[arg(long, default_value = "")]
    pub(crate) default_kubeconfig_service_account: String,
    /// The service account for decryption.
    #[arg(long, default_value = "")]
    pub(crate) default_decryption_service_account: String,
    /// Let kubeconfigs run commands.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    pub(crate) insecure_kubeconfig_exec: bool,
    /// Let kubeconfigs switch TLS verification off.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    pub(crate) insecure_kubeconfig_tls: bool,
    /// A field manager whose fields are taken over; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) override_manager: Vec<String>,
    /// Kinds applied in a stage of their own: `group/Kind`, separated by commas.
    #[arg(long, default_value = "")]
    pub(crate) custom_apply_stage_kinds: String,
    /// Tries at fetching an artifact over HTTP.
    #[arg(long, default_value_t = 9)]
    pub(crate) http_retry: u32,
    /// SSH key exchange algorithms to offer, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) ssh_kex_algos: Vec<String>,
    /// SSH host key algorithms to accept, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) ssh_hostkey_algos: Vec<String>,
    /// Feature gates: `Name=true`, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "GATES")]
    pub(crate) feature_gates: Vec<String>,

    // Where it listens and writes.
    /// Where /metrics is served; 0 for nowhere.
    #[arg(long, default_value = ":8080")]
    pub(crate) metrics_addr: String,
    /// Where /healthz and /readyz are served; 0 for nowhere.
    #[arg(long, default_value = ":9440")]
    pub(crate) health_addr: String,
    /// The notification controller's address, for events; they go to the API server besides.
    #[arg(long, default_value = "")]
    pub(crate) events_addr: String,
    /// The folder of the artifact cache.
    #[arg(long, default_value = "/data")]
    pub(crate) storage_path: PathBuf,
    /// Where artifacts are served.
    #[arg(long, default_value = ":9090")]
    pub(crate) storage_addr: String,
    /// Host and port in artifact URLs.
    #[arg(long, default_value = "")]
    pub(crate) storage_adv_addr: String,
    /// The checksum of artifacts: sha256, sha384, sha512 or blake3.
    #[arg(long, default_value = "sha256")]
    pub(crate) artifact_digest_algo: String,
    /// How many artifacts of a source are kept.
    #[arg(long, default_value_t = 2)]
    pub(crate) artifact_retention_records: usize,
    /// How long artifacts are kept beyond that number.
    #[arg(long, value_parser = duration, default_value = "1m")]
    pub(crate) artifact_retention_ttl: Duration,
    /// The largest index of a Helm repository, in bytes.
    #[arg(long, value_parser = bytes, default_value = "52428800")]
    pub(crate) helm_index_max_size: u64,
    /// The largest archive of a Helm chart, in bytes.
    #[arg(long, value_parser = bytes, default_value = "10485760")]
    pub(crate) helm_chart_max_size: u64,
    /// The largest file of a Helm chart, in bytes.
    #[arg(long, value_parser = bytes, default_value = "5242880")]
    pub(crate) helm_chart_file_max_size: u64,
    /// How many indexes of Helm repositories are kept in memory; 0 for as many as Borax sees fit.
    #[arg(long, default_value_t = 0)]
    pub(crate) helm_cache_max_size: usize,
    /// How long an index is kept after its last use.
    #[arg(long, value_parser = duration, default_value = "15m")]
    pub(crate) helm_cache_ttl: Duration,
    /// json or console.
    #[arg(long, default_value = "json")]
    pub(crate) log_encoding: String,
    /// error, info, debug or trace.
    #[arg(long, default_value = "info")]
    pub(crate) log_level: String,

    // The API server.
    /// Requests a second, on average. Servers with priority and fairness set their own pace.
    #[arg(long, default_value_t = 50.0)]
    pub(crate) kube_api_qps: f32,
    /// Requests at once above that average.
    #[arg(long, default_value_t = 300)]
    pub(crate) kube_api_burst: u32,
    /// Run only as the elected leader.
    #[arg(long, default_value_t = false, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    pub(crate) enable_leader_election: bool,
    /// How long a leader that went silent keeps its place.
    #[arg(long, value_parser = duration, default_value = "35s")]
    pub(crate) leader_election_lease_duration: Duration,
    /// How long a leader tries to renew before it steps down.
    #[arg(long, value_parser = duration, default_value = "30s")]
    pub(crate) leader_election_renew_deadline: Duration,
    /// The pause between tries to become or stay leader.
    #[arg(long, value_parser = duration, default_value = "5s")]
    pub(crate) leader_election_retry_period: Duration,
    /// Give the place up at once when stopping.
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    pub(crate) leader_election_release_on_cancel: bool,

    #[command(flatten)]
    inert: Inert,
}

/// Flags of controllers that do not exist yet, or of mechanisms that Borax does not have: accepted, logged when set.
#[derive(Args, Clone, Debug)]
#[command(rename_all = "kebab-case", next_help_heading = "Accepted without effect")]
struct Inert {
    #[arg(long)]
    helm_cache_purge_interval: Option<String>,
    #[arg(long)]
    sops_age_secret: Option<String>,
    #[arg(long)]
    sops_vault_configmap: Option<String>,
    #[arg(long)]
    graceful_shutdown_timeout: Option<String>,
    #[arg(long)]
    http_timeout: Option<String>,
    #[arg(long)]
    oom_watch_interval: Option<String>,
    #[arg(long)]
    oom_watch_memory_threshold: Option<String>,
    #[arg(long)]
    oom_watch_max_memory_path: Option<String>,
    #[arg(long)]
    oom_watch_current_memory_path: Option<String>,
    #[arg(long)]
    snapshot_digest_algo: Option<String>,
    #[arg(long = "receiverAddr")]
    receiver_addr: Option<String>,
    #[arg(long)]
    rate_limit_interval: Option<String>,
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    export_http_path_metrics: Option<String>,
    #[arg(long)]
    storage_value_log_file_size: Option<String>,
    #[arg(long)]
    storage_compression_threshold: Option<String>,
    #[arg(long)]
    token_cache_max_size: Option<String>,
    #[arg(long)]
    token_cache_max_duration: Option<String>,
}

impl Flags {
    /// The names of flags that were set and change nothing, for the log.
    pub(crate) fn inert(&self) -> Vec<&'static str> {
        let inert = &self.inert;
        let mut set: Vec<&'static str> = [
            ("helm-cache-purge-interval", &inert.helm_cache_purge_interval),
            ("sops-age-secret", &inert.sops_age_secret),
            ("sops-vault-configmap", &inert.sops_vault_configmap),
            ("graceful-shutdown-timeout", &inert.graceful_shutdown_timeout),
            ("http-timeout", &inert.http_timeout),
            ("oom-watch-interval", &inert.oom_watch_interval),
            ("oom-watch-memory-threshold", &inert.oom_watch_memory_threshold),
            ("oom-watch-max-memory-path", &inert.oom_watch_max_memory_path),
            ("oom-watch-current-memory-path", &inert.oom_watch_current_memory_path),
            ("snapshot-digest-algo", &inert.snapshot_digest_algo),
            ("receiverAddr", &inert.receiver_addr),
            ("rate-limit-interval", &inert.rate_limit_interval),
            ("export-http-path-metrics", &inert.export_http_path_metrics),
            ("storage-value-log-file-size", &inert.storage_value_log_file_size),
            ("storage-compression-threshold", &inert.storage_compression_threshold),
            ("token-cache-max-size", &inert.token_cache_max_size),
            ("token-cache-max-duration", &inert.token_cache_max_duration),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.is_some().then_some(name))
        .collect();
        for (name, value) in [
            ("default-decryption-service-account", &self.default_decryption_service_account),
            ("default-kubeconfig-service-account", &self.default_kubeconfig_service_account),
        ] {
            if !value.is_empty() {
                set.push(name);
            }
        }
        set
    }

    /// The controllers' settings, and what became of each feature gate.
    ///
    /// # Errors
    /// A gate that no Flux controller knows, or that is not written `Name=bool`; bounds the wrong way round.
    pub(crate) fn options(&self) -> anyhow::Result<(Options, Vec<(String, GateEffect)>)> {
        ensure!(self.concurrent > 0, "--concurrent must be at least 1");
        ensure!(self.concurrent_ssa > 0, "--concurrent-ssa must be at least 1");
        ensure!(
            self.min_retry_delay <= self.max_retry_delay,
            "--min-retry-delay is longer than --max-retry-delay"
        );
        let mut wanted = BTreeMap::new();
        for gate in self.feature_gates.iter().filter(|gate| !gate.is_empty()) {
            let (name, value) = gate.split_once('=').with_context(|| {
                format!("--feature-gates: {gate:?} is not written Name=true or Name=false")
            })?;
            let on = match value.trim() {
                "true" | "True" | "TRUE" | "1" | "t" | "T" => true,
                "false" | "False" | "FALSE" | "0" | "f" | "F" => false,
                other => bail!("--feature-gates: {name}: {other:?} is neither true nor false"),
            };
            wanted.insert(name.trim().to_owned(), on);
        }
        let mut gates = Gates::default();
        let effects = gates.set(&wanted).map_err(|unknown| {
            anyhow::anyhow!("--feature-gates: no Flux controller knows {}", unknown.join(", "))
        })?;
        let options = Options {
            concurrent: self.concurrent,
            concurrent_ssa: self.concurrent_ssa,
            requeue_dependency: self.requeue_dependency,
            gc_interval: Duration::from_secs(60 * u64::from(self.gc_interval)),
            interval_jitter_percentage: self.interval_jitter_percentage,
            backoff: Backoff { min: self.min_retry_delay, max: self.max_retry_delay },
            no_cross_namespace_refs: self.no_cross_namespace_refs,
            no_remote_bases: self.no_remote_bases,
            default_service_account: self.default_service_account.clone(),
            insecure_kubeconfig_exec: self.insecure_kubeconfig_exec,
            insecure_kubeconfig_tls: self.insecure_kubeconfig_tls,
            override_managers: self.override_manager.clone(),
            custom_apply_stage_kinds: borax_controllers::options::parse_kinds(
                &self.custom_apply_stage_kinds,
            ),
            http_retry: self.http_retry,
            ssh_kex_algos: self.ssh_kex_algos.clone(),
            ssh_hostkey_algos: self.ssh_hostkey_algos.clone(),
            gates,
        };
        Ok((options, effects))
    }

    /// The bounds on indexes and charts.
    pub(crate) fn chart_limits(&self) -> borax_source::helm_repo::Limits {
        let defaults = borax_source::helm_repo::Limits::default();
        borax_source::helm_repo::Limits {
            index: self.helm_index_max_size,
            chart: self.helm_chart_max_size,
            file: self.helm_chart_file_max_size,
            kept: match self.helm_cache_max_size {
                0 => defaults.kept,
                kept => kept,
            },
            kept_for: self.helm_cache_ttl,
        }
    }

    /// The controllers to run.
    pub(crate) fn groups(&self) -> Vec<Group> {
        if self.controllers.is_empty() { Group::ALL.to_vec() } else { self.controllers.clone() }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        flags: Flags,
    }

    fn parse(args: &[&str]) -> Result<Flags, clap::Error> {
        Cli::try_parse_from([&["borax"], args].concat()).map(|cli| cli.flags)
    }

    #[test]
    fn defaults_are_fluxs() {
        let (options, _) = parse(&[]).unwrap().options().unwrap();
        let default = Options::default();
        assert_eq!(format!("{options:?}"), format!("{default:?}"));
    }

    #[test]
    fn booleans_are_written_as_in_go() {
        assert!(parse(&["--no-remote-bases"]).unwrap().no_remote_bases);
        assert!(!parse(&["--watch-all-namespaces=false"]).unwrap().watch_all_namespaces);
        assert!(
            parse(&["--enable-leader-election", "--log-level=debug"])
                .unwrap()
                .enable_leader_election
        );
    }

    #[test]
    fn the_flags_of_the_d1_instance_are_taken() {
        let args = [
            "--feature-gates=CancelHealthCheckOnNewRevision=true",
            "--concurrent=10",
            "--requeue-dependency=10s",
            "--helm-cache-max-size=10",
            "--helm-cache-ttl=60m",
            "--helm-cache-purge-interval=5m",
            "--no-remote-bases=true",
            "--no-cross-namespace-refs=true",
            "--default-service-account=default",
        ];
        let flags = parse(&args).unwrap();
        assert_eq!(flags.inert(), ["helm-cache-purge-interval"]);
        let limits = flags.chart_limits();
        assert_eq!((limits.kept, limits.kept_for), (10, Duration::from_secs(3600)));
        assert_eq!(limits.index, 50 << 20);
        let (options, effects) = flags.options().unwrap();
        assert_eq!(options.concurrent, 10);
        assert_eq!(effects, [("CancelHealthCheckOnNewRevision".to_owned(), GateEffect::Always)]);
    }

    #[test]
    fn accounts_for_logins_that_do_not_exist_yet_are_said_to_have_no_effect() {
        let flags = parse(&["--default-kubeconfig-service-account=a"]).unwrap();
        assert_eq!(flags.inert(), ["default-kubeconfig-service-account"]);
    }

    #[test]
    fn what_no_controller_knows_is_an_error() {
        assert!(parse(&["--no-such-flag"]).is_err());
        assert!(
            parse(&["--controllers=source,notification"])
                .unwrap_err()
                .to_string()
                .contains("does not exist yet")
        );
        let error = parse(&["--feature-gates=Nope=true"]).unwrap().options().unwrap_err();
        assert_eq!(error.to_string(), "--feature-gates: no Flux controller knows Nope");
    }
}
