//! A chart: what its files are, loaded once and rendered many times. Source: Helm
//! `pkg/chart/v2/loader/load.go`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use borax_gotmpl::Templates;
use serde_json::{Map, Value as Json};

use crate::archive;
use crate::error::Error;
use crate::ignore::IgnoreRules;
use crate::metadata::{self, Lock, Metadata};

/// Largest single file of a chart, in bytes.
pub const MAX_FILE: usize = 5 << 20;
/// Deepest nesting of charts in `charts/`.
const MAX_NESTING: usize = 50;

/// A file of a chart: path below the chart, and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path with `/`.
    pub path: String,
    /// Content, without a byte order mark.
    pub data: Arc<[u8]>,
}

/// A loaded chart.
#[derive(Debug, Default)]
pub struct Chart {
    /// Chart.yaml.
    pub metadata: Metadata,
    /// Chart.lock; for charts of API version v1 requirements.lock.
    pub lock: Option<Lock>,
    /// Default values.
    pub values: Map<String, Json>,
    /// values.yaml as it is.
    pub values_text: Option<Arc<[u8]>>,
    /// values.schema.json.
    pub schema: Option<Arc<[u8]>>,
    /// Files of `templates/`.
    pub templates: Vec<File>,
    /// All other files.
    pub files: Vec<File>,
    /// Charts of `charts/`.
    pub dependencies: Vec<Arc<Chart>>,
    /// What Helm would warn of while loading.
    pub warnings: Vec<String>,
    /// The templates parsed for the last rendering, by their full names: with the same dependencies
    /// switched on, the next one need not parse again.
    pub(crate) parsed: Mutex<Option<(Vec<String>, Arc<Templates>)>>,
}

fn without_bom(data: Vec<u8>) -> Arc<[u8]> {
    match data.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => rest.into(),
        None => data.into(),
    }
}

impl Chart {
    /// Loads a chart from the files of a folder, paths relative to it. `.helmignore` applies.
    ///
    /// # Errors
    /// What Helm refuses.
    pub fn from_folder(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Chart, Error> {
        Chart::from_folder_within(files, MAX_FILE)
    }

    /// As [`Chart::from_folder`], with another bound on single files, in bytes.
    ///
    /// # Errors
    /// What Helm refuses.
    pub fn from_folder_within(
        files: impl IntoIterator<Item = (String, Vec<u8>)>,
        max_file: usize,
    ) -> Result<Chart, Error> {
        let mut files: Vec<(String, Vec<u8>)> = files.into_iter().collect();
        let rules = files.iter().find(|(path, _)| path == ".helmignore");
        let rules = match rules {
            Some((_, text)) => IgnoreRules::parse(text)?,
            None => IgnoreRules::default(),
        };
        files.retain(|(path, _)| !rules.leaves_out(path));
        if !files.iter().any(|(path, _)| path == "Chart.yaml") {
            return Err(Error::Chart("Chart.yaml file is missing".into()));
        }
        for (path, data) in &files {
            if data.len() > max_file {
                let name = borax_gotmpl::quote(path.rsplit('/').next().unwrap_or(path).as_bytes());
                return Err(Error::Chart(format!(
                    "chart file {name} is larger than the maximum file size {max_file}"
                )));
            }
        }
        // In the order of a walk through the folder.
        files.sort_by(|a, b| a.0.split('/').cmp(b.0.split('/')));
        let files =
            files.into_iter().map(|(path, data)| File { path, data: without_bom(data) }).collect();
        Chart::from_files(files, 0)
    }

    /// Loads a chart from a gzipped tar archive. `.helmignore` does not apply.
    ///
    /// # Errors
    /// What Helm refuses; an archive that is too large or leaves its folder.
    pub fn from_archive(data: &[u8]) -> Result<Chart, Error> {
        Chart::from_archive_at(data, 0)
    }

    /// Loads a chart from the files of an unpacked archive, by their whole paths in it. `.helmignore` does not apply.
    ///
    /// # Errors
    /// What Helm refuses.
    pub fn from_unpacked(
        files: impl IntoIterator<Item = (String, Arc<[u8]>)>,
    ) -> Result<Chart, Error> {
        let mut inside = Vec::new();
        for (full, data) in files {
            let path = archive::safe_path(&full)?;
            if data.len() > MAX_FILE {
                return Err(archive::too_large_file(&full));
            }
            inside.push(File { path, data: without_bom(data.to_vec()) });
        }
        if inside.is_empty() {
            return Err(Error::Archive("no files in chart archive".into()));
        }
        if !inside.iter().any(|f| f.path == "Chart.yaml") {
            return Err(Error::Chart("unable to detect chart version, no Chart.yaml found".into()));
        }
        Chart::from_files(inside, 0)
    }

    fn from_archive_at(data: &[u8], depth: usize) -> Result<Chart, Error> {
        let files = archive::unpack(data)?
            .into_iter()
            .map(|(path, data)| File { path, data: without_bom(data) })
            .collect::<Vec<_>>();
        if !files.iter().any(|f| f.path == "Chart.yaml") {
            return Err(Error::Chart("unable to detect chart version, no Chart.yaml found".into()));
        }
        Chart::from_files(files, depth)
    }

    fn from_files(files: Vec<File>, depth: usize) -> Result<Chart, Error> {
        if depth > MAX_NESTING {
            return Err(Error::Chart(format!("charts are nested deeper than {MAX_NESTING}")));
        }
        let mut chart = Chart {
            metadata: Metadata::default(),
            lock: None,
            values: Map::new(),
            values_text: None,
            schema: None,
            templates: Vec::new(),
            files: Vec::new(),
            dependencies: Vec::new(),
            warnings: Vec::new(),
            parsed: Mutex::new(None),
        };
        let mut found = false;
        if let Some(file) = files.iter().find(|f| f.path == "Chart.yaml") {
            found = true;
            metadata::read(&mut chart.metadata, &file.data)
                .map_err(|e| Error::Chart(format!("cannot load Chart.yaml: {e}")))?;
            if chart.metadata.api_version.is_empty() {
                chart.metadata.api_version = "v1".into();
            }
            if depth == 0 && !matches!(chart.metadata.api_version.as_str(), "v1" | "v2") {
                return Err(Error::Chart("unsupported chart version".into()));
            }
        }
        let mut charts: BTreeMap<String, Vec<File>> = BTreeMap::new();
        for file in files {
            chart.place(file, &mut found, &mut charts)?;
        }
        if !found {
            return Err(Error::Chart("Chart.yaml file is missing".into()));
        }
        chart.metadata.validate()?;
        for (name, files) in charts {
            chart.subchart(&name, files, depth)?;
        }
        Ok(chart)
    }

    fn place(
        &mut self,
        file: File,
        found: &mut bool,
        charts: &mut BTreeMap<String, Vec<File>>,
    ) -> Result<(), Error> {
        let old_style = |chart: &mut Chart, file: File, warning: &str| {
            if chart.metadata.api_version == "v1" {
                chart.files.push(file);
            } else {
                chart.warnings.push(warning.into());
            }
        };
        match file.path.as_str() {
            "Chart.yaml" => {}
            "Chart.lock" => {
                self.lock = Some(
                    Lock::read(&file.data)
                        .map_err(|e| Error::Chart(format!("cannot load Chart.lock: {e}")))?,
                );
            }
            "values.yaml" => {
                self.values = crate::values::load(&file.data)
                    .map_err(|e| Error::Chart(format!("cannot load values.yaml: {e}")))?;
                self.values_text = Some(file.data);
            }
            "values.schema.json" => self.schema = Some(file.data),
            "requirements.yaml" => {
                metadata::read(&mut self.metadata, &file.data)
                    .map_err(|e| Error::Chart(format!("cannot load requirements.yaml: {e}")))?;
                *found = true;
                old_style(
                    self,
                    file,
                    "Dependencies are handled in Chart.yaml since apiVersion \"v2\". We recommend migrating dependencies to Chart.yaml.",
                );
            }
            "requirements.lock" => {
                self.lock =
                    Some(Lock::read(&file.data).map_err(|e| {
                        Error::Chart(format!("cannot load requirements.lock: {e}"))
                    })?);
                old_style(
                    self,
                    file,
                    "Dependency locking is handled in Chart.lock since apiVersion \"v2\". We recommend migrating to Chart.lock.",
                );
            }
            path if path.starts_with("templates/") => self.templates.push(file),
            path if path.starts_with("charts/") && !path.ends_with(".prov") => {
                let inner = path["charts/".len()..].to_owned();
                let name = inner.split('/').next().unwrap_or("").to_owned();
                charts.entry(name).or_default().push(File { path: inner, data: file.data });
            }
            _ => self.files.push(file),
        }
        Ok(())
    }

    fn subchart(&mut self, name: &str, files: Vec<File>, depth: usize) -> Result<(), Error> {
        if name.starts_with(['_', '.']) {
            return Ok(());
        }
        let wrap = |e: Error| {
            let own = &self.metadata.name;
            Error::Chart(format!("error unpacking subchart {name} in {own}: {e}"))
        };
        let loaded = if name.ends_with(".tgz") {
            match files.as_slice() {
                [file] if file.path == name => Chart::from_archive_at(&file.data, depth + 1),
                _ => {
                    let got = files.first().map_or("", |f| &f.path);
                    let own = &self.metadata.name;
                    return Err(Error::Chart(format!(
                        "error unpacking subchart tar in {own}: expected {name}, got {got}"
                    )));
                }
            }
        } else {
            let inner = files
                .into_iter()
                .filter_map(|f| {
                    let (_, rest) = f.path.split_once('/')?;
                    Some(File { path: rest.to_owned(), data: f.data })
                })
                .collect();
            Chart::from_files(inner, depth + 1)
        };
        self.dependencies.push(Arc::new(loaded.map_err(wrap)?));
        Ok(())
    }

    /// Names of dependencies in Chart.yaml that are missing in `charts/`.
    pub fn missing_dependencies(&self) -> Vec<&str> {
        let there = |name: &str| self.dependencies.iter().any(|d| d.metadata.name == name);
        self.metadata.dependencies.iter().map(|d| d.name.as_str()).filter(|n| !there(n)).collect()
    }
}
