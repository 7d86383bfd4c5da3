//! Packaging: a chart as the archive `helm package` makes of it. Source: Helm `pkg/chart/v2/util/save.go`, and
//! source-controller `internal/helm/chart/metadata.go` for values that take the place of the chart's own.
//!
//! Unlike Helm's, an archive bears no times, so that the same chart is always the same bytes.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value as Json, json};

use crate::chart::Chart;
use crate::error::Error;
use crate::metadata::{Dependency, Lock, Metadata};
use crate::yaml;

/// What Helm writes into the extra field of its archives' gzip headers.
const EXTRA: &[u8] = b"rr\x28\x00aHR0cHM6Ly95b3V0dS5iZS96OVV6MWljandyTQo=";

/// Lays a values file over values: later ones win, maps merge. Only the first document counts.
///
/// # Errors
/// The YAML library's words.
pub fn merge_values(into: &mut Map<String, Json>, text: &[u8]) -> Result<(), String> {
    crate::values::merge(into, yaml::read_map(text)?);
    Ok(())
}

impl Chart {
    /// Puts `values` in the place of values.yaml. Says whether that changed anything.
    ///
    /// # Errors
    /// The chart has no values.yaml.
    pub fn replace_values(&mut self, values: Map<String, Json>) -> Result<bool, Error> {
        let Some(old) = &self.values_text else {
            return Err(Error::Chart("failed to locate values file: values.yaml".into()));
        };
        let text = match values.is_empty() {
            true => String::new(),
            false => borax_yaml::to_string(&Json::Object(values.clone())),
        };
        if **old == *text.as_bytes() {
            return Ok(false);
        }
        for file in self.files.iter_mut().filter(|file| file.path == "values.yaml") {
            file.data = text.as_bytes().into();
        }
        self.values_text = Some(text.as_bytes().into());
        self.values = values;
        Ok(true)
    }
}

/// Packages a chart with its dependencies.
///
/// # Errors
/// What Helm refuses: a name with a slash, a schema that is no JSON.
pub fn package(chart: &Chart) -> Result<Vec<u8>, Error> {
    let gzip =
        GzBuilder::new().extra(EXTRA).comment("Helm").write(Vec::new(), Compression::default());
    let mut archive = tar::Builder::new(gzip);
    add_chart(&mut archive, chart, "")?;
    let broken = |e: std::io::Error| Error::Archive(format!("can't write the chart archive: {e}"));
    let mut gzip = archive.into_inner().map_err(broken)?;
    gzip.flush().map_err(broken)?;
    gzip.finish().map_err(broken)
}

type Out = tar::Builder<flate2::write::GzEncoder<Vec<u8>>>;

fn add_chart(out: &mut Out, chart: &Chart, prefix: &str) -> Result<(), Error> {
    let meta = &chart.metadata;
    if meta.name.is_empty() || meta.name.contains('/') || matches!(&*meta.name, "." | "..") {
        let shown = borax_gotmpl::quote(meta.name.as_bytes());
        return Err(Error::Chart(format!("invalid chart name {shown}")));
    }
    let base = format!("{prefix}{}/", meta.name);
    let is_v1 = meta.api_version == "v1";
    add(out, &base, "Chart.yaml", borax_yaml::to_string(&chart_yaml(meta, !is_v1)).as_bytes())?;
    if let (Some(lock), "v2") = (&chart.lock, &*meta.api_version) {
        add(out, &base, "Chart.lock", borax_yaml::to_string(&lock_yaml(lock)).as_bytes())?;
    }
    if let Some(values) = &chart.values_text {
        add(out, &base, "values.yaml", values)?;
    }
    if let Some(schema) = &chart.schema {
        if serde_json::from_slice::<serde::de::IgnoredAny>(schema).is_err() {
            return Err(Error::Chart("invalid JSON in values.schema.json".into()));
        }
        add(out, &base, "values.schema.json", schema)?;
    }
    for file in chart.templates.iter().chain(&chart.files) {
        add(out, &base, &file.path, &file.data)?;
    }
    for dependency in &chart.dependencies {
        add_chart(out, dependency, &format!("{base}charts/"))?;
    }
    Ok(())
}

fn add(out: &mut Out, base: &str, path: &str, data: &[u8]) -> Result<(), Error> {
    let mut header = tar::Header::new_ustar();
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    let path = format!("{base}{path}");
    out.append_data(&mut header, &path, data)
        .map_err(|e| Error::Archive(format!("can't add {path} to the chart archive: {e}")))
}

/// An object of the fields that are not empty.
fn object(fields: Vec<(&str, Json)>) -> Json {
    let is_empty = |value: &Json| match value {
        Json::Null | Json::Bool(false) => true,
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        _ => false,
    };
    let fields = fields.into_iter().filter(|(_, value)| !is_empty(value));
    Json::Object(fields.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn chart_yaml(meta: &Metadata, with_dependencies: bool) -> Json {
    let maintainers = meta.maintainers.iter().map(|m| {
        object(vec![("name", json!(m.name)), ("email", json!(m.email)), ("url", json!(m.url))])
    });
    let dependencies = match with_dependencies {
        true => meta.dependencies.iter().map(dependency_yaml).collect(),
        false => Vec::new(),
    };
    object(vec![
        ("name", json!(meta.name)),
        ("home", json!(meta.home)),
        ("sources", json!(meta.sources)),
        ("version", json!(meta.version)),
        ("description", json!(meta.description)),
        ("keywords", json!(meta.keywords)),
        ("maintainers", Json::Array(maintainers.collect())),
        ("icon", json!(meta.icon)),
        ("apiVersion", json!(meta.api_version)),
        ("condition", json!(meta.condition)),
        ("tags", json!(meta.tags)),
        ("appVersion", json!(meta.app_version)),
        ("deprecated", json!(meta.deprecated)),
        ("annotations", json!(meta.annotations)),
        ("kubeVersion", json!(meta.kube_version)),
        ("dependencies", Json::Array(dependencies)),
        ("type", json!(meta.kind)),
    ])
}

fn dependency_yaml(dependency: &Dependency) -> Json {
    let mut fields = object(vec![
        ("version", json!(dependency.version)),
        ("condition", json!(dependency.condition)),
        ("tags", json!(dependency.tags)),
        ("enabled", json!(dependency.enabled)),
        ("import-values", json!(dependency.import_values)),
        ("alias", json!(dependency.alias)),
    ]);
    if let Json::Object(fields) = &mut fields {
        // These two are written even when they are empty.
        fields.insert("name".into(), json!(dependency.name));
        fields.insert("repository".into(), json!(dependency.repository));
    }
    fields
}

fn lock_yaml(lock: &Lock) -> Json {
    let generated = match &*lock.generated {
        "" => "0001-01-01T00:00:00Z",
        other => other,
    };
    json!({
        "generated": generated,
        "digest": lock.digest,
        "dependencies": lock.dependencies.iter().map(dependency_yaml).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let files = [
            (
                "Chart.yaml",
                "apiVersion: v2\nname: app\nversion: 1.2.3\nappVersion: 1.10\ndependencies:\n- name: sub\n  version: 1.x\n  repository: \"\"\n",
            ),
            (
                "Chart.lock",
                "generated: \"2024-01-02T03:04:05Z\"\ndigest: sha256:00\ndependencies:\n- name: sub\n  version: 1.0.0\n  repository: \"\"\n",
            ),
            ("values.yaml", "a: 1\nsub: {b: x}\n"),
            (".helmignore", "*.tmp\n"),
            ("left.tmp", "out"),
            ("README.md", "hello"),
            ("templates/a.yaml", "kind: A\n"),
            ("charts/sub/Chart.yaml", "apiVersion: v1\nname: sub\nversion: 1.0.0\n"),
        ];
        Chart::from_folder(files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())))
            .unwrap()
    }

    fn entries(archive: &[u8]) -> Vec<(String, String)> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
        let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
            (entry.path().unwrap().display().to_string(), text)
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn an_archive_holds_what_helm_puts_into_it_and_loads_again() {
        let chart = chart();
        let packed = package(&chart).unwrap();
        assert_eq!(packed, package(&chart).unwrap(), "the same chart is the same bytes");
        let entries = entries(&packed);
        let names: Vec<&str> = entries.iter().map(|(name, _)| &**name).collect();
        assert_eq!(
            names,
            [
                "app/Chart.yaml",
                "app/Chart.lock",
                "app/values.yaml",
                "app/templates/a.yaml",
                "app/.helmignore",
                "app/README.md",
                "app/charts/sub/Chart.yaml",
            ]
        );
        assert_eq!(
            entries[0].1,
            "apiVersion: v2\nappVersion: \"1.1\"\ndependencies:\n- name: sub\n  repository: \"\"\n  version: 1.x\nname: app\nversion: 1.2.3\n"
        );
        let again = Chart::from_archive(&packed).unwrap();
        assert_eq!(again.metadata, chart.metadata);
        assert_eq!(again.lock, chart.lock);
        assert_eq!(again.values, chart.values);
    }

    #[test]
    fn values_take_the_place_of_the_chart_s_own() {
        let mut chart = chart();
        let mut values = chart.values.clone();
        merge_values(&mut values, b"sub:\n  c: 1000000\n---\nignored: true\n").unwrap();
        assert!(chart.replace_values(values.clone()).unwrap());
        assert!(!chart.replace_values(values).unwrap(), "nothing changes");
        let packed = package(&chart).unwrap();
        let entries = entries(&packed);
        let text = &entries.iter().find(|(name, _)| name == "app/values.yaml").unwrap().1;
        assert_eq!(text, "a: 1\nsub:\n  b: x\n  c: 1000000\n");
        assert!(merge_values(&mut Map::new(), b"- a\n").is_err());
    }
}
