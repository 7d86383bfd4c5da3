//! The engine against recorded results of Go's own text/template (`tests/oracles/gotmpl`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests: a failure is a panic, and cases are read from files"
)]

mod engine;
mod oracle;
