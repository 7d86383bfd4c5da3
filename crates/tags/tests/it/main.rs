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
