//! Go's `path` package, for the `path` and the `os` names alike (Helm templates run on Unix).

use borax_gotmpl::{FuncMap, Type, Value};

use super::args::text;
use super::fixed;

pub(super) fn add(f: &mut FuncMap) {
    use Type::Str as S;
    for name in ["base", "osBase"] {
        fixed(f, name, &[S], |_, a| Ok(Value::str(base(&text(&a[0])))));
    }
    for name in ["dir", "osDir"] {
        fixed(f, name, &[S], |_, a| {
            let path = text(&a[0]);
            let end = path.rfind('/').map_or(0, |i| i + 1);
            Ok(Value::str(clean(&path[..end])))
        });
    }
    for name in ["clean", "osClean"] {
        fixed(f, name, &[S], |_, a| Ok(Value::str(clean(&text(&a[0])))));
    }
    for name in ["ext", "osExt"] {
        fixed(f, name, &[S], |_, a| Ok(Value::str(ext(&text(&a[0])))));
    }
    for name in ["isAbs", "osIsAbs"] {
        fixed(f, name, &[S], |_, a| Ok(Value::Bool(text(&a[0]).starts_with('/'))));
    }
}

/// `path.Base`.
pub(crate) fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".into();
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return "/".into();
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed).into()
}

/// `path.Ext`: from the last dot of the last element.
pub(crate) fn ext(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rfind('.').map_or_else(String::new, |i| name[i..].into())
}

/// `path.Clean`.
pub(crate) fn clean(path: &str) -> String {
    if path.is_empty() {
        return ".".into();
    }
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if !rooted => parts.push(".."),
                _ => {}
            },
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}
