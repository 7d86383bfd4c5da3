//! Substitution beside fluxcd/pkg/envsubst, from recorded baselines, and the rules for objects.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests read their cases and stop at what must not be"
)]

mod objects;
mod recorded;
