//! The trees of the project build to the same bytes as with kustomize.

use std::path::{Path, PathBuf};
use std::process::Command;

use borax_testkit::oracle;

use crate::harness::{files_below, project};

/// Every folder below `path` with a kustomization file.
fn kustomizations(path: &str) -> Vec<PathBuf> {
    let files = files_below(&project(path)).into_iter().map(|(name, _)| project(path).join(name));
    files
        .filter(|file| file.ends_with("kustomization.yaml"))
        .map(|file| file.parent().unwrap().to_owned())
        .collect()
}

fn build(program: &Path, folder: &Path) -> String {
    let output = Command::new(program).arg("build").arg(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} build {}: {said}", program.display(), folder.display());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_tree_of_config_builds_as_kustomize_builds_it() {
    let Some(kustomize) = oracle::require("kustomize") else { return };
    let mut differ = Vec::new();
    let folders = [kustomizations("config/d1"), kustomizations("config/install")].concat();
    assert!(folders.len() > 25, "only {} folders were found", folders.len());
    for folder in folders {
        if build(&kustomize, &folder) != build(Path::new(env!("CARGO_BIN_EXE_borax")), &folder) {
            differ.push(folder);
        }
    }
    assert!(differ.is_empty(), "these build otherwise: {differ:#?}");
}
