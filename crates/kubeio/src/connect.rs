//! How a cluster is reached: kubeconfigs, the account of a pod, and connections made from them.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::Config;
use kube::client::{ClientBuilder, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tower::ServiceBuilder;

use crate::Cluster;
use crate::cluster::{Observer, Parts};
use crate::dns::Resolver;
use crate::lanes::Lanes;

/// Where the way to the cluster is written.
#[derive(Clone, Debug)]
pub enum Source {
    /// `KUBECONFIG`, then `~/.kube/config`, then the account of the pod.
    Ambient,
    /// A file.
    Path(PathBuf),
    /// The content of a kubeconfig somebody else wrote (`spec.kubeConfig.secretRef`): what reaches for this machine's
    /// files, programs or environment is refused.
    Foreign(Vec<u8>),
}

/// How to connect.
#[derive(Clone)]
pub struct ConnectOptions {
    /// `--kube-api-qps`; zero or less does not limit.
    pub qps: f64,
    /// `--kube-api-burst`.
    pub burst: u32,
    /// `User-Agent`.
    pub user_agent: String,
    /// `--insecure-kubeconfig-exec`: foreign kubeconfigs may run programs.
    pub allow_exec: bool,
    /// `--insecure-kubeconfig-tls`: foreign kubeconfigs may skip the verification of the server.
    pub allow_insecure_tls: bool,
    /// Told of every request.
    pub observer: Option<Observer>,
    /// `--override-manager`.
    pub override_managers: Vec<String>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            qps: 50.0,
            burst: 300,
            user_agent: format!("borax/{}", env!("CARGO_PKG_VERSION")),
            allow_exec: false,
            allow_insecure_tls: false,
            observer: None,
            override_managers: Vec::new(),
        }
    }
}

/// Why a cluster can't be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig can't be read.
    #[error("the kubeconfig can't be read")]
    Kubeconfig(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A foreign kubeconfig asks for what only the operator may grant.
    #[error("the kubeconfig of {user:?} uses {field}, which is not allowed here; {way_out}")]
    Refused {
        /// The user or cluster entry.
        user: String,
        /// The field.
        field: &'static str,
        /// What to do.
        way_out: &'static str,
    },
    /// The connection can't be set up.
    #[error("the connection to the API server can't be set up")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Cluster {
    /// Prepares the connection; nothing is sent yet.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(source: Source, options: ConnectOptions) -> Result<Self, ConnectError> {
        // Programs that link several TLS stacks have to name one; the first call does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let boxed =
            |error: kube::config::KubeconfigError| ConnectError::Kubeconfig(Box::new(error));
        let mut config = match source {
            Source::Ambient => {
                Config::infer().await.map_err(|e| ConnectError::Kubeconfig(Box::new(e)))?
            }
            Source::Path(path) => {
                let kubeconfig = Kubeconfig::read_from(path).map_err(boxed)?;
                Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                    .await
                    .map_err(boxed)?
            }
            Source::Foreign(bytes) => {
                let text = String::from_utf8(bytes)
                    .map_err(|e| ConnectError::Kubeconfig(Box::new(e.utf8_error())))?;
                let kubeconfig = Kubeconfig::from_yaml(&text).map_err(boxed)?;
                refuse_foreign(&kubeconfig, &options)?;
                Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                    .await
                    .map_err(boxed)?
            }
        };
        config.default_retry = false;
        let user_agent = HeaderValue::from_str(&options.user_agent)
            .map_err(|e| ConnectError::Setup(Box::new(e)))?;
        config.headers.push((HeaderName::from_static("user-agent"), user_agent));
        let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
        let names = Resolver::default();
        let lanes = Lanes::new(Box::new(move || client(config.clone(), names.clone())))
            .map_err(|e| ConnectError::Setup(Box::new(e)))?;
        let parts = Parts {
            host,
            qps: options.qps,
            burst: options.burst,
            observer: options.observer,
            override_managers: options.override_managers,
        };
        Ok(Self::new(lanes, parts))
    }
}

/// One connection: HTTP/2 where the server speaks it; through a proxy kube's own stack, which resolves names by the
/// system.
fn client(config: Config, names: Resolver) -> Result<kube::Client, kube::Error> {
    if config.proxy_url.is_some() {
        return Ok(ClientBuilder::try_from(config)?.build());
    }
    let namespace = config.default_namespace.clone();
    let mut tcp = HttpConnector::new_with_resolver(names);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(config.connect_timeout);
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    let mut tls = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config()?)
        .https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = name.clone().try_into().map_err(|e| kube::Error::Service(Box::new(e)))?;
        tls = tls.with_server_name_resolver(hyper_rustls::FixedServerNameResolver::new(name));
    }
    let connector = tls.enable_http1().enable_http2().wrap_connector(tcp);
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_adaptive_window(true)
        // A server that is cut off without a word is noticed within 45 s.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(15))
        .build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(tower::BoxError::from)
        .service(http);
    Ok(kube::Client::new(service, namespace))
}

/// Refuses what reaches for this machine (fluxcd/pkg `runtime/client/kubeconfig.go`).
fn refuse_foreign(kubeconfig: &Kubeconfig, options: &ConnectOptions) -> Result<(), ConnectError> {
    const INLINE: &str = "put the content into the matching -data field";
    let refused = |user: &str, field, way_out| {
        Err(ConnectError::Refused { user: user.to_owned(), field, way_out })
    };
    for named in &kubeconfig.auth_infos {
        let Some(info) = &named.auth_info else { continue };
        if info.exec.is_some() && !options.allow_exec {
            return refused(
                &named.name,
                "exec",
                "use a token, or start with --insecure-kubeconfig-exec",
            );
        }
        if info.auth_provider.is_some() {
            return refused(&named.name, "auth-provider", "use a token");
        }
        if info.token_file.is_some() {
            return refused(&named.name, "tokenFile", "use token");
        }
        if info.client_certificate.is_some() {
            return refused(&named.name, "client-certificate", INLINE);
        }
        if info.client_key.is_some() {
            return refused(&named.name, "client-key", INLINE);
        }
    }
    for named in &kubeconfig.clusters {
        let Some(cluster) = &named.cluster else { continue };
        if cluster.certificate_authority.is_some() {
            return refused(&named.name, "certificate-authority", INLINE);
        }
        if cluster.insecure_skip_tls_verify == Some(true) && !options.allow_insecure_tls {
            return refused(
                &named.name,
                "insecure-skip-tls-verify",
                "give certificate-authority-data, or start with --insecure-kubeconfig-tls",
            );
        }
    }
    Ok(())
}

/// The kubeconfig in the data of a Secret: under `key`, or under `value`, then `value.yaml` when no key is given.
pub fn kubeconfig_from_secret<'a>(
    data: &'a std::collections::BTreeMap<String, Vec<u8>>,
    key: Option<&str>,
) -> Option<&'a [u8]> {
    match key {
        Some(key) => data.get(key),
        None => data.get("value").or_else(|| data.get("value.yaml")),
    }
    .map(Vec::as_slice)
}
