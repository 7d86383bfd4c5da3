//! What go-yaml v3 decodes a tree to, as JSON: the way kyaml turns its nodes into values. Owns
//! duplicate keys, merge keys and types; does not read text.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::alias::{Aliases, error_at};
use crate::error::{Error, ErrorKind};
use crate::json::{binary, float};
use crate::resolve::{self, Resolved};
use crate::scan::Dialect;
use crate::timestamp;
use crate::{Data, Node, Quoting, Tag};

/// What a document's root becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// Whatever it is (`var v interface{}`).
    Any,
    /// A map with texts as keys, also when they look like numbers (`map[string]interface{}`), as
    /// kyaml's `MarshalJSON` decodes. Other collections and `null` are as with [`Root::Any`];
    /// other scalars are an error.
    StringMap,
}

/// Decodes a tree as `yaml.Unmarshal` of go.yaml.in/yaml/v3 and `json.Marshal` would.
///
/// Errors are go-yaml's: duplicate keys, merges of what is no mapping, texts that do not fit their
/// tag, keys that are no texts below the root (`json: unsupported type`), NaN and infinities.
pub fn decode(node: &Node, root: Root) -> Result<Value, Error> {
    let mut decoder = Decoder {
        aliases: Aliases::new(node, crate::parse::MAX_DEPTH),
        problems: Vec::new(),
        first_problem: None,
        json_fault: None,
    };
    let value = match (root, &node.data) {
        (Root::StringMap, Data::Mapping(entries)) => {
            let mut map = Map::new();
            decoder.mapping(node, entries, Some(&mut map), None)?;
            Value::Object(map)
        }
        (Root::StringMap, Data::Scalar(text)) => match decoder.value(node)? {
            Value::Null => Value::Null,
            _ => {
                let shown = match text.char_indices().nth(10) {
                    Some(_) => {
                        let cut: String = text.chars().take(7).collect();
                        format!("{cut}...")
                    }
                    None => text.to_string(),
                };
                let problem = format!(
                    "cannot unmarshal {} `{shown}` into map[string]interface {{}}",
                    node.tag
                );
                decoder.problem(node, problem);
                Value::Null
            }
        },
        _ => decoder.value(node)?,
    };
    if let Some((line, column, kind)) = decoder.first_problem {
        let list = decoder.problems.join("\n  ");
        let message = format!("yaml: unmarshal errors:\n  {list}");
        return Err(Error::new(kind, line, column, message));
    }
    match decoder.json_fault {
        Some(fault) => Err(fault),
        None => Ok(value),
    }
}

/// At most so many problems are listed.
const MAX_PROBLEMS: usize = 1_000;

struct Decoder<'n> {
    aliases: Aliases<'n>,
    /// Those after which decoding goes on.
    problems: Vec<String>,
    first_problem: Option<(u32, u32, ErrorKind)>,
    /// What decodes but is no JSON; reported when all else is well.
    json_fault: Option<Error>,
}

impl<'n> Decoder<'n> {
    fn problem(&mut self, node: &Node, text: String) {
        let position = node.position;
        let kind = ErrorKind::Content;
        self.first_problem.get_or_insert((position.line, position.column, kind));
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(format!("line {}: {text}", position.line));
        }
    }

    fn not_json(&mut self, node: &Node, message: &str) {
        if self.json_fault.is_none() {
            self.json_fault = Some(error_at(node, ErrorKind::Content, message));
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
            Data::Scalar(text) => self.scalar(node, text)?,
            Data::Sequence(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.push(self.value(item)?);
                }
                Value::Array(list)
            }
            Data::Mapping(entries) => {
                if entries.iter().all(|(key, _)| self.is_text_key(key)) {
                    let mut map = Map::new();
                    self.mapping_entered(entries, Some(&mut map), None)?;
                    Value::Object(map)
                } else {
                    self.not_json(node, "json: unsupported type: map[interface {}]interface {}");
                    self.mapping_entered(entries, None, None)?;
                    Value::Null
                }
            }
        };
        self.aliases.leave();
        Ok(value)
    }

    fn scalar(&mut self, node: &Node, text: &str) -> Result<Value, Error> {
        if is_string(node) {
            return Ok(Value::from(text));
        }
        if node.tag == Tag::Binary {
            return match binary(text) {
                Some(text) => Ok(Value::String(text)),
                None => {
                    let message = "yaml: !!binary value contains invalid base64 data";
                    Err(error_at(node, ErrorKind::Content, message))
                }
            };
        }
        let Some(resolved) = resolve::tagged(text, &node.tag, Dialect::V3) else {
            return Err(mismatch(node, text, Dialect::V3));
        };
        Ok(match resolved {
            Resolved::Null => Value::Null,
            Resolved::Bool(value) => Value::Bool(value),
            Resolved::Int(value) => Value::from(value),
            Resolved::Uint(value) => Value::from(value),
            Resolved::Float(value) => match float(value) {
                Ok(number) => number,
                Err(message) => {
                    self.not_json(node, &message);
                    Value::Null
                }
            },
            Resolved::Timestamp => match timestamp::parse(text) {
                Some(time) => Value::String(time.rfc3339()),
                None => Value::from(text),
            },
            Resolved::Str => Value::from(text),
        })
    }

    fn mapping(
        &mut self,
        node: &'n Node,
        entries: &'n [(Node, Node)],
        out: Option<&mut Map<String, Value>>,
        merged: Option<&mut HashSet<String>>,
    ) -> Result<bool, Error> {
        self.aliases.enter(node)?;
        let good = self.mapping_entered(entries, out, merged)?;
        self.aliases.leave();
        Ok(good)
    }

    /// Decodes entries into `out` (nowhere, when the keys are of mixed types: then it is decoded for
    /// its faults). `merged` are the keys that a merge must leave alone. `false`: it has equal keys.
    fn mapping_entered(
        &mut self,
        entries: &'n [(Node, Node)],
        mut out: Option<&mut Map<String, Value>>,
        mut merged: Option<&mut HashSet<String>>,
    ) -> Result<bool, Error> {
        if self.duplicates(entries) {
            return Ok(false);
        }
        let mut merge = None;
        for (key, value) in entries {
            if is_merge(key) {
                merge = Some(value);
                continue;
            }
            let place = match (&merged, out.is_some()) {
                (_, true) => KeyPlace::Texts,
                (Some(_), false) => KeyPlace::Set,
                (None, false) => KeyPlace::Anything,
            };
            let Some(name) = self.key(key, place)? else { continue };
            if let Some(merged) = merged.as_deref_mut()
                && !merged.insert(name.clone())
            {
                continue;
            }
            let value = self.value(value)?;
            if let Some(out) = out.as_deref_mut() {
                out.insert(name, value);
            }
        }
        let Some(merge) = merge else { return Ok(true) };
        match merged {
            Some(merged) => self.merge(merge, out, merged)?,
            None => {
                let mut own = HashSet::new();
                for (key, _) in entries {
                    if let Some(name) = self.key(key, KeyPlace::Set)? {
                        own.insert(name);
                    }
                }
                self.merge(merge, out, &mut own)?;
            }
        }
        Ok(true)
    }

    fn merge(
        &mut self,
        merge: &'n Node,
        mut out: Option<&mut Map<String, Value>>,
        merged: &mut HashSet<String>,
    ) -> Result<(), Error> {
        match &merge.data {
            Data::Mapping(entries) => {
                self.mapping(merge, entries, out, Some(merged))?;
                Ok(())
            }
            Data::Alias(name) => {
                let no_mapping = self
                    .aliases
                    .target(merge)
                    .is_some_and(|target| !matches!(target.data, Data::Mapping(_)));
                if no_mapping {
                    return Err(want_map(merge));
                }
                self.aliases.enter(merge)?;
                let target = self.aliases.follow(merge, name)?;
                if let Data::Mapping(entries) = &target.data {
                    self.mapping(target, entries, out, Some(merged))?;
                }
                self.aliases.done();
                self.aliases.leave();
                Ok(())
            }
            Data::Sequence(items) => {
                for item in items {
                    if matches!(item.data, Data::Scalar(_) | Data::Sequence(_)) {
                        return Err(want_map(item));
                    }
                    self.merge(item, out.as_deref_mut(), merged)?;
                }
                Ok(())
            }
            Data::Scalar(_) => Err(want_map(merge)),
        }
    }

    /// A key as text. `None`: the original leaves the entry out.
    fn key(&mut self, key: &'n Node, place: KeyPlace) -> Result<Option<String>, Error> {
        self.aliases.enter(key)?;
        let name = match &key.data {
            Data::Alias(name) => {
                let target = self.aliases.follow(key, name)?;
                let name = self.key(target, place)?;
                self.aliases.done();
                name
            }
            Data::Scalar(text) => {
                let fault = self.json_fault.take();
                let value = self.scalar(key, text)?;
                self.json_fault = fault;
                match value {
                    Value::Null if place == KeyPlace::Texts => None,
                    Value::String(decoded) if key.tag == Tag::Binary => Some(decoded),
                    _ => Some(text.to_string()),
                }
            }
            Data::Sequence(_) | Data::Mapping(_) => self.collection_key(key, place)?,
        };
        self.aliases.leave();
        Ok(name)
    }

    /// A key that is a collection: an error in one way or another.
    fn collection_key(&mut self, key: &'n Node, place: KeyPlace) -> Result<Option<String>, Error> {
        if place == KeyPlace::Texts {
            if let Data::Mapping(entries) = &key.data
                && self.duplicates(entries)
            {
                return Ok(None);
            }
            let tag = &key.tag;
            let text = if matches!(tag, Tag::Map | Tag::Seq) { "" } else { " ``" };
            self.problem(key, format!("cannot unmarshal {tag}{text} into string"));
            return Ok(None);
        }
        let shape = match &key.data {
            Data::Mapping(entries) => {
                if !self.mapping_entered(entries, None, None)? {
                    return Ok(None);
                }
                let texts = entries.iter().all(|(key, _)| self.is_text_key(key));
                if texts { "map[string]interface {}" } else { "map[interface {}]interface {}" }
            }
            Data::Sequence(items) => {
                for item in items {
                    self.value(item)?;
                }
                "[]interface {}"
            }
            _ => return Ok(None),
        };
        let message = if place == KeyPlace::Set {
            format!("yaml: runtime error: hash of unhashable type {shape}")
        } else {
            format!("yaml: invalid map key: {shape}")
        };
        Err(error_at(key, ErrorKind::Content, message))
    }

    /// Whether a key leaves its mapping one of texts.
    fn is_text_key(&mut self, key: &'n Node) -> bool {
        let key = match key.data {
            Data::Alias(_) => match self.aliases.target(key) {
                Some(target) => target,
                None => return false,
            },
            _ => key,
        };
        let Data::Scalar(text) = &key.data else {
            // As the original has it, which then finds that it is no text.
            return matches!(key.tag, Tag::Str | Tag::Merge);
        };
        match &key.tag {
            Tag::Str | Tag::Merge => true,
            _ if is_string(key) => true,
            Tag::None => resolve::plain(text, Dialect::V3) == Resolved::Str,
            _ => false,
        }
    }

    /// Notes keys that come twice, in the original's order and words.
    fn duplicates(&mut self, entries: &'n [(Node, Node)]) -> bool {
        let mut by_text: HashMap<(crate::Kind, &str), Vec<usize>> =
            HashMap::with_capacity(entries.len());
        let mut any = false;
        for (at, (key, _)) in entries.iter().enumerate() {
            let text = match &key.data {
                Data::Scalar(text) | Data::Alias(text) => text.as_str(),
                _ => "",
            };
            let same = by_text.entry((key.kind(), text)).or_default();
            any |= !same.is_empty();
            same.push(at);
        }
        if !any {
            return false;
        }
        for (at, (key, _)) in entries.iter().enumerate() {
            let text = match &key.data {
                Data::Scalar(text) | Data::Alias(text) => text.as_str(),
                _ => "",
            };
            let same = by_text.get(&(key.kind(), text)).map(Vec::as_slice).unwrap_or_default();
            let later = same.iter().skip_while(|&&other| other <= at);
            for &other in later.take(MAX_PROBLEMS) {
                let problem = format!(
                    "mapping key {} already defined at line {}",
                    go_quote(text),
                    key.position.line
                );
                self.problem(&entries[other].0, problem);
                if let Some(first) = &mut self.first_problem {
                    first.2 = ErrorKind::DuplicateKey;
                }
                if self.problems.len() >= MAX_PROBLEMS {
                    return true;
                }
            }
        }
        true
    }
}

/// What a key is decoded for; decides what becomes of one that is no text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyPlace {
    /// A map with texts as keys.
    Texts,
    /// The set of keys that a merge must leave alone.
    Set,
    /// A map with keys of any type.
    Anything,
}

/// Whether go-yaml takes the node for a string without looking at its text.
fn is_string(node: &Node) -> bool {
    node.tag == Tag::Str || (no_tag(node) && node.style.quoting != Quoting::Plain)
}

fn no_tag(node: &Node) -> bool {
    matches!(&node.tag, Tag::None) || matches!(&node.tag, Tag::Other(tag) if &**tag == "!")
}

fn is_merge(key: &Node) -> bool {
    key.text() == Some("<<") && (no_tag(key) || key.tag == Tag::Merge)
}

fn want_map(node: &Node) -> Error {
    let message = "yaml: map merge requires map or sequence of maps as the value";
    error_at(node, ErrorKind::Content, message)
}

/// A text that does not fit its tag.
pub(crate) fn mismatch(node: &Node, text: &str, dialect: Dialect) -> Error {
    let found = if node.tag == Tag::Timestamp {
        resolve::plain(text, dialect).tag()
    } else {
        match resolve::tagged_as(text, dialect) {
            Resolved::Timestamp => Tag::Str,
            other => other.tag(),
        }
    };
    let message = format!("yaml: cannot decode {found} `{text}` as a {}", node.tag);
    error_at(node, ErrorKind::Content, message)
}

/// A text as Go's `%#v` prints it.
pub(crate) fn go_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0B' => out.push_str("\\v"),
            '\x0C' => out.push_str("\\f"),
            c if c < ' ' || c == '\x7F' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            '\u{80}'..='\u{A0}' | '\u{AD}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
