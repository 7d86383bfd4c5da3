//! Sprig's string functions. Strings are bytes, as Go's; lengths and cuts count bytes.

use std::collections::HashSet;

use borax_gotmpl::{
    Context, FuncError, FuncMap, Map, Str, Type, Value, quote, runes, sprint, sprintf,
};
use memchr::memmem;

use super::args::{bytes, int, text};
use super::{fixed, strval, strvals, variadic};

pub(super) fn add(f: &mut FuncMap) {
    use Type::{Any, Int, Str as S};
    fixed(f, "abbrev", &[Int, S], |_, a| {
        Ok(Value::str(abbreviate_both(0, int(&a[0]), bytes(&a[1]), true)))
    });
    fixed(f, "abbrevboth", &[Int, Int, S], |_, a| {
        let (left, right) = (int(&a[0]), int(&a[1]));
        if right < 4 || (left > 0 && right < 7) {
            return Ok(a[2].clone());
        }
        Ok(Value::str(abbreviate_both(left, right, bytes(&a[2]), false)))
    });
    fixed(f, "trunc", &[Int, S], |_, a| {
        let (c, s) = (int(&a[0]), bytes(&a[1]));
        let n = usize::try_from(c.unsigned_abs()).unwrap_or(usize::MAX);
        Ok(Value::str(if c < 0 && s.len() > n {
            &s[s.len() - n..]
        } else if c >= 0 && s.len() > n {
            &s[..n]
        } else {
            s
        }))
    });
    fixed(f, "trim", &[S], |_, a| Ok(Value::str(text(&a[0]).trim_matches(borax_gotmpl::is_space))));
    fixed(f, "upper", &[S], |_, a| Ok(map_runes(&a[0], to_upper)));
    fixed(f, "lower", &[S], |_, a| Ok(map_runes(&a[0], to_lower)));
    fixed(f, "title", &[S], |_, a| {
        let mut previous = ' ';
        Ok(map_runes(&a[0], |c| {
            let first = is_separator(previous);
            previous = c;
            if first { to_upper(c) } else { c }
        }))
    });
    fixed(f, "untitle", &[S], |_, a| {
        let mut first = true;
        Ok(map_runes(&a[0], |c| {
            if borax_gotmpl::is_space(c) {
                first = true;
                return c;
            }
            if std::mem::take(&mut first) { to_lower(c) } else { c }
        }))
    });
    fixed(f, "swapcase", &[S], |_, a| {
        let mut space = true;
        Ok(map_runes(&a[0], |c| {
            if c.is_uppercase() {
                space = false;
                to_lower(c)
            } else if c.is_lowercase() {
                space = false;
                to_upper(c)
            } else {
                space = borax_gotmpl::is_space(c);
                c
            }
        }))
    });
    fixed(f, "substr", &[Int, Int, S], |_, a| {
        let (start, end, s) = (int(&a[0]), int(&a[1]), bytes(&a[2]));
        let len = i64::try_from(s.len()).unwrap_or(i64::MAX);
        let (from, to) = if start < 0 {
            (0, end)
        } else if end < 0 || end > len {
            (start, len)
        } else {
            (start, end)
        };
        slice_bytes(s, from, to)
    });
    fixed(f, "repeat", &[Int, S], |cx, a| {
        let n = usize::try_from(int(&a[0]))
            .map_err(|_| FuncError::new("strings: negative Repeat count"))?;
        let s = bytes(&a[1]);
        cx.make(n.saturating_mul(s.len()))?;
        Ok(Value::str(s.repeat(n)))
    });
    for name in ["trimall", "trimAll"] {
        fixed(f, name, &[S, S], |_, a| {
            let cut: HashSet<char> = text(&a[0]).chars().collect();
            Ok(Value::str(text(&a[1]).trim_matches(|c| cut.contains(&c))))
        });
    }
    fixed(f, "trimSuffix", &[S, S], |_, a| {
        let s = bytes(&a[1]);
        Ok(Value::str(s.strip_suffix(bytes(&a[0])).unwrap_or(s)))
    });
    fixed(f, "trimPrefix", &[S, S], |_, a| {
        let s = bytes(&a[1]);
        Ok(Value::str(s.strip_prefix(bytes(&a[0])).unwrap_or(s)))
    });
    fixed(f, "nospace", &[S], |_, a| {
        // The library takes every byte for a character.
        let kept = bytes(&a[0]).iter().map(|b| char::from(*b));
        Ok(Value::str(kept.filter(|c| !borax_gotmpl::is_space(*c)).collect::<String>()))
    });
    fixed(f, "initials", &[S], |_, a| {
        let mut first = true;
        let mut out = String::new();
        for c in text(&a[0]).chars() {
            if borax_gotmpl::is_space(c) {
                first = true;
            } else if std::mem::take(&mut first) {
                out.push(c);
            }
        }
        Ok(Value::str(out))
    });
    fixed(f, "wrap", &[Int, S], |cx, a| wrap(cx, bytes(&a[1]), int(&a[0]), b"", false));
    fixed(f, "wrapWith", &[Int, S, S], |cx, a| {
        wrap(cx, bytes(&a[2]), int(&a[0]), bytes(&a[1]), true)
    });
    fixed(f, "contains", &[S, S], |_, a| {
        Ok(Value::Bool(find(bytes(&a[1]), bytes(&a[0]), 0).is_some()))
    });
    fixed(f, "hasPrefix", &[S, S], |_, a| Ok(Value::Bool(bytes(&a[1]).starts_with(bytes(&a[0])))));
    fixed(f, "hasSuffix", &[S, S], |_, a| Ok(Value::Bool(bytes(&a[1]).ends_with(bytes(&a[0])))));
    variadic(f, "quote", &[Any], |cx, a| {
        let mut out = String::new();
        for v in a.iter().filter(|v| !v.is_nil()) {
            let text = strval(cx, v)?;
            cx.make(out.len() + text.len() * 6)?;
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&quote(text.as_bytes()));
        }
        Ok(Value::str(out))
    });
    variadic(f, "squote", &[Any], |cx, a| {
        let mut out: Vec<u8> = Vec::new();
        for v in a.iter().filter(|v| !v.is_nil()) {
            let mut room = cx.room();
            room.take(out.len())?;
            let text = sprint(std::slice::from_ref(v), room.left()).map_err(|_| room.over())?;
            room.take(text.len())?;
            cx.made(room)?;
            if !out.is_empty() {
                out.push(b' ');
            }
            out.push(b'\'');
            out.extend_from_slice(&text);
            out.push(b'\'');
        }
        Ok(Value::str(out))
    });
    variadic(f, "cat", &[Any], |cx, a| {
        let kept: Vec<Value> = a.iter().filter(|v| !v.is_nil()).cloned().collect();
        let format = vec!["%v"; kept.len()].join(" ");
        let mut room = cx.room();
        let out = sprintf(format.as_bytes(), &kept, room.left()).map_err(|_| room.over())?;
        room.take(out.len())?;
        cx.made(room)?;
        Ok(Value::str(out))
    });
    fixed(f, "indent", &[Int, S], |cx, a| indent(cx, int(&a[0]), bytes(&a[1]), false));
    fixed(f, "nindent", &[Int, S], |cx, a| indent(cx, int(&a[0]), bytes(&a[1]), true));
    fixed(f, "replace", &[S, S, S], |cx, a| replace(cx, bytes(&a[2]), bytes(&a[0]), bytes(&a[1])));
    fixed(f, "plural", &[S, S, Int], |_, a| {
        Ok(if int(&a[2]) == 1 { a[0].clone() } else { a[1].clone() })
    });
    fixed(f, "toString", &[Any], |cx, a| Ok(Value::Str(strval(cx, &a[0])?)));
    fixed(f, "toStrings", &[Any], |cx, a| Ok(Value::strings(strvals(cx, &a[0])?)));
    fixed(f, "join", &[S, Any], |cx, a| {
        let parts = strvals(cx, &a[1])?;
        let texts: usize = parts.iter().map(Str::len).fold(0, usize::saturating_add);
        cx.make(texts.saturating_add(parts.len().saturating_mul(bytes(&a[0]).len())))?;
        let parts: Vec<&[u8]> = parts.iter().map(Str::as_bytes).collect();
        Ok(Value::str(parts.join(bytes(&a[0]))))
    });
    fixed(f, "split", &[S, S], |cx, a| Ok(numbered(split(cx, bytes(&a[1]), bytes(&a[0]), -1)?)));
    fixed(f, "splitn", &[S, Int, S], |cx, a| {
        Ok(numbered(split(cx, bytes(&a[2]), bytes(&a[0]), int(&a[1]))?))
    });
    fixed(f, "splitList", &[S, S], |cx, a| {
        Ok(Value::strings(split(cx, bytes(&a[1]), bytes(&a[0]), -1)?))
    });
    fixed(f, "snakecase", &[S], |_, a| Ok(Value::str(super::case::lower_words(&text(&a[0]), '_'))));
    fixed(f, "kebabcase", &[S], |_, a| Ok(Value::str(super::case::lower_words(&text(&a[0]), '-'))));
    fixed(f, "camelcase", &[S], |_, a| Ok(Value::str(super::case::pascal(&text(&a[0])))));
}

pub(super) fn to_upper(c: char) -> char {
    let mut all = c.to_uppercase();
    match (all.next(), all.next()) {
        (Some(u), None) => u,
        _ => c,
    }
}

pub(super) fn to_lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// What Go's deprecated `strings.Title` takes for a word boundary.
fn is_separator(c: char) -> bool {
    if c.is_ascii() {
        return !(c.is_ascii_alphanumeric() || c == '_');
    }
    !borax_gotmpl::is_letter(c) && !borax_gotmpl::is_digit(c) && borax_gotmpl::is_space(c)
}

fn map_runes(v: &Value, mut f: impl FnMut(char) -> char) -> Value {
    Value::str(runes(bytes(v)).map(|(c, _)| f(c)).collect::<String>())
}

pub(super) fn slice_bytes(s: &[u8], from: i64, to: i64) -> Result<Value, FuncError> {
    let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
    match range.and_then(|(from, to)| s.get(from..to)) {
        Some(part) => Ok(Value::str(part)),
        None => {
            let len = i64::try_from(s.len()).unwrap_or(i64::MAX);
            Err(FuncError::new(if to < 0 || to > len {
                if to < 0 {
                    format!("runtime error: slice bounds out of range [:{to}]")
                } else {
                    format!("runtime error: slice bounds out of range [:{to}] with length {len}")
                }
            } else {
                format!("runtime error: slice bounds out of range [{from}:{to}]")
            }))
        }
    }
}

fn abbreviate_both(offset: i64, width: i64, s: &[u8], simple: bool) -> Vec<u8> {
    let len = i64::try_from(s.len()).unwrap_or(i64::MAX);
    if (simple && width < 4) || len <= width {
        return s.to_vec();
    }
    if width < 4 {
        return Vec::new();
    }
    let at = |i: i64| usize::try_from(i).unwrap_or(0).min(s.len());
    let mut offset = offset.min(len);
    if len - offset < width - 3 {
        offset = len - (width - 3);
    }
    if offset <= 4 {
        return [&s[..at(width - 3)], b"..."].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + width - 3 < len {
        let inner = abbreviate_both(0, width - 3, &s[at(offset)..], false);
        return [b"...".to_vec(), inner].concat();
    }
    [b"...", &s[at(len - (width - 3))..]].concat()
}

fn wrap(
    cx: &mut Context<'_>,
    s: &[u8],
    width: i64,
    separator: &[u8],
    long_words: bool,
) -> Result<Value, FuncError> {
    let separator = if separator.is_empty() { b"\n" } else { separator };
    let width = usize::try_from(width.max(1)).unwrap_or(usize::MAX);
    cx.make((s.len() / width).saturating_mul(separator.len() + 1))?;
    let mut out = Vec::new();
    let mut at = 0;
    while s.len() - at > width {
        if s[at] == b' ' {
            at += 1;
            continue;
        }
        let window = &s[at..at + width + 1];
        if let Some(space) = window.iter().rposition(|&b| b == b' ') {
            out.extend_from_slice(&s[at..at + space]);
            out.extend_from_slice(separator);
            at += space + 1;
        } else if long_words {
            out.extend_from_slice(&s[at..at + width]);
            out.extend_from_slice(separator);
            at += width;
        } else if let Some(space) = s[at + width..].iter().position(|&b| b == b' ') {
            let end = at + width + space;
            out.extend_from_slice(&s[at..end]);
            out.extend_from_slice(separator);
            at = end + 1;
        } else {
            break;
        }
    }
    out.extend_from_slice(&s[at..]);
    Ok(Value::str(out))
}

fn indent(cx: &mut Context<'_>, spaces: i64, s: &[u8], newline: bool) -> Result<Value, FuncError> {
    let n =
        usize::try_from(spaces).map_err(|_| FuncError::new("strings: negative Repeat count"))?;
    let lines = 1 + s.iter().filter(|&&b| b == b'\n').count();
    cx.make(s.len().saturating_add(n.saturating_mul(lines)))?;
    let mut out = Vec::with_capacity(s.len() + n * lines + 1);
    if newline {
        out.push(b'\n');
    }
    for (i, line) in s.split(|&b| b == b'\n').enumerate() {
        if i > 0 {
            out.push(b'\n');
        }
        out.resize(out.len() + n, b' ');
        out.extend_from_slice(line);
    }
    Ok(Value::str(out))
}

pub(super) fn find(s: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    memmem::find(s.get(from..)?, needle).map(|i| i + from)
}

fn replace(cx: &mut Context<'_>, s: &[u8], old: &[u8], new: &[u8]) -> Result<Value, FuncError> {
    let mut out = Vec::new();
    let mut room = cx.room();
    room.take(s.len())?;
    if old.is_empty() {
        // Go puts the new text before every rune and at the end.
        let mut at = 0;
        for (_, width) in runes(s) {
            room.take(new.len())?;
            out.extend_from_slice(new);
            out.extend_from_slice(&s[at..at + width]);
            at += width;
        }
        room.take(new.len())?;
        out.extend_from_slice(new);
    } else {
        let mut at = 0;
        for found in memmem::find_iter(s, old) {
            room.take(new.len())?;
            out.extend_from_slice(&s[at..found]);
            out.extend_from_slice(new);
            at = found + old.len();
        }
        out.extend_from_slice(&s[at..]);
    }
    cx.made(room)?;
    Ok(Value::str(out))
}

/// What a part of a split text takes beside its bytes, as an entry of a map.
pub(super) const PART: usize = 256;

/// Go's `strings.SplitN`.
pub(super) fn split(
    cx: &mut Context<'_>,
    s: &[u8],
    sep: &[u8],
    n: i64,
) -> Result<Vec<Str>, FuncError> {
    if n == 0 {
        return Ok(Vec::new());
    }
    let most = usize::try_from(n).unwrap_or(usize::MAX);
    let mut room = cx.room();
    room.take(s.len().saturating_add(PART))?;
    let mut out = Vec::new();
    let mut at = 0;
    if sep.is_empty() {
        for (_, width) in runes(s) {
            if out.len() + 1 == most {
                break;
            }
            room.take(PART)?;
            out.push(Str::from(&s[at..at + width]));
            at += width;
        }
        if at < s.len() {
            out.push(Str::from(&s[at..]));
        }
    } else {
        for found in memmem::find_iter(s, sep) {
            if out.len() + 1 >= most {
                break;
            }
            room.take(PART)?;
            out.push(Str::from(&s[at..found]));
            at = found + sep.len();
        }
        out.push(Str::from(&s[at..]));
    }
    cx.made(room)?;
    Ok(out)
}

fn numbered(parts: Vec<Str>) -> Value {
    let map = Map::typed(borax_gotmpl::Elem::Str);
    for (i, part) in parts.into_iter().enumerate() {
        map.set(format!("_{i}"), Value::Str(part));
    }
    Value::Map(map)
}
