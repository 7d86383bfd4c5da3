//! `ValueAddTransformer`: one value into a field of selected objects.
//!
//! Source of behaviour: kustomize `api/filters/valueadd`, `api/internal/builtins/ValueAddTransformer.go`.

use crate::build::Build;
use crate::decode::Object;
use crate::diag::{Result, fail};
use crate::fieldspec::split_path;
use crate::resmap::ResMap;
use crate::selector::Selector;
use crate::transform::namespace::Namespace;
use crate::tree::{Kind, NodeId};

/// Where the value goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    selector: Option<Selector>,
    field_path: String,
    file_path_position: i64,
}

impl Target {
    pub(crate) fn parse(mut o: Object) -> Result<Target> {
        let target = Target {
            selector: o.object("selector")?.map(Selector::parse).transpose()?,
            field_path: o.text("fieldPath")?,
            file_path_position: o.int("filePathPosition")?,
        };
        o.done()?;
        if target.field_path.is_empty() {
            return fail("fieldPath cannot be empty");
        }
        if target.file_path_position < 0 {
            return fail(format!(
                "value of FilePathPosition ({}) cannot be negative",
                target.file_path_position
            ));
        }
        Ok(target)
    }
}

/// Adds the value in all targets.
pub(crate) fn transform(
    build: &mut Build<'_>,
    map: &mut ResMap,
    value: &str,
    targets: &[Target],
) -> Result<()> {
    for target in targets {
        let objects: Vec<NodeId> = match &target.selector {
            None => map.nodes(),
            Some(selector) => {
                let matcher = selector.matcher()?;
                let places = map.select(&build.tree, &build.schema, &matcher);
                places.into_iter().filter_map(|at| map.resources()[at].node).collect()
            }
        };
        for object in objects {
            if target.field_path == "metadata/namespace" {
                let namespace = Namespace { namespace: value.to_owned(), ..Namespace::default() };
                namespace.apply(&mut build.tree, &build.schema, object)?;
            } else {
                add(build, object, value, target)?;
            }
        }
        map.forget_index();
    }
    Ok(())
}

fn add(build: &mut Build<'_>, object: NodeId, value: &str, target: &Target) -> Result<()> {
    let tree = &mut build.tree;
    let path = split_path(&target.field_path, '/');
    let Some(field) = tree.lookup_create(object, &path, Some(Kind::Scalar))? else { return Ok(()) };
    tree.expect(field, Kind::Scalar)?;
    let text = match target.file_path_position {
        0 => value.to_owned(),
        position => insert_path_part(tree.text(field), position - 1, value),
    };
    let text = tree.scalar(text);
    tree.set_scalar(field, text)
}

/// Puts a part into a file path at a position; a leading slash doesn't count.
fn insert_path_part(path: &str, position: i64, part: &str) -> String {
    let (root, rest) = match path.strip_prefix('/') {
        Some(rest) => ("/", rest),
        None => ("", path),
    };
    let mut parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    let at = usize::try_from(position).unwrap_or(0).min(parts.len());
    parts.insert(at, part);
    format!("{root}{}", parts.join("/"))
}
