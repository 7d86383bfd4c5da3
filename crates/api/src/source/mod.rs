//! The group `source.toolkit.fluxcd.io`: where artifacts come from.
//!
//! Behaviour: source-controller `api/v1`.

mod bucket;
mod external_artifact;
mod git_repository;
mod helm_chart;
mod helm_repository;
mod names;
mod oci_repository;

use std::time::Duration;

pub use bucket::*;
pub use external_artifact::*;
pub use git_repository::*;
pub use helm_chart::*;
pub use helm_repository::*;
pub use names::*;
pub use oci_repository::*;

use crate::schema::string_enum;

/// The API group.
pub const GROUP: &str = "source.toolkit.fluxcd.io";

/// The API version.
pub const VERSION: &str = "v1";

/// The name events are reported under.
pub const CONTROLLER: &str = "source-controller";

/// The field manager of writes to sources.
pub const STATUS_MANAGER: &str = "gotk-source-controller";

/// How long one operation on an upstream may take unless the spec says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

string_enum! {
    /// A way to log in to a registry or an object store.
    pub enum CloudProvider {
        /// With what the Secret or the service account holds.
        #[default]
        Generic = "generic",
        /// As an AWS identity.
        Aws = "aws",
        /// As an Azure identity.
        Azure = "azure",
        /// As a Google Cloud identity.
        Gcp = "gcp",
    }
}
