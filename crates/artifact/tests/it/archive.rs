//! The archive's bytes.

use std::io::Read;

use borax_artifact::path::ArtifactPath;
use borax_artifact::tree::TreeSource;
use flate2::read::GzDecoder;

use crate::trees::{Tree, chain, storage};

/// The tree that `tests/oracle/main.go` makes, in walking order.
fn oracle_tree() -> Tree {
    let mut tree = Tree::default()
        .file("README.md", "hello\n")
        .dir("a")
        .executable("a/run.sh", "#!/bin/sh\n")
        .file("a/x.yaml", "x: 1\n")
        .dir("a-b")
        .file("a-b/empty", "")
        .file("a.b", "after the directory a\n")
        .dir("b")
        .executable("b/block", "b".repeat(512))
        .file("b/more", "m".repeat(513))
        .dir("d".repeat(60))
        .file(format!("{}/{}", "d".repeat(60), "f".repeat(90)), "split\n")
        .dir("hollow")
        .dir("long");
    for depth in 1..=60 {
        tree = tree.dir(format!("long/{}", "deep/".repeat(depth).trim_end_matches('/')));
    }
    let deepest = format!("long/{}er", "deep/".repeat(60));
    tree.dir(&deepest)
        .executable(format!("{deepest}/f"), "deeper\n")
        .file(format!("long/{}", "n".repeat(120)), "pax\n")
        .dir("ü")
        .file("ü/ß.yaml", "s: ß\n")
        .file(b"\xff\xfe", "not utf-8\n")
}

fn tar_of(tree: &mut dyn TreeSource) -> Vec<u8> {
    let (_dir, storage) = storage();
    let path = ArtifactPath::new("GitRepository", "ns", "name", "x.tar.gz").unwrap();
    storage.archive(&path, "main", tree).unwrap();
    let mut tar = Vec::new();
    GzDecoder::new(std::fs::File::open(storage.local_path(&path)).unwrap())
        .read_to_end(&mut tar)
        .unwrap();
    tar
}

#[test]
fn the_tar_stream_is_the_one_go_writes_for_flux() {
    let recorded = include_bytes!("../data/flux.tar.gz");
    let mut want = Vec::new();
    GzDecoder::new(&recorded[..]).read_to_end(&mut want).unwrap();
    let got = tar_of(&mut oracle_tree());
    for (at, (got, want)) in got.chunks(512).zip(want.chunks(512)).enumerate() {
        assert!(
            got == want,
            "block {at} differs:\n got {}\nwant {}",
            got.escape_ascii(),
            want.escape_ascii()
        );
    }
    assert_eq!(got.len(), want.len());
}

#[test]
fn what_was_unpacked_archives_to_the_same_bytes() {
    let (_dir, storage) = storage();
    let at = |name: &str| ArtifactPath::new("OCIRepository", "ns", "name", name).unwrap();
    let first = storage.archive(&at("1.tar.gz"), "a", &mut oracle_tree()).unwrap();
    // Another storage has nothing at hand, so this one unpacks the file.
    let (_dir, other) = crate::trees::storage();
    let file = std::fs::File::open(storage.local_path(&first.path)).unwrap();
    let tree = other.open_file(file, &first.digest, "there").unwrap();
    let second = other.archive(&at("2.tar.gz"), "b", &mut tree.walk()).unwrap();
    assert_eq!(first.digest, second.digest);
    assert_eq!(first.size, second.size);
}

#[test]
fn the_gzip_header_names_no_time_and_no_system() {
    let (_dir, storage) = storage();
    let path = ArtifactPath::new("GitRepository", "ns", "name", "x.tar.gz").unwrap();
    let artifact = storage.archive(&path, "main", &mut oracle_tree()).unwrap();
    let bytes = std::fs::read(storage.local_path(&path)).unwrap();
    assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
    assert_eq!(artifact.size, bytes.len() as u64);
}

#[test]
fn entries_out_of_order_twice_or_unclean_are_refused_and_leave_nothing() {
    let cases = [
        (Tree::default().file("a.b", "").dir("a"), "\"a\" came after \"a.b\""),
        (Tree::default().file("a", "").file("a", ""), "\"a\" came after \"a\""),
        (Tree::default().file("../x", ""), "\"../x\" is not a clean relative path"),
        (Tree::default().file("/x", ""), "\"/x\" is not a clean relative path"),
        (Tree::default().file("a//x", ""), "\"a//x\" is not a clean relative path"),
        (Tree::default().file("a", "").file("a/b", ""), "\"a/b\" is both a file and a directory"),
    ];
    for (mut tree, want) in cases {
        let (_dir, storage) = storage();
        let path = ArtifactPath::new("GitRepository", "ns", "name", "x.tar.gz").unwrap();
        let error = storage.archive(&path, "main", &mut tree).unwrap_err();
        assert!(chain(&error).contains(want), "{}", chain(&error));
        assert!(!storage.exists(&path));
        assert_eq!(std::fs::read_dir(storage.options().root.join(".tmp")).unwrap().count(), 0);
    }
}
