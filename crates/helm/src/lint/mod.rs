//! `helm lint`: what is wrong with a chart, as messages with a severity and the file they are about.
//! Source: Helm `pkg/chart/v2/lint`.
//!
//! ```text
//! folder ─► Chart.yaml (chartfile) ─► values.yaml + schema ─► templates rendered, documents checked
//!             ─► dependencies listed and there ─► crds/ hold CRDs                    (all: messages)
//! ```

mod address;
mod chartfile;
mod deprecated;
mod document;
mod names;
mod templates;

use std::sync::Arc;

use borax_gotmpl::Notice;
use serde_json::{Map, Value as Json};

use self::document::Documents;
use crate::capabilities::KubeVersion;
use crate::chart::Chart;
use crate::env::Env;
use crate::metadata::Metadata;
use crate::{schema, values, yaml};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A recommendation.
    Info,
    /// Against convention; likely to work.
    Warning,
    /// Likely not to work.
    Error,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How bad.
    pub severity: Severity,
    /// The file or folder it is about, below the chart.
    pub path: String,
    /// What is wrong.
    pub text: String,
}

impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.severity {
            Severity::Info => "INFO",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
        };
        write!(f, "[{severity}] {}: {}", self.path, self.text)
    }
}

/// A chart's folder as it lies on disk.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// Its path, as messages name it.
    pub path: String,
    /// Files, by path below it.
    pub files: Vec<(String, Vec<u8>)>,
    /// Folders, by path below it.
    pub folders: Vec<String>,
}

impl Folder {
    fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.iter().find(|(name, _)| name == path).map(|(_, data)| data.as_slice())
    }

    fn has_folder(&self, path: &str) -> bool {
        let below = |name: &str| name.strip_prefix(path).is_some_and(|r| r.starts_with('/'));
        self.folders.iter().any(|name| name == path)
            || self.files.iter().any(|(name, _)| below(name))
    }
}

/// How to lint.
#[derive(Clone)]
pub struct LintOptions {
    /// The user's values.
    pub values: Map<String, Json>,
    /// Namespace of the release that templates see.
    pub namespace: String,
    /// The cluster's version; the default without.
    pub kube_version: Option<KubeVersion>,
    /// Values are not checked against schemas.
    pub skip_schema_validation: bool,
    /// Clock and randomness for the templates.
    pub env: Arc<dyn Env>,
}

/// What linting a chart found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The messages Helm prints, in its order.
    pub messages: Vec<Message>,
    /// `required` and `fail` that would have stopped a rendering, with their places.
    pub notices: Vec<Notice>,
}

impl Findings {
    /// Notes a failed rule; says whether it held.
    fn rule(&mut self, severity: Severity, path: &str, result: Result<(), String>) -> bool {
        let Err(text) = result else { return true };
        self.messages.push(Message { severity, path: path.to_owned(), text });
        false
    }
}

/// Lints a chart.
pub fn lint(folder: &Folder, options: &LintOptions) -> Findings {
    let mut found = Findings::default();
    let loaded = Chart::from_folder(folder.files.iter().cloned());
    let loaded = loaded.map(Arc::new).map_err(|e| e.to_string());
    chartfile::check(folder, &mut found);
    check_values(folder, options, &mut found);
    templates::check(folder, &loaded, options, &mut found);
    check_dependencies(folder, &loaded, &mut found);
    check_crds(folder, &loaded, &mut found);
    found
}

fn check_values(folder: &Folder, options: &LintOptions, found: &mut Findings) {
    const FILE: &str = "values.yaml";
    let there = folder.file(FILE);
    let exists = there.is_some() || folder.has_folder(FILE);
    let missing = if exists { Ok(()) } else { Err("file does not exist".to_owned()) };
    if !found.rule(Severity::Info, FILE, missing) {
        return;
    }
    let result = (|| {
        let text = there.ok_or_else(|| {
            format!("unable to parse YAML: read {}/{FILE}: is a directory", folder.path)
        })?;
        let defaults = yaml::read_map(text).map_err(|e| format!("unable to parse YAML: {e}"))?;
        let schema = folder.file("values.schema.json").filter(|s| !s.is_empty());
        let Some(schema) = schema.filter(|_| !options.skip_schema_validation) else {
            return Ok(());
        };
        let values = values::over(&options.values, &defaults).map_err(|e| e.to_string())?;
        schema::single(schema, &values)
    })();
    found.rule(Severity::Error, FILE, result);
}

type Loaded = Result<Arc<Chart>, String>;

fn check_dependencies(folder: &Folder, loaded: &Loaded, found: &mut Findings) {
    let chart = match loaded {
        Ok(chart) => chart,
        Err(e) => {
            found.rule(Severity::Error, "", Err(format!("unable to load chart\n\t{e}")));
            return;
        }
    };
    let named: Vec<&str> = chart.metadata.dependencies.iter().map(|d| d.name.as_str()).collect();
    let there: Vec<&str> = chart.dependencies.iter().map(|c| c.metadata.name.as_str()).collect();
    let lacking = |wanted: &[&str], have: &[&str], text: &str| {
        let missing: Vec<&str> = wanted.iter().filter(|n| !have.contains(n)).copied().collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(format!("{text}: {}", missing.join(","))),
        }
    };
    let path = folder.path.as_str();
    let unlisted = lacking(&there, &named, "chart metadata is missing these dependencies");
    found.rule(Severity::Error, path, unlisted);
    found.rule(Severity::Error, path, unique(&chart.metadata));
    let absent = lacking(&named, &there, "chart directory is missing these dependencies");
    found.rule(Severity::Warning, path, absent);
}

fn unique(metadata: &Metadata) -> Result<(), String> {
    let mut seen = Vec::new();
    let mut twice = Vec::new();
    for d in &metadata.dependencies {
        let key = if d.alias.is_empty() { d.name.as_str() } else { d.alias.as_str() };
        if seen.contains(&key) {
            twice.push(key);
        }
        seen.push(key);
    }
    match twice.is_empty() {
        true => Ok(()),
        false => Err(format!("multiple dependencies with name or alias: {}", twice.join(","))),
    }
}

fn check_crds(folder: &Folder, loaded: &Loaded, found: &mut Findings) {
    const FOLDER: &str = "crds/";
    if !folder.has_folder("crds") {
        if folder.file("crds").is_some() {
            found.rule(Severity::Error, FOLDER, Err("not a directory".to_owned()));
        }
        return;
    }
    let chart = match loaded {
        Ok(chart) => chart,
        Err(e) => {
            found.rule(Severity::Error, FOLDER, Err(e.clone()));
            return;
        }
    };
    let mut crds = Vec::new();
    crate::render::collect_crds(&crate::tree::Tree::new(chart), None, &mut crds);
    for crd in crds {
        let name = crd.file.as_str();
        for head in Documents::of(&crd.data) {
            let head = match head {
                Ok(head) => head,
                Err(e) => {
                    found.rule(Severity::Error, name, Err(format!("unable to parse YAML: {e}")));
                    return;
                }
            };
            let Some(head) = head else { continue };
            let api = head.api_version.starts_with("apiextensions.k8s.io");
            let api = if api { Ok(()) } else { Err("apiVersion is not in 'apiextensions.k8s.io'") };
            found.rule(Severity::Error, name, api.map_err(str::to_owned));
            let kind = head.kind == "CustomResourceDefinition";
            let kind =
                if kind { Ok(()) } else { Err("object kind is not 'CustomResourceDefinition'") };
            found.rule(Severity::Error, name, kind.map_err(str::to_owned));
        }
    }
}
