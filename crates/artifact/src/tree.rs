//! "A tree of files to archive": the one interface between what fetches (Git, OCI) and what archives.
//!
//! Internal iteration: a [`TreeSource`] walks itself and pushes each entry into a [`TreeSink`], so a source may recurse
//! through an object database and hold one file (or less) at a time. Which files belong to the tree (ignore rules, links
//! left out) is the source's matter; how an archive looks is the sink's.

use std::error::Error;
use std::io::Read;

/// A tree of regular files and directories that can be walked once.
///
/// The order is that of Go's `filepath.Walk`: depth first, the names of a directory sorted bytewise, a directory before
/// what it holds (so `a`, `a/x`, `a.b`, though `a.b` sorts before `a/x` as a string). [`TreeSink`]s refuse another order,
/// as the archive would no longer be reproducible.
///
/// The root itself is not emitted: every archive has it.
pub trait TreeSource {
    /// Pushes every entry of the tree into `sink`, in order. Blocking: call it where blocking is allowed.
    ///
    /// An error of the sink is passed on as it is (`?` does it); an own error is [`TreeError::source`].
    fn emit(&mut self, sink: &mut dyn TreeSink) -> Result<(), TreeError>;
}

/// Where a [`TreeSource`] puts its entries.
///
/// Paths are bytes, as Git and tar have them (a name need not be UTF-8). They are relative to the root, `/`-separated and
/// clean: no leading or trailing slash, no empty part, no `.` or `..`, no NUL.
/// A directory need not be announced before its files (Flux leaves an ignored directory's own entry out, yet keeps what a
/// later pattern re-includes below it).
pub trait TreeSink {
    /// A directory. Empty ones are kept, as Flux keeps them.
    fn dir(&mut self, path: &[u8]) -> Result<(), SinkError>;

    /// A regular file of exactly `file.size` bytes, read from `content`, which is not kept.
    fn file(
        &mut self,
        path: &[u8],
        file: FileMeta,
        content: &mut dyn Read,
    ) -> Result<(), SinkError>;
}

/// What an archive keeps of a file besides its path and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMeta {
    /// Length of the content in bytes. More or fewer bytes than that are an error.
    pub size: u64,
    /// Whether any execute bit is set (`mode & 0o111 != 0`).
    pub executable: bool,
}

/// Why a tree could not be pushed into a sink.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The tree could not be read.
    #[error("can't read the tree of files")]
    Source(#[source] Box<dyn Error + Send + Sync>),
    /// The sink refused an entry.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl TreeError {
    /// An error of the source's own: an object that can't be read, a limit that was passed.
    pub fn source(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Source(error.into())
    }
}

/// Why a sink refused an entry. A source passes it on and does nothing else with it.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The path is not relative and clean.
    #[error("{path:?} is not a clean relative path")]
    Path {
        /// The path as it was given (lossily, where it is not UTF-8; so in all variants).
        path: String,
    },
    /// The entry came too late (or twice): archives are only reproducible in order.
    #[error("{path:?} came after {after:?}: entries must come in walking order, each once")]
    Order {
        /// The entry that came too late.
        path: String,
        /// The entry before it.
        after: String,
    },
    /// The content's length was not the announced one.
    #[error("the content of {path:?} is not the {size} bytes that were announced")]
    Size {
        /// The file.
        path: String,
        /// The announced length in bytes.
        size: u64,
    },
    /// The content could not be read.
    #[error("can't read the content of {path:?}")]
    Content {
        /// The file.
        path: String,
        /// What the content's reader said.
        #[source]
        source: std::io::Error,
    },
    /// The sink's own output could not be written.
    #[error("can't write {path:?} to the archive")]
    Write {
        /// The entry that was being written.
        path: String,
        /// What the output said.
        #[source]
        source: std::io::Error,
    },
    /// A limit on trees was passed.
    #[error("{path:?} passes the limit of {limit} {what}")]
    Limit {
        /// The entry that was one too many.
        path: String,
        /// The limit's value.
        limit: u64,
        /// What is limited.
        what: &'static str,
    },
    /// One entry says file, another directory.
    #[error("{path:?} is both a file and a directory")]
    Conflict {
        /// The later entry.
        path: String,
    },
}
