//! Helm's uses of YAML, on the YAML crate: everything goes through JSON, numbers become float64.

use borax_gotmpl::Value;
use serde_json::{Map, Value as Json};

use crate::funcs::to_json;

/// Reads the first document of a text as `sigs.k8s.io/yaml.Unmarshal` into `interface{}`.
///
/// # Errors
/// The library's words.
pub(crate) fn read(text: &[u8]) -> Result<Json, String> {
    match borax_yaml::to_json(text) {
        Ok(json) => Ok(as_floats(json)),
        Err(e) => Err(format!("error converting YAML to JSON: {e}")),
    }
}

/// As [`read`], into a map; an empty document is an empty map.
///
/// # Errors
/// The library's words.
pub(crate) fn read_map(text: &[u8]) -> Result<Map<String, Json>, String> {
    match read(text)? {
        Json::Null => Ok(Map::new()),
        Json::Object(entries) => Ok(entries),
        other => Err(format!(
            "error unmarshaling JSON: while decoding JSON: {}",
            crate::funcs::json_mismatch(&other, "map[string]interface {}")
        )),
    }
}

/// Go's decoder gives every number as float64.
pub(crate) fn as_floats(json: Json) -> Json {
    match json {
        Json::Number(n) => match n.as_f64().and_then(serde_json::Number::from_f64) {
            Some(f) => Json::Number(f),
            None => Json::Number(n),
        },
        Json::Array(items) => Json::Array(items.into_iter().map(as_floats).collect()),
        Json::Object(entries) => {
            Json::Object(entries.into_iter().map(|(k, v)| (k, as_floats(v))).collect())
        }
        other => other,
    }
}

/// Writes a value as `sigs.k8s.io/yaml.Marshal` does, without the last newline.
///
/// # Errors
/// What the encoder refuses.
pub(crate) fn write(v: &Value) -> Result<String, String> {
    let text = borax_yaml::to_string(&to_json(v, 0)?);
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}

/// Writes a value as `toYamlPretty`: go-yaml v3, two columns, nothing folded.
///
/// # Errors
/// What the encoder refuses.
pub(crate) fn write_pretty(v: &Value) -> Result<String, String> {
    let text = borax_yaml::write_value(&to_json(v, 0)?, borax_yaml::Format::WIDE);
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}

/// Splits a text into YAML documents as Kubernetes' YAMLReader: at lines that start with `---`.
pub(crate) fn documents(text: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut current: Vec<u8> = Vec::new();
    for line in text.split_inclusive(|&b| b == b'\n') {
        let rest = line.strip_prefix(b"---");
        let separates = rest.is_some_and(|r| r.iter().all(|b| b.is_ascii_whitespace()));
        if separates {
            if !current.is_empty() {
                out.push(std::mem::take(&mut current));
            }
            continue;
        }
        current.extend_from_slice(line);
    }
    if !current.is_empty() {
        out.push(current);
    }
    out
}
