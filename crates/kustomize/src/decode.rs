//! Values of configuration files into typed fields, as Go's JSON decoder does it: names match without
//! regard to case, null leaves a field empty, and (unless lenient) unknown fields are refused.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::diag::{Diagnostics, Result, fail};

/// An object of which fields are taken one by one.
#[derive(Debug)]
pub(crate) struct Object {
    what: String,
    map: Map<String, Value>,
    known: Vec<&'static str>,
    lenient: bool,
}

impl Object {
    /// An object that may only have the fields that are asked for.
    pub(crate) fn new(what: &str, value: Value) -> Result<Object> {
        Object::with(what, value, false)
    }

    /// An object with any fields, in which numbers and booleans will do where a text is due
    /// (`sigs.k8s.io/yaml` with a target).
    pub(crate) fn lenient(what: &str, value: Value) -> Result<Object> {
        Object::with(what, value, true)
    }

    fn with(what: &str, value: Value, lenient: bool) -> Result<Object> {
        let map = match value {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            other => return fail(format!("{what} must be a map, not {}", sort_of(&other))),
        };
        Ok(Object { what: what.to_owned(), map, known: Vec::new(), lenient })
    }

    /// A field's value, if it is there and not null.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        let mut found = self.map.remove(name);
        if found.is_none() {
            let same = |key: &&String| key.eq_ignore_ascii_case(name);
            if let Some(key) = self.map.keys().find(same).cloned() {
                found = self.map.remove(&key);
            }
        }
        found.filter(|value| !value.is_null())
    }

    fn wrong<T>(&self, name: &str, wanted: &str, found: &Value) -> Result<T> {
        fail(format!("{}.{name} must be {wanted}, not {}", self.what, sort_of(found)))
    }

    fn to_text(&self, name: &str, value: Value) -> Result<String> {
        match value {
            Value::String(text) => Ok(text),
            Value::Null => Ok(String::new()),
            Value::Bool(_) | Value::Number(_) if self.lenient => Ok(value.to_string()),
            other => self.wrong(name, "a string", &other),
        }
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<String> {
        let value = self.take(name).unwrap_or_default();
        self.to_text(name, value)
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => self.wrong(name, "true or false", &other),
        }
    }

    pub(crate) fn int(&mut self, name: &'static str) -> Result<i64> {
        match self.take(name) {
            None => Ok(0),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(number),
                None => self.wrong(name, "an integer", &value),
            },
        }
    }

    /// A list; empty when absent.
    pub(crate) fn list(&mut self, name: &'static str) -> Result<Vec<Value>> {
        Ok(self.list_or_none(name)?.unwrap_or_default())
    }

    pub(crate) fn list_or_none(&mut self, name: &'static str) -> Result<Option<Vec<Value>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => self.wrong(name, "a list", &other),
        }
    }

    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Vec<String>> {
        Ok(self.texts_or_none(name)?.unwrap_or_default())
    }

    pub(crate) fn texts_or_none(&mut self, name: &'static str) -> Result<Option<Vec<String>>> {
        let Some(items) = self.list_or_none(name)? else { return Ok(None) };
        items.into_iter().map(|item| self.to_text(name, item)).collect::<Result<_>>().map(Some)
    }

    pub(crate) fn text_map(
        &mut self,
        name: &'static str,
    ) -> Result<Option<BTreeMap<String, String>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(map)) => {
                let pairs = map.into_iter().map(|(key, value)| {
                    let text = self.to_text(&format!("{name}.{key}"), value)?;
                    Ok((key, text))
                });
                pairs.collect::<Result<_>>().map(Some)
            }
            Some(other) => self.wrong(name, "a map of strings", &other),
        }
    }

    /// A field that is an object itself.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Option<Object>> {
        let what = format!("{}.{name}", self.what);
        self.take(name).map(|value| Object::with(&what, value, self.lenient)).transpose()
    }

    /// The items of a list as objects.
    pub(crate) fn objects(&mut self, name: &'static str) -> Result<Option<Vec<Object>>> {
        let Some(items) = self.list_or_none(name)? else { return Ok(None) };
        let one =
            |(at, value)| Object::with(&format!("{}.{name}[{at}]", self.what), value, self.lenient);
        items.into_iter().enumerate().map(one).collect::<Result<_>>().map(Some)
    }

    /// Refuses what nobody asked for.
    pub(crate) fn done(self) -> Result<()> {
        if self.lenient {
            return Ok(());
        }
        let mut found: Option<Diagnostics> = None;
        for name in self.map.keys() {
            let mut one = Diagnostics::new(format!("{}: unknown field {name:?}", self.what));
            if let Some(near) = nearest(name, &self.known) {
                one = one.hint(format!("did you mean {near:?}?"));
            }
            found = Some(match found {
                Some(before) => before.join(one),
                None => one,
            });
        }
        found.map_or(Ok(()), Err)
    }
}

/// The known name that is at most a third of its letters away.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let best = known.iter().map(|have| (distance(name, have), *have)).min()?;
    (best.0 * 3 <= best.1.len()).then_some(best.1)
}

fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, letter) in left.to_lowercase().chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (other, other_letter) in right.iter().enumerate() {
            let kept = diagonal + usize::from(letter != *other_letter);
            diagonal = row[other + 1];
            row[other + 1] = kept.min(diagonal + 1).min(row[other] + 1);
        }
    }
    row[right.len()]
}

fn sort_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
