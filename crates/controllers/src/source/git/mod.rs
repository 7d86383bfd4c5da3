//! GitRepository: a commit's files become an artifact.
//!
//! The commit is fetched only when the remote has moved, straight into the archive: no work tree is written.
//!
//! Behaviour: source-controller v1.9 `internal/controller/gitrepository_controller.go`.

mod include;
pub(crate) mod login;
mod verify;

pub use login::AppTokens;

use std::sync::Arc;

use borax_api::meta::Artifact;
use borax_api::meta::reasons::SUCCEEDED;
use borax_api::source::{
    GitProvider, GitRepository, GitRepositorySpec, GitRepositoryStatus, condition_types as types,
    reasons,
};
use borax_artifact::once::Once;
use borax_artifact::path::ArtifactPath;
use borax_source::git::{self, Checkout, FetchRequest, Fetched, Reference, RemoteUrl};
use borax_source::ignore::Rules;
use kube::ResourceExt;
use tokio_util::sync::CancellationToken;

use super::reconciler::is_stored;
use super::summary::Problem;
use super::{Produced, Producer, Words, event_reason};
use crate::artifacts::to_api;
use crate::shared::Shared;

impl Producer for GitRepository {
    async fn produce(
        shared: &Arc<Shared>,
        object: &Self,
        status: &mut GitRepositoryStatus,
    ) -> Result<Produced, Problem> {
        refuse_unsupported(&object.spec)?;
        let url = url(&object.spec)?;
        let login = login::login(shared, object, &url).await?;
        let includes = include::observe(shared, object)?;
        let same_content =
            is_same_content(&object.spec, status) && include::is_same(&includes, status);
        let fixed = verify::is_settled(&object.spec, status);
        let may_skip = same_content && fixed && is_stored(&status.conditions);
        let last = status.artifact.as_ref().map(|artifact| artifact.revision.clone());
        let (key, request) = request(shared, &object.spec, url, login, last.filter(|_| may_skip));
        let fetched = fetch(shared, key, request).await?;
        let Fetched::Checkout(checkout) = &*fetched else { return Ok(Produced::Unchanged) };
        verify::check(shared, object, checkout, status).await?;
        let is_current = status
            .artifact
            .as_ref()
            .is_some_and(|artifact| artifact.has_revision(&checkout.revision));
        if same_content && is_current {
            return Ok(Produced::Unchanged);
        }
        let called = Some(checkout.commit.short_message());
        let artifact = archive(shared, object, checkout.as_ref().clone(), &includes).await?;
        let spec = &object.spec;
        status.included_artifacts = includes.into_iter().map(|include| include.artifact).collect();
        status.observed_ignore.clone_from(&spec.ignore);
        status.observed_recurse_submodules = spec.recurse_submodules;
        status.observed_include.clone_from(&spec.include);
        status.observed_sparse_checkout.clone_from(&spec.sparse_checkout);
        Ok(Produced::New { artifact, called })
    }

    fn stored(&self, artifact: &Artifact, _: Option<&str>) -> Words {
        (SUCCEEDED, format!("stored artifact for revision '{}'", artifact.revision))
    }

    fn event(&self, artifact: &Artifact, called: Option<&str>, is_new: bool) -> Words {
        let called = called.unwrap_or(&artifact.revision);
        (event_reason(is_new), format!("stored artifact for commit '{called}'"))
    }
}

/// Whether nothing in the spec that shapes the artifact differs from what the artifact was made with.
fn is_same_content(spec: &GitRepositorySpec, status: &GitRepositoryStatus) -> bool {
    status.observed_ignore == spec.ignore
        && status.observed_recurse_submodules == spec.recurse_submodules
        && status.observed_include == spec.include
        && status.observed_sparse_checkout == spec.sparse_checkout
}

pub(crate) fn refuse_unsupported(spec: &GitRepositorySpec) -> Result<(), Problem> {
    match spec.provider() {
        GitProvider::Generic | GitProvider::Github => Ok(()),
        GitProvider::Aws | GitProvider::Azure => {
            let field = format!("spec.provider: {}", spec.provider());
            Err(Problem::unsupported(
                &field,
                "give the login in spec.secretRef with the provider generic",
            ))
        }
    }
}

/// What makes two fetches one: the upstream, what is asked of it, and by whom.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FetchKey {
    url: String,
    reference: String,
    last_revision: Option<String>,
    sparse: Vec<String>,
    recurse_submodules: bool,
    login: [u8; 32],
}

/// Fetches that are under way.
pub type Fetches = Once<FetchKey, Result<Arc<Fetched>, Problem>>;

fn url(spec: &GitRepositorySpec) -> Result<RemoteUrl, Problem> {
    RemoteUrl::parse(&spec.url).map_err(|error| {
        let message = format!("failed to parse url '{}': {error}", spec.url);
        Problem::fetch(reasons::URL_INVALID, message).stalled()
    })
}

fn request(
    shared: &Shared,
    spec: &GitRepositorySpec,
    url: RemoteUrl,
    login: login::Login,
    last_revision: Option<String>,
) -> (FetchKey, FetchRequest) {
    let reference = spec.reference.clone().unwrap_or_default();
    let key = FetchKey {
        url: spec.url.clone(),
        reference: format!("{reference:?}"),
        last_revision: last_revision.clone(),
        sparse: spec.sparse_checkout.clone(),
        recurse_submodules: spec.recurse_submodules,
        login: login.fingerprint,
    };
    let request = FetchRequest {
        url,
        reference: Reference {
            branch: reference.branch,
            tag: reference.tag,
            semver: reference.semver,
            name: reference.name,
            commit: reference.commit,
        },
        auth: login.auth,
        proxy: login.proxy,
        last_revision,
        sparse: spec.sparse_checkout.clone(),
        recurse_submodules: spec.recurse_submodules,
        timeout: spec.timeout(),
        limits: git::Limits::default(),
        ssh: git::SshAlgorithms {
            kex: shared.options.ssh_kex_algos.clone(),
            host_key: shared.options.ssh_hostkey_algos.clone(),
        },
    };
    (key, request)
}

/// Fetches off the async threads. Equal fetches that are under way at once are one; a host that answers slowly
/// delays no other.
async fn fetch(
    shared: &Arc<Shared>,
    key: FetchKey,
    request: FetchRequest,
) -> Result<Arc<Fetched>, Problem> {
    let work = || async {
        let _place = shared.upstreams.place(request.url.host()).await;
        let cancel = CancellationToken::new();
        let _stop = cancel.clone().drop_guard();
        let scratch = shared.artifacts.scratch();
        let fetched =
            tokio::task::spawn_blocking(move || git::fetch(&request, &scratch, &cancel)).await;
        let fetched = fetched
            .map_err(|error| Problem::fetch(reasons::GIT_OPERATION_FAILED, error.to_string()))?;
        fetched.map(Arc::new).map_err(|error| Problem::fetch(error.reason(), error.message()))
    };
    shared.git_fetches.run(key, work).await
}

async fn archive(
    shared: &Arc<Shared>,
    object: &GitRepository,
    checkout: Checkout,
    includes: &[include::Include],
) -> Result<Artifact, Problem> {
    let namespace = object.namespace().unwrap_or_default();
    let filename = format!("{}.tar.gz", checkout.commit.hash);
    let path = ArtifactPath::new("GitRepository", &namespace, &object.name_any(), &filename)
        .map_err(|error| Problem::storage(reasons::DIRECTORY_CREATION_FAILED, error.to_string()))?;
    let includes = include::open(shared, includes).await?;
    let storage = Arc::clone(shared.artifacts.storage());
    let ignore = object.spec.ignore.clone();
    let archived = tokio::task::spawn_blocking(move || {
        let files = checkout.ignore_files().map_err(|error| {
            let message = format!("failed to load source ignore patterns from repository: {error}");
            Problem::fetch(reasons::SOURCE_IGNORE_ERROR, message)
                .about(types::STORAGE_OPERATION_FAILED)
        })?;
        let rules = Rules::new(files, ignore.as_deref());
        let revision = checkout.revision.clone();
        let stored = if includes.is_empty() {
            storage.archive(&path, &revision, &mut checkout.tree(&rules))
        } else {
            include::archive(&storage, &path, &revision, &checkout, &rules, &includes)?
        };
        stored.map_err(|error| {
            let message = format!(
                "unable to archive artifact to storage: {}",
                borax_artifact::error::chain(&error)
            );
            Problem::storage(reasons::ARCHIVE_OPERATION_FAILED, message)
        })
    });
    let archived = archived.await.map_err(|error| {
        Problem::storage(
            reasons::ARCHIVE_OPERATION_FAILED,
            format!("the archive broke off: {error}"),
        )
    })??;
    Ok(to_api(&archived))
}
