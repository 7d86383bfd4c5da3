//! A repository's index: which versions of which charts there are, and which of them is wanted.
//!
//! ```text
//! index.yaml on disk ─► one entry at a time ─► what choosing needs (Index, in memory, shared by all charts)
//!                                          └─► JSON as Flux stores it ─► the artifact
//! ```
//!
//! No more than one entry is held parsed; what stays of a version is its text, its first address and its time. So an
//! index of 100 MB is some MB in memory.
//!
//! Source: source-controller `internal/helm/repository/chart_repository.go` (`IndexFromBytes`, `getChartVersion`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use borax_golang::semver::{Constraint, ConstraintError, Version};
use serde_json::{Map, Value};

use super::entry::{Entry, Moment, field, pretty, text, texts};
use super::reading;

/// Why an index can't be used. Helm's words where it has some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// There is nothing in it.
    #[error("empty index.yaml file")]
    Empty,
    /// It does not say which version of the format it has.
    #[error("no API version specified")]
    NoApiVersion,
    /// It is not YAML or JSON of an index's shape.
    #[error("{0}")]
    Invalid(String),
    /// The disk failed.
    #[error("can't read or write the index: {0}")]
    Disk(String),
}

impl From<io::Error> for IndexError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

/// Why no version is chosen. Helm's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChooseError {
    /// The index has no such chart.
    #[error("no chart name found")]
    NoChart,
    /// The index has the chart without any version.
    #[error("no chart version found")]
    NoVersion,
    /// The range is none.
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
    /// No version is in the range.
    #[error("no '{name}' chart with version matching '{version}' found")]
    NoMatch {
        /// The chart.
        name: String,
        /// The range.
        version: String,
    },
}

/// The versions of the charts of a repository, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    charts: BTreeMap<Box<str>, Box<[ChartVersion]>>,
}

/// A version of a chart, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartVersion {
    /// The version as the index has it.
    pub version: Box<str>,
    /// The first of its addresses, absolute or below the repository's.
    pub url: Option<Box<str>>,
    created: i128,
}

impl Index {
    /// Reads an index, YAML or JSON, from its start. `stored` takes it as Flux stores it.
    ///
    /// # Errors
    /// It is no index, or the disk failed.
    pub fn read(
        index: &mut File,
        stored: Option<&mut File>,
        spool: Option<File>,
    ) -> Result<Self, IndexError> {
        let size = index.seek(SeekFrom::End(0))?;
        index.rewind()?;
        if size == 0 {
            return Err(IndexError::Empty);
        }
        let mut builder = Builder { spool: spool.map(Spool::new), ..Builder::default() };
        reading::read(index, size, &mut builder)?;
        builder.finish(stored)
    }

    /// The newest version of the chart `name` in the range `version`; an exact version goes first. Nothing and `*` are
    /// the newest release.
    ///
    /// # Errors
    /// See [`ChooseError`].
    pub fn choose(&self, name: &str, version: &str) -> Result<&ChartVersion, ChooseError> {
        let versions = self.charts.get(name).ok_or(ChooseError::NoChart)?;
        if versions.is_empty() {
            return Err(ChooseError::NoVersion);
        }
        if let Some(exact) = versions.iter().find(|candidate| *candidate.version == *version) {
            return Ok(exact);
        }
        let range = if version.is_empty() { "*" } else { version };
        let constraint = Constraint::parse(range)?;
        let parsed = versions.iter().filter_map(|candidate| {
            let parsed = Version::parse_full(&candidate.version).ok()?;
            constraint.matches(&parsed).then_some((parsed, candidate))
        });
        // Of versions that differ in build metadata only the last made wins.
        let newest = parsed.max_by(|(a, one), (b, other)| {
            a.compare(b).then_with(|| one.created.cmp(&other.created))
        });
        newest.map(|(_, candidate)| candidate).ok_or_else(|| ChooseError::NoMatch {
            name: name.to_owned(),
            version: version.to_owned(),
        })
    }

    /// How many charts, and how many versions of them, there are.
    pub fn size(&self) -> (usize, usize) {
        (self.charts.len(), self.charts.values().map(|versions| versions.len()).sum())
    }
}

/// A version whose JSON waits in the spool.
struct Waiting {
    parsed: Version,
    version: ChartVersion,
    at: u64,
    len: usize,
}

/// The entries' JSON in the order they came in; they are written sorted.
struct Spool {
    file: BufWriter<File>,
    len: u64,
}

impl Spool {
    fn new(file: File) -> Self {
        Self { file: BufWriter::with_capacity(256 << 10, file), len: 0 }
    }
}

/// Takes an index in, piece by piece.
#[derive(Default)]
pub(super) struct Builder {
    charts: BTreeMap<String, Vec<Waiting>>,
    head: Map<String, Value>,
    spool: Option<Spool>,
}

impl Builder {
    /// A chart; false if it was there already.
    pub(super) fn chart(&mut self, name: &str) -> bool {
        if self.charts.contains_key(name) {
            return false;
        }
        self.charts.insert(name.to_owned(), Vec::new());
        true
    }

    /// An entry of the chart `name`.
    pub(super) fn entry(&mut self, name: &str, value: &Value, strict: bool) -> Result<(), String> {
        let Some(entry) = Entry::read(value, strict)? else { return Ok(()) };
        let Ok(parsed) = Version::parse(&entry.metadata.version) else { return Ok(()) };
        let (mut at, mut len) = (0, 0);
        if let Some(spool) = &mut self.spool {
            let json = entry.write("      ");
            (at, len) = (spool.len, json.len());
            spool.file.write_all(json.as_bytes()).map_err(|error| error.to_string())?;
            spool.len += len as u64;
        }
        let url = entry.urls.and_then(|urls| urls.into_iter().next());
        let version = ChartVersion {
            version: entry.metadata.version.into(),
            url: url.map(String::into_boxed_str),
            created: entry.created.nanoseconds,
        };
        self.charts.entry(name.to_owned()).or_default().push(Waiting { parsed, version, at, len });
        Ok(())
    }

    /// A field beside the entries.
    pub(super) fn field(&mut self, name: String, value: Value) {
        self.head.insert(name, value);
    }

    /// Forgets all that came.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.charts.clear();
        self.head.clear();
        if let Some(spool) = &mut self.spool {
            spool.file.seek(SeekFrom::Start(0))?;
            spool.len = 0;
        }
        Ok(())
    }

    fn finish(mut self, stored: Option<&mut File>) -> Result<Index, IndexError> {
        if text(&self.head, "apiVersion").is_empty() {
            return Err(IndexError::NoApiVersion);
        }
        for versions in self.charts.values_mut() {
            versions.sort_by(|a, b| b.parsed.compare(&a.parsed));
        }
        if let Some(stored) = stored {
            self.write(stored)?;
        }
        let charts = self.charts.into_iter().map(|(name, versions)| {
            let versions = versions.into_iter().map(|waiting| waiting.version);
            (name.into_boxed_str(), versions.collect())
        });
        Ok(Index { charts: charts.collect() })
    }

    /// Writes the index as Go writes its struct.
    fn write(&mut self, stored: &mut File) -> Result<(), IndexError> {
        let invalid = IndexError::Invalid;
        let head = std::mem::take(&mut self.head);
        let mut out = BufWriter::with_capacity(256 << 10, stored);
        out.write_all(b"{\n")?;
        if let Some(info) = field(&head, "serverInfo").filter(|info| !is_empty(info)) {
            writeln!(out, "  \"serverInfo\": {},", pretty(info, "  "))?;
        }
        writeln!(out, "  \"apiVersion\": {},", pretty(&text(&head, "apiVersion"), "  "))?;
        let generated = Moment::parse(field(&head, "generated")).map_err(invalid)?;
        writeln!(out, "  \"generated\": {},", pretty(&generated.text, "  "))?;
        self.write_entries(&mut out, field(&head, "entries").is_some_and(Value::is_object))?;
        if let Some(keys) = texts(&head, "publicKeys").map_err(invalid)?.filter(|k| !k.is_empty()) {
            write!(out, ",\n  \"publicKeys\": {}", pretty(&keys, "  "))?;
        }
        if let Some(annotations) = field(&head, "annotations").filter(|a| !is_empty(a)) {
            write!(out, ",\n  \"annotations\": {}", pretty(annotations, "  "))?;
        }
        out.write_all(b"\n}")?;
        out.flush()?;
        Ok(())
    }

    fn write_entries(&mut self, out: &mut impl Write, are_there: bool) -> Result<(), IndexError> {
        if self.charts.is_empty() {
            write!(out, "  \"entries\": {}", if are_there { "{}" } else { "null" })?;
            return Ok(());
        }
        let mut spool = match self.spool.take() {
            Some(spool) => {
                let file = spool.file.into_inner().map_err(io::IntoInnerError::into_error)?;
                BufReader::with_capacity(256 << 10, file)
            }
            None => return Err(IndexError::Disk("there is no room for the entries".to_owned())),
        };
        let mut buffer = Vec::new();
        out.write_all(b"  \"entries\": {\n")?;
        for (nth, (name, versions)) in self.charts.iter().enumerate() {
            if nth > 0 {
                out.write_all(b",\n")?;
            }
            write!(out, "    {}: [", pretty(name, "    "))?;
            for (nth, waiting) in versions.iter().enumerate() {
                out.write_all(if nth > 0 { b",\n" } else { b"\n" })?;
                buffer.resize(waiting.len, 0);
                spool.seek(SeekFrom::Start(waiting.at))?;
                spool.read_exact(&mut buffer)?;
                out.write_all(&buffer)?;
            }
            out.write_all(if versions.is_empty() { b"]" } else { b"\n    ]" })?;
        }
        out.write_all(b"\n  }")?;
        Ok(())
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(entries) => entries.is_empty(),
        Value::Null => true,
        _ => false,
    }
}
