//! values.schema.json: the chart's values and its dependencies' checked against their schemas.
//! References to other documents are refused; nothing is fetched.

use borax_gotmpl::{Map, Room, Value};
use serde_json::Value as Json;

use crate::error::Error;
use crate::funcs::to_json;
use crate::render::MAX_VALUES;
use crate::tree::Tree;

/// Checks a chart and its dependencies.
///
/// # Errors
/// Every violation, by chart.
pub(crate) fn validate(tree: &Tree, values: &Map) -> Result<(), Error> {
    let mut report = String::new();
    check(tree, values, &mut report);
    if report.is_empty() { Ok(()) } else { Err(Error::Schema(report)) }
}

fn check(tree: &Tree, values: &Map, report: &mut String) {
    if let Some(schema) = &tree.chart.schema
        && let Err(message) = single(schema, values)
    {
        report.push_str(&format!("{}:\n{message}", tree.name()));
    }
    for child in &tree.children {
        match values.get(child.name()) {
            Some(Value::Map(own)) => check(child, &own, report),
            None => {}
            Some(v) if v.is_nil() => {}
            Some(other) => report.push_str(&format!(
                "{}:\ninvalid type for values: expected object (map), got {}\n",
                child.name(),
                other.type_name()
            )),
        }
    }
}

/// Checks values against one schema.
///
/// # Errors
/// Every violation.
pub(crate) fn single(schema: &[u8], values: &Map) -> Result<(), String> {
    let schema: Json = serde_json::from_slice(schema).map_err(|e| e.to_string())?;
    let values = to_json(&Value::Map(values.clone()), &mut Room::of(MAX_VALUES), 0)
        .map_err(|e| e.to_string())?;
    let values = whole_numbers(values);
    let validator = jsonschema::options()
        .with_retriever(Nothing)
        .build(&schema)
        .map_err(|e| format!("jsonschema compilation failed: {e}"))?;
    let mut out = String::new();
    for error in validator.iter_errors(&values) {
        let at = error.instance_path().to_string();
        out.push_str(&format!("- at '{at}': {error}\n"));
    }
    if out.is_empty() { Ok(()) } else { Err(format!("{out}\n")) }
}

/// Whole floats as integers, which is what they are to a schema.
fn whole_numbers(json: Json) -> Json {
    match json {
        Json::Number(n) => match n.as_f64() {
            Some(f) if n.is_f64() && f.fract() == 0.0 && f.abs() < 9e15 => {
                Json::from(crate::convert::float_to_int(f))
            }
            _ => Json::Number(n),
        },
        Json::Array(items) => Json::Array(items.into_iter().map(whole_numbers).collect()),
        Json::Object(entries) => {
            Json::Object(entries.into_iter().map(|(k, v)| (k, whole_numbers(v))).collect())
        }
        other => other,
    }
}

/// Other documents: an unknown `urn:` allows everything, as in Helm; the network is not asked.
struct Nothing;

impl jsonschema::Retrieve for Nothing {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Json, Box<dyn std::error::Error + Send + Sync>> {
        if uri.scheme().as_str() == "urn" {
            return Ok(Json::Bool(true));
        }
        Err(format!("schema {uri} lies outside the chart and is not fetched").into())
    }
}
