//! Chart.yaml: its fields, how loosely they are read, and what is refused. Source: Helm
//! `pkg/chart/v2/metadata.go`, `dependency.go`.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::error::Error;
use crate::semver::Version;

/// What Chart.yaml says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Name; a dependency's alias once that applies.
    pub name: String,
    /// Project page.
    pub home: String,
    /// Source pages.
    pub sources: Vec<String>,
    /// Chart version.
    pub version: String,
    /// One sentence.
    pub description: String,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// Who keeps it.
    pub maintainers: Vec<Maintainer>,
    /// Icon address.
    pub icon: String,
    /// `v1` or `v2`.
    pub api_version: String,
    /// Condition of the chart itself (unused by Helm).
    pub condition: String,
    /// Tags of the chart itself (unused by Helm).
    pub tags: String,
    /// Version of what it installs.
    pub app_version: String,
    /// Whether it is deprecated.
    pub deprecated: bool,
    /// Free annotations.
    pub annotations: BTreeMap<String, String>,
    /// Constraint on the Kubernetes version.
    pub kube_version: String,
    /// Charts it depends on.
    pub dependencies: Vec<Dependency>,
    /// `application`, `library` or nothing.
    pub kind: String,
}

/// A maintainer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintainer {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: String,
    /// Page.
    pub url: String,
}

/// A dependency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependency {
    /// Name of the chart.
    pub name: String,
    /// Constraint on its version.
    pub version: String,
    /// Where it comes from.
    pub repository: String,
    /// Value paths that switch it, the first that is there decides.
    pub condition: String,
    /// Tags that switch it.
    pub tags: Vec<String>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Values taken over into the parent.
    pub import_values: Vec<Json>,
    /// Another name for it.
    pub alias: String,
}

/// Reading an object as Go's decoder fills a struct.
struct Fields<'a> {
    object: &'a Map<String, Json>,
    within: &'a str,
}

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Json> {
        let found = self.object.get(name).or_else(|| {
            // Go matches names in any case.
            self.object.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v)
        });
        found.filter(|v| !v.is_null())
    }

    fn refuse<T>(&self, json: &Json, name: &str, want: &str) -> Result<T, String> {
        let kind = match json {
            Json::Null => "null",
            Json::Bool(_) => "bool",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        };
        let within = self.within;
        Err(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go struct field {within}.{name} of type {want}"
        ))
    }

    fn text(&self, name: &str) -> Result<String, String> {
        match self.get(name) {
            None => Ok(String::new()),
            Some(json) => scalar_text(json).map_or_else(|| self.refuse(json, name, "string"), Ok),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(false),
            Some(Json::Bool(b)) => Ok(*b),
            Some(json) => self.refuse(json, name, "bool"),
        }
    }

    fn list(&self, name: &str, want: &str) -> Result<&'a [Json], String> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Json::Array(items)) => Ok(items),
            Some(json) => self.refuse(json, name, want),
        }
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let read = |item: &Json| match item {
            Json::Null => Ok(String::new()),
            _ => scalar_text(item).map_or_else(|| self.refuse(item, name, "string"), Ok),
        };
        self.list(name, "[]string")?.iter().map(read).collect()
    }

    fn text_map(&self, name: &str) -> Result<BTreeMap<String, String>, String> {
        match self.get(name) {
            None => Ok(BTreeMap::new()),
            Some(Json::Object(entries)) => entries
                .iter()
                .map(|(k, v)| match v {
                    Json::Null => Ok((k.clone(), String::new())),
                    _ => match scalar_text(v) {
                        Some(text) => Ok((k.clone(), text)),
                        None => self.refuse(v, name, "string"),
                    },
                })
                .collect(),
            Some(json) => self.refuse(json, name, "map[string]string"),
        }
    }
}

/// A scalar where a text is wanted, as the YAML library converts it.
pub(crate) fn scalar_text(json: &Json) -> Option<String> {
    Some(match json {
        Json::String(s) => s.clone(),
        Json::Bool(b) => b.to_string(),
        Json::Number(n) => match n.as_f64().filter(|_| n.is_f64()) {
            Some(f) => borax_gotmpl::format_float(f, b'g', None),
            None => n.to_string(),
        },
        _ => return None,
    })
}

/// Reads Chart.yaml's fields onto what is there already (requirements.yaml adds to Chart.yaml).
///
/// # Errors
/// Go's words for fields of the wrong type.
pub(crate) fn read(meta: &mut Metadata, text: &[u8]) -> Result<(), String> {
    let json =
        borax_yaml::to_json(text).map_err(|e| format!("error converting YAML to JSON: {e}"))?;
    read_json(meta, &json)
}

fn read_json(meta: &mut Metadata, json: &Json) -> Result<(), String> {
    let object = match json {
        Json::Null => return Ok(()),
        Json::Object(object) => object,
        other => {
            return Err(format!(
                "error unmarshaling JSON: while decoding JSON: {}",
                crate::funcs::json_mismatch(other, "v2.Metadata")
            ));
        }
    };
    let f = Fields { object, within: "Metadata" };
    let set = |field: &mut String, name: &str| -> Result<(), String> {
        if f.get(name).is_some() {
            *field = f.text(name)?;
        }
        Ok(())
    };
    set(&mut meta.name, "name")?;
    set(&mut meta.home, "home")?;
    set(&mut meta.version, "version")?;
    set(&mut meta.description, "description")?;
    set(&mut meta.icon, "icon")?;
    set(&mut meta.api_version, "apiVersion")?;
    set(&mut meta.condition, "condition")?;
    set(&mut meta.tags, "tags")?;
    set(&mut meta.app_version, "appVersion")?;
    set(&mut meta.kube_version, "kubeVersion")?;
    set(&mut meta.kind, "type")?;
    if f.get("sources").is_some() {
        meta.sources = f.texts("sources")?;
    }
    if f.get("keywords").is_some() {
        meta.keywords = f.texts("keywords")?;
    }
    if f.get("deprecated").is_some() {
        meta.deprecated = f.flag("deprecated")?;
    }
    if f.get("annotations").is_some() {
        meta.annotations.append(&mut f.text_map("annotations")?);
    }
    if f.get("maintainers").is_some() {
        let each = f.list("maintainers", "[]*v2.Maintainer")?.iter().map(|json| {
            let Json::Object(object) = json else {
                return Err(refusal_of_entry(json, "maintainers"));
            };
            let f = Fields { object, within: "Maintainer" };
            Ok(Maintainer { name: f.text("name")?, email: f.text("email")?, url: f.text("url")? })
        });
        meta.maintainers = each.collect::<Result<_, String>>()?;
    }
    if f.get("dependencies").is_some() {
        meta.dependencies = dependencies(&f)?;
    }
    Ok(())
}

/// The dependencies of Chart.yaml or of a lock file.
fn dependencies(f: &Fields<'_>) -> Result<Vec<Dependency>, String> {
    let each = f.list("dependencies", "[]*v2.Dependency")?.iter().map(|json| {
        let Json::Object(object) = json else {
            return Err(refusal_of_entry(json, "dependencies"));
        };
        let f = Fields { object, within: "Dependency" };
        Ok(Dependency {
            name: f.text("name")?,
            version: f.text("version")?,
            repository: f.text("repository")?,
            condition: f.text("condition")?,
            tags: f.texts("tags")?,
            enabled: f.flag("enabled")?,
            import_values: f.list("import-values", "[]interface {}")?.to_vec(),
            alias: f.text("alias")?,
        })
    });
    each.collect()
}

/// A lock file: the dependencies as they were chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    /// When, as RFC 3339.
    pub generated: String,
    /// A hash of the dependencies in Chart.yaml.
    pub digest: String,
    /// The dependencies, each of one version.
    pub dependencies: Vec<Dependency>,
}

impl Lock {
    /// Reads Chart.lock or requirements.lock.
    ///
    /// # Errors
    /// Go's words for fields of the wrong type.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        let json =
            borax_yaml::to_json(text).map_err(|e| format!("error converting YAML to JSON: {e}"))?;
        let object = match &json {
            Json::Null => return Ok(Self::default()),
            Json::Object(object) => object,
            other => {
                return Err(format!(
                    "error unmarshaling JSON: while decoding JSON: {}",
                    crate::funcs::json_mismatch(other, "v2.Lock")
                ));
            }
        };
        let f = Fields { object, within: "Lock" };
        Ok(Self {
            generated: f.text("generated")?,
            digest: f.text("digest")?,
            dependencies: dependencies(&f)?,
        })
    }
}

fn refusal_of_entry(json: &Json, field: &str) -> String {
    if json.is_null() {
        return format!("validation: {field} must not contain empty or null nodes");
    }
    let words = crate::funcs::json_mismatch(json, "v2.Metadata");
    format!("error unmarshaling JSON: while decoding JSON: {words} in field {field}")
}

/// Spaces become plain spaces, what does not print is dropped.
fn sanitize(text: &mut String) {
    let clean = text.chars().filter_map(|c| {
        if borax_gotmpl::is_space(c) { Some(' ') } else { borax_gotmpl::is_print(c).then_some(c) }
    });
    *text = clean.collect();
}

impl Metadata {
    /// Reads the fields of an object, such as an entry of a repository's index, as loosely as Chart.yaml is read.
    ///
    /// # Errors
    /// Go's words for fields of the wrong type.
    pub fn from_json(json: &Json) -> Result<Self, String> {
        let mut meta = Self::default();
        read_json(&mut meta, json)?;
        Ok(meta)
    }

    /// Reads Chart.yaml, and requirements.yaml over it, without the rest of the chart.
    ///
    /// # Errors
    /// What does not parse.
    pub fn from_files(chart: &[u8], requirements: Option<&[u8]>) -> Result<Self, Error> {
        let mut meta = Self::default();
        read(&mut meta, chart)
            .map_err(|e| Error::Chart(format!("cannot load 'Chart.yaml': {e}")))?;
        if meta.api_version.is_empty() {
            meta.api_version = "v1".into();
        }
        if let Some(text) = requirements.filter(|text| !text.is_empty()) {
            read(&mut meta, text)
                .map_err(|e| Error::Chart(format!("cannot load 'requirements.yaml': {e}")))?;
        }
        Ok(meta)
    }

    /// As [`Metadata::from_files`], of a chart's archive.
    ///
    /// # Errors
    /// It is no chart's archive.
    pub fn from_archive(data: &[u8]) -> Result<Self, Error> {
        let files = crate::archive::unpack(data)?;
        let find =
            |name: &str| files.iter().find(|(path, _)| path == name).map(|(_, data)| &**data);
        let chart =
            find("Chart.yaml").ok_or_else(|| Error::Chart("no 'Chart.yaml' found".to_owned()))?;
        Self::from_files(chart, find("requirements.yaml"))
    }

    /// Cleans the texts and refuses what Helm refuses.
    ///
    /// # Errors
    /// Helm's words.
    pub fn validate(&mut self) -> Result<(), Error> {
        let refuse = |text: String| Err(Error::Chart(format!("validation: {text}")));
        for text in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ] {
            sanitize(text);
        }
        self.sources.iter_mut().chain(&mut self.keywords).for_each(sanitize);
        let shown = borax_gotmpl::quote(self.name.as_bytes());
        if self.api_version.is_empty() {
            return refuse("chart.metadata.apiVersion is required".into());
        }
        if self.name.is_empty() {
            return refuse("chart.metadata.name is required".into());
        }
        if self.name == "." || self.name == ".." {
            return refuse(format!("chart.metadata.name {shown} is not allowed"));
        }
        if self.name.contains('/') {
            return refuse(format!("chart.metadata.name {shown} is invalid"));
        }
        if self.version.is_empty() {
            return refuse("chart.metadata.version is required".into());
        }
        if Version::parse(&self.version).is_err() {
            let shown = borax_gotmpl::quote(self.version.as_bytes());
            return refuse(format!("chart.metadata.version {shown} is invalid"));
        }
        if !matches!(self.kind.as_str(), "" | "application" | "library") {
            return refuse("chart.metadata.type must be application or library".into());
        }
        for m in &mut self.maintainers {
            sanitize(&mut m.name);
            sanitize(&mut m.email);
            sanitize(&mut m.url);
        }
        let mut seen = std::collections::BTreeSet::new();
        for d in &mut self.dependencies {
            sanitize(&mut d.name);
            sanitize(&mut d.version);
            sanitize(&mut d.repository);
            sanitize(&mut d.condition);
            d.tags.iter_mut().for_each(sanitize);
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            if !d.alias.bytes().all(plain) {
                let shown = borax_gotmpl::quote(d.name.as_bytes());
                return refuse(format!(
                    "dependency {shown} has disallowed characters in the alias"
                ));
            }
            let key = if d.alias.is_empty() { &d.name } else { &d.alias };
            if !seen.insert(key.clone()) {
                let shown = borax_gotmpl::quote(key.as_bytes());
                return refuse(format!("more than one dependency with name or alias {shown}"));
            }
        }
        Ok(())
    }

    /// Whether this is a library chart.
    pub fn is_library(&self) -> bool {
        self.kind.eq_ignore_ascii_case("library")
    }
}
