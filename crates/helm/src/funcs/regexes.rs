//! Sprig's regular expressions: RE2 syntax, run by the `regex` crate after translating what the two
//! read differently (classes that are ASCII in Go, literal brackets and braces, `\Q…\E`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use borax_gotmpl::{FuncError, FuncMap, Str, Type, Value};
use regex::bytes::{NoExpand, Regex, RegexBuilder};

use super::args::{bytes, int, text};
use super::fixed;

/// Largest compiled program and largest cache kept, in bytes.
const MAX_PROGRAM: usize = 4 << 20;
const MAX_CACHED: usize = 200;

type Cache = Rc<RefCell<HashMap<String, Regex>>>;

pub(super) fn add(f: &mut FuncMap) {
    use Type::{Int, Str as S};
    let cache: Cache = Rc::default();
    let c = cache.clone();
    fixed(f, "regexMatch", &[S, S], move |_, a| {
        let found = compiled(&c, &text(&a[0])).is_ok_and(|r| r.is_match(bytes(&a[1])));
        Ok(Value::Bool(found))
    });
    let c = cache.clone();
    fixed(f, "mustRegexMatch", &[S, S], move |_, a| {
        Ok(Value::Bool(compiled(&c, &text(&a[0]))?.is_match(bytes(&a[1]))))
    });
    for (name, must) in [("regexFindAll", false), ("mustRegexFindAll", true)] {
        let c = cache.clone();
        fixed(f, name, &[S, S, Int], move |_, a| {
            let r = compile_for(&c, &text(&a[0]), must)?;
            let most = most(int(&a[2]));
            Ok(Value::strings(r.find_iter(bytes(&a[1])).take(most).map(|m| m.as_bytes())))
        });
    }
    for (name, must) in [("regexFind", false), ("mustRegexFind", true)] {
        let c = cache.clone();
        fixed(f, name, &[S, S], move |_, a| {
            let r = compile_for(&c, &text(&a[0]), must)?;
            Ok(Value::str(r.find(bytes(&a[1])).map_or(&b""[..], |m| m.as_bytes())))
        });
    }
    for (name, must) in [("regexReplaceAll", false), ("mustRegexReplaceAll", true)] {
        let c = cache.clone();
        fixed(f, name, &[S, S, S], move |_, a| {
            let r = compile_for(&c, &text(&a[0]), must)?;
            Ok(Value::str(r.replace_all(bytes(&a[1]), bytes(&a[2])).into_owned()))
        });
    }
    for (name, must) in [("regexReplaceAllLiteral", false), ("mustRegexReplaceAllLiteral", true)] {
        let c = cache.clone();
        fixed(f, name, &[S, S, S], move |_, a| {
            let r = compile_for(&c, &text(&a[0]), must)?;
            Ok(Value::str(r.replace_all(bytes(&a[1]), NoExpand(bytes(&a[2]))).into_owned()))
        });
    }
    for (name, must) in [("regexSplit", false), ("mustRegexSplit", true)] {
        let c = cache.clone();
        fixed(f, name, &[S, S, Int], move |_, a| {
            let pattern = text(&a[0]);
            let r = compile_for(&c, &pattern, must)?;
            Ok(Value::strings(split(&r, !pattern.is_empty(), bytes(&a[1]), int(&a[2]))))
        });
    }
    fixed(f, "regexQuoteMeta", &[S], |_, a| {
        let mut out = Vec::new();
        for &b in bytes(&a[0]) {
            if br"\.+*?()|[]{}^$".contains(&b) {
                out.push(b'\\');
            }
            out.push(b);
        }
        Ok(Value::str(out))
    });
}

fn most(n: i64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Go's `MustCompile` panics with the pattern in front; the `must` functions return the error itself.
fn compile_for(cache: &Cache, pattern: &str, must: bool) -> Result<Regex, FuncError> {
    compiled(cache, pattern).map_err(|e| {
        FuncError::new(if must {
            e
        } else {
            let shown = if borax_gotmpl::can_backquote(pattern.as_bytes()) {
                format!("`{pattern}`")
            } else {
                borax_gotmpl::quote(pattern.as_bytes())
            };
            format!("regexp: Compile({shown}): {e}")
        })
    })
}

fn compiled(cache: &Cache, pattern: &str) -> Result<Regex, String> {
    if let Some(found) = cache.borrow().get(pattern) {
        return Ok(found.clone());
    }
    let compiled = RegexBuilder::new(&translate(pattern)?)
        .size_limit(MAX_PROGRAM)
        .nest_limit(250)
        .build()
        .map_err(|e| describe(pattern, &e))?;
    let mut cache = cache.borrow_mut();
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
    cache.insert(pattern.to_owned(), compiled.clone());
    Ok(compiled)
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

fn split(r: &Regex, has_pattern: bool, s: &[u8], n: i64) -> Vec<Str> {
    if n == 0 {
        return Vec::new();
    }
    if has_pattern && s.is_empty() {
        return vec![Str::default()];
    }
    let most = most(n);
    let mut out = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for m in r.find_iter(s).take(most) {
        if n > 0 && out.len() + 1 == most {
            break;
        }
        end = m.start();
        if m.end() != 0 {
            out.push(Str::from(&s[begin..end]));
        }
        begin = m.end();
    }
    if end != s.len() {
        out.push(Str::from(&s[begin..]));
    }
    out
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
            '\\' => rest = escape(after, true, out)?,
            '[' if after.starts_with(':') && after.contains(":]") => {
                let end = after.find(":]").map_or(0, |i| i + 2);
                out.push('[');
                out.push_str(&after[..end]);
                rest = &after[end..];
            }
            '-' if after.starts_with(']') || out.ends_with('[') => {
                out.push_str("\\-");
                rest = after;
            }
            '[' | '&' | '~' => {
                out.push('\\');
                out.push(c);
                rest = after;
            }
            _ => {
                out.push(c);
                rest = after;
            }
        }
    }
    Err(format!("error parsing regexp: missing closing ]: `[{tail}`"))
}
