//! The storage: artifacts on disk under Flux's paths, and their unpacked content for consumers in this process.
//!
//! Archives are written to an unnamed or temporary file under `.tmp`, synced and renamed, so whatever lies under an
//! artifact's path is whole. Nothing that was on disk before is trusted by its name alone: it is hashed once per process
//! and again whenever its size, time or inode changes. Losing the folder at any time loses no more than the archives in
//! it: folders are made anew by the next write, and [`Storage::verify`] tells its caller to fetch again.
//!
//! All methods block on the disk: call them where that is allowed (`spawn_blocking`).

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tempfile::NamedTempFile;

use crate::archive::ArchiveSink;
use crate::cache::{CacheLimits, TreeCache};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::ArtifactError;
use crate::path::ArtifactPath;
use crate::retention::{self, Retention, Stored};
use crate::tree::{SinkError, TreeSource};
use crate::unpack::unpack_tar_gz;
use crate::unpacked::{Limits, Staging, UnpackedTree};

/// The folder for files that are being written. On the storage's own file system, so that a rename is atomic.
const TEMPORARY: &str = ".tmp";

/// How a storage is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `--storage-path`.
    pub root: PathBuf,
    /// Host and port in artifact URLs: `--storage-adv-addr`, see [`advertised_address`](crate::serve::advertised_address).
    /// With `http://` or `https://` before it, that scheme is used.
    pub advertised: String,
    /// `--artifact-digest-algo`.
    pub algorithm: Algorithm,
    /// `--artifact-retention-ttl` and `--artifact-retention-records`.
    pub retention: Retention,
    /// Bounds on every tree.
    pub limits: Limits,
    /// How much unpacked content is kept for the next consumer.
    pub cache: CacheLimits,
}

impl Options {
    /// Flux's defaults, for a storage at `root` advertised as `advertised`.
    pub fn new(root: impl Into<PathBuf>, advertised: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            advertised: advertised.into(),
            algorithm: Algorithm::default(),
            retention: Retention::default(),
            limits: Limits::default(),
            cache: CacheLimits::default(),
        }
    }
}

/// A stored artifact: the fields of `status.artifact`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Path below the storage's root.
    pub path: ArtifactPath,
    /// Where it is served.
    pub url: String,
    /// What it was made of, in the source's words (`main@sha1:…`, `latest@sha256:…`).
    pub revision: String,
    /// Digest of the file's bytes.
    pub digest: Digest,
    /// When the file was written.
    pub last_update_time: SystemTime,
    /// Size of the file in bytes.
    pub size: u64,
    /// What the source adds (OCI annotations).
    pub metadata: BTreeMap<String, String>,
}

/// The artifact storage.
#[derive(Debug)]
pub struct Storage {
    options: Options,
    known: Mutex<BTreeMap<ArtifactPath, Known>>,
    trees: TreeCache,
}

/// A file whose digest was computed, and what would show that it is another one now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    digest: Digest,
    stamp: Stamp,
}

type Stamp = (u64, u64, i64, i64);

fn stamp(file: &Metadata) -> Stamp {
    (file.ino(), file.size(), file.mtime(), file.mtime_nsec())
}

impl Storage {
    /// Opens the storage, making its folder, and clears what an interrupted write left.
    ///
    /// One process owns a storage at a time.
    pub fn new(options: Options) -> Result<Self, ArtifactError> {
        let trees = TreeCache::new(options.cache);
        let storage = Self { options, known: Mutex::default(), trees };
        let temporary = storage.options.root.join(TEMPORARY);
        match fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("clear", &temporary)(error));
            }
            _ => {}
        }
        storage.temporary_dir()?;
        Ok(storage)
    }

    /// How it is set up.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The URL of a path.
    pub fn url(&self, path: &ArtifactPath) -> String {
        let advertised = &self.options.advertised;
        let scheme = if advertised.starts_with("http://") || advertised.starts_with("https://") {
            ""
        } else {
            "http://"
        };
        format!("{scheme}{advertised}/{path}")
    }

    /// The file of a path.
    pub fn local_path(&self, path: &ArtifactPath) -> PathBuf {
        self.options.root.join(path.as_str())
    }

    /// Archives `tree` under `path` as tar.gz. Its content is ready for [`Storage::open`] at once.
    pub fn archive(
        &self,
        path: &ArtifactPath,
        revision: &str,
        tree: &mut dyn TreeSource,
    ) -> Result<Artifact, ArtifactError> {
        let fail = |source| ArtifactError::Archive { path: path.to_string(), source };
        let write = |source| fail(SinkError::Write { path: path.to_string(), source }.into());
        let mut out = self.output()?;
        let mut sink =
            ArchiveSink::new(&mut out, self.stage()?).map_err(|error| fail(error.into()))?;
        tree.emit(&mut sink).map_err(fail)?;
        let (_, staging) = sink.finish().map_err(write)?;
        let content = staging.finish().map_err(write)?;
        let artifact = self.commit(out, path, revision)?;
        self.trees.insert(&artifact.digest, Arc::new(content));
        Ok(artifact)
    }

    /// Stores the bytes of `content` as they are under `path`: a copied OCI layer, a Helm chart.
    pub fn store(
        &self,
        path: &ArtifactPath,
        revision: &str,
        content: &mut dyn Read,
    ) -> Result<Artifact, ArtifactError> {
        let mut out = self.output()?;
        io::copy(content, &mut out).map_err(failed("write", &self.local_path(path)))?;
        self.commit(out, path, revision)
    }

    /// The content of a stored tar.gz, unpacked once and shared by all that ask.
    ///
    /// Errors: [`ArtifactError::Missing`] and [`ArtifactError::Mismatch`] mean that the source must make it again.
    pub fn open(&self, artifact: &Artifact) -> Result<Arc<UnpackedTree>, ArtifactError> {
        self.open_at(&artifact.path, &artifact.digest)
    }

    /// As [`Storage::open`], by path and digest.
    pub fn open_at(
        &self,
        path: &ArtifactPath,
        digest: &Digest,
    ) -> Result<Arc<UnpackedTree>, ArtifactError> {
        self.trees.get_or_unpack(digest, || {
            let local = self.local_path(path);
            let file = File::open(&local).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => ArtifactError::Missing { path: path.to_string() },
                _ => ArtifactError::Io { action: "read", path: local.clone(), source },
            })?;
            self.unpack(file, digest, path.as_str())
        })
    }

    /// The unpacked content of this digest, if it is at hand.
    pub fn cached(&self, digest: &Digest) -> Option<Arc<UnpackedTree>> {
        self.trees.get(digest)
    }

    /// Unpacks an archive from elsewhere into the cache. `name` (a URL) is for errors.
    pub fn open_file(
        &self,
        file: File,
        digest: &Digest,
        name: &str,
    ) -> Result<Arc<UnpackedTree>, ArtifactError> {
        self.trees.get_or_unpack(digest, || self.unpack(file, digest, name))
    }

    /// An empty staging in this storage, to put a tree together from several.
    pub fn stage(&self) -> Result<Staging, ArtifactError> {
        Ok(Staging::new(self.spool()?, self.options.limits))
    }

    /// An unnamed file on the storage's disk, gone when closed: for downloads.
    pub fn spool(&self) -> Result<File, ArtifactError> {
        let dir = self.temporary_dir()?;
        tempfile::tempfile_in(&dir).map_err(failed("create a file in", &dir))
    }

    /// Whether the artifact's file is there, as a regular file. Says nothing of its content.
    pub fn exists(&self, path: &ArtifactPath) -> bool {
        fs::symlink_metadata(self.local_path(path)).is_ok_and(|file| file.is_file())
    }

    /// Checks that the artifact's file is there and is what its digest says.
    ///
    /// The file is read only when it was not written or checked before by this process.
    pub fn verify(&self, path: &ArtifactPath, digest: &Digest) -> Result<(), ArtifactError> {
        let local = self.local_path(path);
        let found = fs::symlink_metadata(&local).ok().filter(Metadata::is_file);
        let missing = || ArtifactError::Missing { path: path.to_string() };
        let stamp = stamp(&found.ok_or_else(missing)?);
        let known = self.known().get(path).cloned();
        let got = match known {
            Some(known)
                if known.stamp == stamp && known.digest.algorithm() == digest.algorithm() =>
            {
                known.digest
            }
            _ => {
                let mut file = Hashing::new(
                    File::open(&local).map_err(failed("read", &local))?,
                    digest.algorithm().hasher(),
                );
                io::copy(&mut file, &mut io::sink()).map_err(failed("read", &local))?;
                let digest = file.hasher.finish();
                self.known().insert(path.clone(), Known { digest: digest.clone(), stamp });
                digest
            }
        };
        if got != *digest {
            let (want, got) = (digest.to_string(), got.to_string());
            return Err(ArtifactError::Mismatch { path: path.to_string(), want, got });
        }
        Ok(())
    }

    /// Points `filename` beside the artifact at it (`latest.tar.gz`), and returns that name's URL.
    pub fn symlink(&self, path: &ArtifactPath, filename: &str) -> Result<String, ArtifactError> {
        let link = path.sibling(filename)?;
        let local = self.local_path(&link);
        let temporary = self.temporary_dir()?.join(link.as_str().replace('/', "+"));
        let target =
            path.as_str().strip_prefix(path.dir()).unwrap_or_default().trim_start_matches('/');
        let _ = fs::remove_file(&temporary); // left by an interrupted call, or absent
        std::os::unix::fs::symlink(target, &temporary).map_err(failed("create", &temporary))?;
        fs::rename(&temporary, &local).map_err(failed("create", &local))?;
        Ok(self.url(&link))
    }

    /// Removes one artifact's file. No error when it is gone already.
    pub fn remove(&self, path: &ArtifactPath) -> Result<(), ArtifactError> {
        let local = self.local_path(path);
        match fs::remove_file(&local) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &local)(error))
            }
            _ => {
                self.forget(|known| known == path);
                Ok(())
            }
        }
    }

    /// Removes what retention says of the object whose current artifact is at `path`; returns how many files went.
    pub fn garbage_collect(
        &self,
        path: &ArtifactPath,
        now: SystemTime,
    ) -> Result<usize, ArtifactError> {
        let dir = self.options.root.join(path.dir());
        let current = path.as_str().rsplit('/').next().unwrap_or_default();
        let mut stored = Vec::new();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(failed("list", &dir)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed("list", &dir))?;
            let file = entry.metadata().map_err(failed("read", &entry.path()))?;
            if let (true, Ok(filename)) = (file.is_file(), entry.file_name().into_string()) {
                let modified = file.modified().map_err(failed("read", &entry.path()))?;
                stored.push(Stored { filename, modified });
            }
        }
        let garbage = retention::garbage(stored, current, self.options.retention, now);
        for file in &garbage {
            match path.sibling(&file.filename) {
                Ok(path) => self.remove(&path)?,
                // A name we would not write (Flux's lock files have an artifact's name; a dot file is someone's own).
                Err(_) => {
                    fs::remove_file(dir.join(&file.filename)).map_err(failed("remove", &dir))?
                }
            }
        }
        Ok(garbage.len())
    }

    /// Removes all artifacts of an object that is deleted; returns whether there were any.
    pub fn remove_all(&self, path: &ArtifactPath) -> Result<bool, ArtifactError> {
        let dir = self.options.root.join(path.dir());
        match fs::remove_dir_all(&dir) {
            Ok(()) => {
                self.forget(|known| known.dir() == path.dir());
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("remove", &dir)(error)),
        }
    }

    fn unpack(
        &self,
        file: File,
        want: &Digest,
        name: &str,
    ) -> Result<Arc<UnpackedTree>, ArtifactError> {
        let limits = &self.options.limits;
        let mut staging = self.stage()?;
        let mut file = Hashing::new(file, want.algorithm().hasher());
        let unpacked = unpack_tar_gz(&mut file, limits, &mut staging);
        // The rest counts too; and of bytes that are not the right ones it does not matter why they are no archive.
        io::copy(&mut file, &mut io::sink()).map_err(failed("read", Path::new(name)))?;
        let got = file.hasher.finish();
        if got != *want {
            let (want, got) = (want.to_string(), got.to_string());
            return Err(ArtifactError::Mismatch { path: name.to_owned(), want, got });
        }
        unpacked.map_err(|source| ArtifactError::Unpack { path: name.to_owned(), source })?;
        Ok(Arc::new(staging.finish().map_err(failed("write", &self.options.root))?))
    }

    fn output(&self) -> Result<Output, ArtifactError> {
        let dir = self.temporary_dir()?;
        let file = NamedTempFile::new_in(&dir).map_err(failed("create a file in", &dir))?;
        Ok(Output {
            file: BufWriter::with_capacity(64 << 10, file),
            hasher: self.options.algorithm.hasher(),
            size: 0,
        })
    }

    /// Makes a finished output the artifact at `path`.
    fn commit(
        &self,
        out: Output,
        path: &ArtifactPath,
        revision: &str,
    ) -> Result<Artifact, ArtifactError> {
        let local = self.local_path(path);
        let write = failed("write", &local);
        let file = out.file.into_inner().map_err(|error| write(error.into_error()))?;
        file.as_file().sync_data().map_err(&write)?;
        let dir = self.options.root.join(path.dir());
        fs::create_dir_all(&dir).map_err(failed("create", &dir))?;
        let file = file.persist(&local).map_err(|error| write(error.error))?;
        let metadata = file.metadata().map_err(&write)?;
        let digest = out.hasher.finish();
        self.forget(|known| known == path);
        self.known()
            .insert(path.clone(), Known { digest: digest.clone(), stamp: stamp(&metadata) });
        Ok(Artifact {
            path: path.clone(),
            url: self.url(path),
            revision: revision.to_owned(),
            digest,
            last_update_time: SystemTime::now(),
            size: out.size,
            metadata: BTreeMap::new(),
        })
    }

    /// Forgets files that are gone, and their content unless another file has the same.
    fn forget(&self, gone: impl Fn(&ArtifactPath) -> bool) {
        let mut known = self.known();
        let mut digests = Vec::new();
        known.retain(|path, file| {
            let gone = gone(path);
            if gone {
                digests.push(file.digest.clone());
            }
            !gone
        });
        for digest in digests {
            if !known.values().any(|file| file.digest == digest) {
                self.trees.evict(&digest);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<ArtifactPath, Known>> {
        // Every change is a single insert or removal, so what a panic left is sound.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn temporary_dir(&self) -> Result<PathBuf, ArtifactError> {
        let dir = self.options.root.join(TEMPORARY);
        fs::create_dir_all(&dir).map_err(failed("create", &dir))?;
        Ok(dir)
    }
}

/// A file being written, hashed and counted.
struct Output {
    file: BufWriter<NamedTempFile>,
    hasher: Hasher,
    size: u64,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A reader whose bytes are hashed.
struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Hashing<R> {
    fn new(inner: R, hasher: Hasher) -> Self {
        Self { inner, hasher }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        Ok(n)
    }
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> ArtifactError {
    let path = path.to_owned();
    move |source| ArtifactError::Io { action, path: path.clone(), source }
}
