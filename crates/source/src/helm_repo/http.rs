//! Requests to a chart repository: whom to trust, who to be, where a login may go, how much is taken.
//!
//! Source: Helm `pkg/getter/httpgetter.go` (the login goes to the repository's own scheme, host and port, and elsewhere
//! only when told so), Go's `net/http` (ten requests at most; a login follows to the same host and below it). Unlike there a
//! login never follows from HTTPS to HTTP.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use borax_artifact::digest::{Algorithm, Digest, Hasher};
use reqwest::header::{ETAG, IF_NONE_MATCH, LOCATION};
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::io::AsyncWriteExt;
use url::Url;

use super::address::{self, AddressError};
use crate::git::{ClientCertificate, TlsError, tls};
use crate::proxy::through;

/// The most requests for one address: Go gives up at the redirect that would lead to an eleventh.
const MAX_REQUESTS: usize = 10;
/// The most clients that are kept.
const MAX_CLIENTS: usize = 128;

/// How to reach a chart repository.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// The repository's address.
    pub url: String,
    /// User name and password.
    pub login: Option<(String, String)>,
    /// Whether the login goes to other hosts, too.
    pub pass_credentials: bool,
    /// PEM certificates to trust besides the system's; empty for none.
    pub ca: Vec<u8>,
    /// The client's own certificate.
    pub client: Option<ClientCertificate>,
    /// How long one download may take. Zero for as long as it takes.
    pub timeout: Duration,
}

/// Why nothing came. Go's and Helm's words where they have some; without logins and queries.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// An address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The address is of another kind than HTTP.
    #[error("scheme \"{0}\" not supported")]
    Scheme(String),
    /// The certificates can't be used.
    #[error("failed to construct Helm client's TLS config: {0}")]
    Tls(String),
    /// No answer, or it broke off.
    #[error("Get \"{url}\": {reason}")]
    Network {
        /// What was asked for.
        url: String,
        /// What the connection said.
        reason: String,
    },
    /// Another answer than the content.
    #[error("failed to fetch {url} : {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// `404 Not Found`
        status: String,
    },
    /// There is more than allowed.
    #[error("{what} of {limit} bytes")]
    TooBig {
        /// What passed its limit.
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// The disk failed.
    #[error("failed to write {url} to the disk: {reason}")]
    Disk {
        /// What was asked for.
        url: String,
        /// What the system said.
        reason: String,
    },
}

impl From<TlsError> for FetchError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error.to_string())
    }
}

/// What came.
#[derive(Debug)]
pub struct Fetched {
    /// The content, in a file without a name.
    pub file: File,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The server's name for this content.
    pub etag: Option<String>,
}

/// A bound on what is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// In bytes.
    pub(super) bytes: u64,
    /// The words for what passes it.
    pub(super) what: &'static str,
}

/// The clients, by their certificates.
#[derive(Default)]
pub(super) struct Clients(Mutex<BTreeMap<Digest, Client>>);

impl Clients {
    fn of(&self, connection: &Connection) -> Result<Client, FetchError> {
        let key = fingerprint(connection);
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = kept().get(&key) {
            return Ok(client.clone());
        }
        let config = tls::client_config(&connection.ca, connection.client.as_ref())?;
        let builder = Client::builder()
            .tls_backend_preconfigured(config)
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(Duration::from_secs(30))
            .user_agent(concat!("borax/", env!("CARGO_PKG_VERSION")));
        let client = through(builder, None)
            .and_then(reqwest::ClientBuilder::build)
            .map_err(|error| FetchError::Tls(error.to_string()))?;
        let mut kept = kept();
        if kept.len() >= MAX_CLIENTS {
            kept.clear();
        }
        kept.insert(key, client.clone());
        Ok(client)
    }

    /// Downloads `url`, no more than `limit`, into `spool`; `None` where the content is still the one named `etag`.
    pub(super) async fn get(
        &self,
        connection: &Connection,
        url: Url,
        etag: Option<&str>,
        limit: Limit,
        spool: File,
    ) -> Result<Option<Fetched>, FetchError> {
        let work = self.get_now(connection, &url, etag, limit, spool);
        if connection.timeout.is_zero() {
            return work.await;
        }
        tokio::time::timeout(connection.timeout, work).await.unwrap_or_else(|_| {
            let seconds = connection.timeout.as_secs_f64();
            let reason = format!("it took longer than the timeout of {seconds} s");
            Err(FetchError::Network { url: address::shown(url.as_str()), reason })
        })
    }

    async fn get_now(
        &self,
        connection: &Connection,
        url: &Url,
        etag: Option<&str>,
        limit: Limit,
        spool: File,
    ) -> Result<Option<Fetched>, FetchError> {
        let client = self.of(connection)?;
        let first = address::shown(url.as_str());
        let mut response = follow(&client, connection, url, etag).await?;
        if etag.is_some() && response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { url: first, status: status(response.status()) });
        }
        let too_big = || FetchError::TooBig { what: limit.what, limit: limit.bytes };
        if response.content_length().is_some_and(|length| length > limit.bytes) {
            return Err(too_big());
        }
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.map(str::to_owned);
        let disk = |error: std::io::Error| FetchError::Disk {
            url: first.clone(),
            reason: error.to_string(),
        };
        let mut file =
            tokio::io::BufWriter::with_capacity(256 << 10, tokio::fs::File::from_std(spool));
        let (mut hasher, mut size): (Hasher, u64) = (Algorithm::Sha256.hasher(), 0);
        while let Some(chunk) = response.chunk().await.map_err(|error| network(&first, error))? {
            size += chunk.len() as u64;
            if size > limit.bytes {
                return Err(too_big());
            }
            hasher.update(&chunk);
            file.write_all(&chunk).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)?;
        let file = file.into_inner().into_std().await;
        Ok(Some(Fetched { file, digest: hasher.finish(), size, etag }))
    }
}

async fn follow(
    client: &Client,
    connection: &Connection,
    url: &Url,
    etag: Option<&str>,
) -> Result<Response, FetchError> {
    let mut target = url.clone();
    let logs_in = connection.pass_credentials || is_own(&connection.url, url);
    let login = connection.login.as_ref().filter(|_| logs_in);
    let login = login.filter(|(user, password)| !user.is_empty() && !password.is_empty());
    for _ in 0..MAX_REQUESTS {
        if !matches!(target.scheme(), "http" | "https") {
            return Err(FetchError::Scheme(target.scheme().to_owned()));
        }
        let mut request = client.get(target.clone());
        if let Some((user, password)) = login.filter(|_| may_follow(url, &target)) {
            request = request.basic_auth(user, Some(password));
        }
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let shown = address::shown(target.as_str());
        let response = request.send().await.map_err(|error| network(&shown, error))?;
        let status = response.status();
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(response);
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(location) = location else { return Ok(response) };
        target = target.join(location).map_err(|error| FetchError::Network {
            url: shown,
            reason: format!("failed to parse Location header: {error}"),
        })?;
    }
    Err(FetchError::Network {
        url: address::shown(target.as_str()),
        reason: format!("stopped after {MAX_REQUESTS} redirects"),
    })
}

/// Whether an address is of the repository's own scheme, host and port.
fn is_own(repository: &str, url: &Url) -> bool {
    Url::parse(repository).is_ok_and(|repository| repository.origin() == url.origin())
}

/// Whether what was for `first` may go on to `target`: the same host or one below it, and not in the open.
fn may_follow(first: &Url, target: &Url) -> bool {
    let (Some(from), Some(to)) = (first.host_str(), target.host_str()) else { return false };
    let is_below = || to.strip_suffix(from).is_some_and(|rest| rest.ends_with('.'));
    (from == to || is_below()) && (first.scheme() == target.scheme() || target.scheme() == "https")
}

fn network(url: &str, error: reqwest::Error) -> FetchError {
    let reason = borax_artifact::error::chain(&error.without_url());
    FetchError::Network { url: url.to_owned(), reason }
}

fn status(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

fn fingerprint(connection: &Connection) -> Digest {
    let mut hasher = Algorithm::Sha256.hasher();
    let client = connection.client.as_ref();
    let parts = [
        Some(&connection.ca),
        client.map(|client| &client.certificate),
        client.map(|client| &client.key),
    ];
    for part in parts {
        hasher.update(&part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
        hasher.update(part.map_or(&[], Vec::as_slice));
    }
    hasher.finish()
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("url", &address::shown(&self.url))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_follows_only_where_go_lets_it_and_never_into_the_open() {
        let follows =
            |from: &str, to: &str| may_follow(&Url::parse(from).unwrap(), &Url::parse(to).unwrap());
        assert!(follows("https://a.io/x", "https://a.io/y"));
        assert!(follows("http://a.io/x", "https://a.io/y"));
        assert!(follows("https://a.io/x", "https://cdn.a.io/y"));
        assert!(!follows("https://a.io/x", "http://a.io/y"));
        assert!(!follows("https://a.io/x", "https://aa.io/y"));
        assert!(!follows("https://a.io/x", "https://b.io/y"));
        assert!(is_own("https://a.io/charts", &Url::parse("https://a.io:443/x.tgz").unwrap()));
        assert!(!is_own("https://a.io/charts", &Url::parse("https://a.io:444/x.tgz").unwrap()));
        assert!(!is_own("https://a.io/charts", &Url::parse("http://a.io/x.tgz").unwrap()));
    }
}
