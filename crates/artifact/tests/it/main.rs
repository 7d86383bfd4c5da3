//! What the artifact storage promises, feature by feature.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is its failure")]

mod archive;
mod fetch;
mod hostile;
mod process;
mod serve;
mod storage;
mod trees;
