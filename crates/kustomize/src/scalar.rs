//! From nodes to JSON values and back, with the types that kustomize would see.
//!
//! kustomize turns a node into JSON by writing it as YAML and reading that again, so a scalar's type
//! hangs on tag, text and quotes together. Source of behaviour: kyaml `RNode.MarshalJSON`,
//! go.yaml.in/yaml/v3 `encode.go`, `decode.go`.

use borax_yaml::{
    Format, Meaning, Node, Options, Quoting, Style, Tag, Text, format_float, format_json_float,
    parse_first, write,
};
use serde_json::{Map, Number, Value};

use crate::diag::{Result, fail};
use crate::tree::{Cell, Kind, NodeId, Tree};

/// Whether YAML 1.1 would read the text, unquoted, as anything but a string.
pub(crate) fn is_yaml11_non_string(text: &str) -> bool {
    !text.is_empty() && !text.contains('\n') && Meaning::is_not_text_in_yaml11(text)
}

/// The tag a scalar has after being written and read again.
fn effective_tag(cell: &Cell) -> Tag {
    let plain = cell.style.quoting == Quoting::Plain && !cell.text().contains('\n');
    match cell.tag() {
        Tag::Str => Tag::Str,
        Tag::None if plain => Meaning::tag_of(cell.text()),
        Tag::None => Tag::Str,
        tag if cell.style.tagged => tag.clone(),
        // Where the text alone says the same, the tag is not written, and quotes make it a string.
        tag if !plain && Meaning::tag_of(cell.text()) == *tag => Tag::Str,
        tag => tag.clone(),
    }
}

/// The JSON value of a node.
pub(crate) fn to_value(tree: &Tree, node: NodeId) -> Result<Value> {
    value(tree, node, Place { is_root: true, in_flow: false, depth: 0 })
}

/// Where a node stands in what is written.
#[derive(Clone, Copy)]
struct Place {
    is_root: bool,
    /// Inside `{}` or `[]`.
    in_flow: bool,
    depth: usize,
}

fn value(tree: &Tree, node: NodeId, place: Place) -> Result<Value> {
    let Place { is_root, in_flow, depth } = place;
    if depth > 1000 {
        return fail("values are nested deeper than 1000 levels");
    }
    let cell = tree.cell(node);
    let below = Place { is_root: false, in_flow: in_flow || cell.style.flow, depth: depth + 1 };
    match cell.kind() {
        // There an empty text is written in quotes.
        Kind::Scalar if in_flow && cell.text().is_empty() && *cell.tag() == Tag::Null => {
            Ok(Value::String(String::new()))
        }
        Kind::Scalar => scalar(cell, in_flow),
        Kind::Sequence => {
            let items = cell.content().iter().map(|item| value(tree, *item, below));
            items.collect::<Result<_>>().map(Value::Array)
        }
        Kind::Mapping => {
            let mut map = Map::new();
            for pair in cell.content().chunks_exact(2) {
                let key = tree.cell(pair[0]);
                if !is_root && !matches!(effective_tag(key), Tag::Str | Tag::Merge) {
                    return fail(format!(
                        "the key {} is no string; JSON objects have no other keys",
                        key.text()
                    ))
                    .map_err(|e| e.hint("put it in quotes"));
                }
                let found = value(tree, pair[1], below)
                    .map_err(|e| e.during(format!("in {}", key.text())))?;
                if map.insert(key.text().to_string(), found).is_some() {
                    return fail(format!("mapping key {:?} already defined", key.text().as_str()));
                }
            }
            Ok(Value::Object(map))
        }
    }
}

fn scalar(cell: &Cell, in_flow: bool) -> Result<Value> {
    let tag = effective_tag(cell);
    Ok(match tag {
        Tag::Str if cell.style.quoting == Quoting::Folded && !in_flow => {
            Value::String(refold(cell))
        }
        Tag::Str => Value::String(cell.text().to_string()),
        Tag::Binary => {
            use base64::Engine as _;
            let bare: String = cell.text().split_ascii_whitespace().collect();
            let decoded = base64::engine::general_purpose::STANDARD.decode(bare);
            match decoded {
                Ok(bytes) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
                Err(_) => return fail("!!binary value contains invalid base64 data"),
            }
        }
        tag => match Meaning::of(cell.text(), &tag) {
            None => return fail(format!("cannot decode `{}` as a {tag}", cell.text())),
            Some(Meaning::Null) => Value::Null,
            Some(Meaning::Bool(flag)) => Value::Bool(flag),
            Some(Meaning::Int(number)) => Value::from(number),
            Some(Meaning::Uint(number)) => Value::from(number),
            Some(Meaning::Float(number)) => match Number::from_f64(number) {
                Some(number) => Value::Number(number),
                None => return fail(format!("{} has no place in JSON", cell.text())),
            },
            Some(Meaning::Time(text)) => Value::String(text),
            Some(Meaning::Text) => Value::String(cell.text().to_string()),
        },
    })
}

/// A folded text as it comes back from being written and read: go-yaml's writer loses line breaks
/// between lines that are indented further.
fn refold(cell: &Cell) -> String {
    let mut node = Node::string(cell.text().clone());
    node.style = cell.style;
    let map = Node::mapping(vec![(Node::string("text"), node)]);
    let text = write(&map, Format::KYAML).unwrap_or_default();
    let options = Options { comments: false, ..Options::default() };
    let read = parse_first(text, &options).ok().flatten();
    let found = read.as_ref().and_then(|map| map.get("text")?.text());
    found.unwrap_or(cell.text()).to_owned()
}

/// A node as if the value's JSON text had been read as YAML.
pub(crate) fn from_json(tree: &mut Tree, value: &Value) -> NodeId {
    build(tree, value, &json_scalar, Style::DOUBLE)
}

/// A node as if Go had decoded the value's JSON, written it as YAML, and read that: all numbers have
/// become floats on the way.
pub(crate) fn from_decoded_json(tree: &mut Tree, value: &Value) -> NodeId {
    let scalar = |value: &Value| match value {
        Value::Number(number) => {
            let text = format_float(number.as_f64().unwrap_or_default());
            (Meaning::tag_of(&text), Style::PLAIN, Text::from(text))
        }
        other => yaml_scalar(other),
    };
    build(tree, value, &scalar, Style::PLAIN)
}

fn build(
    tree: &mut Tree,
    value: &Value,
    scalar: &dyn Fn(&Value) -> (Tag, Style, Text),
    key_style: Style,
) -> NodeId {
    match value {
        Value::Array(items) => {
            let content = items.iter().map(|item| build(tree, item, scalar, key_style)).collect();
            tree.push(Cell::collection(Kind::Sequence, Tag::Seq, Style::PLAIN, content))
        }
        Value::Object(map) => {
            let mut content = Vec::with_capacity(map.len() * 2);
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            for key in keys {
                let style = if key_style.is_plain() { text_style(key) } else { key_style };
                content.push(tree.push(Cell::scalar(Tag::Str, style, Text::from(key.as_str()))));
                content.push(build(tree, &map[key], scalar, key_style));
            }
            tree.push(Cell::collection(Kind::Mapping, Tag::Map, Style::PLAIN, content))
        }
        other => {
            let (tag, style, text) = scalar(other);
            tree.push(Cell::scalar(tag, style, text))
        }
    }
}

fn json_scalar(value: &Value) -> (Tag, Style, Text) {
    match value {
        Value::String(text) => (Tag::Str, Style::DOUBLE, Text::from(text.as_str())),
        Value::Number(number) => {
            let text = json_number(number);
            (Meaning::tag_of(&text), Style::PLAIN, Text::from(text))
        }
        Value::Bool(flag) => (Tag::Bool, Style::PLAIN, Text::from(flag.to_string())),
        _ => (Tag::Null, Style::PLAIN, Text::new_static("null")),
    }
}

fn yaml_scalar(value: &Value) -> (Tag, Style, Text) {
    match value {
        Value::String(text) => (Tag::Str, text_style(text), Text::from(text.as_str())),
        other => json_scalar(other),
    }
}

/// The style Go writes a string in.
fn text_style(text: &str) -> Style {
    if text.contains('\n') {
        Style::LITERAL
    } else if Meaning::tag_of(text) != Tag::Str || is_yaml11_non_string(text) {
        Style::DOUBLE
    } else if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Style::PLAIN
    } else {
        // Whether the writer takes quotes is the writer's to say.
        let written = write(&Node::string(Text::from(text)), Format::KYAML).unwrap_or_default();
        match written.bytes().next() {
            Some(b'\'') => Style::SINGLE,
            Some(b'"') => Style::DOUBLE,
            _ => Style::PLAIN,
        }
    }
}

/// A number as Go's `encoding/json` prints it.
fn json_number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => format_json_float(float).unwrap_or_default(),
        _ => number.to_string(),
    }
}

/// JSON as Go's `encoding/json` prints it: keys sorted, `<`, `>` and `&` escaped.
pub(crate) fn go_json(value: &Value) -> String {
    let mut text = String::new();
    write_json(&mut text, value);
    text
}

fn write_json(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&json_number(number)),
        Value::String(text) => write_json_text(out, text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            for (at, key) in keys.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json_text(out, key);
                out.push(':');
                write_json(out, &map[key]);
            }
            out.push('}');
        }
    }
}

fn write_json_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// A number as Go's `%v` prints it.
pub(crate) fn format_general(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-4..1e21).contains(&size) {
        return format_float(number);
    }
    format!("{number}")
}
