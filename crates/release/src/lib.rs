//! Helm releases as data: what a record holds and how it is stored, which state a release is in as compared with its
//! HelmRelease, what to do next, and what that leaves in the status.
//!
//! ```text
//! Rendered ─► postrender ─► record ─► storage (Secrets that helm reads)
//!                             │
//!             HelmRelease ─► state ─► decide ─► (controllers act) ─► report ─► status, events
//! ```
//!
//! Everything here is pure: no clock, no cluster. Start reading at [`state`], then [`decide`].

pub mod chart;
pub mod decide;
pub mod drift;
pub mod hooks;
mod json;
mod metadata;
pub mod objects;
pub mod observe;
pub mod postrender;
pub mod record;
pub mod report;
pub mod state;
pub mod storage;

pub use chart::StoredChart;
pub use decide::{Action, ActionType, Next, Stop};
pub use observe::{config_digest, shorten_name, snapshot};
pub use postrender::PostRender;
pub use record::{Hook, HookRun, Info, Phase, Release, Status};
pub use report::{Attempt, Draft, Told};
pub use state::{State, Wanted};
pub use storage::History;
