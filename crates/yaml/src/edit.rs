//! Changing single scalars of a text in place: every byte that does not belong to them stays.
//!
//! A scalar keeps its way of writing (quotes, block) where the new text allows it, and is put in double quotes
//! where it would be read as something other than a string. The result is read again, and given out only if it
//! is the old tree with those scalars changed and nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::resolve::{self, Resolved};
use crate::scan::Dialect;
use crate::{Data, Document, Error, ErrorKind, Node, Options, Quoting, Tag, parse_documents};

/// A scalar of a text, and the string it shall become.
#[derive(Clone, Copy, Debug)]
pub struct Replacement<'a> {
    /// The scalar, as [`parse_documents`] read it from the text.
    pub scalar: &'a Node,
    /// The new value.
    pub value: &'a str,
}

/// Gives scalars of `text` other values and leaves all other bytes alone.
///
/// `documents` is what [`parse_documents`] made of `text` with the same `options`.
///
/// # Errors
/// Where a scalar can't be changed alone: it is no scalar, has no bytes of its own (an empty value), or carries a
/// tag that makes something else of a string. The error names the scalar's line.
pub fn replace_scalars(
    text: &[u8],
    documents: &[Document],
    options: &Options,
    replacements: &[Replacement<'_>],
) -> Result<Vec<u8>, Error> {
    if matches!(text, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
        return Err(Error::new(ErrorKind::Encoding, 0, 0, "only UTF-8 can be edited in place"));
    }
    let mut splices = BTreeMap::new();
    let mut values = BTreeMap::new();
    for replacement in replacements {
        let at = replacement.scalar.position;
        values.insert(at.start, replacement);
        for splice in splices_of(text, replacement)? {
            splices.insert(splice.start, splice);
        }
    }
    let mut edited = Vec::with_capacity(text.len() + 64);
    let mut done = 0;
    for splice in splices.into_values() {
        edited.extend_from_slice(text.get(done..splice.start).unwrap_or_default());
        edited.extend_from_slice(splice.text.as_bytes());
        done = splice.end;
    }
    edited.extend_from_slice(text.get(done..).unwrap_or_default());

    let result = parse_documents(&edited, options)?;
    let is_same = result.len() == documents.len()
        && documents.iter().zip(&result).all(|(before, after)| {
            before.comments == after.comments && is_as_wanted(&before.root, &after.root, &values)
        });
    if is_same {
        return Ok(edited);
    }
    let lines = replacements.iter().map(|one| one.scalar.position.line);
    let line = lines.min().unwrap_or_default();
    let message = "the value can't be changed in place without changing what surrounds it";
    Err(Error::new(ErrorKind::Content, line, 1, message))
}

struct Splice {
    start: usize,
    end: usize,
    text: String,
}

fn splices_of(text: &[u8], replacement: &Replacement<'_>) -> Result<Vec<Splice>, Error> {
    let Replacement { scalar, value } = *replacement;
    let at = scalar.position;
    let fail = |message: &str| Error::new(ErrorKind::Content, at.line, at.column, message);
    if !matches!(scalar.data, Data::Scalar(_)) {
        return Err(fail("only a scalar can be replaced"));
    }
    if scalar.style.tagged && !matches!(scalar.tag, Tag::Str | Tag::Other(_)) {
        return Err(fail("the value's tag makes something else than a string of it"));
    }
    let (start, end) = (at.start as usize, at.end as usize);
    if start >= end || end > text.len() {
        return Err(fail("there is no value to replace; write one, such as \"\""));
    }
    let written = match scalar.style.quoting {
        Quoting::Literal | Quoting::Folded => {
            return block_splices(text, scalar, value).ok_or_else(|| {
                fail("this block scalar can't take the value; write it on the key's line")
            });
        }
        Quoting::Single if is_printable(value) => format!("'{}'", value.replace('\'', "''")),
        Quoting::Plain if is_plain(value) => value.to_owned(),
        _ => double_quoted(value),
    };
    Ok(vec![Splice { start, end, text: written }])
}

/// Whether a text can stand without quotes anywhere and is a string for every reader.
fn is_plain(value: &str) -> bool {
    let is_safe = |b: u8| b.is_ascii_alphanumeric() || b"._/@:+-".contains(&b);
    value.bytes().all(is_safe)
        && value.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && !value.ends_with(':')
        && [Dialect::V2, Dialect::V3].iter().all(|d| resolve::plain(value, *d) == Resolved::Str)
        && !resolve::is_base60(value)
        && !resolve::is_old_bool(value)
}

fn is_printable(value: &str) -> bool {
    value.bytes().all(|b| (0x20..0x7F).contains(&b))
}

fn double_quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            _ if u32::from(c) <= 0xFFFF => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            _ => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

/// The lines of a block scalar become one, and its header says that no line break follows the text.
fn block_splices(text: &[u8], scalar: &Node, value: &str) -> Option<Vec<Splice>> {
    if value.is_empty() || value.starts_with(' ') || !is_printable(value) {
        return None;
    }
    let (start, end) = (scalar.position.start as usize, scalar.position.end as usize);
    let old = scalar.text()?;
    let header = text.get(start..)?;
    let indicators = 1 + header[1..].iter().take_while(|b| b"+-0123456789".contains(b)).count();
    let mut splices = Vec::new();
    match header[..indicators].iter().position(|b| b"+-".contains(b)) {
        Some(at) if header[at] == b'-' => {}
        Some(at) => {
            splices.push(Splice { start: start + at, end: start + at + 1, text: "-".to_owned() })
        }
        None => {
            let at = start + indicators;
            splices.push(Splice { start: at, end: at, text: "-".to_owned() });
        }
    }
    let mut at = start + memchr::memchr(b'\n', header)? + 1;
    let first = at;
    let mut indent = None;
    let mut last = None;
    while at < end {
        let rest = text.get(at..end)?;
        let next = at + memchr::memchr(b'\n', rest).map_or(rest.len(), |found| found + 1);
        let line = text.get(at..next)?.trim_ascii_end();
        if !line.is_empty() {
            let spaces = line.iter().take_while(|b| **b == b' ').count();
            // Blanks beyond the indentation are part of the text.
            let own = || old.trim_start_matches('\n').bytes().take_while(|b| *b == b' ').count();
            indent = indent.or_else(|| spaces.checked_sub(own()));
            last = Some(at + line.len());
        }
        at = next;
    }
    let line = format!("{:width$}{value}", "", width = indent?);
    splices.push(Splice { start: first, end: last?, text: line });
    Some(splices)
}

/// Whether `after` is `before` with the wanted values: same structure, tags, anchors, comments and texts elsewhere.
fn is_as_wanted(before: &Node, after: &Node, values: &BTreeMap<u32, &Replacement<'_>>) -> bool {
    if before.anchor() != after.anchor() || before.comments() != after.comments() {
        return false;
    }
    match (&before.data, &after.data) {
        (Data::Scalar(old), Data::Scalar(new)) => {
            // An empty value stands where the next token begins: only the scalar itself is meant.
            let wanted = values.get(&before.position.start);
            match wanted.filter(|wanted| wanted.scalar.position == before.position) {
                Some(wanted) => {
                    new == wanted.value
                        && before.style.tagged == after.style.tagged
                        && (after.tag == Tag::Str || after.tag == before.tag)
                }
                None => old == new && before.tag == after.tag && before.style == after.style,
            }
        }
        (Data::Alias(old), Data::Alias(new)) => old == new,
        (Data::Sequence(old), Data::Sequence(new)) => {
            before.tag == after.tag
                && before.style == after.style
                && old.len() == new.len()
                && old.iter().zip(new).all(|(old, new)| is_as_wanted(old, new, values))
        }
        (Data::Mapping(old), Data::Mapping(new)) => {
            before.tag == after.tag
                && before.style == after.style
                && old.len() == new.len()
                && old.iter().zip(new).all(|((old_key, old), (new_key, new))| {
                    is_as_wanted(old_key, new_key, values) && is_as_wanted(old, new, values)
                })
        }
        _ => false,
    }
}
