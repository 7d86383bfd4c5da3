//! Image repositories: all tags of one, and the digest of a tag.
//!
//! Source: image-reflector-controller v1.2 `internal/controller` over go-containerregistry's `remote.List` and
//! `remote.Head`.

use std::sync::Arc;
use std::time::Duration;

use borax_artifact::error::chain;

use super::error::{RegistryError, TransportError};
use super::name::{ImageNameError, Repository};
use super::sessions::SessionKey;
use super::transport::Connection;
use super::{OciClient, OciError, OciSource};
use crate::auth::docker_config::Keychain;

/// An image's repository, and how to reach it.
#[derive(Clone, Debug)]
pub struct Image {
    repository: Repository,
    source: OciSource,
    key: SessionKey,
}

/// Why a registry did not tell. Clones share the cause: one failure is reported to all that asked for the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ImageError {
    /// The certificates or the proxy can't be used.
    #[error("{}", chain(.0.as_ref()))]
    Transport(Arc<TransportError>),
    /// The conversation failed.
    #[error("{}", chain(.0.as_ref()))]
    Registry(Arc<RegistryError>),
    /// It took too long.
    #[error(
        "{repository}: no complete answer within {seconds}s (spec.timeout, or spec.interval without)"
    )]
    Timeout {
        /// What was asked.
        repository: String,
        /// How long was waited.
        seconds: f64,
    },
}

impl ImageError {
    /// How long the registry asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Registry(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl Image {
    /// The image `name`, to be asked for with these credentials within `timeout`.
    ///
    /// # Errors
    /// The name is none.
    pub fn new(
        name: &str,
        keychain: Keychain,
        connection: Connection,
        timeout: Duration,
    ) -> Result<Self, ImageNameError> {
        let repository = Repository::from_image(name)?;
        let source = OciSource { keychain, connection, timeout, ..OciSource::default() };
        let key = SessionKey::new(&repository, &source);
        Ok(Self { repository, source, key })
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Names registry, repository, credentials and settings, and tells none of them: equal images give equal answers.
    pub fn identity(&self) -> String {
        self.key.fingerprint()
    }
}

impl OciClient {
    /// All tags of an image. Equal requests at the same time are one.
    pub async fn tags(&self, image: &Image) -> Result<Arc<Vec<String>>, ImageError> {
        let work = || async {
            let listing = async {
                let session = self.image_session(image).await?;
                let tags = self.sessions.check(&image.key, session.tags().await);
                tags.map(Arc::new).map_err(|error| ImageError::Registry(Arc::new(error)))
            };
            in_time(image, listing).await
        };
        self.listing.run(image.key.clone(), work).await
    }

    /// The digest that a tag of an image points to.
    pub async fn digest(&self, image: &Image, tag: &str) -> Result<String, ImageError> {
        let asking = async {
            let session = self.image_session(image).await?;
            let digest = self.sessions.check(&image.key, session.tag_digest(tag).await);
            digest.map_err(|error| ImageError::Registry(Arc::new(error)))
        };
        in_time(image, asking).await
    }

    async fn image_session(
        &self,
        image: &Image,
    ) -> Result<Arc<super::transport::Session>, ImageError> {
        let client =
            self.sessions.client(&image.source, &image.key).map_err(|error| match error {
                OciError::Transport { source, .. } => ImageError::Transport(source),
                other => ImageError::Registry(Arc::new(RegistryError::Protocol {
                    url: image.repository.to_string(),
                    reason: chain(&other),
                })),
            })?;
        let opening = self.sessions.open(client, &image.source, &image.repository, &image.key);
        opening.await.map_err(ImageError::Registry)
    }
}

async fn in_time<T>(
    image: &Image,
    work: impl Future<Output = Result<T, ImageError>>,
) -> Result<T, ImageError> {
    let timeout = image.source.timeout;
    tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| {
        Err(ImageError::Timeout {
            repository: image.repository.to_string(),
            seconds: timeout.as_secs_f64(),
        })
    })
}
