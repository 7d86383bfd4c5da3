//! Chart.yaml as the linter checks it. Source: Helm `pkg/chart/v2/lint/rules/chartfile.go`.

use serde_json::{Map, Value as Json};

use super::{Findings, Folder, Severity, address};
use crate::metadata::{self, Metadata};
use crate::semver::Version;

const FILE: &str = "Chart.yaml";

pub(super) fn check(folder: &Folder, found: &mut Findings) {
    use Severity::{Error, Info, Warning};
    let text = folder.file(FILE);
    let is_folder = text.is_none() && folder.has_folder(FILE);
    let a_file =
        if is_folder { Err("should be a file, not a directory".to_owned()) } else { Ok(()) };
    found.rule(Error, FILE, a_file);
    let mut meta = Metadata::default();
    let read = match text {
        Some(text) => metadata::read(&mut meta, text),
        None if is_folder => Err(format!("read {}/{FILE}: is a directory", folder.path)),
        None => Err(format!("open {}/{FILE}: no such file or directory", folder.path)),
    };
    let read = read.map_err(|e| format!("unable to parse YAML\n\t{e}"));
    if !found.rule(Error, FILE, read) {
        return;
    }
    let text = text.unwrap_or_default();
    let strict =
        strict(text).map_err(|e| format!("failed to strictly parse chart metadata file\n\t{e}"));
    found.rule(Warning, FILE, strict);
    let types = match borax_yaml::to_json(text) {
        Ok(Json::Object(object)) => object,
        _ => Map::new(),
    };
    found.rule(Error, FILE, name(&meta));
    found.rule(Error, FILE, api_version(&meta));
    found.rule(Error, FILE, is_text(&types, "version"));
    found.rule(Error, FILE, version(&meta));
    found.rule(Error, FILE, is_text(&types, "appVersion"));
    found.rule(Error, FILE, maintainers(&meta));
    found.rule(Error, FILE, sources(&meta));
    found.rule(Info, FILE, recommend_icon(&meta));
    found.rule(Error, FILE, icon(&meta));
    let old = meta.api_version != "v2";
    let (api, kind, dependencies) = (&meta.api_version, &meta.kind, &meta.dependencies);
    found.rule(
        Error,
        FILE,
        refuse_if(old && !kind.is_empty(), || {
            format!("chart type is not valid in apiVersion '{api}'. It is valid in apiVersion 'v2'")
        }),
    );
    found.rule(
        Error,
        FILE,
        refuse_if(old && !dependencies.is_empty(), || {
            format!(
                "dependencies are not valid in the Chart file with apiVersion '{api}'. They are valid in apiVersion 'v2'"
            )
        }),
    );
    found.rule(
        Warning,
        FILE,
        refuse_if(!Version::is_strict(&meta.version), || {
            format!("version '{}' is not a valid SemVerV2", meta.version)
        }),
    );
}

fn refuse_if(wrong: bool, text: impl FnOnce() -> String) -> Result<(), String> {
    if wrong { Err(text()) } else { Ok(()) }
}

/// The fields of Chart.yaml, of its maintainers and dependencies.
const FIELDS: &[&str] = &[
    "name",
    "home",
    "sources",
    "version",
    "description",
    "keywords",
    "maintainers",
    "icon",
    "apiVersion",
    "condition",
    "tags",
    "appVersion",
    "deprecated",
    "annotations",
    "kubeVersion",
    "dependencies",
    "type",
];
const MAINTAINER: &[&str] = &["name", "email", "url"];
const DEPENDENCY: &[&str] =
    &["name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias"];

/// Keys given twice, and fields that Chart.yaml does not have. The first one is named.
fn strict(text: &[u8]) -> Result<(), String> {
    let json = borax_yaml::to_json_strict(text)
        .map_err(|e| format!("error converting YAML to JSON: {e}"))?;
    let Json::Object(object) = &json else { return Ok(()) };
    let known = |object: &Map<String, Json>, fields: &[&str]| {
        let stray = object.keys().find(|k| !fields.iter().any(|f| f.eq_ignore_ascii_case(k)));
        match stray {
            None => Ok(()),
            Some(key) => Err(format!(
                "error unmarshaling JSON: while decoding JSON: json: unknown field {}",
                borax_gotmpl::quote(key.as_bytes())
            )),
        }
    };
    // The decoder goes through the keys as the converted text has them: sorted.
    let mut keys: Vec<&String> = object.keys().collect();
    keys.sort_unstable();
    for key in keys {
        let one = Map::from_iter([(key.clone(), Json::Null)]);
        known(&one, FIELDS)?;
        let fields = match key.to_ascii_lowercase().as_str() {
            "maintainers" => MAINTAINER,
            "dependencies" => DEPENDENCY,
            _ => continue,
        };
        for entry in object[key].as_array().into_iter().flatten() {
            if let Json::Object(entry) = entry {
                known(entry, fields)?;
            }
        }
    }
    Ok(())
}

fn name(meta: &Metadata) -> Result<(), String> {
    refuse_if(meta.name.is_empty(), || "name is required".to_owned())?;
    let shown = borax_gotmpl::quote(meta.name.as_bytes());
    refuse_if(crate::funcs::base_path(&meta.name) != meta.name, || {
        format!("chart name {shown} is invalid")
    })
}

fn api_version(meta: &Metadata) -> Result<(), String> {
    const WANT: &str = "The value must be either \"v1\" or \"v2\"";
    let api = &meta.api_version;
    refuse_if(api.is_empty(), || format!("apiVersion is required. {WANT}"))?;
    refuse_if(!matches!(api.as_str(), "v1" | "v2"), || {
        format!("apiVersion '{api}' is not valid. {WANT}")
    })
}

fn is_text(object: &Map<String, Json>, key: &str) -> Result<(), String> {
    let kind = match object.get(key) {
        None | Some(Json::String(_)) => return Ok(()),
        Some(Json::Null) => "<nil>",
        Some(Json::Bool(_)) => "bool",
        Some(Json::Number(_)) => "float64",
        Some(Json::Array(_)) => "[]interface {}",
        Some(Json::Object(_)) => "map[string]interface {}",
    };
    Err(format!("{key} should be of type string but it's of type {kind}"))
}

fn version(meta: &Metadata) -> Result<(), String> {
    let text = &meta.version;
    refuse_if(text.is_empty(), || "version is required".to_owned())?;
    let version =
        Version::parse(text).map_err(|_| format!("version '{text}' is not a valid SemVer"))?;
    let first = Version { pre: "0".into(), ..Version::default() };
    refuse_if(version.compare(&first).is_le(), || {
        format!("version \"{text}\" is less than or equal to \"0.0.0-0\"")
    })
}

fn maintainers(meta: &Metadata) -> Result<(), String> {
    for m in &meta.maintainers {
        let (name, email, url) = (&m.name, &m.email, &m.url);
        refuse_if(name.is_empty(), || "each maintainer requires a name".to_owned())?;
        if !email.is_empty() && !address::is_email(email) {
            return Err(format!("invalid email '{email}' for maintainer '{name}'"));
        }
        refuse_if(!url.is_empty() && !address::is_url(url), || {
            format!("invalid url '{url}' for maintainer '{name}'")
        })?;
    }
    Ok(())
}

fn sources(meta: &Metadata) -> Result<(), String> {
    match meta.sources.iter().find(|source| !address::is_request_url(source)) {
        None => Ok(()),
        Some(source) => Err(format!("invalid source URL '{source}'")),
    }
}

fn recommend_icon(meta: &Metadata) -> Result<(), String> {
    refuse_if(meta.icon.is_empty(), || "icon is recommended".to_owned())
}

fn icon(meta: &Metadata) -> Result<(), String> {
    let icon = &meta.icon;
    refuse_if(!icon.is_empty() && !address::is_request_url(icon), || {
        format!("invalid icon URL '{icon}'")
    })
}
