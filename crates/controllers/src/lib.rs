//! Flux's controllers, one folder per kind: observe, decide, act, report.
//!
//! - [`shared`]: the client, stores, cache and flags that all of them share; [`store`]: what the API server holds.
//! - [`source`]: GitRepository and OCIRepository make artifacts; [`kustomization`] builds and applies them;
//!   [`helm_release`] installs and keeps charts.
//! - [`image`]: ImageRepository scans tags, ImagePolicy chooses the latest.
//! - [`owned`]: the turns of one kind's objects, and what is written to them; [`consumers`]: what those that are made of
//!   sources share.
//! - [`configs`]: which of the ConfigMaps and Secrets that others read changed.
//! - [`machine`]: clock, randomness and names for templates.
//! - [`start`]: the loops of a process, wired.
//!
//! Decisions are pure functions over plain data; effects are in `run`, `finalize` and the adapters they call.

pub mod artifacts;
pub mod configs;
pub mod consumers;
pub mod helm_release;
pub mod image;
pub mod kustomization;
pub mod machine;
pub mod options;
pub mod owned;
pub mod recorder;
pub mod registry;
pub mod shared;
pub mod source;
pub mod start;
pub mod store;
pub mod upstreams;
