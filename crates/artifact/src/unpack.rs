//! From a tar.gz of anyone's making to an [`UnpackedTree`]: what an archive may hold, judged entry by entry.
//!
//! As Flux's untar (fluxcd/pkg `tar/untar.go`, with symlinks skipped as all its consumers have it): regular files and
//! directories are taken, symbolic links are left out, anything else is an error, and so is a name that is empty,
//! absolute, has a backslash or leads upwards. Stricter than Flux, on purpose: hard links (Flux makes an empty file of
//! them) and sparse files are errors, and sizes and counts are bounded.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use crate::tar::read::{EntryType, Reader, TarError};
use crate::tree::{FileMeta, SinkError, TreeSink};
use crate::unpacked::{Limits, Staging};

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The stream is not gzip.
    #[error("requires gzip-compressed body")]
    Gzip(#[source] io::Error),
    /// The stream is not a sound tar archive.
    #[error("tar error")]
    Tar(#[from] TarError),
    /// An entry's name is empty, absolute or leads out of the tree.
    #[error("tar contained invalid name {path:?}")]
    Name {
        /// The name as stored.
        path: String,
    },
    /// An entry is neither file, directory nor symbolic link.
    #[error("tar file entry {path:?} is a {kind}, which is not supported")]
    Kind {
        /// The entry.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// More bytes came out of the stream than the limit allows.
    #[error("the archive is bigger than the limit of {max_bytes} bytes unpacked")]
    TooBig {
        /// The limit.
        max_bytes: u64,
    },
    /// An entry can't be part of the tree: a limit, a conflict, or the disk.
    #[error(transparent)]
    Stage(#[from] SinkError),
}

impl UnpackError {
    /// Whether the cause is this machine's disk rather than the archive.
    pub fn is_storage(&self) -> bool {
        matches!(self, Self::Stage(SinkError::Write { .. }))
    }
}

/// Unpacks the tar.gz read from `archive` into `staging`.
///
/// Reading stops at the end of the tar archive; what follows it in the stream is not looked at.
pub fn unpack_tar_gz(
    archive: impl Read,
    limits: &Limits,
    staging: &mut Staging,
) -> Result<(), UnpackError> {
    let mut gzip = MultiGzDecoder::new(archive);
    let mut first = [0u8; 1];
    // The header is read with the first byte; errors after that are the tar reader's.
    let n = gzip.read(&mut first).map_err(UnpackError::Gzip)?;
    let whole = first[..n].chain(gzip);
    unpack_tar(whole, limits, staging)
}

/// Unpacks the tar read from `archive` into `staging`.
pub fn unpack_tar(
    archive: impl Read,
    limits: &Limits,
    staging: &mut Staging,
) -> Result<(), UnpackError> {
    let too_big = |error: TarError| match error {
        TarError::Read(error) if is_over(&error) => {
            UnpackError::TooBig { max_bytes: limits.max_bytes }
        }
        error => error.into(),
    };
    let mut reader = Reader::new(Bounded { inner: archive, left: limits.max_bytes });
    while let Some(entry) = reader.next_entry().map_err(too_big)? {
        let name = || String::from_utf8_lossy(&entry.path).into_owned();
        let refuse = |kind| Err(UnpackError::Kind { path: name(), kind });
        let path = clean(&entry.path).ok_or_else(|| UnpackError::Name { path: name() })?;
        match entry.kind {
            EntryType::Dir if path.is_empty() => {}
            EntryType::Dir => staging.dir(&path)?,
            EntryType::File if path.is_empty() => return Err(UnpackError::Name { path: name() }),
            EntryType::File => {
                let meta = FileMeta { size: entry.size, executable: entry.mode & 0o111 != 0 };
                staging.file(&path, meta, &mut reader).map_err(|error| match error {
                    SinkError::Content { source, .. } => too_big(TarError::Read(source)),
                    error => error.into(),
                })?;
            }
            EntryType::Symlink => {}
            EntryType::HardLink => return refuse("hard link"),
            EntryType::CharDevice => return refuse("character device"),
            EntryType::BlockDevice => return refuse("block device"),
            EntryType::Fifo => return refuse("named pipe"),
            EntryType::Other(_) => return refuse("entry of unknown type"),
        }
    }
    Ok(())
}

/// The path without `.`, doubled and trailing slashes; empty for the root; `None` for what Flux's untar refuses.
fn clean(path: &[u8]) -> Option<Vec<u8>> {
    if path.is_empty() || path.starts_with(b"/") || path.contains(&b'\\') || path.contains(&0) {
        return None;
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// Fails once more than so many bytes were read.
struct Bounded<R> {
    inner: R,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("too many bytes")]
struct Over;

fn is_over(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Over>())
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| io::Error::other(Over))?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn names_are_cleaned_as_a_join_would_and_refused_as_flux_refuses_them() {
        assert_eq!(clean(b"./a//b/").as_deref(), Some(&b"a/b"[..]));
        assert_eq!(clean(b"./").as_deref(), Some(&b""[..]));
        for bad in [&b""[..], b"/a", b"../a", b"a/../../b", b"a/..", b"..", b"a\\b", b"a\0b"] {
            assert_eq!(clean(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
