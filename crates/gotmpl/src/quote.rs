//! Go's quoting: `strconv.Quote` and its relatives, and `strconv.Unquote` for template literals.

use crate::text::{decode_rune, is_print};

/// `strconv.Quote`: a double-quoted Go literal, non-printing runes escaped.
pub fn quote(bytes: &[u8]) -> String {
    quote_with(bytes, '"', false)
}

/// `strconv.QuoteToASCII`.
pub fn quote_ascii(bytes: &[u8]) -> String {
    quote_with(bytes, '"', true)
}

/// `strconv.QuoteRune`, with `ascii` as `QuoteRuneToASCII`.
pub fn quote_rune(c: char, ascii: bool) -> String {
    let mut buf = [0; 4];
    quote_with(c.encode_utf8(&mut buf).as_bytes(), '\'', ascii)
}

/// `%#U`: the code point and, when it prints, the rune.
pub fn quote_rune_unicode(c: char) -> String {
    let code = u32::from(c);
    if is_print(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}

/// `strconv.CanBackquote`: whether the text fits a raw literal.
pub fn can_backquote(bytes: &[u8]) -> bool {
    let mut at = 0;
    while at < bytes.len() {
        let (c, width) = decode_rune(&bytes[at..]);
        at += width;
        if width > 1 {
            if c == '\u{feff}' {
                return false;
            }
            continue;
        }
        if c == char::REPLACEMENT_CHARACTER || (c < ' ' && c != '\t') || c == '`' || c == '\u{7f}' {
            return false;
        }
    }
    true
}

fn quote_with(bytes: &[u8], mark: char, ascii: bool) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push(mark);
    let mut at = 0;
    while at < bytes.len() {
        let (c, width) = decode_rune(&bytes[at..]);
        if width == 1 && c == char::REPLACEMENT_CHARACTER {
            out.push_str(&format!("\\x{:02x}", bytes[at]));
            at += 1;
            continue;
        }
        at += width;
        if c == mark || c == '\\' {
            out.push('\\');
            out.push(c);
            continue;
        }
        if is_print(c) && (c.is_ascii() || !ascii) {
            out.push(c);
            continue;
        }
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            _ if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            _ if u32::from(c) < 0x10000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push(mark);
    out
}

/// `strconv.Unquote` of a literal with its quotes; `None` for invalid syntax.
pub(crate) fn unquote(literal: &[u8]) -> Option<Vec<u8>> {
    let (&mark, rest) = literal.split_first()?;
    let (&last, mut body) = rest.split_last()?;
    if mark != last {
        return None;
    }
    if mark == b'`' {
        if body.contains(&b'`') {
            return None;
        }
        return Some(body.iter().copied().filter(|&b| b != b'\r').collect());
    }
    if mark != b'"' || body.contains(&b'\n') {
        return None;
    }
    let mut out = Vec::with_capacity(body.len());
    while !body.is_empty() {
        let (unit, tail) = unquote_char(body, mark)?;
        match unit {
            Unit::Byte(b) => out.push(b),
            Unit::Rune(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        body = tail;
    }
    Some(out)
}

pub(crate) enum Unit {
    Byte(u8),
    Rune(char),
}

impl Unit {
    pub(crate) fn code(&self) -> u32 {
        match self {
            Unit::Byte(b) => u32::from(*b),
            Unit::Rune(c) => u32::from(*c),
        }
    }
}

/// `strconv.UnquoteChar`: the first character or escape and what follows it.
pub(crate) fn unquote_char(s: &[u8], mark: u8) -> Option<(Unit, &[u8])> {
    let first = *s.first()?;
    if first == mark && (mark == b'\'' || mark == b'"') {
        return None;
    }
    if first >= 0x80 {
        let (c, width) = decode_rune(s);
        return Some((Unit::Rune(c), &s[width..]));
    }
    if first != b'\\' {
        return Some((Unit::Byte(first), &s[1..]));
    }
    let kind = *s.get(1)?;
    let tail = &s[2..];
    let simple = |b: u8| Some((Unit::Byte(b), tail));
    match kind {
        b'a' => simple(7),
        b'b' => simple(8),
        b'f' => simple(12),
        b'n' => simple(b'\n'),
        b'r' => simple(b'\r'),
        b't' => simple(b'\t'),
        b'v' => simple(11),
        b'\\' => simple(b'\\'),
        b'\'' | b'"' if kind == mark => simple(kind),
        b'x' | b'u' | b'U' => {
            let n = match kind {
                b'x' => 2,
                b'u' => 4,
                _ => 8,
            };
            let digits = std::str::from_utf8(tail.get(..n)?).ok()?;
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            let code = u32::from_str_radix(digits, 16).ok()?;
            let unit = if kind == b'x' {
                Unit::Byte(u8::try_from(code).ok()?)
            } else {
                Unit::Rune(char::from_u32(code)?)
            };
            Some((unit, &tail[n..]))
        }
        b'0'..=b'7' => {
            let digits = s.get(1..4)?;
            let mut code = 0u32;
            for d in digits {
                if !(b'0'..=b'7').contains(d) {
                    return None;
                }
                code = code * 8 + u32::from(d - b'0');
            }
            Some((Unit::Byte(u8::try_from(code).ok()?), &s[4..]))
        }
        _ => None,
    }
}
