//! Helm's own functions: include, tpl, required, fail, lookup, YAML, and DNS.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use borax_gotmpl::{Context, FuncError, FuncMap, Room, Templates, Type, Value};
use memchr::memmem;

use super::args::{bytes, text};
use super::{Host, fixed};
use crate::convert;
use crate::trace::{WARN_END, WARN_START};
use crate::yaml;

/// How often a name may be included within itself.
const MAX_INCLUDE: usize = 1000;
/// Texts of `tpl` kept parsed within a rendering, and the most bytes of one.
const MAX_TPL_CACHE: usize = 1000;
const MAX_TPL_TEXT: usize = 16 << 10;
/// What a parsed template takes for a byte of its text.
const PARSED: usize = 64;

fn warn(message: &str) -> FuncError {
    FuncError::new(format!("{WARN_START}{message}{WARN_END}"))
}

pub(super) fn add(f: &mut FuncMap, host: &Rc<Host>) {
    use Type::{Any, Str as S};
    let shared = Rc::clone(host);
    fixed(f, "include", &[S, Any], move |cx, a| include(cx, &shared, &text(&a[0]), &a[1]));
    let cache: TplCache = Rc::default();
    fixed(f, "tpl", &[S, Any], move |cx, a| tpl(cx, &cache, bytes(&a[0]), &a[1]));
    let lint = host.lint;
    fixed(f, "required", &[S, Any], move |_, a| {
        let missing = a[1].is_nil() || matches!(&a[1], Value::Str(s) if s.is_empty());
        match (missing, lint) {
            (false, _) => Ok(a[1].clone()),
            (true, true) => Err(FuncError::Noted(text(&a[0]).into_owned(), Value::str(""))),
            (true, false) => Err(warn(&text(&a[0]))),
        }
    });
    fixed(f, "fail", &[S], move |_, a| match lint {
        true => Err(FuncError::Noted(text(&a[0]).into_owned(), Value::str(""))),
        false => Err(warn(&text(&a[0]))),
    });
    let lookup = host.lookup.clone().filter(|_| !lint);
    fixed(f, "lookup", &[S, S, S, S], move |_, a| {
        let Some(lookup) = &lookup else {
            return Ok(Value::Map(borax_gotmpl::Map::new()));
        };
        let found = lookup.lookup(&text(&a[0]), &text(&a[1]), &text(&a[2]), &text(&a[3]))?;
        Ok(convert::value(&found))
    });
    let env = Arc::clone(&host.env);
    let dns = host.enable_dns;
    fixed(f, "getHostByName", &[S], move |_, a| {
        if !dns {
            return Ok(Value::str(""));
        }
        let all = env.lookup_host(&text(&a[0]));
        if all.is_empty() {
            return Err("invalid argument to Intn".into());
        }
        let i = super::random::below(env.as_ref(), all.len() as u64);
        let picked = usize::try_from(i).ok().and_then(|i| all.get(i));
        Ok(Value::str(picked.map_or("", String::as_str)))
    });
    let to_text = |f: &mut FuncMap, name, write: WriteYaml, must| {
        fixed(f, name, &[Any], move |cx, a| {
            let mut room = cx.room();
            let text = write(&a[0], &mut room);
            cx.made(room)?;
            super::json::text_or_nothing(text, must)
        });
    };
    to_text(f, "toYaml", yaml::write, false);
    to_text(f, "mustToYaml", yaml::write, true);
    to_text(f, "toYamlPretty", yaml::write_pretty, false);
    fixed(f, "fromYaml", &[S], |cx, a| {
        super::json::room_to_read(cx, &a[0])?;
        Ok(super::json::as_map(yaml::read(bytes(&a[0]))).map_error())
    });
    fixed(f, "fromYamlArray", &[S], |cx, a| {
        super::json::room_to_read(cx, &a[0])?;
        Ok(super::json::as_list(yaml::read(bytes(&a[0]))).map_error())
    });
}

type WriteYaml = fn(&Value, &mut Room) -> Result<String, FuncError>;

/// Puts the YAML library's words before a complaint about the shape.
trait MapError {
    fn map_error(self) -> Self;
}

const DECODING: &str = "error unmarshaling JSON: while decoding JSON: ";

fn prefixed(v: &Value) -> Option<Value> {
    let text = v.as_str()?.to_text().into_owned();
    text.starts_with("json: cannot unmarshal").then(|| Value::str(format!("{DECODING}{text}")))
}

impl MapError for Value {
    fn map_error(self) -> Value {
        match &self {
            Value::Map(map) if map.len() == 1 => {
                if let Some(text) = map.get("Error").as_ref().and_then(prefixed) {
                    map.set("Error", text);
                }
                self
            }
            Value::List(list) if list.items().len() == 1 => {
                match list.items().first().and_then(prefixed) {
                    Some(text) => Value::list(vec![text]),
                    None => self,
                }
            }
            _ => self,
        }
    }
}

fn include(
    cx: &mut Context<'_>,
    host: &Host,
    name: &str,
    data: &Value,
) -> Result<Value, FuncError> {
    {
        let mut included = host.included.borrow_mut();
        let depth = included.entry(name.to_owned()).or_insert(0);
        if *depth > MAX_INCLUDE {
            return Err(FuncError::new(format!(
                "rendering template has a nested reference name: {name}: unable to execute template"
            )));
        }
        *depth += 1;
    }
    let result = cx.execute(name, data.clone());
    if let Some(depth) = host.included.borrow_mut().get_mut(name) {
        *depth -= 1;
    }
    match result {
        Ok(out) => Ok(Value::str(out)),
        Err(e) => Err(FuncError::Exec(e)),
    }
}

/// Parsed texts, by the set they lie over, their name and their text.
type TplCache = Rc<RefCell<HashMap<(usize, Vec<u8>), Parsed>>>;

#[derive(Clone)]
struct Parsed {
    /// Kept so that the set's address stays its own.
    _below: Arc<Templates>,
    set: Arc<Templates>,
}

/// The name `tpl` texts go by: Go's clone keeps the root template's.
const TPL_NAME: &str = "gotpl";

fn tpl(
    cx: &mut Context<'_>,
    cache: &TplCache,
    source: &[u8],
    data: &Value,
) -> Result<Value, FuncError> {
    // A text without actions renders to itself.
    if memmem::find(source, b"{{").is_none() {
        return Ok(Value::str(strip_no_value(source.to_vec())));
    }
    let below = Arc::clone(cx.templates());
    let key = (Arc::as_ptr(&below).addr(), source.to_vec());
    let known = cache.borrow().get(&key).cloned();
    let parsed = match known {
        Some(parsed) => parsed,
        None => {
            cx.make(source.len().saturating_mul(PARSED))?;
            let mut set = Templates::over(Arc::clone(&below));
            if let Err(e) = set.parse(TPL_NAME, source, cx.funcs()) {
                let shown = borax_gotmpl::quote(source);
                return Err(FuncError::Parse(format!("cannot parse template {shown}: {e}"), e));
            }
            let parsed = Parsed { _below: below, set: Arc::new(set) };
            if source.len() <= MAX_TPL_TEXT {
                let mut cache = cache.borrow_mut();
                if cache.len() >= MAX_TPL_CACHE {
                    cache.clear();
                }
                cache.insert(key, parsed.clone());
            }
            parsed
        }
    };
    let missing_key = cx.missing_key();
    let result =
        cx.with_templates(parsed.set, missing_key, |cx| cx.execute(TPL_NAME, data.clone()));
    match result {
        Ok(out) => Ok(Value::str(strip_no_value(out))),
        Err(e) => {
            let shown = borax_gotmpl::quote(source);
            let message = format!("error during tpl function execution for {shown}: {e}");
            Err(FuncError::Wrapped(message, e))
        }
    }
}

/// Removes `<no value>` everywhere, as Helm does after every rendering.
pub(crate) fn strip_no_value(text: Vec<u8>) -> Vec<u8> {
    const MARK: &[u8] = b"<no value>";
    let mut marks = memmem::find_iter(&text, MARK).peekable();
    if marks.peek().is_none() {
        return text;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for mark in marks {
        out.extend_from_slice(&text[at..mark]);
        at = mark + MARK.len();
    }
    out.extend_from_slice(&text[at..]);
    out
}
