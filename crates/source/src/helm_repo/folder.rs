//! Charts in the files of a source: found, loaded, completed with their dependencies, packaged.
//!
//! Source: source-controller `internal/helm/chart` (`builder_local.go`, `dependency_manager.go`), `secureloader`.
//! Blocking and without network: what must be downloaded, the caller gets between [`Local::load`] and
//! [`Loaded::finish`].

use std::io;
use std::sync::Arc;

use borax_artifact::unpacked::UnpackedTree;
use borax_golang::semver::{Constraint, Version};
use borax_helm::{Chart, Dependency, Metadata, merge_values, package};
use borax_stdx::files::{FileKind, Files, join};
use serde_json::{Map, Value};

use super::Limits;
use super::address;
use super::build::{BuildError, BuildOptions, BuildReason, Built, stamp};

/// The most bytes that the folder of a chart holds: what Helm allows of an unpacked archive.
const MAX_FOLDER: usize = borax_helm::MAX_CHART;
/// Deepest folders of a chart.
const MAX_DEPTH: usize = 64;

/// A chart in the files of a source.
pub struct Local {
    files: Arc<UnpackedTree>,
    path: String,
    is_folder: bool,
    limits: Limits,
    /// The chart's name.
    pub name: String,
    /// The chart's version, with metadata.
    pub version: String,
    /// Whether its archive is made anew.
    pub packages: bool,
}

/// A loaded chart, and what it lacks.
pub struct Loaded {
    chart: Chart,
    values_files: Vec<String>,
    n_local: usize,
    /// The dependencies to be downloaded.
    pub missing: Vec<Dependency>,
}

fn read_error(path: &str, error: &io::Error) -> String {
    let shown = path.trim_start_matches('/');
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => error.to_string(),
    };
    format!("open {shown}: {reason}")
}

impl Local {
    /// Finds the chart at `path`, a folder or an archive.
    ///
    /// # Errors
    /// There is none.
    pub fn open(
        files: Arc<UnpackedTree>,
        path: &str,
        options: &BuildOptions,
        limits: Limits,
    ) -> Result<Self, BuildError> {
        let fail = |message: String| BuildError::new(BuildReason::Reference, message);
        if path.is_empty() {
            return Err(fail("no path set for local chart reference".to_owned()));
        }
        if path.starts_with('/') {
            return Err(fail("local chart reference path is expected to be relative".to_owned()));
        }
        let at = join("/", path);
        let is_folder = match files.kind(&at) {
            Ok(Some(kind)) => kind == FileKind::Dir,
            _ => return Err(fail(format!("stat {}: no such file or directory", &at[1..]))),
        };
        let metadata = if is_folder {
            let read = |name: &str| files.read(&join(&at, name));
            let text =
                read("Chart.yaml").map_err(|e| fail(read_error(&join(&at, "Chart.yaml"), &e)))?;
            let more = match read("requirements.yaml") {
                Ok(more) if more.len() as u64 > limits.file => {
                    return Err(fail(format!(
                        "size of 'requirements.yaml' exceeds '{}' bytes limit",
                        limits.file
                    )));
                }
                Ok(more) => Some(more),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => {
                    return Err(fail(read_error(&join(&at, "requirements.yaml"), &error)));
                }
            };
            Metadata::from_files(&text, more.as_deref())
        } else {
            let archive = files.read(&at).map_err(|e| fail(read_error(&at, &e)))?;
            if archive.len() as u64 > limits.chart {
                let name = at.rsplit('/').next().unwrap_or_default();
                let limit = limits.chart;
                return Err(fail(format!("size of chart '{name}' exceeds '{limit}' bytes limit")));
            }
            Metadata::from_archive(&archive)
        };
        let mut metadata = metadata.map_err(|e| fail(e.to_string()))?;
        metadata.validate().map_err(|e| fail(e.to_string()))?;
        let version = stamp(&metadata.version, options)?;
        let packages = is_folder || options.packages();
        Ok(Self { files, path: at, is_folder, limits, name: metadata.name, version, packages })
    }

    /// Loads the chart, with other values where the options ask for them, and with dependencies that are in the same
    /// source.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn load(&self, options: &BuildOptions) -> Result<Loaded, BuildError> {
        let fail = |reason, message: String| {
            BuildError::new(reason, message).of(&self.name, &self.version)
        };
        let merged = match options.values_files().is_empty() {
            true => None,
            false => {
                Some(self.merge_files(options).map_err(|e| fail(BuildReason::ValuesFiles, e))?)
            }
        };
        let mut chart = self.load_at(&self.path).map_err(|e| fail(BuildReason::Package, e))?;
        chart.metadata.version.clone_from(&self.version);
        let mut values_files = Vec::new();
        if let Some((values, files)) = merged {
            let replaced = chart.replace_values(values);
            if replaced.map_err(|e| fail(BuildReason::ValuesFiles, e.to_string()))? {
                values_files = files;
            }
        }
        let mut loaded = Loaded { chart, values_files, n_local: 0, missing: Vec::new() };
        if self.is_folder {
            for dependency in missing(&loaded.chart) {
                if is_local(&dependency) {
                    let name = called(&dependency).to_owned();
                    let found = self.local_dependency(&dependency).map_err(|e| {
                        let message = format!("failed to add local dependency '{name}': {e}");
                        fail(BuildReason::Dependency, message)
                    })?;
                    loaded.chart.dependencies.push(Arc::new(found));
                    loaded.n_local += 1;
                } else {
                    loaded.missing.push(dependency);
                }
            }
        }
        Ok(loaded)
    }

    /// The chart's archive as it lies in the source.
    ///
    /// # Errors
    /// It can't be read.
    pub fn as_it_is(&self) -> Result<Built, BuildError> {
        let archive = self.files.read(&self.path).map_err(|e| {
            BuildError::new(BuildReason::Pull, read_error(&self.path, &e))
                .of(&self.name, &self.version)
        })?;
        Ok(Built {
            name: self.name.clone(),
            version: self.version.clone(),
            archive: archive.to_vec(),
            values_files: Vec::new(),
            packaged: false,
            dependencies: 0,
        })
    }

    fn load_at(&self, path: &str) -> Result<Chart, String> {
        let shown = path.trim_start_matches('/');
        match self.files.kind(path) {
            Ok(Some(FileKind::Dir)) => {
                let mut files = Vec::new();
                let mut left = MAX_FOLDER;
                self.collect(path, "", &mut files, &mut left, 0)
                    .map_err(|e| format!("failed to load files from {shown}: {e}"))?;
                let limit = usize::try_from(self.limits.file).unwrap_or(usize::MAX);
                Chart::from_folder_within(files, limit)
                    .map_err(|e| format!("failed to load chart from {shown}: {e}"))
            }
            Ok(Some(_)) => {
                let archive = self.files.read(path).map_err(|e| read_error(path, &e))?;
                Chart::from_archive(&archive).map_err(|e| e.to_string())
            }
            _ => Err(format!("stat {shown}: no such file or directory")),
        }
    }

    /// The files below a folder, by their paths from there.
    fn collect(
        &self,
        root: &str,
        below: &str,
        files: &mut Vec<(String, Vec<u8>)>,
        left: &mut usize,
        depth: usize,
    ) -> Result<(), String> {
        let folder = join(root, below);
        if depth > MAX_DEPTH {
            return Err(format!("{folder}: folders are nested deeper than {MAX_DEPTH}"));
        }
        let list = self.files.list(&folder).map_err(|e| read_error(&folder, &e))?;
        for name in list {
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            let full = join(root, &path);
            if matches!(self.files.kind(&full), Ok(Some(FileKind::Dir))) {
                self.collect(root, &path, files, left, depth + 1)?;
                continue;
            }
            let data = self.files.read(&full).map_err(|e| read_error(&full, &e))?;
            *left = left
                .checked_sub(data.len())
                .ok_or_else(|| format!("the chart's folder holds more than {MAX_FOLDER} bytes"))?;
            files.push((path, data.to_vec()));
        }
        Ok(())
    }

    fn merge_files(
        &self,
        options: &BuildOptions,
    ) -> Result<(Map<String, Value>, Vec<String>), String> {
        let (mut values, mut used) = (Map::new(), Vec::new());
        for name in &options.values_files {
            // Of the source, not of the chart; never above its root.
            let path = join("/", name);
            let text = match self.files.kind(&path) {
                Ok(Some(FileKind::File)) => self.files.read(&path),
                Ok(None) if options.ignore_missing => continue,
                _ => {
                    return Err(format!(
                        "no values file found at path '{path}' (reference '{name}')"
                    ));
                }
            };
            let text =
                text.map_err(|e| format!("could not read values from file '{name}': {e}"))?;
            merge_values(&mut values, &text)
                .map_err(|e| format!("unmarshaling values from '{name}' failed: {e}"))?;
            used.push(name.clone());
        }
        Ok((values, used))
    }

    fn local_dependency(&self, dependency: &Dependency) -> Result<Chart, String> {
        let repository = &dependency.repository;
        let below = match repository.strip_prefix("file://") {
            Some(path) => path.to_owned(),
            None => format!("charts/{}", dependency.name),
        };
        let path = join("/", &format!("{}/{below}", self.path));
        if !matches!(self.files.kind(&path), Ok(Some(_))) {
            return Err(format!("no chart found at '{path}' (reference '{repository}')"));
        }
        let constraint = Constraint::parse(&dependency.version).map_err(|e| {
            format!("invalid version/constraint format '{}': {e}", dependency.version)
        })?;
        let mut chart = self.load_at(&path).map_err(|e| {
            format!("failed to load chart from '{path}' (reference '{repository}'): {e}")
        })?;
        let version = Version::parse(&chart.metadata.version).map_err(|e| e.to_string())?;
        if !constraint.matches(&version) {
            let wanted = &dependency.version;
            return Err(format!("can't get a valid version for constraint '{wanted}'"));
        }
        rename(&mut chart, dependency);
        Ok(chart)
    }
}

impl Loaded {
    /// Adds a downloaded dependency.
    ///
    /// # Errors
    /// The archive is no chart.
    pub fn add(
        &mut self,
        dependency: &Dependency,
        version: &str,
        archive: &[u8],
    ) -> Result<(), String> {
        let mut chart = Chart::from_archive(archive).map_err(|e| {
            format!("failed to load downloaded archive of version '{version}': {e}")
        })?;
        rename(&mut chart, dependency);
        self.chart.dependencies.push(Arc::new(chart));
        Ok(())
    }

    /// Packages the chart.
    ///
    /// # Errors
    /// It can't be packaged.
    pub fn finish(mut self, local: &Local) -> Result<Built, BuildError> {
        // However long each took to come.
        self.chart.dependencies.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        let archive = package(&self.chart).map_err(|e| {
            let message = format!("failed to package chart: {e}");
            BuildError::new(BuildReason::Package, message).of(&local.name, &local.version)
        })?;
        Ok(Built {
            name: local.name.clone(),
            version: local.version.clone(),
            archive,
            values_files: self.values_files,
            packaged: local.packages,
            dependencies: self.n_local + self.missing.len(),
        })
    }
}

fn rename(chart: &mut Chart, dependency: &Dependency) {
    if !dependency.alias.is_empty() {
        chart.metadata.name.clone_from(&dependency.alias);
    }
}

/// What a dependency is called in its chart.
pub fn called(dependency: &Dependency) -> &str {
    if dependency.alias.is_empty() { &dependency.name } else { &dependency.alias }
}

fn is_local(dependency: &Dependency) -> bool {
    dependency.repository.is_empty() || dependency.repository.starts_with("file://")
}

/// The dependencies that are not in `charts/`, by their names; the lock file goes before Chart.yaml.
fn missing(chart: &Chart) -> Vec<Dependency> {
    let wanted = match &chart.lock {
        Some(lock) => &lock.dependencies,
        None => &chart.metadata.dependencies,
    };
    if wanted.len() == chart.dependencies.len() {
        return Vec::new();
    }
    let is_there = |dependency: &Dependency| {
        chart.dependencies.iter().any(|there| there.metadata.name == called(dependency))
    };
    let mut missing: Vec<Dependency> =
        wanted.iter().filter(|dependency| !is_there(dependency)).cloned().collect();
    missing.sort_by(|a, b| called(a).cmp(called(b)));
    missing
}

/// The one spelling of the repository that a dependency names.
///
/// # Errors
/// It is no repository that can be asked.
pub fn dependency_repository(url: &str) -> Result<String, String> {
    let normal = address::normalize(url).map_err(|error| error.to_string());
    if url.starts_with('@') {
        return Err(format!(
            "invalid dependency repository URL: aliased repository dependency is not supported: {url}"
        ));
    }
    let is_known = ["oci://", "https://", "http://"].iter().any(|scheme| url.starts_with(scheme));
    if !is_known {
        return Err(format!("invalid dependency repository URL: {}", address::shown(url)));
    }
    normal
}
