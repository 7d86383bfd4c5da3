//! The generated files of the project, and how tests keep them fresh.

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

/// A path below the project's root.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Holds a folder to the given files, by name and text; with `BORAX_UPDATE=1` writes them instead.
pub(crate) fn assert_fresh(folder: &Path, files: &[(String, String)]) {
    if std::env::var_os("BORAX_UPDATE").is_some_and(|value| value == "1") {
        fs::create_dir_all(folder).unwrap();
        for name in names(folder).iter().filter(|name| !files.iter().any(|(file, _)| file == *name))
        {
            fs::remove_file(folder.join(name)).unwrap();
        }
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let mut stale: Vec<&str> = Vec::new();
    for (name, text) in files {
        if fs::read_to_string(folder.join(name)).ok().as_ref() != Some(text) {
            stale.push(name);
        }
    }
    let names = names(folder);
    stale.extend(
        names
            .iter()
            .filter(|name| !files.iter().any(|(file, _)| file == *name))
            .map(String::as_str),
    );
    assert!(
        stale.is_empty(),
        "not fresh in {}: {stale:?}; run `BORAX_UPDATE=1 cargo test -p borax-api`",
        folder.display()
    );
}

/// The names of a folder's files, sorted; none when there is no such folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_crds_in_config_are_what_the_types_make() {
    assert_fresh(&project("config/crds"), &borax_api::crd_files());
}

#[test]
fn the_crds_are_ordered_by_group_and_plural() {
    let names: Vec<String> = borax_api::crd_files().into_iter().map(|(name, _)| name).collect();
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
fn the_printed_crds_are_the_files_one_after_the_other() {
    let documents: Vec<String> =
        borax_api::crds_yaml().split("---\n").skip(1).map(|text| format!("---\n{text}")).collect();
    let files: Vec<String> = borax_api::crd_files().into_iter().map(|(_, text)| text).collect();
    assert_eq!(documents, files);
}

#[test]
fn the_text_of_a_crd_reads_as_the_crd() {
    for (crd, (name, text)) in borax_api::crds().into_iter().zip(borax_api::crd_files()) {
        let read: CustomResourceDefinition = serde_norway::from_str(&text).unwrap();
        assert_eq!(read, crd, "{name}");
    }
}
