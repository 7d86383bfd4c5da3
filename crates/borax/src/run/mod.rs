//! `borax run`: the controllers, their servers, leadership, and a stop within five seconds.

pub(crate) mod flags;
mod logs;
mod serve;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use borax_artifact::fetch::{FetchOptions, Fetcher};
use borax_artifact::retention::Retention;
use borax_artifact::{Storage, serve as artifacts};
use borax_controllers::artifacts::Artifacts;
use borax_controllers::image::automation::Desks;
use borax_controllers::image::tags::Tags;
use borax_controllers::options::GateEffect;
use borax_controllers::recorder::Recorder;
use borax_controllers::shared::{Shared, Stores};
use borax_controllers::source::git::{AppTokens, Fetches};
use borax_controllers::start::{self, Group, Scope};
use borax_controllers::upstreams::Upstreams;
use borax_kubeio::{Cluster, ConnectOptions, Lease, LeaseTimes, Source};
use borax_object::LabelSelector;
use borax_reconcile::Metrics;
use borax_source::bases::Bases;
use borax_source::helm_repo::Repositories;
use borax_source::oci::OciClient;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use flags::Flags;

/// The name of the lease that leaders hold, in the namespace Borax runs in.
const LEASE: &str = "borax-leader-election";

/// Everything stops within this time.
const STOP: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(flags: Flags) -> anyhow::Result<()> {
    logs::start(&flags.log_encoding, &flags.log_level)?;
    raise_file_limit();
    // One TLS stack with one set of algorithms for everything the process connects to.
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("can't start the runtime")?;
    let result = runtime.block_on(serve(flags));
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

/// Allows as many open files as the system lets us: every unpacked artifact in the cache holds one.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if let Err(error) = raised {
        tracing::info!(%error, limit = ?limit.current, "the limit of open files stays");
    }
}

async fn serve(flags: Flags) -> anyhow::Result<()> {
    let (options, gates) = flags.options()?;
    for flag in flags.inert() {
        tracing::info!(flag, "the flag is accepted and has no effect");
    }
    for (gate, effect) in gates {
        match effect {
            GateEffect::Set => tracing::info!(gate, "the feature gate is set"),
            GateEffect::Always => tracing::info!(gate, "the feature gate's behaviour is always on"),
            GateEffect::NotApplicable => {
                tracing::info!(gate, "the feature gate is accepted and has no effect")
            }
        }
    }
    let metrics = Arc::new(Metrics::default());
    let shutdown = CancellationToken::new();
    let cluster = connect(&flags, &metrics).await?;
    let storage = Arc::new(storage(&flags)?);
    let ready = serve::Ready::default();
    let servers = listen(&flags, &storage, &metrics, &ready, &shutdown).await?;

    parse_labels("--watch-configs-label-selector", &flags.watch_configs_label_selector)?;
    let scope = Scope {
        namespace: match flags.watch_all_namespaces {
            true => None,
            false => Some(
                runtime_namespace()
                    .context("--watch-all-namespaces=false needs RUNTIME_NAMESPACE")?,
            ),
        },
        labels: parse_labels("--watch-label-selector", &flags.watch_label_selector)?,
        config_labels: flags.watch_configs_label_selector.clone(),
    };
    let fetch = FetchOptions {
        retries: options.http_retry,
        host: std::env::var("SOURCE_CONTROLLER_LOCALHOST").ok().filter(|host| !host.is_empty()),
        ..FetchOptions::default()
    };
    let client = reqwest::Client::builder()
        .user_agent(concat!("borax/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
        .build()
        .context("can't set up the HTTP client")?;
    let shared = Arc::new(Shared {
        events: recorder(&flags, &cluster, &client)?,
        artifacts: Artifacts::new(
            Arc::clone(&storage),
            Fetcher::new(Arc::clone(&storage), client.clone(), fetch),
        ),
        cluster: cluster.clone(),
        stores: Stores::default(),
        bases: Arc::new(Bases::within(client.clone(), Handle::current(), &storage)),
        git_fetches: Fetches::default(),
        app_tokens: AppTokens::default(),
        desks: Desks::default(),
        oci: OciClient::default(),
        charts: Repositories::new(flags.chart_limits()),
        tags: tags(&flags, &storage)?,
        upstreams: Upstreams::default(),
        metrics,
        options,
    });

    let candidate = Candidate::new(&flags)?;
    let stopped = tokio::select! {
        leading = candidate.lead(&cluster) => Stopped::Leading(leading),
        signal = stop_signal() => Stopped::Asked(signal),
        error = servers.failed() => Stopped::Failed(error),
    };
    let mut lease = match stopped {
        Stopped::Leading(lease) => lease,
        Stopped::Asked(signal) => {
            tracing::info!(signal, "stopping");
            return stop(shutdown, None, None, servers).await;
        }
        Stopped::Failed(error) => return Err(error),
    };
    ready.set();
    let groups = flags.groups();
    let stopping = shutdown.clone();
    let mut controllers =
        tokio::spawn(async move { start::run(shared, &groups, &scope, stopping).await });
    let failure = tokio::select! {
        signal = stop_signal() => {
            tracing::info!(signal, "stopping");
            None
        }
        () = lost(lease.as_mut()) => Some(anyhow::anyhow!("leadership was lost")),
        error = servers.failed() => Some(error),
        ended = &mut controllers => Some(match ended.flatten() {
            Ok(()) => anyhow::anyhow!("the controllers ended"),
            Err(error) => anyhow::Error::new(error).context("a controller ended abnormally"),
        }),
    };
    if failure.is_some() || !flags.leader_election_release_on_cancel {
        // What is lost can't be given back; what is kept expires by itself.
        lease = None;
    }
    // One that has ended was heard already.
    let controllers = Some(controllers).filter(|controllers| !controllers.is_finished());
    stop(shutdown, controllers, lease, servers).await?;
    failure.map_or(Ok(()), Err)
}

/// How the wait for leadership ended.
enum Stopped {
    Leading(Option<Lease>),
    Asked(&'static str),
    Failed(anyhow::Error),
}

fn recorder(
    flags: &Flags,
    cluster: &Cluster,
    client: &reqwest::Client,
) -> anyhow::Result<Recorder> {
    let webhook = match flags.events_addr.as_str() {
        "" => None,
        address => Some((client.clone(), address.parse().context("--events-addr is no URL")?)),
    };
    let instance = std::env::var("HOSTNAME").unwrap_or_else(|_| "borax".to_owned());
    Ok(Recorder::new(cluster, webhook, instance))
}

async fn connect(flags: &Flags, metrics: &Arc<Metrics>) -> anyhow::Result<Cluster> {
    let source = match &flags.kubeconfig {
        Some(path) => Source::Path(path.clone()),
        None => Source::Ambient,
    };
    let metrics = Arc::clone(metrics);
    let options = ConnectOptions {
        qps: f64::from(flags.kube_api_qps),
        burst: flags.kube_api_burst,
        observer: Some(Arc::new(move |code, host: &str, method: &http::Method| {
            metrics.request(&code.to_string(), host, method.as_str());
        })),
        allow_exec: true,
        allow_insecure_tls: true,
        override_managers: flags.override_manager.clone(),
        ..ConnectOptions::default()
    };
    Cluster::connect(source, options).await.context("can't connect to the API server")
}

fn storage(flags: &Flags) -> anyhow::Result<Storage> {
    let hostname = || std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let advertised =
        artifacts::advertised_address(&flags.storage_adv_addr, &flags.storage_addr, hostname)
            .with_context(|| {
                format!("--storage-adv-addr is needed with --storage-addr={}", flags.storage_addr)
            })?;
    let options = borax_artifact::Options {
        algorithm: flags.artifact_digest_algo.parse().context("--artifact-digest-algo")?,
        retention: Retention {
            ttl: flags.artifact_retention_ttl,
            records: flags.artifact_retention_records,
        },
        ..borax_artifact::Options::new(&flags.storage_path, advertised)
    };
    Storage::new(options).with_context(|| {
        format!(
            "can't use --storage-path={}; it must be a folder to write to",
            flags.storage_path.display()
        )
    })
}

/// The database of image tags, where image repositories are scanned.
fn tags(flags: &Flags, storage: &Storage) -> anyhow::Result<Option<Arc<Tags>>> {
    if !flags.groups().contains(&Group::ImageReflector) {
        return Ok(None);
    }
    let tags = Tags::open(&storage.options().root);
    Ok(Some(Arc::new(tags.context("can't use --storage-path for the tags of images")?)))
}

async fn listen(
    flags: &Flags,
    storage: &Arc<Storage>,
    metrics: &Arc<Metrics>,
    ready: &serve::Ready,
    shutdown: &CancellationToken,
) -> anyhow::Result<serve::Servers> {
    let mut servers = serve::Servers::default();
    if let Some(listener) = bind("--metrics-addr", &flags.metrics_addr).await? {
        servers.add("metrics", listener, serve::metrics(Arc::clone(metrics)), shutdown);
    }
    if let Some(listener) = bind("--health-addr", &flags.health_addr).await? {
        servers.add("health", listener, serve::health(ready.clone()), shutdown);
    }
    if let Some(listener) = bind("--storage-addr", &flags.storage_addr).await? {
        servers.add(
            "artifacts",
            listener,
            artifacts::router(storage.options().root.clone()),
            shutdown,
        );
    }
    Ok(servers)
}

/// Binds `host:port`, as Go spells it (`:8080` is every address); `0` and nothing at all are nowhere.
async fn bind(flag: &str, address: &str) -> anyhow::Result<Option<TcpListener>> {
    if matches!(address, "" | "0") {
        return Ok(None);
    }
    let full = if address.starts_with(':') { format!("[::]{address}") } else { address.to_owned() };
    match TcpListener::bind(&full).await {
        Ok(listener) => Ok(Some(listener)),
        // A machine without IPv6.
        Err(_) if address.starts_with(':') => {
            let listener = TcpListener::bind(format!("0.0.0.0{address}")).await;
            listener.map(Some).with_context(|| format!("{flag}: can't listen on {address}"))
        }
        Err(error) => Err(error).with_context(|| format!("{flag}: can't listen on {address}")),
    }
}

fn parse_labels(flag: &str, text: &str) -> anyhow::Result<Option<LabelSelector>> {
    if text.is_empty() {
        return Ok(None);
    }
    LabelSelector::parse(text).map(Some).map_err(|error| anyhow::anyhow!("{flag}: {error}"))
}

/// The namespace Borax runs in.
fn runtime_namespace() -> Option<String> {
    let named = std::env::var("RUNTIME_NAMESPACE").ok().filter(|name| !name.is_empty());
    named.or_else(|| {
        std::fs::read_to_string("/var/run/secrets/kubernetes.io/serviceaccount/namespace").ok()
    })
}

/// A process that may have to be elected before it acts.
struct Candidate {
    /// Namespace and identity; absent when no election is asked for.
    election: Option<(String, String)>,
    times: LeaseTimes,
}

impl Candidate {
    fn new(flags: &Flags) -> anyhow::Result<Self> {
        let election = match flags.enable_leader_election {
            false => None,
            true => {
                let namespace = runtime_namespace()
                    .context("--enable-leader-election needs RUNTIME_NAMESPACE")?;
                let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "borax".to_owned());
                Some((namespace, format!("{host}_{}", std::process::id())))
            }
        };
        let times = LeaseTimes {
            lease: flags.leader_election_lease_duration,
            renew_deadline: flags.leader_election_renew_deadline,
            retry: flags.leader_election_retry_period,
        };
        Ok(Self { election, times })
    }

    /// Resolves when this process may act, with the lease to give back.
    async fn lead(&self, cluster: &Cluster) -> Option<Lease> {
        let (namespace, identity) = self.election.as_ref()?;
        tracing::info!(lease = LEASE, namespace, "waiting to become leader");
        let lease = Lease::acquire(cluster, namespace, LEASE, identity, self.times).await;
        tracing::info!(lease = LEASE, namespace, "became leader");
        Some(lease)
    }
}

/// Resolves when leadership was had and lost.
async fn lost(lease: Option<&mut Lease>) {
    match lease {
        Some(lease) => lease.lost().await,
        None => std::future::pending().await,
    }
}

async fn stop_signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return "SIGINT";
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = tokio::signal::ctrl_c() => "SIGINT",
    }
}

/// Ends everything, within [`STOP`].
async fn stop(
    shutdown: CancellationToken,
    controllers: Option<JoinHandle<Result<(), JoinError>>>,
    lease: Option<Lease>,
    servers: serve::Servers,
) -> anyhow::Result<()> {
    shutdown.cancel();
    let ended = async {
        if let Some(controllers) = controllers {
            // A panic of the loops themselves was logged; there is nothing left to save.
            let _ = controllers.await;
        }
        if let Some(lease) = lease
            && let Err(error) = lease.release().await
        {
            tracing::warn!(%error, "the lease could not be given back; it expires by itself");
        }
        servers.ended().await;
    };
    if tokio::time::timeout(STOP, ended).await.is_err() {
        tracing::warn!("something did not stop in time and was cut off");
    }
    Ok(())
}
