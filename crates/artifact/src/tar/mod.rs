//! The tar format, both ways, as Go's `archive/tar` has it: what Flux reads and writes.
//!
//! Own code rather than a crate for two reasons: the bytes written must be the ones Go writes (so that an archive of the
//! same files is the same tar stream as Flux's), and the reader must stay small in memory whatever the headers claim.

pub mod read;
pub mod write;

/// Everything in a tar file is padded to this many bytes.
pub const BLOCK: usize = 512;
