//! `WWW-Authenticate`: what a server asks for (RFC 7235), read as leniently as container clients read it.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme in lower case: `basic`, `bearer`.
    pub scheme: String,
    /// The parameters, names in lower case. What follows a malformed one is left out.
    pub parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// The first challenge of a response that can be answered (`basic` or `bearer`), else the first.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let values =
            headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut all: Vec<Self> = values.filter_map(Self::parse).collect();
        let known =
            all.iter().position(|challenge| matches!(&*challenge.scheme, "basic" | "bearer"));
        (!all.is_empty()).then(|| all.swap_remove(known.unwrap_or(0)))
    }

    /// Parses one header value.
    fn parse(value: &str) -> Option<Self> {
        let (scheme, mut rest) = token(value);
        if scheme.is_empty() {
            return None;
        }
        let mut parameters = BTreeMap::new();
        loop {
            let (name, after) = token(rest.trim_start());
            let Some(after) = after.strip_prefix('=').filter(|_| !name.is_empty()) else { break };
            let Some((value, after)) =
                token_or_quoted(after).filter(|(value, _)| !value.is_empty())
            else {
                break;
            };
            parameters.insert(name.to_ascii_lowercase(), value);
            match after.trim_start().strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
        Some(Self { scheme: scheme.to_ascii_lowercase(), parameters })
    }
}

/// Splits a leading RFC 7230 token off.
fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

fn token_or_quoted(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = token(text);
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_tokens_or_quoted_strings() {
        let text = r#"Bearer realm="https://auth.example.com/token",Service=registry , slashed="he\"\l\lo", other=fun"#;
        let challenge = Challenge::parse(text).unwrap();
        assert_eq!(challenge.scheme, "bearer");
        let parameters: Vec<(&str, &str)> =
            challenge.parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(
            parameters,
            [
                ("other", "fun"),
                ("realm", "https://auth.example.com/token"),
                ("service", "registry"),
                ("slashed", "he\"llo"),
            ]
        );
    }

    #[test]
    fn malformed_values_do_no_harm() {
        for text in [
            "",
            ",",
            "=",
            "\"",
            "Bearer",
            "Bearer realm",
            "Bearer realm=",
            "Bearer realm=\"x",
            "Basic ,,,",
        ] {
            if let Some(challenge) = Challenge::parse(text) {
                assert_eq!(challenge.parameters, BTreeMap::new(), "{text}");
            }
        }
    }

    #[test]
    fn of_several_the_first_known_one_is_answered() {
        let mut headers = HeaderMap::new();
        assert_eq!(Challenge::of(&headers), None);
        headers.append(WWW_AUTHENTICATE, "Negotiate".parse().unwrap());
        assert_eq!(Challenge::of(&headers).unwrap().scheme, "negotiate");
        headers.append(WWW_AUTHENTICATE, "Basic realm=\"x\"".parse().unwrap());
        assert_eq!(Challenge::of(&headers).unwrap().scheme, "basic");
    }
}
