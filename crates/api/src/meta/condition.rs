//! Conditions, the pure rules by which a list of them changes, and the types and reasons all groups share.
//!
//! Behaviour: fluxcd/pkg `runtime/conditions/setter.go` and `apis/meta/conditions.go`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;
use crate::schema::{is_zero, string_enum};

/// The condition types that all groups share.
pub mod condition_types {
    /// True when the object is what its spec asks for; every kind has it.
    pub const READY: &str = "Ready";
    /// True when nothing will change before someone changes the spec; absent otherwise.
    pub const STALLED: &str = "Stalled";
    /// True while work is going on or will be tried again; absent otherwise.
    pub const RECONCILING: &str = "Reconciling";
    /// What the last look at the health of the applied objects found.
    pub const HEALTHY: &str = "Healthy";
    /// True when an access rule forbids a reference; absent otherwise.
    pub const ACCESS_DENIED: &str = "AccessDenied";
}

/// The condition reasons that all groups share.
pub mod reasons {
    /// It worked.
    pub const SUCCEEDED: &str = "Succeeded";
    /// It did not work.
    pub const FAILED: &str = "Failed";
    /// It is going on.
    pub const PROGRESSING: &str = "Progressing";
    /// It is suspended.
    pub const SUSPENDED: &str = "Suspended";
    /// It failed and will be tried again.
    pub const PROGRESSING_WITH_RETRY: &str = "ProgressingWithRetry";
    /// A dependency is not ready.
    pub const DEPENDENCY_NOT_READY: &str = "DependencyNotReady";
    /// A path is wrong.
    pub const INVALID_PATH: &str = "InvalidPath";
    /// A URL is wrong.
    pub const INVALID_URL: &str = "InvalidURL";
    /// Plain HTTP is forbidden.
    pub const INSECURE_CONNECTIONS_DISALLOWED: &str = "InsecureConnectionsDisallowed";
    /// A protocol is not supported.
    pub const UNSUPPORTED_CONNECTION_TYPE: &str = "UnsupportedConnectionType";
    /// Objects that are gone from the source could not be deleted.
    pub const PRUNE_FAILED: &str = "PruneFailed";
    /// The source's artifact could not be had.
    pub const ARTIFACT_FAILED: &str = "ArtifactFailed";
    /// The build failed.
    pub const BUILD_FAILED: &str = "BuildFailed";
    /// An object did not become healthy.
    pub const HEALTH_CHECK_FAILED: &str = "HealthCheckFailed";
    /// The reconciliation worked.
    pub const RECONCILIATION_SUCCEEDED: &str = "ReconciliationSucceeded";
    /// The reconciliation failed.
    pub const RECONCILIATION_FAILED: &str = "ReconciliationFailed";
    /// A CEL expression in the spec is wrong.
    pub const INVALID_CEL_EXPRESSION: &str = "InvalidCELExpression";
    /// The spec asks for what a feature gate keeps off.
    pub const FEATURE_GATE_DISABLED: &str = "FeatureGateDisabled";
    /// Waiting for health was given up, for there is something newer to do.
    pub const HEALTH_CHECK_CANCELED: &str = "HealthCheckCanceled";
    /// An access rule forbids a reference.
    pub const ACCESS_DENIED: &str = "AccessDenied";
}

string_enum! {
    /// Whether a condition holds.
    pub enum ConditionStatus {
        /// It holds.
        True = "True",
        /// It does not.
        False = "False",
        /// Not known yet.
        #[default]
        Unknown = "Unknown",
    }
}

/// One aspect of an object's state, as Kubernetes' `metav1.Condition`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// When the condition last changed in anything but the generation.
    pub last_transition_time: Time,
    /// What a person should know.
    #[schemars(extend("maxLength" = 32768))]
    pub message: String,
    /// The generation that the condition speaks of.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(extend("minimum" = 0))]
    pub observed_generation: i64,
    /// Why, in one CamelCase word.
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    )]
    pub reason: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Which aspect.
    #[schemars(
        length(max = 316),
        regex(
            pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
        )
    )]
    pub type_: String,
}

/// How long a condition's message may be, in bytes; what is longer is cut.
pub const MAX_MESSAGE: usize = 32_768;

impl Condition {
    /// A condition that speaks of `generation`. Its transition time is set by [`set_condition`].
    pub fn new(
        type_: &str,
        status: ConditionStatus,
        reason: &str,
        message: impl Into<String>,
        generation: i64,
    ) -> Self {
        Self {
            type_: type_.to_owned(),
            status,
            reason: reason.to_owned(),
            message: message.into(),
            observed_generation: generation,
            last_transition_time: Time::default(),
        }
    }
}

/// The condition of that type.
pub fn find_condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of that type is there and true.
pub fn is_condition_true(conditions: &[Condition], type_: &str) -> bool {
    find_condition(conditions, type_).is_some_and(|c| c.status == ConditionStatus::True)
}

/// Whether the condition of that type is there and false.
pub fn is_condition_false(conditions: &[Condition], type_: &str) -> bool {
    find_condition(conditions, type_).is_some_and(|c| c.status == ConditionStatus::False)
}

/// Takes the condition of that type away.
pub fn remove_condition(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}

/// Puts a condition in place of the one of its type, in Flux's order.
///
/// The transition time stays when status, reason and message stay, and is `now` otherwise. An overlong
/// message is cut to [`MAX_MESSAGE`].
pub fn set_condition(conditions: &mut Vec<Condition>, mut condition: Condition, now: Time) {
    cut_message(&mut condition.message);
    condition.last_transition_time = match find_condition(conditions, &condition.type_) {
        Some(old)
            if old.status == condition.status
                && old.reason == condition.reason
                && old.message == condition.message =>
        {
            old.last_transition_time
        }
        _ => now,
    };
    remove_condition(conditions, &condition.type_);
    conditions.push(condition);
    conditions.sort_by(|a, b| {
        weight(a).cmp(&weight(b)).then_with(|| match weight(a) {
            OTHER => b
                .observed_generation
                .cmp(&a.observed_generation)
                .then_with(|| a.type_.cmp(&b.type_)),
            _ => std::cmp::Ordering::Equal,
        })
    });
}

const OTHER: usize = 3;

/// Where Flux shows a condition: these first, the others after.
fn weight(condition: &Condition) -> usize {
    match condition.type_.as_str() {
        condition_types::STALLED => 0,
        condition_types::RECONCILING => 1,
        condition_types::READY => 2,
        _ => OTHER,
    }
}

fn cut_message(message: &mut String) {
    const MARK: &str = "...";
    if message.len() > MAX_MESSAGE {
        let end = message.floor_char_boundary(MAX_MESSAGE - MARK.len());
        message.truncate(end);
        message.push_str(MARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(conditions: &[Condition]) -> Vec<&str> {
        conditions.iter().map(|c| c.type_.as_str()).collect()
    }

    #[test]
    fn conditions_stand_in_flux_order() {
        let mut conditions = Vec::new();
        for (type_, generation) in
            [("Healthy", 1), ("ArtifactInStorage", 1), ("Zoo", 2), ("Ready", 1), ("Reconciling", 1)]
        {
            let condition =
                Condition::new(type_, ConditionStatus::True, "Succeeded", "", generation);
            set_condition(&mut conditions, condition, Time::default());
        }
        assert_eq!(
            types(&conditions),
            ["Reconciling", "Ready", "Zoo", "ArtifactInStorage", "Healthy"]
        );
        remove_condition(&mut conditions, "Zoo");
        assert!(find_condition(&conditions, "Zoo").is_none());
    }

    #[test]
    fn the_transition_time_moves_only_with_the_state() {
        let (early, late) = (Time::default(), Time(jiff::Timestamp::from_second(60).unwrap()));
        let mut conditions = Vec::new();
        let ready = |message: &str, generation| {
            Condition::new("Ready", ConditionStatus::True, "Succeeded", message, generation)
        };
        set_condition(&mut conditions, ready("a", 1), early);
        set_condition(&mut conditions, ready("a", 2), late);
        assert_eq!(conditions[0].last_transition_time, early);
        assert_eq!(conditions[0].observed_generation, 2);
        set_condition(&mut conditions, ready("b", 2), late);
        assert_eq!(conditions[0].last_transition_time, late);
    }

    #[test]
    fn an_overlong_message_is_cut_between_characters() {
        let mut conditions = Vec::new();
        let condition =
            Condition::new("Ready", ConditionStatus::False, "Failed", "é".repeat(MAX_MESSAGE), 1);
        set_condition(&mut conditions, condition, Time::default());
        assert!(conditions[0].message.len() <= MAX_MESSAGE);
        assert!(conditions[0].message.ends_with("..."));
    }
}
