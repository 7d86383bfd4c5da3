//! What this crate promises, by feature.

mod drift;
mod plan;
mod prepare;
mod takeover;
