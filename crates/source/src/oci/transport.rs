//! Requests to one registry: TLS and proxy, the choice of scheme, tokens, redirects, and when to try again.
//!
//! Own code on reqwest rather than the crate oci-client: that one has no client certificates, drops the `Link` of tag
//! lists, follows redirects by its own rules and names the user agent once for all; none of it can be changed from
//! outside. The handshake and its safeguards are go-containerregistry's (`pkg/v1/remote/transport`): ask `/v2/`, answer
//! the challenge, send credentials to the registry and to its realm only. Refused: a realm or redirect that would turn
//! HTTPS into HTTP, a realm or foreign redirect at a private or link-local address.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, Response, StatusCode, redirect};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::sync::Mutex;
use url::{Host, Url};

use super::error::{Answer, RegistryError, TransportError};
use super::name::Repository;
use super::token::{Token, fetch_token};
use crate::auth::challenge::Challenge;
use crate::auth::docker_config::RegistryAuth;
use crate::git::{ClientCertificate, Proxy, tls};
use crate::proxy::through;

/// As many as Go follows.
const MAX_REDIRECTS: usize = 10;
/// What of an error answer is read.
const MAX_ERROR: usize = 64 << 10;
/// How long HTTPS has before HTTP is tried beside it, where that is allowed.
const HTTP_DELAY: Duration = Duration::from_millis(300);
/// The longest pause within a conversation; a registry that asks for a longer one is left alone altogether.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// How to reach a registry. `Default` is HTTPS with the system's certificates, and what the environment says of proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// PEM certificates to trust besides the system's (`ca.crt` of `spec.certSecretRef`); empty for none.
    pub ca: Vec<u8>,
    /// The client's own certificate (`tls.crt`, `tls.key`).
    pub client: Option<ClientCertificate>,
    /// `spec.proxySecretRef`.
    pub proxy: Option<Proxy>,
    /// `spec.insecure`: HTTP where HTTPS gives no answer, and without CA and client certificate any server certificate.
    pub insecure: bool,
}

/// When requests are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all.
    pub attempts: u32,
    /// The first pause; each later one is three times as long.
    pub pause: Duration,
}

impl Default for Retry {
    /// As go-containerregistry: three tries, pauses of 1 s and 3 s.
    fn default() -> Self {
        Self { attempts: 3, pause: Duration::from_secs(1) }
    }
}

/// Builds the client of a connection.
pub(super) fn client(connection: &Connection) -> Result<Client, TransportError> {
    let mut config = tls::client_config(&connection.ca, connection.client.as_ref())?;
    if connection.insecure && connection.ca.is_empty() && connection.client.is_none() {
        accept_any_certificate(&mut config);
    }
    let builder = Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(redirect::Policy::none())
        .connect_timeout(Duration::from_secs(30))
        .user_agent(concat!("borax/", env!("CARGO_PKG_VERSION")));
    through(builder, connection.proxy.as_ref())
        .and_then(reqwest::ClientBuilder::build)
        .map_err(TransportError::Client)
}

/// A repository that answered, and how to talk to it.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    repository: Repository,
    auth: RegistryAuth,
    retry: Retry,
    door: Door,
    token: Mutex<Option<Token>>,
}

/// How a registry wants to be talked to: the same for all its repositories.
#[derive(Clone, Debug)]
pub(super) struct Door {
    base: Url,
    /// Where tokens are had, if the registry asks for one.
    realm: Option<Arc<Realm>>,
}

#[derive(Debug)]
pub(super) struct Realm {
    pub(super) url: Url,
    pub(super) service: String,
    /// `http` for a registry that answered by plain HTTP: then the realm may be plain too.
    pub(super) is_plain: bool,
    /// Host and port of the registry, where the realm may be even at a private address.
    pub(super) registry: String,
}

impl Door {
    /// Asks a registry how it wants to be talked to.
    pub(super) async fn find(
        client: &Client,
        repository: &Repository,
        insecure: bool,
        retry: Retry,
    ) -> Result<Self, RegistryError> {
        let base = |scheme: &str| {
            let text = format!("{scheme}://{}/v2/", repository.registry());
            Url::parse(&text)
                .map_err(|error| RegistryError::Protocol { url: text, reason: error.to_string() })
        };
        let https = ping(client, base("https")?, retry);
        let (base, challenge) = if insecure || repository.is_local() {
            with_fallback(https, ping(client, base("http")?, retry)).await?
        } else {
            https.await?
        };
        let realm = match challenge {
            Some(challenge) if challenge.scheme == "bearer" => {
                let is_plain = base.scheme() == "http";
                Some(Arc::new(Realm::new(challenge, is_plain, repository.registry())?))
            }
            _ => None,
        };
        Ok(Self { base, realm })
    }
}

impl Session {
    /// Enters a registry by its door.
    pub(super) fn new(
        client: Client,
        repository: Repository,
        auth: RegistryAuth,
        retry: Retry,
        door: Door,
    ) -> Self {
        Self { client, repository, auth, retry, door, token: Mutex::default() }
    }

    /// The URL of something in the repository: `manifests/<reference>`.
    pub(super) fn url(&self, what: &str) -> Result<Url, RegistryError> {
        let path = format!("{}/{what}", self.repository.path());
        let invalid = |error: url::ParseError| RegistryError::Protocol {
            url: path.clone(),
            reason: error.to_string(),
        };
        let url = self.door.base.join(&path).map_err(invalid)?;
        // A tag such as `../../x` must not ask for something else.
        if url.path() != format!("/v2/{path}") {
            return Err(RegistryError::Protocol {
                url: path,
                reason: "not a name, tag or digest".to_owned(),
            });
        }
        Ok(url)
    }

    /// Whether a URL is of this registry, by the scheme it was found with.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.door.base.origin()
    }

    /// Sends a request, with what the registry asks for, and again where that may help. Answers other than 200 are errors.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        accept: &str,
    ) -> Result<Response, RegistryError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (error, pause) = match self.follow(&method, url.clone(), accept).await {
                Ok(response) if response.status() == StatusCode::OK => return Ok(response),
                Ok(response) => {
                    let is_temporary = is_temporary(response.status());
                    let error = status_error(&method, response).await;
                    let pause = error.retry_after();
                    if !is_temporary || pause > Some(MAX_PAUSE) {
                        return Err(error);
                    }
                    (error, pause)
                }
                Err(error) if is_broken(&error) => (error, None),
                Err(error) => return Err(error),
            };
            if attempt >= self.retry.attempts {
                return Err(error);
            }
            self.retry.wait(attempt, pause).await;
        }
    }

    /// Follows redirects; credentials go to the registry itself only.
    async fn follow(
        &self,
        method: &Method,
        url: Url,
        accept: &str,
    ) -> Result<Response, RegistryError> {
        let mut target = url;
        for _ in 0..MAX_REDIRECTS {
            let response = if self.is_own(&target) {
                self.authorized(method, &target, accept).await?
            } else {
                request(&self.client, method, &target, Some(accept), None).await?
            };
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let next = location(&target, &response)?;
            let refuse =
                |reason| RegistryError::Redirect { from: shown(&target), to: shown(&next), reason };
            if target.scheme() == "https" && next.scheme() != "https" {
                return Err(refuse("it leads from https to http"));
            }
            if next.host() != target.host() && is_private(&next) {
                return Err(refuse("it leads to a private or link-local address"));
            }
            target = next;
        }
        Err(RegistryError::Redirect {
            from: shown(&self.door.base),
            to: shown(&target),
            reason: "too many redirects",
        })
    }

    /// A request to the registry with its credentials; a token that is refused is renewed once.
    async fn authorized(
        &self,
        method: &Method,
        url: &Url,
        accept: &str,
    ) -> Result<Response, RegistryError> {
        let Some(realm) = &self.door.realm else {
            return request(
                &self.client,
                method,
                url,
                Some(accept),
                plain_authorization(&self.auth),
            )
            .await;
        };
        let scope = format!("repository:{}:pull", self.repository.path());
        let token = self.token(realm, std::slice::from_ref(&scope), None).await?;
        let response = request(&self.client, method, url, Some(accept), bearer(&token)).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        // Expired early, or another scope is wanted: that goes first, as some registries only look at one.
        let wanted = Challenge::of(response.headers())
            .and_then(|mut challenge| challenge.parameters.remove("scope"));
        let scopes: Vec<String> =
            wanted.filter(|wanted| *wanted != scope).into_iter().chain([scope]).collect();
        let token = self.token(realm, &scopes, Some(&token)).await?;
        request(&self.client, method, url, Some(accept), bearer(&token)).await
    }

    /// The current token, or a new one: where there is none, it is old, or it is the `refused` one.
    async fn token(
        &self,
        realm: &Realm,
        scopes: &[String],
        refused: Option<&str>,
    ) -> Result<String, RegistryError> {
        if let RegistryAuth::Bearer(token) = &self.auth {
            return Ok(token.clone());
        }
        // Held while fetching, so that concurrent requests wait for one token.
        let mut place = self.token.lock().await;
        if let Some(token) = &*place
            && token.expires > Instant::now()
            && Some(&*token.value) != refused
        {
            return Ok(token.value.clone());
        }
        let token = fetch_token(&self.client, realm, &self.auth, scopes).await?;
        let value = token.value.clone();
        *place = Some(token);
        Ok(value)
    }
}

impl Realm {
    fn new(challenge: Challenge, is_plain: bool, registry: &str) -> Result<Self, RegistryError> {
        let text = challenge.parameters.get("realm").cloned().unwrap_or_default();
        let refuse = |reason| RegistryError::Realm { realm: text.clone(), reason };
        if text.is_empty() {
            return Err(refuse("it is missing"));
        }
        let url = Url::parse(&text).map_err(|_| refuse("it is not a URL"))?;
        let service = challenge.parameters.get("service").cloned().unwrap_or_default();
        let realm = Self { url, service, is_plain, registry: registry.to_owned() };
        match realm.judge(&realm.url) {
            Some(reason) => Err(refuse(reason)),
            None => Ok(realm),
        }
    }

    /// Why credentials may not be shown to `url`, if they may not.
    pub(super) fn judge(&self, url: &Url) -> Option<&'static str> {
        match url.scheme() {
            "https" => {}
            "http" if self.is_plain => {}
            "http" => return Some("http is not allowed for a registry that is reached by https"),
            _ => return Some("it must be https (or http for insecure registries)"),
        }
        let is_registry = authority(url) == self.registry;
        (!is_registry && is_private(url)).then_some("its host is a private or link-local address")
    }
}

impl Retry {
    async fn wait(&self, attempt: u32, asked: Option<Duration>) {
        let tripled = self.pause.saturating_mul(3u32.saturating_pow(attempt - 1));
        tokio::time::sleep(asked.unwrap_or(tripled)).await;
    }
}

/// Asks a registry's root for its challenge.
async fn ping(
    client: &Client,
    url: Url,
    retry: Retry,
) -> Result<(Url, Option<Challenge>), RegistryError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (error, pause) = match request(client, &Method::GET, &url, None, None).await {
            Ok(response) => match response.status() {
                StatusCode::OK => return Ok((url, None)),
                StatusCode::UNAUTHORIZED => return Ok((url, Challenge::of(response.headers()))),
                status => {
                    let error = status_error(&Method::GET, response).await;
                    let pause = error.retry_after();
                    if !is_temporary(status) || pause > Some(MAX_PAUSE) {
                        return Err(error);
                    }
                    (error, pause)
                }
            },
            Err(error) if is_broken(&error) => (error, None),
            Err(error) => return Err(error),
        };
        if attempt >= retry.attempts {
            return Err(error);
        }
        retry.wait(attempt, pause).await;
    }
}

/// The first that succeeds, HTTPS having a start.
async fn with_fallback<T>(
    https: impl Future<Output = Result<T, RegistryError>>,
    http: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, RegistryError> {
    let chain = |error: RegistryError| {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            text += &format!(": {error}");
            source = error.source();
        }
        text
    };
    let neither = |https, http| RegistryError::Neither { https: chain(https), http: chain(http) };
    let (mut https, mut http) = (std::pin::pin!(https), std::pin::pin!(http));
    let failed = match tokio::time::timeout(HTTP_DELAY, &mut https).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(error)) => error,
        Err(_) => tokio::select! {
            result = &mut https => match result {
                Ok(done) => return Ok(done),
                Err(error) => error,
            },
            result = &mut http => return match result {
                Ok(done) => Ok(done),
                Err(error) => https.await.map_err(|https| neither(https, error)),
            },
        },
    };
    http.await.map_err(|error| neither(failed, error))
}

pub(super) async fn request(
    client: &Client,
    method: &Method,
    url: &Url,
    accept: Option<&str>,
    authorization: Option<HeaderValue>,
) -> Result<Response, RegistryError> {
    let mut request = client.request(method.clone(), url.clone());
    if let Some(accept) = accept {
        request = request.header(ACCEPT, accept);
    }
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.send().await.map_err(|error| network(method, url, error))
}

pub(super) fn network(method: &Method, url: &Url, error: reqwest::Error) -> RegistryError {
    let method = match *method {
        Method::HEAD => "Head",
        Method::POST => "Post",
        _ => "Get",
    };
    RegistryError::Network { method, url: shown(url), source: error.without_url() }
}

/// Turns an error answer into an error.
pub(super) async fn status_error(method: &Method, mut response: Response) -> RegistryError {
    let (status, url) = (response.status().as_u16(), shown(response.url()));
    let pause = retry_after(response.headers());
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_ERROR - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_ERROR {
            break;
        }
    }
    let method = match *method {
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "GET",
    };
    RegistryError::Status {
        method,
        url,
        answer: Answer::new(status, pause, method == "HEAD", &body),
    }
}

/// A URL without credentials and query.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Both can only fail for URLs that have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

pub(super) fn location(from: &Url, response: &Response) -> Result<Url, RegistryError> {
    let text =
        response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refuse = |reason| RegistryError::Redirect { from: shown(from), to: String::new(), reason };
    let url = from.join(text).map_err(|_| refuse("its address is not a URL"))?;
    if text.is_empty() || !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("it has no http address"));
    }
    Ok(url)
}

pub(super) fn plain_authorization(auth: &RegistryAuth) -> Option<HeaderValue> {
    use base64::Engine as _;
    match auth {
        RegistryAuth::Basic { username, password } => {
            let pair =
                base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
            secret_header(&format!("Basic {pair}"))
        }
        RegistryAuth::Bearer(token) => bearer(token),
        RegistryAuth::Anonymous | RegistryAuth::Identity(_) => None,
    }
}

fn bearer(token: &str) -> Option<HeaderValue> {
    secret_header(&format!("Bearer {token}"))
}

/// A header that is not logged; none where a token has characters that no header may hold, which the server then refuses.
fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(jiff::Timestamp::now())).unwrap_or_default())
}

fn is_temporary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 499 | 500 | 502 | 503 | 504 | 522)
}

/// Whether a connection that stood broke off. One that can't be made is not tried again at once.
fn is_broken(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Network { source, .. } if !source.is_connect() && !source.is_timeout() && !source.is_builder())
}

/// Whether the host is written as a loopback, private, link-local or unspecified address.
fn is_private(url: &Url) -> bool {
    let v4 = |ip: std::net::Ipv4Addr| {
        ip.is_loopback()
            || ip.is_private()
            || ip.is_link_local()
            || ip.is_unspecified()
            || ip.is_multicast()
    };
    match url.host() {
        Some(Host::Ipv4(ip)) => v4(ip),
        Some(Host::Ipv6(ip)) => {
            ip.to_ipv4_mapped().is_some_and(v4)
                || ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.is_multicast()
        }
        _ => false,
    }
}

/// Host and port as they are written in a registry's name.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Flux's one exception: `insecure` without certificates takes any server certificate.
fn accept_any_certificate(config: &mut ClientConfig) {
    let provider = rustls::crypto::ring::default_provider();
    config.dangerous().set_certificate_verifier(Arc::new(AnyCertificate(algorithms(&provider))));
}

fn algorithms(provider: &CryptoProvider) -> WebPkiSupportedAlgorithms {
    provider.signature_verification_algorithms
}

#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
