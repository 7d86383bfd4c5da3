//! ImagePolicy: the latest of an image's tags.
//!
//! Behaviour: image-reflector-controller v1.2 `internal/controller/imagepolicy_controller.go`. A policy is looked at when
//! its repository's tags change on disk, without waiting for the repository's status to come round.

pub mod choose;

use std::sync::Arc;
use std::time::Duration;

use borax_api::image::{
    ImagePolicy, ImagePolicyStatus, ImageRef, ImageRepository, REFLECTOR_CONTROLLER,
    REFLECTOR_STATUS_MANAGER, ReflectionPolicy, reasons,
};
use borax_api::meta::reasons as common;
use borax_image::policy::Policy;
use borax_object::LabelSelector;
use borax_reconcile::{Key, Outcome, Queue, Reconciler, Trigger, Turn};
use borax_source::oci::Repository;
use kube::ResourceExt;

use self::choose::Digest;
use super::summary::{self, Problem};
use super::tags::Tags;
use super::{access, image, unsupported};
use crate::owned::{Names, Owned};
use crate::shared::{Shared, now};
use crate::store::{Change, key_of};

/// Reconciles ImagePolicies.
pub struct ImagePolicyReconciler {
    shared: Arc<Shared>,
    tags: Arc<Tags>,
    owned: Owned<ImagePolicy>,
}

/// Why there is no latest image.
enum Stop {
    Problem(Problem),
    /// The repository was not scanned yet.
    NoTags,
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl ImagePolicyReconciler {
    /// A reconciler over the shared state of the process.
    pub fn new(shared: Arc<Shared>, tags: Arc<Tags>, labels: Option<LabelSelector>) -> Arc<Self> {
        let names = Names {
            kind: "ImagePolicy",
            controller: REFLECTOR_CONTROLLER,
            manager: REFLECTOR_STATUS_MANAGER,
        };
        let owned = Owned::new(&shared, |stores| &stores.image_policies, names, labels);
        Arc::new(Self { shared, tags, owned })
    }

    /// Wires changes to `queue`: its own, its repository's, and those of the repository's tags.
    pub fn listen(self: &Arc<Self>, queue: &Queue) {
        self.owned.listen(queue);
        let (shared, wakes) = (Arc::clone(&self.shared), queue.clone());
        self.shared.stores.image_repositories.on_change(move |change: &Change<ImageRepository>| {
            let generation = |object: &Option<Arc<ImageRepository>>| {
                object.as_ref().map(|o| o.metadata.generation)
            };
            if generation(&change.old) != generation(&change.new) {
                wake_policies_of(&shared, &change.key, &wakes);
            }
        });
        let (shared, wakes) = (Arc::clone(&self.shared), queue.clone());
        self.tags.on_change(move |repository| wake_policies_of(&shared, repository, &wakes));
    }

    async fn go(&self, key: &Key, object: &ImagePolicy, turn: &Turn) -> Outcome {
        let generation = object.metadata.generation.unwrap_or_default();
        let before = object.status.clone().unwrap_or_default();
        let mut status = before.clone();
        if before.observed_generation != generation || !summary::is_ready(&before.conditions) {
            let message =
                if before.observed_generation != generation && before.observed_generation > 0 {
                    format!(
                        "processing object: new generation {} -> {generation}",
                        before.observed_generation
                    )
                } else {
                    "reconciliation in progress".to_owned()
                };
            summary::progressing(&mut status.conditions, generation, &message, now());
        }
        let latest = self.latest(key, object, &before, turn).await;
        self.report(key, object, &before, status, latest).await
    }

    /// The latest image.
    async fn latest(
        &self,
        key: &Key,
        object: &ImagePolicy,
        status: &ImagePolicyStatus,
        turn: &Turn,
    ) -> Result<ImageRef, Stop> {
        let spec = &object.spec;
        if spec.digest_reflection_policy() == ReflectionPolicy::Always && spec.interval.is_none() {
            let message =
                "spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'";
            return Err(Problem::stalled(reasons::INTERVAL_NOT_CONFIGURED, message).into());
        }
        let place = repository_of(object);
        let repository = self.repository(key, &place).await?;
        let name = &repository.spec.image;
        Repository::from_image(name)
            .map_err(|error| Problem::stalled(reasons::IMAGE_URL_INVALID, error.to_string()))?;
        let policy = Policy::new(&spec.policy, spec.filter_tags.as_ref())
            .map_err(|error| Problem::stalled(reasons::INVALID_POLICY, error.to_string()))?;
        let chosen = self.tags.read(&place, move |tags| {
            let mut choice = policy.choose();
            let mut is_empty = true;
            for tag in tags {
                is_empty = false;
                choice.offer(tag);
            }
            (!is_empty).then(|| choice.latest())
        });
        let chosen = chosen.await.map_err(|error| {
            Problem::new(reasons::FAILURE, format!("failed to read tags from database: {error}"))
        })?;
        let tag = chosen
            .flatten()
            .ok_or(Stop::NoTags)?
            .map_err(|error| Problem::new(reasons::FAILURE, error.to_string()))?;
        let digest = match choose::digest(spec, status, name, &tag) {
            Digest::Known(digest) => digest,
            Digest::Ask => turn.park(self.digest(&repository, &tag)).await?,
        };
        Ok(ImageRef { name: name.clone(), tag, digest })
    }

    async fn repository(&self, key: &Key, place: &Key) -> Result<Arc<ImageRepository>, Problem> {
        let fail = |reason, error: String| {
            Problem::new(reason, format!("failed to get the referred ImageRepository: {error}"))
        };
        let is_elsewhere = place.namespace != key.namespace;
        if self.shared.options.no_cross_namespace_refs && is_elsewhere {
            let error = format!(
                "cannot access 'ImageRepository/{place}', cross-namespace references have been blocked"
            );
            return Err(fail(common::ACCESS_DENIED, error));
        }
        let Some(repository) = self.shared.stores.image_repositories.get(place) else {
            let error = format!(
                "referenced ImageRepository does not exist: ImageRepository.image.toolkit.fluxcd.io {:?} not found",
                &*place.name
            );
            return Err(fail(common::DEPENDENCY_NOT_READY, error));
        };
        access::check(&self.shared.cluster, &key.namespace, place, &repository)
            .await
            .map_err(|problem| fail(problem.reason, problem.message))?;
        Ok(repository)
    }

    /// Asks the registry what a tag points to.
    async fn digest(&self, repository: &ImageRepository, tag: &str) -> Result<String, Problem> {
        let reference = format!("{}:{tag}", repository.spec.image);
        let fail = |error: String| {
            let message = format!("failed fetching digest of {reference}: {error}");
            Problem::new(common::FAILED, message)
        };
        if let Some(message) = unsupported(&repository.spec) {
            return Err(fail(message));
        }
        let image = image(&self.shared, repository).await.map_err(|error| {
            fail(format!("failed to configure authentication options: {error}"))
        })?;
        let _place = self.shared.upstreams.place(image.repository().registry()).await;
        self.shared
            .oci
            .digest(&image, tag)
            .await
            .map_err(|error| fail(format!("failed fetching descriptor for {reference:?}: {error}")))
    }

    async fn report(
        &self,
        key: &Key,
        object: &ImagePolicy,
        before: &ImagePolicyStatus,
        mut status: ImagePolicyStatus,
        latest: Result<ImageRef, Stop>,
    ) -> Outcome {
        let generation = object.metadata.generation.unwrap_or_default();
        let wait = self.shared.options.requeue_dependency;
        let (problem, outcome) = match latest {
            Ok(latest) => {
                choose::observe(&mut status, latest);
                let message = choose::message(&status);
                summary::succeeded(&mut status.conditions, generation, &message, now());
                status.observed_generation = generation;
                (None, object.spec.interval().map_or(Outcome::Done, Outcome::After))
            }
            Err(Stop::NoTags) => {
                let message = format!("retrying in {} error: no tags in database", rounded(wait));
                let problem = Problem::new(common::DEPENDENCY_NOT_READY, message);
                (Some(problem), Outcome::RetryAfter(wait))
            }
            Err(Stop::Problem(problem)) if problem.is_stalled => {
                status.observed_generation = generation;
                (Some(problem), Outcome::Done)
            }
            Err(Stop::Problem(problem)) => (Some(problem), Outcome::Backoff),
        };
        if let Some(problem) = problem {
            tracing::error!(object = %key, kind = "ImagePolicy", reason = problem.reason, "{}", problem.message);
            summary::failed(&mut status.conditions, generation, &problem, now());
        }
        self.owned.ended(object, &before.conditions, status, outcome).await
    }
}

/// The key of the repository that a policy refers to.
fn repository_of(policy: &ImagePolicy) -> Key {
    let reference = &policy.spec.image_repository_ref;
    let own = policy.namespace().unwrap_or_default();
    let namespace = if reference.namespace.is_empty() { &own } else { &reference.namespace };
    Key::new(namespace, &reference.name)
}

fn wake_policies_of(shared: &Shared, repository: &Key, queue: &Queue) {
    for policy in shared.stores.image_policies.find(|policy| repository_of(policy) == *repository) {
        let trigger = Trigger { kind: "ImageRepository", key: repository.clone() };
        queue.wake(key_of(policy.as_ref()), Some(trigger));
    }
}

/// Go's notation, to the second.
fn rounded(wait: Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_millis() >= 500);
    borax_api::meta::Duration::from(Duration::from_secs(seconds)).to_string()
}

impl Reconciler for ImagePolicyReconciler {
    const KIND: &'static str = "imagepolicy";

    async fn reconcile(&self, key: Key, turn: Turn) -> Outcome {
        let (object, _length) = match self.owned.admit(&key).await {
            Ok(admitted) => admitted,
            Err(outcome) => return outcome,
        };
        if object.spec.suspend {
            return self.owned.suspended(&object).await;
        }
        self.go(&key, &object, &turn).await
    }

    async fn panicked(&self, key: Key, message: String) {
        self.owned.panicked(&key, &message).await;
    }
}
