//! Chart repositories over HTTP: their indexes, the charts in them, and charts made of a folder.
//!
//! ```text
//! Repositories ─ fetch_index ─► index on disk ─ Index ─► choose a version ─ fetch_chart ─► archive ─► build
//! ```
//!
//! - `address`: how repositories and charts are spelled
//! - `http`: requests, logins, limits
//! - `index`, `reading`, `entry`: the index, streamed
//! - `build`, `folder`: what becomes of a chart: values merged in, versions stamped, dependencies put in, packaged
//!
//! Charts in registries come through [`crate::oci`].

pub mod address;
pub mod build;
mod entry;
pub mod folder;
mod http;
mod index;
mod reading;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use borax_artifact::once::Once;
use borax_artifact::{ArtifactError, Storage};

use http::{Clients, Limit};
pub use http::{Connection, FetchError, Fetched};
pub use index::{ChartVersion, ChooseError, Index, IndexError};

/// Bounds, with Flux's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest index, in bytes (`--helm-index-max-size`).
    pub index: u64,
    /// The largest chart archive, in bytes (`--helm-chart-max-size`).
    pub chart: u64,
    /// The largest file of a chart's folder, in bytes (`--helm-chart-file-max-size`).
    pub file: u64,
    /// How many indexes are kept in memory (`--helm-cache-max-size`).
    pub kept: usize,
    /// How long an index is kept after its last use (`--helm-cache-ttl`).
    pub kept_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            index: 50 << 20,
            chart: 10 << 20,
            file: 5 << 20,
            kept: 64,
            kept_for: Duration::from_secs(15 * 60),
        }
    }
}

/// Talks to chart repositories, and keeps what it read of their indexes for all charts.
#[derive(Default)]
pub struct Repositories {
    limits: Limits,
    clients: Clients,
    kept: Mutex<BTreeMap<String, (Arc<Index>, Instant)>>,
    reading: Once<String, Result<Arc<Index>, IndexError>>,
    /// What servers call the indexes that were fetched, by whatever the caller calls them.
    etags: Mutex<BTreeMap<String, String>>,
}

/// The most names of indexes that are kept.
const MAX_ETAGS: usize = 4096;

impl Repositories {
    /// With these bounds.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Downloads the index of a repository; `None` where it is still the one that the server calls `etag`.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch_index(
        &self,
        connection: &Connection,
        etag: Option<&str>,
        storage: &Arc<Storage>,
    ) -> Result<Option<Fetched>, FetchError> {
        let url = address::index(&connection.url)?;
        let limit =
            Limit { bytes: self.limits.index, what: "index exceeds the maximum index file size" };
        let spool = spool(storage, url.as_str()).await?;
        self.clients.get(connection, url, etag, limit, spool).await
    }

    /// Downloads a chart that the index of the repository has at `reference`.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch_chart(
        &self,
        connection: &Connection,
        reference: &str,
        storage: &Arc<Storage>,
    ) -> Result<Vec<u8>, FetchError> {
        let url = address::resolve(&connection.url, reference)?;
        let shown = address::shown(url.as_str());
        let limit = Limit { bytes: self.limits.chart, what: "size of chart exceeds the limit" };
        let spool = spool(storage, url.as_str()).await?;
        let fetched = self.clients.get(connection, url, None, limit, spool).await?;
        let disk = |reason: String| FetchError::Disk { url: shown.clone(), reason };
        let Some(mut fetched) = fetched else { return Err(disk("nothing came".to_owned())) };
        let read = tokio::task::spawn_blocking(move || {
            let mut content = Vec::new();
            fetched.file.rewind()?;
            fetched.file.read_to_end(&mut content)?;
            Ok::<_, std::io::Error>(content)
        });
        let read = read.await.map_err(|error| disk(error.to_string()))?;
        read.map_err(|error| disk(error.to_string()))
    }

    /// Reads a downloaded index, and gives it back as Flux stores it.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub async fn take_in(
        &self,
        mut index: File,
        storage: &Arc<Storage>,
    ) -> Result<(Arc<Index>, File), IndexError> {
        let storage = Arc::clone(storage);
        blocking(move || {
            let spool = |storage: &Storage| {
                storage.spool().map_err(|error: ArtifactError| {
                    IndexError::Disk(borax_artifact::error::chain(&error))
                })
            };
            let (mut stored, entries) = (spool(&storage)?, spool(&storage)?);
            let index = Index::read(&mut index, Some(&mut stored), Some(entries))?;
            stored.rewind()?;
            Ok((Arc::new(index), stored))
        })
        .await
    }

    /// The index kept as `key`, else read from what `open` opens; all that ask at once share one reading.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub async fn index(
        &self,
        key: &str,
        open: impl FnOnce() -> std::io::Result<File> + Send + 'static,
    ) -> Result<Arc<Index>, IndexError> {
        if let Some((index, used)) = self.kept().get_mut(key) {
            *used = Instant::now();
            return Ok(Arc::clone(index));
        }
        let work = || async {
            let index = blocking(move || {
                let mut file = open()?;
                Index::read(&mut file, None, None).map(Arc::new)
            })
            .await?;
            self.keep(key, &index);
            Ok(index)
        };
        self.reading.run(key.to_owned(), work).await
    }

    /// Reads an index that no one else asks for.
    ///
    /// # Errors
    /// See [`IndexError`].
    pub async fn read(&self, mut index: File) -> Result<Arc<Index>, IndexError> {
        blocking(move || Index::read(&mut index, None, None).map(Arc::new)).await
    }

    /// What the server called the index that the caller calls `key`.
    pub fn etag(&self, key: &str) -> Option<String> {
        self.etags.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Remembers what the server calls the index that the caller calls `key`.
    pub fn remember(&self, key: &str, etag: String) {
        let mut etags = self.etags.lock().unwrap_or_else(PoisonError::into_inner);
        if etags.len() >= MAX_ETAGS {
            etags.clear();
        }
        etags.insert(key.to_owned(), etag);
    }

    /// Keeps an index as `key` for those that ask for it.
    pub fn keep(&self, key: &str, index: &Arc<Index>) {
        let now = Instant::now();
        let mut kept = self.kept();
        kept.retain(|_, (_, used)| now.duration_since(*used) < self.limits.kept_for);
        while kept.len() >= self.limits.kept.max(1) {
            let oldest = kept.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
            kept.remove(&oldest);
        }
        kept.insert(key.to_owned(), (Arc::clone(index), now));
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, (Arc<Index>, Instant)>> {
        // Every change is a single insert or removal, so what a panic left is sound.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn spool(storage: &Arc<Storage>, url: &str) -> Result<File, FetchError> {
    let storage = Arc::clone(storage);
    let disk = |reason: String| FetchError::Disk { url: address::shown(url), reason };
    let spool = tokio::task::spawn_blocking(move || storage.spool()).await;
    let spool = spool.map_err(|error| disk(error.to_string()))?;
    spool.map_err(|error| disk(borax_artifact::error::chain(&error)))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
) -> Result<T, IndexError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(IndexError::Disk(error.to_string())),
    }
}
