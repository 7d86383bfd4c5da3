//! Mail addresses and URLs as the linter takes them. Source: govalidator `IsEmail`, `IsURL`,
//! `IsRequestURL`, whose grammars these are.

use crate::funcs::Url;

/// Letters beyond ASCII that addresses may have.
fn wide(c: char) -> bool {
    matches!(c, '\u{a0}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{ffef}')
}

/// `local@domain.tld`.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || wide(c);
    let quoted = || {
        let inner = local.strip_prefix('"').and_then(|l| l.strip_suffix('"'));
        inner.is_some_and(|inner| {
            let mut chars = inner.chars();
            while let Some(c) = chars.next() {
                match c {
                    '"' => return false,
                    '\\' if !chars.next().is_some_and(|c| c.is_ascii() || wide(c)) => return false,
                    _ => {}
                }
            }
            true
        })
    };
    let plain = local.split('.').all(|part| !part.is_empty() && part.chars().all(atom));
    if !(plain || quoted()) {
        return false;
    }
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let Some((labels, last)) = domain.rsplit_once('.') else { return false };
    let letter = |c: char| c.is_ascii_alphabetic() || wide(c);
    let inner = |c: char| letter(c) || c.is_ascii_digit() || "-_~".contains(c);
    let ends = |part: &str, end: &dyn Fn(char) -> bool| {
        part.chars().next().is_some_and(end)
            && part.chars().next_back().is_some_and(end)
            && part.chars().all(inner)
    };
    let start = |c: char| letter(c) || c.is_ascii_digit();
    ends(last, &letter)
        && labels.chars().next().is_some_and(start)
        && labels.chars().next_back().is_some_and(start)
        && labels.chars().all(|c| inner(c) || c == '.')
}

/// A web address, its scheme optional.
pub(super) fn is_url(text: &str) -> bool {
    if text.chars().count() >= 2083 || text.len() <= 3 || text.starts_with('.') {
        return false;
    }
    if text.contains(char::is_whitespace) {
        return false;
    }
    let full = match text.contains(':') && !text.contains("://") {
        true => format!("http://{text}"),
        false => text.to_owned(),
    };
    let Ok(url) = Url::parse(&full) else { return false };
    if url.host.starts_with('.') {
        return false;
    }
    if url.host.is_empty() && !url.path.is_empty() && !url.path.contains('.') {
        return false;
    }
    let rest = match text.split_once("://") {
        Some((scheme, rest)) => {
            let known = ["ftp", "tcp", "udp", "ws", "wss", "http", "https"];
            if !known.contains(&scheme) {
                return false;
            }
            rest
        }
        None => text,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.contains(']') => (host, Some(port)),
        _ => (host, None),
    };
    if port.is_some_and(|p| p.is_empty() || p.len() > 5 || !p.bytes().all(|b| b.is_ascii_digit())) {
        return false;
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return inner.parse::<std::net::IpAddr>().is_ok();
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let letter = |c: char| c.is_ascii_alphanumeric() || ('\u{a1}'..='\u{ffff}').contains(&c);
    !host.is_empty()
        && host.split('.').all(|label| {
            label.chars().next().is_some_and(letter)
                && label.chars().next_back().is_some_and(letter)
                && label.chars().all(|c| letter(c) || c == '-' || c == '_')
        })
}

/// A URL with a scheme, as a request could name it.
pub(super) fn is_request_url(text: &str) -> bool {
    // A fragment is no part of a request's URL: its sign stays in the path.
    let escaped = text.replace('#', "%23");
    match Url::parse(&escaped) {
        Ok(url) => !url.scheme.is_empty(),
        Err(_) => false,
    }
}
