//! The disk as the engines see it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use borax_stdx::files::{FileKind, Files};

/// The machine's own file system.
pub(crate) struct Disk;

impl Files for Disk {
    fn kind(&self, path: &str) -> io::Result<Option<FileKind>> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(Some(FileKind::Dir)),
            Ok(_) => Ok(Some(FileKind::File)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn read(&self, path: &str) -> io::Result<Arc<[u8]>> {
        Ok(fs::read(path)?.into())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            let name = entry?.file_name();
            names.push(name.into_string().map_err(|name| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the file name {name:?} is not UTF-8"),
                )
            })?);
        }
        names.sort_unstable();
        Ok(names)
    }

    fn resolve(&self, path: &str) -> io::Result<String> {
        let path: PathBuf = fs::canonicalize(path)?;
        path.into_os_string().into_string().map_err(|path| {
            io::Error::new(io::ErrorKind::InvalidData, format!("the path {path:?} is not UTF-8"))
        })
    }
}
