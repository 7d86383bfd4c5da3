//! Kubernetes events on Flux objects, as client-go's recorder writes them: core `v1` Events, repeated ones counted up,
//! floods combined and then held back (client-go `tools/record/events_cache.go`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use borax_object::{Value, meta};
use http::Method;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::request::{RequestError, encode};
use crate::watch::Abort;

/// How many events may wait to be sent; more are dropped.
const QUEUE: usize = 1_000;
/// How many different events are remembered for counting.
const REMEMBERED: usize = 4_096;
/// How long an event is remembered for counting.
const MEMORY: Duration = Duration::from_secs(600);
/// Different messages of one reason after which they are combined.
const MAX_SIMILAR: usize = 10;
/// Events per object at once, and seconds until one more may follow.
const BURST: (f64, f64) = (25.0, 300.0);
/// The prefix of annotations that go from an object to its events.
const EVENT_GROUP: &str = "event.toolkit.fluxcd.io/";

/// Whether an event is good or bad news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// As it should be.
    Normal,
    /// An error.
    Warning,
}

impl EventKind {
    fn text(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectRef {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// Its annotations under `event.toolkit.fluxcd.io/`, which its events carry too.
    pub annotations: BTreeMap<String, String>,
}

impl ObjectRef {
    /// Of an object.
    pub fn of(object: &Value) -> Self {
        let annotations = meta::annotations(object).into_iter().flatten();
        let annotations = annotations.filter(|(key, _)| key.starts_with(EVENT_GROUP));
        Self {
            api_version: meta::api_version(object).to_owned(),
            kind: meta::kind(object).to_owned(),
            namespace: meta::namespace(object).to_owned(),
            name: meta::name(object).to_owned(),
            uid: meta::uid(object).to_owned(),
            resource_version: meta::resource_version(object).to_owned(),
            annotations: annotations
                .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
                .collect(),
        }
    }
}

struct Event {
    about: ObjectRef,
    kind: EventKind,
    reason: String,
    message: String,
    annotations: BTreeMap<String, String>,
    at: Timestamp,
}

enum Message {
    Event(Box<Event>),
    Flush(oneshot::Sender<()>),
}

/// Sends events in the background, in order. Cheap to clone; ends when the last clone is dropped.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<Message>,
    _task: Arc<Abort>,
}

impl Events {
    /// `component` is the reporting controller, such as `kustomize-controller`.
    pub fn new(cluster: &Cluster, component: &str) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let sender = Sender {
            cluster: cluster.as_self(),
            component: component.to_owned(),
            seen: HashMap::new(),
            similar: HashMap::new(),
            budgets: HashMap::new(),
        };
        Self { queue, _task: Arc::new(Abort(tokio::spawn(sender.run(receiver)))) }
    }

    /// Queues an event. Never waits: when the queue is full the event is dropped, and the log says so.
    pub fn emit(
        &self,
        about: &ObjectRef,
        kind: EventKind,
        reason: &str,
        message: &str,
        annotations: BTreeMap<String, String>,
    ) {
        let mut all = annotations;
        all.extend(about.annotations.clone());
        let event = Event {
            about: about.clone(),
            kind,
            reason: reason.to_owned(),
            message: message.to_owned(),
            annotations: all,
            at: Timestamp::now(),
        };
        if self.queue.try_send(Message::Event(Box::new(event))).is_err() {
            tracing::warn!(kind = %about.kind, namespace = %about.namespace, name = %about.name, reason,
                           "event dropped: too many are waiting to be sent");
        }
    }

    /// Waits until everything queued so far was sent, or refused: before a graceful stop.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            // An error means that the sender is gone, and nothing is left to wait for.
            let _ = wait.await;
        }
    }
}

/// What makes two events the same but for their time.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    uid: String,
    name: (String, String),
    kind: EventKind,
    reason: String,
    message: String,
}

struct Seen {
    event_name: String,
    count: u64,
    at: Instant,
}

struct Similar {
    messages: Vec<String>,
    since: Instant,
}

struct Sender {
    cluster: Cluster,
    component: String,
    seen: HashMap<Key, Seen>,
    similar: HashMap<Key, Similar>,
    budgets: HashMap<(String, String, String), (f64, Instant)>,
}

impl Sender {
    async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        while let Some(message) = queue.recv().await {
            let event = match message {
                Message::Event(event) => event,
                Message::Flush(done) => {
                    let _ = done.send(());
                    continue;
                }
            };
            self.forget_old();
            if !self.may_send(&event.about) {
                continue;
            }
            if let Err(error) = self.send(&event).await {
                tracing::warn!(kind = %event.about.kind, namespace = %event.about.namespace, name = %event.about.name,
                               reason = %event.reason, %error, "event not recorded");
            }
        }
    }

    /// Keeps the maps small without a timer: whenever one is full, what is old goes, and then everything.
    fn forget_old(&mut self) {
        if self.seen.len() >= REMEMBERED {
            self.seen.retain(|_, seen| seen.at.elapsed() < MEMORY);
        }
        if self.seen.len() >= REMEMBERED {
            self.seen.clear();
        }
        if self.similar.len() >= REMEMBERED {
            self.similar.clear();
        }
        if self.budgets.len() >= REMEMBERED {
            self.budgets.clear();
        }
    }

    /// A bucket of events per object.
    fn may_send(&mut self, about: &ObjectRef) -> bool {
        let key = (about.kind.clone(), about.namespace.clone(), about.name.clone());
        let now = Instant::now();
        let (tokens, at) = self.budgets.entry(key).or_insert((BURST.0, now));
        *tokens = (*tokens + now.duration_since(*at).as_secs_f64() / BURST.1).min(BURST.0);
        *at = now;
        let may = *tokens >= 1.0;
        if may {
            *tokens -= 1.0;
        }
        may
    }

    async fn send(&mut self, event: &Event) -> Result<(), RequestError> {
        let mut key = Key {
            uid: event.about.uid.clone(),
            name: (event.about.namespace.clone(), event.about.name.clone()),
            kind: event.kind,
            reason: event.reason.clone(),
            message: String::new(),
        };
        let similar = self.similar.entry(key.clone());
        let similar =
            similar.or_insert_with(|| Similar { messages: Vec::new(), since: Instant::now() });
        if similar.since.elapsed() > MEMORY {
            *similar = Similar { messages: Vec::new(), since: Instant::now() };
        }
        if !similar.messages.contains(&event.message) && similar.messages.len() < MAX_SIMILAR {
            similar.messages.push(event.message.clone());
        }
        // Combined events share a key, so that they count up as one.
        let combined =
            similar.messages.len() >= MAX_SIMILAR && !similar.messages.contains(&event.message);
        let message = if combined {
            format!("(combined from similar events): {}", event.message)
        } else {
            event.message.clone()
        };
        key.message = if combined {
            "(combined from similar events)".to_owned()
        } else {
            event.message.clone()
        };

        let namespace =
            if event.about.namespace.is_empty() { "default" } else { &event.about.namespace };
        let collection = format!("/api/v1/namespaces/{}/events", encode(namespace));
        let known = self.seen.get_mut(&key).filter(|seen| seen.at.elapsed() < MEMORY);
        if let Some(seen) = known {
            let patch = json!({"count": seen.count + 1, "lastTimestamp": seconds(event.at), "message": message});
            let path = format!("{collection}/{}", encode(&seen.event_name));
            match self.cluster.patch(&path, "application/merge-patch+json", &patch).await {
                Ok(_) => {
                    seen.count += 1;
                    seen.at = Instant::now();
                    return Ok(());
                }
                // Events are deleted after an hour or so.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let event_name = format!("{}.{:x}", event.about.name, event.at.as_nanosecond());
        let body = self.event(event, namespace, &event_name, &message).to_string().into_bytes();
        self.cluster.call(Method::POST, &collection, Some(("application/json", body))).await?;
        self.seen.insert(key, Seen { event_name, count: 1, at: Instant::now() });
        Ok(())
    }

    fn event(&self, event: &Event, namespace: &str, name: &str, message: &str) -> Value {
        let at = seconds(event.at);
        let mut involved = json!({
            "apiVersion": event.about.api_version, "kind": event.about.kind,
            "namespace": event.about.namespace, "name": event.about.name,
        });
        for (field, value) in
            [("uid", &event.about.uid), ("resourceVersion", &event.about.resource_version)]
        {
            if !value.is_empty() {
                involved[field] = Value::String(value.clone());
            }
        }
        let mut metadata = json!({"name": name, "namespace": namespace});
        if !event.annotations.is_empty() {
            metadata["annotations"] = json!(event.annotations);
        }
        json!({
            "apiVersion": "v1", "kind": "Event", "metadata": metadata,
            "involvedObject": involved, "reason": event.reason, "message": message, "type": event.kind.text(),
            "firstTimestamp": at, "lastTimestamp": at, "count": 1,
            "source": {"component": self.component}, "reportingComponent": self.component, "reportingInstance": "",
        })
    }
}

/// RFC 3339 in whole seconds, as `metav1.Time` wants it.
fn seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}
