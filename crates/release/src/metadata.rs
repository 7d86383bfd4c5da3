//! Chart.yaml inside a release record. Source: Helm `pkg/chart/v2/metadata.go`, `dependency.go` (names and order of the
//! JSON fields).

use borax_helm::{Dependency, Maintainer, Metadata};
use serde_json::{Map, Value};

use crate::json::Fields;

/// The metadata as Go's encoder writes it.
pub(crate) fn write(metadata: &Metadata) -> String {
    let mut out = Fields::new();
    let texts = |all: &[String]| all.iter().map(|t| crate::json::text(t)).collect::<Vec<_>>();
    out.some_text("name", &metadata.name);
    out.some_text("home", &metadata.home);
    out.some_list("sources", &texts(&metadata.sources));
    out.some_text("version", &metadata.version);
    out.some_text("description", &metadata.description);
    out.some_list("keywords", &texts(&metadata.keywords));
    let maintainers: Vec<String> = metadata.maintainers.iter().map(maintainer).collect();
    out.some_list("maintainers", &maintainers);
    out.some_text("icon", &metadata.icon);
    out.some_text("apiVersion", &metadata.api_version);
    out.some_text("condition", &metadata.condition);
    out.some_text("tags", &metadata.tags);
    out.some_text("appVersion", &metadata.app_version);
    out.some_flag("deprecated", metadata.deprecated);
    if !metadata.annotations.is_empty() {
        let map: Map<String, Value> = metadata
            .annotations
            .iter()
            .map(|(key, value)| (key.clone(), Value::String(value.clone())))
            .collect();
        out.raw("annotations", &borax_yaml::json_string(&Value::Object(map)));
    }
    out.some_text("kubeVersion", &metadata.kube_version);
    let dependencies: Vec<String> = metadata.dependencies.iter().map(dependency).collect();
    out.some_list("dependencies", &dependencies);
    out.some_text("type", &metadata.kind);
    out.end()
}

fn maintainer(maintainer: &Maintainer) -> String {
    let mut out = Fields::new();
    out.some_text("name", &maintainer.name);
    out.some_text("email", &maintainer.email);
    out.some_text("url", &maintainer.url);
    out.end()
}

pub(crate) fn dependency(dependency: &Dependency) -> String {
    let mut out = Fields::new();
    out.text("name", &dependency.name);
    out.some_text("version", &dependency.version);
    out.text("repository", &dependency.repository);
    out.some_text("condition", &dependency.condition);
    let texts: Vec<String> = dependency.tags.iter().map(|tag| crate::json::text(tag)).collect();
    out.some_list("tags", &texts);
    out.some_flag("enabled", dependency.enabled);
    let imports: Vec<String> =
        dependency.import_values.iter().map(borax_yaml::json_string).collect();
    out.some_list("import-values", &imports);
    out.some_text("alias", &dependency.alias);
    out.end()
}

/// The metadata in a record. What is of another type than Helm's is left out, as nothing but Helm writes records.
pub(crate) fn read(json: &Value) -> Metadata {
    let all = |name: &str| json.get(name).and_then(Value::as_array).into_iter().flatten();
    let annotations = json.get("annotations").and_then(Value::as_object).into_iter().flatten();
    Metadata {
        name: text(json, "name"),
        home: text(json, "home"),
        sources: texts(json, "sources"),
        version: text(json, "version"),
        description: text(json, "description"),
        keywords: texts(json, "keywords"),
        maintainers: all("maintainers")
            .map(|entry| Maintainer {
                name: text(entry, "name"),
                email: text(entry, "email"),
                url: text(entry, "url"),
            })
            .collect(),
        icon: text(json, "icon"),
        api_version: text(json, "apiVersion"),
        condition: text(json, "condition"),
        tags: text(json, "tags"),
        app_version: text(json, "appVersion"),
        deprecated: json.get("deprecated").and_then(Value::as_bool).unwrap_or(false),
        annotations: annotations
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        kube_version: text(json, "kubeVersion"),
        dependencies: all("dependencies").map(read_dependency).collect(),
        kind: text(json, "type"),
    }
}

/// A dependency in Chart.lock or in a record.
pub(crate) fn read_dependency(json: &Value) -> Dependency {
    let imports = json.get("import-values").and_then(Value::as_array);
    Dependency {
        name: text(json, "name"),
        version: text(json, "version"),
        repository: text(json, "repository"),
        condition: text(json, "condition"),
        tags: texts(json, "tags"),
        enabled: json.get("enabled").and_then(Value::as_bool).unwrap_or(false),
        import_values: imports.cloned().unwrap_or_default(),
        alias: text(json, "alias"),
    }
}

fn text(json: &Value, name: &str) -> String {
    json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(json: &Value, name: &str) -> Vec<String> {
    let items = json.get(name).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
