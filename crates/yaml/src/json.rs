//! What sigs.k8s.io/yaml makes of a text: go-yaml v2's decoding (YAML 1.1) and the way to JSON.
//! Owns its types, keys and duplicates; does not know trees with comments.

use std::collections::HashSet;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Number, Value};

use crate::alias::{Aliases, error_at};
use crate::decode::{go_quote, mismatch};
use crate::error::{Error, ErrorKind};
use crate::number::{format_float, format_float32, format_json_float};
use crate::parse::{Options, read};
use crate::resolve::{self, Resolved};
use crate::scan::Dialect;
use crate::{Data, Node, Quoting, Tag};

/// Longest value shown in an error, about.
const MAX_SHAPE: usize = 4096;

/// Reads the first document of a text as `YAMLToJSON` of sigs.k8s.io/yaml: YAML 1.1 (`yes` is true,
/// `0777` is 511), keys become texts, of equal keys the last wins, timestamps stay texts.
///
/// Numbers come as their JSON text reads: `1.0` is the integer 1, `1e3` is 1000. An empty text is
/// null.
pub fn to_json(text: impl AsRef<[u8]>) -> Result<Value, Error> {
    convert(text.as_ref(), false)
}

/// As [`to_json`], refusing equal keys (`YAMLToJSONStrict`).
pub fn to_json_strict(text: impl AsRef<[u8]>) -> Result<Value, Error> {
    convert(text.as_ref(), true)
}

fn convert(text: &[u8], strict: bool) -> Result<Value, Error> {
    let options = Options::default();
    let mut root = None;
    read(text, Dialect::V2, &options, |document| {
        root = Some(document.root);
        false
    })?;
    let Some(root) = root else { return Ok(Value::Null) };
    let aliases = Aliases::new(&root, options.max_depth);
    let mut decoder = Decoder { aliases, strict, problems: Vec::new(), first: None, json: None };
    let value = decoder.value(&root)?;
    if let Some((line, column)) = decoder.first {
        let list = decoder.problems.join("\n  ");
        let message = format!("yaml: unmarshal errors:\n  {list}");
        return Err(Error::new(ErrorKind::DuplicateKey, line, column, message));
    }
    match decoder.json {
        Some(fault) => Err(fault),
        None => Ok(value),
    }
}

struct Decoder<'n> {
    aliases: Aliases<'n>,
    strict: bool,
    problems: Vec<String>,
    first: Option<(u32, u32)>,
    /// What decodes but is no JSON; reported when all else is well.
    json: Option<Error>,
}

impl<'n> Decoder<'n> {
    fn not_json(&mut self, node: &Node, message: String) {
        if self.json.is_none() {
            self.json = Some(error_at(node, ErrorKind::Content, message));
        }
    }

    fn value(&mut self, node: &'n Node) -> Result<Value, Error> {
        self.aliases.enter(node)?;
        let value = match &node.data {
            Data::Alias(name) => {
                let target = self.aliases.follow(node, name)?;
                let value = self.value(target)?;
                self.aliases.done();
                value
            }
            Data::Scalar(text) => match self.scalar(node, text)? {
                Scalar::Null => Value::Null,
                Scalar::Bool(value) => Value::Bool(value),
                Scalar::Int(value) => Value::from(value),
                Scalar::Uint(value) => Value::from(value),
                Scalar::Float(value) => match float(value) {
                    Ok(number) => number,
                    Err(message) => {
                        self.not_json(node, message);
                        Value::Null
                    }
                },
                Scalar::Text(text) => Value::String(text),
            },
            Data::Sequence(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.push(self.value(item)?);
                }
                Value::Array(list)
            }
            Data::Mapping(entries) => {
                let mut out = Out::default();
                self.mapping(entries, &mut out)?;
                Value::Object(out.map)
            }
        };
        self.aliases.leave();
        Ok(value)
    }

    fn scalar(&mut self, node: &Node, text: &str) -> Result<Scalar, Error> {
        if node.tag == Tag::None && node.style.quoting != Quoting::Plain {
            return Ok(Scalar::Text(text.to_owned()));
        }
        if node.tag == Tag::Binary {
            let message = "yaml: !!binary value contains invalid base64 data";
            let decoded =
                binary(text).ok_or_else(|| error_at(node, ErrorKind::Content, message))?;
            return Ok(Scalar::Text(decoded));
        }
        let Some(resolved) = resolve::tagged(text, &node.tag, Dialect::V2) else {
            return Err(mismatch(node, text, Dialect::V2));
        };
        Ok(match resolved {
            Resolved::Null => Scalar::Null,
            Resolved::Bool(value) => Scalar::Bool(value),
            Resolved::Int(value) => Scalar::Int(value),
            Resolved::Uint(value) => Scalar::Uint(value),
            Resolved::Float(value) => Scalar::Float(value),
            _ => Scalar::Text(text.to_owned()),
        })
    }

    fn mapping(&mut self, entries: &'n [(Node, Node)], out: &mut Out) -> Result<(), Error> {
        for (key, value) in entries {
            if is_merge(key) {
                self.merge(value, out)?;
                continue;
            }
            let name = self.key(key)?;
            let decoded = self.value(value)?;
            let Key { text, kind, shown } = name;
            if self.strict {
                // `1`, `1.0` and `"1"` are three keys until they become JSON.
                let shown = shown.unwrap_or_else(|| go_quote(&text));
                if shown != "NaN" && !out.seen.insert((kind, shown.clone())) {
                    let position = value.position;
                    self.first.get_or_insert((position.line, position.column));
                    self.problems
                        .push(format!("line {}: key {shown} already set in map", position.line));
                    continue;
                }
            }
            match kind {
                KeyKind::Uint | KeyKind::Null => {
                    let kind = if kind == KeyKind::Uint { "uint64" } else { "%!s(<nil>)" };
                    let value = go_value(&decoded);
                    let message =
                        format!("unsupported map key of type: {kind}, key: {text}, value: {value}");
                    self.not_json(key, message);
                }
                _ => {
                    out.map.insert(text, decoded);
                }
            }
        }
        Ok(())
    }

    fn key(&mut self, key: &'n Node) -> Result<Key, Error> {
        self.aliases.enter(key)?;
        let name = match &key.data {
            Data::Alias(name) => {
                let target = self.aliases.follow(key, name)?;
                let name = self.key(target)?;
                self.aliases.done();
                name
            }
            Data::Scalar(text) => match self.scalar(key, text)? {
                Scalar::Text(text) => Key { text, kind: KeyKind::Text, shown: None },
                Scalar::Int(value) => Key::of(KeyKind::Int, value.to_string()),
                Scalar::Bool(value) => Key::of(KeyKind::Bool, value.to_string()),
                Scalar::Float(value) => {
                    let shown = match format_float(value).as_str() {
                        ".inf" => "+Inf".to_owned(),
                        "-.inf" => "-Inf".to_owned(),
                        ".nan" => "NaN".to_owned(),
                        finite => finite.to_owned(),
                    };
                    let text = format_float32(value);
                    Key { text, kind: KeyKind::Float, shown: Some(shown) }
                }
                Scalar::Uint(value) => Key::of(KeyKind::Uint, format!("{value:#x}")),
                Scalar::Null => Key::of(KeyKind::Null, "<nil>".to_owned()),
            },
            _ => {
                self.value(key)?;
                let mut shape = String::new();
                self.shape(key, &mut shape)?;
                let message = format!("yaml: invalid map key: {shape}");
                return Err(error_at(key, ErrorKind::Content, message));
            }
        };
        self.aliases.leave();
        Ok(name)
    }

    /// A value as Go's `%#v` shows it, cut when it is long.
    fn shape(&mut self, node: &'n Node, out: &mut String) -> Result<(), Error> {
        if out.len() > MAX_SHAPE {
            return Ok(());
        }
        self.aliases.enter(node)?;
        match &node.data {
            Data::Scalar(text) => out.push_str(&match self.scalar(node, text)? {
                Scalar::Null => "interface {}(nil)".to_owned(),
                Scalar::Bool(value) => value.to_string(),
                Scalar::Int(value) => value.to_string(),
                Scalar::Uint(value) => format!("{value:#x}"),
                Scalar::Float(value) => format_float(value),
                Scalar::Text(text) => go_quote(&text),
            }),
            Data::Sequence(items) => {
                out.push_str("[]interface {}{");
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { ", " });
                    self.shape(item, out)?;
                }
                out.push('}');
            }
            Data::Mapping(entries) => {
                let mut shown = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let mut entry = (String::new(), String::new());
                    self.shape(key, &mut entry.0)?;
                    self.shape(value, &mut entry.1)?;
                    shown.push(entry);
                }
                shown.sort();
                let shown: Vec<String> = shown.iter().map(|(k, v)| format!("{k}:{v}")).collect();
                out.push_str(&format!("map[interface {{}}]interface {{}}{{{}}}", shown.join(", ")));
            }
            Data::Alias(name) => {
                let target = self.aliases.follow(node, name)?;
                self.shape(target, out)?;
                self.aliases.done();
            }
        }
        self.aliases.leave();
        Ok(())
    }

    /// Merges where the merge key stands: later keys override, and it overrides earlier ones.
    fn merge(&mut self, merge: &'n Node, out: &mut Out) -> Result<(), Error> {
        match &merge.data {
            Data::Mapping(entries) => {
                self.aliases.enter(merge)?;
                self.mapping(entries, out)?;
                self.aliases.leave();
            }
            Data::Alias(name) => {
                let target = self.aliases.target(merge);
                if target.is_some_and(|target| !matches!(target.data, Data::Mapping(_))) {
                    return Err(want_map(merge));
                }
                self.aliases.enter(merge)?;
                let target = self.aliases.follow(merge, name)?;
                self.merge(target, out)?;
                self.aliases.done();
                self.aliases.leave();
            }
            Data::Sequence(items) => {
                // The first of them wins.
                for item in items.iter().rev() {
                    if matches!(item.data, Data::Scalar(_) | Data::Sequence(_)) {
                        return Err(want_map(item));
                    }
                    self.merge(item, out)?;
                }
            }
            Data::Scalar(_) => return Err(want_map(merge)),
        }
        Ok(())
    }
}

/// A mapping that is being filled.
#[derive(Default)]
struct Out {
    map: Map<String, Value>,
    /// Its keys as Go prints them, when equal ones are refused.
    seen: HashSet<(KeyKind, String)>,
}

/// The Go type of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum KeyKind {
    Text,
    Int,
    Bool,
    Float,
    /// No key for JSON, nor is null.
    Uint,
    Null,
}

struct Key {
    text: String,
    kind: KeyKind,
    /// How Go prints it when that is not the quoted text.
    shown: Option<String>,
}

impl Key {
    fn of(kind: KeyKind, text: String) -> Key {
        Key { shown: Some(text.clone()), kind, text }
    }
}

enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
}

fn is_merge(key: &Node) -> bool {
    if key.text() != Some("<<") {
        return false;
    }
    match &key.tag {
        Tag::None => key.style.quoting == Quoting::Plain,
        Tag::Merge => true,
        Tag::Other(tag) => &**tag == "!",
        _ => false,
    }
}

/// A value as Go's `%#v` prints it, for errors.
fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => go_quote(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_value).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}:{}", go_quote(key), go_value(value)))
                .collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}

fn want_map(node: &Node) -> Error {
    let message = "yaml: map merge requires map or sequence of maps as the value";
    error_at(node, ErrorKind::Content, message)
}

/// A float as the number that its JSON text reads back as.
pub(crate) fn float(value: f64) -> Result<Value, String> {
    let Some(text) = format_json_float(value) else {
        let name = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        };
        return Err(format!("json: unsupported value: {name}"));
    };
    if let Ok(integer) = text.parse::<i64>()
        && text != "-0"
    {
        return Ok(Value::from(integer));
    }
    if let Ok(integer) = text.parse::<u64>() {
        return Ok(Value::from(integer));
    }
    Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
}

/// What a `!!binary` text stands for. Bytes that are no text are replaced, as JSON does.
pub(crate) fn binary(text: &str) -> Option<String> {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let engine = GeneralPurpose::new(&STANDARD, config);
    let bare: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    let bytes = engine.decode(bare).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A value as Go's `json.Marshal` prints it: sorted keys, no spaces, `<`, `>` and `&` escaped.
pub fn json_string(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    out
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&json_number(number)),
        Value::String(text) => write_json_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (at, key) in keys.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json_text(key, out);
                out.push(':');
                write_json(&map[key], out);
            }
            out.push('}');
        }
    }
}

/// A number as Go's `encoding/json` prints it.
pub(crate) fn json_number(number: &Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    number.as_f64().and_then(format_json_float).unwrap_or_else(|| number.to_string())
}

fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0C' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1F' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
