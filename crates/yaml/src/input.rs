//! From bytes to the text a reader may see. Owns encodings, byte order marks and forbidden
//! characters as go-yaml's reader treats them; knows no YAML.

use std::borrow::Cow;

/// Text that has been checked, as far as it may be read.
pub(crate) struct Input<'a> {
    /// Valid text without forbidden characters.
    pub(crate) text: Cow<'a, str>,
    /// Bytes of a leading byte order mark in `text`.
    pub(crate) skip: usize,
    /// What is wrong with the bytes after `text`.
    pub(crate) fault: Option<&'static str>,
}

/// go-yaml reads its input in pieces of this size, and meets a bad byte when it needs the piece
/// that holds it. That decides whether a fault after the first document matters.
const PIECE: usize = 512;

const INCOMPLETE: &str = "incomplete UTF-8 octet sequence";
const CONTROL: &str = "control characters are not allowed";

/// Decodes and checks all of `bytes`.
pub(crate) fn check(bytes: &[u8]) -> Input<'_> {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Input<'_> {
    let (valid, encoding_fault) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let end = error.valid_up_to();
            let valid = bytes.get(..end).and_then(|good| std::str::from_utf8(good).ok());
            (valid.unwrap_or_default(), Some((end, utf8_fault(&bytes[end..]))))
        }
    };
    let control = forbidden(valid).map(|at| (at, CONTROL));
    let skip = if valid.starts_with('\u{FEFF}') { 3 } else { 0 };
    match control.or(encoding_fault) {
        None => Input { text: Cow::Borrowed(valid), skip, fault: None },
        Some((at, fault)) => {
            // A sequence that the text's end cuts off is noticed only there.
            let mut end = if fault == INCOMPLETE { at } else { at - at % PIECE };
            while !valid.is_char_boundary(end) {
                end -= 1;
            }
            let text = Cow::Borrowed(valid.get(..end).unwrap_or_default());
            Input { skip: skip.min(text.len()), text, fault: Some(fault) }
        }
    }
}

/// go-yaml's word for a broken sequence.
fn utf8_fault(rest: &[u8]) -> &'static str {
    let Some(&lead) = rest.first() else { return INCOMPLETE };
    let width = match lead {
        0x00..=0x7F => 1,
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF7 => 4,
        _ => return "invalid leading UTF-8 octet",
    };
    if width > rest.len() {
        return INCOMPLETE;
    }
    if rest[1..width].iter().any(|octet| octet & 0xC0 != 0x80) {
        return "invalid trailing UTF-8 octet";
    }
    let value = rest[1..width]
        .iter()
        .fold(u32::from(lead) & (0xFF >> (width + 1)), |v, o| (v << 6) + u32::from(o & 0x3F));
    if value < [0, 0, 0x80, 0x800, 0x10000][width] {
        return "invalid length of a UTF-8 sequence";
    }
    "invalid Unicode character"
}

/// Where the first character is that YAML does not allow in a text.
fn forbidden(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    // Eight bytes at a time: nearly all text is printable ASCII and line feeds.
    while at < bytes.len() {
        let piece = &bytes[at..bytes.len().min(at + 32)];
        let plain =
            piece.iter().fold(true, |ok, &b| ok & ((0x20..0x7F).contains(&b) | (b == b'\n')));
        if plain {
            at += piece.len();
            continue;
        }
        for (offset, &b) in piece.iter().enumerate() {
            let bad = match b {
                b'\t' | b'\n' | b'\r' | 0x20..=0x7E => false,
                0x00..=0x1F | 0x7F => true,
                // U+0080 to U+009F but for U+0085.
                0xC2 => matches!(bytes.get(at + offset + 1), Some(&n) if n < 0xA0 && n != 0x85),
                // U+FFFE and U+FFFF.
                0xEF => {
                    bytes.get(at + offset + 1) == Some(&0xBF)
                        && matches!(bytes.get(at + offset + 2), Some(0xBE | 0xBF))
                }
                _ => false,
            };
            if bad {
                return Some(at + offset);
            }
        }
        at += piece.len();
    }
    None
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Input<'static> {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let mut text = String::with_capacity(bytes.len());
    let mut fault = None;
    let all = bytes.len() / 2;
    let mut left = all;
    // Length of the text up to the piece (which begin with the byte order mark) now read.
    let (mut piece, mut readable) = (0, 0);
    for decoded in char::decode_utf16(units) {
        let now = (2 + 2 * (all - left)) / PIECE;
        if now > piece {
            (piece, readable) = (now, text.len());
        }
        match decoded {
            Ok('\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{A0}'..='\u{FFFD}')
            | Ok('\u{10000}'..) => {}
            Ok(_) => {
                text.truncate(readable);
                fault = Some(CONTROL);
                break;
            }
            Err(_) => {}
        }
        match decoded {
            Ok(c) => {
                text.push(c);
                left -= c.len_utf16();
            }
            Err(error) => {
                fault = Some(if error.unpaired_surrogate() & 0xFC00 == 0xDC00 {
                    "unexpected low surrogate area"
                } else if left == 1 {
                    "incomplete UTF-16 surrogate pair"
                } else {
                    "expected low surrogate area"
                });
                if left != 1 {
                    text.truncate(readable);
                }
                break;
            }
        }
    }
    if fault.is_none() && bytes.len() % 2 == 1 {
        fault = Some("incomplete UTF-16 character");
    }
    Input { text: Cow::Owned(text), skip: 0, fault }
}
