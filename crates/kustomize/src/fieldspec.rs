//! Paths into objects that transformers write to, chosen by group, version and kind.
//!
//! Source of behaviour: kustomize `api/types/fieldspec.go`, `api/filters/fieldspec`.

use borax_yaml::Tag;

use crate::diag::{Diagnostics, Result, fail};
use crate::id::Gvk;
use crate::tree::{Kind, NodeId, Tree};

/// Where in which objects a transformer writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSpec {
    /// The objects; empty parts match any.
    pub(crate) gvk: Gvk,
    /// The path, `/` between the steps and `\/` for a slash in one.
    pub(crate) path: String,
    /// Whether missing steps are created.
    pub(crate) create: bool,
}

/// What is created at the end of a path.
#[derive(Clone, Debug)]
pub(crate) struct Create {
    pub(crate) kind: Kind,
    pub(crate) tag: Tag,
}

impl Create {
    pub(crate) fn scalar(tag: Tag) -> Option<Create> {
        Some(Create { kind: Kind::Scalar, tag })
    }

    pub(crate) fn mapping() -> Option<Create> {
        Some(Create { kind: Kind::Mapping, tag: Tag::Map })
    }
}

/// What is done with a node at the end of a path.
pub(crate) type SetValue<'f> = &'f mut dyn FnMut(&mut Tree, NodeId) -> Result<()>;

impl FieldSpec {
    pub(crate) fn new(path: &str, create: bool) -> FieldSpec {
        FieldSpec { gvk: Gvk::default(), path: path.to_owned(), create }
    }

    /// Whether the other one covers this.
    fn is_covered_by(&self, other: &FieldSpec) -> bool {
        self.gvk.is_selected(&other.gvk) && self.path == other.path
    }
}

/// Adds a path unless one like it is there; both must agree on `create`.
pub(crate) fn merge_one(into: &mut Vec<FieldSpec>, spec: FieldSpec) -> Result<()> {
    match into.iter().find(|have| have.is_covered_by(&spec)) {
        Some(have) if have.create != spec.create => fail(format!(
            "conflicting fieldspecs: {} for {} is given with create: {} and create: {}",
            spec.path, spec.gvk, have.create, spec.create
        )),
        Some(_) => Ok(()),
        None => {
            into.push(spec);
            Ok(())
        }
    }
}

/// Adds many; see [`merge_one`].
pub(crate) fn merge_all(into: &mut Vec<FieldSpec>, specs: &[FieldSpec]) -> Result<()> {
    specs.iter().try_for_each(|spec| merge_one(into, spec.clone()))
}

/// Calls `set` on every node that the path leads to in `object`, if the object is of the right kind.
pub(crate) fn apply(
    tree: &mut Tree,
    object: NodeId,
    spec: &FieldSpec,
    create: Option<&Create>,
    set: SetValue<'_>,
) -> Result<()> {
    let gvk = crate::resource::gvk(tree, object);
    if !gvk.is_selected(&spec.gvk) {
        return Ok(());
    }
    let path = split_path(&spec.path, '/');
    let create = create.filter(|_| spec.create);
    descend(tree, object, &path, create, set).map_err(|found| {
        let name = crate::resource::name(tree, object);
        found.during(format!("considering field '{}' of {} {name}", spec.path, gvk.kind))
    })
}

/// Follows a path without looking at the object's kind.
pub(crate) fn descend(
    tree: &mut Tree,
    node: NodeId,
    path: &[String],
    create: Option<&Create>,
    set: SetValue<'_>,
) -> Result<()> {
    let Some((first, rest)) = path.split_first() else { return set(tree, node) };
    if tree.is_null(node) {
        return Ok(());
    }
    match tree.kind(node) {
        Kind::Scalar => fail("expected sequence or mapping node"),
        Kind::Sequence => {
            for at in 0..tree.content(node).len() {
                let element = tree.content(node)[at];
                descend(tree, element, path, create, set)?;
            }
            Ok(())
        }
        Kind::Mapping => {
            let (name, is_sequence) = match first.strip_suffix("[]") {
                Some(name) => (name, true),
                None => (first.as_str(), false),
            };
            if name.is_empty() {
                return fail("cannot set or create an empty field name");
            }
            // What the field becomes when it is missing, or null.
            let made = match create {
                _ if is_sequence => None,
                None => None,
                Some(create) if rest.is_empty() => Some(create.clone()),
                Some(_) => Create::mapping(),
            };
            let found = tree.lookup_create(node, &[name], made.as_ref().map(|made| made.kind));
            let Some(field) =
                found.map_err(|e: Diagnostics| e.during(format!("fieldName: {name}")))?
            else {
                return Ok(());
            };
            if tree.is_null(field) {
                let as_sequence =
                    is_sequence.then_some(Create { kind: Kind::Sequence, tag: Tag::None });
                if let Some(made) = made.or(as_sequence) {
                    tree.cell_mut(field).set_kind(made.kind, made.tag);
                }
            }
            descend(tree, field, rest, create, set)
        }
    }
}

/// Splits at a delimiter unless a backslash stands before it; a leading one is ignored.
pub(crate) fn split_path(path: &str, delimiter: char) -> Vec<String> {
    let mut parts: Vec<&str> = path.split(delimiter).collect();
    if parts.len() > 1 && parts[0].is_empty() {
        parts.remove(0);
    }
    let mut split: Vec<String> = Vec::with_capacity(parts.len());
    for part in parts {
        match split.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push(delimiter);
                last.push_str(part);
            }
            _ => split.push(part.to_owned()),
        }
    }
    split
}

/// As [`split_path`], keeping what stands in brackets together: `[name=a.b]` stays, `[a.b]` loses
/// its brackets (`SmarterPathSplitter`).
pub(crate) fn split_smart_path(path: &str, delimiter: char) -> Vec<String> {
    let mut result = Vec::new();
    let mut parts = split_path(path, delimiter).into_iter();
    while let Some(part) = parts.next() {
        if !part.starts_with('[') || part.ends_with(']') {
            result.push(part);
            continue;
        }
        let mut bracketed = part;
        for part in parts.by_ref() {
            bracketed.push(delimiter);
            bracketed.push_str(&part);
            if part.ends_with(']') {
                break;
            }
        }
        if !bracketed.contains('=') {
            bracketed = bracketed.trim_matches(['[', ']']).to_owned();
        }
        result.push(bracketed);
    }
    result
}
