//! Sprig's regular expressions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use borax_gotmpl::{FuncError, FuncMap, Str, Type, Value};
use regex::bytes::{NoExpand, Regex};

use super::args::{bytes, int, text};
use super::fixed;

/// Most patterns kept.
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
    let compiled = borax_golang::regexp::compile(pattern).map_err(|e| e.to_string())?;
    let mut cache = cache.borrow_mut();
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
    cache.insert(pattern.to_owned(), compiled.clone());
    Ok(compiled)
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
