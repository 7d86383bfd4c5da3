//! The generic half of kstatus: deletion, observed generation, standard conditions, the Ready condition.

use std::fmt;

use borax_object::meta;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::builtin;

/// How far an object is, in kstatus' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// On its way.
    InProgress,
    /// It will not get there without help.
    Failed,
    /// What was asked for is so.
    Current,
    /// Being deleted.
    Terminating,
    /// Not there.
    NotFound,
    /// Can't be told, because the object or an expression about it makes no sense.
    Unknown,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A state and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// How far the object is.
    pub state: State,
    /// Why, for people; may be empty.
    pub message: String,
}

impl Status {
    /// Puts the two together.
    pub fn new(state: State, message: impl Into<String>) -> Self {
        Self { state, message: message.into() }
    }

    /// What is not there.
    pub fn not_found() -> Self {
        Self::new(State::NotFound, "Resource not found")
    }
}

/// One entry of `status.conditions`.
pub(crate) struct Condition<'a> {
    pub(crate) kind: &'a str,
    pub(crate) status: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
}

/// The conditions of an object.
///
/// # Errors
/// `status.conditions` or one of its fields is of another type.
pub(crate) fn conditions(object: &Value) -> Result<Vec<Condition<'_>>, String> {
    let list = match object.pointer("/status/conditions") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err("status.conditions is no list".to_owned()),
    };
    list.iter()
        .map(|item| {
            if !item.is_object() {
                return Err("an item of status.conditions is no map".to_owned());
            }
            let text = |field: &str| match item.get(field) {
                None | Some(Value::Null) => Ok(""),
                Some(Value::String(text)) => Ok(text.as_str()),
                Some(_) => Err(format!("{field} of an item of status.conditions is no text")),
            };
            Ok(Condition {
                kind: text("type")?,
                status: text("status")?,
                reason: text("reason")?,
                message: text("message")?,
            })
        })
        .collect()
}

/// An integer at `pointer`; `None` when it is not there.
///
/// # Errors
/// There is something else.
fn integer(object: &Value, pointer: &str) -> Result<Option<i64>, String> {
    match object.pointer(pointer) {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| {
            let field = pointer[1..].replace('/', ".");
            format!("looking up {field} from resource: it is no integer")
        }),
    }
}

/// The status of one object, as kstatus and Flux judge it at `now`.
///
/// What can't be judged, such as conditions of a wrong shape, is [`State::Unknown`] with the cause as message. Only
/// unschedulable Pods depend on `now`: see [`due`].
pub fn compute(object: &Value, now: Timestamp) -> Status {
    let judged = if meta::is_job(object) && meta::api_version(object).starts_with("batch/") {
        builtin::job(object)
    } else {
        judge(object, now)
    };
    judged.unwrap_or_else(|cause| Status::new(State::Unknown, cause))
}

/// When the passing of time alone will change what [`compute`] says of `object`: an unschedulable Pod has 15 seconds.
pub fn due(object: &Value) -> Option<Timestamp> {
    if meta::api_version(object) != "v1"
        || meta::kind(object) != "Pod"
        || meta::is_terminating(object)
    {
        return None;
    }
    builtin::unschedulable_pod_fails_at(object)
}

fn judge(object: &Value, now: Timestamp) -> Result<Status, String> {
    if let Some(status) = generic(object)? {
        return Ok(status);
    }
    if let Some(judge) = builtin::rule(&borax_object::Gvk::of(object).group_kind()) {
        return judge(object, now);
    }
    if let Some(status) = ready_condition(object)? {
        return Ok(status);
    }
    Ok(Status::new(State::Current, "Resource is current"))
}

fn generic(object: &Value) -> Result<Option<Status>, String> {
    match object.pointer("/metadata/deletionTimestamp") {
        None => {}
        Some(Value::String(text)) if text.is_empty() => {}
        Some(Value::String(_)) => {
            return Ok(Some(Status::new(State::Terminating, "Resource scheduled for deletion")));
        }
        Some(_) => {
            return Err(
                "looking up metadata.deletionTimestamp from resource: it is no text".to_owned()
            );
        }
    }
    if let (Some(generation), Some(observed)) =
        (integer(object, "/metadata/generation")?, integer(object, "/status/observedGeneration")?)
        && generation != observed
    {
        let kind = meta::kind(object);
        return Ok(Some(Status::new(
            State::InProgress,
            format!(
                "{kind} generation is {generation}, but latest observed generation is {observed}"
            ),
        )));
    }
    for condition in conditions(object)? {
        match (condition.kind, condition.status) {
            ("Reconciling", "True") => {
                return Ok(Some(Status::new(State::InProgress, condition.message)));
            }
            ("Stalled", "True") => return Ok(Some(Status::new(State::Failed, condition.message))),
            _ => {}
        }
    }
    Ok(None)
}

fn ready_condition(object: &Value) -> Result<Option<Status>, String> {
    Ok(conditions(object)?.into_iter().filter(|condition| condition.kind == "Ready").find_map(
        |condition| match condition.status {
            "True" => Some(Status::new(State::Current, "Resource is Ready")),
            "False" | "Unknown" => Some(Status::new(State::InProgress, condition.message)),
            _ => None,
        },
    ))
}

/// Whether `metadata.generation` and `status.observedGeneration` are set, where a controller always sets them.
pub(crate) fn generation_is_set(object: &Value) -> Result<Option<Status>, String> {
    let kind = meta::kind(object);
    for (pointer, field) in [
        ("/metadata/generation", "metadata.generation"),
        ("/status/observedGeneration", "status.observedGeneration"),
    ] {
        if integer(object, pointer)?.is_none() {
            return Ok(Some(Status::new(State::InProgress, format!("{kind} {field} not found"))));
        }
    }
    Ok(None)
}
