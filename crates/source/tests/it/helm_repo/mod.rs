//! Chart repositories against one in this process: indexes, versions, downloads, and what becomes of charts.

mod access;
mod build;
mod index;
mod memory;
mod oracle;

use std::io::{Seek, Write};
use std::sync::Arc;

use borax_artifact::{Options, Storage};
use borax_source::helm_repo::{Connection, Index, IndexError, Repositories};
use borax_testkit::charts::ChartRepository;

pub(super) fn storage() -> (tempfile::TempDir, Arc<Storage>) {
    let dir = tempfile::tempdir().expect("a folder");
    let storage = Storage::new(Options::new(dir.path(), "source.example")).expect("a storage");
    (dir, Arc::new(storage))
}

pub(super) fn connection(repository: &ChartRepository) -> Connection {
    Connection { url: repository.url(), ..Connection::default() }
}

/// An index of this text, and what Flux would store of it.
pub(super) fn read(text: &[u8]) -> Result<(Index, String), IndexError> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(text).expect("a write");
    let mut stored = tempfile::tempfile().expect("a file");
    let spool = tempfile::tempfile().expect("a file");
    let index = Index::read(&mut file, Some(&mut stored), Some(spool))?;
    stored.rewind().expect("a seek");
    let stored = std::io::read_to_string(stored).expect("a read");
    Ok((index, stored))
}

/// The index of the repository, fetched and read.
pub(super) async fn fetch(
    repositories: &Repositories,
    connection: &Connection,
    storage: &Arc<Storage>,
) -> Result<Arc<Index>, String> {
    let fetched = repositories.fetch_index(connection, None, storage).await;
    let fetched = fetched.map_err(|error| error.to_string())?.expect("no name was given");
    repositories.read(fetched.file).await.map_err(|error| error.to_string())
}
