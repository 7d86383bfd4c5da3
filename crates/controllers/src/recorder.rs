//! Events about objects: to the API server, and to the notification controller where `--events-addr` names one.
//!
//! Behaviour: fluxcd/pkg `runtime/events/recorder.go`.

use std::collections::BTreeMap;
use std::time::Duration;

use borax_api::meta::{EVENT_GROUP, Event, event_severity};
use borax_kubeio::{Cluster, EventKind, Events, ObjectRef, Resource};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use reqwest::{Client, StatusCode, Url};
use tokio::sync::mpsc;

use crate::shared::now;

/// Events that wait to be sent; beyond that they are dropped, for a notification controller that is away must not
/// fill the memory.
const WAITING: usize = 1024;

/// Tries at sending one event.
const TRIES: u32 = 5;

/// The pause before the second try; doubled before each further one.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells events.
pub struct Recorder {
    /// By the controller that tells, for the API server keeps their names apart.
    kube: BTreeMap<&'static str, Events>,
    webhook: Option<mpsc::Sender<Event>>,
    instance: String,
}

/// One event about an object.
pub struct Told<'a> {
    /// The controller that tells it, in Flux's words.
    pub controller: &'static str,
    /// The object.
    pub meta: &'a ObjectMeta,
    /// The object's kind.
    pub resource: &'a Resource,
    /// Normal or Warning.
    pub kind: EventKind,
    /// In one word.
    pub reason: &'a str,
    /// For people.
    pub message: &'a str,
    /// More about it.
    pub metadata: BTreeMap<String, String>,
}

impl Recorder {
    /// Tells to `cluster`, and to `webhook` as `instance` where there is one.
    ///
    /// Starts tasks that send; they end with the recorder.
    pub fn new(cluster: &Cluster, webhook: Option<(Client, Url)>, instance: String) -> Self {
        let controllers = [
            borax_api::source::CONTROLLER,
            borax_api::kustomize::CONTROLLER,
            borax_api::helm::CONTROLLER,
            borax_api::image::AUTOMATION_CONTROLLER,
            borax_api::image::REFLECTOR_CONTROLLER,
        ];
        let kube =
            controllers.map(|controller| (controller, Events::new(cluster, controller))).into();
        let webhook = webhook.map(|(client, url)| {
            let (sender, waiting) = mpsc::channel(WAITING);
            tokio::spawn(send(client, url, waiting));
            sender
        });
        Self { kube, webhook, instance }
    }

    /// Tells an event. Never waits.
    pub fn tell(&self, told: Told<'_>) {
        let mut metadata = told.metadata;
        let own = told.meta.annotations.iter().flatten();
        // People hang what they want to see in notifications on their objects.
        metadata.extend(
            own.filter(|(key, _)| {
                key.strip_prefix(EVENT_GROUP).is_some_and(|rest| rest.starts_with('/'))
            })
            .map(|(key, value)| (key.clone(), value.clone())),
        );
        let involved = involved(told.meta, told.resource);
        if let Some(kube) = self.kube.get(told.controller) {
            kube.emit(&about(&involved), told.kind, told.reason, told.message, metadata.clone());
        }
        let Some(webhook) = &self.webhook else { return };
        let severity = match told.kind {
            EventKind::Normal => event_severity::INFO,
            EventKind::Warning => event_severity::ERROR,
        };
        let event = Event {
            involved_object: involved,
            severity: severity.to_owned(),
            timestamp: now(),
            message: told.message.to_owned(),
            reason: told.reason.to_owned(),
            metadata,
            reporting_controller: told.controller.to_owned(),
            reporting_instance: self.instance.clone(),
        };
        if webhook.try_send(event).is_err() {
            tracing::warn!("the notification controller does not keep up; an event is dropped");
        }
    }
}

fn about(involved: &ObjectReference) -> ObjectRef {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    ObjectRef {
        api_version: text(&involved.api_version),
        kind: text(&involved.kind),
        namespace: text(&involved.namespace),
        name: text(&involved.name),
        uid: text(&involved.uid),
        resource_version: text(&involved.resource_version),
        annotations: BTreeMap::new(),
    }
}

fn involved(meta: &ObjectMeta, resource: &Resource) -> ObjectReference {
    ObjectReference {
        api_version: Some(resource.gvk.api_version()),
        kind: Some(resource.gvk.kind.clone()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        ..ObjectReference::default()
    }
}

async fn send(client: Client, url: Url, mut waiting: mpsc::Receiver<Event>) {
    while let Some(event) = waiting.recv().await {
        if let Err(error) = post(&client, &url, &event).await {
            tracing::error!(object = ?event.involved_object.name, error, "unable to record event");
        }
    }
}

async fn post(client: &Client, url: &Url, event: &Event) -> Result<(), String> {
    let mut pause = PAUSE;
    for last in (0..TRIES).rev() {
        let answer =
            client.post(url.clone()).timeout(Duration::from_secs(5)).json(event).send().await;
        let failure = match answer {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            // It has had this event lately.
            Ok(answer) if answer.status() == StatusCode::TOO_MANY_REQUESTS => return Ok(()),
            Ok(answer) if !answer.status().is_server_error() => {
                return Err(format!("answered {}", answer.status()));
            }
            Ok(answer) => format!("answered {}", answer.status()),
            Err(error) => error.without_url().to_string(),
        };
        if last == 0 {
            return Err(failure);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(())
}
