//! The samples in `config/samples`: one for each kind, valid by its schema, and kept whole by its type.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use regex::Regex;
use serde_json::Value;

use crate::files::{names, project};
use crate::kinds::{kinds, through_the_type};

fn samples() -> BTreeMap<String, Value> {
    let folder = project("config/samples");
    let read = |name: String| {
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        (name, serde_norway::from_str(&text).unwrap())
    };
    names(&folder).into_iter().map(read).collect()
}

/// What in `value` a structural schema does not allow, one line each; of the keywords that the CRDs use.
fn faults(path: &str, value: &Value, schema: &Value, lines: &mut Vec<String>) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    if !fits {
        lines.push(format!("{path}: not of type {}", schema["type"]));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        lines.push(format!("{path}: {value} is not allowed"));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && !Regex::new(pattern).unwrap().is_match(text)
    {
        lines.push(format!("{path}: {value} does not match {pattern}"));
    }
    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
        faults(&format!("{path}[{place}]"), item, &schema["items"], lines);
    }
    for (key, below) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        match (schema["properties"].get(key), &schema["additionalProperties"]) {
            (Some(schema), _) => faults(&path, below, schema, lines),
            (None, Value::Object(_)) => {
                faults(&path, below, &schema["additionalProperties"], lines)
            }
            _ => lines.push(format!("{path}: unknown")),
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            lines.push(format!("{path}.{name}: missing"));
        }
    }
}

/// The paths of all leaves; what stands there may be spelled otherwise, as `10m` and `10m0s`.
fn paths(path: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| paths(&format!("{path}.{key}"), value, into));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(n, value)| paths(&format!("{path}[{n}]"), value, into));
        }
        _ => {
            into.insert(path.to_owned());
        }
    }
}

#[test]
fn every_kind_has_a_sample_that_its_schema_allows() {
    let samples = samples();
    let kinds = kinds();
    let named: BTreeSet<&str> =
        samples.values().filter_map(|sample| sample["kind"].as_str()).collect();
    let known: BTreeSet<&str> = kinds.iter().map(|kind| kind.kind.as_str()).collect();
    assert_eq!(named, known);
    let mut lines = Vec::new();
    for (name, sample) in &samples {
        let kind = kinds.iter().find(|kind| sample["kind"] == *kind.kind).unwrap();
        assert_eq!(sample["apiVersion"], *kind.api_version, "{name}");
        faults(name, &sample["spec"], &kind.schema["properties"]["spec"], &mut lines);
        assert!(
            sample["metadata"]["name"].is_string() && sample["metadata"]["namespace"].is_string()
        );
    }
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn a_sample_loses_nothing_in_its_type() {
    for (name, sample) in samples() {
        let written = through_the_type(&sample).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
        paths("", &sample, &mut before);
        paths("", &written, &mut after);
        assert_eq!(before, after, "{name}");
    }
}
