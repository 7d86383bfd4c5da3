//! The chart inside a release record: what Helm keeps of it, which is not its subcharts. Source: Helm
//! `pkg/chart/v2/chart.go`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use borax_helm::{Chart, File, Lock, Metadata};
use serde_json::{Map, Value};

use crate::json::{Fields, list};
use crate::metadata;

/// Go's zero time, which `schemamodtime` is written as.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// A chart as a record holds it: its JSON, kept as it is so that a rollback writes back every byte, and its metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredChart {
    /// The JSON; empty when the record has no chart.
    pub json: Arc<str>,
    /// Chart.yaml.
    pub metadata: Arc<Metadata>,
}

impl Default for StoredChart {
    fn default() -> Self {
        Self { json: "".into(), metadata: Arc::default() }
    }
}

impl StoredChart {
    /// Of a chart that was rendered: `metadata` and `values` are what rendering made of the chart's own (dependencies
    /// switched on and off, values imported).
    pub fn of(chart: &Chart, metadata: &Metadata, values: &Map<String, Value>) -> Self {
        let mut out = Fields::new();
        out.raw("metadata", &metadata::write(metadata));
        out.raw("lock", &chart.lock.as_ref().map_or_else(|| "null".to_owned(), lock));
        out.raw("templates", &files(&chart.templates));
        out.raw("values", &borax_yaml::json_string(&Value::Object(values.clone())));
        let schema = chart.schema.as_ref().map(|schema| data(schema));
        out.raw("schema", schema.as_deref().unwrap_or("null"));
        out.text("schemamodtime", ZERO_TIME);
        out.raw("files", &files(&chart.files));
        Self { json: out.end().into(), metadata: Arc::new(metadata.clone()) }
    }

    /// Of a record's JSON.
    pub(crate) fn read(json: &str) -> Self {
        /// Everything else is not looked at, however large.
        #[derive(serde::Deserialize)]
        struct Head {
            #[serde(default)]
            metadata: Value,
        }
        let metadata = serde_json::from_str::<Head>(json).map(|head| head.metadata);
        Self {
            json: json.into(),
            metadata: Arc::new(metadata.map(|json| metadata::read(&json)).unwrap_or_default()),
        }
    }
}

fn data(bytes: &[u8]) -> String {
    format!("\"{}\"", STANDARD.encode(bytes))
}

fn files(files: &[File]) -> String {
    let each = files.iter().map(|file| {
        let mut out = Fields::new();
        out.text("name", &file.path);
        out.raw("data", &data(&file.data));
        out.end()
    });
    let all: Vec<String> = each.collect();
    // A slice that nothing was appended to.
    if all.is_empty() { "null".to_owned() } else { list(&all) }
}

fn lock(lock: &Lock) -> String {
    let mut out = Fields::new();
    let generated = lock.generated.as_str();
    out.text("generated", if generated.is_empty() { ZERO_TIME } else { generated });
    out.text("digest", &lock.digest);
    let dependencies: Vec<String> = lock.dependencies.iter().map(metadata::dependency).collect();
    let none = dependencies.is_empty();
    out.raw("dependencies", &if none { "null".to_owned() } else { list(&dependencies) });
    out.end()
}
