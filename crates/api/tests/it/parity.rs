//! The CRDs against Flux 2.9's, path by path: everything but descriptions must be the same.
//!
//! `tests/reference` holds the structure of Flux's CRDs without a word of their text. Where Flux's own files
//! lie beside the checkout (`../shared/flux-crds`), the structure is compared with them, too, and
//! `BORAX_UPDATE=1` takes it from them anew.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::files::{assert_fresh, names, project};

/// What a CRD says without descriptions, and without the mark of the tool that generated it.
fn structure(mut crd: Value) -> Value {
    if let Some(Value::Object(annotations)) = crd.pointer_mut("/metadata/annotations") {
        annotations.remove("controller-gen.kubebuilder.io/version");
        if annotations.is_empty() {
            crd["metadata"].as_object_mut().unwrap().remove("annotations");
        }
    }
    strip(&mut crd);
    crd
}

/// Removes descriptions; a field that is called `description` has an object there, not a text.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, value| !(key == "description" && value.is_string()));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Every leaf under its path; empty collections are leaves.
fn leaves(value: &Value, path: &str, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                leaves(value, &format!("{path}/{key}"), into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (place, value) in items.iter().enumerate() {
                leaves(value, &format!("{path}/{place}"), into);
            }
        }
        leaf => {
            into.insert(path.to_owned(), leaf.to_string());
        }
    }
}

/// One line for each path at which the two differ.
fn differences(ours: &Value, theirs: &Value) -> Vec<String> {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    leaves(ours, "", &mut left);
    leaves(theirs, "", &mut right);
    let mut lines = Vec::new();
    for (path, value) in &left {
        match right.get(path) {
            Some(other) if other == value => {}
            Some(other) => lines.push(format!("{path}: {value}, Flux has {other}")),
            None => lines.push(format!("{path}: {value}, Flux has nothing")),
        }
    }
    for (path, value) in right.iter().filter(|(path, _)| !left.contains_key(*path)) {
        lines.push(format!("{path}: nothing, Flux has {value}"));
    }
    lines
}

#[test]
fn every_crd_is_fluxs_but_for_descriptions() {
    let folder = project("crates/api/tests/reference");
    let mut lines = Vec::new();
    let mut compared = Vec::new();
    for (file, text) in borax_api::crd_files() {
        let ours = structure(serde_norway::from_str(&text).unwrap());
        let name = file.replace(".yaml", ".json");
        let text = fs::read_to_string(folder.join(&name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let theirs: Value = serde_json::from_str(&text).unwrap();
        lines.extend(differences(&ours, &theirs).iter().map(|line| format!("{name} {line}")));
        compared.push(name);
    }
    compared.sort();
    assert_eq!(compared, names(&folder), "a reference without a CRD, or the other way round");
    assert_eq!(compared.len(), 14);
    assert!(lines.is_empty(), "{} differences:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn the_reference_is_what_flux_ships() {
    let flux = project("../shared/flux-crds");
    let files: Vec<(String, String)> = names(&flux)
        .into_iter()
        .map(|name| {
            let text = fs::read_to_string(flux.join(&name)).unwrap();
            let crd = structure(serde_norway::from_str(&text).unwrap());
            let json = serde_json::to_string_pretty(&crd).unwrap();
            (name.replace(".yaml", ".json"), format!("{json}\n"))
        })
        .collect();
    if files.is_empty() {
        println!("skipped: no {}", flux.display());
        return;
    }
    assert_fresh(&project("crates/api/tests/reference"), &files);
}

#[test]
fn the_comparison_sees_what_differs() {
    let crd = serde_json::to_value(borax_api::crds().remove(0)).unwrap();
    let mut other = crd.clone();
    let spec =
        other.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap();
    spec["description"] = "other words".into();
    spec["properties"]["interval"]["pattern"] = "^other$".into();
    spec["properties"].as_object_mut().unwrap().remove("suspend");
    let lines = differences(&structure(crd), &structure(other));
    assert_eq!(lines.len(), 2, "{lines:#?}");
}
