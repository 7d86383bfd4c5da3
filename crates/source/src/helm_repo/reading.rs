//! Reading an index off the disk, one entry at a time: JSON by a streaming parser, YAML by its layout.
//!
//! Every tool that writes an index in YAML writes block style, so that the lines of an entry are found by their
//! indentation and only they need be parsed at once. What is laid out otherwise (flow style, anchors across entries) is
//! read whole, where it is small enough to be held several times over.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};

use serde::de::{DeserializeSeed, Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::index::{Builder, IndexError};

/// The largest index that is read whole.
const WHOLE: u64 = 8 << 20;
/// The most text of one entry, and of all beside the entries.
const MAX_PART: usize = 8 << 20;

/// Reads all of `file` into `builder`.
pub(super) fn read(file: &mut File, size: u64, builder: &mut Builder) -> Result<(), IndexError> {
    if starts_with_brace(file)? {
        match json(file, builder) {
            Ok(()) => return Ok(()),
            Err(error) if error.is_io() => return Err(IndexError::Disk(error.to_string())),
            Err(error) if error.is_data() => return Err(IndexError::Invalid(error.to_string())),
            // YAML's flow style, perhaps.
            Err(error) => return whole(file, size, builder, &error.to_string()),
        }
    }
    match yaml(file, builder) {
        Ok(()) => Ok(()),
        Err(Stop::Disk(error)) => Err(IndexError::Disk(error)),
        Err(Stop::Invalid(error)) => Err(IndexError::Invalid(error)),
        Err(Stop::Layout(error)) => whole(file, size, builder, &error),
    }
}

fn starts_with_brace(file: &mut File) -> Result<bool, IndexError> {
    let mut first = [0; 512];
    let n = file.read(&mut first)?;
    file.rewind()?;
    Ok(first[..n].trim_ascii_start().starts_with(b"{"))
}

fn whole(
    file: &mut File,
    size: u64,
    builder: &mut Builder,
    problem: &str,
) -> Result<(), IndexError> {
    if size > WHOLE {
        return Err(IndexError::Invalid(format!(
            "{problem} (an index of more than {} MiB must be JSON or YAML in block style)",
            WHOLE >> 20
        )));
    }
    builder.clear()?;
    file.rewind()?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let invalid = |error: String| IndexError::Invalid(format!("error unmarshaling JSON: {error}"));
    let value = borax_yaml::to_json_strict(&text)
        .map_err(|error| IndexError::Invalid(format!("error converting YAML to JSON: {error}")))?;
    let Value::Object(fields) = value else {
        return Err(invalid("the index is not an object".to_owned()));
    };
    for (name, value) in fields {
        top(builder, name, value, true).map_err(invalid)?;
    }
    Ok(())
}

/// A field of the index itself.
fn top(builder: &mut Builder, name: String, value: Value, strict: bool) -> Result<(), String> {
    if !name.eq_ignore_ascii_case("entries") {
        const KNOWN: [&str; 5] =
            ["serverInfo", "apiVersion", "generated", "publicKeys", "annotations"];
        if strict && !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            return Err(format!("json: unknown field {name:?}"));
        }
        builder.field(name, value);
        return Ok(());
    }
    match value {
        Value::Null => Ok(()),
        Value::Object(charts) => {
            builder.field("entries".to_owned(), Value::Object(serde_json::Map::new()));
            for (chart, entries) in charts {
                versions(builder, &chart, &entries, strict)?;
            }
            Ok(())
        }
        _ => Err("the index's entries are not an object".to_owned()),
    }
}

fn versions(
    builder: &mut Builder,
    chart: &str,
    entries: &Value,
    strict: bool,
) -> Result<(), String> {
    builder.chart(chart);
    match entries {
        Value::Null => Ok(()),
        Value::Array(entries) => {
            entries.iter().try_for_each(|entry| builder.entry(chart, entry, strict))
        }
        _ => Err(format!("the entries of {chart:?} are not a list")),
    }
}

// JSON.

fn json(file: &mut File, builder: &mut Builder) -> Result<(), serde_json::Error> {
    let reader = BufReader::with_capacity(256 << 10, file);
    let mut parser = serde_json::Deserializer::from_reader(reader);
    parser.deserialize_map(Fields(builder))?;
    parser.end()
}

struct Fields<'b>(&'b mut Builder);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name.eq_ignore_ascii_case("entries") {
                self.0.field("entries".to_owned(), Value::Object(serde_json::Map::new()));
                map.next_value_seed(Charts(self.0))?;
            } else {
                let value = map.next_value::<Value>()?;
                top(self.0, name, value, false).map_err(serde::de::Error::custom)?;
            }
        }
        Ok(())
    }
}

struct Charts<'b>(&'b mut Builder);

impl<'de> DeserializeSeed<'de> for Charts<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Charts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("charts by their names")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            self.0.chart(&name);
            map.next_value_seed(Versions(self.0, name))?;
        }
        Ok(())
    }
}

struct Versions<'b>(&'b mut Builder, String);

impl<'de> DeserializeSeed<'de> for Versions<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Versions<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of versions")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element::<Value>()? {
            self.0.entry(&self.1, &entry, false).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}

// YAML.

enum Stop {
    Disk(String),
    Invalid(String),
    /// It may be YAML, but not of the usual layout.
    Layout(String),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Disk(error.to_string())
    }
}

/// Where the reader is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Top,
    Entries,
}

struct Lines<'b> {
    builder: &'b mut Builder,
    place: Place,
    /// Whether anything but comments came.
    begun: bool,
    /// All that is beside the entries.
    head: Vec<u8>,
    /// The indentation of the charts' names.
    names: Option<usize>,
    chart: Option<String>,
    /// The indentation of the current chart's entries.
    dashes: Option<usize>,
    entry: Vec<u8>,
    /// The line the entry starts at.
    started: usize,
    line: usize,
}

fn yaml(file: &mut File, builder: &mut Builder) -> Result<(), Stop> {
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let mut lines = Lines {
        builder,
        place: Place::Top,
        begun: false,
        head: Vec::new(),
        names: None,
        chart: None,
        dashes: None,
        entry: Vec::new(),
        started: 0,
        line: 0,
    };
    let mut line = Vec::new();
    loop {
        line.clear();
        let left = MAX_PART as u64 + 1;
        if reader.by_ref().take(left).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        lines.line += 1;
        if line.len() > MAX_PART {
            return Err(lines.too_large());
        }
        if !lines.take(&line)? {
            break;
        }
    }
    lines.end()
}

fn indent(line: &[u8]) -> usize {
    line.iter().take_while(|&&byte| byte == b' ').count()
}

/// Whether nothing but a comment is on the line.
fn is_blank(line: &[u8]) -> bool {
    let text = line.trim_ascii();
    text.is_empty() || text.starts_with(b"#")
}

fn is_dash(text: &[u8]) -> bool {
    text.starts_with(b"-") && text.get(1).is_none_or(u8::is_ascii_whitespace)
}

impl Lines<'_> {
    fn layout(&self, what: &str) -> Stop {
        Stop::Layout(format!("line {}: {what}", self.line))
    }

    fn too_large(&self) -> Stop {
        Stop::Invalid(format!("line {}: more than {} MiB in one piece", self.line, MAX_PART >> 20))
    }

    /// Takes a line; false at the end of the document.
    fn take(&mut self, line: &[u8]) -> Result<bool, Stop> {
        let (indent, is_blank) = (indent(line), is_blank(line));
        let text = line.trim_ascii();
        if indent == 0 && (line.starts_with(b"---") || line.starts_with(b"...")) {
            return match text {
                b"---" if !self.begun => Ok(true),
                b"---" | b"..." => Ok(false),
                _ => Err(self.layout("a document starts on its own line")),
            };
        }
        if line.starts_with(b"%") {
            return Err(self.layout("there are directives"));
        }
        self.begun |= !is_blank;
        if indent == 0 && !is_blank {
            self.flush()?;
            self.chart = None;
            if is_key(text, b"entries") {
                if self.names.is_some() {
                    return Err(self.layout("there are entries twice"));
                }
                self.place = Place::Entries;
                return Ok(true);
            }
            self.place = Place::Top;
        }
        match self.place {
            Place::Top => self.head.extend_from_slice(line),
            Place::Entries if is_blank => self.entry.extend_from_slice(line),
            Place::Entries => self.entries(line, indent)?,
        }
        if self.head.len() > MAX_PART || self.entry.len() > MAX_PART {
            return Err(self.too_large());
        }
        Ok(true)
    }

    fn entries(&mut self, line: &[u8], indent: usize) -> Result<(), Stop> {
        let text = line.trim_ascii();
        let names = *self.names.get_or_insert(indent);
        if indent < names {
            return Err(self.layout("it is indented less than the charts' names"));
        }
        let dash = is_dash(text) && self.chart.is_some();
        if indent == names && !dash {
            self.flush()?;
            return self.name(text);
        }
        if dash && self.dashes.is_none_or(|dashes| dashes == indent) {
            self.flush()?;
            self.dashes = Some(indent);
            self.started = self.line;
        } else if self.dashes.is_none_or(|dashes| indent <= dashes) {
            return Err(self.layout("it belongs to no entry"));
        }
        self.entry.extend_from_slice(line);
        Ok(())
    }

    /// The name of a chart, perhaps with all its entries behind it.
    fn name(&mut self, text: &[u8]) -> Result<(), Stop> {
        let parsed = borax_yaml::to_json_strict(text);
        let (name, entries) = match parsed {
            Ok(Value::Object(fields)) if fields.len() == 1 => {
                fields.into_iter().next().unwrap_or_default()
            }
            _ => return Err(self.layout("it is not the name of a chart")),
        };
        if text.contains(&b'&') || !matches!(entries, Value::Null | Value::Array(_)) {
            return Err(self.layout("it is not the name of a chart"));
        }
        if !self.builder.chart(&name) {
            return Err(self.layout("the chart is there twice"));
        }
        versions(self.builder, &name, &entries, true).map_err(|error| self.invalid(&error))?;
        self.dashes = None;
        self.chart = Some(name);
        Ok(())
    }

    fn invalid(&self, error: &str) -> Stop {
        Stop::Invalid(format!("error unmarshaling JSON: while decoding JSON: {error}"))
    }

    /// Takes the entry that ended in.
    fn flush(&mut self) -> Result<(), Stop> {
        let text = std::mem::take(&mut self.entry);
        if self.dashes.is_some()
            && let Some(chart) = &self.chart
            && !text.iter().all(u8::is_ascii_whitespace)
        {
            let parsed = borax_yaml::to_json_strict(&text).map_err(|error| {
                Stop::Layout(format!("the entry of {chart:?} at line {}: {error}", self.started))
            })?;
            let Value::Array(entries) = parsed else {
                return Err(self.layout("it is no list"));
            };
            for entry in entries {
                self.builder.entry(chart, &entry, true).map_err(|error| self.invalid(&error))?;
            }
        }
        // Its room is used again.
        self.entry = text;
        self.entry.clear();
        Ok(())
    }

    fn end(mut self) -> Result<(), Stop> {
        self.flush()?;
        let head = borax_yaml::to_json_strict(&self.head)
            .map_err(|error| Stop::Layout(error.to_string()))?;
        let fields = match head {
            Value::Object(fields) => fields,
            Value::Null => serde_json::Map::new(),
            _ => {
                return Err(Stop::Invalid(
                    "error unmarshaling JSON: the index is not an object".to_owned(),
                ));
            }
        };
        if self.names.is_some() {
            let entries = Value::Object(serde_json::Map::new());
            self.builder.field("entries".to_owned(), entries);
        }
        for (name, value) in fields {
            if name.eq_ignore_ascii_case("entries") && self.names.is_some() {
                return Err(Stop::Layout("there are entries twice".to_owned()));
            }
            top(self.builder, name, value, true)
                .map_err(|error| Stop::Invalid(format!("error unmarshaling JSON: {error}")))?;
        }
        Ok(())
    }
}

/// Whether the line is the key `name` with nothing behind it.
fn is_key(text: &[u8], name: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(b":")) else {
        return false;
    };
    rest.is_empty() || (rest[0].is_ascii_whitespace() && is_blank(rest))
}
