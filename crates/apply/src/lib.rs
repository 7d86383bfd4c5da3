//! Desired objects, the last inventory and what is live become a plan of writes.
//!
//! A [`Plan`] is data: it can be printed, compared and stored, and whoever executes it decides nothing that is not
//! written here. Behaviour follows Flux's server-side apply manager (fluxcd/pkg `ssa/`) and kustomize-controller.
//!
//! ```text
//! objects ─► prepare (owner labels, normalise, common metadata) ─► plan (stages, decisions, stale) ─► executor
//!                                                                    ▲                                  │
//!                                     Known: what was last written, and what is live now ◄─────────────┘
//! ```
//!
//! Invariants:
//! - [`Plan::recorded`] names everything the plan may write and everything written before: record it first, and a
//!   crash leaves nothing that the next run does not know of.
//! - An object is left without a request only if what is wanted of it and what is live are both unchanged since our
//!   last write.
//!
//! ```
//! use borax_apply::{CommonMetadata, Decision, Options, Owner, plan, prepare};
//!
//! let owner = Owner::kustomization("web", "flux-system");
//! let mut objects = vec![serde_json::json!({
//!     "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"},
//! })];
//! prepare(&mut objects, &owner, &CommonMetadata::default()).unwrap();
//! let plan = plan(objects, &[], &|_| None, &owner, &Options::default());
//! assert_eq!(plan.steps().next().unwrap().decision, Decision::Check);
//! ```

mod changes;
mod drift;
mod fingerprint;
mod ignore;
mod owner;
mod plan;
mod prepare;
mod takeover;

pub use changes::{Action, Change, ChangeSet};
pub use drift::{has_drifted, is_immutable_error};
pub use fingerprint::{Fingerprint, Known, Written};
pub use ignore::{IgnoreRule, IgnoreRules, IgnoreTarget, InvalidIgnoreRule};
pub use owner::{Marks, Owner};
pub use plan::{Decision, Options, Plan, Stage, StageKind, Step, parse_kinds, plan};
pub use prepare::{CommonMetadata, PrepareError, prepare};
pub use takeover::{FieldManager, Takeover, migration_patch};
