//! Writing a tree as the tar.gz Flux would write: reproducible, streaming, its content spooled on the way.
//!
//! The tar stream is byte for byte that of fluxcd/pkg `artifact/storage/archive.go`; the compressed bytes are not (they
//! depend on the deflate implementation), so digests differ from Flux's for the same content, and are stable for one
//! version of Borax.

use std::io::{self, Read, Write};

use flate2::{Compression, GzBuilder, write::GzEncoder};

use crate::tar::write::{END, Kind, MAX_FILE_SIZE, header, padding};
use crate::tree::{FileMeta, SinkError, TreeSink};
use crate::unpacked::Staging;

/// A sink that archives into `out` and stages the same content.
pub(crate) struct ArchiveSink<W: Write> {
    gzip: GzEncoder<W>,
    staging: Staging,
    last: Vec<u8>,
    buffer: Vec<u8>,
}

impl<W: Write> ArchiveSink<W> {
    /// Starts the archive: the gzip header as Go writes it, and the root's own entry.
    pub(crate) fn new(out: W, staging: Staging) -> Result<Self, SinkError> {
        // Go's writer leaves the time empty and the system "unknown".
        let gzip =
            GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::default());
        let mut sink = Self { gzip, staging, last: Vec::new(), buffer: Vec::new() };
        sink.write_header(b".", Kind::Dir)?;
        Ok(sink)
    }

    /// Ends the archive; gives back the writer and the staged content.
    pub(crate) fn finish(mut self) -> io::Result<(W, Staging)> {
        self.gzip.write_all(&END)?;
        Ok((self.gzip.finish()?, self.staging))
    }

    fn write_header(&mut self, path: &[u8], kind: Kind) -> Result<(), SinkError> {
        self.buffer.clear();
        header(path, kind, &mut self.buffer);
        self.gzip
            .write_all(&self.buffer)
            .map_err(|source| SinkError::Write { path: lossy(path), source })
    }

    /// Checks that `path` is clean and comes after the last one in walking order.
    fn advance(&mut self, path: &[u8]) -> Result<(), SinkError> {
        if path.split(|&b| b == b'/').any(|part| part.is_empty() || part == b"." || part == b"..") {
            return Err(SinkError::Path { path: lossy(path) });
        }
        // Part by part, so that a directory's content comes before its longer-named neighbours.
        let is_after =
            self.last.is_empty() || path.split(|&b| b == b'/').gt(self.last.split(|&b| b == b'/'));
        if !is_after {
            return Err(SinkError::Order { path: lossy(path), after: lossy(&self.last) });
        }
        self.last.clear();
        self.last.extend_from_slice(path);
        Ok(())
    }
}

impl<W: Write> TreeSink for ArchiveSink<W> {
    fn dir(&mut self, path: &[u8]) -> Result<(), SinkError> {
        self.advance(path)?;
        self.write_header(path, Kind::Dir)?;
        self.staging.dir(path)
    }

    fn file(
        &mut self,
        path: &[u8],
        file: FileMeta,
        content: &mut dyn Read,
    ) -> Result<(), SinkError> {
        self.advance(path)?;
        if file.size > MAX_FILE_SIZE {
            return Err(SinkError::Limit {
                path: lossy(path),
                limit: MAX_FILE_SIZE,
                what: "bytes",
            });
        }
        self.write_header(path, Kind::File { size: file.size, executable: file.executable })?;
        let mut tee = Tee { content, copy: &mut self.gzip, failed: None };
        let staged = self.staging.file(path, file, &mut tee);
        if let Some(source) = tee.failed {
            return Err(SinkError::Write { path: lossy(path), source });
        }
        staged?;
        let zeros = &END[..padding(file.size)];
        self.gzip.write_all(zeros).map_err(|source| SinkError::Write { path: lossy(path), source })
    }
}

/// Copies what is read. A failed copy is kept apart from a failed read, as they are different faults.
struct Tee<'a, W> {
    content: &'a mut dyn Read,
    copy: W,
    failed: Option<io::Error>,
}

impl<W: Write> Read for Tee<'_, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.content.read(buffer)?;
        self.copy.write_all(&buffer[..n]).map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            io::Error::from(kind)
        })?;
        Ok(n)
    }
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
