//! The harness under virtual time.

mod queue;
