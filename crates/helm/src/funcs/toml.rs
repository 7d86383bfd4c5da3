//! `toToml` and `fromToml`: written as BurntSushi's encoder writes, read by the `toml` crate.

use borax_gotmpl::{FuncError, FuncMap, Map, Room, Type, Value, format_float};

use super::args::text;
use super::fixed;
use crate::convert::{MAX_DEPTH, items};

pub(super) fn add(f: &mut FuncMap) {
    for (name, must) in [("toToml", false), ("mustToToml", true)] {
        fixed(f, name, &[Type::Any], move |cx, a| {
            let mut room = cx.room();
            let text = encode(&a[0], &mut room);
            cx.made(room)?;
            match text {
                Ok(text) => Ok(Value::str(text)),
                Err(FuncError::Message(words)) if !must => Ok(Value::str(words)),
                Err(e) => Err(e),
            }
        });
    }
    fixed(f, "fromToml", &[Type::Str], |cx, a| {
        super::json::room_to_read(cx, &a[0])?;
        let source = text(&a[0]);
        Ok(match source.parse::<toml::Table>() {
            Ok(table) => Value::Map(from_table(table)),
            Err(e) => {
                let line = e.span().map_or(1, |s| 1 + source[..s.start].matches('\n').count());
                let map = Map::new();
                map.set("Error", Value::str(format!("toml: line {line}: {}", e.message())));
                Value::Map(map)
            }
        })
    });
}

fn from_table(table: toml::Table) -> Map {
    table.into_iter().map(|(k, v)| (k.into(), from_toml(v))).collect()
}

fn from_toml(v: toml::Value) -> Value {
    match v {
        toml::Value::String(s) => Value::str(s),
        toml::Value::Integer(n) => Value::int64(n),
        toml::Value::Float(f) => Value::Float(f),
        toml::Value::Boolean(b) => Value::Bool(b),
        toml::Value::Datetime(d) => {
            let shown = d.to_string();
            let layouts = [
                "2006-01-02T15:04:05Z07:00",
                "2006-01-02T15:04:05",
                "2006-01-02 15:04:05",
                "2006-01-02",
                "15:04:05",
            ];
            match layouts.iter().find_map(|l| super::time::Time::parse(l, &shown)) {
                Some(at) => at.value(),
                None => Value::str(shown),
            }
        }
        toml::Value::Array(items) => Value::list(items.into_iter().map(from_toml).collect()),
        toml::Value::Table(table) => Value::Map(from_table(table)),
    }
}

fn encode(v: &Value, room: &mut Room) -> Result<String, FuncError> {
    let mut out = Encoder { out: String::new(), room };
    out.value(&[], v, 0)?;
    Ok(out.out)
}

#[derive(PartialEq)]
enum Kind {
    Nil,
    Table,
    Tables,
    Other,
}

fn kind(v: &Value, room: &mut Room, depth: usize) -> Result<Kind, FuncError> {
    if depth > MAX_DEPTH {
        return Err("toml: value is nested too deep".into());
    }
    room.take(NODE)?;
    if v.is_nil() {
        return Ok(Kind::Nil);
    }
    if matches!(v, Value::Map(_)) {
        return Ok(Kind::Table);
    }
    if matches!(v, Value::Bytes(_)) {
        return Ok(Kind::Other);
    }
    match items(v) {
        Some(items) if !items.is_empty() => {
            let mut all = true;
            for item in &items {
                match kind(item, room, depth + 1)? {
                    Kind::Nil => return Err("toml: cannot encode array with nil element".into()),
                    Kind::Table => {}
                    _ => all = false,
                }
            }
            Ok(if all { Kind::Tables } else { Kind::Other })
        }
        _ => Ok(Kind::Other),
    }
}

fn key_text(key: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !key.is_empty() && key.bytes().all(bare) { key.to_owned() } else { quoted(key) }
}

fn path_text(path: &[String]) -> String {
    path.iter().map(|k| key_text(k)).collect::<Vec<_>>().join(".")
}

fn quoted(s: &str) -> String {
    let mut out = String::from("\"");
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            _ if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

struct Encoder<'r> {
    out: String,
    room: &'r mut Room,
}

/// What a step of the encoder takes.
const NODE: usize = 64;

impl Encoder<'_> {
    fn newline(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn indent(&mut self, path: &[String]) {
        self.out.extend(std::iter::repeat_n("  ", path.len().saturating_sub(1)));
    }

    fn value(&mut self, path: &[String], v: &Value, depth: usize) -> Result<(), FuncError> {
        if depth > MAX_DEPTH {
            return Err("toml: value is nested too deep".into());
        }
        self.room.take(NODE + path.iter().map(|k| 2 + k.len() * 6).sum::<usize>())?;
        match kind(v, self.room, depth)? {
            Kind::Nil => {
                if path.is_empty() {
                    return Err("toml: cannot encode nil".into());
                }
            }
            Kind::Table => {
                if path.len() == 1 {
                    self.newline();
                }
                if !path.is_empty() {
                    self.indent(path);
                    self.out.push_str(&format!("[{}]", path_text(path)));
                    self.newline();
                }
                self.table(path, v, depth)?;
            }
            Kind::Tables => {
                if path.is_empty() {
                    return Err("toml: top-level values must be Go maps or structs".into());
                }
                for item in items(v).unwrap_or_default() {
                    self.newline();
                    self.indent(path);
                    self.out.push_str(&format!("[[{}]]", path_text(path)));
                    self.newline();
                    self.table(path, &item, depth)?;
                }
            }
            Kind::Other => {
                if let Some(key) = path.last() {
                    self.indent(path);
                    self.out.push_str(&format!("{} = ", key_text(key)));
                    self.element(v, depth)?;
                    self.newline();
                } else {
                    self.element(v, depth)?;
                }
            }
        }
        Ok(())
    }

    /// The entries of a map: plain ones first, tables after.
    fn sorted(&mut self, v: &Value, depth: usize) -> Result<Vec<(String, Value)>, FuncError> {
        let entries = v.as_map().map(|m| m.snapshot()).unwrap_or_default();
        let (mut direct, mut tables) = (Vec::new(), Vec::new());
        for (k, v) in entries {
            self.room.take(NODE + k.len())?;
            let entry = (k.to_text().into_owned(), v);
            match kind(&entry.1, self.room, depth)? {
                Kind::Nil => {}
                Kind::Table | Kind::Tables => tables.push(entry),
                Kind::Other => direct.push(entry),
            }
        }
        direct.append(&mut tables);
        Ok(direct)
    }

    fn table(&mut self, path: &[String], v: &Value, depth: usize) -> Result<(), FuncError> {
        for (key, value) in self.sorted(v, depth)? {
            let path: Vec<String> = path.iter().cloned().chain([key]).collect();
            self.value(&path, &value, depth + 1)?;
        }
        Ok(())
    }

    fn element(&mut self, v: &Value, depth: usize) -> Result<(), FuncError> {
        if depth > MAX_DEPTH {
            return Err("toml: value is nested too deep".into());
        }
        self.room.take(NODE)?;
        match v {
            Value::Bool(b) => self.out.push_str(if *b { "true" } else { "false" }),
            Value::Int(n, _) => self.out.push_str(&n.to_string()),
            Value::Uint(n, _) => self.out.push_str(&n.to_string()),
            Value::Float(f) if f.is_nan() => self.out.push_str("nan"),
            Value::Float(f) if f.is_infinite() => {
                self.out.push_str(if *f > 0.0 { "inf" } else { "-inf" });
            }
            Value::Float(f) => {
                let text = format_float(*f, b'g', None);
                self.out.push_str(&text);
                if !text.contains(['e', '.']) {
                    self.out.push_str(".0");
                }
            }
            Value::Str(s) => {
                self.room.take(s.len().saturating_mul(6))?;
                self.out.push_str(&quoted(&s.to_text()));
            }
            Value::Map(_) => {
                self.out.push('{');
                for (i, (key, value)) in self.sorted(v, depth)?.into_iter().enumerate() {
                    if i > 0 {
                        self.out.push_str(", ");
                    }
                    self.out.push_str(&format!("{} = ", key_text(&key)));
                    self.element(&value, depth + 1)?;
                }
                self.out.push('}');
            }
            Value::Missing | Value::Nil => {
                return Err("toml: cannot encode array with nil element".into());
            }
            _ => {
                if let Some(at) = super::time::Time::of(v) {
                    self.out.push_str(&at.format("2006-01-02T15:04:05.999999999Z07:00"));
                    return Ok(());
                }
                let Some(items) = items(v) else {
                    return Err(format!("unsupported type: {}", crate::convert::kind(v)).into());
                };
                self.out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        self.out.push_str(", ");
                    }
                    self.element(item, depth + 1)?;
                }
                self.out.push(']');
            }
        }
        Ok(())
    }
}
