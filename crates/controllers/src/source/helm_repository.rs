//! HelmRepository: the index of a chart repository becomes an artifact, and is kept read for the HelmCharts.
//!
//! One of type `oci` only holds settings.
//!
//! Behaviour: source-controller v1.9 `internal/controller/helmrepository_controller.go`.

use std::sync::Arc;

use borax_api::meta::Artifact;
use borax_api::meta::reasons::{FAILED, SUCCEEDED};
use borax_api::source::{HelmRepository, HelmRepositoryStatus, reasons};
use borax_artifact::error::chain;
use borax_artifact::path::ArtifactPath;
use borax_source::helm_repo::{Fetched, address};
use kube::ResourceExt;

use super::reconciler::is_stored;
use super::summary::Problem;
use super::{Produced, Producer, Words, event_reason, helm_login};
use crate::artifacts::to_api;
use crate::shared::Shared;

impl Producer for HelmRepository {
    async fn produce(
        shared: &Arc<Shared>,
        object: &Self,
        status: &mut HelmRepositoryStatus,
    ) -> Result<Produced, Problem> {
        let spec = &object.spec;
        let invalid = |error: String| {
            let message = format!("invalid Helm repository URL: {error}");
            Problem::fetch(reasons::URL_INVALID, message).stalled()
        };
        if address::is_oci(&spec.url) {
            let error = "'oci' URL scheme cannot be used with 'default' HelmRepository type";
            return Err(invalid(error.to_owned()));
        }
        let url = address::normalize(&spec.url).map_err(|error| invalid(error.to_string()))?;
        let connection = helm_login::http(shared, object, &url).await;
        let connection =
            connection.map_err(|error| Problem::fetch(reasons::AUTHENTICATION_FAILED, error))?;
        let current = status.artifact.as_ref().filter(|_| is_stored(&status.conditions));
        let known = current.map(|artifact| format!("{url} {}", artifact.path));
        let etag = known.as_ref().and_then(|known| shared.charts.etag(known));
        let _place = shared.upstreams.place(&address::host(&url)).await;
        let storage = shared.artifacts.storage();
        let fetched = shared.charts.fetch_index(&connection, etag.as_deref(), storage).await;
        let fetched = fetched.map_err(|error| {
            let message = format!(
                "failed to fetch Helm repository index: failed to cache index to temporary file: {error}"
            );
            Problem::fetch(FAILED, message)
        })?;
        let Some(fetched) = fetched else { return Ok(Produced::Unchanged) };
        let etag = fetched.etag.clone();
        let remember = |artifact: &Artifact| {
            if let Some(etag) = etag {
                shared.charts.remember(&format!("{url} {}", artifact.path), etag);
            }
        };
        if let Some(current) = current.filter(|it| it.has_revision(&fetched.digest.to_string())) {
            remember(current);
            return Ok(Produced::Unchanged);
        }
        let artifact = store(shared, object, fetched).await?;
        remember(&artifact);
        Ok(Produced::New { artifact, called: None })
    }

    fn stored(&self, artifact: &Artifact, _: Option<&str>) -> Words {
        (SUCCEEDED, format!("stored artifact: revision '{}'", artifact.revision))
    }

    fn event(&self, artifact: &Artifact, _: Option<&str>, is_new: bool) -> Words {
        let size = match artifact.size {
            Some(size) => format!("size {}", human_size(size)),
            None => "unknown size".to_owned(),
        };
        let message = format!("stored fetched index of {size} from '{}'", self.spec.url);
        (event_reason(is_new), message)
    }

    fn is_static(&self) -> bool {
        self.spec.is_oci()
    }

    const LATEST: Option<&'static str> = Some("index.yaml");

    fn latest_url(status: &mut HelmRepositoryStatus) -> Option<&mut String> {
        Some(&mut status.url)
    }
}

/// What the index of an artifact is kept as. The path keeps tenants apart: who may not fetch an index must not find it.
pub(super) fn index_key(artifact: &Artifact) -> String {
    format!("{} {}", artifact.path, artifact.digest)
}

async fn store(
    shared: &Arc<Shared>,
    object: &HelmRepository,
    fetched: Fetched,
) -> Result<Artifact, Problem> {
    let storage = shared.artifacts.storage();
    let namespace = object.namespace().unwrap_or_default();
    let revision = fetched.digest.to_string();
    let filename = format!("index-{}.yaml", fetched.digest.hex());
    let path = ArtifactPath::new("HelmRepository", &namespace, &object.name_any(), &filename)
        .map_err(|error| Problem::storage(reasons::DIRECTORY_CREATION_FAILED, error.to_string()))?;
    let (index, mut stored) =
        shared.charts.take_in(fetched.file, storage).await.map_err(|error| {
            let message = format!(
                "failed to load Helm repository from index YAML: failed to load index: {error}"
            );
            Problem::fetch(reasons::INDEXATION_FAILED, message)
        })?;
    let fail = |error: String| {
        let message = format!("unable to save artifact to storage: {error}");
        Problem::storage(reasons::ARCHIVE_OPERATION_FAILED, message)
    };
    let storage = Arc::clone(storage);
    let written =
        tokio::task::spawn_blocking(move || storage.store(&path, &revision, &mut stored)).await;
    let written =
        written.map_err(|error| fail(error.to_string()))?.map_err(|error| fail(chain(&error)))?;
    let artifact = to_api(&written);
    shared.charts.keep(&index_key(&artifact), &index);
    Ok(artifact)
}

/// A size as docker's units spell it: four digits, decimal.
fn human_size(bytes: i64) -> String {
    let mut size = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if size < 1000.0 {
            break;
        }
        size /= 1000.0;
        unit = next;
    }
    let decimals = match size {
        s if s >= 1000.0 => 0,
        s if s >= 100.0 => 1,
        s if s >= 10.0 => 2,
        _ => 3,
    };
    let text = format!("{size:.decimals$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_docker_s() {
        for (bytes, want) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1024, "1.024kB"),
            (30_880, "30.88kB"),
            (123_456, "123.5kB"),
            (104_857_600, "104.9MB"),
        ] {
            assert_eq!(human_size(bytes), want);
        }
    }
}
