//! Artifacts that someone else made: downloaded over HTTP, checked against their digest, unpacked into the same cache.
//!
//! Source: fluxcd/pkg `http/fetch/archive_fetcher.go`: connection errors, 429 and 5xx are tried again with growing pauses
//! (`Retry-After` is honoured), 404 is final, the digest is mandatory. Nothing is downloaded when the digest is at hand.

use std::fs::File;
use std::io::Seek;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url, header};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::digest::{Digest, DigestError};
use crate::error::ArtifactError;
use crate::once::Once;
use crate::path::ArtifactPath;
use crate::storage::Storage;
use crate::unpacked::UnpackedTree;

/// How downloads are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOptions {
    /// `--http-retry`: tries after the first.
    pub retries: u32,
    /// The first pause; each later one is twice as long.
    pub min_pause: Duration,
    /// The longest pause.
    pub max_pause: Duration,
    /// How long the server may say nothing. Flux waits for ever.
    pub stall_timeout: Duration,
    /// Largest archive in bytes.
    pub max_bytes: u64,
    /// Takes the place of the URL's host and port: for a controller outside the cluster whose services it can't name.
    pub host: Option<String>,
}

impl Default for FetchOptions {
    /// Flux's: 9 retries, 5 to 30 s; and 60 s of silence, 1 GiB.
    fn default() -> Self {
        Self {
            retries: 9,
            min_pause: Duration::from_secs(5),
            max_pause: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            max_bytes: 1 << 30,
            host: None,
        }
    }
}

/// Why an artifact could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server does not have it (any more).
    #[error("file not found: {url}")]
    NotFound {
        /// The artifact's URL.
        url: String,
    },
    /// The URL is none.
    #[error("invalid artifact URL {url:?}")]
    Url {
        /// The artifact's URL.
        url: String,
    },
    /// The digest is missing or malformed.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// No answer, after all tries.
    #[error("failed to download archive: GET {url} giving up after {attempts} attempt(s)")]
    Connect {
        /// The artifact's URL.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// The last error.
        #[source]
        source: reqwest::Error,
    },
    /// The server stopped sending, in all tries.
    #[error("failed to download archive: GET {url} stalled, giving up after {attempts} attempt(s)")]
    Stalled {
        /// The artifact's URL.
        url: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// An answer that is not 200, after all tries where trying again makes sense.
    #[error("failed to download archive from {url} (status: {status})")]
    Status {
        /// The artifact's URL.
        url: String,
        /// The answer.
        status: StatusCode,
    },
    /// The archive is larger than allowed.
    #[error("artifact {url} is greater than the max download size of {max_bytes} bytes")]
    TooBig {
        /// The artifact's URL.
        url: String,
        /// The limit.
        max_bytes: u64,
    },
    /// The download could not be kept or unpacked.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The download could not be written.
    #[error("can't write the download of {url} to the artifact storage")]
    Write {
        /// The artifact's URL.
        url: String,
        /// What the disk said.
        #[source]
        source: std::io::Error,
    },
    /// The unpacking was stopped by the runtime's end.
    #[error("unpacking was interrupted")]
    Interrupted,
}

/// Opens artifacts, wherever they are.
#[derive(Debug)]
pub struct Fetcher {
    storage: Arc<Storage>,
    client: Client,
    options: FetchOptions,
    running: Once<Digest, Result<Arc<UnpackedTree>, Arc<FetchError>>>,
}

impl Fetcher {
    /// Unpacks into `storage`'s cache, downloads with `client`.
    pub fn new(storage: Arc<Storage>, client: Client, options: FetchOptions) -> Self {
        Self { storage, client, options, running: Once::new() }
    }

    /// The content of the artifact with this `url` and `digest`: from the storage where it is one of its own, else
    /// downloaded. Concurrent callers share one download.
    pub async fn open(
        &self,
        url: &str,
        digest: &str,
    ) -> Result<Arc<UnpackedTree>, Arc<FetchError>> {
        // As Flux: a digest without an algorithm is SHA-256.
        let text =
            if digest.contains(':') { digest.to_owned() } else { format!("sha256:{digest}") };
        let digest: Digest = text.parse().map_err(|error: DigestError| Arc::new(error.into()))?;
        if let Some(tree) = self.storage.cached(&digest) {
            return Ok(tree);
        }
        self.running
            .run(digest.clone(), || async { self.run(url, &digest).await.map_err(Arc::new) })
            .await
    }

    async fn run(&self, url: &str, digest: &Digest) -> Result<Arc<UnpackedTree>, FetchError> {
        let (storage, digest) = (Arc::clone(&self.storage), digest.clone());
        if let Some(path) = self.own_path(url) {
            return blocking(move || Ok(storage.open_at(&path, &digest)?)).await;
        }
        let mut target = Url::parse(url).map_err(|_| FetchError::Url { url: url.to_owned() })?;
        if let Some(host) = &self.options.host {
            let with_port =
                host.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
            let (host, port) =
                with_port.map_or((host.as_str(), None), |(host, port)| (host, Some(port)));
            let is_set = target.set_host(Some(host)).is_ok() && target.set_port(port).is_ok();
            if !is_set {
                return Err(FetchError::Url { url: url.to_owned() });
            }
        }
        let mut file = self.download(url, &target).await?;
        let url = url.to_owned();
        blocking(move || {
            file.rewind().map_err(|source| FetchError::Write { url: url.clone(), source })?;
            Ok(storage.open_file(file, &digest, &url)?)
        })
        .await
    }

    /// The path of a URL of our own storage.
    fn own_path(&self, url: &str) -> Option<ArtifactPath> {
        let path = url.splitn(4, '/').nth(3)?;
        ArtifactPath::parse(path).ok().filter(|path| self.storage.url(path) == url)
    }

    /// Downloads into a file without a name, trying again where that may help.
    async fn download(&self, url: &str, target: &Url) -> Result<File, FetchError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (error, pause) = match self.attempt(url, target, attempts).await {
                Ok(file) => return Ok(file),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Again(error, pause)) => (error, pause),
            };
            if attempts > self.options.retries {
                return Err(error);
            }
            let doubled = self.options.min_pause.saturating_mul(1 << (attempts - 1).min(16));
            tokio::time::sleep(pause.unwrap_or(doubled).min(self.options.max_pause)).await;
        }
    }

    async fn attempt(&self, url: &str, target: &Url, attempts: u32) -> Result<File, Failure> {
        let url = || url.to_owned();
        let broken = |source: reqwest::Error| {
            let is_final = source.is_builder();
            let error = FetchError::Connect { url: url(), attempts, source: source.without_url() };
            if is_final { Failure::Final(error) } else { Failure::Again(error, None) }
        };
        let write = |source| Failure::Final(FetchError::Write { url: url(), source });
        let stalled = |_| Failure::Again(FetchError::Stalled { url: url(), attempts }, None);
        let stall = self.options.stall_timeout;
        let sent = self.client.get(target.clone()).send();
        let mut response = timeout(stall, sent).await.map_err(stalled)?.map_err(broken)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(Failure::Final(FetchError::NotFound { url: url() }));
            }
            status => {
                let again = status == StatusCode::TOO_MANY_REQUESTS
                    || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED);
                let error = FetchError::Status { url: url(), status };
                return Err(match again {
                    true => Failure::Again(error, retry_after(&response)),
                    false => Failure::Final(error),
                });
            }
        }
        let storage = Arc::clone(&self.storage);
        let spool = blocking(move || Ok(storage.spool()?)).await.map_err(Failure::Final)?;
        let mut file = tokio::fs::File::from_std(spool);
        let mut size = 0u64;
        while let Some(chunk) =
            timeout(stall, response.chunk()).await.map_err(stalled)?.map_err(broken)?
        {
            size += chunk.len() as u64;
            if size > self.options.max_bytes {
                let max_bytes = self.options.max_bytes;
                return Err(Failure::Final(FetchError::TooBig { url: url(), max_bytes }));
            }
            file.write_all(&chunk).await.map_err(write)?;
        }
        file.flush().await.map_err(write)?;
        Ok(file.into_std().await)
    }
}

/// Why an attempt failed, and whether another may do better (after the pause the server asks for).
enum Failure {
    Final(FetchError),
    Again(FetchError, Option<Duration>),
}

/// The pause a server asks for, in seconds.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds =
        response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(FetchError::Interrupted),
    }
}
