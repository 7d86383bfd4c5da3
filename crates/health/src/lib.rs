//! Readiness of Kubernetes objects: kstatus rules and CEL health checks.
//!
//! One object in, one [`Status`] out. Nothing here fetches or waits: the time is an argument, the object holds its own
//! status. Behaviour follows kstatus (Flux's fork of cli-utils, `pkg/kstatus/status`), Flux's rule for Jobs
//! (fluxcd/pkg `runtime/statusreaders`) and its CEL health checks (fluxcd/pkg `runtime/cel`, RFC 0009).
//!
//! ```text
//! Checks (CEL, by group and kind) ─► generic properties ─► built-in kinds ─► Ready condition ─► Current
//! ```
//!
//! ```
//! let job = serde_json::json!({
//!     "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"},
//!     "status": {"failed": 1, "startTime": "2024-01-01T00:00:00Z",
//!                "conditions": [{"type": "Failed", "status": "True"}]},
//! });
//! let status = borax_health::compute(&job, jiff::Timestamp::UNIX_EPOCH);
//! assert_eq!(status.state, borax_health::State::Failed);
//! assert_eq!(status.message, "Job Failed. failed: 1/1");
//! ```

mod builtin;
mod cel_json;
mod checks;
mod expression;
mod kstatus;

pub use checks::{CheckError, Checks, CustomCheck};
pub use expression::{Expression, ExpressionError, ReadyExpr};
pub use kstatus::{State, Status, compute, due};
