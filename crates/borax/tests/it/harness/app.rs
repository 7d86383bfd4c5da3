//! The usual subject of a story: a namespace, a repository, a source and a Kustomization on it.

use borax_testkit::git::{Change, Repository};

use super::{Kube, Ref, World, git_repository, kustomization, message, namespace, status_of};

/// A namespace with a source `app` and a Kustomization `app` on a repository of its own.
pub(crate) struct App<'w> {
    pub(crate) world: &'w World,
    pub(crate) kube: Kube,
    pub(crate) repository: Repository,
    pub(crate) namespace: String,
    pub(crate) source: Ref,
    pub(crate) kustomization: Ref,
}

impl<'w> App<'w> {
    /// Sets it up in the shared world on these files and waits until they are applied.
    pub(crate) async fn start(name: &str, files: &[(&str, &str)], more: &str) -> Option<App<'w>> {
        let more = format!("targetNamespace: {name}\n{more}");
        let app = App::place(World::shared().await?, name, files, &more).await;
        let head = app.repository.hash("main");
        app.kube.until_ready(&app.kustomization, &head).await;
        Some(app)
    }

    /// Sets it up on these files; `more` is all that its spec has beside source and path.
    pub(crate) async fn place(
        world: &'w World,
        name: &str,
        files: &[(&str, &str)],
        more: &str,
    ) -> App<'w> {
        let kube = world.kube().await;
        let repository = world.repository(&format!("{name}.git"), files);
        let manifests = [
            namespace(name),
            git_repository(name, "app", &world.url(&repository)),
            kustomization(name, "app", "app", "./", more),
        ];
        kube.apply(&manifests.concat()).await;
        App::at(world, name, &repository).await
    }

    /// What was placed before, to go on with.
    pub(crate) async fn at(world: &'w World, name: &str, repository: &Repository) -> App<'w> {
        App {
            world,
            kube: world.kube().await,
            namespace: name.to_owned(),
            source: Ref::git(name, "app"),
            kustomization: Ref::kustomization(name, "app"),
            repository: repository.clone(),
        }
    }

    /// Waits until its Ready condition is False for a reason, and returns the message.
    pub(crate) async fn until_failed(&self, reason: &str) -> String {
        let object = self
            .kube
            .until_some(&format!("it fails with {reason}"), &self.kustomization, |object| {
                status_of(object, "Ready") == Some("False")
                    && super::reason(object, "Ready") == reason
            })
            .await;
        message(&object, "Ready").to_owned()
    }

    pub(crate) fn config_map(&self, name: &str) -> Ref {
        Ref::config_map(&self.namespace, name)
    }

    /// Commits changes, asks the source to look, and returns the commit.
    pub(crate) async fn push(&self, changes: &[(&str, Change<'_>)]) -> String {
        let commit =
            self.repository.commit_changes("refs/heads/main", changes, "A change\n", 1_700_000_100);
        self.kube.request(&self.source).await;
        commit
    }
}
