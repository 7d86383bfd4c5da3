//! Single objects: one followed until its wait is over, one followed until it is gone. By watch where the rights reach;
//! read every few seconds where they allow reading alone, as Flux reads (its waits only ever need `get`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use borax_health::{State, Status};
use borax_object::{ObjectId, Value, meta};
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::cluster::Cluster;
use crate::discovery::Resource;
use crate::live::Waiter;
use crate::request::{RequestError, encode};
use crate::wait::WaitError;
use crate::watch::{self as watching, Sink, Through};

/// How often an object is read that can't be watched: Flux's own interval.
const POLL: Duration = Duration::from_secs(5);

/// What is known of an object that is followed by itself.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) status: Option<Status>,
    pub(crate) due: Option<Timestamp>,
}

/// Reads an object of the store whole, once, for expressions; later changes come from the watch.
pub(crate) async fn read_whole(cluster: Cluster, id: ObjectId, waiter: Arc<Waiter>) {
    let read = async {
        let resource = cluster
            .discovery()
            .resolve_kind(&cluster, &id.group_kind())
            .await
            .map_err(|e| e.to_string())?;
        let path = resource.path(&id.namespace, Some(&id.name));
        cluster.get(&path).await.map_err(|e| e.to_string())
    };
    let status = match read.await {
        Ok(object) => waiter.checks.compute(&object, Timestamp::now()),
        Err(cause) => Status::new(State::Unknown, cause),
    };
    // A change that came in meanwhile is newer than what was read.
    waiter.custom.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_insert(status);
    waiter.notify.notify_one();
}

/// Follows one object by a watch of its own; where that is refused, by reading it again and again.
pub(crate) async fn follow_one(
    cluster: Cluster,
    id: ObjectId,
    waiter: Arc<Waiter>,
    own: Arc<Mutex<Own>>,
) {
    let report = |status: Status| {
        own.lock().unwrap_or_else(PoisonError::into_inner).status = Some(status);
        waiter.notify.notify_one();
    };
    let resource = loop {
        match cluster.discovery().resolve_kind(&cluster, &id.group_kind()).await {
            Ok(resource) => break resource,
            Err(error) => {
                report(Status::new(State::Unknown, error.to_string()));
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    };
    let (path, selector) = one(&resource, &id);
    let refused = Arc::new(Notify::new());
    let sink = OneSink {
        id: id.clone(),
        waiter: Arc::clone(&waiter),
        own: Arc::clone(&own),
        seen: false,
        refused: Arc::clone(&refused),
    };
    let kick = Arc::new(Notify::new());
    tokio::select! {
        () = watching::run(Through::Strong(cluster.clone()), path, selector, kick, sink) => return,
        () = refused.notified() => {}
    }
    let path = resource.path(&id.namespace, Some(&id.name));
    loop {
        let (status, due) = match cluster.get(&path).await {
            Ok(object) => {
                let status = waiter.checks.compute(&object, Timestamp::now());
                (Some(status), borax_health::due(&object))
            }
            Err(error) if error.is_not_found() && !error.is_unknown_path() => {
                (Some(Status::not_found()), None)
            }
            Err(error) if error.is_transient() => (None, None),
            Err(error) => (Some(Status::new(State::Unknown, error.to_string())), None),
        };
        if let Some(status) = status {
            *own.lock().unwrap_or_else(PoisonError::into_inner) = Own { status: Some(status), due };
            waiter.notify.notify_one();
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Path and selector of a watch of one object.
fn one(resource: &Resource, id: &ObjectId) -> (String, String) {
    (
        resource.path(&id.namespace, None),
        format!("fieldSelector={}", encode(&format!("metadata.name={}", id.name))),
    )
}

struct OneSink {
    id: ObjectId,
    waiter: Arc<Waiter>,
    own: Arc<Mutex<Own>>,
    seen: bool,
    refused: Arc<Notify>,
}

impl OneSink {
    fn set(&self, status: Status, due: Option<Timestamp>) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) =
            Own { status: Some(status), due };
        self.waiter.notify.notify_one();
    }
}

impl Sink for OneSink {
    fn restart(&mut self) {
        self.seen = false;
    }

    fn object(&mut self, object: &Value, deleted: bool) {
        if meta::name(object) != self.id.name {
            return;
        }
        self.seen = !deleted;
        if deleted {
            self.set(Status::not_found(), None);
        } else {
            self.set(
                self.waiter.checks.compute(object, Timestamp::now()),
                borax_health::due(object),
            );
        }
    }

    fn listed(&mut self, _: &str) {
        if !self.seen {
            self.set(Status::not_found(), None);
        }
    }

    fn failed(&mut self, error: &RequestError) {
        if !error.is_transient() {
            self.refused.notify_one();
        }
    }
}

/// Waits until one object is gone; with `uid`, until that incarnation of it is. By watch; where that is refused, by
/// reading it again and again.
///
/// # Errors
/// The time is over.
pub(crate) async fn gone(
    cluster: &Cluster,
    resource: &Resource,
    id: &ObjectId,
    uid: Option<&str>,
    timeout: Duration,
) -> Result<(), WaitError> {
    let (path, selector) = one(resource, id);
    let (done, refused) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let sink = GoneSink {
        uid: uid.map(str::to_owned),
        name: id.name.clone(),
        seen: false,
        done: Arc::clone(&done),
        refused: Arc::clone(&refused),
    };
    let through = Through::Strong(cluster.clone());
    let run = watching::run(through, path, selector, Arc::new(Notify::new()), sink);
    let wait = async {
        tokio::select! {
            () = run => return,
            () = done.notified() => return,
            () = refused.notified() => {}
        }
        let path = resource.path(&id.namespace, Some(&id.name));
        loop {
            match cluster.get(&path).await {
                Ok(object) if uid.is_some_and(|uid| uid != meta::uid(&object)) => return,
                Err(error) if error.is_not_found() => return,
                Ok(_) | Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    };
    // On the heap: a watch is a large future, and this one is part of many others.
    let bounded = tokio::time::timeout(timeout, Box::pin(wait));
    bounded.await.map_err(|_| WaitError::Termination(id.clone()))
}

struct GoneSink {
    uid: Option<String>,
    name: String,
    seen: bool,
    done: Arc<Notify>,
    refused: Arc<Notify>,
}

impl Sink for GoneSink {
    fn restart(&mut self) {
        self.seen = false;
    }

    fn object(&mut self, object: &Value, deleted: bool) {
        if meta::name(object) != self.name {
            return;
        }
        let other = self.uid.as_deref().is_some_and(|uid| uid != meta::uid(object));
        if deleted || other {
            self.done.notify_one();
        } else {
            self.seen = true;
        }
    }

    fn listed(&mut self, _: &str) {
        if !self.seen {
            self.done.notify_one();
        }
    }

    fn failed(&mut self, error: &RequestError) {
        // A kind that is no longer served has no objects.
        if error.is_unknown_path() {
            self.done.notify_one();
        } else if !error.is_transient() {
            self.refused.notify_one();
        }
    }
}
