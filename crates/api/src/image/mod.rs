//! The group `image.toolkit.fluxcd.io`: which images there are, which is the latest, and writing it to Git.
//!
//! Behaviour: image-reflector-controller and image-automation-controller `api/v1`.

mod names;
mod policy;
mod repository;
mod update_automation;

pub use names::*;
pub use policy::*;
pub use repository::*;
pub use update_automation::*;

/// The API group.
pub const GROUP: &str = "image.toolkit.fluxcd.io";

/// The API version.
pub const VERSION: &str = "v1";

/// The name that events of repositories and policies are reported under.
pub const REFLECTOR_CONTROLLER: &str = "image-reflector-controller";

/// The name that events of update automations are reported under.
pub const AUTOMATION_CONTROLLER: &str = "image-automation-controller";

/// The field manager of writes to repositories and policies.
pub const REFLECTOR_STATUS_MANAGER: &str = "gotk-image-reflector-controller";

/// The field manager of writes to update automations.
pub const AUTOMATION_STATUS_MANAGER: &str = "gotk-image-automation-controller";
