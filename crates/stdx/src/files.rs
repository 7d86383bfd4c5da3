//! The one door through which engines see files: the [`Files`] trait, an in-memory tree, and an overlay.
//!
//! Paths are absolute, `/`-separated and lexically clean inside the view (`/repo/overlay/kustomization.yaml`).
//! Implementations that read a disk live in adapters and programs, never here.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// What a path is, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
}

/// A read-only view of a tree of files.
///
/// Errors are [`io::Error`]s whose text need not repeat the path: callers know which path they asked for.
pub trait Files: Send + Sync {
    /// What `path` is, links followed; `None` when nothing is there.
    fn kind(&self, path: &str) -> io::Result<Option<FileKind>>;

    /// The whole content of the file at `path`, links followed.
    fn read(&self, path: &str) -> io::Result<Arc<[u8]>>;

    /// The names in the directory at `path`, sorted bytewise.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// The path with every symbolic link resolved (Go's `filepath.EvalSymlinks` of an absolute path).
    ///
    /// Load restrictions are judged on this, so that a link can't lead out of a root unnoticed.
    fn resolve(&self, path: &str) -> io::Result<String>;
}

/// Makes `path` absolute against `base` and lexically clean (`.`, `..` and doubled slashes removed).
///
/// ```
/// assert_eq!(borax_stdx::files::join("/a/b", "../c/./d"), "/a/c/d");
/// assert_eq!(borax_stdx::files::join("/a", "/x//y"), "/x/y");
/// ```
pub fn join(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let base = if path.starts_with('/') { "" } else { base };
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

/// A tree of files held in memory, without links.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    files: BTreeMap<String, Arc<[u8]>>,
    dirs: BTreeSet<String>,
}

impl MemoryFiles {
    /// An empty tree: only `/` exists.
    pub fn new() -> Self {
        Self { files: BTreeMap::new(), dirs: BTreeSet::from(["/".to_owned()]) }
    }

    /// Adds (or replaces) a file and the directories above it.
    pub fn insert(&mut self, path: &str, content: impl Into<Arc<[u8]>>) {
        let path = join("/", path);
        let mut at = 0;
        while let Some(next) = path[at + 1..].find('/') {
            at += 1 + next;
            self.dirs.insert(path[..at].to_owned());
        }
        self.files.insert(path, content.into());
    }
}

impl<P: AsRef<str>, C: Into<Arc<[u8]>>> FromIterator<(P, C)> for MemoryFiles {
    fn from_iter<I: IntoIterator<Item = (P, C)>>(files: I) -> Self {
        let mut tree = Self::new();
        for (path, content) in files {
            tree.insert(path.as_ref(), content);
        }
        tree
    }
}

impl Files for MemoryFiles {
    fn kind(&self, path: &str) -> io::Result<Option<FileKind>> {
        let path = join("/", path);
        Ok(if self.files.contains_key(&path) {
            Some(FileKind::File)
        } else if self.dirs.contains(&path) {
            Some(FileKind::Dir)
        } else {
            None
        })
    }

    fn read(&self, path: &str) -> io::Result<Arc<[u8]>> {
        match self.files.get(&join("/", path)) {
            Some(content) => Ok(Arc::clone(content)),
            None if self.dirs.contains(&join("/", path)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let path = join("/", path);
        if !self.dirs.contains(&path) {
            let kind = if self.files.contains_key(&path) {
                io::ErrorKind::NotADirectory
            } else {
                io::ErrorKind::NotFound
            };
            return Err(kind.into());
        }
        let prefix = if path == "/" { path } else { format!("{path}/") };
        let child = |full: &String| {
            let rest = full.strip_prefix(&prefix)?;
            (!rest.is_empty() && !rest.contains('/')).then(|| rest.to_owned())
        };
        let names: BTreeSet<String> =
            self.files.keys().filter_map(child).chain(self.dirs.iter().filter_map(child)).collect();
        Ok(names.into_iter().collect())
    }

    fn resolve(&self, path: &str) -> io::Result<String> {
        match self.kind(path)? {
            Some(_) => Ok(join("/", path)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// A base view with some files replaced or added, as a generated `kustomization.yaml` is.
pub struct Overlay<'a> {
    base: &'a dyn Files,
    top: MemoryFiles,
}

impl<'a> Overlay<'a> {
    /// `top`'s files hide `base`'s of the same path.
    pub fn new(base: &'a dyn Files, top: MemoryFiles) -> Self {
        Self { base, top }
    }
}

impl Files for Overlay<'_> {
    fn kind(&self, path: &str) -> io::Result<Option<FileKind>> {
        match self.top.kind(path)? {
            Some(FileKind::File) => Ok(Some(FileKind::File)),
            top => Ok(self.base.kind(path)?.or(top)),
        }
    }

    fn read(&self, path: &str) -> io::Result<Arc<[u8]>> {
        match self.top.kind(path)? {
            Some(FileKind::File) => self.top.read(path),
            _ => self.base.read(path),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let top = self.top.list(path).unwrap_or_default();
        match self.base.list(path) {
            Ok(base) => {
                let names: BTreeSet<String> = base.into_iter().chain(top).collect();
                Ok(names.into_iter().collect())
            }
            Err(_) if !top.is_empty() => Ok(top),
            Err(error) => Err(error),
        }
    }

    fn resolve(&self, path: &str) -> io::Result<String> {
        match self.top.kind(path)? {
            Some(FileKind::File) => self.top.resolve(path),
            _ => self.base.resolve(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_tree_knows_the_directories_above_a_file() {
        let tree =
            MemoryFiles::from_iter([("/a/b/c.yaml", b"x".to_vec()), ("/a/d.yaml", b"y".to_vec())]);
        assert_eq!(tree.kind("/a/b").unwrap(), Some(FileKind::Dir));
        assert_eq!(tree.list("/a").unwrap(), ["b", "d.yaml"]);
        assert_eq!(tree.kind("/nope").unwrap(), None);
        assert_eq!(tree.read("/a/b").unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn overlay_hides_the_file_below_and_keeps_its_neighbours() {
        let base =
            MemoryFiles::from_iter([("/a/k.yaml", b"old".to_vec()), ("/a/x.yaml", b"x".to_vec())]);
        let top = MemoryFiles::from_iter([("/a/k.yaml", b"new".to_vec())]);
        let both = Overlay::new(&base, top);
        assert_eq!(&*both.read("/a/k.yaml").unwrap(), b"new");
        assert_eq!(&*both.read("/a/x.yaml").unwrap(), b"x");
        assert_eq!(both.list("/a").unwrap(), ["k.yaml", "x.yaml"]);
    }
}
