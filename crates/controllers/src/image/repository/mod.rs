//! ImageRepository: the tags of an image are scanned at an interval.
//!
//! Behaviour: image-reflector-controller v1.2 `internal/controller/imagerepository_controller.go`. Two repositories of
//! the same image with the same credentials and exclusion list share a scan that is younger than their interval.

pub mod due;

use std::sync::Arc;
use std::time::Duration;

use borax_api::image::{
    ImageRepository, ImageRepositoryStatus, REFLECTOR_CONTROLLER, REFLECTOR_STATUS_MANAGER,
    ScanResult, reasons,
};
use borax_api::meta::reconcile_request;
use borax_golang::regexp;
use borax_object::LabelSelector;
use borax_reconcile::{Key, Outcome, Queue, Reconciler, Turn};
use borax_source::oci::{Image, Repository};
use jiff::Timestamp;
use kube::ResourceExt;

use self::due::{Due, Reason, due};
use super::summary::{self, Problem};
use super::tags::{Scanned, Tags};
use super::{image, unsupported};
use crate::owned::{Names, Owned};
use crate::shared::{Shared, now};

/// Reconciles ImageRepositories.
pub struct ImageRepositoryReconciler {
    shared: Arc<Shared>,
    tags: Arc<Tags>,
    owned: Owned<ImageRepository>,
}

/// A scan that did not come about, and how long the registry asks to be left alone.
struct Failed {
    problem: Problem,
    retry_after: Option<Duration>,
}

impl Failed {
    fn scan(error: impl std::fmt::Display) -> Self {
        let message = format!("scan failed: {error}");
        Self { problem: Problem::new(reasons::READ_OPERATION_FAILED, message), retry_after: None }
    }
}

/// What one turn came to.
enum Looked {
    Scanned(Scanned),
    /// It is not time yet; the last scan stands.
    NotDue,
}

impl ImageRepositoryReconciler {
    /// A reconciler over the shared state of the process.
    pub fn new(shared: Arc<Shared>, tags: Arc<Tags>, labels: Option<LabelSelector>) -> Arc<Self> {
        let names = Names {
            kind: "ImageRepository",
            controller: REFLECTOR_CONTROLLER,
            manager: REFLECTOR_STATUS_MANAGER,
        };
        let owned = Owned::new(&shared, |stores| &stores.image_repositories, names, labels);
        Arc::new(Self { shared, tags, owned })
    }

    /// Wires the store's changes to `queue`: its own spec, annotation and deletion.
    pub fn listen(self: &Arc<Self>, queue: &Queue) {
        self.owned.listen(queue);
    }

    async fn finalize(&self, key: &Key, object: &ImageRepository) -> Outcome {
        if let Err(error) = self.tags.forget(key).await {
            tracing::error!(object = %key, error, "the tags of a deleted ImageRepository stay");
            return Outcome::Backoff;
        }
        self.owned.let_go(object).await
    }

    async fn go(&self, key: &Key, object: &ImageRepository, turn: &Turn) -> Outcome {
        let generation = object.metadata.generation.unwrap_or_default();
        let before = object.status.clone().unwrap_or_default();
        let mut status = before.clone();
        let repository = match check(object) {
            Ok(repository) => repository,
            Err(problem) => {
                let failed = Failed { problem, retry_after: None };
                return self.report(key, object, &before, status, Err(failed)).await;
            }
        };
        let canonical = repository.to_string();
        let has_tags = match self.tags.has_any(key).await {
            Ok(has_tags) => has_tags,
            Err(error) => {
                let message = format!("failed to determine if it's scan time: {error}");
                let problem = Problem::new(reasons::FAILURE, message);
                let failed = Failed { problem, retry_after: None };
                return self.report(key, object, &before, status, Err(failed)).await;
            }
        };
        let is_requested =
            reconcile_request(object.annotations(), &before.last_handled_reconcile_at).is_some();
        let mut due =
            due(&object.spec, &before, &canonical, is_requested, has_tags, Timestamp::now());
        // A scan that failed is tried again; Flux takes the last good one for success meanwhile.
        if matches!(due, Due::In(_)) && !summary::is_ready(&before.conditions) {
            due = Due::Now(Reason::Interval);
        }
        if before.observed_generation != generation || !summary::is_ready(&before.conditions) {
            let message = match due {
                _ if before.observed_generation != generation && before.observed_generation > 0 => {
                    format!(
                        "processing object: new generation {} -> {generation}",
                        before.observed_generation
                    )
                }
                Due::Now(reason) => format!("scanning: {}", reason.text()),
                Due::In(_) => "reconciliation in progress".to_owned(),
            };
            summary::progressing(&mut status.conditions, generation, &message, now());
            // A repository that keeps failing says why it fails, not that it starts over.
            let is_new = before.observed_generation != generation && before.conditions.is_empty();
            if is_new && let Err(outcome) = self.owned.status(object, &status).await {
                return outcome;
            }
        }
        let looked = match due {
            Due::In(_) => Ok(Looked::NotDue),
            Due::Now(reason) => {
                turn.park(self.scan(key, object, &repository, reason)).await.map(Looked::Scanned)
            }
        };
        if looked.is_ok() {
            status.canonical_image_name = canonical;
            status.observed_exclusion_list =
                object.spec.exclusion_list().into_iter().map(str::to_owned).collect();
        }
        self.report(key, object, &before, status, looked).await
    }

    /// Asks the registry, unless someone else has lately.
    async fn scan(
        &self,
        key: &Key,
        object: &ImageRepository,
        repository: &Repository,
        reason: Reason,
    ) -> Result<Scanned, Failed> {
        let image = image(&self.shared, object).await.map_err(|error| {
            let message = format!("failed to configure authentication options: {error}");
            let problem = Problem::new(reasons::AUTHENTICATION_FAILED, message);
            Failed { problem, retry_after: None }
        })?;
        let exclusions = object.spec.exclusion_list();
        let patterns = exclusions.iter().map(|pattern| {
            regexp::compile(pattern).map_err(|error| {
                Failed::scan(format!("failed to compile regex {pattern}: {error}"))
            })
        });
        let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
        let identity = identity(&image, &exclusions);
        if reason != Reason::Requested {
            let interval: Duration = object.spec.interval.into();
            let since = Timestamp::now().checked_sub(interval).unwrap_or(Timestamp::UNIX_EPOCH);
            let shared = self.tags.share(key, &identity, since).await;
            if let Some(scanned) = shared.map_err(Failed::scan)? {
                return Ok(scanned);
            }
        }
        let started = Timestamp::now();
        let _place = self.shared.upstreams.place(repository.registry()).await;
        let found =
            self.shared.oci.tags(&image).await.map_err(|error| Failed {
                retry_after: error.retry_after(),
                ..Failed::scan(error)
            })?;
        let is_wanted =
            |tag: &&String| !patterns.iter().any(|pattern| pattern.is_match(tag.as_bytes()));
        let wanted = found.iter().filter(is_wanted).cloned().collect();
        drop(found);
        self.tags.record(key, &identity, wanted, started).await.map_err(|error| {
            Failed::scan(format!("failed to set tags for {:?}: {error}", repository.to_string()))
        })
    }

    async fn report(
        &self,
        key: &Key,
        object: &ImageRepository,
        before: &ImageRepositoryStatus,
        mut status: ImageRepositoryStatus,
        looked: Result<Looked, Failed>,
    ) -> Outcome {
        let generation = object.metadata.generation.unwrap_or_default();
        let outcome = match looked {
            Ok(looked) => {
                if let Looked::Scanned(scanned) = looked {
                    status.last_scan_result = Some(ScanResult {
                        revision: scanned.checksum,
                        tag_count: i64::try_from(scanned.count).unwrap_or(i64::MAX),
                        scan_time: Some(scanned.at.into()),
                        latest_tags: scanned.latest,
                    });
                }
                let last = status.last_scan_result.clone().unwrap_or_default();
                let message = format!(
                    "successful scan: found {} tags with checksum {}",
                    last.tag_count, last.revision
                );
                summary::succeeded(&mut status.conditions, generation, &message, now());
                status.observed_generation = generation;
                Outcome::After(next(object, &status))
            }
            Err(Failed { problem, retry_after }) => {
                tracing::error!(object = %key, kind = "ImageRepository", reason = problem.reason, "{}", problem.message);
                summary::failed(&mut status.conditions, generation, &problem, now());
                if problem.is_stalled {
                    status.observed_generation = generation;
                }
                match retry_after {
                    _ if problem.is_stalled => Outcome::Done,
                    Some(pause) => Outcome::RetryAfter(pause.max(self.shared.options.backoff.min)),
                    None => Outcome::Backoff,
                }
            }
        };
        self.owned.ended(object, &before.conditions, status, outcome).await
    }
}

/// The repository to scan, or what is wrong with the spec.
fn check(object: &ImageRepository) -> Result<Repository, Problem> {
    if let Some(message) = unsupported(&object.spec) {
        let reason = borax_api::source::reasons::INVALID_PROVIDER_CONFIGURATION;
        return Err(Problem::stalled(reason, message));
    }
    Repository::from_image(&object.spec.image)
        .map_err(|error| Problem::stalled(reasons::IMAGE_URL_INVALID, error.to_string()))
}

/// Names what is scanned, with which credentials, and what is left out.
fn identity(image: &Image, exclusions: &[&str]) -> String {
    let list: Vec<String> = exclusions.iter().map(|pattern| format!("{pattern:?}")).collect();
    format!("{} {}", image.identity(), list.join(","))
}

/// How long until the next scan.
fn next(object: &ImageRepository, status: &ImageRepositoryStatus) -> Duration {
    let interval: Duration = object.spec.interval.into();
    let scanned = status.last_scan_result.as_ref().and_then(|last| last.scan_time);
    let passed = scanned.map(|time| Timestamp::now().duration_since(time.0));
    let passed = passed.and_then(|passed| Duration::try_from(passed).ok()).unwrap_or_default();
    interval.saturating_sub(passed)
}

impl Reconciler for ImageRepositoryReconciler {
    const KIND: &'static str = "imagerepository";

    async fn reconcile(&self, key: Key, turn: Turn) -> Outcome {
        let Some((object, _length)) = self.owned.begin(&key) else { return Outcome::Forget };
        if object.metadata.deletion_timestamp.is_some() {
            return self.finalize(&key, &object).await;
        }
        if let Err(outcome) = self.owned.add_finalizer(&object).await {
            return outcome;
        }
        if object.spec.suspend {
            return self.owned.suspended(&object).await;
        }
        self.go(&key, &object, &turn).await
    }

    async fn panicked(&self, key: Key, message: String) {
        self.owned.panicked(&key, &message).await;
    }
}
