//! Changing files of a tree without checking it out: find the files, put other bytes in their place, make the commit.
//!
//! Only the trees on the way to a changed file are read and written, and in them only hashes change: modes, names and
//! order stay byte for byte. What is in the files, and what comes in their place, is not this module's matter.

use std::collections::{BTreeMap, HashSet};

use git2::{ObjectType, Oid};

use super::cause::Cause;
use super::checkout::{MAX_DEPTH, broken, depth, join, too_many};
use super::fetch::Limits;
use super::object::{EntryKind, Person, parse_tree};
use super::pack::NewObjects;
use super::session::Session;
use super::store::Objects;

/// Symbolic links on the way to a path, at most.
const MAX_LINKS: usize = 40;

/// Trees without a marked file that are remembered, at most: 20 bytes each.
const MAX_REMEMBERED: usize = 200_000;

/// Trees known to hold no file with the marker, so that they need no second look. Valid for one marker.
#[derive(Debug, Default)]
pub(crate) struct Unmarked(HashSet<Oid>);

/// Which files are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Marker {
    /// Only files for whose name this holds.
    pub named: fn(&[u8]) -> bool,
    /// Only files for whose content this holds.
    pub marked: fn(&[u8]) -> bool,
}

/// A walk over the marked files of a tree.
pub(crate) struct Marked<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) session: &'a Session,
    pub(crate) limits: Limits,
    pub(crate) marker: Marker,
    pub(crate) unmarked: &'a mut Unmarked,
}

/// Takes a marked file: its path from where the walk began, its path from the root, its content.
pub(crate) type Take<'t> = &'t mut dyn FnMut(&str, &[u8], &[u8]) -> Result<(), Cause>;

/// What a path leads to.
enum Place {
    Tree(Vec<u8>, Oid),
    File(Vec<u8>, Oid),
    Nothing(Vec<u8>),
}

impl Marked<'_> {
    /// Visits the marked files at or below `path` (empty for the root), in the order of a file system walk.
    ///
    /// # Errors
    /// There is nothing at the path, or a tree can't be read.
    pub(crate) fn walk(&mut self, root: Oid, path: &str, take: Take<'_>) -> Result<(), Cause> {
        match self.find(root, path)? {
            Place::Tree(dir, oid) => {
                let mut walk = Walk { marked: self, begin: dir.len(), entries: 0 };
                walk.tree(oid, &dir, take)?;
                Ok(())
            }
            Place::File(path, oid) => {
                let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec();
                if !(self.marker.named)(&name) {
                    return Ok(());
                }
                match self.content(oid)? {
                    Some(bytes) => take(&String::from_utf8_lossy(&name), &path, &bytes),
                    None => Ok(()),
                }
            }
            Place::Nothing(path) => {
                let path = String::from_utf8_lossy(&path).into_owned();
                Err(Cause::NoSuchPath { path })
            }
        }
    }

    /// Follows `path` as a secure join does: `..` stays below the root, and links lead on within it.
    fn find(&self, root: Oid, path: &str) -> Result<Place, Cause> {
        let mut pending: Vec<Vec<u8>> = parts(path.as_bytes());
        let mut at: Vec<(Vec<u8>, Oid)> = Vec::new();
        let mut links = 0;
        while let Some(part) = pending.pop() {
            match part.as_slice() {
                b"." => continue,
                b".." => {
                    at.pop();
                    continue;
                }
                _ => {}
            }
            let (dir, tree) = at.last().cloned().unwrap_or((Vec::new(), root));
            let full = join(&dir, &part);
            let object = self.objects.read(tree, ObjectType::Tree)?;
            let entries = parse_tree(tree, object.data()).map_err(broken)?;
            match entries.iter().find(|entry| entry.name == part).map(|e| (e.kind, e.oid)) {
                Some((EntryKind::Directory, oid)) => at.push((full, oid)),
                Some((EntryKind::File { .. }, oid)) if pending.is_empty() => {
                    return Ok(Place::File(full, oid));
                }
                Some((EntryKind::Link, oid)) if links < MAX_LINKS => {
                    links += 1;
                    let target = self.objects.read(oid, ObjectType::Blob)?.data().to_vec();
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    pending.extend(parts(&target));
                }
                _ => return Ok(Place::Nothing(full)),
            }
        }
        let (dir, tree) = at.pop().unwrap_or((Vec::new(), root));
        Ok(Place::Tree(dir, tree))
    }

    /// A file's content, when it has the marker.
    fn content(&self, oid: Oid) -> Result<Option<Vec<u8>>, Cause> {
        self.session.check()?;
        let (_, size) = self.objects.header(oid)?;
        if size > self.limits.object_bytes {
            return Err(Cause::TooLarge { what: "a file", limit: self.limits.object_bytes });
        }
        let object = self.objects.read(oid, ObjectType::Blob)?;
        Ok((self.marker.marked)(object.data()).then(|| object.data().to_vec()))
    }
}

/// The parts of a path, last first.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/').filter(|part| !part.is_empty()).rev().map(<[u8]>::to_vec).collect()
}

struct Walk<'m, 'a> {
    marked: &'m mut Marked<'a>,
    /// How much of a path lies before where the walk began.
    begin: usize,
    entries: u64,
}

impl Walk<'_, '_> {
    /// Walks one tree; whether there was a marked file.
    fn tree(&mut self, tree: Oid, dir: &[u8], take: Take<'_>) -> Result<bool, Cause> {
        if self.marked.unmarked.0.contains(&tree) || depth(dir) >= MAX_DEPTH {
            return Ok(false);
        }
        let objects = self.marked.objects;
        let object = objects.read(tree, ObjectType::Tree)?;
        let entries = parse_tree(tree, object.data()).map_err(broken)?;
        self.entries += entries.len() as u64;
        if self.entries > self.marked.limits.entries {
            return Err(too_many(self.marked.limits.entries));
        }
        let mut found = false;
        for entry in entries {
            let path = join(dir, entry.name);
            match entry.kind {
                EntryKind::Directory => found |= self.tree(entry.oid, &path, take)?,
                EntryKind::File { .. } if (self.marked.marker.named)(entry.name) => {
                    if let Some(bytes) = self.marked.content(entry.oid)? {
                        found = true;
                        let shown = &path[self.begin..];
                        let shown = shown.strip_prefix(b"/").unwrap_or(shown);
                        take(&String::from_utf8_lossy(shown), &path, &bytes)?;
                    }
                }
                // What a link leads to is visited where it is; a submodule is another repository's.
                EntryKind::File { .. } | EntryKind::Link | EntryKind::Submodule => {}
            }
        }
        if !found {
            let unmarked = &mut self.marked.unmarked.0;
            if unmarked.len() >= MAX_REMEMBERED {
                unmarked.clear();
            }
            unmarked.insert(tree);
        }
        Ok(found)
    }
}

/// The tree with other files at the paths of `edits`, its new trees added to `new`.
pub(crate) fn rewrite(
    objects: &Objects,
    new: &mut NewObjects,
    tree: Oid,
    edits: &BTreeMap<Vec<u8>, Oid>,
) -> Result<Oid, Cause> {
    rewrite_below(objects, new, tree, b"", edits)
}

fn rewrite_below(
    objects: &Objects,
    new: &mut NewObjects,
    tree: Oid,
    dir: &[u8],
    edits: &BTreeMap<Vec<u8>, Oid>,
) -> Result<Oid, Cause> {
    let object = objects.read(tree, ObjectType::Tree)?;
    let mut data = object.data().to_vec();
    for entry in parse_tree(tree, object.data()).map_err(broken)? {
        let path = join(dir, entry.name);
        let oid = match entry.kind {
            EntryKind::Directory if holds(edits, &path) => {
                rewrite_below(objects, new, entry.oid, &path, edits)?
            }
            EntryKind::File { .. } => match edits.get(&path) {
                Some(oid) => *oid,
                None => continue,
            },
            EntryKind::Directory | EntryKind::Link | EntryKind::Submodule => continue,
        };
        data[entry.at..entry.at + 20].copy_from_slice(oid.as_bytes());
    }
    new.add(ObjectType::Tree, data)
}

/// Whether something is edited below `dir`.
fn holds(edits: &BTreeMap<Vec<u8>, Oid>, dir: &[u8]) -> bool {
    let below = join(dir, b"");
    edits.range(below.clone()..).next().is_some_and(|(path, _)| path.starts_with(&below))
}

/// What a commit says, but for its tree and parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Who makes it, and when.
    pub author: Person,
    /// The message, written as it is.
    pub message: String,
}

/// A commit's bytes. `signature` is armored; without one these are the bytes to sign.
///
/// Source: go-git `plumbing/object/commit.go`: the author is the committer, the signature stands behind them.
pub(crate) fn commit(tree: Oid, parent: Oid, draft: &Draft, signature: Option<&str>) -> Vec<u8> {
    let Person { name, email, seconds } = &draft.author;
    let person = format!("{} <{}> {seconds} +0000", plain(name), plain(email));
    let mut text = format!("tree {tree}\nparent {parent}\nauthor {person}\ncommitter {person}\n");
    if let Some(signature) = signature {
        text.push_str("gpgsig ");
        text.push_str(&signature.trim_end_matches('\n').replace('\n', "\n "));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&draft.message.replace('\0', ""));
    text.into_bytes()
}

/// A name without what would end it early.
fn plain(name: &str) -> String {
    let kept: String = name.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect();
    kept.trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(name: &str) -> Draft {
        let author = Person { name: name.to_string(), email: "b@c".to_string(), seconds: 7 };
        Draft { author, message: "Subject\n\nBody".to_string() }
    }

    #[test]
    fn a_commit_is_written_as_go_git_writes_it() {
        let zero = Oid::ZERO_SHA1;
        let head = format!(
            "tree {zero}\nparent {zero}\nauthor A <b@c> 7 +0000\ncommitter A <b@c> 7 +0000\n"
        );
        let unsigned = String::from_utf8(commit(zero, zero, &draft("A"), None)).unwrap();
        assert_eq!(unsigned, format!("{head}\nSubject\n\nBody"));
        let signed =
            commit(zero, zero, &draft("A"), Some("-----BEGIN X-----\n\nabc\n-----END X-----\n"));
        assert_eq!(
            String::from_utf8(signed).unwrap(),
            format!("{head}gpgsig -----BEGIN X-----\n \n abc\n -----END X-----\n\nSubject\n\nBody")
        );
    }

    #[test]
    fn a_name_can_not_break_a_commit() {
        let text = commit(Oid::ZERO_SHA1, Oid::ZERO_SHA1, &draft("A <x>\nparent 1\n"), None);
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("author A xparent 1 <b@c> 7 +0000\n"), "{text}");
    }

    #[test]
    fn edits_below_a_directory_are_found_by_its_whole_name() {
        let edits: BTreeMap<Vec<u8>, Oid> =
            [(b"a/b.yaml".to_vec(), Oid::ZERO_SHA1), (b"a-b/c.yaml".to_vec(), Oid::ZERO_SHA1)]
                .into();
        assert!(holds(&edits, b"a") && holds(&edits, b"a-b"));
        assert!(!holds(&edits, b"a/b") && !holds(&edits, b"a-"));
    }
}
