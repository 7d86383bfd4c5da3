//! Where transformers write: the defaults, and what `configurations` and `crds` add.
//!
//! Source of behaviour: kustomize `api/internal/plugins/builtinconfig`,
//! `api/internal/accumulator/loadconfigfromcrds.go`.

use std::sync::Arc;

use serde_json::Value;

use crate::decode::Object;
use crate::defaults;
use crate::diag::{Result, fail};
use crate::fieldspec::{FieldSpec, merge_all, merge_one};
use crate::id::Gvk;

/// Which fields refer to objects of a kind by name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NameReference {
    /// What is referred to.
    pub(crate) target: Gvk,
    /// Who refers to it, and where.
    pub(crate) referrers: Vec<FieldSpec>,
}

/// The places all transformers of a kustomization write to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Config {
    pub(crate) name_prefix: Vec<FieldSpec>,
    pub(crate) name_suffix: Vec<FieldSpec>,
    pub(crate) namespace: Vec<FieldSpec>,
    pub(crate) common_labels: Vec<FieldSpec>,
    pub(crate) labels: Vec<FieldSpec>,
    pub(crate) template_labels: Vec<FieldSpec>,
    pub(crate) volume_claim_template_labels: Vec<FieldSpec>,
    pub(crate) common_annotations: Vec<FieldSpec>,
    pub(crate) name_references: Vec<NameReference>,
    pub(crate) var_reference: Vec<FieldSpec>,
    pub(crate) images: Vec<FieldSpec>,
    pub(crate) replicas: Vec<FieldSpec>,
}

impl Config {
    /// What kustomize does unasked.
    pub(crate) fn built_in() -> Config {
        let mut config = Config {
            name_prefix: rows(defaults::NAME_PREFIX),
            name_suffix: rows(defaults::NAME_SUFFIX),
            namespace: rows(defaults::NAMESPACE),
            common_labels: rows(defaults::COMMON_LABELS),
            labels: Vec::new(),
            template_labels: rows(defaults::TEMPLATE_LABELS),
            volume_claim_template_labels: rows(defaults::VOLUME_CLAIM_TEMPLATE_LABELS),
            common_annotations: rows(defaults::COMMON_ANNOTATIONS),
            name_references: Vec::new(),
            var_reference: rows(defaults::VAR_REFERENCE),
            images: rows(defaults::IMAGES),
            replicas: rows(defaults::REPLICAS),
        };
        for block in defaults::NAME_REFERENCES.split("\n= ").skip(1) {
            let (target, referrers) = block.split_once('\n').unwrap_or((block, ""));
            let target = gvk(target.split(' '));
            config.name_references.push(NameReference { target, referrers: rows(referrers) });
        }
        config.sort();
        config
    }

    /// What a configuration file says.
    pub(crate) fn parse(value: Value) -> Result<Config> {
        let mut object = Object::new("transformer configuration", value)?;
        let mut config = Config::default();
        for (name, list) in config.lists() {
            *list = field_specs(&mut object, name)?;
        }
        for value in object.list("nameReference")? {
            let mut reference = Object::new("nameReference", value)?;
            let target = take_gvk(&mut reference)?;
            let referrers = field_specs(&mut reference, "fieldSpecs")?;
            reference.done()?;
            config.name_references.push(NameReference { target, referrers });
        }
        object.done()?;
        config.sort();
        Ok(config)
    }

    fn lists(&mut self) -> [(&'static str, &mut Vec<FieldSpec>); 11] {
        [
            ("namePrefix", &mut self.name_prefix),
            ("nameSuffix", &mut self.name_suffix),
            ("namespace", &mut self.namespace),
            ("commonAnnotations", &mut self.common_annotations),
            ("commonLabels", &mut self.common_labels),
            ("labels", &mut self.labels),
            ("templateLabels", &mut self.template_labels),
            ("volumeClaimTemplateLabels", &mut self.volume_claim_template_labels),
            ("varReference", &mut self.var_reference),
            ("images", &mut self.images),
            ("replicas", &mut self.replicas),
        ]
    }

    fn sort(&mut self) {
        for (_, list) in self.lists() {
            list.sort_by_cached_key(|spec| rank(&spec.gvk));
        }
        self.name_references.sort_by_cached_key(|reference| rank(&reference.target));
    }

    /// This one with `other`'s additions.
    pub(crate) fn merge(&self, other: &Config) -> Result<Config> {
        let mut merged = self.clone();
        let mut other = other.clone();
        for ((name, into), (_, from)) in merged.lists().into_iter().zip(other.lists()) {
            merge_all(into, from).map_err(|e| e.during(format!("merging {name}")))?;
        }
        for reference in other.name_references {
            merged.add_reference(reference)?;
        }
        merged.sort();
        Ok(merged)
    }

    fn add_reference(&mut self, reference: NameReference) -> Result<()> {
        let mut same = self.name_references.iter_mut().filter(|own| own.target == reference.target);
        let Some(first) = same.next() else {
            self.name_references.push(reference);
            return Ok(());
        };
        let merged = merge_all(&mut first.referrers, &reference.referrers);
        same.try_for_each(|own| merge_all(&mut own.referrers, &reference.referrers))
            .and(merged)
            .map_err(|e| e.during("merging nameReference"))
    }

    /// What the extensions in the OpenAPI definitions of custom resources say (`crds`).
    pub(crate) fn from_crds(definitions: &Value) -> Result<Config> {
        let mut config = Config::default();
        let Some(definitions) = definitions.as_object() else {
            return fail("OpenAPI definitions must be a map of type names");
        };
        for (name, definition) in definitions {
            let Some(properties) = properties(definition) else { continue };
            if !["kind", "apiVersion", "metadata"].iter().all(|key| properties.contains_key(*key)) {
                continue;
            }
            let kind = name.rsplit('.').next().unwrap_or(name);
            let gvk = Gvk::new("", "", kind);
            let mut one = Config::default();
            one.read_crd(&gvk, definitions, name, &mut Vec::new())?;
            config = config.merge(&one)?;
        }
        Ok(config)
    }

    fn read_crd(
        &mut self,
        gvk: &Gvk,
        definitions: &serde_json::Map<String, Value>,
        name: &str,
        path: &mut Vec<String>,
    ) -> Result<()> {
        if path.len() > 64 {
            return fail(format!("the definition {name} refers to itself"));
        }
        let Some(properties) = definitions.get(name).and_then(properties) else { return Ok(()) };
        for (property, schema) in properties {
            path.push(property.clone());
            let spec = |path: &[String]| FieldSpec {
                gvk: gvk.clone(),
                path: path.join("/"),
                create: false,
            };
            let text = |key: &str| schema.get(key).and_then(Value::as_str);
            if text("x-kubernetes-annotation").is_some() {
                merge_one(&mut self.common_annotations, spec(path))?;
            }
            if text("x-kubernetes-label-selector").is_some() {
                merge_one(&mut self.common_labels, spec(path))?;
            }
            if text("x-kubernetes-identity").is_some() {
                merge_one(&mut self.name_prefix, spec(path))?;
            }
            if let (Some(version), Some(kind)) =
                (text("x-kubernetes-object-ref-api-version"), text("x-kubernetes-object-ref-kind"))
            {
                let key = text("x-kubernetes-object-ref-name-key").unwrap_or("name");
                path.push(key.to_owned());
                let referrers = vec![spec(path)];
                path.pop();
                let target = Gvk::new("", version, kind);
                self.add_reference(NameReference { target, referrers })?;
            }
            if let Some(reference) = text("$ref") {
                self.read_crd(gvk, definitions, reference, path)?;
            }
            path.pop();
        }
        Ok(())
    }
}

/// The configuration that has come together so far; shared while nobody adds to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedConfig {
    config: Option<Arc<Config>>,
    /// Whether it has been merged into an empty one, which drops what others cover.
    merged: bool,
}

impl SharedConfig {
    pub(crate) fn new(config: Arc<Config>) -> SharedConfig {
        SharedConfig { config: Some(config), merged: false }
    }

    /// A configuration that comes of a merge into an empty one.
    pub(crate) fn merged(config: Arc<Config>) -> SharedConfig {
        SharedConfig { config: Some(config), merged: true }
    }

    pub(crate) fn get(&self) -> Option<&Arc<Config>> {
        self.config.as_ref()
    }

    /// Adds what another one holds.
    pub(crate) fn merge(&mut self, other: &SharedConfig) -> Result<()> {
        let Some(theirs) = &other.config else { return Ok(()) };
        self.config = Some(match &self.config {
            None if other.merged => Arc::clone(theirs),
            None => Arc::new(Config::default().merge(theirs)?),
            Some(own) if Arc::ptr_eq(own, theirs) || own == theirs => Arc::clone(own),
            Some(own) => Arc::new(own.merge(theirs)?),
        });
        self.merged = true;
        Ok(())
    }
}

fn properties(definition: &Value) -> Option<&serde_json::Map<String, Value>> {
    let schema =
        definition.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case("schema"))?;
    schema.1.get("properties")?.as_object()
}

fn rows(table: &str) -> Vec<FieldSpec> {
    let mut specs: Vec<FieldSpec> = Vec::new();
    for line in table.lines().filter(|line| !line.is_empty()) {
        let mut words = line.split(' ');
        let path = words.next().unwrap_or("");
        let (create, path) = match path.strip_prefix('+') {
            Some(path) => (true, path),
            None => (false, path),
        };
        specs.push(FieldSpec { gvk: gvk(words), path: path.to_owned(), create });
    }
    specs
}

fn gvk<'w>(mut words: impl Iterator<Item = &'w str>) -> Gvk {
    let mut word = || words.next().filter(|word| *word != "-").unwrap_or("");
    Gvk::new(word(), word(), word())
}

/// The order of kinds in a configuration (kyaml `resid.Gvk.IsLessThan`).
fn rank(gvk: &Gvk) -> (i32, String) {
    (crate::transform::sort::rank(&gvk.kind), gvk.sort_text())
}

fn take_gvk(object: &mut Object) -> Result<Gvk> {
    Ok(Gvk::new(&object.text("group")?, &object.text("version")?, &object.text("kind")?))
}

/// A list of field specs in a configuration.
pub(crate) fn field_specs(object: &mut Object, name: &'static str) -> Result<Vec<FieldSpec>> {
    let mut specs = Vec::new();
    for mut spec in object.objects(name)?.unwrap_or_default() {
        let gvk = take_gvk(&mut spec)?;
        let (path, create) = (spec.text("path")?, spec.flag("create")?);
        spec.done()?;
        specs.push(FieldSpec { gvk, path, create });
    }
    Ok(specs)
}
