//! What the standard library lacks and several rings need.
//!
//! - [`duration`]: Go's duration notation (`1h30m`), as the Flux resources spell intervals.
//! - [`files`]: the one door through which engines see files.
//!
//! This crate knows nothing of Kubernetes, and does no input or output itself.

pub mod duration;
pub mod files;
