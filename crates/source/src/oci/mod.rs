//! OCI artifacts: what `spec.ref` of an OCIRepository points to, and its layer as a source of files.
//!
//! ```text
//! OciSource ─ resolve ─► Resolved (revision, digest) ─ unchanged? done
//!                              └─ pull ─► Pulled ─ store ─► artifact
//! ```
//!
//! Source: source-controller `internal/controller/ocirepository_controller.go` over go-containerregistry. Nothing is
//! pulled to find out whether anything moved: a digest costs no request, a tag one `HEAD`. Equal requests with equal
//! credentials that run at the same time are one request.

mod error;
mod image;
mod manifest;
mod name;
mod pulled;
mod registry;
mod sessions;
mod token;
mod transport;

use std::fs::File;
use std::io::Seek;
use std::sync::Arc;
use std::time::Duration;

use borax_artifact::digest::Digest;
use borax_artifact::once::Once;
use borax_artifact::unpack::unpack_tar_gz;
use borax_artifact::{ArtifactError, Storage};
use borax_golang::regexp;
use borax_golang::semver::{Constraint, Version};
use regex::bytes::Regex;
use tokio::io::AsyncWriteExt;

pub use error::{Answer, OciError, RegistryError, TagError, TransportError};
pub use image::{Image, ImageError};
use manifest::{Descriptor, Document, Manifest};
pub use name::{ImageNameError, NameError, Repository};
pub use pulled::{Content, Pulled};
use sessions::{SessionKey, Sessions};
use transport::Session;
pub use transport::{Connection, Retry};

use crate::auth::docker_config::Keychain;

/// The media type of the layer of a Helm chart, in whose tags `_` stands for `+`.
const HELM_CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// An upstream: what an OCIRepository's spec says of where to look and how.
#[derive(Clone, Debug, Default)]
pub struct OciSource {
    /// `spec.url`.
    pub url: String,
    /// `spec.ref`.
    pub reference: Reference,
    /// Credentials out of `spec.secretRef` and the service account's pull secrets.
    pub keychain: Keychain,
    /// `spec.certSecretRef`, `spec.proxySecretRef`, `spec.insecure`.
    pub connection: Connection,
    /// `spec.timeout`, for each of resolving and pulling. Zero for none.
    pub timeout: Duration,
}

/// `spec.ref`. Empty texts count as absent. The digest goes before the range, the range before the tag; `latest` is what
/// nothing stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `sha256:…`
    pub digest: Option<String>,
    /// A range of versions.
    pub semver: Option<String>,
    /// A regular expression for the tags that the range is applied to.
    pub semver_filter: Option<String>,
    /// A tag.
    pub tag: Option<String>,
}

/// `spec.layerSelector`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LayerSelector {
    /// The first layer of this type; without, the first layer.
    pub media_type: Option<String>,
    /// What becomes of it.
    pub operation: LayerOperation,
}

/// `spec.layerSelector.operation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LayerOperation {
    /// Its files are archived anew.
    #[default]
    Extract,
    /// It is the artifact.
    Copy,
}

/// What a source points to now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// `<tag>@<digest>`, or the digest alone where the spec names it.
    pub revision: String,
    /// The digest of the manifest.
    pub digest: String,
    /// The full name, for messages: `ghcr.io/org/app:1.0.0`.
    pub name: String,
}

/// Talks to registries for all OCIRepositories.
#[derive(Debug, Default)]
pub struct OciClient {
    sessions: Sessions,
    resolving: Once<(SessionKey, Reference, bool), Result<Resolved, OciError>>,
    listing: Once<SessionKey, Result<Arc<Vec<String>>, ImageError>>,
    pulling: Once<(SessionKey, String, LayerSelector), Result<Pulled, OciError>>,
}

impl OciClient {
    /// A client that tries again by `retry`.
    pub fn new(retry: Retry) -> Self {
        Self { sessions: Sessions::new(retry), ..Self::default() }
    }

    /// Finds what `source` points to. The layer selector counts too: tags of charts are read as Helm writes them.
    pub async fn resolve(
        &self,
        source: &OciSource,
        layer: &LayerSelector,
    ) -> Result<Resolved, OciError> {
        let repository = repository(source)?;
        let is_chart = layer.media_type.as_deref() == Some(HELM_CHART_LAYER);
        let key = SessionKey::new(&repository, source);
        let work = || async {
            let resolving = self.resolve_now(source, &repository, &key, is_chart);
            within(source, "determine the artifact revision of", resolving).await
        };
        self.resolving.run((key.clone(), source.reference.clone(), is_chart), work).await
    }

    /// Downloads the selected layer of what was resolved.
    pub async fn pull(
        &self,
        source: &OciSource,
        resolved: &Resolved,
        layer: &LayerSelector,
        storage: &Arc<Storage>,
    ) -> Result<Pulled, OciError> {
        let repository = repository(source)?;
        let key = SessionKey::new(&repository, source);
        let work = || async {
            let pulling =
                self.pull_now(source, &repository, &key, &resolved.digest, layer, storage);
            within(source, "pull artifact from", pulling).await
        };
        self.pulling.run((key.clone(), resolved.digest.clone(), layer.clone()), work).await
    }

    async fn resolve_now(
        &self,
        source: &OciSource,
        repository: &Repository,
        key: &SessionKey,
        is_chart: bool,
    ) -> Result<Resolved, OciError> {
        let reference = &source.reference;
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(digest) = filled(&reference.digest) {
            let checked = digest.parse::<Digest>();
            checked.map_err(|error| OciError::Digest(Arc::new(error.into())))?;
            let name = format!("{repository}@{digest}");
            return Ok(Resolved { revision: digest.clone(), digest, name });
        }
        let client = self.sessions.client(source, key)?;
        let session = self.sessions.open(client, source, repository, key);
        let (session, tag) = if let Some(range) = filled(&reference.semver) {
            let fail = |error| OciError::Tag { url: source.url.clone(), source: Arc::new(error) };
            // What can be judged without the registry is judged first.
            let constraint = Constraint::parse(&range)
                .map_err(|source| fail(TagError::Constraint { text: range.clone(), source }))?;
            let filter = filled(&reference.semver_filter)
                .map(|text| {
                    regexp::compile(&text).map_err(|source| fail(TagError::Filter { text, source }))
                })
                .transpose()?;
            let session = session.await.map_err(|error| fail(TagError::List(error)))?;
            let tags = self
                .sessions
                .check(key, session.tags().await)
                .map_err(|error| fail(TagError::List(Arc::new(error))))?;
            let tag = newest(&constraint, filter.as_ref(), &tags, is_chart);
            (session, tag.ok_or_else(|| fail(TagError::NoMatch { text: range }))?)
        } else {
            let tag = filled(&reference.tag).unwrap_or_else(|| "latest".to_owned());
            (session.await.map_err(OciError::Digest)?, tag)
        };
        let digest = self.sessions.check(key, session.tag_digest(&tag).await);
        let digest = digest.map_err(|error| OciError::Digest(Arc::new(error)))?;
        Ok(Resolved {
            revision: format!("{tag}@{digest}"),
            name: format!("{repository}:{tag}"),
            digest,
        })
    }

    async fn pull_now(
        &self,
        source: &OciSource,
        repository: &Repository,
        key: &SessionKey,
        digest: &str,
        selector: &LayerSelector,
        storage: &Arc<Storage>,
    ) -> Result<Pulled, OciError> {
        let fail = |error| OciError::Pull { url: source.url.clone(), source: error };
        let client = self.sessions.client(source, key)?;
        let session = self.sessions.open(client, source, repository, key).await.map_err(fail)?;
        let manifest = self.sessions.check(key, manifest(&session, digest).await);
        let manifest = manifest.map_err(|error| match error {
            ManifestError::Registry(error) => fail(Arc::new(error)),
            ManifestError::Invalid(reason) => OciError::Manifest { reason },
        })?;
        let media_type = selector.media_type.as_deref().filter(|text| !text.is_empty());
        let layers = manifest.layers.unwrap_or_default();
        let layer = match media_type {
            _ if layers.is_empty() => return Err(OciError::NoLayers),
            Some(wanted) => layers.iter().find(|layer| layer.media_type == wanted),
            None => layers.first(),
        };
        let missing =
            || OciError::NoSuchLayer { media_type: media_type.unwrap_or_default().to_owned() };
        let layer = layer.ok_or_else(missing)?;
        let which = if media_type.is_some() { "selected" } else { "first" };
        let file = self.sessions.check(key, download(&session, layer, which, storage).await)?;
        let content = match selector.operation {
            LayerOperation::Copy => Content::Copied(Arc::new(file)),
            LayerOperation::Extract => extract(file, storage).await?,
        };
        Ok(Pulled { annotations: manifest.annotations.unwrap_or_default(), content })
    }
}

fn repository(source: &OciSource) -> Result<Repository, OciError> {
    Repository::from_url(&source.url)
        .map_err(|error| OciError::Url { url: source.url.clone(), source: error })
}

async fn within<T>(
    source: &OciSource,
    action: &'static str,
    work: impl Future<Output = Result<T, OciError>>,
) -> Result<T, OciError> {
    if source.timeout.is_zero() {
        return work.await;
    }
    let (url, seconds) = (source.url.clone(), source.timeout.as_secs_f64());
    let timed_out = |_| Err(OciError::Timeout { action, url, seconds });
    tokio::time::timeout(source.timeout, work).await.unwrap_or_else(timed_out)
}

/// The tag of the newest version in the range.
fn newest(
    constraint: &Constraint,
    filter: Option<&Regex>,
    tags: &[String],
    is_chart: bool,
) -> Option<String> {
    let tags =
        tags.iter().filter(|tag| filter.is_none_or(|filter| filter.is_match(tag.as_bytes())));
    let mut best: Option<(Version, &String)> = None;
    for tag in tags {
        let text = if is_chart { tag.replace('_', "+") } else { tag.clone() };
        let Ok(version) = Version::parse_full(&text) else { continue };
        let is_better = best.as_ref().is_none_or(|(best, _)| version.compare(best).is_gt());
        if constraint.matches(&version) && is_better {
            best = Some((version, tag));
        }
    }
    best.map(|(_, tag)| tag.clone())
}

/// Why there is no manifest.
enum ManifestError {
    Registry(RegistryError),
    Invalid(String),
}

impl From<RegistryError> for ManifestError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

/// The manifest of an image; of an index the one of its image for linux/amd64.
async fn manifest(session: &Session, digest: &str) -> Result<Manifest, ManifestError> {
    let parsed = |document: Result<Document, String>| document.map_err(ManifestError::Invalid);
    let index = match parsed(session.manifest(digest).await?)? {
        Document::Manifest(manifest) => return Ok(manifest),
        Document::Index(index) => index,
    };
    let no_child =
        || ManifestError::Invalid(format!("no child with platform linux/amd64 in index {digest}"));
    let child = index.image().ok_or_else(no_child)?;
    match parsed(session.manifest(&child).await?)? {
        Document::Manifest(manifest) => Ok(manifest),
        Document::Index(_) => {
            Err(ManifestError::Invalid(format!("index {digest} leads to another index")))
        }
    }
}

/// Downloads a layer into a file without a name.
async fn download(
    session: &Session,
    layer: &Descriptor,
    which: &'static str,
    storage: &Arc<Storage>,
) -> Result<File, OciError> {
    let limit = storage.options().limits.max_bytes;
    if layer.size > limit {
        return Err(OciError::TooBig { size: layer.size, limit });
    }
    let fail = |error| OciError::Layer { which, source: Arc::new(error) };
    let mut blob = session.blob(&layer.digest, layer.size).await.map_err(fail)?;
    let spool = {
        let storage = Arc::clone(storage);
        blocking(move || storage.spool().map_err(stored)).await?
    };
    let mut file = tokio::fs::File::from_std(spool);
    let write = |source| on_disk("write", storage, source);
    while let Some(chunk) = blob.chunk().await.map_err(fail)? {
        file.write_all(&chunk).await.map_err(write)?;
    }
    file.flush().await.map_err(write)?;
    Ok(file.into_std().await)
}

async fn extract(mut file: File, storage: &Arc<Storage>) -> Result<Content, OciError> {
    let storage = Arc::clone(storage);
    blocking(move || {
        file.rewind().map_err(|source| on_disk("read", &storage, source))?;
        let mut staging = storage.stage().map_err(stored)?;
        unpack_tar_gz(&file, &storage.options().limits, &mut staging).map_err(|error| {
            if error.is_storage() {
                stored(ArtifactError::Unpack { path: "the layer".to_owned(), source: error })
            } else {
                OciError::Extract(Arc::new(error))
            }
        })?;
        let tree = staging.finish().map_err(|source| on_disk("write", &storage, source))?;
        Ok(Content::Extracted(Arc::new(tree)))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OciError> + Send + 'static,
) -> Result<T, OciError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(stored(ArtifactError::Io {
            action: "finish",
            path: "the unpacking of a layer".into(),
            source: std::io::Error::other(error),
        })),
    }
}

fn stored(error: ArtifactError) -> OciError {
    OciError::Storage(Arc::new(error))
}

fn on_disk(action: &'static str, storage: &Storage, source: std::io::Error) -> OciError {
    stored(ArtifactError::Io { action, path: storage.options().root.clone(), source })
}
