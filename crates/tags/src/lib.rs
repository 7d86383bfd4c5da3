//! The tags of scanned image repositories, on disk rather than in memory.
//!
//! A scan's tags become a [`TagSet`]; the [`TagStore`] keeps each set once, by its content, and which repository has
//! which. Repositories that were scanned alike share a set, and an unchanged scan writes nothing.
//!
//! What is in the store can be had again by scanning, so a store that is missing or damaged is made anew. Knows no
//! registry and no Kubernetes.
//!
//! ```
//! use borax_tags::{TagSet, TagStore};
//!
//! let file = tempfile::tempdir()?.path().join("tags.redb");
//! # std::fs::create_dir_all(file.parent().unwrap())?;
//! let store = TagStore::open(&file)?;
//! store.put("apps/podinfo", &TagSet::new(vec!["6.0.0".into(), "6.1.0".into()]))?;
//! let newest = store.read("apps/podinfo", |tags| tags.next().map(str::to_owned))?;
//! assert_eq!(newest.flatten().as_deref(), Some("6.1.0"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod set;
mod store;

pub use set::{LATEST, TagSet};
pub use store::{StoreError, TagStore};
