//! The watch loop: list, then follow, from one collection into one [`Sink`]. Knows nothing of what objects mean.
//!
//! ```text
//!   list pages ─► listed ─► watch from there ─► events …  ─┬─ stream ends: watch again from the last version
//!       ▲                                                  ├─ too old (410): list again
//!       └──────── wait, longer each time ◄─────────────────┴─ refused, unreachable, or ended within a second
//! ```
//!
//! Objects are read one by one and handed over; at most one page of a list is held.

use std::time::Duration;

use borax_object::{Value, meta};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use crate::cluster::{Cluster, WeakCluster};
use crate::lanes::Held;
use crate::request::RequestError;

/// How many objects a page of a list holds.
const PAGE: usize = 100;
/// How long the server keeps a watch open, in seconds; bookmarks come about every minute.
const WATCH_SECONDS: u64 = 290;
/// How long a watch has to be open to be one that works.
const HELD: Duration = Duration::from_secs(1);
/// The longest line a watch may send: etcd holds no object above 1.5 MiB, and JSON may be a few times that.
const MAX_LINE: usize = 16 << 20;

/// Where a watch's objects go.
pub(crate) trait Sink: Send {
    /// A list begins: what is not named until [`Sink::listed`] is gone.
    fn restart(&mut self);
    /// An object is there, or is there no more.
    fn object(&mut self, object: &Value, deleted: bool);
    /// The list is complete, as of a resource version.
    fn listed(&mut self, version: &str);
    /// A list or watch was refused, or broke. It will be tried again.
    fn failed(&mut self, error: &RequestError);
}

/// Whose rights a watch uses, and whether it keeps the connection open.
pub(crate) enum Through {
    /// Ends with the cluster.
    Weak(WeakCluster),
    /// Ends when its task is aborted.
    Strong(Cluster),
}

impl Through {
    fn get(&self) -> Option<Cluster> {
        match self {
            Self::Weak(weak) => weak.upgrade(),
            Self::Strong(cluster) => Some(cluster.clone()),
        }
    }
}

/// How a stretch of watching ended.
enum End {
    /// Go on from this version.
    Resume(String),
    /// List again.
    Relist,
}

/// Follows the collection at `path` (selected by `selector`, a query such as `labelSelector=a`) until the cluster is
/// dropped or the task is aborted. `kick` cuts a wait after a refusal short.
pub(crate) async fn run(
    through: Through,
    path: String,
    selector: String,
    kick: std::sync::Arc<tokio::sync::Notify>,
    mut sink: impl Sink,
) {
    let mut backoff = Backoff::default();
    let mut version: Option<String> = None;
    loop {
        let from = version.take();
        let begun = Instant::now();
        // Nothing but a request under way keeps the cluster alive: neither a stream nor a pause.
        let result = {
            let Some(cluster) = through.get() else { return };
            match &from {
                None => match list(&cluster, &path, &selector, &mut sink).await {
                    Ok(listed) => {
                        sink.listed(&listed);
                        version = Some(listed);
                        continue;
                    }
                    Err(error) => Err(error),
                },
                Some(from) => open(&cluster, &path, &selector, from).await.map(Some),
            }
        };
        let result = match (result, from) {
            (Ok(Some(body)), Some(from)) => Ok(follow(body, from, &mut sink).await),
            (Err(error), _) if error.api().is_some_and(|api| api.code == 410) => Ok(End::Relist),
            (Err(error), from) => Err((error, from)),
            (Ok(_), _) => Ok(End::Relist),
        };
        let wait = match result {
            Ok(end) => {
                version = match end {
                    End::Resume(next) => Some(next),
                    End::Relist => None,
                };
                // That a list was answered says nothing about watches: only one that held starts the pauses anew.
                if begun.elapsed() >= HELD {
                    backoff = Backoff::default();
                    continue;
                }
                backoff.next(false)
            }
            Err((error, from)) => {
                let refused = !error.is_transient();
                sink.failed(&error);
                // What is refused has to be listed anew: meanwhile anything may have happened.
                version = from.filter(|_| !refused);
                backoff.next(refused)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = kick.notified() => {}
        }
    }
}

async fn open(
    cluster: &Cluster,
    path: &str,
    selector: &str,
    from: &str,
) -> Result<Held, RequestError> {
    let and = if selector.is_empty() { "" } else { "&" };
    let url = format!(
        "{path}?{selector}{and}watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}\
         &resourceVersion={from}"
    );
    Ok(cluster.open(&url).await?.into_body())
}

async fn list(
    cluster: &Cluster,
    path: &str,
    selector: &str,
    sink: &mut impl Sink,
) -> Result<String, RequestError> {
    sink.restart();
    let mut next = String::new();
    loop {
        let mut url = format!("{path}?limit={PAGE}");
        if !selector.is_empty() {
            url = format!("{url}&{selector}");
        }
        if !next.is_empty() {
            url = format!("{url}&continue={}", crate::request::encode(&next));
        }
        let mut page = cluster.get(&url).await?;
        let text = |pointer: &str| {
            page.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (version, more) = (text("/metadata/resourceVersion"), text("/metadata/continue"));
        let (api_version, kind) = (text("/apiVersion"), text("/kind"));
        if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
            for mut item in items {
                // Items of built-in lists do not say what they are.
                if let Some(fields) = item.as_object_mut() {
                    fields
                        .entry("apiVersion")
                        .or_insert_with(|| Value::String(api_version.clone()));
                    let kind = kind.strip_suffix("List").unwrap_or(&kind);
                    fields.entry("kind").or_insert_with(|| Value::String(kind.to_owned()));
                }
                sink.object(&item, false);
            }
        }
        if more.is_empty() {
            return Ok(version);
        }
        next = more;
    }
}

async fn follow(mut body: Held, from: String, sink: &mut impl Sink) -> End {
    let mut version = from;
    let mut line: Vec<u8> = Vec::new();
    let idle = Duration::from_secs(WATCH_SECONDS + 30);
    loop {
        let frame = match tokio::time::timeout(idle, body.frame()).await {
            // The end, an error in mid-stream or silence: all the same, the next watch says what is wrong.
            Err(_) | Ok(None | Some(Err(_))) => return End::Resume(version),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        let mut rest = &data[..];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            line.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            let event: Option<Value> = serde_json::from_slice(&line).ok();
            // A burst of large objects must not be held on to.
            if line.capacity() > 1 << 16 {
                line = Vec::new();
            } else {
                line.clear();
            }
            let Some(event) = event else { return End::Relist };
            let object = event.get("object").unwrap_or(&Value::Null);
            match event.get("type").and_then(Value::as_str) {
                Some("ADDED" | "MODIFIED") => sink.object(object, false),
                Some("DELETED") => sink.object(object, true),
                Some("BOOKMARK") => {}
                _ => return End::Relist,
            }
            let new = meta::resource_version(object);
            if !new.is_empty() {
                new.clone_into(&mut version);
            }
        }
        line.extend_from_slice(rest);
        if line.len() > MAX_LINE {
            return End::Relist;
        }
    }
}

/// How long to pause after a failure, or a watch that ended at once: from 200 ms to 10 s for a server that is away, from
/// 5 s to 5 min for one that refuses.
#[derive(Default)]
struct Backoff {
    failures: u32,
    refused: bool,
}

impl Backoff {
    fn next(&mut self, refused: bool) -> Duration {
        // A server that was away for long and then refuses may do so only until it has read its rules.
        if std::mem::replace(&mut self.refused, refused) != refused {
            self.failures = 0;
        }
        let (first, last) = if refused { (5_000, 300_000) } else { (200, 10_000) };
        let wait = u64::min(last, first << self.failures.min(10));
        self.failures += 1;
        Duration::from_millis(wait)
    }
}

/// A task that ends when this is dropped.
pub(crate) struct Abort(pub(crate) tokio::task::JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}
