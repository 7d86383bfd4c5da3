//! Images in Git, compared with Flux's own controllers on inputs they were not written for.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod flux;
mod forms;
mod generated;
mod policies;
