//! What each operator makes of a value. Values are bytes: positions count bytes in the original.

use crate::error::Error;
use crate::pattern::{Budget, matches};

pub(crate) fn apply(
    operator: &str,
    name: &str,
    value: Vec<u8>,
    arguments: &[Vec<u8>],
    budget: &mut Budget,
) -> Result<Vec<u8>, Error> {
    Ok(match (operator, arguments) {
        (",", _) => first_char(&value, lower),
        (",,", _) => all_chars(&value, lower),
        ("^", _) => first_char(&value, upper),
        ("^^", _) => all_chars(&value, upper),
        ("#", []) => value.len().to_string().into_bytes(),
        ("#", [pattern, ..]) => trim(value, pattern, true, budget)?,
        ("##", [pattern, ..]) => trim(value, pattern, false, budget)?,
        ("%", [pattern, ..]) => reverse(&trim(reverse(&value), &reverse(pattern), true, budget)?),
        ("%%", [pattern, ..]) => reverse(&trim(reverse(&value), &reverse(pattern), false, budget)?),
        (":", [position]) => substring(value, name, position, None)?,
        (":", [position, length, ..]) => substring(value, name, position, Some(length))?,
        ("/", [old, rest @ ..]) => replace(&value, old, new(rest), 1)?,
        ("//", [old, rest @ ..]) => replace(&value, old, new(rest), usize::MAX)?,
        ("/#", [old, new]) if value.starts_with(old) => replace(&value, old, new, 1)?,
        ("/%", [old, new]) if value.ends_with(old) => {
            let mut kept = value;
            kept.truncate(kept.len() - old.len());
            kept.extend_from_slice(new);
            kept
        }
        ("##" | "%" | "%%" | ":" | "/" | "//" | "/#" | "/%", _) => value,
        // Every other operator gives the default, `:+` and `:?` as well.
        _ if value.is_empty() => arguments.concat(),
        _ => value,
    })
}

fn new(rest: &[Vec<u8>]) -> &[u8] {
    rest.first().map_or(&[], Vec::as_slice)
}

fn all_chars(value: &[u8], map: fn(char) -> char) -> Vec<u8> {
    String::from_utf8_lossy(value).chars().map(map).collect::<String>().into_bytes()
}

fn first_char(value: &[u8], map: fn(char) -> char) -> Vec<u8> {
    let text = String::from_utf8_lossy(value);
    let mut chars = text.chars();
    match chars.next() {
        None => Vec::new(),
        Some(first) => format!("{}{}", map(first), chars.as_str()).into_bytes(),
    }
}

/// One character to one character, as Go's `unicode.ToUpper`.
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        // Greek with iota below: the full mapping has two characters, the simple one has one.
        _ => match u32::from(c) {
            code @ (0x1F80..=0x1F87 | 0x1F90..=0x1F97 | 0x1FA0..=0x1FA7) => {
                char::from_u32(code + 8).unwrap_or(c)
            }
            code @ (0x1FB3 | 0x1FC3 | 0x1FF3) => char::from_u32(code + 9).unwrap_or(c),
            _ => c,
        },
    }
}

/// One character to one character, as Go's `unicode.ToLower`.
fn lower(c: char) -> char {
    if c == 'İ' {
        return 'i';
    }
    let mut mapped = c.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// A number as Go's `strconv.Atoi` reads it.
fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn substring(
    value: Vec<u8>,
    name: &str,
    position: &[u8],
    length: Option<&Vec<u8>>,
) -> Result<Vec<u8>, Error> {
    let Some(position) = number(position) else { return Ok(value) };
    let size = value.len() as i64;
    let start = if position < 0 { (size + position).max(0) } else { position };
    let rest = |value: Vec<u8>| match usize::try_from(start) {
        Ok(start) => value.get(start..).unwrap_or_default().to_vec(),
        Err(_) => Vec::new(),
    };
    let Some(length) = length else { return Ok(rest(value)) };
    let Some(length) = number(length) else { return Ok(value) };
    let end = start.saturating_add(length);
    if end >= size {
        return Ok(rest(value));
    }
    if length < 0 {
        return Err(Error::Length(name.to_owned()));
    }
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    Ok(range.and_then(|(start, end)| value.get(start..end)).unwrap_or_default().to_vec())
}

/// Go's `strings.Replace`: an empty `old` is found before each character and at the end.
fn replace(value: &[u8], old: &[u8], new: &[u8], times: usize) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    let mut left = times;
    let put = |out: &mut Vec<u8>, bytes: &[u8]| {
        if out.len() + bytes.len() > crate::MAX_OUTPUT {
            return Err(Error::Limit("32 MiB of text"));
        }
        out.extend_from_slice(bytes);
        Ok(())
    };
    if old.is_empty() {
        while left > 0 {
            left -= 1;
            put(&mut out, new)?;
            let width = char_width(rest);
            put(&mut out, &rest[..width])?;
            rest = &rest[width..];
            if width == 0 {
                break;
            }
        }
    } else {
        while left > 0
            && let Some(at) = find(rest, old)
        {
            left -= 1;
            put(&mut out, &rest[..at])?;
            put(&mut out, new)?;
            rest = &rest[at + old.len()..];
        }
    }
    put(&mut out, rest)?;
    Ok(out)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    match (std::str::from_utf8(text), std::str::from_utf8(part)) {
        // The standard library's search is linear.
        (Ok(text), Ok(part)) => text.find(part),
        _ => text.windows(part.len()).position(|window| window == part),
    }
}

/// Bytes of the first character; 1 for a byte that begins none, 0 for nothing.
pub(crate) fn char_width(bytes: &[u8]) -> usize {
    let longest = bytes.len().min(4);
    (1..=longest)
        .find(|&width| std::str::from_utf8(&bytes[..width]).is_ok())
        .unwrap_or(longest.min(1))
}

fn reverse(value: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(value).chars().rev().collect::<String>().into_bytes()
}

/// Takes the shortest or longest beginning away that matches (and is not empty). A pattern that is
/// none takes nothing.
fn trim(
    value: Vec<u8>,
    pattern: &[u8],
    shortest: bool,
    budget: &mut Budget,
) -> Result<Vec<u8>, Error> {
    let mut found = None;
    for end in (1..=value.len()).rev() {
        match matches(pattern, &value[..end], budget)? {
            None => return Ok(value),
            Some(false) => {}
            Some(true) => {
                found = Some(end);
                if !shortest {
                    break;
                }
            }
        }
    }
    Ok(value[found.unwrap_or(0)..].to_vec())
}
