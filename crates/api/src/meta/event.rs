//! The event that a controller sends to the notification controller over HTTP, beside the Kubernetes event.
//!
//! Behaviour: fluxcd/pkg `apis/event/v1beta1`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use serde::{Deserialize, Serialize};

use super::Time;

/// The group that metadata keys of other groups' events can be found under.
pub const EVENT_GROUP: &str = "event.toolkit.fluxcd.io";

/// The longest message, in characters.
pub const EVENT_MAX_MESSAGE: usize = 39_000;

/// How severe an event is, in the JSON's words.
pub mod event_severity {
    /// Something that is only interesting when looking closely.
    pub const TRACE: &str = "trace";
    /// Something happened.
    pub const INFO: &str = "info";
    /// Something went wrong.
    pub const ERROR: &str = "error";
}

/// The keys of an event's metadata that have a meaning.
pub mod event_metadata {
    /// The revision of the artifact.
    pub const REVISION: &str = "revision";
    /// The revision of the code the artifact was built from.
    pub const ORIGIN_REVISION: &str = "originRevision";
    /// The artifact's checksum; older than [`DIGEST`].
    pub const CHECKSUM: &str = "checksum";
    /// The artifact's digest.
    pub const DIGEST: &str = "digest";
    /// What tells this event from others of the same words, for rate limiting.
    pub const TOKEN: &str = "token";
    /// The Git commit.
    pub const COMMIT: &str = "commit";
    /// Says that the event is an update of a commit's status.
    pub const COMMIT_STATUS: &str = "commit_status";
    /// The value of [`COMMIT_STATUS`].
    pub const COMMIT_STATUS_UPDATE: &str = "update";
    /// The number of a change request.
    pub const CHANGE_REQUEST: &str = "change_request";
}

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Event {
    /// The object that it is about.
    pub involved_object: ObjectReference,
    /// How severe it is: one of [`event_severity`].
    pub severity: String,
    /// When it happened.
    pub timestamp: Time,
    /// What happened, for people.
    pub message: String,
    /// What happened, in one word.
    pub reason: String,
    /// More about it, under the keys of [`event_metadata`] and others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The controller that sends it.
    pub reporting_controller: String,
    /// The instance of the controller, such as its pod.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reporting_instance: String,
}

impl Event {
    /// The revision that the event is about: the commit, the origin's revision or the artifact's.
    pub fn revision(&self) -> Option<&str> {
        [event_metadata::COMMIT, event_metadata::ORIGIN_REVISION, event_metadata::REVISION]
            .into_iter()
            .find_map(|key| self.metadata.get(key))
            .map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_flux_writes_it() {
        let event = Event {
            involved_object: ObjectReference {
                kind: Some("GitRepository".to_owned()),
                name: Some("fleet".to_owned()),
                ..ObjectReference::default()
            },
            severity: event_severity::INFO.to_owned(),
            message: "stored artifact".to_owned(),
            reason: "NewArtifact".to_owned(),
            metadata: BTreeMap::from([(
                event_metadata::REVISION.to_owned(),
                "main@sha1:00".to_owned(),
            )]),
            reporting_controller: "source-controller".to_owned(),
            ..Event::default()
        };
        assert_eq!(
            serde_json::to_value(&event).unwrap(),
            serde_json::json!({
                "involvedObject": {"kind": "GitRepository", "name": "fleet"},
                "severity": "info",
                "timestamp": "1970-01-01T00:00:00Z",
                "message": "stored artifact",
                "reason": "NewArtifact",
                "metadata": {"revision": "main@sha1:00"},
                "reportingController": "source-controller",
            })
        );
        assert_eq!(event.revision(), Some("main@sha1:00"));
    }
}
