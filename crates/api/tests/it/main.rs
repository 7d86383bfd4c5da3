//! What this crate promises to the outside: Flux's schemas, Flux's JSON, fresh files, and samples that hold.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail as the test does")]
#![allow(clippy::disallowed_methods, reason = "tests read and write the project's generated files")]

mod files;
mod kinds;
mod parity;
mod roundtrip;
mod samples;
