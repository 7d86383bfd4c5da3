//! The loops of a process: watches that feed the stores, controllers that serve their queues, wired together.

use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use borax_api::helm::HelmRelease;
use borax_api::image::{ImagePolicy, ImageRepository, ImageUpdateAutomation};
use borax_api::kustomize::{Kustomization, ValuesKind};
use borax_api::source::{
    Bucket, ExternalArtifact, GitRepository, HelmChart, HelmRepository, OCIRepository,
};
use borax_kubeio::Drift;
use borax_object::LabelSelector;
use borax_reconcile::{Controller, Key, Limits, Queue, Reconciler};
use futures::{Stream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::broadcast::Receiver;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::configs::Known;
use crate::consumers::{Consumer, Consumers};
use crate::helm_release::HelmReleaseReconciler;
use crate::image::automation::AutomationReconciler;
use crate::image::policy::ImagePolicyReconciler;
use crate::image::repository::ImageRepositoryReconciler;
use crate::image::tags::Tags;
use crate::kustomization::KustomizationReconciler;
use crate::shared::Shared;
use crate::source::Producer;
use crate::source::reconciler::SourceReconciler;

/// A group of controllers, as `--controllers` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// GitRepository, OCIRepository, HelmRepository, HelmChart.
    Source,
    /// Kustomization.
    Kustomize,
    /// HelmRelease.
    Helm,
    /// ImageUpdateAutomation.
    ImageAutomation,
    /// ImageRepository, ImagePolicy.
    ImageReflector,
}

impl Group {
    /// All that exist.
    pub const ALL: [Self; 5] =
        [Self::Source, Self::Kustomize, Self::Helm, Self::ImageReflector, Self::ImageAutomation];
}

/// A name that is no group of controllers, or one that does not exist yet.
#[derive(Debug, thiserror::Error)]
#[error("--controllers: {0}")]
pub struct UnknownGroup(String);

impl FromStr for Group {
    type Err = UnknownGroup;

    fn from_str(name: &str) -> Result<Self, UnknownGroup> {
        match name {
            "source" => Ok(Self::Source),
            "kustomize" => Ok(Self::Kustomize),
            "helm" => Ok(Self::Helm),
            "image-reflector" => Ok(Self::ImageReflector),
            "image-automation" => Ok(Self::ImageAutomation),
            "notification" => Err(UnknownGroup(format!(
                "{name:?} does not exist yet; there are source, kustomize, helm, image-reflector, image-automation"
            ))),
            other => Err(UnknownGroup(format!(
                "{other:?} is none of source, kustomize, helm, image-reflector, image-automation, notification"
            ))),
        }
    }
}

/// Which objects are watched.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// One namespace only (`--watch-all-namespaces=false`); all when absent.
    pub namespace: Option<String>,
    /// Only objects with these labels are reconciled (`--watch-label-selector`); sources are found whatever their
    /// labels.
    pub labels: Option<LabelSelector>,
    /// ConfigMaps and Secrets with these labels wake their readers (`--watch-configs-label-selector`); all when empty.
    pub config_labels: String,
}

/// How long running reconciliations get to end when the process stops.
const GRACE: Duration = Duration::from_secs(4);

/// The loops of a process, as they are being started.
struct Loops<'a> {
    set: JoinSet<()>,
    shared: Arc<Shared>,
    scope: &'a Scope,
    shutdown: CancellationToken,
    /// Who is told of changed ConfigMaps and Secrets.
    readers: Vec<Reader>,
}

type Reader = Box<dyn Fn(ValuesKind, &Key) + Send + Sync>;

/// Runs the controllers of `groups` until `shutdown`.
///
/// # Errors
/// One of the loops panicked; the others were ended, for they can't do without it.
pub async fn run(
    shared: Arc<Shared>,
    groups: &[Group],
    scope: &Scope,
    shutdown: CancellationToken,
) -> Result<(), JoinError> {
    let mut loops = Loops { set: JoinSet::new(), shared, scope, shutdown, readers: Vec::new() };
    if groups.contains(&Group::Source) {
        loops.source::<GitRepository>();
        loops.source::<OCIRepository>();
        loops.source::<HelmRepository>();
        loops.source::<HelmChart>();
    }
    if groups.contains(&Group::Kustomize) {
        loops.kustomize();
    }
    if groups.contains(&Group::Helm) {
        loops.helm();
    }
    if groups.contains(&Group::ImageAutomation) {
        loops.image_automation();
    }
    if groups.contains(&Group::ImageReflector) {
        loops.images();
    }
    loops.watches(groups);
    loops.configs();
    let mut failure = None;
    while let Some(ended) = loops.set.join_next().await {
        if let Err(error) = ended {
            loops.shutdown.cancel();
            failure.get_or_insert(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

impl Loops<'_> {
    fn source<K: Producer>(&mut self) {
        let reconciler =
            SourceReconciler::<K>::new(Arc::clone(&self.shared), self.scope.labels.clone());
        let queue = self.controller(Arc::clone(&reconciler));
        reconciler.listen(&queue);
    }

    fn kustomize(&mut self) {
        let reconciler =
            KustomizationReconciler::new(Arc::clone(&self.shared), self.scope.labels.clone());
        let queue = self.controller(Arc::clone(&reconciler));
        reconciler.listen(&queue);
        let drifts = self.shared.cluster.live().drift();
        self.consumers(reconciler.consumers(), drifts, queue);
    }

    fn helm(&mut self) {
        let reconciler =
            HelmReleaseReconciler::new(Arc::clone(&self.shared), self.scope.labels.clone());
        let queue = self.controller(Arc::clone(&reconciler));
        reconciler.listen(&queue);
        let drifts = self.shared.cluster.live_releases().drift();
        self.consumers(reconciler.consumers(), drifts, queue);
    }

    /// Wires drift of what a kind's objects made, and the ConfigMaps and Secrets they read, to `queue`.
    fn consumers<K: Consumer>(
        &mut self,
        consumers: &Arc<Consumers<K>>,
        drifts: Receiver<Drift>,
        queue: Queue,
    ) {
        self.spawn(Arc::clone(consumers).follow_drift(drifts, queue.clone()));
        let consumers = Arc::clone(consumers);
        self.readers.push(Box::new(move |kind, key| consumers.config_changed(kind, key, &queue)));
    }

    fn image_automation(&mut self) {
        let reconciler =
            AutomationReconciler::new(Arc::clone(&self.shared), self.scope.labels.clone());
        let queue = self.controller(Arc::clone(&reconciler));
        reconciler.listen(&queue);
    }

    fn images(&mut self) {
        let shared = Arc::clone(&self.shared);
        // Whoever chose the group opened the database.
        let Some(tags) = shared.tags.clone() else { return };
        let labels = self.scope.labels.clone();
        let repositories =
            ImageRepositoryReconciler::new(Arc::clone(&shared), Arc::clone(&tags), labels.clone());
        let queue = self.controller(Arc::clone(&repositories));
        repositories.listen(&queue);
        let policies = ImagePolicyReconciler::new(Arc::clone(&shared), Arc::clone(&tags), labels);
        let queue = self.controller(Arc::clone(&policies));
        policies.listen(&queue);
        self.spawn(async move {
            shared.stores.synced().await;
            tidy_tags(&shared, &tags).await;
        });
    }

    fn controller<R: Reconciler>(&mut self, reconciler: Arc<R>) -> Queue {
        let options = &self.shared.options;
        let limits = Limits { concurrency: options.concurrent, backoff: options.backoff };
        let (controller, queue) =
            Controller::new(reconciler, limits, Arc::clone(&self.shared.metrics));
        let (shared, shutdown) = (Arc::clone(&self.shared), self.shutdown.clone());
        self.set.spawn(async move {
            // Decisions rest on what the stores hold, so none is made before they are full.
            tokio::select! {
                () = shared.stores.synced() => controller.run(shutdown, GRACE).await,
                () = shutdown.cancelled() => {}
            }
        });
        queue
    }

    fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.set.spawn(async move {
            tokio::select! {
                () = work => {}
                () = shutdown.cancelled() => {}
            }
        });
    }

    /// Watches the kinds that someone asks for: the others may not be readable at all.
    fn watches(&mut self, groups: &[Group]) {
        macro_rules! follow {
            ($store:ident, $kind:ty, $($group:ident)|+) => {{
                let shared = Arc::clone(&self.shared);
                if groups.iter().any(|group| matches!(group, $(Group::$group)|+)) {
                    let api = api::<DeserializeGuard<$kind>>(&self.shared, self.scope);
                    self.spawn(async move { shared.stores.$store.follow(objects(api)).await });
                } else {
                    shared.stores.$store.leave_empty();
                }
            }};
        }
        follow!(kustomizations, Kustomization, Kustomize);
        follow!(helm_releases, HelmRelease, Helm);
        follow!(git_repositories, GitRepository, Source | Kustomize | ImageAutomation);
        follow!(oci_repositories, OCIRepository, Source | Kustomize | Helm);
        follow!(helm_repositories, HelmRepository, Source);
        follow!(helm_charts, HelmChart, Source | Helm);
        follow!(external_artifacts, ExternalArtifact, Kustomize | Helm);
        follow!(buckets, Bucket, Kustomize);
        follow!(image_repositories, ImageRepository, ImageReflector);
        follow!(image_policies, ImagePolicy, ImageReflector | ImageAutomation);
        follow!(image_update_automations, ImageUpdateAutomation, ImageAutomation);
    }

    /// Watches the ConfigMaps and Secrets that someone may read, once for all readers.
    fn configs(&mut self) {
        let readers: Arc<[Reader]> = std::mem::take(&mut self.readers).into();
        if readers.is_empty() || self.shared.options.gates.disable_config_watchers {
            return;
        }
        let tell = |kind: ValuesKind| {
            let readers = Arc::clone(&readers);
            move |key: &Key| readers.iter().for_each(|reader| reader(kind, key))
        };
        self.config::<ConfigMap>(tell(ValuesKind::ConfigMap));
        self.config::<Secret>(tell(ValuesKind::Secret));
    }

    /// Watches the chosen ConfigMaps or Secrets, metadata only, and tells their keys.
    fn config<K>(&mut self, changed: impl Fn(&Key) + Send + 'static)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug
            + Send
            + 'static,
    {
        let config = watcher::Config::default().labels(&self.scope.config_labels);
        let api = api::<PartialObjectMeta<K>>(&self.shared, self.scope);
        let events = watch(api, config).default_backoff();
        self.spawn(async move {
            futures::pin_mut!(events);
            let mut known = Known::default();
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => known.take(event).iter().for_each(&changed),
                    Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "the watch broke; it starts over"),
                }
            }
        });
    }
}

fn api<K>(shared: &Shared, scope: &Scope) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match &scope.namespace {
        Some(namespace) => Api::namespaced(shared.cluster.client(), namespace),
        None => Api::all(shared.cluster.client()),
    }
}

/// The changes of one kind. Objects that are no valid resource of the kind are logged and left out, so that one
/// of them does not stop the others.
fn objects<K>(api: Api<DeserializeGuard<K>>) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + 'static,
{
    watch(api, watcher::Config::default()).default_backoff().filter_map(|event| async move {
        let valid = |object: DeserializeGuard<K>| match object.0 {
            Ok(mut object) => {
                // Nobody reads them, and they are a third of an object's size.
                object.meta_mut().managed_fields = None;
                Some(object)
            }
            Err(error) => {
                let (kind, name) = (K::kind(&()), error.metadata.name.unwrap_or_default());
                tracing::error!(%kind, name, error = error.error, "an object is no valid resource and is left alone");
                None
            }
        };
        match event {
            Ok(Event::Apply(object)) => valid(object).map(Event::Apply).map(Ok),
            Ok(Event::InitApply(object)) => valid(object).map(Event::InitApply).map(Ok),
            Ok(Event::Delete(object)) => valid(object).map(Event::Delete).map(Ok),
            Ok(Event::Init) => Some(Ok(Event::Init)),
            Ok(Event::InitDone) => Some(Ok(Event::InitDone)),
            Err(error) => Some(Err(error)),
        }
    })
}

/// Forgets the tags of ImageRepositories that are gone, at the start and every `--gc-interval`.
async fn tidy_tags(shared: &Arc<Shared>, tags: &Tags) {
    loop {
        let known = Arc::clone(shared);
        let is_known = move |repository: &str| {
            let parts = repository.split_once('/').unwrap_or_default();
            known.stores.image_repositories.get(&Key::new(parts.0, parts.1)).is_some()
        };
        if let Err(error) = tags.retain(is_known).await {
            tracing::warn!(error, "the tags of ImageRepositories that are gone stay");
        }
        match shared.options.gc_interval {
            Duration::ZERO => return,
            interval => tokio::time::sleep(interval).await,
        }
    }
}
