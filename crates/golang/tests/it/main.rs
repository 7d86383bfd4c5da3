//! Go's libraries compared with recordings of them, and what they may be fed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod hostile;
mod regexp;
mod semver;
