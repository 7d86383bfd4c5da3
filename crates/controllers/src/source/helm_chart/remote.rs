//! Charts of chart repositories and registries.

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use borax_api::source::{HelmChart, HelmChartStatus, HelmRepository, reasons};
use borax_artifact::error::chain;
use borax_golang::semver::Version;
use borax_source::helm_repo::build::{self, BuildError, BuildReason, Built};
use borax_source::helm_repo::{ChartVersion, Connection, Index, address};
use borax_source::oci::{
    Content, LayerOperation, LayerSelector, OciError, OciSource, Reference, Resolved, TagError,
};

use super::{Failure, artifact, is_current, options};
use crate::shared::Shared;
use crate::source::summary::Problem;
use crate::source::{helm_login, helm_repository};

/// The layer of a chart, and what it was called before Helm 3.7.
const CHART_LAYERS: [&str; 2] =
    ["application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip"];

/// Tags that are versions of charts: whole semantic versions, with `_` for `+`.
const CHART_TAG: &str =
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(_[0-9A-Za-z.-]+)?$";

/// Makes the chart that `object` asks of the repository; `None` where the artifact is it.
pub(super) async fn build(
    shared: &Arc<Shared>,
    object: &HelmChart,
    status: &HelmChartStatus,
    repository: &HelmRepository,
) -> Result<Option<Built>, Failure> {
    let spec = &repository.spec;
    helm_login::refuse_provider(repository)?;
    let invalid = |error: String| {
        let message = format!("invalid Helm repository URL: {error}");
        Problem::fetch(reasons::URL_INVALID, message).stalled()
    };
    let url = address::normalize(&spec.url).map_err(|error| invalid(error.to_string()))?;
    if spec.is_oci() && !address::is_oci(&url) {
        let message = format!("failed to construct Helm client: invalid OCI registry URL: {url}");
        return Err(Problem::fetch(borax_api::meta::reasons::FAILED, message).stalled().into());
    }
    let chart = &*object.spec.chart;
    build::check_name(chart)?;
    let options = options(object, "");
    let wanted = Wanted { shared, repository, url: &url, chart };
    let found = match spec.is_oci() {
        true => {
            let exact = exact(&object.spec.version);
            if let Some(version) = exact {
                let stamped = build::stamp(version, &options)?;
                if is_current(object, status, chart, &stamped) {
                    return Ok(None);
                }
            }
            wanted.in_registry(object.spec.version()).await
        }
        false => wanted.in_index(&object.spec.version).await,
    };
    let found = found.map_err(authentication)?;
    let version = build::stamp(found.version(), &options)?;
    if is_current(object, status, chart, &version) {
        return Ok(None);
    }
    let fetched = wanted.fetch(&found).await.map_err(|error| {
        let message = format!("failed to download chart for remote reference: {error}");
        BuildError::new(BuildReason::Pull, message).into()
    });
    let archive = fetched.map_err(authentication)?;
    let name = chart.to_owned();
    let built =
        tokio::task::spawn_blocking(move || build::remote(&name, &version, archive, &options));
    let built = built.await.map_err(|error| {
        BuildError::new(BuildReason::Package, format!("the build broke off: {error}"))
    })?;
    Ok(Some(built?))
}

/// A failure that is the login's or the certificates' is told as such.
fn authentication(failure: Failure) -> Failure {
    let Failure::Build(error) = &failure else { return failure };
    let message = error.to_string();
    let signs = ["401", "unauthorized", "authentication required", "tls", "certificate"];
    let lower = message.to_lowercase();
    if !signs.iter().any(|sign| lower.contains(sign)) {
        return failure;
    }
    let message = format!("failed to authenticate with the Helm repository: {message}");
    Problem::fetch(reasons::AUTHENTICATION_FAILED, message).into()
}

/// A chart's version where it is one version and no range.
fn exact(version: &str) -> Option<&str> {
    Version::parse_full(version).is_ok().then_some(version)
}

/// A chart of a repository.
pub(super) struct Wanted<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) repository: &'a HelmRepository,
    /// The repository's address, normalised.
    pub(super) url: &'a str,
    /// The chart's name.
    pub(super) chart: &'a str,
}

/// A version of it, and the way there.
pub(super) enum Found {
    InIndex { connection: Connection, version: ChartVersion },
    InRegistry { source: Box<OciSource>, resolved: Resolved, version: String },
}

impl Found {
    /// The version.
    pub(super) fn version(&self) -> &str {
        match self {
            Self::InIndex { version, .. } => &version.version,
            Self::InRegistry { version, .. } => version,
        }
    }
}

impl Wanted<'_> {
    fn login_failed(error: String) -> Failure {
        Problem::fetch(reasons::AUTHENTICATION_FAILED, error).into()
    }

    /// The newest version in the range, by the repository's index.
    pub(super) async fn in_index(&self, range: &str) -> Result<Found, Failure> {
        let connection = helm_login::http(self.shared, self.repository, self.url)
            .await
            .map_err(Self::login_failed)?;
        let fail = |reason, error: String| {
            let message = format!("failed to get chart version for remote reference: {error}");
            Failure::from(BuildError::new(reason, message))
        };
        let index = self.index(&connection).await.map_err(|e| fail(BuildReason::Pull, e))?;
        let version = index
            .choose(self.chart, range)
            .map_err(|error| fail(BuildReason::Reference, error.to_string()))?
            .clone();
        Ok(Found::InIndex { connection, version })
    }

    /// The index: the repository's artifact, shared by all charts; without one it is fetched.
    async fn index(&self, connection: &Connection) -> Result<Arc<Index>, String> {
        let charts = &self.shared.charts;
        let loaded = |error| format!("failed to load index: {error}");
        if let Some(artifact) = artifact(self.repository) {
            let key = helm_repository::index_key(artifact);
            let path = artifact.path.clone();
            let storage = Arc::clone(self.shared.artifacts.storage());
            let open = move || {
                let path = borax_artifact::path::ArtifactPath::parse(&path)
                    .map_err(std::io::Error::other)?;
                std::fs::File::open(storage.local_path(&path))
            };
            return charts.index(&key, open).await.map_err(loaded);
        }
        let _place = self.shared.upstreams.place(&address::host(self.url)).await;
        let storage = self.shared.artifacts.storage();
        let cached = |error: String| format!("failed to cache index: {error}");
        let fetched = charts.fetch_index(connection, None, storage).await;
        let fetched = fetched.map_err(|error| cached(error.to_string()))?;
        let fetched = fetched.ok_or_else(|| cached("nothing came".to_owned()))?;
        charts.read(fetched.file).await.map_err(loaded)
    }

    /// The newest version in the range, by the registry's tags.
    pub(super) async fn in_registry(&self, range: &str) -> Result<Found, Failure> {
        let (keychain, connection) = helm_login::registry(self.shared, self.repository, self.url)
            .await
            .map_err(Self::login_failed)?;
        let reference = match exact(range) {
            Some(version) => {
                Reference { tag: Some(version.replace('+', "_")), ..Reference::default() }
            }
            None => Reference {
                semver: Some(if range.is_empty() { "*" } else { range }.to_owned()),
                semver_filter: Some(CHART_TAG.to_owned()),
                ..Reference::default()
            },
        };
        let is_exact = reference.tag.is_some();
        let source = OciSource {
            url: format!("{}/{}", self.url, self.chart),
            reference,
            keychain,
            connection,
            timeout: self.repository.spec.timeout(),
        };
        let _place = self.shared.upstreams.place(&address::host(self.url)).await;
        let resolved = self.shared.oci.resolve(&source, &layer(CHART_LAYERS[0])).await;
        let resolved = resolved.map_err(|error| {
            let message = match is_exact {
                true => format!(
                    "failed to download chart for remote reference: failed to get '{}:{range}': {}",
                    source.url,
                    chain(&error)
                ),
                false => format!(
                    "failed to get chart version for remote reference: {}",
                    self.tag_failure(range, &source.url, &error)
                ),
            };
            BuildError::new(BuildReason::Pull, message)
        })?;
        let tag = resolved.revision.split('@').next().unwrap_or_default();
        let version = tag.replace('_', "+");
        Ok(Found::InRegistry { source: Box::new(source), resolved, version })
    }

    /// Why no tag was chosen, in Flux's words.
    fn tag_failure(&self, range: &str, url: &str, error: &OciError) -> String {
        let OciError::Tag { source, .. } = error else { return chain(error) };
        match &**source {
            TagError::List(error) => format!(
                "could not get tags for \"{}\": could not fetch tags for \"{url}\": {}",
                self.chart,
                chain(&**error)
            ),
            TagError::Constraint { source, .. } => source.to_string(),
            TagError::NoMatch { .. } => {
                format!("could not locate a version matching provided version string {range}")
            }
            other => chain(other),
        }
    }

    /// Downloads a version.
    pub(super) async fn fetch(&self, found: &Found) -> Result<Vec<u8>, String> {
        match found {
            Found::InIndex { connection, version } => self.download(connection, version).await,
            Found::InRegistry { source, resolved, .. } => {
                self.pull(source, resolved).await.map_err(|error| {
                    format!("failed to get '{}:{}': {error}", source.url, found.version())
                })
            }
        }
    }

    async fn download(
        &self,
        connection: &Connection,
        version: &ChartVersion,
    ) -> Result<Vec<u8>, String> {
        let Some(url) = &version.url else {
            return Err(format!("chart '{}' has no downloadable URLs", self.chart));
        };
        let _place = self.shared.upstreams.place(&address::host(self.url)).await;
        let storage = self.shared.artifacts.storage();
        let fetched = self.shared.charts.fetch_chart(connection, url, storage).await;
        fetched.map_err(|error| error.to_string())
    }

    async fn pull(&self, source: &OciSource, resolved: &Resolved) -> Result<Vec<u8>, String> {
        let (oci, storage) = (&self.shared.oci, self.shared.artifacts.storage());
        let _place = self.shared.upstreams.place(&address::host(self.url)).await;
        let mut pulled = oci.pull(source, resolved, &layer(CHART_LAYERS[0]), storage).await;
        if let Err(OciError::NoSuchLayer { .. }) = pulled {
            pulled = oci.pull(source, resolved, &layer(CHART_LAYERS[1]), storage).await;
        }
        let pulled = pulled.map_err(|error| match error {
            OciError::NoSuchLayer { .. } => {
                format!("manifest does not contain a layer with mediatype {}", CHART_LAYERS[0])
            }
            error => chain(&error),
        })?;
        let Content::Copied(file) = pulled.content else {
            return Err("the layer was unpacked".to_owned());
        };
        let limit = self.shared.charts.limits().chart;
        let read = tokio::task::spawn_blocking(move || {
            let mut content = Vec::new();
            // The file is shared, and so is its position.
            let mut reader = FromStart { file: &file, at: 0 }.take(limit + 1);
            reader.read_to_end(&mut content).map(|_| content)
        });
        let content = read.await.map_err(|error| error.to_string())?;
        let content = content.map_err(|error| error.to_string())?;
        if content.len() as u64 > limit {
            return Err(format!("size of chart exceeds the limit of {limit} bytes"));
        }
        Ok(content)
    }
}

struct FromStart<'a> {
    file: &'a std::fs::File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

fn layer(media_type: &str) -> LayerSelector {
    LayerSelector { media_type: Some(media_type.to_owned()), operation: LayerOperation::Copy }
}
