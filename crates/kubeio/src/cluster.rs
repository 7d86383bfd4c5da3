//! One connected API server, seen with the rights of one user.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use borax_apply::Takeover;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

use crate::discovery::Discovery;
use crate::lanes::{Held, Lanes};
use crate::limiter::Limiter;
use crate::live::Live;
use crate::request::{RequestError, api_error};

/// Told of every answered request: status code (0 without an answer), host, method. For `rest_client_requests_total`.
pub type Observer = Arc<dyn Fn(u16, &str, &Method) + Send + Sync>;

/// How often a request is sent again because the server asked to come back later.
const MAX_RETRIES: u32 = 5;
/// How long the server's version is taken for known.
const VERSION_AGE: Duration = Duration::from_secs(30);
/// How long a request that is no watch may take; the server's own limit is a minute.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(65);

struct Inner {
    lanes: Lanes,
    host: String,
    limiter: Limiter,
    observer: Option<Observer>,
    sent: AtomicU64,
    watches: AtomicU64,
    discovery: Discovery,
    live: OnceLock<Live>,
    takeover: Takeover,
    releases: OnceLock<Live>,
    release_takeover: Takeover,
    version: tokio::sync::Mutex<Option<(tokio::time::Instant, String)>>,
}

/// A connected API server. Cheap to clone; clones and [`Self::as_user`] views share connections and caches.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
    user: Option<Arc<str>>,
}

/// What a cluster is made of besides its transport.
pub(crate) struct Parts {
    pub(crate) host: String,
    pub(crate) qps: f64,
    pub(crate) burst: u32,
    pub(crate) observer: Option<Observer>,
    pub(crate) override_managers: Vec<String>,
}

impl Cluster {
    pub(crate) fn new(lanes: Lanes, parts: Parts) -> Self {
        let takeover = Takeover::new(
            "kustomize.toolkit.fluxcd.io",
            "kustomize-controller",
            &parts.override_managers,
        );
        let release_takeover = Takeover::of_releases(
            "helm.toolkit.fluxcd.io",
            "helm-controller",
            &parts.override_managers,
        );
        let inner = Inner {
            lanes,
            host: parts.host,
            limiter: Limiter::new(parts.qps, parts.burst),
            observer: parts.observer,
            sent: AtomicU64::new(0),
            watches: AtomicU64::new(0),
            discovery: Discovery::default(),
            live: OnceLock::new(),
            takeover,
            releases: OnceLock::new(),
            release_takeover,
            version: tokio::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner), user: None }
    }

    /// Around an existing client, without a limit: for tests, and for programs that bring their own.
    pub fn from_client(client: kube::Client) -> Self {
        let parts = Parts {
            host: String::new(),
            qps: 0.0,
            burst: 1,
            observer: None,
            override_managers: Vec::new(),
        };
        let lanes = Lanes::new(Box::new(move || Ok(client.clone())));
        Self::new(lanes.expect("cloning a client does not fail"), parts)
    }

    /// The same API server with the rights of `user` (`system:serviceaccount:<namespace>:<name>`), by impersonation.
    #[must_use]
    pub fn as_user(&self, user: &str) -> Self {
        Self { inner: Arc::clone(&self.inner), user: Some(user.into()) }
    }

    /// The same API server with our own rights.
    #[must_use]
    pub fn as_self(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), user: None }
    }

    /// Whom requests are made as; `None` is ourselves.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether this user may be told, from what we watch with our own rights, of objects that a Kustomization in
    /// `namespace` applied: as a service account only of those in its own namespace. Whoever may make a Kustomization
    /// there may let it act as any account of it, so that is where a tenant ends.
    pub(crate) fn may_know_of(&self, namespace: &str) -> bool {
        self.user().is_none_or(|user| {
            let account = user.strip_prefix("system:serviceaccount:");
            account
                .and_then(|account| account.split_once(':'))
                .is_some_and(|(own, _)| own == namespace)
        })
    }

    /// A client for typed access (`kube::Api`), whose requests are limited, counted and impersonated like all others.
    /// Each call makes one, with a task of its own: keep it where it is needed often.
    pub fn client(&self) -> kube::Client {
        let cluster = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move { cluster.send(request).await }
        });
        kube::Client::new(service, self.inner.lanes.requests().default_namespace())
    }

    /// What the server serves.
    pub fn discovery(&self) -> &Discovery {
        &self.inner.discovery
    }

    /// What lives in the cluster of what Kustomizations manage. Starts no watch by itself.
    pub fn live(&self) -> &Live {
        self.inner.live.get_or_init(|| Live::new(&self.as_self(), self.inner.takeover.clone()))
    }

    /// What lives in the cluster of what HelmReleases manage. Starts no watch by itself.
    pub fn live_releases(&self) -> &Live {
        let takeover = &self.inner.release_takeover;
        self.inner.releases.get_or_init(|| Live::new(&self.as_self(), takeover.clone()))
    }

    /// The server's version. It is asked again after a while: servers are upgraded under running controllers.
    ///
    /// # Errors
    /// The server refused, or could not be reached.
    pub async fn server_version(&self) -> Result<String, RequestError> {
        let mut known = self.inner.version.lock().await;
        if let Some((at, version)) = &*known
            && at.elapsed() < VERSION_AGE
        {
            return Ok(version.clone());
        }
        let answer = self.as_self().get("/version").await?;
        let version =
            answer.get("gitVersion").and_then(Value::as_str).unwrap_or_default().to_owned();
        *known = Some((tokio::time::Instant::now(), version.clone()));
        Ok(version)
    }

    /// How many requests were sent, but for watches.
    pub fn requests(&self) -> u64 {
        self.inner.sent.load(Ordering::Relaxed)
    }

    /// How often a watch was opened.
    pub fn watches(&self) -> u64 {
        self.inner.watches.load(Ordering::Relaxed)
    }

    /// Whether two views are of the same connection.
    pub fn is_same_server(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(crate) fn downgrade(&self) -> WeakCluster {
        WeakCluster(Arc::downgrade(&self.inner))
    }

    /// Sends one request, in its turn, as the user.
    pub(crate) async fn send(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Held>, kube::Error> {
        if let Some(user) = &self.user {
            let value =
                HeaderValue::from_str(user).map_err(|e| kube::Error::Service(Box::new(e)))?;
            request.headers_mut().insert("impersonate-user", value);
        }
        self.inner.limiter.turn().await;
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let counter = if is_watch { &self.inner.watches } else { &self.inner.sent };
        counter.fetch_add(1, Ordering::Relaxed);
        let method = request.method().clone();
        let result = if is_watch {
            let (client, token) = self.inner.lanes.for_watch()?;
            client.send(request).await.map(|answer| answer.map(|body| Held::new(body, Some(token))))
        } else {
            let answer = self.inner.lanes.requests().send(request).await;
            answer.map(|answer| answer.map(|body| Held::new(body, None)))
        };
        if let Some(observer) = &self.inner.observer {
            observer(
                result.as_ref().map_or(0, |response| response.status().as_u16()),
                &self.inner.host,
                &method,
            );
        }
        if let Ok(response) = &result
            && response.headers().contains_key("x-kubernetes-pf-flowschema-uid")
        {
            self.inner.limiter.switch_off();
        }
        result
    }

    /// Opens a request whose answer is read as a stream.
    pub(crate) async fn open(&self, path: &str) -> Result<Response<Held>, RequestError> {
        let method = Method::GET;
        let request =
            build(&method, path, None).map_err(|cause| transport(&method, path, cause))?;
        let response = self.send(request).await.map_err(|e| transport(&method, path, chain(&e)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = retry_after(&response);
        let body = collect(response).await.map_err(|cause| transport(&method, path, cause))?;
        Err(api_error(status.as_u16(), retry_after, &body).into())
    }

    /// Sends a request and reads the JSON it is answered with. Comes back when the server says so (429 and 5xx with
    /// `Retry-After`), whatever the method: by client-go's rule such a request was not taken up
    /// (`rest/with_retry.go`).
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Value, RequestError> {
        let mut attempt = 0;
        loop {
            let result =
                tokio::time::timeout(REQUEST_TIMEOUT, self.call_once(&method, path, body.clone()))
                    .await;
            let error = match result {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                Err(_) => transport(&method, path, "no answer within 65 s".to_owned()),
            };
            let wait = match error.api() {
                Some(api) if (api.code == 429 || api.code >= 500) && attempt < MAX_RETRIES => {
                    api.retry_after
                }
                _ => None,
            };
            let Some(seconds) = wait else { return Err(error) };
            attempt += 1;
            tokio::time::sleep(Duration::from_secs(seconds.min(10))).await;
        }
    }

    async fn call_once(
        &self,
        method: &Method,
        path: &str,
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Value, RequestError> {
        let request = build(method, path, body).map_err(|cause| transport(method, path, cause))?;
        let response = self.send(request).await.map_err(|e| transport(method, path, chain(&e)))?;
        let status = response.status();
        let retry_after = retry_after(&response);
        let bytes = collect(response).await.map_err(|cause| transport(method, path, cause))?;
        if !status.is_success() {
            return Err(api_error(status.as_u16(), retry_after, &bytes).into());
        }
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|e| RequestError::Decode {
            method: method.to_string(),
            path: without_query(path),
            cause: e.to_string(),
        })
    }

    /// Reads an object or a list.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, RequestError> {
        self.call(Method::GET, path, None).await
    }

    /// Sends a patch of the given content type.
    pub(crate) async fn patch(
        &self,
        path: &str,
        content_type: &'static str,
        body: &Value,
    ) -> Result<Value, RequestError> {
        self.call(Method::PATCH, path, Some((content_type, body.to_string().into_bytes()))).await
    }
}

/// A cluster that does not keep its connections open.
#[derive(Clone)]
pub(crate) struct WeakCluster(std::sync::Weak<Inner>);

impl WeakCluster {
    /// With our own rights; `None` when the last strong reference is gone.
    pub(crate) fn upgrade(&self) -> Option<Cluster> {
        Some(Cluster { inner: self.0.upgrade()?, user: None })
    }
}

fn without_query(path: &str) -> String {
    path.split('?').next().unwrap_or_default().to_owned()
}

fn transport(method: &Method, path: &str, cause: String) -> RequestError {
    RequestError::Transport { method: method.to_string(), path: without_query(path), cause }
}

/// An error and its sources on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = cause.source();
    }
    text
}

fn build(
    method: &Method,
    path: &str,
    body: Option<(&'static str, Vec<u8>)>,
) -> Result<Request<Body>, String> {
    let mut request = Request::builder().method(method).uri(path).header("accept", accept(path));
    let body = match body {
        Some((content_type, bytes)) => {
            request = request.header("content-type", content_type);
            Body::from(bytes)
        }
        None => Body::empty(),
    };
    request.body(body).map_err(|e| e.to_string())
}

/// The two discovery paths answer in one piece when asked for it.
fn accept(path: &str) -> &'static str {
    match path {
        "/api" | "/apis" => {
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
             application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
        }
        _ => "application/json",
    }
}

fn retry_after(response: &Response<Held>) -> Option<u64> {
    response.headers().get("retry-after")?.to_str().ok()?.trim().parse().ok()
}

async fn collect(response: Response<Held>) -> Result<bytes::Bytes, String> {
    response
        .into_body()
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .map_err(|e| chain(&e))
}
