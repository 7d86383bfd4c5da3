//! The reader and the writers beside go-yaml and sigs.k8s.io/yaml, from recorded baselines.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests read their cases and stop at what must not be"
)]

mod hostile;
mod recorded;
mod speed;
mod tree;
