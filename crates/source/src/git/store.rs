//! The objects of one fetch: received packs, indexed by libgit2 in a folder of their own, and read back.
//!
//! Only libgit2's indexer and object database are used: no repository, so no configuration, no hooks, no environment.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use git2::{Indexer, ObjectType, Odb, Oid};
use tempfile::TempDir;

use super::cause::Cause;
use super::fetch::Limits;
use super::scan::{Allowed, PackScan, Refused};
use super::session::Session;

/// A folder of packs that vanishes with its last holder.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    dir: Arc<TempDir>,
}

impl Store {
    /// An empty store in a new folder below `parent`, which is made when missing (a lost cache folder recovers).
    pub(crate) fn create(parent: &Path) -> Result<Self, Cause> {
        keep_libgit2_small();
        let fail =
            |error: &std::io::Error| Cause::store("can't make a folder for the fetch", error);
        std::fs::create_dir_all(parent).map_err(|e| fail(&e))?;
        let dir =
            tempfile::Builder::new().prefix("git-").tempdir_in(parent).map_err(|e| fail(&e))?;
        std::fs::create_dir(dir.path().join("pack")).map_err(|e| fail(&e))?;
        Ok(Self { dir: Arc::new(dir) })
    }

    /// A writer for one pack within `limits`.
    pub(crate) fn receive<'s>(
        &self,
        session: &'s Session,
        limits: Limits,
    ) -> Result<PackReceiver<'s>, Cause> {
        let indexer = Indexer::new(None, &self.pack_dir(), 0, false)
            .map_err(|e| Cause::store("can't start to index a pack", &e))?;
        let allowed = Allowed { object: limits.object_bytes, count: limits.entries };
        let scan = PackScan::new(allowed);
        Ok(PackReceiver { session, indexer, scan, received: 0, limit: limits.pack_bytes })
    }

    /// Opens what has been received.
    pub(crate) fn open(&self) -> Result<Objects, Cause> {
        let fail = |e: &dyn std::fmt::Display| Cause::store("can't open the received objects", e);
        let odb = Odb::new().map_err(|e| fail(&e))?;
        let path = self
            .dir
            .path()
            .to_str()
            .ok_or_else(|| fail(&"the cache folder's path is not UTF-8"))?;
        odb.add_disk_alternate(path).map_err(|e| fail(&e))?;
        Ok(Objects { odb })
    }

    fn pack_dir(&self) -> PathBuf {
        self.dir.path().join("pack")
    }
}

/// Takes the bytes of a pack as they arrive.
pub(crate) struct PackReceiver<'s> {
    session: &'s Session,
    indexer: Indexer<'s>,
    scan: PackScan,
    received: u64,
    limit: u64,
}

impl PackReceiver<'_> {
    /// The next bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        self.session.check()?;
        self.received += bytes.len() as u64;
        if self.received > self.limit {
            return Err(Cause::TooLarge { what: "the pack the server sends", limit: self.limit });
        }
        self.scan.feed(bytes).map_err(|e| refused(&e))?;
        self.indexer.write_all(bytes).map_err(|e| Cause::store("can't store the pack", &e))
    }

    /// The end of the pack: checks it and writes its index.
    pub(crate) fn finish(mut self) -> Result<(), Cause> {
        let session = self.session;
        self.scan.finish().map_err(|e| refused(&e))?;
        self.indexer.progress(move |_| session.check().is_ok());
        let done = self.indexer.commit();
        // An interrupted commit fails with a text of libgit2's.
        session.check()?;
        done.map_err(|e| Cause::store("can't index the pack", &e))?;
        Ok(())
    }
}

/// The received objects, open for reading.
pub(crate) struct Objects {
    odb: Odb<'static>,
}

/// An object's bytes.
pub(crate) type Object<'a> = git2::OdbObject<'a>;

impl Objects {
    /// Whether `oid` has been received.
    pub(crate) fn has(&self, oid: Oid) -> bool {
        self.odb.exists(oid)
    }

    /// Its kind and its size in bytes, without reading it.
    pub(crate) fn header(&self, oid: Oid) -> Result<(ObjectType, u64), Cause> {
        let (size, kind) = self.odb.read_header(oid).map_err(|e| unreadable(&e))?;
        Ok((kind, size as u64))
    }

    /// The object, of whatever kind.
    pub(crate) fn any(&self, oid: Oid) -> Result<Object<'_>, Cause> {
        self.odb.read(oid).map_err(|e| unreadable(&e))
    }

    /// The object, which must be of `kind`.
    pub(crate) fn read(&self, oid: Oid, kind: ObjectType) -> Result<Object<'_>, Cause> {
        let object = self.any(oid)?;
        if object.kind() != kind {
            return Err(unreadable(&format!("{oid} is no {kind}")));
        }
        Ok(object)
    }
}

fn refused(error: &Refused) -> Cause {
    Cause::store("refused the pack the server sends", error)
}

fn unreadable(error: &dyn std::fmt::Display) -> Cause {
    Cause::store("can't read a received object", error)
}

/// Bounds what libgit2 maps and caches, once per process.
///
/// It would map packs of up to a gigabyte whole (all of it resident once read) and keep parsed objects of up to 256 MB. A
/// fetch reads each object once, so neither is of use.
fn keep_libgit2_small() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        git2::opts::enable_caching(false);
        // SAFETY: both set a global of libgit2's, which is only unsafe beside another thread in libgit2. Every use of
        // libgit2 begins with `Store::create`, so none runs before this has run, and it runs once.
        #[expect(unsafe_code, reason = "libgit2 has no per-repository setting for these")]
        unsafe {
            // Failing to set a limit changes memory use only.
            let _ = git2::opts::set_mwindow_size(1 << 20);
            let _ = git2::opts::set_mwindow_mapped_limit(16 << 20);
        }
    });
}
