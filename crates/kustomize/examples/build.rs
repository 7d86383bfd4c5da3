//! Builds a directory on disk and prints the objects: `build [FLAGS] DIR`, with kustomize's flags
//! `--reorder`, `--load-restrictor`, `--enable-helm`, `--enable-alpha-plugins`,
//! `--enable-managedby-label`.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program, not the library"
)]

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use borax_kustomize::{Options, Order, build};
use borax_stdx::files::{FileKind, Files};

struct Disk;

impl Files for Disk {
    fn kind(&self, path: &str) -> io::Result<Option<FileKind>> {
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(Some(FileKind::Dir)),
            Ok(_) => Ok(Some(FileKind::File)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&self, path: &str) -> io::Result<Arc<[u8]>> {
        std::fs::read(path).map(Into::into)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn resolve(&self, path: &str) -> io::Result<String> {
        Ok(std::fs::canonicalize(path)?.to_string_lossy().into_owned())
    }
}

fn main() -> ExitCode {
    let mut options = Options::default();
    let mut path = ".".to_owned();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        let mut value = || value.clone().or_else(|| args.next()).unwrap_or_default();
        match name.as_str() {
            "--reorder" => {
                options.order = if value() == "none" { Order::None } else { Order::Legacy };
            }
            "--load-restrictor" => options.load_anywhere = value() == "LoadRestrictionsNone",
            "--enable-helm" => options.enable_helm = true,
            "--enable-alpha-plugins" => options.enable_alpha_plugins = true,
            "--enable-managedby-label" => options.managed_by_label = true,
            _ => path = name,
        }
    }
    let path = match std::path::absolute(Path::new(&path)) {
        Ok(path) => path.to_string_lossy().into_owned(),
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    match build(&Disk, &path, &options) {
        Ok(objects) => {
            for warning in objects.warnings() {
                eprintln!("{warning}");
            }
            print!("{}", objects.to_yaml());
            ExitCode::SUCCESS
        }
        Err(found) => {
            eprintln!("Error: {found}");
            ExitCode::FAILURE
        }
    }
}
