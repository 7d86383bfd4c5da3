//! Choosing objects: by regular expressions over their identity, and by labels and annotations.
//!
//! Source of behaviour: kustomize `api/types/selector.go`, `resmap.Select`, apimachinery
//! `pkg/labels/selector.go`.

use borax_yaml::Text;
use regex::Regex;

use crate::decode::Object;
use crate::diag::{Diagnostics, Result, fail};
use crate::id::{Gvk, ResId};
use crate::resource::StringMap;

/// What a `target` or `select` field says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selector {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) annotations: String,
    pub(crate) labels: String,
}

/// A selector ready to match.
#[derive(Debug)]
pub(crate) struct Matcher {
    group: Pattern,
    version: Pattern,
    kind: Pattern,
    name: Pattern,
    namespace: Pattern,
    annotations: Requirements,
    labels: Requirements,
}

#[derive(Debug)]
enum Pattern {
    Any,
    Exactly(String),
    Regex(Regex),
}

impl Selector {
    pub(crate) fn parse(mut o: Object) -> Result<Selector> {
        let selector = Selector {
            group: o.text("group")?,
            version: o.text("version")?,
            kind: o.text("kind")?,
            name: o.text("name")?,
            namespace: o.text("namespace")?,
            annotations: o.text("annotationSelector")?,
            labels: o.text("labelSelector")?,
        };
        o.done()?;
        Ok(selector)
    }

    /// Whether nothing of an identity is asked for.
    pub(crate) fn has_no_id(&self) -> bool {
        [&self.group, &self.version, &self.kind, &self.name, &self.namespace]
            .iter()
            .all(|part| part.is_empty())
    }

    /// The identity as plain text, for selectors that take no regular expressions.
    pub(crate) fn id(&self) -> ResId {
        ResId {
            gvk: Gvk::new(&self.group, &self.version, &self.kind),
            name: Text::from(self.name.as_str()),
            namespace: Text::from(self.namespace.as_str()),
            cluster_scoped: false,
        }
    }

    pub(crate) fn matcher(&self) -> Result<Matcher> {
        Ok(Matcher {
            group: Pattern::parse("group", &self.group)?,
            version: Pattern::parse("version", &self.version)?,
            kind: Pattern::parse("kind", &self.kind)?,
            name: Pattern::parse("name", &self.name)?,
            namespace: Pattern::parse("namespace", &self.namespace)?,
            annotations: Requirements::parse(&self.annotations)
                .map_err(|e| e.during("annotationSelector"))?,
            labels: Requirements::parse(&self.labels).map_err(|e| e.during("labelSelector"))?,
        })
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            ("group", &self.group),
            ("version", &self.version),
            ("kind", &self.kind),
            ("name", &self.name),
            ("namespace", &self.namespace),
            ("annotationSelector", &self.annotations),
            ("labelSelector", &self.labels),
        ];
        let given: Vec<String> = parts
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        f.write_str(&given.join(" "))
    }
}

impl Matcher {
    /// The only name that matches, if there is one.
    pub(crate) fn exact_name(&self) -> Option<&str> {
        match &self.name {
            Pattern::Exactly(name) => Some(name),
            Pattern::Any | Pattern::Regex(_) => None,
        }
    }

    pub(crate) fn matches_gvk(&self, gvk: &Gvk) -> bool {
        self.group.matches(&gvk.group)
            && self.version.matches(&gvk.version)
            && self.kind.matches(&gvk.kind)
    }

    pub(crate) fn matches_name(&self, name: &str) -> bool {
        self.name.matches(name)
    }

    pub(crate) fn matches_namespace(&self, namespace: &str) -> bool {
        self.namespace.matches(namespace)
    }

    /// Whether the identity matches as it is written.
    pub(crate) fn matches_id(&self, id: &ResId) -> bool {
        self.matches_gvk(&id.gvk)
            && self.matches_name(&id.name)
            && self.matches_namespace(&id.namespace)
    }

    /// Whether labels or annotations are asked for.
    pub(crate) fn wants_metadata(&self) -> bool {
        !self.labels.0.is_empty() || !self.annotations.0.is_empty()
    }

    pub(crate) fn matches_metadata(&self, labels: &StringMap, annotations: &StringMap) -> bool {
        self.labels.matches(labels) && self.annotations.matches(annotations)
    }
}

impl Pattern {
    fn parse(field: &str, pattern: &str) -> Result<Pattern> {
        if pattern.is_empty() {
            return Ok(Pattern::Any);
        }
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_/:".contains(letter);
        if pattern.chars().all(plain) {
            return Ok(Pattern::Exactly(pattern.to_owned()));
        }
        compile(&format!("^(?:{pattern})$"))
            .map(Pattern::Regex)
            .map_err(|e| e.during(format!("selector field {field}")))
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Exactly(wanted) => text == wanted,
            Pattern::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Compiles a regular expression in Go's syntax.
pub(crate) fn compile(pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default();
        Diagnostics::new(format!("{pattern:?} is no regular expression: {reason}"))
    })
}

/// A label selector's requirements; all must hold.
#[derive(Debug)]
struct Requirements(Vec<Requirement>);

#[derive(Debug)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Absent,
    Greater,
    Less,
}

impl Requirements {
    fn matches(&self, labels: &StringMap) -> bool {
        self.0.iter().all(|requirement| {
            let found = labels.get(requirement.key.as_str());
            let listed =
                |text: &Text| requirement.values.iter().any(|value| value == text.as_str());
            let number = |text: &str| text.parse::<i64>().ok();
            let limit = || number(requirement.values.first()?);
            match requirement.operator {
                Operator::In => found.is_some_and(listed),
                Operator::NotIn => !found.is_some_and(listed),
                Operator::Exists => found.is_some(),
                Operator::Absent => found.is_none(),
                Operator::Greater => {
                    found.and_then(|text| number(text)).zip(limit()).is_some_and(|(a, b)| a > b)
                }
                Operator::Less => {
                    found.and_then(|text| number(text)).zip(limit()).is_some_and(|(a, b)| a < b)
                }
            }
        })
    }

    fn parse(text: &str) -> Result<Requirements> {
        let tokens = tokens(text);
        let mut at = 0;
        let mut requirements = Vec::new();
        let broken = |found: Option<&&str>| {
            let found = found.map_or("the end", |token| *token);
            Diagnostics::new(format!("unable to parse {text:?}: unexpected {found:?}"))
        };
        while at < tokens.len() {
            let absent = tokens[at] == "!";
            at += usize::from(absent);
            let key = match tokens.get(at) {
                Some(key) if is_word(key) => (*key).to_owned(),
                other => return Err(broken(other)),
            };
            check_key(&key)?;
            at += 1;
            let operator = match tokens.get(at).copied() {
                None | Some(",") if absent => Operator::Absent,
                None | Some(",") => Operator::Exists,
                Some(_) if absent => return Err(broken(tokens.get(at))),
                Some("=" | "==" | "in") => Operator::In,
                Some("!=" | "notin") => Operator::NotIn,
                Some(">") => Operator::Greater,
                Some("<") => Operator::Less,
                _ => return Err(broken(tokens.get(at))),
            };
            let mut values = Vec::new();
            if !matches!(operator, Operator::Absent | Operator::Exists) {
                let in_list = matches!(tokens[at], "in" | "notin");
                at += 1;
                if in_list {
                    at = read_list(&tokens, at, &mut values).map_err(broken)?;
                } else {
                    match tokens.get(at) {
                        None | Some(&",") => values.push(String::new()),
                        Some(value) if is_word(value) => {
                            values.push((*value).to_owned());
                            at += 1;
                        }
                        other => return Err(broken(other)),
                    }
                }
            }
            for value in &values {
                check_value(value)?;
                let compares = matches!(operator, Operator::Greater | Operator::Less);
                if compares && value.parse::<i64>().is_err() {
                    return fail(format!("{text:?}: {value:?} must be an integer"));
                }
            }
            requirements.push(Requirement { key, operator, values });
            match tokens.get(at) {
                None => break,
                Some(&",") if at + 1 < tokens.len() => at += 1,
                other => return Err(broken(other.filter(|token| **token != ","))),
            }
        }
        Ok(Requirements(requirements))
    }
}

/// Reads `(a, b)`; the error is the token that stands in the way.
fn read_list<'t>(
    tokens: &'t [&'t str],
    mut at: usize,
    values: &mut Vec<String>,
) -> std::result::Result<usize, Option<&'t &'t str>> {
    if tokens.get(at) != Some(&"(") {
        return Err(tokens.get(at));
    }
    at += 1;
    loop {
        match tokens.get(at) {
            Some(&",") => values.push(String::new()),
            Some(&")") => {
                values.push(String::new());
                return Ok(at + 1);
            }
            Some(word) if is_word(word) => {
                values.push((*word).to_owned());
                at += 1;
            }
            other => return Err(other),
        }
        match tokens.get(at) {
            Some(&",") => at += 1,
            Some(&")") => return Ok(at + 1),
            other => return Err(other),
        }
    }
}

fn is_word(token: &str) -> bool {
    !token.starts_with(['!', '=', '<', '>', '(', ')', ','])
}

fn tokens(text: &str) -> Vec<&str> {
    let special = |letter: char| "!=<>(),".contains(letter);
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if !special(first) {
            rest.find(|letter: char| special(letter) || letter.is_whitespace())
                .unwrap_or(rest.len())
        } else if rest.starts_with("==") || rest.starts_with("!=") {
            2
        } else {
            1
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn check_key(key: &str) -> Result<()> {
    let (prefix, name) = match key.rsplit_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let prefix_fits = prefix.is_none_or(|prefix| {
        let fits = |part: &str| {
            let mut letters = part.chars();
            letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
                && !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        prefix.len() <= 253 && prefix.split('.').all(fits)
    });
    if prefix_fits && !name.is_empty() && is_label_word(name) {
        return Ok(());
    }
    fail(format!("{key:?} is no valid label key"))
}

fn check_value(value: &str) -> Result<()> {
    if value.is_empty() || is_label_word(value) {
        return Ok(());
    }
    fail(format!("{value:?} is no valid label value"))
}

fn is_label_word(word: &str) -> bool {
    let edge = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    word.len() <= 63
        && edge(word.chars().next())
        && edge(word.chars().last())
        && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}
