//! The values of a release: from ConfigMaps and Secrets, then the spec's own.
//!
//! Behaviour: fluxcd/pkg `chartutil/values.go` (`ChartValuesFromReferences`). No error repeats what a Secret holds.

use borax_api::helm::{HelmRelease, ValuesReference};
use borax_api::kustomize::ValuesKind;
use borax_helm::{overlay_values, plain_values, read_values, set_value};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, ResourceExt};
use serde_json::{Map, Value};

/// Why values could not be put together, in Flux's words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ValuesError(String);

fn failed(namespace: &str, reference: &ValuesReference, why: &str) -> ValuesError {
    let optional = if reference.optional { " optional" } else { "" };
    let (kind, name, key) = (reference.kind, &reference.name, reference.values_key());
    ValuesError(format!(
        "could not resolve{optional} {kind} chart values reference '{namespace}/{name}' with key '{key}': {why}"
    ))
}

/// Values, and which of the texts in them came from Secrets.
#[derive(Default)]
pub(super) struct Composed {
    pub(super) values: Map<String, Value>,
    pub(super) secrets: Secrets,
}

/// Texts that must not show anywhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Secrets(Vec<String>);

/// What stands in place of a secret text.
const MASK: &str = "***";
/// Texts that are shorter tell nothing, and stand in half of all words.
const SHORTEST: usize = 4;

impl Secrets {
    /// Takes in what a Secret holds: its lines, and every text in the values it makes.
    fn add(&mut self, data: &[u8]) {
        let text = String::from_utf8_lossy(data);
        match read_values(data) {
            Ok(values) => values.values().for_each(|value| self.add_value(value)),
            Err(_) => self.0.extend(text.lines().map(|line| line.trim().to_owned())),
        }
        self.0.push(text.trim().trim_matches(['\'', '"']).to_owned());
        self.0.retain(|text| text.len() >= SHORTEST);
        // The longest first: one may be a part of another.
        self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
        self.0.dedup();
    }

    fn add_value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.0.push(text.trim().to_owned()),
            Value::Array(items) => items.iter().for_each(|item| self.add_value(item)),
            Value::Object(map) => map.values().for_each(|value| self.add_value(value)),
            _ => {}
        }
    }

    /// A message without them.
    pub(super) fn masked(&self, message: &str) -> String {
        self.0.iter().fold(message.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }
}

/// Puts the values together, reading what they come from with our own rights.
///
/// # Errors
/// A reference that is not optional is missing, or what it holds are no values.
pub(super) async fn compose(
    client: &kube::Client,
    object: &HelmRelease,
) -> Result<Composed, ValuesError> {
    let namespace = object.namespace().unwrap_or_default();
    let own = object.spec.values.as_ref().map(plain_values).unwrap_or_default();
    let (mut all, mut secrets) = (Map::new(), Secrets::default());
    for reference in &object.spec.values_from {
        let Some(data) = read(client, &namespace, reference).await? else { continue };
        if reference.kind == ValuesKind::Secret {
            secrets.add(&data);
        }
        take(&mut all, &own, &namespace, reference, &data)?;
    }
    overlay_values(&mut all, own);
    Ok(Composed { values: all, secrets })
}

fn take(
    all: &mut Map<String, Value>,
    own: &Map<String, Value>,
    namespace: &str,
    reference: &ValuesReference,
    data: &[u8],
) -> Result<(), ValuesError> {
    if reference.target_path.is_empty() {
        // What the parser says may quote the text.
        let values = read_values(data).map_err(|error| {
            let why = match reference.kind {
                ValuesKind::ConfigMap => error,
                ValuesKind::Secret => "the data is no YAML map".to_owned(),
            };
            failed(namespace, reference, &why)
        })?;
        overlay_values(all, values);
        return Ok(());
    }
    overlay_values(all, own.clone());
    let text = String::from_utf8_lossy(data);
    let result = if reference.literal {
        set_value(all, &reference.target_path, &escaped(&text), true)
    } else {
        let quoted = |mark: char| text.starts_with(mark) && text.ends_with(mark);
        match quoted('\'') || quoted('"') {
            true => {
                let inner = text.trim_matches(['\'', '"']);
                set_value(all, &reference.target_path, inner, true)
            }
            false => set_value(all, &reference.target_path, &text, false),
        }
    };
    result.map_err(|error| {
        let why = match reference.kind {
            ValuesKind::ConfigMap => error,
            ValuesKind::Secret => "the data does not fit the target path".to_owned(),
        };
        failed(namespace, reference, &why)
    })
}

/// A text of which `--set` takes every character for itself.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | ',' | '[' | ']' | '{' | '}') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

async fn read(
    client: &kube::Client,
    namespace: &str,
    reference: &ValuesReference,
) -> Result<Option<Vec<u8>>, ValuesError> {
    let (name, key) = (&reference.name, reference.values_key());
    let data: Result<Option<Vec<u8>>, kube::Error> = match reference.kind {
        ValuesKind::ConfigMap => {
            let object = Api::<ConfigMap>::namespaced(client.clone(), namespace).get(name).await;
            object.map(|object| object.data.and_then(|mut d| d.remove(key)).map(String::into_bytes))
        }
        ValuesKind::Secret => {
            let object = Api::<Secret>::namespaced(client.clone(), namespace).get(name).await;
            object.map(|object| object.data.and_then(|mut d| d.remove(key)).map(|bytes| bytes.0))
        }
    };
    match data {
        Ok(Some(data)) => Ok(Some(data)),
        Ok(None) | Err(kube::Error::Api(_)) if reference.optional && missing(&data) => Ok(None),
        Ok(None) => Err(failed(namespace, reference, "key not found")),
        Err(kube::Error::Api(status)) => Err(failed(namespace, reference, &status.message)),
        Err(error) => Err(failed(namespace, reference, &error.to_string())),
    }
}

fn missing(data: &Result<Option<Vec<u8>>, kube::Error>) -> bool {
    match data {
        Ok(data) => data.is_none(),
        Err(kube::Error::Api(status)) => status.code == 404,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn taken(reference: ValuesReference, data: &str) -> Result<Value, String> {
        let mut all = Map::new();
        let own = plain_values(&json!({"own": 1}));
        take(&mut all, &own, "ns", &reference, data.as_bytes()).map_err(|e| e.to_string())?;
        Ok(Value::Object(all))
    }

    fn reference(path: &str, kind: ValuesKind, literal: bool) -> ValuesReference {
        ValuesReference {
            kind,
            name: "v".into(),
            target_path: path.into(),
            literal,
            ..ValuesReference::default()
        }
    }

    #[test]
    fn data_goes_to_the_root_or_to_its_path() {
        let root = taken(reference("", ValuesKind::ConfigMap, false), "a: {b: 1}\n").unwrap();
        assert_eq!(root, json!({"a": {"b": 1.0}}));
        let typed = taken(reference("a.b", ValuesKind::Secret, false), "12").unwrap();
        assert_eq!(typed, json!({"own": 1.0, "a": {"b": 12}}));
        let quoted = taken(reference("a.b", ValuesKind::Secret, false), "'12'").unwrap();
        assert_eq!(quoted["a"]["b"], "12");
        let literal = taken(reference("a.b", ValuesKind::Secret, true), "x,{y}=[z]\\").unwrap();
        assert_eq!(literal["a"]["b"], "x,{y}=[z]\\");
    }

    #[test]
    fn what_came_from_a_secret_is_masked() {
        let mut secrets = Secrets::default();
        secrets.add(b"password: hunter2\nport: 80\nlist: [longer-hunter2]\n");
        secrets.add(b"'token'");
        assert_eq!(
            secrets.masked("fail longer-hunter2, hunter2 and token at port 80"),
            "fail ***, *** and *** at port 80"
        );
    }

    #[test]
    fn an_error_about_a_secret_does_not_quote_it() {
        let error = taken(reference("", ValuesKind::Secret, false), "- hunter2").unwrap_err();
        assert!(error.starts_with(
            "could not resolve Secret chart values reference 'ns/v' with key 'values.yaml': "
        ));
        assert!(!error.contains("hunter2"), "{error}");
    }
}
