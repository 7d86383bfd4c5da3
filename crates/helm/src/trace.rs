//! Template errors as Helm 4 prints them: the text of `fail` alone, or the chain of places. Source: Helm
//! `pkg/engine/engine.go`.

use borax_gotmpl::{ExecError, FuncError};

/// Marks around the text of `required` and `fail`, so that the text alone is reported.
pub(crate) const WARN_START: &str = "HELM_ERR_START";
pub(crate) const WARN_END: &str = "HELM_ERR_END";

/// One place of an error's chain.
#[derive(PartialEq)]
struct Trace {
    location: String,
    message: String,
    executed: String,
}

impl Trace {
    fn shown(&self) -> String {
        let mut out = String::new();
        if !self.location.is_empty() {
            out.push_str(&format!("{}\n  ", self.location));
        }
        if !self.executed.is_empty() {
            out.push_str(&format!("{}\n    ", self.executed));
        }
        if !self.message.is_empty() {
            out.push_str(&format!("{}\n", self.message));
        }
        out
    }

    /// Reads a template error's text as Helm does.
    fn parse(text: &str) -> Option<Trace> {
        let rest = text.strip_prefix("template: ")?;
        if rest.starts_with("no template ") {
            return Some(Trace {
                location: String::new(),
                message: text.to_owned(),
                executed: String::new(),
            });
        }
        let cut = |s: &str| s.split(" template:").next().unwrap_or(s).to_owned();
        if let Some((location, after)) = rest.split_once(": executing ")
            && let Some(after) = after.strip_prefix('"')
            && let Some((name, after)) = after.split_once('"')
            && let Some(after) = after.strip_prefix(" at <")
            && let Some((context, message)) = after.split_once(">: ")
        {
            return Some(Trace {
                location: location.to_owned(),
                message: cut(message),
                executed: format!("executing \"{name}\" at <{context}>:"),
            });
        }
        let (location, message) = rest.rsplit_once(": ")?;
        Some(Trace {
            location: location.to_owned(),
            message: cut(message),
            executed: String::new(),
        })
    }
}

/// A template error as Helm 4 prints it: the text of `fail` alone, or the chain of places.
pub(crate) fn reworded(error: &ExecError) -> String {
    let whole = error.to_string();
    let mut parts = whole.splitn(3, ": ");
    let (Some(_), Some(location), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return whole;
    };
    if let Some(start) = rest.find(WARN_START)
        && let Some(end) = rest.rfind(WARN_END)
        && let Some(text) = rest.get(start + WARN_START.len()..end)
    {
        return format!("execution error at ({location}): {text}");
    }
    let mut traces: Vec<Trace> = Vec::new();
    for text in chain(error) {
        let Some(trace) = Trace::parse(&text) else {
            return whole;
        };
        if traces.last() != Some(&trace) {
            traces.push(trace);
        }
    }
    let shown: String = traces.iter().map(Trace::shown).collect();
    shown.trim().to_owned()
}

/// The texts of an error and its causes, as unwrapping gives them in Go: the error, its formatted
/// form, then what the function returned.
fn chain(error: &ExecError) -> Vec<String> {
    let mut out = vec![error.to_string()];
    let mut cause = error.cause.as_deref();
    while let Some(e) = cause {
        cause = match e {
            FuncError::Exec(inner) => {
                out.push(inner.to_string());
                inner.cause.as_deref()
            }
            FuncError::Wrapped(text, inner) => {
                out.push(text.clone());
                out.push(inner.to_string());
                inner.cause.as_deref()
            }
            FuncError::Parse(text, inner) => {
                out.push(text.clone());
                out.push(inner.to_string());
                None
            }
            FuncError::Message(text) | FuncError::Noted(text, _) => {
                out.push(text.clone());
                None
            }
            FuncError::Limit(..) => {
                out.push(e.to_string());
                None
            }
        };
    }
    out
}
