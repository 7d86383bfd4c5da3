//! JSON as Go's encoding/json writes and reads it.

use std::borrow::Cow;

use borax_gotmpl::{Context, FuncError, FuncMap, Room, Shape, Type, Value, format_float, runes};
use serde_json::Value as Json;

use super::args::text;
use super::fixed;
use crate::convert::MAX_DEPTH;

pub(super) fn add(f: &mut FuncMap) {
    use Type::{Any, Str as S};
    let indented = Style { html: true, indent: true };
    let plain = Style { html: true, indent: false };
    let raw = Style { html: false, indent: false };
    for (name, style, must) in [
        ("toJson", plain, false),
        ("mustToJson", plain, true),
        ("toPrettyJson", indented, false),
        ("mustToPrettyJson", indented, true),
        ("toRawJson", raw, true),
        ("mustToRawJson", raw, true),
    ] {
        fixed(f, name, &[Any], move |cx, a| {
            let mut room = cx.room();
            let text = write(&a[0], style, &mut room);
            cx.made(room)?;
            text_or_nothing(text, must)
        });
    }
    fixed(f, "fromJson", &[S], |cx, a| {
        room_to_read(cx, &a[0])?;
        Ok(as_map(parse(&text(&a[0]))))
    });
    fixed(f, "mustFromJson", &[S], |cx, a| {
        room_to_read(cx, &a[0])?;
        match parse(&text(&a[0])) {
            Ok(json) => Ok(from_json(&json)),
            Err(e) => Err(e.into()),
        }
    });
    fixed(f, "fromJsonArray", &[S], |cx, a| {
        room_to_read(cx, &a[0])?;
        Ok(as_list(parse(&text(&a[0]))))
    });
}

/// What data can take for a byte of its text: `[[],[]]` makes a list of three bytes.
const READ: usize = 40;

/// Asks for the room that data takes when it is read from a text.
pub(super) fn room_to_read(cx: &mut Context<'_>, source: &Value) -> Result<(), FuncError> {
    cx.make(super::args::bytes(source).len().saturating_mul(READ))
}

/// What a `to…` function gives: Helm's own are silent about what cannot be written, not about a limit.
pub(super) fn text_or_nothing(
    text: Result<String, FuncError>,
    must: bool,
) -> Result<Value, FuncError> {
    match text {
        Ok(text) => Ok(Value::str(text)),
        Err(e @ FuncError::Limit(..)) => Err(e),
        Err(e) if must => Err(e),
        Err(_) => Ok(Value::str("")),
    }
}

/// What a `from…` function that wants a map gives: the map, or one with the error under `Error`.
pub(super) fn as_map(read: Result<Json, String>) -> Value {
    let error = |message: String| {
        let map = borax_gotmpl::Map::new();
        map.set("Error", Value::str(message));
        Value::Map(map)
    };
    match read {
        Ok(Json::Null) => Value::Map(borax_gotmpl::Map::new()),
        Ok(json @ Json::Object(_)) => from_json(&json),
        Ok(other) => error(mismatch(&other, "map[string]interface {}")),
        Err(message) => error(message),
    }
}

/// What a `from…Array` function gives: the list, or one with the error in it.
pub(super) fn as_list(read: Result<Json, String>) -> Value {
    match read {
        Ok(Json::Null) => Value::list(Vec::new()),
        Ok(json @ Json::Array(_)) => from_json(&json),
        Ok(other) => Value::list(vec![Value::str(mismatch(&other, "[]interface {}"))]),
        Err(message) => Value::list(vec![Value::str(message)]),
    }
}

/// Go's words for JSON of the wrong shape.
pub(crate) fn mismatch(json: &Json, want: &str) -> String {
    let kind = match json {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    format!("json: cannot unmarshal {kind} into Go value of type {want}")
}

/// A template value of decoded JSON: every number is a float64.
pub(crate) fn from_json(json: &Json) -> Value {
    match json {
        Json::Number(n) => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
        Json::Array(items) => Value::list(items.iter().map(from_json).collect()),
        Json::Object(entries) => {
            Value::Map(entries.iter().map(|(k, v)| (k.as_str().into(), from_json(v))).collect())
        }
        other => crate::convert::value(other),
    }
}

/// Reads one JSON text, with Go's words for errors.
pub(crate) fn parse(text: &str) -> Result<Json, String> {
    serde_json::from_str(text).map_err(|e| complaint(text, &e))
}

fn complaint(text: &str, e: &serde_json::Error) -> String {
    if e.is_eof() || text.trim().is_empty() {
        return "unexpected end of JSON input".into();
    }
    let line = text.split('\n').nth(e.line().saturating_sub(1)).unwrap_or("");
    let at = e.column().saturating_sub(1);
    let c = line.get(at..).and_then(|s| s.chars().next()).unwrap_or('\n');
    let shown = borax_gotmpl::quote_rune(c, false);
    let words = e.to_string();
    let context = if words.starts_with("trailing characters") {
        "after top-level value"
    } else if words.starts_with("key must be a string") {
        "looking for beginning of object key string"
    } else if words.starts_with("expected `:`") {
        "after object key"
    } else if words.contains("expected `,` or `}`") {
        "after object key:value pair"
    } else if words.contains("expected `,` or `]`") {
        "after array element"
    } else {
        "looking for beginning of value"
    };
    format!("invalid character {shown} {context}")
}

/// What a node of plain data takes.
const NODE: usize = 96;
/// What plain data takes for a byte of text, escaped and copied.
const TEXT: usize = 6;

/// Plain data of a template value, for writing as JSON or YAML. Bytes become base64, times and
/// versions their text.
///
/// # Errors
/// What Go's encoder refuses (functions, infinities), nesting without end, or more than there is room for.
pub(crate) fn to_json(v: &Value, room: &mut Room, depth: usize) -> Result<Json, FuncError> {
    if depth > MAX_DEPTH {
        return Err("json: unsupported value: encountered a cycle".into());
    }
    // As data, and on lines of its own below its parents.
    room.take(NODE + 4 * depth)?;
    Ok(match v {
        Value::Missing | Value::Nil => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(n, _) => Json::from(*n),
        Value::Uint(n, _) => Json::from(*n),
        Value::Float(f) => match serde_json::Number::from_f64(*f) {
            Some(n) => Json::Number(n),
            None => {
                let shown = format_float(*f, b'g', None);
                return Err(format!("json: unsupported value: {shown}").into());
            }
        },
        Value::Str(s) => {
            room.take(s.len().saturating_mul(TEXT))?;
            Json::String(s.to_text().into_owned())
        }
        Value::Bytes(b) => {
            room.take(b.len().saturating_mul(TEXT))?;
            Json::String(base64_text(b.as_bytes()))
        }
        Value::List(l) => list_json(l.items(), room, depth)?,
        Value::Map(m) => {
            let mut out = serde_json::Map::new();
            for (k, v) in m.entries().iter() {
                room.take(k.len().saturating_mul(TEXT))?;
                out.insert(k.to_text().into_owned(), to_json(v, room, depth + 1)?);
            }
            Json::Object(out)
        }
        Value::Object(o) => {
            if let Some(time) = super::time::Time::of(v) {
                return Ok(Json::String(time.format("2006-01-02T15:04:05.999999999Z07:00")));
            }
            if o.as_any().is::<crate::render::NilMap>() {
                return Ok(Json::Null);
            }
            match o.shape() {
                Shape::List(items) => list_json(&items, room, depth)?,
                Shape::Map(entries) => {
                    let mut out = serde_json::Map::new();
                    for (k, v) in entries {
                        out.insert(k.to_text().into_owned(), to_json(&v, room, depth + 1)?);
                    }
                    Json::Object(out)
                }
                Shape::Keyed(_) => {
                    return Err(format!("json: unsupported type: {}", o.type_name()).into());
                }
                Shape::Struct(fields) | Shape::Pointer(fields) => {
                    if fields.is_empty()
                        && let Some(text) = o.stringer()
                    {
                        return Ok(Json::String(text.to_text().into_owned()));
                    }
                    let mut out = serde_json::Map::new();
                    for (k, v) in fields.into_iter().filter(|(k, _)| exported(k)) {
                        out.insert(k.to_owned(), to_json(&v, room, depth + 1)?);
                    }
                    Json::Object(out)
                }
            }
        }
        Value::Complex(..) | Value::Func(_) => {
            return Err(format!("json: unsupported type: {}", v.type_name()).into());
        }
    })
}

fn list_json(items: &[Value], room: &mut Room, depth: usize) -> Result<Json, FuncError> {
    items.iter().map(|v| to_json(v, room, depth + 1)).collect::<Result<_, _>>().map(Json::Array)
}

fn base64_text(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[derive(Clone, Copy)]
struct Style {
    html: bool,
    indent: bool,
}

fn write(v: &Value, style: Style, room: &mut Room) -> Result<String, FuncError> {
    let mut writer = Writer { style, room, out: String::new() };
    writer.value(v, 0)?;
    Ok(writer.out)
}

/// Writes template values directly: structs keep the order of their fields.
struct Writer<'r> {
    style: Style,
    room: &'r mut Room,
    out: String,
}

impl Writer<'_> {
    fn newline(&mut self, depth: usize) {
        if self.style.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("  ", depth));
        }
    }

    fn value(&mut self, v: &Value, depth: usize) -> Result<(), FuncError> {
        if depth > MAX_DEPTH {
            return Err("json: unsupported value: encountered a cycle".into());
        }
        self.room.take(8 + 4 * depth)?;
        match v {
            Value::List(l) => self.list(l.items(), depth),
            Value::Map(m) => {
                let entries = m.snapshot();
                self.object(entries.iter().map(|(k, v)| (k.to_text(), v)), depth)
            }
            Value::Object(o) => match (to_json(v, self.room, depth)?, o.shape()) {
                (Json::Object(_), Shape::Struct(fields) | Shape::Pointer(fields)) => {
                    let fields = fields.iter().filter(|(k, _)| exported(k));
                    self.object(fields.map(|(k, v)| (Cow::Borrowed(*k), v)), depth)
                }
                (json, _) => self.plain(&json, depth),
            },
            Value::Str(s) => {
                self.room.take(s.len().saturating_mul(TEXT))?;
                write_string(&s.to_text(), self.style.html, &mut self.out);
                Ok(())
            }
            other => {
                let json = to_json(other, self.room, depth)?;
                self.plain(&json, depth)
            }
        }
    }

    fn list(&mut self, items: &[Value], depth: usize) -> Result<(), FuncError> {
        if items.is_empty() {
            self.out.push_str("[]");
            return Ok(());
        }
        self.out.push('[');
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.newline(depth + 1);
            self.value(item, depth + 1)?;
        }
        self.newline(depth);
        self.out.push(']');
        Ok(())
    }

    fn object<'v>(
        &mut self,
        entries: impl Iterator<Item = (Cow<'v, str>, &'v Value)>,
        depth: usize,
    ) -> Result<(), FuncError> {
        let mut first = true;
        for (key, value) in entries {
            self.out.push(if first { '{' } else { ',' });
            first = false;
            self.newline(depth + 1);
            self.room.take(key.len().saturating_mul(TEXT))?;
            write_string(&key, self.style.html, &mut self.out);
            self.out.push(':');
            if self.style.indent {
                self.out.push(' ');
            }
            self.value(value, depth + 1)?;
        }
        if first {
            self.out.push_str("{}");
            return Ok(());
        }
        self.newline(depth);
        self.out.push('}');
        Ok(())
    }

    fn plain(&mut self, json: &Json, depth: usize) -> Result<(), FuncError> {
        match json {
            Json::Null => self.out.push_str("null"),
            Json::Bool(b) => self.out.push_str(if *b { "true" } else { "false" }),
            Json::Number(n) => match n.as_f64().filter(|_| n.is_f64()) {
                Some(f) => self.out.push_str(&number(f)),
                None => self.out.push_str(&n.to_string()),
            },
            Json::String(s) => write_string(s, self.style.html, &mut self.out),
            Json::Array(_) | Json::Object(_) => {
                return self.value(&crate::convert::value(json), depth);
            }
        }
        Ok(())
    }
}

/// Go writes exported fields only.
fn exported(field: &str) -> bool {
    field.starts_with(|c: char| c.is_ascii_uppercase())
}

/// A float as encoding/json writes it.
pub(crate) fn number(f: f64) -> String {
    let magnitude = f.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        // e-09 becomes e-9.
        let text = format_float(f, b'e', None);
        return match text.rsplit_once("e-0") {
            Some((mantissa, digit)) => format!("{mantissa}e-{digit}"),
            None => text,
        };
    }
    format_float(f, b'f', None)
}

fn write_string(s: &str, html: bool, out: &mut String) {
    out.push('"');
    for (c, _) in runes(s.as_bytes()) {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if html => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}
