//! The files of the tree: what Git tracks or would track.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// The files below the root.
pub(super) struct Tree {
    root: PathBuf,
    /// Paths from the root, sorted, `/` between parts.
    pub(super) files: Vec<String>,
}

impl Tree {
    /// Lists what Git tracks in `root`, and what is new there and not ignored.
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("run git")?;
        ensure!(
            output.status.success(),
            "git ls-files: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let names = String::from_utf8(output.stdout).context("file names are not UTF-8")?;
        let mut files: Vec<String> = names.split_terminator('\0').map(str::to_owned).collect();
        // Tracked, but deleted in the work tree.
        files.retain(|f| root.join(f).is_file());
        files.sort();
        files.dedup();
        Ok(Self { root: root.to_path_buf(), files })
    }

    /// The text of a file; `None` when it is not there or no text.
    pub(super) fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.root.join(file)).ok()
    }

    /// The files whose name ends with `suffix`.
    pub(super) fn ending<'a>(&'a self, suffix: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.iter().map(String::as_str).filter(move |f| f.ends_with(suffix))
    }

    /// Whether there is such a file, or a folder with files.
    pub(super) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let below = format!("{path}/");
        self.files.iter().any(|f| f == path || f.starts_with(&below))
    }
}

#[cfg(test)]
impl Tree {
    /// A tree on disk with these files.
    pub(super) fn of(dir: &Path, files: &[(&str, &str)]) -> Self {
        for (name, text) in files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut names: Vec<String> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.sort();
        Self { root: dir.to_path_buf(), files: names }
    }
}
