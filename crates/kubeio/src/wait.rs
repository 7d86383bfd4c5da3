//! Waiting for health, by watch (fluxcd/pkg `ssa/manager_wait.go`, without its poll).

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use borax_health::{Checks, State, Status};
use borax_object::ObjectId;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::follow::{Own, follow_one, read_whole};
use crate::live::{Live, Waiter};
use crate::pods;
use crate::watch::Abort;

/// How to wait.
#[derive(Clone, Debug)]
pub struct WaitOptions {
    /// How long.
    pub timeout: Duration,
    /// Give up as soon as one object has failed, not only when none can change any more.
    pub fail_fast: bool,
    /// Jobs that vanish when they are done (`spec.ttlSecondsAfterFinished`): their absence is success.
    pub jobs_with_ttl: Vec<ObjectId>,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60), fail_fast: true, jobs_with_ttl: Vec::new() }
    }
}

/// Why objects did not become healthy. Displayed in Flux's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// Some were not ready in time.
    #[error("timeout waiting for: [{}]", .0.join(", "))]
    Timeout(Vec<String>),
    /// Some have failed.
    #[error("failed early due to stalled resources: [{}]", .0.join(", "))]
    Failed(Vec<String>),
    /// An object did not go away in time.
    #[error("{0} termination timeout: context deadline exceeded")]
    Termination(ObjectId),
}

/// Where the status of one object comes from.
enum Origin {
    /// The shared store.
    Store,
    /// Followed by itself.
    Own(Arc<Mutex<Own>>),
}

impl Live {
    /// Waits until every object is healthy.
    ///
    /// Flow: objects in the store whose kind is watched are followed there, all others by themselves with the rights of
    /// `cluster`; every change of one of them is judged at once. What another tenant applied counts as not in the
    /// store. Where the kind's watch ends for good meanwhile, its objects are followed by themselves from then on.
    ///
    /// Guarantees: no request is made for an object in the store, but one to read it whole where `checks` has an
    /// expression for its kind.
    ///
    /// # Errors
    /// [`WaitError::Timeout`]; [`WaitError::Failed`] when all that is not healthy has failed, or one has and
    /// `fail_fast` is set.
    pub async fn wait_healthy(
        &self,
        cluster: &Cluster,
        ids: &[ObjectId],
        checks: Arc<Checks>,
        options: &WaitOptions,
    ) -> Result<(), WaitError> {
        let deadline = Instant::now() + options.timeout;
        let waiter = Arc::new(Waiter { notify: Notify::new(), checks, custom: Mutex::default() });
        self.register(&waiter, ids);
        let _registered = Registered { live: self, waiter: &waiter, ids };
        let mut origins: Vec<(&ObjectId, Origin)> = Vec::with_capacity(ids.len());
        let mut tasks: Vec<Abort> = Vec::new();
        let mut failed_pods: BTreeMap<&ObjectId, Arc<AtomicUsize>> = BTreeMap::new();
        for id in ids {
            if pods::decide_about(id) && !waiter.checks.covers(&id.group_kind()) {
                let failed = Arc::clone(failed_pods.entry(id).or_default());
                let follow = pods::follow(cluster.clone(), id.clone(), Arc::clone(&waiter), failed);
                tasks.push(Abort(tokio::spawn(follow)));
            }
            let origin = self.origin(cluster, id, &waiter, &mut tasks);
            origins.push((id, origin));
        }
        loop {
            for (id, origin) in &mut origins {
                let lost = matches!(origin, Origin::Store) && self.seen_by(cluster, id).is_none();
                if lost && !self.is_followed(id) {
                    *origin = self.origin(cluster, id, &waiter, &mut tasks);
                }
            }
            let now = Timestamp::now();
            let mut next_due: Option<Timestamp> = None;
            let statuses: Vec<(&ObjectId, Option<Status>)> = origins
                .iter()
                .map(|(id, origin)| {
                    let (status, due) = self.status(cluster, id, origin, &waiter);
                    let in_progress = status.as_ref().is_some_and(|s| s.state == State::InProgress);
                    let failed =
                        failed_pods.get(*id).map_or(0, |failed| failed.load(Ordering::Relaxed));
                    if in_progress && failed > 0 {
                        return (
                            *id,
                            Some(Status::new(State::Failed, format!("{failed} pods have failed"))),
                        );
                    }
                    let pending = due.filter(|_| in_progress);
                    match pending {
                        Some(due) if due <= now => {
                            (*id, Some(Status::new(State::Failed, "Pod could not be scheduled")))
                        }
                        Some(due) => {
                            next_due = next_due.into_iter().chain([due]).min();
                            (*id, status)
                        }
                        None => (*id, status),
                    }
                })
                .collect();
            match verdict(&statuses, options) {
                Verdict::Healthy => return Ok(()),
                Verdict::Stalled => {
                    return Err(WaitError::Failed(describe(&statuses, options, false)));
                }
                Verdict::Wait => {}
            }
            let due = next_due.and_then(|at| at.duration_since(now).try_into().ok());
            let wake = due.map_or(deadline, |wait: Duration| deadline.min(Instant::now() + wait));
            tokio::select! {
                () = waiter.notify.notified() => {}
                () = tokio::time::sleep_until(wake) => {
                    if Instant::now() >= deadline {
                        return Err(WaitError::Timeout(describe(&statuses, options, true)));
                    }
                }
            }
        }
    }

    /// Decides where an object's status comes from, and starts what it needs.
    fn origin(
        &self,
        cluster: &Cluster,
        id: &ObjectId,
        waiter: &Arc<Waiter>,
        tasks: &mut Vec<Abort>,
    ) -> Origin {
        // A record of a kind that is not watched is what our last write was answered with: it stays as it is.
        if self.is_followed(id) && self.seen_by(cluster, id).is_some() {
            if waiter.checks.covers(&id.group_kind()) {
                let read = read_whole(cluster.clone(), id.clone(), Arc::clone(waiter));
                tasks.push(Abort(tokio::spawn(read)));
            }
            return Origin::Store;
        }
        let own = Arc::new(Mutex::new(Own::default()));
        let follow = follow_one(cluster.clone(), id.clone(), Arc::clone(waiter), Arc::clone(&own));
        tasks.push(Abort(tokio::spawn(follow)));
        Origin::Own(own)
    }

    fn status(
        &self,
        cluster: &Cluster,
        id: &ObjectId,
        origin: &Origin,
        waiter: &Waiter,
    ) -> (Option<Status>, Option<Timestamp>) {
        match origin {
            Origin::Own(own) => {
                let own = own.lock().unwrap_or_else(PoisonError::into_inner);
                (own.status.clone(), own.due)
            }
            Origin::Store => {
                let Some(record) = self.seen_by(cluster, id) else {
                    return (Some(Status::not_found()), None);
                };
                if waiter.checks.covers(&id.group_kind()) {
                    return (
                        waiter
                            .custom
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get(id)
                            .cloned(),
                        None,
                    );
                }
                (Some(record.status), record.due)
            }
        }
    }
}

/// Takes the waiter out of the store, also when the wait is given up.
struct Registered<'a> {
    live: &'a Live,
    waiter: &'a Arc<Waiter>,
    ids: &'a [ObjectId],
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.live.unregister(self.waiter, self.ids);
    }
}

enum Verdict {
    Healthy,
    Stalled,
    Wait,
}

/// Flux's rule for when a wait is over.
fn verdict(statuses: &[(&ObjectId, Option<Status>)], options: &WaitOptions) -> Verdict {
    let jobs: HashSet<&ObjectId> = options.jobs_with_ttl.iter().collect();
    let states = statuses.iter().map(|(id, status)| {
        match status.as_ref().map_or(State::Unknown, |s| s.state) {
            State::NotFound if jobs.contains(id) => State::Current,
            state => state,
        }
    });
    let mut counts: BTreeMap<State, usize> = BTreeMap::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    let count = |state| counts.get(&state).copied().unwrap_or(0);
    let (current, failed) = (count(State::Current), count(State::Failed));
    if current == statuses.len() {
        Verdict::Healthy
    } else if (options.fail_fast && failed > 0) || current + failed == statuses.len() {
        Verdict::Stalled
    } else {
        Verdict::Wait
    }
}

fn describe(
    statuses: &[(&ObjectId, Option<Status>)],
    options: &WaitOptions,
    timed_out: bool,
) -> Vec<String> {
    let gone = |id: &ObjectId| options.jobs_with_ttl.contains(id);
    let line = |(id, status): &(&ObjectId, Option<Status>)| match status {
        None if gone(id) => None,
        None => Some(format!("can't determine status for {id}")),
        Some(status) if status.state == State::NotFound && gone(id) => None,
        Some(status)
            if status.state == State::Failed || (timed_out && status.state != State::Current) =>
        {
            let cause = match status.state {
                State::Unknown if !status.message.is_empty() => format!(": {}", status.message),
                _ => String::new(),
            };
            Some(format!("{id} status: '{}'{cause}", status.state))
        }
        Some(_) => None,
    };
    statuses.iter().filter_map(line).collect()
}
