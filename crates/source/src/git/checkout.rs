//! A commit's tree, walked straight out of the object database: no work tree is written.
//!
//! What is in it is what go-git checks out and source-controller archives: regular files, directories that hold one
//! (and what a submodule leaves: its content, or an empty directory), no symbolic links. Which of it is archived decides
//! [`crate::ignore`].

use std::collections::{BTreeMap, BTreeSet};

use borax_artifact::tree::{FileMeta, TreeError, TreeSink, TreeSource};
use git2::{ObjectType, Oid};

use super::cause::Cause;
use super::error::GitError;
use super::fetch::Limits;
use super::object::{Commit, EntryKind, Tag, parse_tree};
use super::store::{Objects, Store};
use crate::ignore::{IGNORE_FILE, IgnoreFile, Rules};

/// Directories within directories, at most: keeps the walk's recursion from a hostile tree.
pub(super) const MAX_DEPTH: usize = 256;

/// The longest ignore file that is read, in bytes.
const MAX_IGNORE_FILE: u64 = 4 << 20;

/// A fetched commit and its files, on disk as packs until dropped.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// The revision as Flux writes it.
    pub revision: String,
    /// The commit.
    pub commit: Commit,
    /// The tag that led to it, when `spec.ref` asked for one.
    pub tag: Option<Tag>,
    pub(crate) root: Root,
    pub(crate) sparse: Sparse,
    /// The trees of submodules by path, below this tree and below each other.
    pub(crate) submodules: BTreeMap<Vec<u8>, Submodule>,
    pub(crate) limits: Limits,
}

/// A tree and the store it is in.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub(crate) store: Store,
    pub(crate) tree: Oid,
}

/// A submodule's tree, and the file that go-git leaves in its directory and Flux archives with it.
#[derive(Clone, Debug)]
pub(crate) struct Submodule {
    pub(crate) root: Root,
    /// Content of the file `.git`.
    pub(crate) git_file: String,
}

/// `spec.sparseCheckout`: beginnings of paths. Empty is everything.
///
/// As in go-git a beginning is one of text: `charts` also takes `charts.yaml` and `charts2/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sparse {
    prefixes: Vec<Vec<u8>>,
}

impl Sparse {
    pub(crate) fn new(directories: &[String]) -> Self {
        let trim = |dir: &String| dir.strip_prefix("./").unwrap_or(dir).as_bytes().to_vec();
        Self { prefixes: directories.iter().map(trim).collect() }
    }

    pub(crate) fn takes(&self, path: &[u8]) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| path.starts_with(prefix))
    }

    /// Whether something below the directory may be taken.
    pub(crate) fn enters(&self, dir: &[u8]) -> bool {
        let dir = join(dir, b"");
        self.takes(&dir) || self.prefixes.iter().any(|prefix| prefix.starts_with(&dir))
    }
}

/// What a walk meets.
enum Found<'a> {
    Dir(&'a [u8]),
    File { path: &'a [u8], executable: bool, content: Content<'a> },
    Link { path: &'a [u8] },
}

/// A file's content, before it is read.
enum Content<'a> {
    Blob(&'a Objects, Oid),
    Text(&'a str),
}

impl Content<'_> {
    fn size(&self) -> Result<u64, Cause> {
        match self {
            Self::Blob(objects, oid) => Ok(objects.header(*oid)?.1),
            Self::Text(text) => Ok(text.len() as u64),
        }
    }

    /// Reads it and hands it over.
    fn with<T, E: From<Cause>>(&self, take: impl FnOnce(&[u8]) -> Result<T, E>) -> Result<T, E> {
        match self {
            Self::Blob(objects, oid) => take(objects.read(*oid, ObjectType::Blob)?.data()),
            Self::Text(text) => take(text.as_bytes()),
        }
    }
}

type Visit<'v, E> = &'v mut dyn FnMut(Found<'_>) -> Result<(), E>;

impl Checkout {
    /// The ignore files of the tree.
    pub fn ignore_files(&self) -> Result<Vec<IgnoreFile>, GitError> {
        let mut files = Vec::new();
        self.walk::<Cause>(&mut |found| {
            let Found::File { path, content, .. } = found else {
                return Ok(());
            };
            let (dir, name) = split_name(path);
            if name != IGNORE_FILE.as_bytes() {
                return Ok(());
            }
            if content.size()? > MAX_IGNORE_FILE {
                return Err(Cause::TooLarge {
                    what: "a .sourceignore file",
                    limit: MAX_IGNORE_FILE,
                });
            }
            content.with(|bytes| {
                files.push(IgnoreFile {
                    dir: String::from_utf8_lossy(dir).into_owned(),
                    content: String::from_utf8_lossy(bytes).into_owned(),
                });
                Ok(())
            })
        })
        .map_err(|cause| self.unreadable(cause))?;
        Ok(files)
    }

    /// The files that `rules` leave in, to be archived.
    pub fn tree<'a>(&'a self, rules: &'a Rules) -> CheckoutTree<'a> {
        CheckoutTree { checkout: self, rules }
    }

    /// Checks that each of `directories` (`spec.sparseCheckout`) is in the tree.
    pub(crate) fn check_sparse(&self, directories: &[String]) -> Result<(), GitError> {
        if directories.is_empty() {
            return Ok(());
        }
        let mut wanted: BTreeMap<Vec<u8>, &String> =
            directories.iter().map(|dir| (clean(dir), dir)).collect();
        wanted.remove(&b""[..]);
        self.walk::<Cause>(&mut |found| {
            let (Found::Dir(path) | Found::File { path, .. } | Found::Link { path }) = found;
            wanted.remove(path);
            Ok(())
        })
        .map_err(|cause| self.unreadable(cause))?;
        match wanted.into_values().next() {
            None => Ok(()),
            Some(dir) => Err(GitError::Sparse { dir: dir.clone() }),
        }
    }

    fn unreadable(&self, cause: Cause) -> GitError {
        GitError::Commit { commit: self.commit.hash.clone(), reason: cause.to_string() }
    }

    /// Walks the tree in the order of a file system walk, submodules included, within the limits.
    fn walk<E: From<Cause>>(&self, visit: Visit<'_, E>) -> Result<(), E> {
        let mut walk = Walk { checkout: self, entries: 0, bytes: 0 };
        let objects = self.root.store.open()?;
        walk.tree(&objects, self.root.tree, b"", None, visit)?;
        Ok(())
    }
}

struct Walk<'c> {
    checkout: &'c Checkout,
    entries: u64,
    bytes: u64,
}

impl Walk<'_> {
    /// Walks one tree. A directory is visited once it is known to hold something. `git_file` is a submodule's.
    fn tree<E: From<Cause>>(
        &mut self,
        objects: &Objects,
        tree: Oid,
        dir: &[u8],
        mut git_file: Option<&str>,
        visit: Visit<'_, E>,
    ) -> Result<(), E> {
        if depth(dir) >= MAX_DEPTH {
            let dir = String::from_utf8_lossy(dir);
            return Err(cant_walk(&format!("'{dir}' is nested too deeply")).into());
        }
        let object = objects.read(tree, ObjectType::Tree)?;
        let entries = parse_tree(tree, object.data()).map_err(broken)?;
        self.entries += entries.len() as u64;
        if self.entries > self.checkout.limits.entries {
            return Err(too_many(self.checkout.limits.entries).into());
        }
        for entry in entries {
            if entry.name > b".git".as_slice() {
                visit_git_file(dir, git_file.take(), visit)?;
            }
            let path = join(dir, entry.name);
            match entry.kind {
                EntryKind::Directory => {
                    if self.checkout.sparse.enters(&path)
                        && self.holds(objects, entry.oid, &path)?
                    {
                        visit(Found::Dir(&path))?;
                        self.tree(objects, entry.oid, &path, None, visit)?;
                    }
                }
                _ if !self.checkout.sparse.takes(&path) => {}
                EntryKind::File { executable } => {
                    let content = Content::Blob(objects, entry.oid);
                    self.count(content.size()?)?;
                    visit(Found::File { path: &path, executable, content })?;
                }
                EntryKind::Link => visit(Found::Link { path: &path })?,
                EntryKind::Submodule => {
                    visit(Found::Dir(&path))?;
                    if let Some(submodule) = self.checkout.submodules.get(&path) {
                        let below = submodule.root.store.open()?;
                        let git_file = Some(submodule.git_file.as_str());
                        self.tree(&below, submodule.root.tree, &path, git_file, visit)?;
                    }
                }
            }
        }
        visit_git_file(dir, git_file, visit)
    }

    /// Whether a work tree would have the directory: Git has none that is empty, so only sparse checkout can leave it out.
    fn holds(&self, objects: &Objects, tree: Oid, dir: &[u8]) -> Result<bool, Cause> {
        if self.checkout.sparse.takes(&join(dir, b"")) {
            return Ok(true);
        }
        let mut pending = vec![(dir.to_vec(), tree)];
        let mut seen = BTreeSet::new();
        while let Some((dir, tree)) = pending.pop() {
            if depth(&dir) >= MAX_DEPTH || !seen.insert(dir.clone()) {
                continue;
            }
            let object = objects.read(tree, ObjectType::Tree)?;
            for entry in parse_tree(tree, object.data()).map_err(broken)? {
                let path = join(&dir, entry.name);
                match entry.kind {
                    EntryKind::Directory if self.checkout.sparse.enters(&path) => {
                        pending.push((path, entry.oid));
                    }
                    EntryKind::Directory => {}
                    _ if self.checkout.sparse.takes(&path) => return Ok(true),
                    _ => {}
                }
            }
        }
        Ok(false)
    }

    fn count(&mut self, size: u64) -> Result<(), Cause> {
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.checkout.limits.tree_bytes {
            return Err(Cause::TooLarge {
                what: "the tree",
                limit: self.checkout.limits.tree_bytes,
            });
        }
        Ok(())
    }
}

/// A [`Checkout`]'s files less the ignored ones.
pub struct CheckoutTree<'a> {
    checkout: &'a Checkout,
    rules: &'a Rules,
}

impl CheckoutTree<'_> {
    fn excludes(&self, path: &[u8], is_dir: bool) -> bool {
        self.rules.excludes(&String::from_utf8_lossy(path), is_dir)
    }
}

/// Brings the sink's errors through the walk.
enum EmitError {
    Own(Cause),
    Tree(TreeError),
}

impl From<Cause> for EmitError {
    fn from(cause: Cause) -> Self {
        Self::Own(cause)
    }
}

impl TreeSource for CheckoutTree<'_> {
    fn emit(&mut self, sink: &mut dyn TreeSink) -> Result<(), TreeError> {
        let done = self.checkout.walk::<EmitError>(&mut |found| match found {
            Found::Dir(path) if !self.excludes(path, true) => {
                sink.dir(path).map_err(|e| EmitError::Tree(e.into()))
            }
            Found::File { path, executable, content } if !self.excludes(path, false) => content
                .with(|mut bytes| {
                    let meta = FileMeta { size: bytes.len() as u64, executable };
                    sink.file(path, meta, &mut bytes).map_err(|e| EmitError::Tree(e.into()))
                }),
            _ => Ok(()),
        });
        done.map_err(|error| match error {
            EmitError::Own(cause) => TreeError::source(cause),
            EmitError::Tree(error) => error,
        })
    }
}

fn visit_git_file<E>(dir: &[u8], git_file: Option<&str>, visit: Visit<'_, E>) -> Result<(), E> {
    match git_file {
        None => Ok(()),
        Some(text) => visit(Found::File {
            path: &join(dir, b".git"),
            executable: false,
            content: Content::Text(text),
        }),
    }
}

pub(super) fn broken(error: super::object::BrokenObject) -> Cause {
    Cause::store("can't read a received object", &error)
}

pub(super) fn too_many(limit: u64) -> Cause {
    cant_walk(&format!("it has more than {limit} entries"))
}

fn cant_walk(reason: &str) -> Cause {
    Cause::store("can't walk the tree", &reason)
}

/// `dir/name`; for an empty name the directory with its slash.
pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match dir {
        b"" => name.to_vec(),
        dir => [dir, b"/", name].concat(),
    }
}

fn split_name(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

pub(super) fn depth(path: &[u8]) -> usize {
    path.iter().filter(|b| **b == b'/').count()
}

/// A path with `.` and `..` resolved and never above the root, as a secure join resolves it.
fn clean(path: &str) -> Vec<u8> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/").into_bytes()
}
