//! Helm's uses of YAML, on the YAML crate: everything goes through JSON, numbers become float64.

use borax_gotmpl::{FuncError, Room, Value};
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
/// What the encoder refuses, and what there is no room for.
pub(crate) fn write(v: &Value, room: &mut Room) -> Result<String, FuncError> {
    let text = borax_yaml::to_string(&to_json(v, room, 0)?);
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}

/// Writes a value as `toYamlPretty`: go-yaml v3, two columns, nothing folded.
///
/// # Errors
/// As [`write`].
pub(crate) fn write_pretty(v: &Value, room: &mut Room) -> Result<String, FuncError> {
    let text = borax_yaml::write_value(&to_json(v, room, 0)?, borax_yaml::Format::WIDE);
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}

/// Splits a text into YAML documents as Kubernetes' YAMLReader: at lines that start with `---`, behind
/// which only a comment may stand. Source: apimachinery `pkg/util/yaml/decoder.go`.
pub(crate) fn documents(text: &[u8]) -> Documents<'_> {
    Documents { rest: text }
}

/// See [`documents`].
pub(crate) struct Documents<'t> {
    rest: &'t [u8],
}

impl Iterator for Documents<'_> {
    type Item = Result<Vec<u8>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut document: Vec<u8> = Vec::new();
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|&b| b == b'\n');
            let (line, rest) = self.rest.split_at(end.map_or(self.rest.len(), |end| end + 1));
            self.rest = rest;
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(after) = line.strip_prefix(b"---") {
                let after = String::from_utf8_lossy(after);
                let after = after.trim_matches(borax_gotmpl::is_space);
                if !after.is_empty() && !after.starts_with('#') {
                    return Some(Err(format!("invalid Yaml document separator: {after}")));
                }
                if !document.is_empty() {
                    return Some(Ok(document));
                }
            }
            document.extend_from_slice(line);
            document.push(b'\n');
        }
        (!document.is_empty()).then_some(Ok(document))
    }
}
