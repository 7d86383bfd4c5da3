//! One object of a build: its metadata, and the notes that a build keeps in its annotations.
//!
//! The notes (earlier names, prefixes, whether a hash is due) live in annotations as kustomize keeps
//! them, and not beside the object, because patches see them: a JSON patch may add below
//! `/metadata/annotations` only since they are there.
//!
//! Source of behaviour: kustomize `api/resource/resource.go`, kyaml `yaml/rnode.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use borax_yaml::{Style, Text};

use crate::diag::{Result, fail};
use crate::id::{Gvk, ResId};
use crate::schema::Schema;
use crate::tree::{Kind, NodeId, Tree};

pub(crate) const INTERNAL: &str = "internal.config.kubernetes.io/";
pub(crate) const PREVIOUS_KINDS: &str = "internal.config.kubernetes.io/previousKinds";
pub(crate) const PREVIOUS_NAMES: &str = "internal.config.kubernetes.io/previousNames";
pub(crate) const PREVIOUS_NAMESPACES: &str = "internal.config.kubernetes.io/previousNamespaces";
pub(crate) const PREFIXES: &str = "internal.config.kubernetes.io/prefixes";
pub(crate) const SUFFIXES: &str = "internal.config.kubernetes.io/suffixes";
pub(crate) const ALLOW_NAME_CHANGE: &str = "internal.config.kubernetes.io/allowNameChange";
pub(crate) const ALLOW_KIND_CHANGE: &str = "internal.config.kubernetes.io/allowKindChange";
pub(crate) const NEEDS_HASH: &str = "internal.config.kubernetes.io/needsHashSuffix";
pub(crate) const BEHAVIOR: &str = "internal.config.kubernetes.io/generatorBehavior";
pub(crate) const HELM_GENERATED: &str = "internal.config.kubernetes.io/helm-generated";
pub(crate) const ORIGIN: &str = "config.kubernetes.io/origin";
pub(crate) const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";
pub(crate) const ENABLED: &str = "enabled";

/// The annotations that never leave a build.
pub(crate) const BUILD_ANNOTATIONS: [&str; 19] = [
    PREVIOUS_KINDS,
    PREVIOUS_NAMES,
    PREFIXES,
    SUFFIXES,
    PREVIOUS_NAMESPACES,
    ALLOW_NAME_CHANGE,
    ALLOW_KIND_CHANGE,
    "internal.config.kubernetes.io/refBy",
    BEHAVIOR,
    NEEDS_HASH,
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/index",
    "internal.config.kubernetes.io/seqindent",
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
    "config.k8s.io/id",
    HELM_GENERATED,
];

/// An object of a build.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// The object; `None` once it was deleted.
    pub(crate) node: Option<NodeId>,
    /// Names of the vars that read from this object.
    pub(crate) vars: Vec<Text>,
    /// The file it was read from.
    pub(crate) file: Option<Arc<str>>,
}

/// An object's identities: now, and before each renaming (oldest first).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ids {
    pub(crate) current: ResId,
    pub(crate) previous: Vec<ResId>,
}

impl Ids {
    /// The first identity.
    pub(crate) fn original(&self) -> &ResId {
        self.previous.first().unwrap_or(&self.current)
    }

    /// Earlier ones, then the current one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &ResId> {
        self.previous.iter().chain([&self.current])
    }
}

/// Labels or annotations.
pub(crate) type StringMap = BTreeMap<Text, Text>;

impl Resource {
    pub(crate) fn new(node: NodeId) -> Resource {
        Resource { node: Some(node), vars: Vec::new(), file: None }
    }
}

/// The raw text of a field of the object (`GetKind`, `GetApiVersion`).
fn root_text(tree: &Tree, node: NodeId, key: &str) -> Text {
    tree.field(node, key).map_or_else(Text::default, |value| tree.text(value).clone())
}

pub(crate) fn kind(tree: &Tree, node: NodeId) -> Text {
    root_text(tree, node, "kind")
}

pub(crate) fn api_version(tree: &Tree, node: NodeId) -> Text {
    root_text(tree, node, "apiVersion")
}

pub(crate) fn gvk(tree: &Tree, node: NodeId) -> Gvk {
    Gvk::from_fields(&api_version(tree, node), &kind(tree, node))
}

pub(crate) fn name(tree: &Tree, node: NodeId) -> Text {
    tree.text_at(node, &["metadata", "name"])
}

pub(crate) fn namespace(tree: &Tree, node: NodeId) -> Text {
    tree.text_at(node, &["metadata", "namespace"])
}

/// The object's identity now.
pub(crate) fn current_id(tree: &Tree, schema: &Schema, node: NodeId) -> ResId {
    let api_version = api_version(tree, node);
    let kind = kind(tree, node);
    ResId {
        cluster_scoped: schema.is_cluster_scoped(&api_version, &kind),
        gvk: Gvk::from_fields(&api_version, &kind),
        name: name(tree, node),
        namespace: namespace(tree, node),
    }
}

/// All the object's identities.
pub(crate) fn ids(tree: &Tree, schema: &Schema, node: NodeId) -> Ids {
    let current = current_id(tree, schema, node);
    let mut previous = Vec::new();
    if let Some(names) = annotation(tree, node, PREVIOUS_NAMES) {
        let namespaces = annotation(tree, node, PREVIOUS_NAMESPACES).unwrap_or_default();
        let kinds = annotation(tree, node, PREVIOUS_KINDS).unwrap_or_default();
        let rest = namespaces.split(',').zip(kinds.split(','));
        previous = names
            .split(',')
            .zip(rest)
            .map(|(name, (namespace, kind))| ResId {
                gvk: Gvk { kind: kind.into(), ..current.gvk.clone() },
                name: name.into(),
                namespace: namespace.into(),
                cluster_scoped: false,
            })
            .collect();
        // A list that is collected has room for four, where most have one or two.
        previous.shrink_to_fit();
    }
    Ids { current, previous }
}

fn string_map(tree: &Tree, node: NodeId, field: &str) -> StringMap {
    let found = tree.field(node, "metadata").and_then(|metadata| tree.field(metadata, field));
    let Some(map) = found else { return StringMap::new() };
    let pairs = tree.content(map).chunks_exact(2);
    pairs.map(|pair| (tree.text(pair[0]).clone(), tree.text(pair[1]).clone())).collect()
}

fn set_string_map(tree: &mut Tree, node: NodeId, field: &str, map: &StringMap) -> Result<()> {
    let Some(metadata) = tree.lookup_create(node, &["metadata"], Some(Kind::Mapping))? else {
        return Ok(());
    };
    tree.clear(metadata, field)?;
    if map.is_empty() {
        return Ok(());
    }
    let Some(target) = tree.lookup_create(metadata, &[field], Some(Kind::Mapping))? else {
        return Ok(());
    };
    for (key, value) in map {
        let value = tree.string(value.clone());
        tree.set_field(target, key, Some(value))?;
    }
    Ok(())
}

pub(crate) fn labels(tree: &Tree, node: NodeId) -> StringMap {
    string_map(tree, node, "labels")
}

pub(crate) fn set_labels(tree: &mut Tree, node: NodeId, labels: &StringMap) -> Result<()> {
    set_string_map(tree, node, "labels", labels)
}

pub(crate) fn annotations(tree: &Tree, node: NodeId) -> StringMap {
    string_map(tree, node, "annotations")
}

pub(crate) fn set_annotations(tree: &mut Tree, node: NodeId, map: &StringMap) -> Result<()> {
    set_string_map(tree, node, "annotations", map)
}

/// One annotation's text.
pub(crate) fn annotation(tree: &Tree, node: NodeId, key: &str) -> Option<Text> {
    let annotations = tree.field(tree.field(node, "metadata")?, "annotations")?;
    Some(tree.text(tree.field(annotations, key)?).clone())
}

/// Sets one annotation (`SetAnnotation`), replacing empty metadata or annotations.
pub(crate) fn set_annotation(
    tree: &mut Tree,
    node: NodeId,
    key: &str,
    value: impl Into<Text>,
) -> Result<()> {
    if let Some(metadata) = tree.field(node, "metadata") {
        if tree.field(metadata, "annotations").is_some_and(|at| tree.content(at).is_empty()) {
            tree.clear(metadata, "annotations")?;
        }
        if tree.content(metadata).is_empty() {
            tree.clear(node, "metadata")?;
        }
    }
    set_metadata_entry(tree, node, "annotations", key, value)
}

/// Sets one entry of `metadata.labels` or `metadata.annotations`.
pub(crate) fn set_metadata_entry(
    tree: &mut Tree,
    node: NodeId,
    field: &str,
    key: &str,
    value: impl Into<Text>,
) -> Result<()> {
    let value = tree.string(value);
    tree.cell_mut(value).style = Style::SINGLE;
    let path = ["metadata", field];
    let Some(map) = tree.lookup_create(node, &path, Some(Kind::Mapping))? else { return Ok(()) };
    // Nearly every object has some of these, and their names are too long to be kept in a cell.
    let shared = BUILD_ANNOTATIONS.iter().find(|known| **known == key);
    let is_new = shared.is_some() && tree.field(map, key).is_none();
    tree.set_field(map, key, Some(value))?;
    if let (Some(name), true) = (shared, is_new) {
        tree.share_last_key(map, name);
    }
    Ok(())
}

/// The parts of a note that holds a list.
pub(crate) fn note_list(tree: &Tree, node: NodeId, key: &str) -> Vec<Text> {
    let Some(list) = annotation(tree, node, key) else { return Vec::new() };
    let mut parts: Vec<Text> = list.split(',').map(Text::from).collect();
    parts.shrink_to_fit();
    parts
}

/// Adds to a note that holds a list.
pub(crate) fn note(tree: &mut Tree, node: NodeId, key: &str, value: &str) -> Result<()> {
    if value.is_empty() {
        return Ok(());
    }
    let text = match annotation(tree, node, key) {
        Some(list) => format!("{list},{value}"),
        None => value.to_owned(),
    };
    set_annotation(tree, node, key, text)
}

/// Notes the identity that the object is about to lose.
pub(crate) fn store_previous_id(tree: &mut Tree, schema: &Schema, node: NodeId) -> Result<()> {
    let id = current_id(tree, schema, node);
    if [&id.name, &id.namespace, &id.gvk.kind].iter().any(|part| part.contains(',')) {
        return fail(format!("{id}: name, namespace and kind must not contain a comma"));
    }
    note(tree, node, PREVIOUS_NAMES, &id.name)?;
    note(tree, node, PREVIOUS_NAMESPACES, id.effective_namespace())?;
    note(tree, node, PREVIOUS_KINDS, &id.gvk.kind)
}

pub(crate) fn set_name(tree: &mut Tree, node: NodeId, name: &str) -> Result<()> {
    set_text(tree, node, &["metadata", "name"], name)
}

pub(crate) fn set_kind(tree: &mut Tree, node: NodeId, kind: &str) -> Result<()> {
    set_text(tree, node, &["kind"], kind)
}

pub(crate) fn set_api_version(tree: &mut Tree, node: NodeId, text: &str) -> Result<()> {
    set_text(tree, node, &["apiVersion"], text)
}

/// Sets `metadata.namespace`; an empty one removes it.
pub(crate) fn set_namespace(tree: &mut Tree, node: NodeId, namespace: &str) -> Result<()> {
    if !namespace.is_empty() {
        return set_text(tree, node, &["metadata", "namespace"], namespace);
    }
    match tree.get(node, "metadata")? {
        Some(metadata) => tree.clear(metadata, "namespace"),
        None => Ok(()),
    }
}

fn set_text(tree: &mut Tree, node: NodeId, path: &[&str], text: &str) -> Result<()> {
    let (last, parents) = path.split_last().expect("paths here are written with a last step");
    let Some(map) = tree.lookup_create(node, parents, Some(Kind::Mapping))? else { return Ok(()) };
    let value = tree.scalar(text);
    tree.set_field(map, last, Some(value))?;
    Ok(())
}

/// Takes over labels, annotations, name and namespace of the object that `node` replaces
/// (`CopyMergeMetaDataFieldsFrom`).
pub(crate) fn take_metadata(tree: &mut Tree, node: NodeId, from: NodeId) -> Result<()> {
    let mut merged = labels(tree, from);
    merged.extend(labels(tree, node));
    set_labels(tree, node, &merged)?;
    let own = annotations(tree, node);
    let others = annotations(tree, from);
    let keeps_hash = own.contains_key(NEEDS_HASH);
    let mut merged = others.clone();
    merged.extend(own);
    for key in BUILD_ANNOTATIONS {
        match others.get(key) {
            Some(value) => merged.insert(key.into(), value.clone()),
            None => merged.remove(key),
        };
    }
    if !keeps_hash {
        merged.remove(NEEDS_HASH);
    }
    set_annotations(tree, node, &merged)?;
    let (name, namespace) = (name(tree, from), namespace(tree, from));
    set_name(tree, node, &name)?;
    set_namespace(tree, node, &namespace)
}
