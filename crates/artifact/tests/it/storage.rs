//! Paths, links, collection, loss and recovery.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use borax_artifact::ArtifactError;
use borax_artifact::cache::CacheLimits;
use borax_artifact::digest::Algorithm;
use borax_artifact::path::ArtifactPath;
use borax_artifact::tree::{FileMeta, TreeError, TreeSink, TreeSource};
use borax_stdx::files::{FileKind, Files};

use crate::trees::{Tree, chain, storage, storage_with};

fn path(filename: &str) -> ArtifactPath {
    ArtifactPath::new("GitRepository", "flux-system", "app", filename).unwrap()
}

fn small() -> Tree {
    Tree::default().dir("deploy").file("deploy/app.yaml", "kind: X\n").file("README", "hi")
}

#[test]
fn an_artifact_has_flux_s_path_url_and_digest() {
    for (algorithm, prefix) in [(Algorithm::Sha256, "sha256:"), (Algorithm::Blake3, "blake3:")] {
        let (_dir, storage) = storage_with(|options| options.algorithm = algorithm);
        let artifact =
            storage.archive(&path("0a1b.tar.gz"), "main@sha1:0a1b", &mut ordered(small())).unwrap();
        assert_eq!(artifact.path.as_str(), "gitrepository/flux-system/app/0a1b.tar.gz");
        assert_eq!(
            artifact.url,
            "http://source.example:9090/gitrepository/flux-system/app/0a1b.tar.gz"
        );
        assert!(artifact.digest.to_string().starts_with(prefix));
        storage.verify(&artifact.path, &artifact.digest).unwrap();
    }
}

fn ordered(mut tree: Tree) -> Tree {
    tree.0.sort_by(|a, b| a.0.split(|&c| c == b'/').cmp(b.0.split(|&c| c == b'/')));
    tree
}

#[test]
fn content_is_read_as_files_confined_to_the_root() {
    let (_dir, storage) = storage();
    let artifact = storage.archive(&path("x.tar.gz"), "r", &mut ordered(small())).unwrap();
    let tree = storage.open(&artifact).unwrap();
    assert_eq!(tree.list("/").unwrap(), ["README", "deploy"]);
    assert_eq!(tree.list("/deploy").unwrap(), ["app.yaml"]);
    assert_eq!(&*tree.read("/deploy/app.yaml").unwrap(), b"kind: X\n");
    assert_eq!(&*tree.read("/../../deploy/../README").unwrap(), b"hi");
    assert_eq!(tree.kind("/deploy").unwrap(), Some(FileKind::Dir));
    assert_eq!(tree.kind("/README/x").unwrap(), None);
    assert_eq!(tree.kind("/../etc/passwd").unwrap(), None);
    assert_eq!(tree.resolve("/deploy/../README").unwrap(), "/README");
    assert_eq!(tree.read("/deploy").unwrap_err().kind(), io::ErrorKind::IsADirectory);
    assert_eq!(tree.read("/none").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(tree.list("/README").unwrap_err().kind(), io::ErrorKind::NotADirectory);
    assert_eq!(tree.resolve("/none").unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn unpacked_once_and_shared_until_collected() {
    let (_dir, storage) = storage();
    let artifact = storage.archive(&path("x.tar.gz"), "r", &mut ordered(small())).unwrap();
    let first = storage.open(&artifact).unwrap();
    assert!(Arc::ptr_eq(&first, &storage.open(&artifact).unwrap()));
    storage.remove(&artifact.path).unwrap();
    assert!(storage.cached(&artifact.digest).is_none());
    assert_eq!(&*first.read("/README").unwrap(), b"hi", "who still holds it is not disturbed");
    assert!(matches!(storage.open(&artifact), Err(ArtifactError::Missing { .. })));
}

#[test]
fn the_longest_unused_tree_goes_first_and_is_unpacked_again() {
    let limits = CacheLimits { max_trees: 2, max_bytes: u64::MAX };
    let (_dir, storage) = storage_with(|options| options.cache = limits);
    let make = |n: u8| {
        let mut tree = Tree::default().file("n", [n]);
        storage.archive(&path(&format!("{n}.tar.gz")), "r", &mut tree).unwrap()
    };
    let (one, two) = (make(1), make(2));
    storage.open(&one).unwrap();
    let three = make(3);
    assert!(storage.cached(&two.digest).is_none());
    assert!(storage.cached(&one.digest).is_some() && storage.cached(&three.digest).is_some());
    assert_eq!(&*storage.open(&two).unwrap().read("/n").unwrap(), [2]);
}

#[test]
fn the_link_follows_the_newest_and_is_advertised() {
    let (_dir, storage) = storage();
    for n in ["1", "2"] {
        let mut tree = Tree::default().file("n", n);
        let artifact = storage.archive(&path(&format!("{n}.tar.gz")), "r", &mut tree).unwrap();
        let url = storage.symlink(&artifact.path, "latest.tar.gz").unwrap();
        assert_eq!(url, "http://source.example:9090/gitrepository/flux-system/app/latest.tar.gz");
        let link = storage.local_path(&path("latest.tar.gz"));
        assert_eq!(fs::read(link).unwrap(), fs::read(storage.local_path(&artifact.path)).unwrap());
    }
}

#[test]
fn collection_keeps_the_advertised_and_the_records_and_the_link() {
    let (_dir, storage) = storage();
    let mut made = Vec::new();
    for n in 0..4u8 {
        let mut tree = Tree::default().file("n", [n]);
        let artifact = storage.archive(&path(&format!("{n}.tar.gz")), "r", &mut tree).unwrap();
        let file =
            fs::File::options().write(true).open(storage.local_path(&artifact.path)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + u64::from(n)))
            .unwrap();
        made.push(artifact);
    }
    storage.symlink(&made[3].path, "latest.tar.gz").unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1010);
    assert_eq!(storage.garbage_collect(&made[3].path, now).unwrap(), 2);
    let left = |storage: &borax_artifact::Storage| {
        let dir = storage.local_path(&path("x")).parent().unwrap().to_owned();
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|f| f.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(left(&storage), ["2.tar.gz", "3.tar.gz", "latest.tar.gz"]);
    assert_eq!(storage.garbage_collect(&made[3].path, now + Duration::from_secs(60)).unwrap(), 1);
    assert_eq!(left(&storage), ["3.tar.gz", "latest.tar.gz"]);
    assert!(storage.remove_all(&made[3].path).unwrap());
    assert!(!storage.remove_all(&made[3].path).unwrap());
    assert!(storage.cached(&made[3].digest).is_none());
}

#[test]
fn bytes_changed_on_disk_are_noticed() {
    let (_dir, storage) = storage_with(|options| options.cache.max_trees = 0);
    let artifact = storage.archive(&path("x.tar.gz"), "r", &mut ordered(small())).unwrap();
    let other =
        storage.archive(&path("y.tar.gz"), "r", &mut Tree::default().file("n", "n")).unwrap();
    fs::copy(storage.local_path(&other.path), storage.local_path(&artifact.path)).unwrap();
    assert!(matches!(
        storage.verify(&artifact.path, &artifact.digest),
        Err(ArtifactError::Mismatch { .. })
    ));
    let error = storage.open(&artifact).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "computed digest doesn't match {}: {} has {}",
            artifact.digest, artifact.path, other.digest
        )
    );
}

#[test]
fn a_lost_folder_is_an_error_for_readers_and_made_anew_by_writers() {
    let (_dir, storage) = storage();
    let artifact = storage.archive(&path("x.tar.gz"), "r", &mut ordered(small())).unwrap();
    let held = storage.open(&artifact).unwrap();
    fs::remove_dir_all(&storage.options().root).unwrap();
    assert_eq!(&*held.read("/README").unwrap(), b"hi");
    let error = storage.verify(&artifact.path, &artifact.digest).unwrap_err();
    assert!(matches!(error, ArtifactError::Missing { .. }) && error.is_storage());
    assert!(!storage.exists(&artifact.path));
    assert_eq!(storage.garbage_collect(&artifact.path, SystemTime::now()).unwrap(), 0);
    let again = storage.archive(&path("x.tar.gz"), "r", &mut ordered(small())).unwrap();
    assert_eq!(again.digest, artifact.digest);
    storage.verify(&again.path, &again.digest).unwrap();
}

#[test]
fn an_interrupted_write_leaves_nothing_that_counts() {
    /// Emits one file, then fails as a lost connection does.
    struct Broken;
    impl TreeSource for Broken {
        fn emit(&mut self, sink: &mut dyn TreeSink) -> Result<(), TreeError> {
            sink.file(b"a", FileMeta { size: 1, executable: false }, &mut &b"x"[..])?;
            Err(TreeError::source("object 0a1b is missing"))
        }
    }
    let (_dir, storage) = storage();
    let error = storage.archive(&path("x.tar.gz"), "r", &mut Broken).unwrap_err();
    assert_eq!(
        chain(&error),
        "can't archive gitrepository/flux-system/app/x.tar.gz: can't read the tree of files: object 0a1b is missing"
    );
    assert!(!storage.exists(&path("x.tar.gz")));
    // What a kill leaves is cleared by the next start.
    let stray = storage.options().root.join(".tmp/stray");
    fs::write(&stray, "half").unwrap();
    borax_artifact::Storage::new(storage.options().clone()).unwrap();
    assert!(!stray.exists());
}

#[test]
fn a_storage_that_cant_be_written_is_named_and_the_next_try_succeeds() {
    fn archive(
        storage: &borax_artifact::Storage,
    ) -> Result<borax_artifact::Artifact, ArtifactError> {
        storage.archive(&path("x.tar.gz"), "r", &mut ordered(small()))
    }
    let (_dir, storage) = storage();
    let tmp = storage.options().root.join(".tmp");
    fs::remove_dir_all(&tmp).unwrap();
    fs::write(&tmp, "in the way").unwrap();
    let error = archive(&storage).unwrap_err();
    assert!(error.is_storage(), "{}", chain(&error));
    fs::remove_file(&tmp).unwrap();
    archive(&storage).unwrap();
}

#[test]
fn a_tree_is_put_together_from_several() {
    let (_dir, storage) = storage();
    let base = storage.archive(&path("base.tar.gz"), "r", &mut ordered(small())).unwrap();
    let included = Tree::default().dir("sub").file("sub/app.yaml", "new").file("sub/more", "m");
    let included = storage.archive(&path("inc.tar.gz"), "r", &mut ordered(included)).unwrap();
    let mut staging = storage.stage().unwrap();
    staging.add_tree("", &storage.open(&base).unwrap(), "").unwrap();
    staging.add_tree("./deploy", &storage.open(&included).unwrap(), "/sub").unwrap();
    let both = staging.finish().unwrap();
    assert_eq!(&*both.read("/deploy/app.yaml").unwrap(), b"new");
    assert_eq!(both.list("/deploy").unwrap(), ["app.yaml", "more"]);
    let skip = |path: &[u8], is_dir: bool| path == b"README" || (is_dir && path == b"deploy");
    let artifact =
        storage.archive(&path("both.tar.gz"), "r", &mut both.walk().without(&skip)).unwrap();
    let tree = storage.open(&artifact).unwrap();
    assert_eq!(tree.list("/").unwrap(), ["deploy"], "a skipped directory is still entered");
    assert!(both.walk_at("/none").is_err());
}

#[test]
fn names_that_are_not_utf_8_are_listed_and_read() {
    let (_dir, storage) = storage();
    let artifact = storage
        .archive(&path("x.tar.gz"), "r", &mut Tree::default().file(b"caf\xe9", "c"))
        .unwrap();
    let tree = storage.open(&artifact).unwrap();
    let names = tree.list("/").unwrap();
    assert_eq!(names, ["caf\u{fffd}"]);
    assert_eq!(&*tree.read(&format!("/{}", names[0])).unwrap(), b"c");
}
