//! An artifact's content for consumers in this process: an index in memory over one unnamed file on disk.
//!
//! Neither a folder of small files nor the archive itself: the contents are appended to one file that has no name (it is
//! gone with its last user, or with the process, so nothing half-written is ever found), and only names, offsets and
//! lengths are held in memory, about 100 bytes per file. Reading is one `pread`. So a 100 MB tree of 10,000 files costs
//! about 1 MB of memory, writing it costs one open file rather than 10,000, nothing on disk can be followed out of the
//! root because there are no links, and a deleted cache folder does not disturb a build that is under way.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use borax_stdx::files::{self, FileKind, Files};

use crate::tree::{FileMeta, SinkError, TreeError, TreeSink, TreeSource};

/// The most one [`Files::read`] returns, in bytes: a larger file is an error rather than a memory hog.
const MAX_READ: u64 = 128 << 20;

/// Bounds on a tree, against archives made to exhaust the machine. Flux has only the first, and off by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of contents and headers together, decompressed.
    pub max_bytes: u64,
    /// Most files and directories (those only implied by a path included).
    pub max_entries: usize,
    /// Deepest nesting of directories.
    pub max_depth: usize,
}

impl Default for Limits {
    /// 1 GiB, 200,000 entries, 128 levels: twice the Linux kernel's tree.
    fn default() -> Self {
        Self { max_bytes: 1 << 30, max_entries: 200_000, max_depth: 128 }
    }
}

#[derive(Clone, Copy, Debug)]
enum Node {
    Dir(usize),
    File { offset: u64, size: u64, executable: bool },
}

type Dir = BTreeMap<Box<[u8]>, Node>;

/// The nodes of a tree. Directories are numbered; 0 is the root.
#[derive(Debug)]
struct Index {
    dirs: Vec<Dir>,
    n_nodes: usize,
}

impl Index {
    fn find(&self, path: &str) -> Option<Node> {
        let mut node = Node::Dir(0);
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let Node::Dir(dir) = node else { return None };
            let dir = &self.dirs[dir];
            node = *dir.get(part.as_bytes()).or_else(|| {
                // A name that is not UTF-8 is listed lossily, and found again by that.
                let lossy = |name: &&[u8]| String::from_utf8_lossy(name) == part;
                let has = part.contains(char::REPLACEMENT_CHARACTER);
                has.then(|| dir.iter().find(|(name, _)| lossy(&&***name)).map(|(_, node)| node))?
            })?;
        }
        Some(node)
    }
}

/// A tree being put together: entries in any order, a later file replaces an earlier one of its name.
#[derive(Debug)]
pub struct Staging {
    out: BufWriter<File>,
    written: u64,
    limits: Limits,
    index: Index,
}

impl Staging {
    /// Stages into `spool`, an empty file opened for reading and writing, best one without a name.
    pub fn new(spool: File, limits: Limits) -> Self {
        let index = Index { dirs: vec![Dir::new()], n_nodes: 0 };
        Self { out: BufWriter::with_capacity(64 << 10, spool), written: 0, limits, index }
    }

    /// Puts all of `tree` below (or at) `from` into the directory `to` (empty for the root).
    ///
    /// Errors as [`TreeSource::emit`], and with [`SinkError::Path`] where `from` is not a directory of `tree`.
    pub fn add_tree(&mut self, to: &str, tree: &UnpackedTree, from: &str) -> Result<(), TreeError> {
        let to = files::join("/", to).as_bytes()[1..].to_vec();
        if !to.is_empty() {
            self.dir(&to)?;
        }
        tree.walk_at(from)?.emit(&mut Below { staging: self, to })
    }

    /// The finished tree.
    pub fn finish(self) -> io::Result<UnpackedTree> {
        let content = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(UnpackedTree { content, size: self.written, index: self.index })
    }

    /// The number of the directory at `path`, made where it is missing. `entry` is named in errors.
    fn make_dirs(&mut self, path: &[u8], entry: &[u8]) -> Result<usize, SinkError> {
        let mut dir = 0;
        for (depth, name) in path.split(|&b| b == b'/').enumerate() {
            check_name(name, entry)?;
            dir = match self.index.dirs[dir].get(name) {
                Some(Node::Dir(next)) => *next,
                Some(Node::File { .. }) => return Err(SinkError::Conflict { path: lossy(entry) }),
                None => {
                    self.count(entry)?;
                    if depth >= self.limits.max_depth {
                        return Err(self.limit(
                            entry,
                            self.limits.max_depth as u64,
                            "levels of directories",
                        ));
                    }
                    let next = self.index.dirs.len();
                    self.index.dirs.push(Dir::new());
                    self.index.dirs[dir].insert(name.into(), Node::Dir(next));
                    next
                }
            };
        }
        Ok(dir)
    }

    fn count(&mut self, path: &[u8]) -> Result<(), SinkError> {
        if self.index.n_nodes >= self.limits.max_entries {
            return Err(self.limit(path, self.limits.max_entries as u64, "files and directories"));
        }
        self.index.n_nodes += 1;
        Ok(())
    }

    fn limit(&self, path: &[u8], limit: u64, what: &'static str) -> SinkError {
        SinkError::Limit { path: lossy(path), limit, what }
    }

    fn copy(&mut self, path: &[u8], size: u64, content: &mut dyn Read) -> Result<(), SinkError> {
        let mut left = size;
        let mut buffer = [0u8; 32 << 10];
        loop {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            // One byte more than announced is asked for at the end, to notice a longer content.
            let most = most.max(1);
            let n = match content.read(&mut buffer[..most]) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(SinkError::Content { path: lossy(path), source }),
            };
            if n as u64 > left || (n == 0 && left > 0) {
                return Err(SinkError::Size { path: lossy(path), size });
            }
            if n == 0 {
                return Ok(());
            }
            left -= n as u64;
            self.out
                .write_all(&buffer[..n])
                .map_err(|source| SinkError::Write { path: lossy(path), source })?;
        }
    }
}

impl TreeSink for Staging {
    /// Adds a directory and those above it, unless it is there.
    fn dir(&mut self, path: &[u8]) -> Result<(), SinkError> {
        self.make_dirs(path, path).map(drop)
    }

    /// Adds a file and the directories above it. A file of that name is replaced.
    fn file(
        &mut self,
        path: &[u8],
        file: FileMeta,
        content: &mut dyn Read,
    ) -> Result<(), SinkError> {
        let (parent, name) = match path.iter().rposition(|&b| b == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&b""[..], path),
        };
        check_name(name, path)?;
        let parent = if parent.is_empty() && !path.starts_with(b"/") {
            0
        } else {
            self.make_dirs(parent, path)?
        };
        if self.written.saturating_add(file.size) > self.limits.max_bytes {
            return Err(self.limit(path, self.limits.max_bytes, "bytes"));
        }
        match self.index.dirs[parent].get(name) {
            Some(Node::Dir(_)) => return Err(SinkError::Conflict { path: lossy(path) }),
            Some(Node::File { .. }) => {}
            None => self.count(path)?,
        }
        self.copy(path, file.size, content)?;
        let node =
            Node::File { offset: self.written, size: file.size, executable: file.executable };
        self.index.dirs[parent].insert(name.into(), node);
        self.written += file.size;
        Ok(())
    }
}

/// Puts entries into a directory of a staging.
struct Below<'a> {
    staging: &'a mut Staging,
    to: Vec<u8>,
}

impl Below<'_> {
    fn path(&self, path: &[u8]) -> Vec<u8> {
        if self.to.is_empty() { path.to_vec() } else { [&self.to, &b"/"[..], path].concat() }
    }
}

impl TreeSink for Below<'_> {
    fn dir(&mut self, path: &[u8]) -> Result<(), SinkError> {
        self.staging.dir(&self.path(path))
    }

    fn file(
        &mut self,
        path: &[u8],
        file: FileMeta,
        content: &mut dyn Read,
    ) -> Result<(), SinkError> {
        self.staging.file(&self.path(path), file, content)
    }
}

/// A finished tree: a [`Files`] rooted at `/`, and a [`TreeSource`] by [`UnpackedTree::walk`].
#[derive(Debug)]
pub struct UnpackedTree {
    content: File,
    size: u64,
    index: Index,
}

impl UnpackedTree {
    /// Bytes on disk.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Number of files and directories.
    pub fn n_entries(&self) -> usize {
        self.index.n_nodes
    }

    /// The whole tree as a source.
    pub fn walk(&self) -> TreeWalk<'_> {
        TreeWalk { tree: self, root: 0, skip: None }
    }

    /// The directory `path` as a source, its entries' paths relative to it. Errors when it is not a directory.
    pub fn walk_at(&self, path: &str) -> Result<TreeWalk<'_>, SinkError> {
        match self.index.find(&files::join("/", path)) {
            Some(Node::Dir(root)) => Ok(TreeWalk { tree: self, root, skip: None }),
            _ => Err(SinkError::Path { path: path.to_owned() }),
        }
    }

    fn read_node(&self, offset: u64, size: u64) -> io::Result<Arc<[u8]>> {
        if size > MAX_READ {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("the file has {size} bytes, the most is {MAX_READ}"),
            ));
        }
        let mut content = vec![0; usize::try_from(size).expect("at most MAX_READ")];
        self.content.read_exact_at(&mut content, offset)?;
        Ok(content.into())
    }
}

impl Files for UnpackedTree {
    fn kind(&self, path: &str) -> io::Result<Option<FileKind>> {
        Ok(self.index.find(&files::join("/", path)).map(|node| match node {
            Node::Dir(_) => FileKind::Dir,
            Node::File { .. } => FileKind::File,
        }))
    }

    fn read(&self, path: &str) -> io::Result<Arc<[u8]>> {
        match self.index.find(&files::join("/", path)) {
            Some(Node::File { offset, size, .. }) => self.read_node(offset, size),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        match self.index.find(&files::join("/", path)) {
            Some(Node::Dir(dir)) => {
                let names = self.index.dirs[dir].keys();
                Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
            }
            Some(Node::File { .. }) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// There are no links: every path is its own.
    fn resolve(&self, path: &str) -> io::Result<String> {
        let path = files::join("/", path);
        match self.index.find(&path) {
            Some(_) => Ok(path),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Says of a path (relative to the walk's root) and whether it is a directory, if it is to be left out.
pub type Skip<'a> = &'a dyn Fn(&[u8], bool) -> bool;

/// A walk over an [`UnpackedTree`] or a directory of it.
pub struct TreeWalk<'a> {
    tree: &'a UnpackedTree,
    root: usize,
    skip: Option<Skip<'a>>,
}

impl<'a> TreeWalk<'a> {
    /// Leaves out what `skip` says. A directory left out is still entered, as Flux does: a later pattern may bring back
    /// what is below it.
    #[must_use]
    pub fn without(mut self, skip: Skip<'a>) -> Self {
        self.skip = Some(skip);
        self
    }

    fn emit_dir(
        &self,
        dir: usize,
        path: &mut Vec<u8>,
        sink: &mut dyn TreeSink,
    ) -> Result<(), TreeError> {
        for (name, node) in &self.tree.index.dirs[dir] {
            let parent = path.len();
            if parent > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let skip = self.skip.is_some_and(|skip| skip(path, matches!(node, Node::Dir(_))));
            match *node {
                // The depth is bounded by `Limits::max_depth`.
                Node::Dir(next) => {
                    if !skip {
                        sink.dir(path)?;
                    }
                    self.emit_dir(next, path, sink)?;
                }
                Node::File { offset, size, executable } if !skip => {
                    let mut content = Section { file: &self.tree.content, offset, left: size };
                    sink.file(path, FileMeta { size, executable }, &mut content)?;
                }
                Node::File { .. } => {}
            }
            path.truncate(parent);
        }
        Ok(())
    }
}

impl TreeSource for TreeWalk<'_> {
    fn emit(&mut self, sink: &mut dyn TreeSink) -> Result<(), TreeError> {
        self.emit_dir(self.root, &mut Vec::new(), sink)
    }
}

/// A part of a file, read without moving the file's position.
struct Section<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = self.file.read_at(&mut buffer[..most], self.offset)?;
        self.offset += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

fn check_name(name: &[u8], path: &[u8]) -> Result<(), SinkError> {
    if name.is_empty() || name == b"." || name == b".." || name.contains(&0) || name.len() > 255 {
        return Err(SinkError::Path { path: lossy(path) });
    }
    Ok(())
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
