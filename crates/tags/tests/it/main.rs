//! The store on a real disk: what is shared, what is forgotten, what survives.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use borax_tags::{StoreError, TagSet, TagStore};

fn set(tags: &[&str]) -> TagSet {
    TagSet::new(tags.iter().map(|tag| (*tag).to_owned()).collect())
}

fn tags(store: &TagStore, repository: &str) -> Option<Vec<String>> {
    store.read(repository, |tags| tags.map(str::to_owned).collect()).unwrap()
}

#[test]
fn a_set_is_what_fluxs_status_says_of_it() {
    let tags = set(&["1.0.0", "latest", "2.0.0", "", "a\nb"]);
    assert_eq!(
        (tags.len(), tags.latest()),
        (3, vec!["latest".into(), "2.0.0".into(), "1.0.0".into()])
    );
    // Adler-32 of ["latest","2.0.0","1.0.0"], by Go's hash/adler32.
    assert_eq!(tags.checksum(), "1612187205");
    // And of [].
    assert_eq!(set(&[]).checksum(), "18153657");
    let many: Vec<String> = (0..30).map(|n| format!("{n:02}")).collect();
    assert_eq!(TagSet::new(many).latest().len(), 10);
}

#[test]
fn equal_sets_are_kept_once_and_go_with_their_last_repository() {
    let dir = tempfile::tempdir().unwrap();
    let store = TagStore::open(&dir.path().join("tags")).unwrap();
    assert_eq!(tags(&store, "ns/a"), None);
    assert!(store.put("ns/a", &set(&["1", "2"])).unwrap());
    assert!(!store.put("ns/a", &set(&["2", "1"])).unwrap());
    assert!(store.put("ns/b", &set(&["2", "1"])).unwrap());
    assert_eq!(store.share("ns/a", "ns/c").unwrap(), Some(true));
    assert_eq!(store.share("ns/a", "ns/c").unwrap(), Some(false));
    assert_eq!(store.share("ns/none", "ns/d").unwrap(), None);
    assert_eq!(store.len().unwrap(), (3, 1));
    store.put("ns/a", &set(&["3"])).unwrap();
    assert_eq!(store.len().unwrap(), (3, 2));
    store.remove("ns/b").unwrap();
    assert_eq!(tags(&store, "ns/c").unwrap(), ["2", "1"]);
    store.retain(|repository| repository == "ns/a").unwrap();
    assert_eq!(store.len().unwrap(), (1, 1));
    assert_eq!(tags(&store, "ns/a").unwrap(), ["3"]);
    store.put("ns/a", &set(&[])).unwrap();
    assert_eq!(tags(&store, "ns/a").unwrap(), Vec::<String>::new());
}

#[test]
fn what_was_put_is_there_after_opening_again_and_a_damaged_file_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tags");
    let store = TagStore::open(&file).unwrap();
    store.put("ns/a", &set(&["1"])).unwrap();
    assert!(matches!(TagStore::open(&file), Err(StoreError::InUse { .. })));
    drop(store);
    let store = TagStore::open(&file).unwrap();
    assert_eq!(tags(&store, "ns/a").unwrap(), ["1"]);
    drop(store);
    fs::write(&file, b"no database at all").unwrap();
    let store = TagStore::open(&file).unwrap();
    assert_eq!(tags(&store, "ns/a"), None);
    store.put("ns/a", &set(&["2"])).unwrap();
    assert_eq!(tags(&store, "ns/a").unwrap(), ["2"]);
}

/// However much of the file is lost or overwritten, the store can be used: as it was, or empty.
#[test]
fn damage_anywhere_in_the_file_leaves_a_store_that_works() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tags");
    let many: Vec<String> = (0..2_000).map(|n| format!("1.{n}.0")).collect();
    let store = TagStore::open(&file).unwrap();
    for repository in 0..20 {
        let tags = many.iter().map(|tag| format!("{tag}-{repository}")).collect();
        store.put(&format!("ns/{repository}"), &TagSet::new(tags)).unwrap();
    }
    drop(store);
    let whole = fs::read(&file).unwrap();
    let pages = [0, 1, 100, 4_095, 4_096, 4_097, 8_192, 12_288, 16_384, 65_536, whole.len() / 2];
    let mut damaged: Vec<(String, Vec<u8>)> = Vec::new();
    for at in pages.into_iter().filter(|at| *at < whole.len()) {
        damaged.push((format!("cut at {at}"), whole[..at].to_vec()));
        let mut garbage = whole.clone();
        let end = garbage.len().min(at + 64);
        garbage[at..end].fill(0xa5);
        damaged.push((format!("garbage at {at}"), garbage));
    }
    for (how, bytes) in damaged {
        fs::write(&file, bytes).unwrap();
        let store = TagStore::open(&file).unwrap_or_else(|error| panic!("{how}: {error:?}"));
        store.put("ns/new", &set(&["2"])).unwrap_or_else(|error| panic!("{how}: {error:?}"));
        assert_eq!(tags(&store, "ns/new").unwrap(), ["2"], "{how}");
    }
}
