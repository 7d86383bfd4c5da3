//! Substitution in one object, as kustomize-controller does it after a build
//! (`SubstituteVariables` in fluxcd/pkg/kustomize): the object becomes YAML, the text is
//! substituted, and what comes out is read again. Quotes that the YAML did not need are therefore
//! not there: a value that looks like a number or a boolean becomes one.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::Error;

/// The label or annotation with which an object opts out.
pub const SUBSTITUTE_KEY: &str = "kustomize.toolkit.fluxcd.io/substitute";
/// The value of [`SUBSTITUTE_KEY`] that opts out.
pub const DISABLED_VALUE: &str = "disabled";

/// The variables of a Kustomization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vars(BTreeMap<String, String>);

impl Vars {
    /// No variables.
    pub fn new() -> Vars {
        Vars::default()
    }

    /// Adds variables, replacing those of the same name: first the data of each `substituteFrom`
    /// in order, then `substitute`. Line feeds are dropped from the values, as Flux does.
    pub fn add<N: Into<String>, V: AsRef<str>>(
        &mut self,
        vars: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Vars {
        for (name, value) in vars {
            self.0.insert(name.into(), value.as_ref().replace('\n', ""));
        }
        self
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether there are none: unless the strategy is `Always`, nothing is substituted then.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses names that no expansion could name.
    fn check_names(&self) -> Result<(), Error> {
        let is_name = |name: &str| {
            let mut bytes = name.bytes();
            bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
                && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
        };
        match self.0.keys().find(|name| !is_name(name)) {
            Some(name) => Err(Error::Name(name.clone())),
            None => Ok(()),
        }
    }
}

/// Whether an object's labels or annotations say that nothing shall be substituted in it.
pub fn is_disabled(object: &Value) -> bool {
    ["labels", "annotations"].iter().any(|place| {
        object
            .get("metadata")
            .and_then(|metadata| metadata.get(place))
            .and_then(|map| map.get(SUBSTITUTE_KEY))
            .and_then(Value::as_str)
            == Some(DISABLED_VALUE)
    })
}

/// Substitutes the variables in one object.
///
/// The object comes back as it is when it opted out. Whether to substitute at all without any variable
/// is the caller's choice (`spec.postBuild.substituteStrategy`). Integers
/// beyond 2^53 keep their value (Flux rounds them to the next float).
///
/// Errors read as Flux reports them (`envsubst error: variable substitution failed: ...`).
pub fn object(object: &Value, vars: &Vars, strict: bool) -> Result<Value, Error> {
    if is_disabled(object) {
        return Ok(object.clone());
    }
    let wrap = |error| Error::Object(Box::new(error));
    vars.check_names().map_err(wrap)?;
    let text = borax_yaml::to_string(object);
    if !crate::may_change(&text) {
        return Ok(object.clone());
    }
    let lookup = |name: &str| vars.get(name).map(str::to_owned);
    let substituted = crate::bytes(&text, &lookup, strict).map_err(wrap)?;
    let value = borax_yaml::to_json(substituted).map_err(|error| wrap(Error::Yaml(error)))?;
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        Value::Bool(_) => Err(Error::NoObject("bool")),
        Value::Number(_) => Err(Error::NoObject("number")),
        Value::String(_) => Err(Error::NoObject("string")),
        Value::Array(_) => Err(Error::NoObject("array")),
    }
}
