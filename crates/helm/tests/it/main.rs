//! The engine against recorded results of Helm 4.2.1 (`tests/oracles/helm`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests: a failure is a panic, and cases are read from files"
)]

mod charts;
mod flags;
mod hostile;
mod lint;
mod snippets;
