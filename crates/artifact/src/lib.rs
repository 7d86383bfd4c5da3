//! The content-addressed artifact cache: reproducible archives, retention, the HTTP server.
//!
//! ```text
//! Git, OCI ─ TreeSource ─► archive ─► <kind>/<namespace>/<name>/<file>.tar.gz ─► serve (third parties)
//!                             └─────► UnpackedTree (by digest) ─► consumers in this process
//! another source-controller's URL ─► fetch ─► unpack ─► UnpackedTree
//! ```
//!
//! Invariants: what lies under an artifact's path is whole; content is trusted only with its digest; nothing is followed
//! or written outside the storage's root; no archive, however made, can exhaust memory or disk.
//!
//! Start with [`storage::Storage`] and [`tree::TreeSource`].

mod archive;
pub mod cache;
pub mod digest;
pub mod error;
pub mod fetch;
pub mod once;
pub mod path;
pub mod retention;
pub mod serve;
pub mod storage;
pub mod tar;
pub mod tree;
pub mod unpack;
pub mod unpacked;

pub use error::ArtifactError;
pub use storage::{Artifact, Options, Storage};
