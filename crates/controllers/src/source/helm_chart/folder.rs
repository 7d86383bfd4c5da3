//! Charts in the files of a GitRepository.

use std::sync::Arc;

use borax_api::meta::Artifact;
use borax_api::source::{
    HelmChart, HelmChartStatus, HelmRepository, HelmRepositorySpec, HelmRepositoryType,
    ReconcileStrategy, reasons,
};
use borax_helm::Dependency;
use borax_source::helm_repo::address;
use borax_source::helm_repo::build::{BuildError, BuildOptions, BuildReason, Built};
use borax_source::helm_repo::folder::{Local, called, dependency_repository};
use kube::ResourceExt;

use super::remote::Wanted;
use super::{Failure, is_current, options};
use crate::shared::Shared;
use crate::source::helm_login;
use crate::source::summary::Problem;

/// So many digits of a commit's hash stamp a version: labels that hold the version have room for 63 characters.
const HASH: usize = 12;

/// Makes the chart at `spec.chart` of the source's files; `None` where the artifact is it.
pub(super) async fn build(
    shared: &Arc<Shared>,
    object: &HelmChart,
    status: &HelmChartStatus,
    source: &Artifact,
) -> Result<Option<Built>, Failure> {
    let files = shared.artifacts.open(source).await.map_err(|error| {
        let message = format!("failed to open source artifact: {error}");
        Problem::fetch(reasons::READ_OPERATION_FAILED, message)
    })?;
    let stamp = match object.spec.reconcile_strategy() {
        ReconcileStrategy::Revision => commit(&source.revision),
        ReconcileStrategy::ChartVersion => "",
    };
    let options = options(object, stamp);
    let (path, limits) = (object.spec.chart.clone(), *shared.charts.limits());
    let opened = {
        let options = options.clone();
        blocking(move || Local::open(files, &path, &options, limits)).await?
    };
    if is_current(object, status, &opened.name, &opened.version) {
        return Ok(None);
    }
    if !opened.packages {
        return Ok(Some(blocking(move || opened.as_it_is()).await?));
    }
    Ok(Some(package(shared, object, opened, options).await?))
}

async fn package(
    shared: &Arc<Shared>,
    object: &HelmChart,
    opened: Local,
    options: BuildOptions,
) -> Result<Built, Failure> {
    let (opened, mut loaded) = blocking(move || {
        let loaded = opened.load(&options)?;
        Ok((opened, loaded))
    })
    .await?;
    let mut archives = Vec::new();
    for dependency in loaded.missing.clone() {
        let downloaded = download(shared, object, &dependency).await;
        let (version, archive) =
            downloaded.map_err(|error| missing(&opened, &dependency, &error))?;
        archives.push((dependency, version, archive));
    }
    let built = blocking(move || {
        for (dependency, version, archive) in archives {
            loaded
                .add(&dependency, &version, &archive)
                .map_err(|error| missing(&opened, &dependency, &error))?;
        }
        loaded.finish(&opened)
    });
    Ok(built.await?)
}

fn missing(local: &Local, dependency: &Dependency, error: &str) -> BuildError {
    let message = format!("failed to add remote dependency '{}': {error}", called(dependency));
    let chart = Some((local.name.clone(), local.version.clone()));
    BuildError { chart, ..BuildError::new(BuildReason::Dependency, message) }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => {
            Err(BuildError::new(BuildReason::Package, format!("the build broke off: {error}")))
        }
    }
}

/// The beginning of the hash in a revision: `main@sha1:0123…`.
fn commit(revision: &str) -> &str {
    let hash = revision.rsplit(':').next().unwrap_or_default();
    hash.get(..HASH).unwrap_or(hash)
}

/// Downloads a dependency with the settings of the HelmRepository in the chart's namespace that has its address; without
/// one as nobody.
async fn download(
    shared: &Arc<Shared>,
    object: &HelmChart,
    dependency: &Dependency,
) -> Result<(String, Vec<u8>), String> {
    let url = dependency_repository(&dependency.repository)?;
    let namespace = object.namespace().unwrap_or_default();
    let mut found = shared.stores.helm_repositories.find(|repository| {
        repository.namespace().as_deref() == Some(&namespace)
            && address::normalize(&repository.spec.url).is_ok_and(|normal| normal == url)
    });
    found.sort_by_key(|repository| repository.name_any());
    let repository = match found.first() {
        Some(repository) => Arc::clone(repository),
        None => Arc::new(nobodys(&namespace, &url)),
    };
    let text = |failure: Failure| match failure {
        Failure::Problem(problem) => problem.message,
        Failure::Build(error) => error.message,
    };
    helm_login::refuse_provider(&repository).map_err(|problem| problem.message)?;
    let wanted = Wanted { shared, repository: &repository, url: &url, chart: &dependency.name };
    let version = match address::is_oci(&url) {
        true => wanted.in_registry(&dependency.version).await,
        false => wanted.in_index(&dependency.version).await,
    };
    let version = version.map_err(|failure| {
        let error = text(failure);
        let error = error
            .strip_prefix("failed to get chart version for remote reference: ")
            .unwrap_or(&error);
        format!(
            "failed to get chart '{}' version '{}' from '{}': {error}",
            dependency.name, dependency.version, dependency.repository
        )
    })?;
    let archive = wanted.fetch(&version).await.map_err(|error| {
        format!("chart download of version '{}' failed: {error}", version.version())
    })?;
    Ok((version.version().to_owned(), archive))
}

fn nobodys(namespace: &str, url: &str) -> HelmRepository {
    let type_ = address::is_oci(url).then_some(HelmRepositoryType::Oci);
    let spec = HelmRepositorySpec { url: url.to_owned(), type_, ..HelmRepositorySpec::default() };
    let mut repository = HelmRepository::new("none", spec);
    repository.metadata.namespace = Some(namespace.to_owned());
    repository
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_stamped_with_twelve_digits() {
        assert_eq!(commit("main@sha1:0123456789abcdef0123456789abcdef01234567"), "0123456789ab");
        assert_eq!(commit("sha1:0123456789abcdef"), "0123456789ab");
        assert_eq!(commit("short"), "short");
    }
}
