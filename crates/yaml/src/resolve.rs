//! What a scalar's text means: the resolvers of go-yaml v2 (YAML 1.1) and v3. Owns the rules for
//! plain texts; does not know nodes or their styles.

use crate::scan::Dialect;
use crate::timestamp;
use crate::{Quoting, Tag};

/// The meaning of a scalar.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resolved {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer beyond `i64`.
    Uint(u64),
    Float(f64),
    /// The text is a timestamp (and stays as it is unless someone asks for the time).
    Timestamp,
    /// The text itself.
    Str,
}

impl Resolved {
    pub(crate) fn tag(&self) -> Tag {
        match self {
            Resolved::Null => Tag::Null,
            Resolved::Bool(_) => Tag::Bool,
            Resolved::Int(_) | Resolved::Uint(_) => Tag::Int,
            Resolved::Float(_) => Tag::Float,
            Resolved::Timestamp => Tag::Timestamp,
            Resolved::Str => Tag::Str,
        }
    }
}

/// What a text without quotes and tag means.
pub(crate) fn plain(text: &str, dialect: Dialect) -> Resolved {
    resolve(text, dialect, true)
}

/// What a text means under an explicit tag. `None`: the text does not fit the tag.
pub(crate) fn tagged(text: &str, tag: &Tag, dialect: Dialect) -> Option<Resolved> {
    let found = match tag {
        Tag::None => return Some(plain(text, dialect)),
        Tag::Bool | Tag::Int | Tag::Float | Tag::Null | Tag::Timestamp => {
            resolve(text, dialect, *tag == Tag::Timestamp)
        }
        // Everything may be a string; unknown tags leave the text alone.
        _ => return Some(Resolved::Str),
    };
    match (tag, found) {
        (Tag::Float, Resolved::Int(value)) => Some(Resolved::Float(value as f64)),
        (_, found) if found.tag() == *tag => Some(found),
        _ => None,
    }
}

/// What a text under a tag that is not `!!timestamp` means.
pub(crate) fn tagged_as(text: &str, dialect: Dialect) -> Resolved {
    resolve(text, dialect, false)
}

fn resolve(text: &str, dialect: Dialect, timestamps: bool) -> Resolved {
    let Some(&first) = text.as_bytes().first() else { return Resolved::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => {
            word(text, dialect).unwrap_or(Resolved::Str)
        }
        b'.' => word(text, dialect).or_else(|| float(text)).unwrap_or(Resolved::Str),
        b'+' | b'-' | b'0'..=b'9' => {
            if let Some(found) = word(text, dialect) {
                return found;
            }
            if timestamps && timestamp::parse(text).is_some() {
                return Resolved::Timestamp;
            }
            number(text, dialect).unwrap_or(Resolved::Str)
        }
        _ => Resolved::Str,
    }
}

fn word(text: &str, dialect: Dialect) -> Option<Resolved> {
    Some(match text {
        "true" | "True" | "TRUE" => Resolved::Bool(true),
        "false" | "False" | "FALSE" => Resolved::Bool(false),
        "~" | "null" | "Null" | "NULL" => Resolved::Null,
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ if dialect == Dialect::V2 && is_old_bool(text) => Resolved::Bool(
            matches!(text.as_bytes()[0] | 0x20, b'y') || matches!(text, "on" | "On" | "ON"),
        ),
        _ => return None,
    })
}

/// The further words that YAML 1.1 takes for booleans.
pub(crate) fn is_old_bool(text: &str) -> bool {
    matches!(
        text,
        "y" | "Y"
            | "yes"
            | "Yes"
            | "YES"
            | "on"
            | "On"
            | "ON"
            | "n"
            | "N"
            | "no"
            | "No"
            | "NO"
            | "off"
            | "Off"
            | "OFF"
    )
}

fn number(text: &str, dialect: Dialect) -> Option<Resolved> {
    let bare: std::borrow::Cow<'_, str> =
        if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    // Most texts that begin with a digit are plain decimals or no number at all.
    if !bare.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
        return None;
    }
    if let Some(value) = parse_int(&bare, None) {
        return Some(Resolved::Int(value));
    }
    if let Some(value) = parse_uint(&bare, None) {
        return Some(Resolved::Uint(value));
    }
    if let Some(value) = float(&bare) {
        return Some(value);
    }
    let radix = |prefix: &str| match prefix {
        "0b" => Some(2),
        "0o" if dialect == Dialect::V3 => Some(8),
        _ => None,
    };
    if let Some(radix) = bare.get(..2).and_then(radix) {
        let rest = &bare[2..];
        return parse_int(rest, Some(radix))
            .map(Resolved::Int)
            .or_else(|| parse_uint(rest, Some(radix)).map(Resolved::Uint));
    }
    if let Some(radix) = bare.strip_prefix('-').and_then(|rest| rest.get(..2)).and_then(radix) {
        return parse_int(&format!("-{}", &bare[3..]), Some(radix)).map(Resolved::Int);
    }
    None
}

/// Go's `strconv.ParseInt`; without a radix by the text's prefix.
fn parse_int(text: &str, radix: Option<u32>) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let value = parse_uint(digits, radix)?;
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// Go's `strconv.ParseUint`.
fn parse_uint(text: &str, radix: Option<u32>) -> Option<u64> {
    let (radix, digits) = match radix {
        Some(radix) => (radix, text),
        None => match text.as_bytes() {
            [b'0', b'b' | b'B', _, ..] => (2, &text[2..]),
            [b'0', b'o' | b'O', _, ..] => (8, &text[2..]),
            [b'0', b'x' | b'X', _, ..] => (16, &text[2..]),
            [b'0'] => return Some(0),
            [b'0', ..] => (8, &text[1..]),
            _ => (10, text),
        },
    };
    // Rust's parser would take a sign.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// A decimal number as YAML writes it, in range.
fn float(text: &str) -> Option<Resolved> {
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let digits = |at: &mut usize| {
        let from = *at;
        while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
            *at += 1;
        }
        *at - from
    };
    let whole = digits(&mut at);
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        if digits(&mut at) == 0 && whole == 0 {
            return None;
        }
    } else if whole == 0 {
        return None;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        if digits(&mut at) == 0 {
            return None;
        }
    }
    if at != bytes.len() {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Resolved::Float)
}

/// A number with colons in it (`190:20:30`), which go-yaml quotes for the sake of YAML 1.1.
pub(crate) fn is_base60(text: &str) -> bool {
    let bytes = text.as_bytes();
    if !matches!(bytes.first(), Some(b'+' | b'-' | b'0'..=b'9')) || !bytes.contains(&b':') {
        return false;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (sexagesimal, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        return false;
    }
    let mut parts = sexagesimal.split(':');
    let first = parts.next().unwrap_or_default();
    first.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && first.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && parts.all(|part| match part.as_bytes() {
            [d] => d.is_ascii_digit(),
            [b'0'..=b'5', d] => d.is_ascii_digit(),
            _ => false,
        })
}

/// The tag go-yaml v3 gives a scalar that has none of its own.
pub(crate) fn implicit_tag(text: &str, quoting: Quoting) -> Tag {
    if quoting != Quoting::Plain {
        Tag::Str
    } else if text == "<<" {
        Tag::Merge
    } else {
        plain(text, Dialect::V3).tag()
    }
}
