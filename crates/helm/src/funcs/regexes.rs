//! Sprig's regular expressions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use borax_golang::regexp::expand;
use borax_gotmpl::{Context, FuncError, FuncMap, Str, Type, Value};
use regex::bytes::{Captures, Regex};

use super::args::{bytes, int, text};
use super::fixed;
use super::strings::PART;

/// Most patterns kept.
const MAX_CACHED: usize = 64;
/// More than any pattern has states.
const MAX_WEIGHT: usize = 1 << 20;

/// Patterns of one rendering, compiled, with what a byte searched costs.
type Cache = Rc<RefCell<HashMap<String, Pattern>>>;

#[derive(Clone)]
struct Pattern {
    regex: Regex,
    weight: usize,
}

impl Pattern {
    /// The expression, paid for a search of the text.
    fn over(&self, cx: &mut Context<'_>, text: &[u8]) -> Result<&Regex, FuncError> {
        cx.spend((text.len().saturating_mul(self.weight) / SEARCHED) as u64)?;
        Ok(&self.regex)
    }
}

/// Bytes of a text that count as a step, when they are searched for one character.
const SEARCHED: usize = 1024;

pub(super) fn add(f: &mut FuncMap) {
    use Type::{Int, Str as S};
    let cache: Cache = Rc::default();
    let c = cache.clone();
    fixed(f, "regexMatch", &[S, S], move |cx, a| {
        let Ok(pattern) = compiled(&c, &text(&a[0])) else {
            return Ok(Value::Bool(false));
        };
        Ok(Value::Bool(pattern.over(cx, bytes(&a[1]))?.is_match(bytes(&a[1]))))
    });
    let c = cache.clone();
    fixed(f, "mustRegexMatch", &[S, S], move |cx, a| {
        let pattern = compiled(&c, &text(&a[0]))?;
        Ok(Value::Bool(pattern.over(cx, bytes(&a[1]))?.is_match(bytes(&a[1]))))
    });
    for (name, must) in [("regexFindAll", false), ("mustRegexFindAll", true)] {
        let c = cache.clone();
        fixed(f, name, &[S, S, Int], move |cx, a| {
            let pattern = compile_for(&c, &text(&a[0]), must)?;
            let (text, most) = (bytes(&a[1]), most(int(&a[2])));
            let regex = pattern.over(cx, text)?;
            let mut room = cx.room();
            let mut found = Vec::new();
            for m in regex.find_iter(text).take(most) {
                room.take(PART + m.len())?;
                found.push(Str::from(m.as_bytes()));
            }
            cx.made(room)?;
            Ok(Value::strings(found))
        });
    }
    for (name, must) in [("regexFind", false), ("mustRegexFind", true)] {
        let c = cache.clone();
        fixed(f, name, &[S, S], move |cx, a| {
            let pattern = compile_for(&c, &text(&a[0]), must)?;
            let found = pattern.over(cx, bytes(&a[1]))?.find(bytes(&a[1]));
            Ok(Value::str(found.map_or(&b""[..], |m| m.as_bytes())))
        });
    }
    for (name, must) in [("regexReplaceAll", false), ("mustRegexReplaceAll", true)] {
        let c = cache.clone();
        fixed(f, name, &[S, S, S], move |cx, a| {
            let pattern = compile_for(&c, &text(&a[0]), must)?;
            let template = text(&a[2]);
            replace_all(cx, &pattern, bytes(&a[1]), |found, out| expand(&template, found, out))
        });
    }
    for (name, must) in [("regexReplaceAllLiteral", false), ("mustRegexReplaceAllLiteral", true)] {
        let c = cache.clone();
        fixed(f, name, &[S, S, S], move |cx, a| {
            let pattern = compile_for(&c, &text(&a[0]), must)?;
            let new = bytes(&a[2]);
            replace_all(cx, &pattern, bytes(&a[1]), |_, out| out.extend_from_slice(new))
        });
    }
    for (name, must) in [("regexSplit", false), ("mustRegexSplit", true)] {
        let c = cache.clone();
        fixed(f, name, &[S, S, Int], move |cx, a| {
            let source = text(&a[0]);
            let pattern = compile_for(&c, &source, must)?;
            let regex = pattern.over(cx, bytes(&a[1]))?;
            Ok(Value::strings(split(cx, regex, !source.is_empty(), bytes(&a[1]), int(&a[2]))?))
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
fn compile_for(cache: &Cache, pattern: &str, must: bool) -> Result<Pattern, FuncError> {
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

fn compiled(cache: &Cache, pattern: &str) -> Result<Pattern, String> {
    if let Some(found) = cache.borrow().get(pattern) {
        return Ok(found.clone());
    }
    let regex = borax_golang::regexp::compile(pattern).map_err(|e| e.to_string())?;
    let compiled = Pattern { regex, weight: weight(pattern) };
    let mut cache = cache.borrow_mut();
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
    cache.insert(pattern.to_owned(), compiled.clone());
    Ok(compiled)
}

/// About how many states a pattern has: its length, times its repetitions.
fn weight(pattern: &str) -> usize {
    let mut weight = pattern.len().max(1);
    for count in pattern.split('{').skip(1) {
        let number = |s: &str| s.trim_end_matches('}').parse::<usize>().unwrap_or(1);
        let inner = count.split('}').next().unwrap_or("");
        weight = weight.saturating_mul(inner.split(',').map(number).max().unwrap_or(1).max(1));
    }
    weight.min(MAX_WEIGHT)
}

/// Replaces every match by what `put` appends for it, as Go does: an empty match directly behind a match is none.
fn replace_all(
    cx: &mut Context<'_>,
    pattern: &Pattern,
    s: &[u8],
    put: impl Fn(&Captures<'_>, &mut Vec<u8>),
) -> Result<Value, FuncError> {
    let regex = pattern.over(cx, s)?;
    let mut room = cx.room();
    room.take(s.len())?;
    let mut out = Vec::with_capacity(s.len());
    let mut at = 0;
    for found in regex.captures_iter(s) {
        let whole = found.get_match();
        let before = out.len() + whole.start() - at;
        out.extend_from_slice(&s[at..whole.start()]);
        put(&found, &mut out);
        room.take(out.len() - before)?;
        at = whole.end();
    }
    out.extend_from_slice(&s[at..]);
    cx.made(room)?;
    Ok(Value::str(out))
}

fn split(
    cx: &mut Context<'_>,
    r: &Regex,
    has_pattern: bool,
    s: &[u8],
    n: i64,
) -> Result<Vec<Str>, FuncError> {
    if n == 0 {
        return Ok(Vec::new());
    }
    if has_pattern && s.is_empty() {
        return Ok(vec![Str::default()]);
    }
    let most = most(n);
    let mut out = Vec::new();
    let mut room = cx.room();
    room.take(s.len() + PART)?;
    let (mut begin, mut end) = (0, 0);
    for m in r.find_iter(s).take(most) {
        if n > 0 && out.len() + 1 == most {
            break;
        }
        room.take(PART)?;
        end = m.start();
        if m.end() != 0 {
            out.push(Str::from(&s[begin..end]));
        }
        begin = m.end();
    }
    if end != s.len() {
        out.push(Str::from(&s[begin..]));
    }
    cx.made(room)?;
    Ok(out)
}
