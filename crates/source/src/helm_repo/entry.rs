//! One version of a chart in an index: read, judged, and written as Flux writes it. Pure.
//!
//! Source: Helm `pkg/repo/v1/index.go` (`ChartVersion`), source-controller
//! `internal/helm/repository/chart_repository.go` (what is left out).

use borax_helm::{Dependency, Maintainer, Metadata};
use serde::Serialize;
use serde_json::{Map, Value};

/// A version of a chart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) metadata: Metadata,
    pub(super) urls: Option<Vec<String>>,
    pub(super) created: Moment,
    removed: bool,
    digest: String,
    checksum: String,
    engine: String,
    tiller_version: String,
    url: String,
}

/// A point in time: as it is written, and to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) text: String,
    pub(super) nanoseconds: i128,
}

/// Go's zero time, which stands for none.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

impl Moment {
    /// Reads RFC 3339, and writes it as Go does: without zeros at the end of the fraction.
    pub(super) fn parse(value: Option<&Value>) -> Result<Self, String> {
        let text = match value {
            None | Some(Value::Null) => NO_TIME,
            Some(Value::String(text)) => text,
            Some(_) => return Err("Time.UnmarshalJSON: input is not a JSON string".to_owned()),
        };
        let fail = || format!("parsing time {text:?}: it is not RFC 3339");
        let time: jiff::Timestamp = text.parse().map_err(|_| fail())?;
        let mut written = text.to_owned();
        if let Some(dot) = written.find('.') {
            let end = written[dot + 1..].find(|c: char| !c.is_ascii_digit());
            let end = end.map_or(written.len(), |end| dot + 1 + end);
            let digits = written[dot..end].trim_end_matches(['0', '.']).to_owned();
            written.replace_range(dot..end, &digits);
        }
        Ok(Self { text: written, nanoseconds: time.as_nanosecond() })
    }
}

/// The fields of an entry besides those of Chart.yaml.
const OWN: [&str; 8] =
    ["urls", "created", "removed", "digest", "checksum", "engine", "tillerVersion", "url"];
const CHART: [&str; 17] = [
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

impl Entry {
    /// Reads an entry; `None` for one that is left out, as it is no valid chart. `strict` refuses fields that Helm does
    /// not know, as it does in YAML.
    pub(super) fn read(value: &Value, strict: bool) -> Result<Option<Self>, String> {
        let object = match value {
            Value::Null => return Ok(None),
            Value::Object(object) => object,
            _ => return Err("an entry is not an object".to_owned()),
        };
        if strict {
            let is_known = |key: &String| {
                OWN.iter().chain(&CHART).any(|known| known.eq_ignore_ascii_case(key))
            };
            if let Some(unknown) = object.keys().find(|key| !is_known(key)) {
                return Err(format!("json: unknown field {unknown:?}"));
            }
        }
        let mut metadata = Metadata::from_json(value)?;
        if metadata.api_version.is_empty() {
            metadata.api_version = "v1".to_owned();
        }
        let entry = Self {
            urls: texts(object, "urls")?,
            created: Moment::parse(field(object, "created"))?,
            removed: field(object, "removed").and_then(Value::as_bool).unwrap_or_default(),
            digest: text(object, "digest"),
            checksum: text(object, "checksum"),
            engine: text(object, "engine"),
            tiller_version: text(object, "tillerVersion"),
            url: text(object, "url"),
            metadata,
        };
        Ok(entry.judge())
    }

    fn judge(mut self) -> Option<Self> {
        match self.metadata.validate() {
            Ok(()) => Some(self),
            // Some servers leave the aliases out of their indexes.
            Err(error) if error.to_string().starts_with("validation: more than one dependency") => {
                Some(self)
            }
            Err(_) => None,
        }
    }

    /// The entry as the stored index has it, indented by `indent`.
    pub(super) fn write(&self, indent: &str) -> String {
        let m = &self.metadata;
        let written = Written {
            name: &m.name,
            home: &m.home,
            sources: &m.sources,
            version: &m.version,
            description: &m.description,
            keywords: &m.keywords,
            maintainers: m.maintainers.iter().map(WrittenMaintainer::of).collect(),
            icon: &m.icon,
            api_version: &m.api_version,
            condition: &m.condition,
            tags: &m.tags,
            app_version: &m.app_version,
            deprecated: m.deprecated,
            annotations: &m.annotations,
            kube_version: &m.kube_version,
            dependencies: m.dependencies.iter().map(WrittenDependency::of).collect(),
            kind: &m.kind,
            urls: &self.urls,
            created: &self.created.text,
            removed: self.removed,
            digest: &self.digest,
            checksum: &self.checksum,
            engine: &self.engine,
            tiller_version: &self.tiller_version,
            url: &self.url,
        };
        format!("{indent}{}", pretty(&written, indent))
    }
}

/// JSON as Go's `MarshalIndent` writes it, further lines indented by `indent`.
pub(super) fn pretty(value: &impl Serialize, indent: &str) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for c in text.chars() {
        match c {
            '\n' => {
                out.push('\n');
                out.push_str(indent);
            }
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    out
}

/// A field, whatever the case of its name, as Go finds it.
pub(super) fn field<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    object.get(name).or_else(|| {
        object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

pub(super) fn text(object: &Map<String, Value>, name: &str) -> String {
    match field(object, name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        _ => String::new(),
    }
}

pub(super) fn texts(
    object: &Map<String, Value>,
    name: &str,
) -> Result<Option<Vec<String>>, String> {
    let wrong = || format!("json: cannot unmarshal the field {name} into a list of texts");
    match field(object, name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => {
            let texts = items.iter().map(|item| match item {
                Value::Null => Ok(String::new()),
                Value::String(text) => Ok(text.clone()),
                Value::Number(number) => Ok(number.to_string()),
                Value::Bool(flag) => Ok(flag.to_string()),
                _ => Err(wrong()),
            });
            texts.collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(wrong()),
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    home: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sources: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    keywords: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    maintainers: Vec<WrittenMaintainer<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    icon: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    api_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    condition: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tags: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    app_version: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    deprecated: bool,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    annotations: &'a std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    kube_version: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<WrittenDependency<'a>>,
    #[serde(rename = "type", skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    urls: &'a Option<Vec<String>>,
    created: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    removed: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    digest: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    checksum: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    engine: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tiller_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    url: &'a str,
}

#[derive(Serialize)]
struct WrittenMaintainer<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    email: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    url: &'a str,
}

impl<'a> WrittenMaintainer<'a> {
    fn of(m: &'a Maintainer) -> Self {
        Self { name: &m.name, email: &m.email, url: &m.url }
    }
}

#[derive(Serialize)]
struct WrittenDependency<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    repository: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    condition: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "is_false")]
    enabled: bool,
    #[serde(rename = "import-values", skip_serializing_if = "<[_]>::is_empty")]
    import_values: &'a [Value],
    #[serde(skip_serializing_if = "str::is_empty")]
    alias: &'a str,
}

impl<'a> WrittenDependency<'a> {
    fn of(d: &'a Dependency) -> Self {
        Self {
            name: &d.name,
            version: &d.version,
            repository: &d.repository,
            condition: &d.condition,
            tags: &d.tags,
            enabled: d.enabled,
            import_values: &d.import_values,
            alias: &d.alias,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_written_as_go_writes_it() {
        let entry = json!({
            "name": "app", "version": "1.0.0", "description": "a <b> & c", "appVersion": 1.5,
            "urls": ["app-1.0.0.tgz"], "created": "2024-01-02T03:04:05.600Z",
            "dependencies": [{"name": "sub", "version": "1.x", "repository": ""}],
        });
        let entry = Entry::read(&entry, true).unwrap().unwrap();
        assert_eq!(
            entry.write("  "),
            "  {\n    \"name\": \"app\",\n    \"version\": \"1.0.0\",\n    \"description\": \"a \\u003cb\\u003e \\u0026 c\",\n    \
             \"apiVersion\": \"v1\",\n    \"appVersion\": \"1.5\",\n    \"dependencies\": [\n      {\n        \"name\": \"sub\",\n        \
             \"version\": \"1.x\",\n        \"repository\": \"\"\n      }\n    ],\n    \"urls\": [\n      \"app-1.0.0.tgz\"\n    ],\n    \
             \"created\": \"2024-01-02T03:04:05.6Z\"\n  }"
        );
    }

    #[test]
    fn what_is_no_chart_is_left_out_and_what_is_unknown_is_refused_in_yaml() {
        for bad in [
            json!(null),
            json!({"name": "app"}),
            json!({"name": "a/b", "version": "1.0.0"}),
            json!({"name": "app", "version": "one"}),
        ] {
            assert_eq!(Entry::read(&bad, true).unwrap(), None, "{bad}");
        }
        let twice = json!({"name": "app", "version": "1.0.0", "dependencies": [{"name": "a"}, {"name": "a"}]});
        assert!(Entry::read(&twice, true).unwrap().is_some());
        let more = json!({"name": "app", "version": "1.0.0", "more": 1});
        assert_eq!(Entry::read(&more, true).unwrap_err(), "json: unknown field \"more\"");
        assert!(Entry::read(&more, false).unwrap().is_some());
        let late = json!({"name": "app", "version": "1.0.0", "created": "yesterday"});
        assert!(Entry::read(&late, true).unwrap_err().contains("yesterday"));
    }
}
