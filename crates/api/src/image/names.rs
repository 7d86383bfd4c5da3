//! The words of the image group: the reasons of conditions and events.
//!
//! Behaviour: `api/v1/condition_types.go` of image-reflector-controller and image-automation-controller.

/// Condition and event reasons of images, beside those all groups share.
pub mod reasons {
    /// The image's name is wrong.
    pub const IMAGE_URL_INVALID: &str = "ImageURLInvalid";
    /// The login is incomplete or was refused.
    pub const AUTHENTICATION_FAILED: &str = "AuthenticationFailed";
    /// The registry could not be read.
    pub const READ_OPERATION_FAILED: &str = "ReadOperationFailed";
    /// The reflection policy asks for an interval and there is none.
    pub const INTERVAL_NOT_CONFIGURED: &str = "IntervalNotConfigured";
    /// The policy is wrong.
    pub const INVALID_POLICY: &str = "InvalidPolicy";
    /// No image could be found by the policy.
    pub const FAILURE: &str = "Failure";
    /// The update strategy is wrong.
    pub const INVALID_UPDATE_STRATEGY: &str = "InvalidUpdateStrategy";
    /// The source is wrong.
    pub const INVALID_SOURCE_CONFIGURATION: &str = "InvalidSourceConfiguration";
    /// The source could not be made ready to work on.
    pub const SOURCE_MANAGER_FAILED: &str = "SourceManagerFailed";
    /// A Git operation failed.
    pub const GIT_OPERATION_FAILED: &str = "GitOperationFailed";
    /// Writing the images failed.
    pub const UPDATE_FAILED: &str = "UpdateFailed";
    /// The policy selector is wrong.
    pub const INVALID_POLICY_SELECTOR: &str = "InvalidPolicySelector";
    /// The message template uses a field that is gone.
    pub const REMOVED_TEMPLATE_FIELD: &str = "RemovedTemplateField";
}
