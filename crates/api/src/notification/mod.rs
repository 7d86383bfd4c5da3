//! The group `notification.toolkit.fluxcd.io`: events to the outside, and webhooks from it.
//!
//! Behaviour: notification-controller `api/v1` and `api/v1beta3`.

mod alert;
mod provider;
mod receiver;
mod reference;

pub use alert::*;
pub use provider::*;
pub use receiver::*;
pub use reference::*;

/// The API group.
pub const GROUP: &str = "notification.toolkit.fluxcd.io";

/// The API version of Receiver.
pub const RECEIVER_VERSION: &str = "v1";

/// The API version of Provider and Alert.
pub const ALERTING_VERSION: &str = "v1beta3";

/// The name events are reported under.
pub const CONTROLLER: &str = "notification-controller";

/// The field manager of writes to the group's objects.
pub const STATUS_MANAGER: &str = "gotk-notification-controller";

/// What a Receiver's webhook path starts with.
pub const WEBHOOK_PATH: &str = "/hook/";

/// Condition reasons of the group, beside those all groups share.
///
/// Behaviour: notification-controller `api/v1/condition_types.go`.
pub mod reasons {
    /// The Receiver listens.
    pub const INITIALIZED: &str = "Initialized";
    /// The spec is wrong.
    pub const VALIDATION_FAILED: &str = "ValidationFailed";
    /// The Receiver's token is missing.
    pub const TOKEN_NOT_FOUND: &str = "TokenNotFound";
}
