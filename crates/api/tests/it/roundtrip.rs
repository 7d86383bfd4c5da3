//! The types' JSON against the schemas: every field is read and written under its name, and what is absent
//! stays absent.

use serde_json::{Map, Value, json};

use crate::kinds::{Kind, kinds, through_the_type};

/// A value that fits a schema; with every field, or only those that must be there.
fn exemplar(name: &str, schema: &Value, whole: bool) -> Value {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return json!({"any": [1, "thing"]});
    }
    match schema["type"].as_str() {
        Some("object") if schema["additionalProperties"].is_object() => {
            json!({"key": exemplar(name, &schema["additionalProperties"], whole)})
        }
        Some("object") => {
            let empty = Map::new();
            let properties = schema["properties"].as_object().unwrap_or(&empty);
            let required: Vec<&str> = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            properties
                .iter()
                .filter(|(name, _)| whole || required.contains(&name.as_str()))
                .map(|(name, schema)| (name.clone(), exemplar(name, schema, whole)))
                .collect()
        }
        Some("array") => json!([exemplar(name, &schema["items"], whole)]),
        Some("string") => text(name, schema),
        Some("integer") => json!(7),
        Some("boolean") => json!(true),
        other => panic!("{name}: no exemplar of type {other:?}"),
    }
}

fn text(name: &str, schema: &Value) -> Value {
    if let Some(values) = schema["enum"].as_array() {
        return values[values.len() - 1].clone();
    }
    if schema["format"] == "date-time" {
        return json!("2026-01-02T03:04:05Z");
    }
    match schema["pattern"].as_str() {
        Some(pattern) if pattern.contains("ms|s|m") => json!("1m30s"),
        _ if name.ends_with("Duration") => json!("1m30s"),
        _ => json!("text"),
    }
}

fn object(Kind { api_version, kind, schema }: &Kind, whole: bool) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}});
    object["spec"] = exemplar("spec", &schema["properties"]["spec"], whole);
    if whole && schema["properties"]["status"].is_object() {
        object["status"] = exemplar("status", &schema["properties"]["status"], whole);
    }
    object
}

#[test]
fn every_field_of_every_kind_is_read_and_written_as_it_is() {
    let kinds = kinds();
    assert_eq!(kinds.len(), 14);
    for kind in &kinds {
        let object = object(kind, true);
        assert_eq!(through_the_type(&object).as_ref(), Ok(&object), "{}", kind.kind);
    }
}

#[test]
fn what_is_absent_is_not_written() {
    for kind in &kinds() {
        let object = object(kind, false);
        assert_eq!(through_the_type(&object).as_ref(), Ok(&object), "{}", kind.kind);
    }
}

#[test]
fn unknown_fields_are_passed_over() {
    for kind in &kinds() {
        let known = object(kind, true);
        let mut more = known.clone();
        more["spec"]["newer"] = json!({"field": 1});
        if more["status"].is_object() {
            more["status"]["newer"] = json!([]);
        }
        assert_eq!(through_the_type(&more).as_ref(), Ok(&known), "{}", kind.kind);
    }
}

#[test]
fn a_status_with_anything_missing_is_read() {
    for kind in kinds().iter().filter(|kind| kind.schema["properties"]["status"].is_object()) {
        let mut object = object(kind, true);
        let mut hollow = hollow(&object["status"]);
        // A copy of a part of the spec, which is whole as the spec is.
        hollow.as_object_mut().unwrap().remove("observedInclude");
        object["status"] = hollow;
        assert!(
            through_the_type(&object).is_ok(),
            "{}: {:?}",
            kind.kind,
            through_the_type(&object)
        );
    }
}

/// The same value with every list's and map's objects emptied.
fn hollow(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            items.iter().map(|_| json!({})).filter(|_| items[0].is_object()).collect()
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match value {
                Value::Object(_) => (name.clone(), json!({})),
                other => {
                    (name.clone(), if other.is_array() { hollow(other) } else { other.clone() })
                }
            })
            .collect(),
        other => other.clone(),
    }
}

#[test]
fn a_spec_without_what_it_must_have_is_refused_by_name() {
    let object =
        json!({"kind": "GitRepository", "metadata": {"name": "a"}, "spec": {"interval": "1m"}});
    assert_eq!(through_the_type(&object), Err("missing field `url`".to_owned()));
    let object = json!({"kind": "Kustomization", "metadata": {"name": "a"}, "spec": {
        "interval": "soon", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "a"}}});
    let error = through_the_type(&object).unwrap_err();
    assert!(error.contains("invalid duration \"soon\""), "{error}");
}
