//! Charts from disk: what lies in a folder or an archive, within bounds.
//!
//! Behaviour: Helm v4.2.1 `pkg/chart/v2/loader/directory.go` and `internal/sympath`: symbolic links are
//! followed, what is neither file nor folder is refused.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use borax_helm::{Chart, Folder, IgnoreRules};

/// Most files of a chart's folder.
const MAX_FILES: usize = 100_000;
/// Most bytes of a chart's folder.
const MAX_BYTES: u64 = 1 << 30;
/// Most levels of folders.
const MAX_DEPTH: usize = 128;

/// Loads a chart from a folder or an archive.
pub(crate) fn load(path: &Path) -> anyhow::Result<Chart> {
    if path.is_dir() {
        return Ok(Chart::from_folder(folder(path)?.files)?);
    }
    Ok(Chart::from_archive(&archive(path)?)?)
}

/// The bytes of a chart's archive.
pub(crate) fn archive(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut data = Vec::new();
    let most = borax_helm::MAX_CHART as u64 + 1;
    let read = file.take(most).read_to_end(&mut data);
    read.with_context(|| format!("read {}", path.display()))?;
    Ok(data)
}

/// What lies in a folder, without what its `.helmignore` leaves out.
pub(crate) fn folder(root: &Path) -> anyhow::Result<Folder> {
    let rules = match fs::read(root.join(".helmignore")) {
        Ok(text) => IgnoreRules::parse(&text)?,
        Err(_) => IgnoreRules::default(),
    };
    let mut walk = Walk { root, rules, found: Folder::default(), bytes: 0 };
    walk.folder("", 0)?;
    walk.found.path = root.display().to_string();
    Ok(walk.found)
}

struct Walk<'r> {
    root: &'r Path,
    rules: IgnoreRules,
    found: Folder,
    bytes: u64,
}

impl Walk<'_> {
    fn folder(&mut self, below: &str, depth: usize) -> anyhow::Result<()> {
        let dir = self.root.join(below);
        if depth > MAX_DEPTH {
            bail!("{} lies deeper than {MAX_DEPTH} folders", dir.display());
        }
        for entry in fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else {
                bail!("the file name {name:?} in {} is not UTF-8", dir.display())
            };
            let path = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
            let full = self.root.join(&path);
            let meta = fs::metadata(&full)
                .with_context(|| format!("error evaluating symlink {}", full.display()))?;
            if self.rules.ignores(&path, meta.is_dir()) {
                continue;
            }
            if meta.is_dir() {
                self.folder(&path, depth + 1)?;
                self.found.folders.push(path);
            } else if meta.is_file() {
                self.file(path, &full, meta.len())?;
            } else {
                bail!(
                    "cannot load irregular file {} as it has file mode type bits set",
                    full.display()
                );
            }
        }
        Ok(())
    }

    fn file(&mut self, path: String, full: &Path, size: u64) -> anyhow::Result<()> {
        self.bytes += size;
        if self.found.files.len() >= MAX_FILES || self.bytes > MAX_BYTES {
            bail!(
                "the chart {} has more than {MAX_FILES} files or {MAX_BYTES} bytes",
                self.root.display()
            );
        }
        // One byte more than allowed says that the file is too large.
        let content = match size > borax_helm::MAX_FILE as u64 {
            true => vec![0; borax_helm::MAX_FILE + 1],
            false => fs::read(full).with_context(|| format!("error reading {path}"))?,
        };
        self.found.files.push((path, content));
        Ok(())
    }
}
