//! The database: sets by content, and the set of each repository. Owns the file and its repair.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageError, TableDefinition,
};

use crate::set::{TagSet, lines};

/// The set of each repository.
const REPOSITORIES: TableDefinition<'_, &str, [u8; 32]> = TableDefinition::new("repositories");
/// Sets by the hash of their text.
const SETS: TableDefinition<'_, [u8; 32], &str> = TableDefinition::new("sets");

/// What the database may keep of its file in memory. Reads go through the system's own cache.
const CACHE: usize = 4 << 20;

/// The store.
pub struct TagStore {
    database: Database,
}

/// Why the store can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file can't be opened, nor made anew.
    #[error("can't open the tag database {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// Another process has it open.
    #[error("the tag database {} is in use by another process; give each its own --storage-path", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("the tag database failed")]
    Database(#[source] Box<redb::Error>),
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

impl TagStore {
    /// Opens the store in a file. One that is damaged is removed, and made anew.
    ///
    /// # Errors
    /// The file is in use, or can't be written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let create = || -> Result<Self, redb::Error> {
            let mut database = Database::builder().set_cache_size(CACHE).create(path)?;
            // Most damage shows only when the damaged page is read, perhaps much later.
            database.check_integrity()?;
            let store = Self { database };
            store.prepare()?;
            Ok(store)
        };
        // Some damage ends in a panic of the library.
        let attempt = || {
            catch_unwind(create)
                .unwrap_or_else(|_| Err(redb::Error::Corrupted("it can't be read".to_owned())))
        };
        let again = match attempt() {
            Err(redb::Error::DatabaseAlreadyOpen) => Err(redb::Error::DatabaseAlreadyOpen),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the tag database is made anew");
                // Where it can't be removed, it can't be made either, and that says why.
                let _ = fs::remove_file(path);
                attempt()
            }
            made => made,
        };
        again.map_err(|error| match error {
            redb::Error::DatabaseAlreadyOpen => StoreError::InUse { path: path.to_owned() },
            error => StoreError::Open { path: path.to_owned(), source: Box::new(error) },
        })
    }

    /// Makes the tables, so that readers find them.
    fn prepare(&self) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        write.open_table(REPOSITORIES)?;
        write.open_table(SETS)?;
        write.commit()?;
        Ok(())
    }

    /// Records the tags of a repository, and says whether they differ from those it had. Nothing is written when not.
    ///
    /// # Errors
    /// The database failed.
    pub fn put(&self, repository: &str, tags: &TagSet) -> Result<bool, StoreError> {
        let key = tags.key();
        let read = self.database.begin_read()?;
        if has(&read.open_table(REPOSITORIES)?, repository)? == Some(key) {
            return Ok(false);
        }
        drop(read);
        let write = self.database.begin_write()?;
        {
            write.open_table(SETS)?.insert(key, tags.text())?;
            let old =
                write.open_table(REPOSITORIES)?.insert(repository, key)?.map(|old| old.value());
            forget(&write, old)?;
        }
        write.commit()?;
        Ok(true)
    }

    /// Gives a repository the tags of another, and says whether they differ from those it had. `None` when the other has
    /// none.
    ///
    /// # Errors
    /// The database failed.
    pub fn share(&self, from: &str, repository: &str) -> Result<Option<bool>, StoreError> {
        let read = self.database.begin_read()?;
        let table = read.open_table(REPOSITORIES)?;
        let Some(key) = has(&table, from)? else { return Ok(None) };
        if has(&table, repository)? == Some(key) {
            return Ok(Some(false));
        }
        drop(table);
        drop(read);
        let write = self.database.begin_write()?;
        let is_there = write.open_table(SETS)?.get(key)?.is_some();
        if is_there {
            let old =
                write.open_table(REPOSITORIES)?.insert(repository, key)?.map(|old| old.value());
            forget(&write, old)?;
            write.commit()?;
        }
        Ok(is_there.then_some(true))
    }

    /// Shows the tags of a repository, in descending order. `None` when it has no set.
    ///
    /// # Errors
    /// The database failed.
    pub fn read<T>(
        &self,
        repository: &str,
        look: impl FnOnce(&mut dyn Iterator<Item = &str>) -> T,
    ) -> Result<Option<T>, StoreError> {
        let read = self.database.begin_read()?;
        let Some(key) = has(&read.open_table(REPOSITORIES)?, repository)? else { return Ok(None) };
        let sets = read.open_table(SETS)?;
        let Some(text) = sets.get(key)? else { return Ok(None) };
        Ok(Some(look(&mut lines(text.value()))))
    }

    /// Forgets a repository.
    ///
    /// # Errors
    /// The database failed.
    pub fn remove(&self, repository: &str) -> Result<(), StoreError> {
        let write = self.database.begin_write()?;
        let old = write.open_table(REPOSITORIES)?.remove(repository)?.map(|old| old.value());
        forget(&write, old)?;
        write.commit()?;
        Ok(())
    }

    /// Forgets every repository that `is_known` does not know, such as those deleted while no one looked.
    ///
    /// # Errors
    /// The database failed.
    pub fn retain(&self, is_known: impl Fn(&str) -> bool) -> Result<(), StoreError> {
        let read = self.database.begin_read()?;
        let mut gone = Vec::new();
        for entry in read.open_table(REPOSITORIES)?.iter()? {
            let (repository, _) = entry?;
            if !is_known(repository.value()) {
                gone.push(repository.value().to_owned());
            }
        }
        drop(read);
        gone.iter().try_for_each(|repository| self.remove(repository))
    }

    /// How many repositories and how many different sets there are.
    ///
    /// # Errors
    /// The database failed.
    pub fn len(&self) -> Result<(u64, u64), StoreError> {
        let read = self.database.begin_read()?;
        Ok((read.open_table(REPOSITORIES)?.len()?, read.open_table(SETS)?.len()?))
    }
}

fn has(
    table: &impl ReadableTable<&'static str, [u8; 32]>,
    repository: &str,
) -> Result<Option<[u8; 32]>, StorageError> {
    Ok(table.get(repository)?.map(|key| key.value()))
}

/// Removes a set that a repository had, when no other has it.
fn forget(write: &redb::WriteTransaction, old: Option<[u8; 32]>) -> Result<(), StoreError> {
    let Some(old) = old else { return Ok(()) };
    for entry in write.open_table(REPOSITORIES)?.iter()? {
        if entry?.1.value() == old {
            return Ok(());
        }
    }
    write.open_table(SETS)?.remove(old)?;
    Ok(())
}
