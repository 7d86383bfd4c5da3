//! The artifact cache as controllers use it: the storage, and artifacts that another controller serves.

use std::path::PathBuf;
use std::sync::Arc;

use borax_api::meta::Artifact;
use borax_artifact::digest::Digest;
use borax_artifact::error::chain;
use borax_artifact::fetch::{FetchError, Fetcher};
use borax_artifact::path::ArtifactPath;
use borax_artifact::unpacked::UnpackedTree;
use borax_artifact::{ArtifactError, Storage};

/// The artifacts of this process, and the way to those of others.
pub struct Artifacts {
    storage: Arc<Storage>,
    fetcher: Fetcher,
}

/// Why an artifact can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not where its URL says; its controller will make it again.
    #[error("artifact not found")]
    NotFound,
    /// It could not be read or fetched.
    #[error("{0}")]
    Failed(String),
}

impl Artifacts {
    /// Artifacts in `storage`; those of others are fetched by `fetcher`.
    pub fn new(storage: Arc<Storage>, fetcher: Fetcher) -> Self {
        Self { storage, fetcher }
    }

    /// The storage.
    pub fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    /// A folder for what is under way, on the storage's disk.
    pub fn scratch(&self) -> PathBuf {
        self.storage.options().root.join(".tmp")
    }

    /// The URL of an artifact in the storage; absent for one that is not ours.
    pub fn url(&self, artifact: &Artifact) -> Option<String> {
        let path = ArtifactPath::parse(&artifact.path).ok()?;
        self.storage.exists(&path).then(|| self.storage.url(&path))
    }

    /// Checks that the artifact is in the storage, whole.
    ///
    /// # Errors
    /// It is missing or damaged, and must be made again.
    pub async fn verify(&self, artifact: &Artifact) -> Result<(), String> {
        let path = ArtifactPath::parse(&artifact.path).map_err(|error| error.to_string())?;
        let digest: Digest = artifact.digest.parse().map_err(|error| format!("{error}"))?;
        let storage = Arc::clone(&self.storage);
        let verified = tokio::task::spawn_blocking(move || storage.verify(&path, &digest)).await;
        verified.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// The artifact's files: from the cache, else from the storage, else from its URL.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(&self, artifact: &Artifact) -> Result<Arc<UnpackedTree>, OpenError> {
        self.fetcher.open(&artifact.url, &artifact.digest).await.map_err(|error| match &*error {
            FetchError::NotFound { .. } | FetchError::Artifact(ArtifactError::Missing { .. }) => {
                OpenError::NotFound
            }
            other => OpenError::Failed(chain(other)),
        })
    }
}

/// The artifact as a status has it.
pub fn to_api(artifact: &borax_artifact::Artifact) -> Artifact {
    let time = jiff::Timestamp::try_from(artifact.last_update_time).unwrap_or_default();
    Artifact {
        digest: artifact.digest.to_string(),
        path: artifact.path.to_string(),
        url: artifact.url.clone(),
        revision: artifact.revision.clone(),
        last_update_time: time.into(),
        size: i64::try_from(artifact.size).ok(),
        metadata: artifact.metadata.clone(),
    }
}
