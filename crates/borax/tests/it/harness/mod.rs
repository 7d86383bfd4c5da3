//! A world for a story: a real control plane with Flux's CRDs, a Git server, and the real binary running on them.
//!
//! [`World`] puts the parts together, [`Borax`] is the process, [`Kube`] asks the API server and waits on what it
//! tells. They know nothing of the stories.

mod app;
mod borax;
mod charts;
mod kube;
mod timeline;
mod trees;

use std::cell::RefCell;
use std::path::Path;
use std::sync::OnceLock;

use borax_testkit::cluster::{self, ControlPlane, Options};
use borax_testkit::git::{HttpOptions, HttpServer, Repositories, Repository};
use tokio::sync::{Semaphore, SemaphorePermit};

pub(crate) use self::app::App;
pub(crate) use self::borax::Borax;
pub(crate) use self::charts::{
    CONFIG, Release, VALUES, chart, helm, helm_release, is_released, oci_repository,
};
pub(crate) use self::kube::{Kube, Ref, conditions, message, ready, reason, revision, status_of};
pub(crate) use self::timeline::Timeline;
pub(crate) use self::trees::{commit_tree, files_below, project, substituted};

/// A control plane with Flux's CRDs, a Git server and Borax.
pub(crate) struct World {
    // Before the control plane: it is told to go first.
    pub(crate) borax: Borax,
    pub(crate) plane: ControlPlane,
    pub(crate) server: HttpServer,
    pub(crate) repositories: Repositories,
}

/// How a world differs from the usual one.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// Keep an audit log.
    pub(crate) audit: bool,
    /// Further flags of `borax run`.
    pub(crate) flags: &'a [&'a str],
    /// `--storage-path=...`, where it is not the usual folder.
    pub(crate) storage: Option<&'a str>,
    /// It measures time: no other story runs meanwhile.
    pub(crate) quiet: bool,
}

/// More places than there are tests.
const PLACES: u32 = 1_000;

/// Every story has a place; one that measures has all of them.
static STORIES: Semaphore = Semaphore::const_new(PLACES as usize);

thread_local! {
    /// The story of this thread has a place as long as the thread lives, which is as long as its test runs.
    static PLACE: RefCell<Option<SemaphorePermit<'static>>> = const { RefCell::new(None) };
}

/// Waits for the running story's place.
async fn take_place(quiet: bool) {
    if PLACE.with_borrow(Option::is_none) {
        let places = if quiet { PLACES } else { 1 };
        let place = STORIES.acquire_many(places).await.expect("it is never closed");
        PLACE.set(Some(place));
    }
}

impl World {
    /// Starts everything and returns when Borax is ready; `None` after saying that the test is skipped.
    pub(crate) async fn start(setup: Setup<'_>) -> Option<Self> {
        take_place(setup.quiet).await;
        let plane = cluster::own(Options { audit: setup.audit, ..Options::default() })?;
        Kube::connect(&plane.kubeconfig(), None).await.install_crds().await;
        let repositories = Repositories::new();
        let server = HttpServer::start(repositories.root(), HttpOptions::default());
        let borax = Borax::start(&plane.kubeconfig(), setup.flags, setup.storage).await;
        Some(Self { borax, plane, server, repositories })
    }

    /// The world that the stories which break nothing share; each makes namespaces of its own in it.
    pub(crate) async fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<World>> = OnceLock::new();
        static LOCK: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        take_place(false).await;
        let _one = LOCK.lock().await;
        if SHARED.get().is_none() {
            let world = Self::start(Setup::default()).await;
            assert!(SHARED.set(world).is_ok(), "the lock is held");
        }
        SHARED.get().and_then(Option::as_ref)
    }

    /// A client for the running test; clients belong to the runtime they are made in.
    pub(crate) async fn kube(&self) -> Kube {
        Kube::connect(&self.plane.kubeconfig(), Some(self.borax.log())).await
    }

    /// A new repository with these files on its branch main.
    pub(crate) fn repository(&self, name: &str, files: &[(&str, &str)]) -> Repository {
        let repository = self.repositories.create(name);
        repository.commit("main", files);
        repository
    }

    /// Where a repository is served.
    pub(crate) fn url(&self, repository: &Repository) -> String {
        self.server.url(repository.name())
    }
}

/// The manifest of a GitRepository that is looked at only when asked.
pub(crate) fn git_repository(namespace: &str, name: &str, url: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata:\n  name: {name}\n  namespace: {namespace}\n\
         spec:\n  interval: 1h\n  url: {url}\n  ref:\n    branch: main\n---\n"
    )
}

/// The manifest of a Kustomization; `more` goes into its spec (indented by two).
pub(crate) fn kustomization(
    namespace: &str,
    name: &str,
    source: &str,
    path: &str,
    more: &str,
) -> String {
    let more: String = more.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  name: {name}\n  namespace: {namespace}\n\
         spec:\n  interval: 1h\n  retryInterval: 1h\n  prune: true\n  path: {path}\n  sourceRef:\n    kind: GitRepository\n    name: {source}\n{more}---\n"
    )
}

/// The manifest of a namespace.
pub(crate) fn namespace(name: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n---\n")
}

/// The manifest of a ConfigMap with one value.
pub(crate) fn config_map(name: &str, key: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  {key}: \"{value}\"\n"
    )
}

/// The last lines of a file.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
