//! What can go wrong with stored artifacts.

use std::io;
use std::path::PathBuf;

use crate::digest::DigestError;
use crate::path::PathError;
use crate::tree::{SinkError, TreeError};
use crate::unpack::UnpackError;

/// An error of the artifact storage.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The path in an artifact is not one of ours.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The digest of an artifact is malformed or of an unknown algorithm.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// A file or folder of the storage could not be worked with.
    #[error("can't {action} {}", path.display())]
    Io {
        /// What was being done: `create`, `read`, `remove`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The tree could not be archived.
    #[error("can't archive {path}")]
    Archive {
        /// The artifact's path.
        path: String,
        /// Why.
        #[source]
        source: TreeError,
    },
    /// The artifact is not in the storage: never made, garbage collected, or the folder was lost.
    #[error("artifact {path} is not in the storage")]
    Missing {
        /// The artifact's path.
        path: String,
    },
    /// The stored bytes are not those the artifact was made of.
    #[error("computed digest doesn't match {want}: {path} has {got}")]
    Mismatch {
        /// The artifact's path or URL.
        path: String,
        /// The digest in the artifact.
        want: String,
        /// The digest of the bytes.
        got: String,
    },
    /// The archive can't be unpacked.
    #[error("can't unpack {path}")]
    Unpack {
        /// The artifact's path or URL.
        path: String,
        /// Why.
        #[source]
        source: UnpackError,
    },
}

impl ArtifactError {
    /// Whether the disk (full, lost, read-only) is at fault, so that trying again later may help without anything else
    /// changing.
    pub fn is_storage(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Missing { .. } => true,
            Self::Archive { source, .. } => {
                matches!(source, TreeError::Sink(SinkError::Write { .. }))
            }
            Self::Unpack { source, .. } => source.is_storage(),
            Self::Path(_) | Self::Digest(_) | Self::Mismatch { .. } => false,
        }
    }
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
