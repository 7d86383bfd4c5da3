//! The fields of a Kustomization or Component file.
//!
//! Source of behaviour: kustomize `api/types/kustomization.go` and its neighbours. Knows nothing of
//! what the fields do.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::decode::Object;
use crate::diag::{Diagnostics, Result, fail};
use crate::fieldspec::FieldSpec;
use crate::generate::{Generator, GeneratorOptions};
use crate::selector::Selector;
use crate::transform::images::Image;
use crate::transform::patches::PatchEntry;
use crate::transform::replacements::ReplacementEntry;
use crate::transform::sort::SortOptions;
use crate::vars::Var;

/// A file's content, deprecated spellings already turned into today's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kustomization {
    pub(crate) is_component: bool,
    pub(crate) openapi: BTreeMap<String, String>,
    pub(crate) name_prefix: String,
    pub(crate) name_suffix: String,
    pub(crate) namespace: String,
    pub(crate) common_labels: BTreeMap<String, String>,
    pub(crate) labels: Vec<Label>,
    pub(crate) common_annotations: BTreeMap<String, String>,
    pub(crate) patches_strategic_merge: Vec<String>,
    pub(crate) patches_json6902: Vec<PatchEntry>,
    pub(crate) patches: Vec<PatchEntry>,
    pub(crate) images: Vec<Image>,
    pub(crate) replacements: Vec<ReplacementEntry>,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) vars: Vec<Var>,
    pub(crate) sort_options: Option<SortOptions>,
    pub(crate) resources: Vec<String>,
    pub(crate) components: Vec<String>,
    pub(crate) crds: Vec<String>,
    pub(crate) config_maps: Vec<Generator>,
    pub(crate) secrets: Vec<Generator>,
    pub(crate) helm_charts: Vec<Value>,
    pub(crate) helm_globals: Option<Value>,
    pub(crate) generator_options: Option<GeneratorOptions>,
    pub(crate) configurations: Vec<String>,
    pub(crate) generators: Vec<String>,
    pub(crate) transformers: Vec<String>,
    pub(crate) validators: Vec<String>,
    pub(crate) build_metadata: Vec<String>,
    /// The names of the deprecated fields that the file uses.
    pub(crate) deprecated: Vec<&'static str>,
}

/// Labels to add, and where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Label {
    pub(crate) pairs: BTreeMap<String, String>,
    pub(crate) include_selectors: bool,
    pub(crate) include_templates: bool,
    pub(crate) include_volume_claim_templates: bool,
    pub(crate) fields: Vec<FieldSpec>,
}

/// How many replicas objects of a name get.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) count: i64,
}

const KUSTOMIZATION_VERSION: &str = "kustomize.config.k8s.io/v1beta1";
const COMPONENT_VERSION: &str = "kustomize.config.k8s.io/v1alpha1";

impl Kustomization {
    /// Reads a file's value.
    pub(crate) fn parse(value: Value) -> Result<Kustomization> {
        let is_empty = |value: &Value| match value {
            Value::Null => true,
            Value::Object(map) => map.iter().all(|(key, value)| {
                value.is_null() || ["kind", "apiversion"].contains(&&*key.to_ascii_lowercase())
            }),
            _ => false,
        };
        let empty = is_empty(&value);
        let mut o = Object::new("Kustomization", value)?;
        let mut kind = o.text("kind")?;
        let mut api_version = o.text("apiVersion")?;
        if kind.is_empty() {
            kind = "Kustomization".into();
        }
        let is_component = kind == "Component";
        let wanted = if is_component { COMPONENT_VERSION } else { KUSTOMIZATION_VERSION };
        if api_version.is_empty() {
            api_version = wanted.into();
        }
        let mut k = Kustomization { is_component, ..Kustomization::read(&mut o)? };
        k.patches = patch_entries(&mut o, "patches")?.unwrap_or_default();
        o.done()?;
        if empty {
            return fail("kustomization.yaml is empty");
        }
        let mut wrong: Vec<String> = Vec::new();
        if kind != "Kustomization" && kind != "Component" {
            wrong.push(format!("kind should be Kustomization or Component, not {kind}"));
        }
        if api_version != wanted {
            wrong.push(format!("apiVersion for {kind} should be {wanted}, not {api_version}"));
        }
        match wrong.into_iter().map(Diagnostics::new).reduce(Diagnostics::join) {
            Some(found) => Err(found),
            None => Ok(k),
        }
    }

    fn read(o: &mut Object) -> Result<Kustomization> {
        if let Some(mut metadata) = o.object("metadata")? {
            metadata.text("name")?;
            metadata.text("namespace")?;
            metadata.text_map("labels")?;
            metadata.text_map("annotations")?;
            metadata.done()?;
        }
        let mut k = Kustomization {
            openapi: o.text_map("openapi")?.unwrap_or_default(),
            name_prefix: o.text("namePrefix")?,
            name_suffix: o.text("nameSuffix")?,
            namespace: o.text("namespace")?,
            common_annotations: o.text_map("commonAnnotations")?.unwrap_or_default(),
            resources: o.texts("resources")?,
            components: o.texts("components")?,
            crds: o.texts("crds")?,
            configurations: o.texts("configurations")?,
            generators: o.texts("generators")?,
            transformers: o.texts("transformers")?,
            validators: o.texts("validators")?,
            build_metadata: o.texts("buildMetadata")?,
            helm_charts: o.list("helmCharts")?,
            helm_globals: o.take("helmGlobals"),
            generator_options: o
                .object("generatorOptions")?
                .map(GeneratorOptions::parse)
                .transpose()?,
            ..Kustomization::default()
        };
        if let Some(bases) = o.texts_or_none("bases")? {
            k.deprecated.push("bases");
            k.resources.extend(bases);
        }
        if let Some(labels) = o.text_map("commonLabels")? {
            k.deprecated.push("commonLabels");
            k.common_labels = labels;
        }
        let images = o.objects("images")?.unwrap_or_default();
        k.images = images.into_iter().map(Image::parse).collect::<Result<_>>()?;
        if let Some(images) = o.objects("imageTags")? {
            k.deprecated.push("imageTags");
            for image in images {
                k.images.push(Image::parse(image)?);
            }
        }
        if let Some(patches) = patch_entries(o, "patchesJson6902")? {
            k.deprecated.push("patchesJson6902");
            k.patches_json6902 = patches;
        }
        if let Some(patches) = o.texts_or_none("patchesStrategicMerge")? {
            k.deprecated.push("patchesStrategicMerge");
            k.patches_strategic_merge = patches;
        }
        if let Some(vars) = o.objects("vars")? {
            k.deprecated.push("vars");
            k.vars = vars.into_iter().map(Var::parse).collect::<Result<_>>()?;
        }
        for label in o.objects("labels")?.unwrap_or_default() {
            k.labels.push(Label::parse(label)?);
        }
        for entry in o.objects("replacements")?.unwrap_or_default() {
            k.replacements.push(ReplacementEntry::parse(entry)?);
        }
        for mut replica in o.objects("replicas")?.unwrap_or_default() {
            k.replicas.push(Replica { name: replica.text("name")?, count: replica.int("count")? });
            replica.done()?;
        }
        k.sort_options = o.object("sortOptions")?.map(SortOptions::parse).transpose()?;
        for generator in o.objects("configMapGenerator")?.unwrap_or_default() {
            k.config_maps.push(Generator::parse(generator, false)?);
        }
        for generator in o.objects("secretGenerator")?.unwrap_or_default() {
            k.secrets.push(Generator::parse(generator, true)?);
        }
        crate::helm::read_deprecated(o, &mut k)?;
        Ok(k)
    }
}

impl Label {
    fn parse(mut o: Object) -> Result<Label> {
        let label = Label {
            pairs: o.text_map("pairs")?.unwrap_or_default(),
            include_selectors: o.flag("includeSelectors")?,
            include_templates: o.flag("includeTemplates")?,
            include_volume_claim_templates: o.flag("includeVolumeClaimTemplates")?,
            fields: crate::config::field_specs(&mut o, "fields")?,
        };
        o.done()?;
        Ok(label)
    }
}

fn patch_entries(o: &mut Object, name: &'static str) -> Result<Option<Vec<PatchEntry>>> {
    let Some(entries) = o.objects(name)? else { return Ok(None) };
    let mut read = Vec::with_capacity(entries.len());
    for mut entry in entries {
        let target = entry.object("target")?.map(Selector::parse).transpose()?;
        let (mut allow_name_change, mut allow_kind_change) = (false, false);
        if let Some(mut options) = entry.object("options")? {
            allow_name_change = options.flag("allowNameChange")?;
            allow_kind_change = options.flag("allowKindChange")?;
            options.done()?;
        }
        let (path, patch) = (entry.text("path")?, entry.text("patch")?);
        entry.done()?;
        read.push(PatchEntry { path, patch, target, allow_name_change, allow_kind_change });
    }
    Ok(Some(read))
}
