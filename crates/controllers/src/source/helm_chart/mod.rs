//! HelmChart: one chart becomes an artifact, from a chart repository, a registry, or a folder of a Git repository.
//!
//! ```text
//! spec.sourceRef ─► source ─► version chosen ─ the artifact's? done
//!                                   └─ fetched, values merged in, dependencies put in ─► packaged ─► artifact
//! ```
//!
//! A new artifact of the source wakes its charts; nothing is fetched when the version that is chosen is the artifact's.
//!
//! Behaviour: source-controller v1.9 `internal/controller/helmchart_controller.go`.

mod folder;
mod remote;

use std::sync::Arc;

use borax_api::meta::{
    Artifact, Condition, ConditionStatus, find_condition, remove_condition, set_condition,
};
use borax_api::source::{
    ChartSourceKind, GitRepository, HelmChart, HelmChartStatus, HelmRepository,
    condition_types as types, reasons,
};
use borax_artifact::error::chain;
use borax_artifact::path::ArtifactPath;
use borax_reconcile::{Key, Queue, Trigger};
use borax_source::helm_repo::build::{BuildError, BuildOptions, Built, summary};
use kube::{Resource, ResourceExt};

use super::reconciler::is_stored;
use super::summary::Problem;
use super::{Produced, Producer, Source, Words};
use crate::artifacts::to_api;
use crate::shared::{Shared, now};
use crate::store::{Change, key_of};

/// Why there is no chart.
enum Failure {
    /// What the condition says is settled.
    Problem(Problem),
    /// The chart could not be had or built.
    Build(BuildError),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

/// Where the chart is.
enum ChartSource {
    Repository(Arc<HelmRepository>),
    Git(Artifact),
}

impl Producer for HelmChart {
    async fn produce(
        shared: &Arc<Shared>,
        object: &Self,
        status: &mut HelmChartStatus,
    ) -> Result<Produced, Problem> {
        refuse_unsupported(object)?;
        remove_condition(&mut status.conditions, types::SOURCE_VERIFIED);
        let source = find(shared, object)?;
        let revision = match &source {
            ChartSource::Git(artifact) => Some(artifact.revision.clone()),
            ChartSource::Repository(repository) => artifact(repository).map(|a| a.revision.clone()),
        };
        if let Some(revision) = revision {
            status.observed_source_artifact_revision = revision;
        }
        let built = match &source {
            ChartSource::Repository(repository) => {
                remote::build(shared, object, status, repository).await
            }
            ChartSource::Git(artifact) => folder::build(shared, object, status, artifact).await,
        };
        let built = match built {
            Ok(Some(built)) => built,
            Ok(None) => return Ok(Produced::Unchanged),
            Err(failure) => return Err(problem(object, status, failure)),
        };
        let called = Some(built.summary());
        let values_files = built.values_files.clone();
        let name = built.name.clone();
        let n_dependencies = built.dependencies;
        let artifact = store(shared, object, built).await?;
        if n_dependencies > 0 {
            tracing::info!(object = %key_of(object), "resolved {n_dependencies} chart dependencies");
        }
        status.observed_chart_name = name;
        status.observed_values_files = match object.spec.ignore_missing_values_files {
            true => values_files,
            false => Vec::new(),
        };
        Ok(Produced::New { artifact, called })
    }

    fn stored(&self, artifact: &Artifact, called: Option<&str>) -> Words {
        words(self, artifact, called)
    }

    fn event(&self, artifact: &Artifact, called: Option<&str>, _: bool) -> Words {
        words(self, artifact, called)
    }

    const LATEST: Option<&'static str> = Some("latest.tar.gz");

    fn latest_url(status: &mut HelmChartStatus) -> Option<&mut String> {
        Some(&mut status.url)
    }

    fn listen(shared: &Arc<Shared>, queue: &Queue) {
        let (this, wakes) = (Arc::clone(shared), queue.clone());
        shared.stores.helm_repositories.on_change(move |change: &Change<HelmRepository>| {
            let Some(new) = &change.new else { return };
            let old = change.old.as_deref();
            let revision = match new.spec.is_oci() {
                false => news(old.and_then(artifact), artifact(new)),
                // It has no artifact; what it says of the registry is what its charts hang on.
                true => {
                    let generation = |it: &HelmRepository| it.meta().generation;
                    (old.map(generation) != Some(generation(new))).then_some("")
                }
            };
            wake(&this, &wakes, ChartSourceKind::HelmRepository, &change.key, revision);
        });
        let (this, wakes) = (Arc::clone(shared), queue.clone());
        shared.stores.git_repositories.on_change(move |change: &Change<GitRepository>| {
            let artifact = |it: Option<&GitRepository>| it?.status.as_ref()?.artifact.clone();
            let (old, new) = (artifact(change.old.as_deref()), artifact(change.new.as_deref()));
            let revision = news(old.as_ref(), new.as_ref());
            wake(&this, &wakes, ChartSourceKind::GitRepository, &change.key, revision);
        });
    }
}

/// The revision of a source's artifact, where that is another than it was.
fn news<'a>(old: Option<&Artifact>, new: Option<&'a Artifact>) -> Option<&'a str> {
    new.filter(|new| old != Some(new)).map(|new| new.revision.as_str())
}

/// Wakes the charts of a source that have not seen its `revision`; empty for one that none has seen.
fn wake(
    shared: &Shared,
    queue: &Queue,
    kind: ChartSourceKind,
    source: &Key,
    revision: Option<&str>,
) {
    let Some(revision) = revision else { return };
    let name = match kind {
        ChartSourceKind::GitRepository => GitRepository::KIND,
        _ => HelmRepository::KIND,
    };
    let charts = shared.stores.helm_charts.find(|chart| {
        let reference = &chart.spec.source_ref;
        let seen = chart.status.as_ref().map(|s| s.observed_source_artifact_revision.as_str());
        reference.kind == kind
            && reference.name == *source.name
            && chart.namespace().as_deref() == Some(&*source.namespace)
            && (revision.is_empty() || seen != Some(revision))
    });
    for chart in charts {
        let trigger = Trigger { kind: name, key: source.clone() };
        queue.wake(key_of(chart.as_ref()), Some(trigger));
    }
}

/// What the condition and the event say of a chart: what was done, else what the condition said last.
fn words(chart: &HelmChart, artifact: &Artifact, called: Option<&str>) -> Words {
    let reason = |text: &str| match text.starts_with("packaged ") {
        true => reasons::CHART_PACKAGE_SUCCEEDED,
        false => reasons::CHART_PULL_SUCCEEDED,
    };
    let conditions = chart.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let told = find_condition(conditions, types::ARTIFACT_IN_STORAGE);
    match (called, told) {
        (Some(text), _) => (reason(text), text.to_owned()),
        (None, Some(told)) => (reason(&told.message), told.message.clone()),
        (None, None) => {
            let name = chart.status.as_ref().map(|status| status.observed_chart_name.as_str());
            let text = summary("pulled", name.unwrap_or_default(), &artifact.revision, &[]);
            (reason(&text), text)
        }
    }
}

fn refuse_unsupported(object: &HelmChart) -> Result<(), Problem> {
    let spec = &object.spec;
    if let Some(verify) = &spec.verify {
        let field = format!("spec.verify.provider: {}", verify.provider);
        let instead = "remove spec.verify to pull without a check of signatures";
        return Err(Problem::unsupported(&field, instead).about(types::SOURCE_VERIFIED));
    }
    if spec.source_ref.kind == ChartSourceKind::Bucket {
        let message = "spec.sourceRef.kind: Bucket is not supported yet: keep the chart in a HelmRepository, a registry or a GitRepository";
        return Err(Problem::fetch(reasons::UNSUPPORTED_SOURCE_KIND, message).stalled());
    }
    Ok(())
}

fn artifact(repository: &HelmRepository) -> Option<&Artifact> {
    repository.status.as_ref()?.artifact.as_ref()
}

/// The source, and what it has.
///
/// # Errors
/// It is not there, or has no artifact yet: it waits, and the source's artifact wakes it.
fn find(shared: &Shared, object: &HelmChart) -> Result<ChartSource, Problem> {
    let reference = &object.spec.source_ref;
    let namespace = object.namespace().unwrap_or_default();
    let key = Key::new(&namespace, &reference.name);
    let wait = |reason: &str, message: String| {
        Problem::fetch(reason, message).waiting(shared.options.requeue_dependency)
    };
    let missing = |plural: &str| {
        let message = format!(
            "failed to get source: {plural}.source.toolkit.fluxcd.io \"{}\" not found",
            reference.name
        );
        wait(reasons::SOURCE_UNAVAILABLE, message)
    };
    let no_artifact = || {
        let message =
            format!("no artifact available for {} source '{}'", reference.kind, reference.name);
        wait(reasons::NO_SOURCE_ARTIFACT, message)
    };
    let is_there = |artifact: &Artifact| shared.artifacts.url(artifact).is_some();
    if reference.kind == ChartSourceKind::GitRepository {
        let source = shared.stores.git_repositories.get(&key);
        let source = source.ok_or_else(|| missing("gitrepositories"))?;
        let artifact = source.status.as_ref().and_then(|status| status.artifact.clone());
        return artifact.filter(is_there).map(ChartSource::Git).ok_or_else(no_artifact);
    }
    let source = shared.stores.helm_repositories.get(&key);
    let source = source.ok_or_else(|| missing("helmrepositories"))?;
    if !source.spec.is_oci() && !artifact(&source).is_some_and(is_there) {
        return Err(no_artifact());
    }
    Ok(ChartSource::Repository(source))
}

/// What the spec wants of the chart; `revision` is what the version is stamped with, empty for nothing.
fn options(object: &HelmChart, revision: &str) -> BuildOptions {
    let mut options = BuildOptions {
        values_files: object.spec.values_files.clone(),
        ignore_missing: object.spec.ignore_missing_values_files,
        version_metadata: revision.to_owned(),
    };
    // Other values files make another version, so that consumers notice.
    if !options.values_files().is_empty() {
        if !options.version_metadata.is_empty() {
            options.version_metadata.push('.');
        }
        options.version_metadata += &object.meta().generation.unwrap_or_default().to_string();
    }
    options
}

/// Whether the artifact is the chart `name` at `version`, made with the present spec.
fn is_current(object: &HelmChart, status: &HelmChartStatus, name: &str, version: &str) -> bool {
    object.meta().generation == Some(status.observed_generation)
        && status.observed_chart_name == name
        && status.artifact.as_ref().is_some_and(|artifact| artifact.has_revision(version))
        && is_stored(&status.conditions)
}

/// What a failure says. A chart that was found and is another than the artifact's makes that one outdated.
fn problem(object: &HelmChart, status: &mut HelmChartStatus, failure: Failure) -> Problem {
    let error = match failure {
        Failure::Problem(problem) => return problem,
        Failure::Build(error) => error,
    };
    if let (Some((name, version)), Some(artifact)) = (&error.chart, &status.artifact)
        && !(status.observed_chart_name == *name && artifact.has_revision(version))
    {
        let outdated = Condition::new(
            types::ARTIFACT_OUTDATED,
            ConditionStatus::True,
            reasons::NEW_CHART,
            summary("new", name, version, &[]),
            object.meta().generation.unwrap_or_default(),
        );
        set_condition(&mut status.conditions, outdated, now());
    }
    let message = error.to_string();
    let reason = error.reason.reason();
    let told = Problem::fetch(reason, message);
    let told = if error.reason.is_build() { told.about(types::BUILD_FAILED) } else { told };
    if error.reason.is_persistent() { told.stalled() } else { told }
}

async fn store(
    shared: &Arc<Shared>,
    object: &HelmChart,
    built: Built,
) -> Result<Artifact, Problem> {
    let namespace = object.namespace().unwrap_or_default();
    // The last part of a name with folders in it.
    let name = built.name.rsplit('/').next().unwrap_or_default();
    let filename = format!("{name}-{}.tgz", built.version);
    let path = ArtifactPath::new("HelmChart", &namespace, &object.name_any(), &filename)
        .map_err(|error| Problem::storage(reasons::DIRECTORY_CREATION_FAILED, error.to_string()))?;
    let storage = Arc::clone(shared.artifacts.storage());
    let stored = tokio::task::spawn_blocking(move || {
        storage.store(&path, &built.version, &mut &*built.archive)
    });
    let fail = |error: String| {
        let message = format!("unable to copy Helm chart to storage: {error}");
        Problem::storage(reasons::ARCHIVE_OPERATION_FAILED, message)
    };
    let stored = stored
        .await
        .map_err(|error| fail(error.to_string()))?
        .map_err(|error| fail(chain(&error)))?;
    Ok(to_api(&stored))
}
