//! Trees to archive, made in memory, and archives to unpack, made by hand.

use std::io::Write;

use borax_artifact::tree::{FileMeta, TreeError, TreeSink, TreeSource};
use borax_artifact::{ArtifactError, Options, Storage};
use flate2::Compression;
use flate2::write::GzEncoder;

/// A path, and unless it is a directory the content and whether that is executable.
type Entry = (Vec<u8>, Option<(Vec<u8>, bool)>);

/// Entries in the order in which they are emitted.
#[derive(Clone, Default)]
pub(crate) struct Tree(pub(crate) Vec<Entry>);

impl Tree {
    pub(crate) fn dir(mut self, path: impl AsRef<[u8]>) -> Self {
        self.0.push((path.as_ref().to_vec(), None));
        self
    }

    pub(crate) fn file(mut self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.0.push((path.as_ref().to_vec(), Some((content.as_ref().to_vec(), false))));
        self
    }

    pub(crate) fn executable(mut self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.0.push((path.as_ref().to_vec(), Some((content.as_ref().to_vec(), true))));
        self
    }
}

impl TreeSource for Tree {
    fn emit(&mut self, sink: &mut dyn TreeSink) -> Result<(), TreeError> {
        for (path, content) in &self.0 {
            match content {
                None => sink.dir(path)?,
                Some((content, executable)) => {
                    let meta = FileMeta { size: content.len() as u64, executable: *executable };
                    sink.file(path, meta, &mut &content[..])?;
                }
            }
        }
        Ok(())
    }
}

/// A storage in a folder of its own.
pub(crate) fn storage() -> (tempfile::TempDir, Storage) {
    storage_with(|_| {})
}

pub(crate) fn storage_with(change: impl FnOnce(&mut Options)) -> (tempfile::TempDir, Storage) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(dir.path().join("data"), "source.example:9090");
    change(&mut options);
    let storage = Storage::new(options).unwrap();
    (dir, storage)
}

/// A tar entry with a right checksum and whatever else is asked for.
pub(crate) fn raw_entry(path: &[u8], flag: u8, size: u64, content: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 512];
    block[..path.len()].copy_from_slice(path);
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = flag;
    block[257..263].copy_from_slice(b"ustar\0");
    block[263..265].copy_from_slice(b"00");
    if matches!(flag, b'1' | b'2') {
        block[157..157 + content.len()].copy_from_slice(content);
    }
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut out = block.to_vec();
    if !matches!(flag, b'1' | b'2') {
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(content).unwrap();
    out.finish().unwrap()
}

/// The whole chain of an error's texts.
pub(crate) fn chain(error: &ArtifactError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
