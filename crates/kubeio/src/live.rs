//! What lives in the cluster of what we manage: a compact record per object, kept by one watch per kind that is
//! started when the kind is first applied.
//!
//! Objects are read whole from the watch and dropped at once: kept are a resource version, a fingerprint, a status and
//! the owner's name. So health is waited for and drift is noticed without asking the server.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use borax_apply::{Fingerprint, Known, Takeover, Written};
use borax_health::{Checks, Status};
use borax_object::{Gvk, ObjectId, Value, meta};
use jiff::Timestamp;
use tokio::sync::{Notify, broadcast, watch};

use crate::cluster::{Cluster, WeakCluster};
use crate::request::{RequestError, encode};
use crate::watch::{self as watching, Abort, Sink, Through};

/// How long [`Live::cover`] waits for a kind's first list.
const FIRST_LIST: Duration = Duration::from_secs(10);

/// What is kept of one live object.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The resource version, as a number; 0 where it is none.
    pub version: u64,
    /// The uid.
    pub uid: Box<str>,
    /// What matters for applying it again.
    pub fingerprint: Fingerprint,
    /// How far it is, by the built-in rules.
    pub status: Status,
    /// When the passing of time alone makes it fail.
    pub due: Option<Timestamp>,
    /// Name and namespace of the owner, from its labels.
    pub owner: Option<(Arc<str>, Arc<str>)>,
}

impl Record {
    /// Whether `cluster`'s user may know of it without asking the server.
    fn is_known_to(&self, cluster: &Cluster) -> bool {
        let owner = self.owner.as_ref();
        owner.map_or(cluster.user().is_none(), |(_, namespace)| cluster.may_know_of(namespace))
    }
}

/// An object is no longer as its owner left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The owner's name.
    pub owner_name: Arc<str>,
    /// The owner's namespace.
    pub owner_namespace: Arc<str>,
    /// The object.
    pub id: ObjectId,
}

/// Someone who waits for changes of some objects.
pub(crate) struct Waiter {
    pub(crate) notify: Notify,
    pub(crate) checks: Arc<Checks>,
    /// Statuses by the waiter's own expressions, which need the whole object.
    pub(crate) custom: Mutex<HashMap<ObjectId, Status>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum KindState {
    Starting,
    Synced,
    Broken,
}

struct KindWatch {
    state: watch::Receiver<KindState>,
    kick: Arc<Notify>,
    _task: Abort,
}

#[derive(Default)]
struct State {
    records: HashMap<ObjectId, Record>,
    written: HashMap<ObjectId, Written>,
    waiters: HashMap<ObjectId, Vec<Arc<Waiter>>>,
    kinds: HashMap<Gvk, KindWatch>,
}

struct Shared {
    state: Mutex<State>,
    drift: broadcast::Sender<Drift>,
    takeover: Takeover,
    /// The labels with the owner's name and namespace.
    labels: (String, String),
}

/// The store of live objects of one cluster. Cheap to clone.
#[derive(Clone)]
pub struct Live {
    shared: Arc<Shared>,
    cluster: WeakCluster,
}

impl Live {
    /// An empty store for objects labelled by owners of `takeover`'s group.
    pub fn new(cluster: &Cluster, takeover: Takeover) -> Self {
        let (drift, _) = broadcast::channel(4_096);
        let labels = (format!("{}/name", takeover.group), format!("{}/namespace", takeover.group));
        let shared = Shared { state: Mutex::default(), drift, takeover, labels };
        Self { shared: Arc::new(shared), cluster: cluster.downgrade() }
    }

    /// How objects are taken over, and whose fields are ours.
    pub fn takeover(&self) -> &Takeover {
        &self.shared.takeover
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// What is known of an object. `None` when it is not there, not labelled, or its kind is not covered.
    pub fn get(&self, id: &ObjectId) -> Option<Record> {
        self.state().records.get(id).cloned()
    }

    /// What is known of an object that `cluster`'s user may know of.
    pub(crate) fn seen_by(&self, cluster: &Cluster, id: &ObjectId) -> Option<Record> {
        self.get(id).filter(|record| record.is_known_to(cluster))
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.state().records.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What `cluster`'s user may know of an object for planning. `live` is only told while its kind's watch runs.
    pub fn known(&self, cluster: &Cluster, gvk: &Gvk, id: &ObjectId) -> Known {
        let state = self.state();
        let synced =
            state.kinds.get(gvk).is_some_and(|kind| *kind.state.borrow() == KindState::Synced);
        Known {
            live: state
                .records
                .get(id)
                .filter(|record| synced && record.is_known_to(cluster))
                .map(|record| record.fingerprint),
            written: state.written.get(id).copied(),
        }
    }

    /// Whether a watch of this kind runs.
    pub fn covers(&self, gvk: &Gvk) -> bool {
        self.state().kinds.get(gvk).is_some_and(|kind| *kind.state.borrow() == KindState::Synced)
    }

    /// Whether a watch of the object's kind runs, in whatever version: then the store hears of every change.
    pub(crate) fn is_followed(&self, id: &ObjectId) -> bool {
        let state = self.state();
        state.kinds.iter().any(|(gvk, kind)| {
            gvk.group == id.group
                && gvk.kind == id.kind
                && *kind.state.borrow() == KindState::Synced
        })
    }

    /// Starts watches of kinds that have none, and waits for their first list. A kind that is not served, can't be
    /// watched or may not be watched is left out: its objects then cost requests.
    pub async fn cover(&self, gvks: impl IntoIterator<Item = Gvk>) {
        let Some(cluster) = self.cluster.upgrade() else { return };
        let wanted: HashSet<Gvk> = gvks.into_iter().collect();
        let mut starting = Vec::new();
        let mut sorted: Vec<Gvk> = wanted.into_iter().collect();
        sorted.sort();
        for gvk in sorted {
            let running = self
                .state()
                .kinds
                .get(&gvk)
                .map(|kind| (kind.state.clone(), Arc::clone(&kind.kick)));
            if let Some((state, kick)) = running {
                match state.borrow().clone() {
                    KindState::Synced => continue,
                    // Someone cares again: maybe rights were granted, or the kind is served again.
                    KindState::Broken => {
                        kick.notify_one();
                        continue;
                    }
                    KindState::Starting => {}
                }
                starting.push(state);
                continue;
            }
            let Ok(resource) = cluster.discovery().resolve(&cluster, &gvk).await else { continue };
            if resource.watchable {
                starting.push(self.start(&gvk, resource.path("", None)));
            }
        }
        let all = async {
            for mut state in starting {
                let _ = state.wait_for(|state| *state != KindState::Starting).await;
            }
        };
        let _ = tokio::time::timeout(FIRST_LIST, all).await;
    }

    fn start(&self, gvk: &Gvk, path: String) -> watch::Receiver<KindState> {
        let mut state = self.state();
        if let Some(kind) = state.kinds.get(gvk) {
            return kind.state.clone();
        }
        let (sender, receiver) = watch::channel(KindState::Starting);
        let sink = KindSink {
            shared: Arc::clone(&self.shared),
            gvk: gvk.clone(),
            state: sender,
            listing: None,
        };
        let kick = Arc::new(Notify::new());
        let selector = format!("labelSelector={}", encode(&self.shared.labels.0));
        let run = watching::run(
            Through::Weak(self.cluster.clone()),
            path,
            selector,
            Arc::clone(&kick),
            sink,
        );
        let task = Abort(tokio::spawn(run));
        state.kinds.insert(gvk.clone(), KindWatch { state: receiver.clone(), kick, _task: task });
        receiver
    }

    /// Every time an object that we wrote is no longer as we left it. A receiver that is too slow is told so
    /// (`Lagged`): then any object may have drifted.
    pub fn drift(&self) -> broadcast::Receiver<Drift> {
        self.shared.drift.subscribe()
    }

    /// Announces that these objects are about to be written: what the watch now says of them is no drift.
    pub(crate) fn writing(&self, id: &ObjectId) {
        self.state().written.remove(id);
    }

    /// Takes in the server's answer to a write, before the watch brings it.
    pub(crate) fn observe(&self, object: &Value) {
        self.shared.observe(object, false);
    }

    /// Remembers what was wanted of an object that is now as wanted, with the fingerprint it had then.
    pub(crate) fn settle(&self, id: &ObjectId, written: Written) {
        let mut state = self.state();
        let record = state.records.get(id);
        let drifted = record.filter(|record| !written.fingerprint.still_holds(&record.fingerprint));
        if let Some((owner_name, owner_namespace)) = drifted.and_then(|record| record.owner.clone())
        {
            let _ = self.shared.drift.send(Drift { owner_name, owner_namespace, id: id.clone() });
        }
        state.written.insert(id.clone(), written);
    }

    /// Forgets an object that we have deleted, or no longer care for.
    pub(crate) fn forget(&self, id: &ObjectId) {
        self.state().written.remove(id);
    }

    pub(crate) fn register(&self, waiter: &Arc<Waiter>, ids: &[ObjectId]) {
        let mut state = self.state();
        for id in ids {
            state.waiters.entry(id.clone()).or_default().push(Arc::clone(waiter));
        }
    }

    pub(crate) fn unregister(&self, waiter: &Arc<Waiter>, ids: &[ObjectId]) {
        let mut state = self.state();
        for id in ids {
            if let Some(list) = state.waiters.get_mut(id) {
                list.retain(|other| !Arc::ptr_eq(other, waiter));
                if list.is_empty() {
                    state.waiters.remove(id);
                }
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observe(&self, object: &Value, deleted: bool) {
        let id = ObjectId::of(object);
        let version = meta::resource_version(object).parse().unwrap_or(0);
        // Everything that costs time is done outside of the lock.
        let record = (!deleted).then(|| self.record(object, version));
        let mut state = self.lock();
        if state.records.get(&id).is_some_and(|known| version != 0 && known.version > version) {
            return;
        }
        for waiter in state.waiters.get(&id).into_iter().flatten() {
            let covered = waiter.checks.covers(&id.group_kind());
            if covered && !deleted {
                let status = waiter.checks.compute(object, Timestamp::now());
                waiter
                    .custom
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(id.clone(), status);
            } else if covered {
                waiter.custom.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            }
        }
        self.put(&mut state, &id, record);
    }

    fn record(&self, object: &Value, version: u64) -> Record {
        let owner = meta::label(object, &self.labels.0).zip(meta::label(object, &self.labels.1));
        Record {
            version,
            uid: meta::uid(object).into(),
            fingerprint: Fingerprint::of(object, &self.takeover),
            status: borax_health::compute(object, Timestamp::now()),
            due: borax_health::due(object),
            owner: owner.map(|(name, namespace)| (name.into(), namespace.into())),
        }
    }

    /// Replaces a record and tells those who care: waiters of every change, owners of drift.
    fn put(&self, state: &mut State, id: &ObjectId, record: Option<Record>) {
        let before = match record.clone() {
            Some(record) => state.records.insert(id.clone(), record),
            None => state.records.remove(id),
        };
        if let Some(written) = state.written.get(id) {
            let holds = |record: &Record| written.fingerprint.still_holds(&record.fingerprint);
            let owner = before.as_ref().or(record.as_ref()).and_then(|record| record.owner.clone());
            let held = before.as_ref().is_none_or(holds);
            if held
                && !record.as_ref().is_some_and(holds)
                && let Some((owner_name, owner_namespace)) = owner
            {
                let _ = self.drift.send(Drift { owner_name, owner_namespace, id: id.clone() });
            }
        }
        for waiter in state.waiters.get(id).into_iter().flatten() {
            waiter.notify.notify_one();
        }
    }
}

/// Feeds one kind's watch into the store.
struct KindSink {
    shared: Arc<Shared>,
    gvk: Gvk,
    state: watch::Sender<KindState>,
    /// What the list under way has named.
    listing: Option<HashSet<ObjectId>>,
}

impl KindSink {
    fn gone(&self, may_go: impl Fn(&ObjectId, &Record) -> bool) {
        let mut state = self.shared.lock();
        let of_kind = |id: &ObjectId| id.group == self.gvk.group && id.kind == self.gvk.kind;
        let mut gone: Vec<ObjectId> = state
            .records
            .iter()
            .filter(|(id, record)| of_kind(id) && may_go(id, record))
            .map(|(id, _)| id.clone())
            .collect();
        gone.sort();
        for id in gone {
            self.shared.put(&mut state, &id, None);
        }
    }
}

impl Sink for KindSink {
    fn restart(&mut self) {
        self.listing = Some(HashSet::new());
    }

    fn object(&mut self, object: &Value, deleted: bool) {
        if let Some(listing) = &mut self.listing {
            listing.insert(ObjectId::of(object));
        }
        self.shared.observe(object, deleted);
    }

    fn listed(&mut self, version: &str) {
        let named = self.listing.take().unwrap_or_default();
        let version: u64 = version.parse().unwrap_or(u64::MAX);
        // What was written after the list was made is not in it, and yet there.
        self.gone(|id, record| !named.contains(id) && record.version <= version);
        self.state.send_replace(KindState::Synced);
    }

    fn failed(&mut self, error: &RequestError) {
        if error.is_transient() {
            tracing::debug!(kind = %self.gvk.group_kind(), %error, "watch interrupted");
            if *self.state.borrow() == KindState::Starting {
                self.state.send_replace(KindState::Broken);
            }
            return;
        }
        tracing::warn!(kind = %self.gvk.group_kind(), %error, "kind can't be watched, its objects cost requests");
        self.listing = None;
        self.state.send_replace(KindState::Broken);
        self.gone(|_, _| true);
    }
}
