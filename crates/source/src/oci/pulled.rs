//! A pulled layer, and how it becomes the artifact that Flux would make of it. Blocking.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use borax_artifact::path::ArtifactPath;
use borax_artifact::tree::{FileMeta, SinkError, TreeSink, TreeSource};
use borax_artifact::unpacked::UnpackedTree;
use borax_artifact::{Artifact, ArtifactError, Storage};

use crate::ignore::{IGNORE_FILE, IgnoreFile, Rules};

/// The most of an ignore file that is read, in bytes.
const MAX_IGNORE: u64 = 1 << 20;

/// The layer of an artifact.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The manifest's annotations: the artifact's metadata.
    pub annotations: BTreeMap<String, String>,
    /// The layer.
    pub content: Content,
}

/// What became of the layer.
#[derive(Clone, Debug)]
pub enum Content {
    /// `extract`: unpacked.
    Extracted(Arc<UnpackedTree>),
    /// `copy`: as it is, in a file without a name.
    Copied(Arc<File>),
}

impl Pulled {
    /// Stores the layer under `path`: extracted content less what the `.sourceignore` files in it and `ignore`
    /// (`spec.ignore`) exclude, copied content as it is.
    pub fn store(
        &self,
        storage: &Storage,
        path: &ArtifactPath,
        revision: &str,
        ignore: Option<&str>,
    ) -> Result<Artifact, ArtifactError> {
        let mut artifact = match &self.content {
            Content::Extracted(tree) => {
                let mut files = IgnoreFiles::default();
                let fail = |source| ArtifactError::Archive { path: path.to_string(), source };
                tree.walk().emit(&mut files).map_err(fail)?;
                let rules = Rules::new(files.found, ignore);
                let skip = |path: &[u8], is_dir: bool| {
                    rules.excludes(&String::from_utf8_lossy(path), is_dir)
                };
                storage.archive(path, revision, &mut tree.walk().without(&skip))?
            }
            Content::Copied(file) => {
                storage.store(path, revision, &mut FromStart { file, at: 0 })?
            }
        };
        artifact.metadata.clone_from(&self.annotations);
        Ok(artifact)
    }
}

/// Collects the ignore files of a tree; other files are not read.
#[derive(Default)]
struct IgnoreFiles {
    found: Vec<IgnoreFile>,
}

impl TreeSink for IgnoreFiles {
    fn dir(&mut self, _: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }

    fn file(&mut self, path: &[u8], _: FileMeta, content: &mut dyn Read) -> Result<(), SinkError> {
        let path = String::from_utf8_lossy(path);
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == IGNORE_FILE {
            let mut bytes = Vec::new();
            let read = content.take(MAX_IGNORE).read_to_end(&mut bytes);
            read.map_err(|source| SinkError::Content { path: path.to_string(), source })?;
            let content = String::from_utf8_lossy(&bytes).into_owned();
            self.found.push(IgnoreFile { dir: dir.to_owned(), content });
        }
        Ok(())
    }
}

/// Reads a shared file from its start, without moving its position.
struct FromStart<'a> {
    file: &'a File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
