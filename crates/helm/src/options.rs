//! The value flags of `helm template` and what they make of each other: files, `--set` and its
//! relatives, in Helm's order. Reading files is the caller's.

use serde_json::{Map, Value as Json};

use crate::error::Error;
use crate::strvals::{Kind, parse};
use crate::{values, yaml};

/// Values as flags give them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueOptions {
    /// `-f`: name and content, in order. One flag may name several, separated by commas.
    pub files: Vec<(String, Vec<u8>)>,
    /// `--set-json`
    pub json: Vec<String>,
    /// `--set`
    pub set: Vec<String>,
    /// `--set-string`
    pub string: Vec<String>,
    /// `--set-file`
    pub file: Vec<String>,
    /// `--set-literal`
    pub literal: Vec<String>,
}

impl ValueOptions {
    /// The merged values. `read` gives the content of the files that `--set-file` names.
    ///
    /// # Errors
    /// Names the flag and what it holds.
    pub fn merge(
        &self,
        read: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Map<String, Json>, Error> {
        let mut all = Map::new();
        for (name, text) in &self.files {
            let next = values::load(text)
                .map_err(|e| Error::Values(format!("failed to parse {name}: {e}")))?;
            values::merge(&mut all, next);
        }
        for arg in &self.json {
            if arg.trim_start().starts_with('{') {
                let refuse =
                    || Error::Values(format!("failed parsing --set-json data JSON: {arg}"));
                let json = crate::funcs::parse_json(arg.trim()).map_err(|_| refuse())?;
                match yaml::as_floats(json) {
                    Json::Object(entries) => values::merge(&mut all, entries),
                    _ => return Err(refuse()),
                }
            } else {
                parse(arg, &Kind::Json, &mut all)
                    .map_err(|_| Error::Values(format!("failed parsing --set-json data {arg}")))?;
            }
        }
        let groups: [(&str, &[String], Kind<'_>); 4] = [
            ("--set", &self.set, Kind::Typed),
            ("--set-string", &self.string, Kind::Text),
            ("--set-file", &self.file, Kind::File(read)),
            ("--set-literal", &self.literal, Kind::Literal),
        ];
        for (flag, args, kind) in &groups {
            for arg in *args {
                parse(arg, kind, &mut all)
                    .map_err(|e| Error::Values(format!("failed parsing {flag} data: {e}")))?;
            }
        }
        Ok(all)
    }
}

/// Reads a values file as Flux does for `valuesFrom`: the first document.
///
/// # Errors
/// The YAML library's words.
pub fn read_values(text: &[u8]) -> Result<Map<String, Json>, String> {
    yaml::read_map(text)
}

/// Values from elsewhere, such as a custom resource, with every number as Helm has it.
pub fn plain_values(json: &Json) -> Map<String, Json> {
    match yaml::as_floats(json.clone()) {
        Json::Object(entries) => entries,
        _ => Map::new(),
    }
}

/// Merges values: the second win, maps merge.
pub fn overlay_values(into: &mut Map<String, Json>, from: Map<String, Json>) {
    values::merge(into, from);
}

/// Fills values with the ones below them: the first win, a null in them removes what is below (Helm's
/// `CoalesceTables`).
///
/// # Errors
/// Values that are nested too deep.
pub fn coalesce_values(
    values: &Map<String, Json>,
    below: &Map<String, Json>,
) -> Result<Map<String, Json>, Error> {
    let (top, below) = (crate::convert::map(values), crate::convert::map(below));
    values::merge_tables(&top, &below, false, 0)?;
    Ok(crate::render::plain(&top))
}

/// Sets one value at a `--set` path: `value` as `--set` reads it, or as the text it is.
///
/// # Errors
/// Helm's words.
pub fn set_value(
    into: &mut Map<String, Json>,
    path: &str,
    value: &str,
    as_text: bool,
) -> Result<(), String> {
    let kind = if as_text { Kind::Text } else { Kind::Typed };
    parse(&format!("{path}={value}"), &kind, into)
}

/// Whether a release may have the name.
///
/// # Errors
/// Helm's words.
pub fn check_release_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::Option("release name check failed: no name provided".into()));
    }
    let label = |part: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        part.bytes().next().is_some_and(plain)
            && part.bytes().next_back().is_some_and(plain)
            && part.bytes().all(|b| plain(b) || b == b'-')
    };
    if name.len() > 53 || !name.split('.').all(label) {
        let shown = borax_gotmpl::quote(name.as_bytes());
        return Err(Error::Option(format!(
            "release name check failed: release name {shown}: invalid release name, must match regex ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer than 53"
        )));
    }
    Ok(())
}
