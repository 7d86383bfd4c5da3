//! `spec.include`: contents of other GitRepositories that become part of this one's artifact.

use std::sync::Arc;

use borax_api::meta::Artifact;
use borax_api::source::{GitRepository, GitRepositoryStatus, condition_types as types, reasons};
use borax_artifact::path::ArtifactPath;
use borax_artifact::tree::{TreeError, TreeSink, TreeSource};
use borax_artifact::unpacked::UnpackedTree;
use borax_artifact::{ArtifactError, Storage};
use borax_reconcile::Key;
use borax_source::git::Checkout;
use borax_source::ignore::Rules;
use kube::ResourceExt;

use super::super::summary::Problem;
use crate::shared::Shared;

/// One include: whose artifact, and where from and to.
#[derive(Clone, Debug)]
pub(super) struct Include {
    pub(super) name: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) artifact: Artifact,
}

/// Finds the artifacts of all includes.
///
/// # Errors
/// One is not there, or has no artifact yet: it waits.
pub(super) fn observe(shared: &Shared, object: &GitRepository) -> Result<Vec<Include>, Problem> {
    let namespace = object.namespace().unwrap_or_default();
    let wait = |reason: &str, message: String| {
        Problem::fetch(reason, message)
            .about(types::INCLUDE_UNAVAILABLE)
            .waiting(shared.options.requeue_dependency)
    };
    let find = |include: &borax_api::source::GitRepositoryInclude| {
        let name = &include.repository.name;
        let Some(other) = shared.stores.git_repositories.get(&Key::new(&namespace, name)) else {
            let kind = "GitRepository.source.toolkit.fluxcd.io";
            let message =
                format!("could not get resource for include '{name}': {kind} \"{name}\" not found");
            return Err(wait(reasons::NOT_FOUND, message));
        };
        let Some(artifact) = other.status.as_ref().and_then(|status| status.artifact.clone())
        else {
            return Err(wait(
                reasons::NO_ARTIFACT,
                format!("no artifact available for include '{name}'"),
            ));
        };
        let (from, to) = (include.from_path.clone(), include.to_path().to_owned());
        Ok(Include { name: name.clone(), from, to, artifact })
    };
    object.spec.include.iter().map(find).collect()
}

/// Whether the includes are those that the artifact was made with.
pub(super) fn is_same(includes: &[Include], status: &GitRepositoryStatus) -> bool {
    let same = |(include, old): (&Include, &Artifact)| {
        include.artifact.has_revision(&old.revision) && include.artifact.has_digest(&old.digest)
    };
    includes.len() == status.included_artifacts.len()
        && includes.iter().zip(&status.included_artifacts).all(same)
}

/// An include with its files at hand.
pub(super) struct Opened {
    include: Include,
    files: Arc<UnpackedTree>,
}

/// Opens the artifacts of all includes.
pub(super) async fn open(
    shared: &Arc<Shared>,
    includes: &[Include],
) -> Result<Vec<Opened>, Problem> {
    let mut opened = Vec::with_capacity(includes.len());
    for include in includes {
        let files = shared.artifacts.open(&include.artifact).await.map_err(|error| {
            let message = format!(
                "failed to copy '{}' include from {} to {}: {error}",
                include.name, include.from, include.to
            );
            Problem::storage(reasons::COPY_FAILURE, message)
        })?;
        opened.push(Opened { include: include.clone(), files });
    }
    Ok(opened)
}

/// Archives the checkout with the includes laid over it.
///
/// # Errors
/// The outer error is an include that can't be laid over, the inner one the storage's.
pub(super) fn archive(
    storage: &Storage,
    path: &ArtifactPath,
    revision: &str,
    checkout: &Checkout,
    rules: &Rules,
    includes: &[Opened],
) -> Result<Result<borax_artifact::Artifact, ArtifactError>, Problem> {
    let mut staging = match storage.stage() {
        Ok(staging) => staging,
        Err(error) => return Ok(Err(error)),
    };
    let lay = |error: TreeError| {
        Problem::storage(reasons::COPY_FAILURE, borax_artifact::error::chain(&error))
    };
    checkout.tree(rules).emit(&mut staging).map_err(lay)?;
    for opened in includes {
        let Include { name, from, to, .. } = &opened.include;
        staging.add_tree(to, &opened.files, from).map_err(|error| {
            let cause = borax_artifact::error::chain(&error);
            let message = format!("failed to copy '{name}' include from {from} to {to}: {cause}");
            Problem::storage(reasons::COPY_FAILURE, message)
        })?;
    }
    let tree = staging.finish().map_err(|error| {
        Problem::storage(
            reasons::ARCHIVE_OPERATION_FAILED,
            format!("unable to archive artifact to storage: {error}"),
        )
    })?;
    // The ignore rules hold for what was included, too.
    let skip = |path: &[u8], is_dir: bool| rules.excludes(&String::from_utf8_lossy(path), is_dir);
    Ok(storage.archive(path, revision, &mut Walk(tree.walk().without(&skip))))
}

struct Walk<'a>(borax_artifact::unpacked::TreeWalk<'a>);

impl TreeSource for Walk<'_> {
    fn emit(&mut self, sink: &mut dyn TreeSink) -> Result<(), TreeError> {
        self.0.emit(sink)
    }
}
