//! Go's regular expressions: RE2 syntax, run by the `regex` crate after translating what the two read differently
//! (classes that are ASCII in Go, literal brackets and braces, `\Q…\E`); and Go's templates for what was found.
//!
//! Both search in linear time and prefer the leftmost match and the first alternative, so matches are the same.

use regex::bytes::{Captures, Regex, RegexBuilder};

/// Largest compiled program, in bytes.
const MAX_PROGRAM: usize = 4 << 20;

/// Why a pattern is refused, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RegexpError(String);

/// Compiles a pattern as Go's `regexp.Compile` reads it.
///
/// # Errors
/// Where Go refuses the pattern, and where the program would take more than 4 MiB.
pub fn compile(pattern: &str) -> Result<Regex, RegexpError> {
    RegexBuilder::new(&translate(pattern).map_err(RegexpError)?)
        .size_limit(MAX_PROGRAM)
        .nest_limit(250)
        .build()
        .map_err(|e| RegexpError(describe(pattern, &e)))
}

/// Appends `template` with the groups of a match in place of `$1`, `$name`, `${1}` and `${name}`; `$$` is a dollar sign.
///
/// Go's `Regexp.Expand`: a name is as long as letters, digits and underscores go on; what names no group is empty; a
/// dollar sign that begins none of these stays.
pub fn expand(template: &str, found: &Captures<'_>, out: &mut Vec<u8>) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.extend_from_slice(before.as_bytes());
        if let Some(after) = after.strip_prefix('$') {
            out.push(b'$');
            rest = after;
            continue;
        }
        let Some((name, after)) = group_name(after) else {
            out.push(b'$');
            rest = after;
            continue;
        };
        let group = match name.parse::<usize>() {
            Ok(number) if is_number(name) => found.get(number),
            _ => found.name(name),
        };
        out.extend_from_slice(group.map_or(&[][..], |group| group.as_bytes()));
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Go takes a name for a number when it is all digits, has nine at most, and no zero in front.
fn is_number(name: &str) -> bool {
    let has_zero = name.len() > 1 && name.starts_with('0');
    name.bytes().all(|b| b.is_ascii_digit()) && name.len() < 10 && !has_zero
}

/// The name at the beginning of what follows a `$`, and the rest.
fn group_name(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let body = braced.unwrap_or(text);
    let end = body.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(body.len());
    let (name, after) = body.split_at(end);
    if name.is_empty() {
        return None;
    }
    match braced {
        Some(_) => Some((name, after.strip_prefix('}')?)),
        None => Some((name, after)),
    }
}

fn describe(pattern: &str, e: &regex::Error) -> String {
    let text = e.to_string();
    let what = if text.contains("unclosed group") {
        "missing closing )"
    } else if text.contains("unopened group") {
        "unexpected )"
    } else if text.contains("unclosed character class") {
        "missing closing ]"
    } else if text.contains("repetition operator missing expression") {
        "missing argument to repetition operator"
    } else if text.contains("look-around") {
        "invalid or unsupported Perl syntax"
    } else if text.contains("escape") || text.contains("backreference") {
        "invalid escape sequence"
    } else {
        "invalid regular expression"
    };
    format!("error parsing regexp: {what}: `{pattern}`")
}

/// RE2 syntax in the `regex` crate's terms.
fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        match c {
            '\\' if tail.starts_with('Q') => {
                let body = &tail[1..];
                let (literal, after) = body.split_once("\\E").unwrap_or((body, ""));
                out.push_str(&regex::escape(literal));
                rest = after;
            }
            '\\' => rest = escape(tail, false, &mut out)?,
            '[' => rest = class(tail, &mut out)?,
            '{' => {
                // A brace that starts no repetition is a literal.
                let close = tail.find('}');
                let body = close.map(|end| &tail[..end]);
                let repeats = body.is_some_and(|b| {
                    let (low, high) = b.split_once(',').unwrap_or((b, ""));
                    let number = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
                    !low.is_empty() && number(low) && number(high)
                });
                if let (true, Some(body)) = (repeats, body) {
                    if body.split(',').any(|n| n.parse::<u32>().is_ok_and(|n| n > 1000)) {
                        return Err(format!(
                            "error parsing regexp: invalid repeat count: `{{{body}}}`"
                        ));
                    }
                    out.push('{');
                } else {
                    out.push_str("\\{");
                }
                rest = tail;
            }
            '}' if !out_open_brace(&out) => {
                out.push_str("\\}");
                rest = tail;
            }
            '*' | '+' | '?' => {
                // A repetition, maybe lazy; RE2 refuses to repeat a repetition.
                let lazy = tail.strip_prefix('?');
                let after = lazy.unwrap_or(tail);
                if !out.is_empty() && after.starts_with(['*', '+', '?']) {
                    let end = pattern.len() - after.len() + 1;
                    let shown = &pattern[pattern.len() - rest.len()..end];
                    return Err(format!(
                        "error parsing regexp: invalid nested repetition operator: `{shown}`"
                    ));
                }
                out.push(c);
                if lazy.is_some() && !out.ends_with("(?") {
                    out.push('?');
                }
                rest = if out.ends_with("(?") { tail } else { after };
            }
            _ => {
                out.push(c);
                rest = tail;
            }
        }
    }
    Ok(out)
}

/// Whether the output ends inside a repetition count.
fn out_open_brace(out: &str) -> bool {
    let body = out.trim_end_matches(|c: char| c.is_ascii_digit() || c == ',');
    body.ends_with('{') && !body.ends_with("\\{") && body.len() < out.len()
}

/// Translates an escape; `tail` starts after the backslash.
fn escape<'a>(tail: &'a str, in_class: bool, out: &mut String) -> Result<&'a str, String> {
    let Some(c) = tail.chars().next() else {
        return Err("error parsing regexp: trailing backslash at end of expression: ``".into());
    };
    let after = &tail[c.len_utf8()..];
    let whole = match (c, in_class) {
        ('d', false) => "[0-9]",
        ('D', _) => "[^0-9]",
        ('w', false) => "[0-9A-Za-z_]",
        ('W', _) => "[^0-9A-Za-z_]",
        ('s', false) => r"[\t\n\f\r ]",
        ('S', _) => r"[^\t\n\f\r ]",
        ('d', true) => "0-9",
        ('w', true) => "0-9A-Za-z_",
        ('s', true) => r"\t\n\f\r\x20",
        ('b', false) => r"(?-u:\b)",
        ('B', false) => r"(?-u:\B)",
        _ => "",
    };
    if !whole.is_empty() {
        out.push_str(whole);
        return Ok(after);
    }
    match c {
        'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'A' | 'z' | 'x' | 'p' | 'P' => {
            out.push('\\');
            out.push(c);
        }
        '0'..='7' => {
            let digits: String =
                tail.chars().take(3).take_while(|c| ('0'..='7').contains(c)).collect();
            if c != '0' && digits.len() < 2 {
                return Err(format!("error parsing regexp: invalid escape sequence: `\\{c}`"));
            }
            let code = u32::from_str_radix(&digits, 8).unwrap_or(0);
            out.push_str(&format!("\\x{{{code:x}}}"));
            return Ok(&tail[digits.len()..]);
        }
        _ if c.is_ascii_punctuation() => out.push_str(&regex::escape(&c.to_string())),
        _ => return Err(format!("error parsing regexp: invalid escape sequence: `\\{c}`")),
    }
    Ok(after)
}

/// Translates a bracketed class; `tail` starts after the bracket.
fn class<'a>(tail: &'a str, out: &mut String) -> Result<&'a str, String> {
    out.push('[');
    let mut rest = tail;
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    if let Some(after) = rest.strip_prefix(']') {
        out.push_str("\\]");
        rest = after;
    }
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            ']' => {
                out.push(']');
                return Ok(after);
            }
            '[' if after.starts_with(':') && after.contains(":]") => {
                let end = after.find(":]").map_or(0, |i| i + 2);
                out.push('[');
                out.push_str(&after[..end]);
                rest = &after[end..];
            }
            // What stands for many characters is no end of a range: a dash after it is a dash.
            '\\' if after.starts_with(['d', 'D', 'w', 'W', 's', 'S', 'p', 'P']) => {
                rest = escape(after, true, out)?;
                if out.ends_with("\\p") || out.ends_with("\\P") {
                    let end = if rest.starts_with('{') { rest.find('}') } else { Some(0) };
                    let width = rest.chars().next().map_or(0, char::len_utf8);
                    let (name, tail) =
                        rest.split_at(end.map_or(0, |end| end + width.max(1)).min(rest.len()));
                    out.push_str(name);
                    rest = tail;
                }
            }
            _ => {
                rest = single(rest, out)?;
                if let Some(high) = rest.strip_prefix('-')
                    && !high.is_empty()
                    && !high.starts_with(']')
                {
                    out.push('-');
                    rest = single(high, out)?;
                }
            }
        }
    }
    Err(format!("error parsing regexp: missing closing ]: `[{tail}`"))
}

/// Translates one character of a class, an end of a range perhaps.
fn single<'a>(rest: &'a str, out: &mut String) -> Result<&'a str, String> {
    let Some(c) = rest.chars().next() else { return Ok(rest) };
    let after = &rest[c.len_utf8()..];
    if c != '\\' {
        if matches!(c, '-' | '[' | '&' | '~' | '^') {
            out.push('\\');
        }
        out.push(c);
        return Ok(after);
    }
    let after = escape(after, true, out)?;
    if !out.ends_with("\\x") {
        return Ok(after);
    }
    // The digits belong to the escape.
    let end = match after.strip_prefix('{') {
        Some(body) => body.find('}').map_or(after.len(), |end| end + 2),
        None => after.chars().take(2).map(char::len_utf8).sum(),
    };
    out.push_str(&after[..end]);
    Ok(&after[end..])
}
