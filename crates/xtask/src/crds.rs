//! `cargo xtask crds`: writes `config/crds`.
//!
//! Owns the folder; the texts are `borax_api::crd_files`'. A test of `borax-api` keeps it fresh.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context as _;
use borax_testkit::oracle::project_root;

pub(crate) fn run() -> anyhow::Result<()> {
    let folder = project_root().join("config/crds");
    fs::create_dir_all(&folder)?;
    let files: BTreeMap<String, String> = borax_api::crd_files().into_iter().collect();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !files.contains_key(&name) {
            fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    for (name, text) in files {
        let path = folder.join(name);
        if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            println!("{}", path.display());
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
    }
    Ok(())
}
