//! ConfigMaps and Secrets from literals, files and env files.
//!
//! Source of behaviour: kustomize `api/internal/generators`, `api/kv`, kyaml `yaml/datamap.go`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use borax_yaml::{Style, Tag};

use crate::build::Build;
use crate::decode::Object;
use crate::diag::{Diagnostics, Result, fail};
use crate::loader::Loader;
use crate::resource::{self, BEHAVIOR, ENABLED, NEEDS_HASH, Resource};
use crate::tree::{Kind, NodeId, Tree};

/// What a generator makes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generator {
    pub(crate) name: String,
    pub(crate) namespace: String,
    behavior: String,
    literals: Vec<String>,
    files: Vec<String>,
    envs: Vec<String>,
    options: Option<GeneratorOptions>,
    /// The type of a Secret; `None` makes a ConfigMap.
    secret_type: Option<String>,
}

/// How generated objects look.
#[derive(Clone, Debug, Default)]
pub(crate) struct GeneratorOptions {
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    disable_hash: bool,
    immutable: bool,
}

impl GeneratorOptions {
    pub(crate) fn parse(mut o: Object) -> Result<GeneratorOptions> {
        let options = GeneratorOptions {
            labels: o.text_map("labels")?,
            annotations: o.text_map("annotations")?,
            disable_hash: o.flag("disableNameSuffixHash")?,
            immutable: o.flag("immutable")?,
        };
        o.done()?;
        Ok(options)
    }
}

impl Generator {
    pub(crate) fn parse(mut o: Object, is_secret: bool) -> Result<Generator> {
        let generator = Generator::read(&mut o, is_secret)?;
        o.done()?;
        Ok(generator)
    }

    /// Takes the fields of a generator out of an object that may have more.
    pub(crate) fn read(o: &mut Object, is_secret: bool) -> Result<Generator> {
        let secret_type = if is_secret { Some(o.text("type")?) } else { None };
        let mut generator = Generator {
            name: o.text("name")?,
            namespace: o.text("namespace")?,
            behavior: o.text("behavior")?,
            literals: o.texts("literals")?,
            files: o.texts("files")?,
            envs: o.texts("envs")?,
            options: o.object("options")?.map(GeneratorOptions::parse).transpose()?,
            secret_type,
        };
        let env = o.text("env")?;
        if !env.is_empty() {
            generator.envs.push(env);
        }
        Ok(generator)
    }

    /// Adds what holds for all generators of a kustomization, where this one says nothing.
    pub(crate) fn with_global(mut self, global: Option<&GeneratorOptions>) -> Generator {
        let Some(global) = global else { return self };
        let own = self.options.get_or_insert_default();
        for (own, global) in
            [(&mut own.labels, &global.labels), (&mut own.annotations, &global.annotations)]
        {
            let Some(global) = global else { continue };
            let own = own.get_or_insert_default();
            for (key, value) in global {
                own.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        own.disable_hash |= global.disable_hash;
        own.immutable |= global.immutable;
        self
    }

    /// Makes the object.
    pub(crate) fn generate(&self, build: &mut Build<'_>, loader: &Loader<'_>) -> Result<Resource> {
        let kind = if self.secret_type.is_some() { "Secret" } else { "ConfigMap" };
        let what = format!("{kind} generator {:?}", self.name);
        if self.name.is_empty() {
            return fail(format!("{what}: a name is needed"));
        }
        let data = self.data(build, loader).map_err(|e| e.during(what))?;
        let tree = &mut build.tree;
        let object = tree.new_node(Kind::Mapping);
        for (key, text) in [("apiVersion", "v1"), ("kind", kind)] {
            let value = tree.tagged(text, Tag::Str);
            tree.set_field(object, key, Some(value))?;
        }
        let metadata = tree.new_node(Kind::Mapping);
        tree.set_field(object, "metadata", Some(metadata))?;
        for (key, text) in [("name", &self.name), ("namespace", &self.namespace)] {
            if !text.is_empty() {
                let value = tree.string(text.as_str());
                tree.set_field(metadata, key, Some(value))?;
            }
        }
        match &self.secret_type {
            None => put_config_map_data(tree, object, &data)?,
            Some(secret_type) => {
                let text = if secret_type.is_empty() { "Opaque" } else { secret_type };
                let value = tree.string(text);
                tree.set_field(object, "type", Some(value))?;
                let encoded =
                    data.iter().map(|(key, value)| (key.clone(), encode(value))).collect();
                put_secret_data(tree, object, &encoded)?;
            }
        }
        if let Some(options) = &self.options {
            for (key, value) in options.labels.iter().flatten() {
                resource::set_metadata_entry(tree, object, "labels", key, value.as_str())?;
            }
            for (key, value) in options.annotations.iter().flatten() {
                resource::set_annotation(tree, object, key, value.as_str())?;
            }
            if options.immutable {
                let value = tree.tagged("true", Tag::Bool);
                tree.set_field(object, "immutable", Some(value))?;
            }
        }
        let mut annotations = resource::annotations(tree, object);
        if !self.options.as_ref().is_some_and(|options| options.disable_hash) {
            annotations.insert(NEEDS_HASH.into(), ENABLED.into());
        }
        annotations.insert(BEHAVIOR.into(), Behavior::parse(&self.behavior).name().into());
        resource::set_annotations(tree, object, &annotations)?;
        Ok(Resource::new(object))
    }

    fn data(
        &self,
        build: &mut Build<'_>,
        loader: &Loader<'_>,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
        for path in &self.envs {
            let text = loader.load(build, path).map_err(|e| e.during("env source files"))?;
            let file = loader.join(path);
            pairs.extend(env_pairs(&text).map_err(|e| e.at(&file))?);
        }
        for literal in &self.literals {
            match literal.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    pairs.push((key.to_owned(), without_quotes(value).as_bytes().to_vec()));
                }
                _ => {
                    // The value may be a secret, so the literal itself is not repeated.
                    return fail("invalid literal source, expected key=value");
                }
            }
        }
        for source in &self.files {
            let (key, path) = file_source(source)?;
            let content = loader.load(build, path).map_err(|e| e.during("file sources"))?;
            pairs.push((key.to_owned(), content.to_vec()));
        }
        let mut data = BTreeMap::new();
        for (key, value) in pairs {
            if data.contains_key(&key) {
                return fail(format!("configmap {} illegally repeats the key `{key}`", self.name));
            }
            data.insert(key, value);
        }
        Ok(data)
    }
}

/// What a generated object does to one that is there already.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Behavior {
    Unspecified,
    Create,
    Replace,
    Merge,
}

impl Behavior {
    pub(crate) fn parse(text: &str) -> Behavior {
        match text {
            "create" => Behavior::Create,
            "replace" => Behavior::Replace,
            "merge" => Behavior::Merge,
            _ => Behavior::Unspecified,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Behavior::Unspecified => "unspecified",
            Behavior::Create => "create",
            Behavior::Replace => "replace",
            Behavior::Merge => "merge",
        }
    }
}

fn file_source(source: &str) -> Result<(&str, &str)> {
    match source.split_once('=') {
        None => Ok((source.trim_end_matches('/').rsplit('/').next().unwrap_or(source), source)),
        Some((_, rest)) if rest.contains('=') => {
            fail(format!("source {source:?} key name or file path contains '='"))
        }
        Some(("", path)) => {
            fail(format!("missing key name for file path {path:?} in source {source:?}"))
        }
        Some((key, "")) => {
            fail(format!("missing file path for key name {key:?} in source {source:?}"))
        }
        Some((key, path)) => Ok((key, path)),
    }
}

fn without_quotes(text: &str) -> &str {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first @ (b'"' | b'\'')), Some(last)) if first == last && bytes.len() >= 2 => {
            &text[1..text.len() - 1]
        }
        _ => text,
    }
}

fn env_pairs(text: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut pairs = Vec::new();
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        // Go's scanner stops without a word at a line that doesn't fit its buffer.
        if line.len() >= 64 * 1024 {
            break;
        }
        let at = |found: Diagnostics| found.at_line(number as u32 + 1, 0);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(line) = std::str::from_utf8(line) else {
            return Err(at(Diagnostics::new("the line has invalid utf8 bytes")));
        };
        let line = if number == 0 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if key.is_empty() {
            continue;
        }
        pairs.push((key.to_owned(), value.as_bytes().to_vec()));
    }
    Ok(pairs)
}

/// Base64 in lines of 70 when it is longer than one, as kyaml writes it.
fn encode(value: &[u8]) -> String {
    let encoded = STANDARD.encode(value);
    const LINE: usize = 70;
    let n_lines = encoded.len() / LINE + 1;
    if n_lines == 1 {
        return encoded;
    }
    let mut lines = String::with_capacity(encoded.len() + n_lines);
    for line in encoded.as_bytes().chunks(LINE) {
        lines.extend(line.iter().map(|byte| char::from(*byte)));
        lines.push('\n');
    }
    lines
}

fn text_node(tree: &mut Tree, text: &str) -> NodeId {
    let node = tree.tagged(text, Tag::Str);
    if text.contains('\n') {
        tree.cell_mut(node).style = Style::LITERAL;
    }
    node
}

fn put(tree: &mut Tree, object: NodeId, field: &str, key: &str, text: &str) -> Result<()> {
    if let Some(map) = tree.lookup_create(object, &[field], Some(Kind::Mapping))? {
        let value = text_node(tree, text);
        tree.set_field(map, key, Some(value))?;
    }
    Ok(())
}

/// Puts texts into `data`, and what is no text in base64 into `binaryData`.
pub(crate) fn put_config_map_data(
    tree: &mut Tree,
    object: NodeId,
    data: &BTreeMap<String, Vec<u8>>,
) -> Result<()> {
    for (key, value) in data {
        match std::str::from_utf8(value) {
            Ok(text) => put(tree, object, "data", key, text)?,
            Err(_) => put(tree, object, "binaryData", key, &encode(value))?,
        }
    }
    Ok(())
}

fn put_secret_data(tree: &mut Tree, object: NodeId, data: &BTreeMap<String, String>) -> Result<()> {
    tree.lookup_create(object, &["data"], Some(Kind::Mapping))?;
    data.iter().try_for_each(|(key, text)| put(tree, object, "data", key, text))
}

/// Adds the entries of the object's predecessor that it lacks (`behavior: merge`).
pub(crate) fn merge_data(tree: &mut Tree, object: NodeId, old: NodeId) -> Result<()> {
    let mut old_data = entries(tree, old, "data")?;
    let is_secret =
        resource::api_version(tree, object) == "v1" && resource::kind(tree, object) == "Secret";
    if is_secret && let Some(texts) = tree.get(old, "stringData")?.filter(|at| !tree.is_null(*at)) {
        tree.expect(texts, Kind::Mapping)?;
        for pair in tree.content(texts).to_vec().chunks_exact(2) {
            tree.expect(pair[1], Kind::Scalar)
                .map_err(|e| e.during("stringData value must be a scalar"))?;
            let text = if tree.is_null(pair[1]) { "" } else { tree.text(pair[1]).as_str() };
            old_data.insert(tree.text(pair[0]).to_string(), encode(text.as_bytes()));
        }
    }
    for (field, mut merged) in
        [("data", old_data), ("binaryData", entries(tree, old, "binaryData")?)]
    {
        merged.extend(entries(tree, object, field)?);
        tree.clear(object, field)?;
        for (key, text) in merged {
            put(tree, object, field, &key, &text)?;
        }
    }
    Ok(())
}

fn entries(tree: &Tree, object: NodeId, field: &str) -> Result<BTreeMap<String, String>> {
    let Some(map) = tree.get(object, field)? else { return Ok(BTreeMap::new()) };
    if tree.kind(map) != Kind::Mapping {
        return Ok(BTreeMap::new());
    }
    let text =
        |at: NodeId| if tree.is_null(at) { String::new() } else { tree.text(at).to_string() };
    let pairs = tree.content(map).chunks_exact(2);
    Ok(pairs.map(|pair| (text(pair[0]), text(pair[1]))).collect())
}
