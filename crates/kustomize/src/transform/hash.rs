//! The content hash that generated names end with.
//!
//! Source of behaviour: kustomize `api/hasher/hasher.go`, `api/internal/builtins/HashTransformer.go`.

use serde_json::{Map, Number, Value, json};
use sha2::{Digest, Sha256};

use crate::diag::Result;
use crate::resmap::ResMap;
use crate::resource::{self, ENABLED, NEEDS_HASH};
use crate::scalar::{go_json, to_value};
use crate::schema::Schema;
use crate::tree::{Kind, NodeId, Tree};

/// Ends the names of all objects that ask for it with their hash.
pub(crate) fn transform(tree: &mut Tree, schema: &Schema, map: &mut ResMap) -> Result<()> {
    for object in map.nodes() {
        if add(tree, schema, object)? {
            map.forget_index();
        }
    }
    Ok(())
}

/// Ends the name of an object that asks for it with its hash.
pub(crate) fn add(tree: &mut Tree, schema: &Schema, object: NodeId) -> Result<bool> {
    if resource::annotation(tree, object, NEEDS_HASH).is_none_or(|value| value != ENABLED) {
        return Ok(false);
    }
    let hash = hash(tree, object)?;
    resource::store_previous_id(tree, schema, object)?;
    let name = format!("{}-{hash}", resource::name(tree, object));
    resource::set_name(tree, object, &name)?;
    Ok(true)
}

fn hash(tree: &mut Tree, object: NodeId) -> Result<String> {
    let kind = resource::kind(tree, object);
    let mut content = Map::new();
    content.insert("kind".into(), Value::String(kind.to_string()));
    // The original looks the name up by the path "metadata/name" as one step, and finds nothing.
    content.insert("name".into(), json!(""));
    let (always, if_map): (&[&str], &str) = match kind.as_str() {
        "ConfigMap" => (&["data"], "binaryData"),
        "Secret" => (&["type", "data"], "stringData"),
        _ => return Ok(encode(&node_json(tree, object))),
    };
    for field in always {
        let value = field_value(tree, object, field)?;
        content.insert((*field).to_owned(), value);
    }
    let value = field_value(tree, object, if_map)?;
    // A collection that is no map counts as a map without content.
    if value.is_object() || value.is_null() {
        content.insert(if_map.to_owned(), value);
    }
    Ok(encode(&go_json(&Value::Object(content))))
}

fn field_value(tree: &mut Tree, object: NodeId, field: &str) -> Result<Value> {
    let Some(node) = tree.get(object, field)? else { return Ok(json!("")) };
    if tree.kind(node) == Kind::Scalar {
        return Ok(Value::String(tree.text(node).to_string()));
    }
    Ok(match to_value(tree, node)? {
        Value::Object(map) => as_floats(Value::Object(map)),
        _ => Value::Null,
    })
}

/// The value as Go decodes it from JSON: all numbers are floats, so large ones lose digits.
fn as_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().and_then(Number::from_f64);
            Value::Number(float.unwrap_or(number))
        }
        Value::Array(items) => items.into_iter().map(as_floats).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, as_floats(value))).collect(),
        other => other,
    }
}

/// The JSON that Go makes of a `yaml.Node` struct.
fn node_json(tree: &Tree, node: NodeId) -> String {
    let cell = tree.cell(node);
    let kind = match cell.kind() {
        Kind::Scalar => 8,
        Kind::Mapping => 4,
        Kind::Sequence => 2,
    };
    let content: Vec<String> = cell.content().iter().map(|child| node_json(tree, *child)).collect();
    let content =
        if content.is_empty() { "null".to_owned() } else { format!("[{}]", content.join(",")) };
    let text = |text: &str| go_json(&Value::String(text.to_owned()));
    format!(
        "{{\"Kind\":{kind},\"Style\":0,\"Tag\":{},\"Value\":{},\"Anchor\":\"\",\"Alias\":null,\
         \"Content\":{content},\"HeadComment\":\"\",\"LineComment\":\"\",\"FootComment\":\"\",\
         \"Line\":0,\"Column\":0}}",
        text(cell.tag().as_str()),
        text(cell.text()),
    )
}

/// Ten letters of the SHA-256, without those that could make a word.
fn encode(text: &str) -> String {
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    let letter = |letter| match letter {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    digest.chars().take(10).map(letter).collect()
}
