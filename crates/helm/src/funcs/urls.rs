//! `urlParse` and `urlJoin`: Go's net/url as far as the two show it.

use borax_gotmpl::{FuncError, FuncMap, Map, Type, Value};

use super::args::text;
use super::fixed;
use crate::convert::kind;

pub(super) fn add(f: &mut FuncMap) {
    fixed(f, "urlParse", &[Type::Str], |_, a| {
        let source = text(&a[0]);
        let url = Url::parse(&source).map_err(|e| {
            let shown = borax_gotmpl::quote(source.as_bytes());
            FuncError::new(format!("unable to parse url: parse {shown}: {e}"))
        })?;
        let map = Map::new();
        map.set("hostname", Value::str(url.hostname()));
        map.set("scheme", Value::str(url.scheme));
        map.set("host", Value::str(url.host));
        map.set("path", Value::str(url.path));
        map.set("query", Value::str(url.query));
        map.set("opaque", Value::str(url.opaque));
        map.set("fragment", Value::str(url.fragment));
        map.set("userinfo", Value::str(url.user.unwrap_or_default()));
        Ok(Value::Map(map))
    });
    fixed(f, "urlJoin", &[Type::Map], |_, a| {
        let part = |key: &str| part(&a[0], key);
        let user = part("userinfo")?;
        let user = if user.is_empty() { None } else { Some(userinfo(&user)?) };
        let url = Url {
            scheme: part("scheme")?,
            host: part("host")?,
            path: part("path")?,
            raw_path: String::new(),
            query: part("query")?,
            opaque: part("opaque")?,
            fragment: part("fragment")?,
            user,
        };
        Ok(Value::str(url.write()))
    });
}

fn part(map: &Value, key: &str) -> Result<String, FuncError> {
    match map.as_map().and_then(|m| m.get(key)) {
        None => Ok(String::new()),
        Some(Value::Str(s)) => Ok(s.to_text().into_owned()),
        Some(other) => Err(FuncError::new(format!(
            "unable to parse {key} key, must be of type string, but {} found",
            kind(&other)
        ))),
    }
}

fn userinfo(user: &str) -> Result<String, FuncError> {
    let url = Url::parse(&format!("proto://{user}@host")).map_err(|e| {
        FuncError::new(format!("unable to parse userinfo in dict: parse \"proto://…@host\": {e}"))
    })?;
    Ok(url.user.unwrap_or_default())
}

/// A URL, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Url {
    pub(crate) scheme: String,
    /// User and password, escaped.
    user: Option<String>,
    pub(crate) host: String,
    pub(crate) path: String,
    raw_path: String,
    query: String,
    opaque: String,
    fragment: String,
}

/// What may stand unescaped where.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Path,
    Host,
    User,
    Fragment,
}

fn plain(b: u8, mode: Mode) -> bool {
    if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
        return true;
    }
    match mode {
        Mode::Host => b"!$&'()*+,;=:[]<>\"".contains(&b),
        Mode::Path => b"$&+,/:;=@".contains(&b),
        Mode::User => b"$&+,;=".contains(&b),
        Mode::Fragment => b"$&+,/:;=?@!()*".contains(&b),
    }
}

fn escape(s: &str, mode: Mode) -> String {
    let mut out = String::new();
    for &b in s.as_bytes() {
        if plain(b, mode) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

fn unescape(s: &str) -> Result<String, String> {
    let bytes = s.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] != b'%' {
            out.push(bytes[i]);
            i += 1;
            continue;
        }
        let code = s.get(i + 1..i + 3).filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(byte) = code.and_then(|h| u8::from_str_radix(h, 16).ok()) else {
            let bad: String = s[i..].chars().take(3).collect();
            return Err(format!("invalid URL escape {}", borax_gotmpl::quote(bad.as_bytes())));
        };
        out.push(byte);
        i += 3;
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

impl Url {
    pub(crate) fn parse(source: &str) -> Result<Url, String> {
        if source.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Err("net/url: invalid control character in URL".into());
        }
        let mut url = Url::default();
        let (body, fragment) = source.split_once('#').unwrap_or((source, ""));
        url.fragment = unescape(fragment)?;
        let mut rest = url.take_scheme(body)?;
        if let Some((path, query)) = rest.split_once('?') {
            url.query = query.to_owned();
            rest = path;
        }
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_owned();
                return Ok(url);
            }
            let first = rest.split('/').next().unwrap_or("");
            if first.contains(':') {
                return Err("first path segment in URL cannot contain colon".into());
            }
        }
        if rest.starts_with("//") && (!url.scheme.is_empty() || !rest.starts_with("///")) {
            let authority = &rest[2..];
            let end = authority.find('/').unwrap_or(authority.len());
            let (authority, path) = authority.split_at(end);
            rest = path;
            let host = match authority.rsplit_once('@') {
                Some((user, host)) => {
                    let fine =
                        |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
                    if !user.bytes().all(fine) {
                        return Err("net/url: invalid userinfo".into());
                    }
                    let (name, password) = match user.split_once(':') {
                        Some((name, password)) => (name, Some(password)),
                        None => (user, None),
                    };
                    let mut shown = escape(&unescape(name)?, Mode::User);
                    if let Some(password) = password {
                        shown.push(':');
                        shown.push_str(&escape(&unescape(password)?, Mode::User));
                    }
                    url.user = Some(shown);
                    host
                }
                None => authority,
            };
            url.host = check_host(host)?;
        }
        url.path = unescape(rest)?;
        if escape(&url.path, Mode::Path) != rest {
            url.raw_path = rest.to_owned();
        }
        Ok(url)
    }

    fn take_scheme<'a>(&mut self, source: &'a str) -> Result<&'a str, String> {
        for (i, c) in source.char_indices() {
            match c {
                'a'..='z' | 'A'..='Z' => {}
                '0'..='9' | '+' | '-' | '.' if i > 0 => {}
                ':' if i == 0 => return Err("missing protocol scheme".into()),
                ':' => {
                    self.scheme = source[..i].to_ascii_lowercase();
                    return Ok(&source[i + 1..]);
                }
                _ => return Ok(source),
            }
        }
        Ok(source)
    }

    fn hostname(&self) -> String {
        let host = match self.host.rfind(':') {
            Some(i) if self.host[i + 1..].bytes().all(|b| b.is_ascii_digit()) => &self.host[..i],
            _ => &self.host,
        };
        let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        inner.unwrap_or(host).to_owned()
    }

    fn write(&self) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if !self.opaque.is_empty() {
            out.push_str(&self.opaque);
        } else {
            if !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some() {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    out.push_str("//");
                }
                if let Some(user) = &self.user {
                    out.push_str(user);
                    out.push('@');
                }
                out.push_str(&escape(&self.host, Mode::Host));
            }
            let path = if self.raw_path.is_empty() {
                escape(&self.path, Mode::Path)
            } else {
                self.raw_path.clone()
            };
            if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
                out.push('/');
            }
            if out.is_empty() && path.split('/').next().is_some_and(|s| s.contains(':')) {
                out.push_str("./");
            }
            out.push_str(&path);
        }
        if !self.query.is_empty() {
            out.push('?');
            out.push_str(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            out.push_str(&escape(&self.fragment, Mode::Fragment));
        }
        out
    }
}

fn check_host(host: &str) -> Result<String, String> {
    let port = if host.starts_with('[') {
        match host.find(']') {
            None => return Err("missing ']' in host".into()),
            Some(end) => &host[end + 1..],
        }
    } else {
        host.find(':').map_or("", |i| &host[i..])
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    if !(port.is_empty() || port.starts_with(':') && digits.bytes().all(|b| b.is_ascii_digit())) {
        let shown = borax_gotmpl::quote(port.as_bytes());
        return Err(format!("invalid port {shown} after host"));
    }
    if let Some(bad) = host.chars().find(|c| matches!(c, ' ' | '{' | '}' | '|' | '\\' | '^' | '`'))
    {
        let shown = borax_gotmpl::quote(bad.to_string().as_bytes());
        return Err(format!("invalid character {shown} in host name"));
    }
    unescape(host)
}
