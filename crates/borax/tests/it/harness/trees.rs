//! Trees of files: those of the project, and how they get into a repository.

use std::fs;
use std::path::{Path, PathBuf};

use borax_testkit::git::{Change, Repository};

/// A path below the project's root.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The files below a folder, sorted, by their path in it.
pub(crate) fn files_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in
            fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display()))
        {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Commits everything below a folder to a branch; returns the commit.
pub(crate) fn commit_tree(repository: &Repository, branch: &str, folder: &Path) -> String {
    let files = files_below(folder);
    let changes: Vec<(&str, Change<'_>)> =
        files.iter().map(|(name, bytes)| (name.as_str(), Change::File(bytes))).collect();
    repository.commit_changes(
        &format!("refs/heads/{branch}"),
        &changes,
        "The tree\n",
        1_700_000_000,
    )
}

/// A file of the project with a text in it replaced; it must be there.
pub(crate) fn substituted(path: &str, from: &str, to: &str) -> String {
    let text = fs::read_to_string(project(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(text.contains(from), "{path} has no {from:?}");
    text.replace(from, to)
}
