//! Labels, annotations and replica counts.
//!
//! Source of behaviour: kustomize `api/filters/labels`, `annotations`, `replicacount`.

use std::collections::BTreeMap;

use borax_yaml::Tag;

use crate::diag::{Diagnostics, Result};
use crate::fieldspec::{self, Create, FieldSpec};
use crate::kustomization::Replica;
use crate::resmap::ResMap;
use crate::schema::Schema;
use crate::tree::Tree;

/// Puts the pairs wherever the specs lead. One node stands for a pair in all places of an object
/// that had none, so that a later change reaches all of them.
pub(crate) fn set_pairs(
    tree: &mut Tree,
    map: &mut ResMap,
    pairs: &BTreeMap<String, String>,
    specs: &[FieldSpec],
) -> Result<()> {
    for object in map.nodes() {
        for (key, value) in pairs {
            let value = tree.tagged(value.as_str(), Tag::Str);
            for spec in specs {
                fieldspec::apply(
                    tree,
                    object,
                    spec,
                    Create::mapping().as_ref(),
                    &mut |tree, at| tree.set_field(at, key, Some(value)).map(drop),
                )?;
            }
        }
    }
    Ok(())
}

/// Sets the replica count of all objects that have, or had, the name.
pub(crate) fn set_replicas(
    tree: &mut Tree,
    schema: &Schema,
    map: &mut ResMap,
    replica: &Replica,
    specs: &[FieldSpec],
) -> Result<()> {
    let mut found = false;
    for spec in specs {
        for at in map.with_any_name(tree, schema, &replica.name) {
            let ids = &map.ids(tree, schema)[at];
            let fits = ids
                .all()
                .any(|id| id.name == replica.name.as_str() && id.gvk.is_selected(&spec.gvk));
            let Some(object) = map.resources()[at].node.filter(|_| fits) else { continue };
            found = true;
            let create = Create::scalar(Tag::Int);
            fieldspec::apply(tree, object, spec, create.as_ref(), &mut |tree, at| {
                let value = tree.tagged(replica.count.to_string(), Tag::Int);
                tree.set_scalar(at, value)
            })?;
        }
    }
    if found {
        return Ok(());
    }
    let kinds: Vec<String> = specs.iter().map(|spec| spec.gvk.to_string()).collect();
    let found = Diagnostics::new(format!(
        "replicas: resource with name {} does not match a config with the following GVK [{}]",
        replica.name,
        kinds.join(" ")
    ));
    let near: Vec<String> = map
        .ids(tree, schema)
        .iter()
        .filter(|ids| specs.iter().any(|spec| ids.current.gvk.is_selected(&spec.gvk)))
        .map(|ids| ids.current.to_string())
        .take(5)
        .collect();
    Err(if near.is_empty() { found } else { found.hint(format!("there is {}", near.join(", "))) })
}
