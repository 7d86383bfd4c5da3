//! Label selectors in their text form: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
//!
//! Syntax: k8s.io/apimachinery `pkg/labels/selector.go`.

use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

/// A parsed selector; the empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

impl LabelSelector {
    /// Reads a selector.
    ///
    /// # Errors
    /// A text that says what is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut requirements = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (item, tail) = split_item(rest);
            requirements.push(requirement(item.trim())?);
            rest = tail.trim();
        }
        Ok(Self(requirements))
    }

    /// Whether the labels (or annotations) of an object fit.
    pub fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.matches_with(|key| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str))
    }

    /// Whether labels fit, `get` being the value of a key.
    pub fn matches_with<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => {
                get(key).is_some_and(|value| values.iter().any(|v| v == value))
            }
            Requirement::NotIn(key, values) => {
                get(key).is_none_or(|value| values.iter().all(|v| v != value))
            }
            Requirement::Exists(key) => get(key).is_some(),
            Requirement::Missing(key) => get(key).is_none(),
        })
    }
}

/// Splits at the first comma outside of parentheses.
fn split_item(text: &str) -> (&str, &str) {
    let mut depth = 0_usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return (&text[..index], &text[index + 1..]),
            _ => {}
        }
    }
    (text, "")
}

fn requirement(item: &str) -> Result<Requirement, String> {
    let one = |value: &str| vec![value.trim().to_owned()];
    let key = |text: &str| {
        let text = text.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if text.is_empty() || !text.chars().all(fits) {
            return Err(format!("{text:?} is no label key, in {item:?}"));
        }
        Ok(text.to_owned())
    };
    if let Some((name, value)) = item.split_once("!=") {
        return Ok(Requirement::NotIn(key(name)?, one(value)));
    }
    if let Some((name, value)) = item.split_once("==").or_else(|| item.split_once('=')) {
        return Ok(Requirement::In(key(name)?, one(value)));
    }
    if let Some(name) = item.strip_prefix('!') {
        return Ok(Requirement::Missing(key(name)?));
    }
    if let Some((head, values)) = item.split_once('(') {
        let values = values
            .trim()
            .strip_suffix(')')
            .ok_or_else(|| format!("a parenthesis is open in {item:?}"))?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        return match head.split_whitespace().collect::<Vec<_>>().as_slice() {
            [name, "in"] => Ok(Requirement::In(key(name)?, values)),
            [name, "notin"] => Ok(Requirement::NotIn(key(name)?, values)),
            _ => Err(format!("expected KEY in (...) or KEY notin (...), found {item:?}")),
        };
    }
    key(item).map(Requirement::Exists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_of_the_text_form_is_read() {
        let labels = serde_json::json!({"app": "web", "tier": "front", "x/y": ""});
        let labels = labels.as_object();
        for (text, fits) in [
            ("", true),
            ("app=web,tier==front", true),
            ("app!=web", false),
            ("none!=web", true),
            ("tier in (back, front),app", true),
            ("tier notin (front)", false),
            ("!none,x/y", true),
            ("!app", false),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(labels), fits, "{text}");
        }
        assert!(LabelSelector::parse("a in (b").unwrap_err().contains("parenthesis"));
        assert!(LabelSelector::parse("a b=c").is_err());
    }
}
