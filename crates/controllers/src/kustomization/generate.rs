//! The `kustomization.yaml` that a Kustomization builds: the directory's own, or a generated one, with the spec's
//! fields merged into it. Pure: files in, one file out.
//!
//! Behaviour: fluxcd/pkg `kustomize/kustomize_generator.go`.

use borax_api::kustomize::{KustomizationSpec, Selector};
use borax_stdx::files::{FileKind, Files, join};
use serde_json::{Map, Value, json};

/// The names kustomize looks for, in its order.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The fields of kustomize's own Kustomization type (kustomize api v0.21 `types/kustomization.go`). Flux reads
/// the file into that type, so what it does not know is dropped without a word; we drop the same and say so.
const FIELDS: [&str; 35] = [
    "apiVersion",
    "kind",
    "metadata",
    "openapi",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "commonLabels",
    "labels",
    "commonAnnotations",
    "patchesStrategicMerge",
    "patchesJson6902",
    "patches",
    "images",
    "imageTags",
    "replacements",
    "replicas",
    "vars",
    "sortOptions",
    "resources",
    "components",
    "crds",
    "bases",
    "configMapGenerator",
    "secretGenerator",
    "helmGlobals",
    "helmCharts",
    "helmChartInflationGenerator",
    "generatorOptions",
    "configurations",
    "generators",
    "transformers",
    "validators",
    "buildMetadata",
    "inventory",
];

/// A file to put in place of what the directory holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Generated {
    /// Its path.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
    /// Top-level fields of the directory's own file that kustomize does not know and that are left out.
    pub dropped: Vec<String>,
}

/// Why no `kustomization.yaml` could be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum GenerateError {
    /// A file or directory can't be read.
    #[error("can't read {path}: {source}")]
    Read {
        /// What.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The directory's own file is no YAML mapping.
    #[error("failed to decode {path}: {message}")]
    Decode {
        /// The file.
        path: String,
        /// Why.
        message: String,
    },
    /// `spec.components` leads out of the source.
    #[error("component path '{0}' must be local and relative")]
    RemoteComponent(String),
}

/// Makes the file for directory `dir` of `files`.
///
/// # Errors
/// See [`GenerateError`].
pub(super) fn generate(
    files: &dyn Files,
    dir: &str,
    spec: &KustomizationSpec,
) -> Result<Generated, GenerateError> {
    let (path, mut fields, dropped) = match own_file(files, dir)? {
        Some((path, text)) => {
            let mut fields = decode(&path, &text)?;
            let dropped: Vec<String> =
                fields.keys().filter(|field| !FIELDS.contains(&field.as_str())).cloned().collect();
            fields.retain(|field, _| FIELDS.contains(&field.as_str()));
            if is_empty(fields.get("resources")) {
                // Kustomize calls a file without any field it counts empty, and fails.
                fields.insert("buildMetadata".into(), json!(["originAnnotations"]));
            }
            (path, fields, dropped)
        }
        None => (join(dir, NAMES[0]), from_manifests(files, dir)?, Vec::new()),
    };
    fields.entry("apiVersion").or_insert_with(|| json!("kustomize.config.k8s.io/v1beta1"));
    fields.entry("kind").or_insert_with(|| json!("Kustomization"));
    merge(files, dir, spec, &mut fields)?;
    let content = Value::Object(fields).to_string().into_bytes();
    Ok(Generated { path, content, dropped })
}

fn own_file(files: &dyn Files, dir: &str) -> Result<Option<(String, Vec<u8>)>, GenerateError> {
    for name in NAMES {
        let path = join(dir, name);
        let read = |source| GenerateError::Read { path: path.clone(), source };
        if files.kind(&path).map_err(read)? == Some(FileKind::File) {
            let text = files.read(&path).map_err(read)?;
            return Ok(Some((path, text.to_vec())));
        }
    }
    Ok(None)
}

fn decode(path: &str, text: &[u8]) -> Result<Map<String, Value>, GenerateError> {
    let fail = |message: String| GenerateError::Decode { path: path.to_owned(), message };
    match borax_yaml::to_json(text).map_err(|error| fail(error.to_string()))? {
        Value::Object(fields) => Ok(fields),
        Value::Null => Ok(Map::new()),
        _ => Err(fail("a kustomization file must be a mapping".to_owned())),
    }
}

fn is_empty(list: Option<&Value>) -> bool {
    list.and_then(Value::as_array).is_none_or(Vec::is_empty)
}

/// Every manifest below `dir`; a directory with a kustomization file of its own counts as one.
fn from_manifests(files: &dyn Files, dir: &str) -> Result<Map<String, Value>, GenerateError> {
    let mut found = Vec::new();
    walk(files, dir, ".", &mut found)?;
    let mut fields = Map::new();
    if found.is_empty() {
        fields.insert("namespace".into(), json!("_placeholder"));
    } else {
        fields.insert("resources".into(), json!(found));
    }
    Ok(fields)
}

fn walk(
    files: &dyn Files,
    dir: &str,
    shown: &str,
    found: &mut Vec<String>,
) -> Result<(), GenerateError> {
    let read = |path: &str, source| GenerateError::Read { path: path.to_owned(), source };
    for name in files.list(dir).map_err(|source| read(dir, source))? {
        let path = join(dir, &name);
        let shown = format!("{shown}/{name}");
        match files.kind(&path).map_err(|source| read(&path, source))? {
            Some(FileKind::Dir) if own_file(files, &path)?.is_some() => found.push(shown),
            Some(FileKind::Dir) => walk(files, &path, &shown, found)?,
            Some(FileKind::File) if name.ends_with(".yaml") || name.ends_with(".yml") => {
                found.push(shown)
            }
            _ => {}
        }
    }
    Ok(())
}

fn merge(
    files: &dyn Files,
    dir: &str,
    spec: &KustomizationSpec,
    fields: &mut Map<String, Value>,
) -> Result<(), GenerateError> {
    for (field, value) in [
        ("namespace", &spec.target_namespace),
        ("namePrefix", &spec.name_prefix),
        ("nameSuffix", &spec.name_suffix),
    ] {
        if !value.is_empty() {
            fields.insert(field.into(), json!(value));
        }
    }
    append(
        fields,
        "patches",
        spec.patches.iter().map(|patch| {
            let mut entry = json!({"patch": patch.patch});
            if let Some(target) = &patch.target {
                entry["target"] = selector(target);
            }
            entry
        }),
    );
    let mut components = Vec::new();
    for component in &spec.components {
        if !is_local(component) {
            return Err(GenerateError::RemoteComponent(component.clone()));
        }
        let path = join(dir, component);
        let exists =
            files.kind(&path).map_err(|source| GenerateError::Read { path, source })?.is_some();
        if exists || !spec.ignore_missing_components {
            components.push(json!(component));
        }
    }
    append(fields, "components", components.into_iter());
    images(spec, fields);
    if !spec.build_metadata.is_empty() {
        fields.insert("buildMetadata".into(), json!(spec.build_metadata));
    }
    Ok(())
}

fn append(fields: &mut Map<String, Value>, field: &str, values: impl Iterator<Item = Value>) {
    let values: Vec<Value> = values.collect();
    if values.is_empty() {
        return;
    }
    match fields.get_mut(field) {
        Some(Value::Array(list)) => list.extend(values),
        _ => {
            fields.insert(field.into(), Value::Array(values));
        }
    }
}

fn selector(target: &Selector) -> Value {
    let mut value = Map::new();
    for (field, text) in [
        ("group", &target.group),
        ("version", &target.version),
        ("kind", &target.kind),
        ("name", &target.name),
        ("namespace", &target.namespace),
        ("labelSelector", &target.label_selector),
        ("annotationSelector", &target.annotation_selector),
    ] {
        if !text.is_empty() {
            value.insert(field.into(), json!(text));
        }
    }
    Value::Object(value)
}

/// An image of the spec overrides the fields it sets of the entry with its name; a tag and a digest choose the
/// version together, so setting one clears the other.
fn images(spec: &KustomizationSpec, fields: &mut Map<String, Value>) {
    for image in &spec.images {
        let mut set = Map::new();
        for (field, text) in
            [("newName", &image.new_name), ("newTag", &image.new_tag), ("digest", &image.digest)]
        {
            if !text.is_empty() {
                set.insert(field.into(), json!(text));
            }
        }
        let known = fields.get_mut("images").and_then(Value::as_array_mut).and_then(|list| {
            list.iter_mut()
                .find(|entry| entry["name"] == image.name.as_str())
                .and_then(Value::as_object_mut)
        });
        match known {
            Some(entry) => {
                if set.contains_key("newTag") || set.contains_key("digest") {
                    entry.remove("newTag");
                    entry.remove("digest");
                }
                entry.extend(set);
            }
            None => {
                set.insert("name".into(), json!(image.name));
                append(fields, "images", std::iter::once(Value::Object(set)));
            }
        }
    }
}

/// Whether a path is neither a URL nor absolute (fluxcd/pkg `IsLocalRelativePath`).
fn is_local(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let remote =
        ["git::", "gh:", "ssh://", "https://", "http://", "git@", "github.com:", "github.com/"];
    let is_remote =
        remote.iter().any(|prefix| prefix.len() < lower.len() && lower.starts_with(prefix));
    !is_remote
        && !path.starts_with('/')
        && !lower.strip_prefix("file://").is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use borax_api::kustomize::{Image, Patch};
    use borax_stdx::files::MemoryFiles;

    use super::*;

    fn made(files: &[(&str, &str)], spec: &KustomizationSpec) -> Value {
        let files: MemoryFiles =
            files.iter().map(|(path, text)| (*path, text.as_bytes().to_vec())).collect();
        serde_json::from_slice(&generate(&files, "/app", spec).unwrap().content).unwrap()
    }

    #[test]
    fn a_plain_directory_lists_its_manifests_and_the_directories_with_a_kustomization() {
        let files = [
            ("/app/b.yaml", ""),
            ("/app/a/x.yml", ""),
            ("/app/a/notes.json", "{}"),
            ("/app/c/kustomization.yaml", ""),
            ("/app/c/below/y.yaml", ""),
        ];
        let made = made(&files, &KustomizationSpec::default());
        assert_eq!(made["resources"], json!(["./a/x.yml", "./b.yaml", "./c"]));
    }

    #[test]
    fn an_empty_directory_gets_a_placeholder_and_a_file_without_resources_metadata() {
        let files = [("/app/readme.md", "")];
        assert_eq!(made(&files, &KustomizationSpec::default())["namespace"], "_placeholder");
        let files = [("/app/kustomization.yaml", "namespace: x\nnonsense: 1\n")];
        let made = made(&files, &KustomizationSpec::default());
        assert_eq!(made["buildMetadata"], json!(["originAnnotations"]));
        assert_eq!(made["nonsense"], Value::Null);
    }

    #[test]
    fn the_specs_fields_are_merged_into_the_directorys_own() {
        let own = "resources: [a.yaml]\npatches: [{path: p.yaml}]\nimages: [{name: nginx, newTag: '1', newName: web}]\n";
        let spec = KustomizationSpec {
            target_namespace: "apps".into(),
            patches: vec![Patch {
                patch: "x".into(),
                target: Some(Selector { kind: "Deployment".into(), ..Selector::default() }),
            }],
            images: vec![
                Image { name: "nginx".into(), digest: "sha256:1".into(), ..Image::default() },
                Image { name: "redis".into(), new_tag: "7".into(), ..Image::default() },
            ],
            components: vec!["comp".into(), "gone".into()],
            ignore_missing_components: true,
            ..KustomizationSpec::default()
        };
        let made =
            made(&[("/app/kustomization.yml", own), ("/app/comp/kustomization.yaml", "")], &spec);
        assert_eq!(made["namespace"], "apps");
        assert_eq!(
            made["patches"],
            json!([{"path": "p.yaml"}, {"patch": "x", "target": {"kind": "Deployment"}}])
        );
        assert_eq!(
            made["images"],
            json!([{"name": "nginx", "newName": "web", "digest": "sha256:1"}, {"name": "redis", "newTag": "7"}])
        );
        assert_eq!(made["components"], json!(["comp"]));
    }

    #[test]
    fn components_must_be_local() {
        let files = MemoryFiles::from_iter([("/app/a.yaml", Vec::new())]);
        for path in ["https://x/y", "/etc", "file:///etc", "git@host:x"] {
            let spec =
                KustomizationSpec { components: vec![path.into()], ..KustomizationSpec::default() };
            let error = generate(&files, "/app", &spec).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("component path '{path}' must be local and relative")
            );
        }
    }
}
