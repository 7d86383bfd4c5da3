//! What becomes of a chart on its way to the artifact: passed on as it is, or packaged with another version, other
//! values, and the dependencies it lacked.
//!
//! Source: source-controller `internal/helm/chart` (`builder.go`, `builder_remote.go`, `errors.go`). Charts in a source's
//! files are [`super::folder`]'s.

use std::fmt;

use borax_golang::semver::Version;
use borax_helm::{Chart, Metadata, merge_values, package};
use borax_stdx::files::join;
use serde_json::{Map, Value};

/// What is to become of a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOptions {
    /// Files whose values take the place of the chart's own; later ones win.
    pub values_files: Vec<String>,
    /// Whether files that are missing are left out.
    pub ignore_missing: bool,
    /// Build metadata for the version; empty for none.
    pub version_metadata: String,
}

impl BuildOptions {
    /// The values files, none where they are the chart's own.
    pub fn values_files(&self) -> &[String] {
        match &*self.values_files {
            [one] if join("/", one) == "/values.yaml" => &[],
            all => all,
        }
    }

    /// Whether the chart's archive is made anew.
    pub fn packages(&self) -> bool {
        !self.values_files().is_empty() || !self.version_metadata.is_empty()
    }
}

/// A chart as it becomes the artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The chart's name.
    pub name: String,
    /// Its version, with metadata.
    pub version: String,
    /// The archive.
    pub archive: Vec<u8>,
    /// The values files that are in it.
    pub values_files: Vec<String>,
    /// Whether the archive was made here.
    pub packaged: bool,
    /// How many dependencies were added.
    pub dependencies: usize,
}

impl Built {
    /// What was done, in Flux's words.
    pub fn summary(&self) -> String {
        summary(
            if self.packaged { "packaged" } else { "pulled" },
            &self.name,
            &self.version,
            &self.values_files,
        )
    }
}

/// What was done to a chart, in Flux's words.
pub fn summary(action: &str, name: &str, version: &str, values_files: &[String]) -> String {
    let mut text = format!("{action} '{name}' chart with version '{version}'");
    if !values_files.is_empty() {
        text += &format!(" and merged values files [{}]", values_files.join(" "));
    }
    text
}

/// Why there is no chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// What kind of failure it is.
    pub reason: BuildReason,
    /// What happened.
    pub message: String,
    /// Name and version, where that much was found out.
    pub chart: Option<(String, String)>,
}

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildReason {
    /// The name, path or range leads to no chart.
    Reference,
    /// The chart could not be fetched.
    Pull,
    /// The version takes no metadata.
    MetadataPatch,
    /// The values files can't be merged.
    ValuesFiles,
    /// A dependency is not to be had.
    Dependency,
    /// The chart can't be loaded or packaged.
    Package,
}

impl BuildReason {
    /// The condition's reason.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Reference => "InvalidChartReference",
            Self::Pull => "ChartPullError",
            Self::MetadataPatch => "MetadataPatchError",
            Self::ValuesFiles => "ValuesFilesError",
            Self::Dependency => "DependencyBuildError",
            Self::Package => "ChartPackageError",
        }
    }

    /// The words before the message.
    fn words(self) -> &'static str {
        match self {
            Self::Reference => "invalid chart reference",
            Self::Pull => "chart pull error",
            Self::MetadataPatch => "chart metadata patch error",
            Self::ValuesFiles => "values files merge error",
            Self::Dependency => "dependency build error",
            Self::Package => "chart package error",
        }
    }

    /// Whether only another spec or source helps.
    pub fn is_persistent(self) -> bool {
        matches!(self, Self::Reference | Self::MetadataPatch | Self::ValuesFiles)
    }

    /// Whether the chart was fetched and could not be built.
    pub fn is_build(self) -> bool {
        !matches!(self, Self::Reference | Self::Pull)
    }
}

impl BuildError {
    /// A failure of this kind.
    pub fn new(reason: BuildReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), chart: None }
    }

    pub(super) fn of(mut self, name: &str, version: &str) -> Self {
        self.chart = Some((name.to_owned(), version.to_owned()));
        self
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.words(), self.message)
    }
}

impl std::error::Error for BuildError {}

/// The version with the options' metadata.
///
/// # Errors
/// It is no version, or the metadata is none.
pub fn stamp(version: &str, options: &BuildOptions) -> Result<String, BuildError> {
    if options.version_metadata.is_empty() {
        return Ok(version.to_owned());
    }
    let fail = |message: String| BuildError::new(BuildReason::MetadataPatch, message);
    let parsed = Version::parse(version)
        .map_err(|e| fail(format!("failed to parse version from chart metadata as SemVer: {e}")))?;
    let stamped = parsed
        .with_metadata(&options.version_metadata)
        .map_err(|e| fail(format!("failed to set SemVer metadata on chart version: {e}")))?;
    Ok(stamped.to_string())
}

/// Checks what a repository is asked for.
///
/// # Errors
/// The name is no chart's.
pub fn check_name(name: &str) -> Result<(), BuildError> {
    let fail = |message: String| Err(BuildError::new(BuildReason::Reference, message));
    if name.is_empty() {
        return fail("no name set for remote chart reference".to_owned());
    }
    // Parts of lower case letters, numbers and dashes, each with at most one slash and one period behind it.
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let bytes = name.as_bytes();
    let follows = |pair: &[u8]| match pair {
        [b'/', b'.'] => true,
        [before, b'/' | b'.'] => is_plain(*before),
        _ => true,
    };
    let is_name = is_plain(bytes[0])
        && bytes.iter().all(|&b| is_plain(b) || matches!(b, b'/' | b'.'))
        && bytes.windows(2).all(follows);
    if !is_name {
        return fail(format!(
            "invalid chart name '{name}': a valid name must be lower case letters and numbers and MAY be separated with dashes (-), slashes (/) or periods (.)"
        ));
    }
    Ok(())
}

/// Makes the artifact of a chart that a repository gave for `name` and `version` (which is stamped already).
///
/// # Errors
/// The archive is no chart, or the values can't be merged.
pub fn remote(
    name: &str,
    version: &str,
    archive: Vec<u8>,
    options: &BuildOptions,
) -> Result<Built, BuildError> {
    let mut built = Built {
        name: name.to_owned(),
        version: version.to_owned(),
        archive: Vec::new(),
        values_files: Vec::new(),
        packaged: false,
        dependencies: 0,
    };
    if !options.packages() {
        let fail = |message: String| BuildError::new(BuildReason::Pull, message).of(name, version);
        let mut metadata = Metadata::from_archive(&archive)
            .map_err(|e| fail(format!("failed to load chart metadata from written chart: {e}")))?;
        metadata
            .validate()
            .map_err(|e| fail(format!("failed to validate metadata of written chart: {e}")))?;
        built.archive = archive;
        return Ok(built);
    }
    let fail = |reason, message: String| BuildError::new(reason, message).of(name, version);
    let mut chart = Chart::from_archive(&archive)
        .map_err(|e| fail(BuildReason::Package, format!("failed to load downloaded chart: {e}")))?;
    chart.metadata.version = version.to_owned();
    let (values, files) = merge_chart_values(&chart, options).map_err(|e| {
        fail(BuildReason::ValuesFiles, format!("failed to merge chart values: {e}"))
    })?;
    let replaced =
        chart.replace_values(values).map_err(|e| fail(BuildReason::ValuesFiles, e.to_string()))?;
    if replaced {
        built.values_files = files;
    }
    built.archive = package(&chart)
        .map_err(|e| fail(BuildReason::Package, format!("failed to package chart: {e}")))?;
    built.packaged = true;
    Ok(built)
}

/// The values of files in the chart, laid over each other, and which files those were.
fn merge_chart_values(
    chart: &Chart,
    options: &BuildOptions,
) -> Result<(Map<String, Value>, Vec<String>), String> {
    let (mut values, mut used) = (Map::new(), Vec::new());
    for name in &options.values_files {
        let clean = join("/", name)[1..].to_owned();
        let text = match &*clean {
            "values.yaml" => chart.values_text.as_ref(),
            _ => chart.files.iter().find(|file| file.path == clean).map(|file| &file.data),
        };
        let Some(text) = text else {
            if options.ignore_missing {
                continue;
            }
            return Err(format!("no values file found at path '{name}'"));
        };
        merge_values(&mut values, text)
            .map_err(|e| format!("unmarshaling values from '{name}' failed: {e}"))?;
        used.push(name.clone());
    }
    Ok((values, used))
}
