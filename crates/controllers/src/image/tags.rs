//! The tags of all ImageRepositories: where they are, who scanned what last, and who is told of new ones.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use borax_reconcile::Key;
use borax_tags::{StoreError, TagSet, TagStore};
use jiff::Timestamp;

/// The file below the storage path; the artifact server shows no hidden files.
const FILE: &str = ".image-tags.redb";

/// The most scans remembered.
const MAX_RECENT: usize = 16_384;

type Listener = Box<dyn Fn(&Key) + Send + Sync>;

/// What a status says of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// When it was made.
    pub at: Timestamp,
    /// The checksum of the tags.
    pub checksum: String,
    /// How many there are.
    pub count: usize,
    /// A few of them.
    pub latest: Vec<String>,
}

/// The tags of all ImageRepositories.
pub struct Tags {
    store: Arc<TagStore>,
    /// The last scan by what was scanned with which credentials, and which repository made it.
    recent: Mutex<HashMap<String, (Key, Scanned)>>,
    listeners: RwLock<Vec<Listener>>,
}

impl Tags {
    /// Opens the database in the folder for artifacts.
    ///
    /// # Errors
    /// The database can't be used.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let store = Arc::new(TagStore::open(&folder.join(FILE))?);
        Ok(Self { store, recent: Mutex::default(), listeners: RwLock::default() })
    }

    /// Calls `listener` with each repository whose tags change, after they did.
    pub fn on_change(&self, listener: impl Fn(&Key) + Send + Sync + 'static) {
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        listeners.push(Box::new(listener));
    }

    /// Whether a repository has any tag.
    ///
    /// # Errors
    /// The database failed.
    pub async fn has_any(&self, repository: &Key) -> Result<bool, String> {
        let key = repository.to_string();
        self.blocking(move |store| store.read(&key, |tags| tags.next().is_some()))
            .await
            .map(Option::unwrap_or_default)
    }

    /// Shows a repository's tags in descending order; none where there are none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn read<T: Send + 'static>(
        &self,
        repository: &Key,
        look: impl FnOnce(&mut dyn Iterator<Item = &str>) -> T + Send + 'static,
    ) -> Result<Option<T>, String> {
        let key = repository.to_string();
        self.blocking(move |store| store.read(&key, look)).await
    }

    /// Records what a scan of `identity` for `repository` found.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record(
        &self,
        repository: &Key,
        identity: &str,
        tags: Vec<String>,
        at: Timestamp,
    ) -> Result<Scanned, String> {
        let key = repository.to_string();
        let (scanned, is_new) = self
            .blocking(move |store| {
                let set = TagSet::new(tags);
                let is_new = store.put(&key, &set)?;
                let (checksum, count) = (set.checksum(), set.len());
                Ok((Scanned { at, checksum, count, latest: set.latest() }, is_new))
            })
            .await?;
        let mut recent = self.recent();
        if recent.len() >= MAX_RECENT {
            recent.clear();
        }
        recent.insert(identity.to_owned(), (repository.clone(), scanned.clone()));
        drop(recent);
        self.tell(repository, is_new);
        Ok(scanned)
    }

    /// Gives `repository` what another scanned, when that was a scan of the same with the same credentials not before
    /// `since`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn share(
        &self,
        repository: &Key,
        identity: &str,
        since: Timestamp,
    ) -> Result<Option<Scanned>, String> {
        let Some((from, scanned)) = self.recent().get(identity).cloned() else { return Ok(None) };
        if scanned.at < since || from == *repository {
            return Ok(None);
        }
        let (from, to) = (from.to_string(), repository.to_string());
        let checksum = scanned.checksum.clone();
        let shared = self
            .blocking(move |store| {
                // What that repository has now may be of another image or exclusion list.
                let found = store.read(&from, |tags| {
                    TagSet::new(tags.map(str::to_owned).collect()).checksum() == checksum
                })?;
                if found == Some(true) { store.share(&from, &to) } else { Ok(None) }
            })
            .await?;
        let Some(is_new) = shared else { return Ok(None) };
        self.tell(repository, is_new);
        Ok(Some(scanned))
    }

    /// Forgets a repository.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget(&self, repository: &Key) -> Result<(), String> {
        let key = repository.to_string();
        self.blocking(move |store| store.remove(&key)).await
    }

    /// Forgets every repository that `is_known` does not know.
    ///
    /// # Errors
    /// The database failed.
    pub async fn retain(
        &self,
        is_known: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<(), String> {
        self.blocking(move |store| store.retain(is_known)).await
    }

    fn tell(&self, repository: &Key, is_new: bool) {
        if is_new {
            let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
            listeners.iter().for_each(|listener| listener(repository));
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&TagStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, String> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(|error| error.to_string())?
            .map_err(|error| borax_artifact::error::chain(&error))
    }

    fn recent(&self) -> MutexGuard<'_, HashMap<String, (Key, Scanned)>> {
        // Every change is a single insert, so what a panic left is sound.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
