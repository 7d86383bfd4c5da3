//! Transformers with their configuration: those of a kustomization's fields, and those that objects
//! of kind `builtin` configure.
//!
//! Source of behaviour: kustomize `api/internal/target/kusttarget_configplugin.go`,
//! `api/internal/plugins/builtinhelpers`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::build::Build;
use crate::config::{Config, field_specs};
use crate::decode::Object;
use crate::diag::{Diagnostics, Result, fail};
use crate::documents;
use crate::fieldspec::{FieldSpec, merge_all, merge_one};
use crate::kustomization::{Kustomization, Replica};
use crate::loader::Loader;
use crate::resmap::ResMap;
use crate::selector::Selector;
use crate::transform::images::Image;
use crate::transform::names::{self, Affix};
use crate::transform::namespace::{Namespace, Subjects};
use crate::transform::patches::{self, Patch, PatchEntry};
use crate::transform::replacements::{self, Replacement, ReplacementEntry};
use crate::transform::{hash, metadata, value_add};
use crate::tree::NodeId;

/// A transformer ready to run.
#[derive(Debug)]
pub(crate) enum Transformer {
    Merges(Vec<NodeId>),
    Patch(Patch),
    Namespace(Namespace),
    Affix { affix: Affix, text: String, specs: Vec<FieldSpec> },
    Pairs { pairs: BTreeMap<String, String>, specs: Vec<FieldSpec> },
    Replicas { replica: Replica, specs: Vec<FieldSpec> },
    Image { image: Image, specs: Vec<FieldSpec> },
    Replacements(Vec<Replacement>),
    ValueAdd { value: String, targets: Vec<value_add::Target> },
    Hash,
    Many(Vec<Transformer>),
}

impl Transformer {
    pub(crate) fn run(&self, build: &mut Build<'_>, map: &mut ResMap) -> Result<()> {
        match self {
            Transformer::Merges(patches) => patches::merge_copies_by_id(build, map, patches),
            Transformer::Patch(patch) => patch.transform(build, map),
            Transformer::Namespace(namespace) => {
                namespace.transform(&mut build.tree, &build.schema, map)
            }
            Transformer::Affix { affix, text, specs } => {
                names::add(&mut build.tree, &build.schema, map, *affix, text, specs)
            }
            Transformer::Pairs { pairs, specs } => {
                metadata::set_pairs(&mut build.tree, map, pairs, specs)
            }
            Transformer::Replicas { replica, specs } => {
                metadata::set_replicas(&mut build.tree, &build.schema, map, replica, specs)
            }
            Transformer::Image { image, specs } => image.transform(&mut build.tree, map, specs),
            Transformer::Replacements(list) => replacements::transform(build, map, list),
            Transformer::ValueAdd { value, targets } => {
                value_add::transform(build, map, value, targets)
            }
            Transformer::Hash => hash::transform(&mut build.tree, &build.schema, map),
            Transformer::Many(list) => list.iter().try_for_each(|one| one.run(build, map)),
        }
    }
}

/// The transformers of a kustomization's fields, with the names that `buildMetadata` calls them.
pub(crate) fn of_kustomization(
    build: &mut Build<'_>,
    loader: &Loader<'_>,
    k: &Kustomization,
    config: &Config,
) -> Result<Vec<(&'static str, Transformer)>> {
    let mut list = Vec::new();
    if !k.patches_strategic_merge.is_empty() {
        let patches = Patch::load_merges(build, loader, &k.patches_strategic_merge)?;
        list.push(("PatchStrategicMergeTransformer", Transformer::Merges(patches)));
    }
    for entry in &k.patches {
        let patch = Patch::load(build, loader, entry)?;
        list.push(("PatchTransformer", Transformer::Patch(patch)));
    }
    if !k.namespace.is_empty() {
        let namespace = Namespace {
            namespace: k.namespace.clone(),
            specs: config.namespace.clone(),
            ..Namespace::default()
        };
        list.push(("NamespaceTransformer", Transformer::Namespace(namespace)));
    }
    for (name, affix, text, specs) in [
        ("PrefixTransformer", Affix::Prefix, &k.name_prefix, &config.name_prefix),
        ("SuffixTransformer", Affix::Suffix, &k.name_suffix, &config.name_suffix),
    ] {
        if !text.is_empty() {
            let (text, specs) = (text.clone(), specs.clone());
            list.push((name, Transformer::Affix { affix, text, specs }));
        }
    }
    add_labels(&mut list, k, config)?;
    if !k.common_annotations.is_empty() {
        let (pairs, specs) = (k.common_annotations.clone(), config.common_annotations.clone());
        list.push(("AnnotationsTransformer", Transformer::Pairs { pairs, specs }));
    }
    for entry in &k.patches_json6902 {
        let patch = Patch::load_json6902(build, loader, entry)?;
        list.push(("PatchJson6902Transformer", Transformer::Patch(patch)));
    }
    for replica in &k.replicas {
        let (replica, specs) = (replica.clone(), config.replicas.clone());
        list.push(("ReplicaCountTransformer", Transformer::Replicas { replica, specs }));
    }
    for image in &k.images {
        let (image, specs) = (image.clone(), config.images.clone());
        list.push(("ImageTagTransformer", Transformer::Image { image, specs }));
    }
    if !k.replacements.is_empty() {
        let list_of = load_replacements(build, loader, &k.replacements)?;
        list.push(("ReplacementTransformer", Transformer::Replacements(list_of)));
    }
    Ok(list)
}

fn add_labels(
    list: &mut Vec<(&'static str, Transformer)>,
    k: &Kustomization,
    config: &Config,
) -> Result<()> {
    if k.labels.is_empty() && k.common_labels.is_empty() {
        return Ok(());
    }
    for label in &k.labels {
        let mut specs = label.fields.clone();
        let merged = (|| {
            merge_all(&mut specs, &config.labels)?;
            if label.include_selectors {
                return merge_all(&mut specs, &config.common_labels);
            }
            if label.include_templates {
                merge_all(&mut specs, &config.template_labels)?;
            }
            if label.include_volume_claim_templates {
                merge_all(&mut specs, &config.volume_claim_template_labels)?;
            }
            merge_one(&mut specs, FieldSpec::new("metadata/labels", true))
        })();
        merged.map_err(|e: Diagnostics| e.during("failed to merge labels"))?;
        let pairs = label.pairs.clone();
        list.push(("LabelTransformer", Transformer::Pairs { pairs, specs }));
    }
    // This one is there even without labels, and shows in transformer annotations.
    let (pairs, specs) = (k.common_labels.clone(), config.common_labels.clone());
    list.push(("LabelTransformer", Transformer::Pairs { pairs, specs }));
    Ok(())
}

fn load_replacements(
    build: &mut Build<'_>,
    loader: &Loader<'_>,
    entries: &[ReplacementEntry],
) -> Result<Vec<Replacement>> {
    let mut list = Vec::new();
    for entry in entries {
        list.extend(entry.load(build, loader)?);
    }
    Ok(list)
}

/// The transformer that an object of apiVersion `builtin` configures; `None` for a kind that is none.
pub(crate) fn of_config(
    build: &mut Build<'_>,
    loader: &Loader<'_>,
    kind: &str,
    value: Value,
) -> Result<Option<Transformer>> {
    let mut o = Object::lenient(kind, value)?;
    let transformer = match kind {
        "AnnotationsTransformer" | "LabelTransformer" => {
            let name = if kind == "LabelTransformer" { "labels" } else { "annotations" };
            let pairs = o.text_map(name)?.unwrap_or_default();
            Transformer::Pairs { pairs, specs: field_specs(&mut o, "fieldSpecs")? }
        }
        "NamespaceTransformer" => {
            let mut metadata = o.object("metadata")?;
            let namespace = match &mut metadata {
                Some(metadata) => metadata.text("namespace")?,
                None => String::new(),
            };
            let subjects = match o.text("setRoleBindingSubjects")?.as_str() {
                "" | "defaultOnly" => Subjects::Default,
                "allServiceAccounts" => Subjects::ServiceAccounts,
                "none" => Subjects::None,
                other => {
                    return fail(format!(
                        "invalid value {other:?} for setRoleBindingSubjects: must be one of \
                         \"defaultOnly\", \"none\" or \"allServiceAccounts\""
                    ));
                }
            };
            Transformer::Namespace(Namespace {
                namespace,
                specs: field_specs(&mut o, "fieldSpecs")?,
                unset_only: o.flag("unsetOnly")?,
                subjects,
            })
        }
        "PrefixTransformer" | "SuffixTransformer" | "PrefixSuffixTransformer" => {
            let (prefix, suffix) = (o.text("prefix")?, o.text("suffix")?);
            let specs = field_specs(&mut o, "fieldSpecs")?;
            if specs.is_empty() {
                return fail(format!("{kind}: fieldSpecs is not expected to be nil"));
            }
            let mut list = Vec::new();
            if kind != "SuffixTransformer" {
                let specs = specs.clone();
                list.push(Transformer::Affix { affix: Affix::Prefix, text: prefix, specs });
            }
            if kind != "PrefixTransformer" {
                list.push(Transformer::Affix { affix: Affix::Suffix, text: suffix, specs });
            }
            Transformer::Many(list)
        }
        "ImageTagTransformer" => Transformer::Image {
            image: o.object("imageTag")?.map(Image::parse).transpose()?.unwrap_or_default(),
            specs: field_specs(&mut o, "fieldSpecs")?,
        },
        "ReplicaCountTransformer" => {
            let mut replica = Replica::default();
            if let Some(mut of) = o.object("replica")? {
                replica = Replica { name: of.text("name")?, count: of.int("count")? };
            }
            Transformer::Replicas { replica, specs: field_specs(&mut o, "fieldSpecs")? }
        }
        "PatchTransformer" | "PatchJson6902Transformer" => {
            let mut entry = PatchEntry {
                path: o.text("path")?,
                target: o.object("target")?.map(Selector::parse).transpose()?,
                ..PatchEntry::default()
            };
            if kind == "PatchJson6902Transformer" {
                entry.patch = o.text("jsonOp")?;
                Transformer::Patch(Patch::load_json6902(build, loader, &entry)?)
            } else {
                entry.patch = o.text("patch")?;
                if let Some(mut options) = o.object("options")? {
                    entry.allow_name_change = options.flag("allowNameChange")?;
                    entry.allow_kind_change = options.flag("allowKindChange")?;
                }
                Transformer::Patch(Patch::load(build, loader, &entry)?)
            }
        }
        "PatchStrategicMergeTransformer" => {
            let paths = o.texts("paths")?;
            let inline = o.text("patches")?;
            if paths.is_empty() && inline.is_empty() {
                return fail("empty file path and empty patch content");
            }
            let mut patches = Patch::load_merges(build, loader, &paths)?;
            if !inline.is_empty() {
                patches.extend(documents::read(&mut build.tree, inline.as_bytes())?);
            }
            Transformer::Merges(patches)
        }
        "ReplacementTransformer" => {
            let entries = o.objects("replacements")?.unwrap_or_default();
            let entries: Vec<ReplacementEntry> =
                entries.into_iter().map(ReplacementEntry::parse).collect::<Result<_>>()?;
            Transformer::Replacements(load_replacements(build, loader, &entries)?)
        }
        "ValueAddTransformer" => value_add(build, loader, &mut o)?,
        "HashTransformer" => Transformer::Hash,
        _ => return Ok(None),
    };
    Ok(Some(transformer))
}

fn value_add(build: &mut Build<'_>, loader: &Loader<'_>, o: &mut Object) -> Result<Transformer> {
    let mut value = o.text("value")?.trim().to_owned();
    if value.is_empty() {
        value = loader.root().rsplit('/').next().unwrap_or("").to_owned();
    }
    let mut targets = o.objects("targets")?.unwrap_or_default();
    let path = o.text("targetFilePath")?;
    if !path.is_empty() {
        let text = loader.load(build, &path)?;
        let mut file = Object::lenient(&path, documents::yaml_to_json(&text)?)?;
        targets.extend(file.objects("targets")?.unwrap_or_default());
    }
    if targets.is_empty() {
        return fail("must specify at least one target");
    }
    let targets = targets.into_iter().map(value_add::Target::parse).collect::<Result<_>>()?;
    Ok(Transformer::ValueAdd { value, targets })
}
