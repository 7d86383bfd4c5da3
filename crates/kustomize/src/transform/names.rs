//! Name prefixes and suffixes.
//!
//! Source of behaviour: kustomize `api/internal/builtins/PrefixTransformer.go`, `SuffixTransformer.go`.

use borax_yaml::Tag;

use crate::diag::Result;
use crate::fieldspec::{self, Create, FieldSpec};
use crate::id::Gvk;
use crate::resmap::ResMap;
use crate::resource::{self, PREFIXES, SUFFIXES};
use crate::schema::Schema;
use crate::tree::Tree;

/// Which end of a name an affix goes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Affix {
    Prefix,
    Suffix,
}

/// Adds a prefix or suffix to the fields of all objects that may be renamed.
pub(crate) fn add(
    tree: &mut Tree,
    schema: &Schema,
    map: &mut ResMap,
    affix: Affix,
    text: &str,
    specs: &[FieldSpec],
) -> Result<()> {
    for object in map.nodes() {
        let original = resource::ids(tree, schema, object).original().clone();
        if keeps_its_name(&original.gvk) {
            continue;
        }
        for spec in specs {
            if !original.gvk.is_selected(&spec.gvk) {
                continue;
            }
            if spec.path == "metadata/name" && !text.is_empty() {
                let key = if affix == Affix::Prefix { PREFIXES } else { SUFFIXES };
                resource::note(tree, object, key, text)?;
                resource::store_previous_id(tree, schema, object)?;
            }
            let create = Create::scalar(Tag::Str);
            fieldspec::apply(tree, object, spec, create.as_ref(), &mut |tree, at| {
                let name = tree.text(at).clone();
                let value = tree.scalar(match affix {
                    Affix::Prefix => format!("{text}{name}"),
                    Affix::Suffix => format!("{name}{text}"),
                });
                tree.set_scalar(at, value)
            })?;
        }
    }
    map.forget_index();
    Ok(())
}

fn keeps_its_name(gvk: &Gvk) -> bool {
    match gvk.kind.as_str() {
        "CustomResourceDefinition" | "Namespace" => true,
        "APIService" => gvk.group == "apiregistration.k8s.io",
        _ => false,
    }
}
