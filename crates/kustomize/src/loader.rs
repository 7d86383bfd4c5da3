//! Files and directories as a kustomization may reach them: below its root, and never in a circle.
//!
//! Source of behaviour: kustomize `api/internal/loader`.

use std::sync::Arc;

use borax_stdx::files::{FileKind, Files, join};

use crate::build::Build;
use crate::diag::{Diagnostics, Result, fail};
use crate::remote::{RepoSpec, is_url};

/// Where files come from: the view of the caller, or a repository that was fetched.
#[derive(Clone)]
pub(crate) enum Source<'a> {
    Given(&'a dyn Files),
    Fetched(Arc<dyn Files>),
}

impl Source<'_> {
    fn files(&self) -> &dyn Files {
        match self {
            Source::Given(files) => *files,
            Source::Fetched(files) => &**files,
        }
    }
}

/// A directory with a kustomization, and those that led to it.
#[derive(Clone)]
pub(crate) struct Loader<'a> {
    source: Source<'a>,
    root: String,
    /// Roots of the same source above this one, nearest first.
    above: Vec<String>,
    /// Repositories that led here, nearest first.
    repositories: Vec<String>,
    /// Whether files must lie in or below the root.
    restricted: bool,
}

impl<'a> Loader<'a> {
    /// The directory that a build begins in.
    pub(crate) fn new(build: &Build<'a>, path: &str) -> Result<Loader<'a>> {
        let mut loader = Loader {
            source: Source::Given(build.files),
            root: "/".to_owned(),
            above: Vec::new(),
            repositories: Vec::new(),
            restricted: !build.options.load_anywhere,
        };
        if let Some(spec) = RepoSpec::parse(path) {
            return loader.clone_repository(build, &spec);
        }
        loader.root = loader
            .confirm_directory(&join("/", path))
            .map_err(|e| e.during("must build at directory"))?;
        Ok(loader)
    }

    /// The directory's path, links followed.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// A path relative to the root as an absolute one.
    pub(crate) fn join(&self, path: &str) -> String {
        if is_url(path) { path.to_owned() } else { join(&self.root, path) }
    }

    /// Whether the path is a directory.
    pub(crate) fn is_directory(&self, path: &str) -> bool {
        !is_url(path)
            && matches!(self.source.files().kind(&self.join(path)), Ok(Some(FileKind::Dir)))
    }

    /// A file's content.
    pub(crate) fn load(&self, build: &Build<'_>, path: &str) -> Result<Arc<[u8]>> {
        if is_url(path) {
            build.stop_remembering();
            let Some(remote) = build.options.remote else {
                return fail(format!("{path}: remote files are not available to this build"))
                    .map_err(|e| e.hint("fetch it first and refer to it by a path"));
            };
            return remote.file(path).map_err(|error| Diagnostics::new(format!("{path}: {error}")));
        }
        let full = self.join(path);
        let files = self.source.files();
        let read = |at: &str| {
            files.read(at).map_err(|error| {
                let found = Diagnostics::new(format!("can't read '{full}': {error}"));
                match self.near(&full) {
                    Some(near) if error.kind() == std::io::ErrorKind::NotFound => found.hint(near),
                    _ => found,
                }
            })
        };
        if !self.restricted {
            return read(&full);
        }
        let resolved = match files.resolve(&full) {
            Ok(resolved) => resolved,
            Err(_) => return read(&full),
        };
        match files.kind(&resolved) {
            Ok(Some(FileKind::File)) => {}
            _ => return fail(format!("'{full}' must resolve to a file")),
        }
        let directory = resolved.rsplit_once('/').map_or("/", |(directory, _)| directory);
        if !has_prefix(directory, &self.root) {
            return fail(format!("security; file '{full}' is not in or below '{}'", self.root))
                .map_err(|e| e.hint("move it there, or lift the load restriction"));
        }
        read(&resolved)
    }

    /// Names in the directory that are like the missing one.
    fn near(&self, full: &str) -> Option<String> {
        let (directory, name) = full.rsplit_once('/')?;
        let directory = if directory.is_empty() { "/" } else { directory };
        let stem = |name: &str| name.split('.').next().unwrap_or(name).to_ascii_lowercase();
        let names = self.source.files().list(directory).ok()?;
        let near: Vec<String> = names
            .into_iter()
            .filter(|have| {
                let (have, name) = (stem(have), stem(name));
                !name.is_empty() && (have.contains(&name) || name.contains(&have))
            })
            .take(5)
            .collect();
        (!near.is_empty()).then(|| format!("there is {}", near.join(", ")))
    }

    /// The directory at a path, or a repository at a URL.
    pub(crate) fn descend(&self, build: &Build<'_>, path: &str) -> Result<Loader<'a>> {
        if path.is_empty() {
            return fail("new root cannot be empty");
        }
        if let Some(spec) = RepoSpec::parse(path) {
            return self.clone_repository(build, &spec);
        }
        if path.starts_with('/') {
            return fail(format!("new root '{path}' cannot be absolute"));
        }
        let odd = |part: &str| part != ".." && part.contains("..");
        if path.split('/').any(odd) {
            return fail(format!(
                "path {path:?} is ambiguous, which is likely not the intended target; check for \
                 YAML indentation errors in your kustomization file"
            ));
        }
        let root = self.confirm_directory(&self.join(path))?;
        let visited = std::iter::once(&self.root).chain(&self.above);
        if let Some(visited) = visited.into_iter().find(|visited| has_prefix(visited, &root)) {
            return fail(format!(
                "cycle detected: candidate root '{root}' contains visited root '{visited}'"
            ));
        }
        let mut above = self.above.clone();
        above.insert(0, self.root.clone());
        Ok(Loader { root, above, ..self.clone() })
    }

    fn confirm_directory(&self, path: &str) -> Result<String> {
        let files = self.source.files();
        let missing = |error: &dyn std::fmt::Display| {
            let found = Diagnostics::new(format!("can't open '{path}': {error}"));
            match self.near(path) {
                Some(near) => found.hint(near),
                None => found,
            }
        };
        let resolved = files.resolve(path).map_err(|error| missing(&error))?;
        match files.kind(&resolved) {
            Ok(Some(FileKind::Dir)) => Ok(resolved),
            Ok(Some(FileKind::File)) => {
                fail(format!("'{path}' is a file, where a directory is expected"))
            }
            Ok(None) => Err(missing(&"no such file or directory")),
            Err(error) => Err(missing(&error)),
        }
    }

    fn clone_repository(&self, build: &Build<'_>, spec: &RepoSpec) -> Result<Loader<'a>> {
        if self.repositories.iter().any(|above| above.starts_with(&spec.url)) {
            return fail(format!("cycle detected: URI '{}' referenced by itself", spec.url));
        }
        build.stop_remembering();
        let Some(remote) = build.options.remote else {
            return fail(format!("{}: remote bases are not available to this build", spec.url))
                .map_err(|e| e.hint("fetch the repository first and refer to it by a path"));
        };
        let files = remote
            .repository(spec)
            .map_err(|error| Diagnostics::new(format!("{}: {error}", spec.url)))?;
        let mut repositories = self.repositories.clone();
        repositories.insert(0, spec.url.clone());
        let loader = Loader {
            source: Source::Fetched(files),
            root: "/".to_owned(),
            above: Vec::new(),
            repositories,
            restricted: true,
        };
        let root = loader.confirm_directory(&spec.directory())?;
        Ok(Loader { root, ..loader })
    }
}

/// Whether a directory is, or lies in, another one.
fn has_prefix(path: &str, prefix: &str) -> bool {
    if prefix == "/" {
        return true;
    }
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Loader<'_> {
    /// The files that the root is in.
    pub(crate) fn files(&self) -> &dyn Files {
        self.source.files()
    }
}
