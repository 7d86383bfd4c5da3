//! When what was seen of the objects of a kind: for what must be quick.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::kube::Api;
use ::kube::api::DynamicObject;
use ::kube::runtime::{WatchStreamExt as _, watcher};
use futures::StreamExt as _;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::kube::{Kube, Ref};

/// Every state of the objects of one kind in one namespace, with the time at which it was seen.
pub(crate) struct Timeline {
    seen: Arc<Mutex<Vec<(Instant, Value)>>>,
    changed: watch::Receiver<()>,
    task: AbortHandle,
}

impl Kube {
    /// Watches the objects of a kind in a namespace from now on.
    pub(crate) fn timeline(&self, api_version: &str, kind: &str, namespace: &str) -> Timeline {
        let resource = Ref::new(api_version, kind, namespace, "").resource();
        let api = Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &resource);
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let (tell, changed) = watch::channel(());
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                let events =
                    watcher(api, watcher::Config::default()).default_backoff().applied_objects();
                futures::pin_mut!(events);
                while let Some(event) = events.next().await {
                    let Ok(object) = event else { continue };
                    let object = serde_json::to_value(object).unwrap();
                    seen.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((Instant::now(), object));
                    let _ = tell.send(());
                }
            }
        });
        Timeline { seen, changed, task: task.abort_handle() }
    }
}

impl Timeline {
    /// When the first state was seen of which `holds` is true; waits for it.
    pub(crate) async fn first(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Instant {
        let mut changed = self.changed.clone();
        let search = async {
            let mut from = 0;
            loop {
                {
                    let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some((at, _)) = seen[from..].iter().find(|(_, object)| holds(object)) {
                        return *at;
                    }
                    from = seen.len();
                }
                changed.changed().await.expect("the watch goes on");
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(120), search).await;
        found.unwrap_or_else(|_| panic!("in 120 s it was not seen that {what}"))
    }

    /// When the object `name` was first seen in a state of which `holds` is true; waits for it.
    pub(crate) async fn first_of(&self, name: &str, holds: impl Fn(&Value) -> bool) -> Instant {
        self.first(&format!("{name} is as wanted"), |object| {
            object["metadata"]["name"] == *name && holds(object)
        })
        .await
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.task.abort();
    }
}
