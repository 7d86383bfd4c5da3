//! Templates as the linter sees them: rendered in lint mode, then each document checked.

use super::document::{Documents, Head};
use super::{Findings, Folder, LintOptions, Loaded, Severity, deprecated, names};
use crate::capabilities::Capabilities;
use crate::render::{Options, lint_templates};

const FOLDER: &str = "templates/";
/// Longest line that Go's scanner takes.
const MAX_LINE: usize = 64 * 1024;

pub(super) fn check(folder: &Folder, loaded: &Loaded, options: &LintOptions, found: &mut Findings) {
    let a_file = folder.file("templates").is_some();
    let there = a_file || folder.has_folder("templates");
    let missing = if there { Ok(()) } else { Err("directory does not exist".to_owned()) };
    if !found.rule(Severity::Warning, FOLDER, missing) {
        return;
    }
    let not_folder = if a_file { Err("not a directory".to_owned()) } else { Ok(()) };
    if !found.rule(Severity::Error, FOLDER, not_folder) {
        return;
    }
    let chart = match loaded {
        Ok(chart) => chart,
        Err(e) => {
            found.rule(Severity::Error, FOLDER, Err(e.clone()));
            return;
        }
    };
    let mut rendering = Options::new("test-release", options.env.clone());
    rendering.namespace.clone_from(&options.namespace);
    rendering.lint = true;
    rendering.revision = 0;
    rendering.skip_schema_validation = options.skip_schema_validation;
    if let Some(version) = &options.kube_version {
        rendering.capabilities.kube_version = version.clone();
    }
    let rendered = lint_templates(chart, &options.values, &rendering);
    let (texts, notices) = match rendered {
        // Values that do not fit the charts below are silently given up on, as in Helm.
        Ok(None) => return,
        Ok(Some(rendered)) => rendered,
        Err(e) => {
            found.rule(Severity::Error, FOLDER, Err(e.to_string()));
            return;
        }
    };
    found.notices = notices;
    for template in &chart.templates {
        let path = template.path.as_str();
        let name = path.rsplit('/').next().unwrap_or(path);
        let extension = name.rfind('.').map_or("", |dot| &name[dot..]);
        found.rule(Severity::Error, path, allowed(extension));
        if ![".yaml", ".yml"].contains(&extension.to_lowercase().as_str()) {
            continue;
        }
        let full = crate::funcs::clean_path(&format!("{}/{path}", chart.metadata.name));
        let text = texts.get(&full).map_or("", String::as_str);
        if text.trim_matches(borax_gotmpl::is_space).is_empty() {
            continue;
        }
        found.rule(Severity::Warning, path, top_indent(text));
        for head in Documents::of(text.as_bytes()) {
            match head {
                Ok(None) => {}
                Ok(Some(head)) => document(path, &head, text, options, found),
                Err(e) => {
                    found.rule(Severity::Error, path, Err(format!("unable to parse YAML: {e}")));
                    return;
                }
            }
        }
    }
}

fn document(path: &str, head: &Head, text: &str, options: &LintOptions, found: &mut Findings) {
    found.rule(Severity::Warning, path, names::check(&head.kind, &head.name));
    let default = Capabilities::default().kube_version;
    let version = options.kube_version.as_ref().unwrap_or(&default);
    found.rule(Severity::Warning, path, deprecated::check(&head.api_version, &head.kind, version));
    let selects = ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"];
    if selects.contains(&head.kind.as_str())
        && !text.contains("matchLabels")
        && !text.contains("matchExpressions")
    {
        let (kind, name) = (&head.kind, borax_gotmpl::quote(head.name.as_bytes()));
        found.rule(
            Severity::Error,
            path,
            Err(format!(
                "a {kind} must contain matchLabels or matchExpressions, and {name} does not"
            )),
        );
    }
    if head.kind == "List" {
        found.rule(Severity::Error, path, list_annotations(text));
    }
}

/// Annotations of a list's items that Helm would not see.
fn list_annotations(text: &str) -> Result<(), String> {
    let json = borax_yaml::to_json(text)
        .map_err(|e| format!("unable to parse YAML: error converting YAML to JSON: {e}"))?;
    let items = json.get("items").and_then(|items| items.as_array());
    let kept = items.into_iter().flatten().any(|item| {
        item.pointer("/metadata/annotations")
            .and_then(|a| a.get("helm.sh/resource-policy"))
            .is_some()
    });
    match kept {
        true => {
            Err("annotation 'helm.sh/resource-policy' within List objects are ignored".to_owned())
        }
        false => Ok(()),
    }
}

fn allowed(extension: &str) -> Result<(), String> {
    match [".yaml", ".yml", ".tpl", ".txt"].contains(&extension) {
        true => Ok(()),
        false => Err(format!(
            "file extension '{extension}' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt"
        )),
    }
}

/// The first line that is not blank must not be indented.
fn top_indent(text: &str) -> Result<(), String> {
    for line in text.split('\n') {
        if line.len() >= MAX_LINE {
            return Err("bufio.Scanner: token too long".to_owned());
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim_matches(borax_gotmpl::is_space).is_empty() {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            let shown = borax_gotmpl::quote(line.as_bytes());
            return Err(format!(
                "document starts with an illegal indent: {shown}, which may cause parsing problems"
            ));
        }
        return Ok(());
    }
    Ok(())
}
