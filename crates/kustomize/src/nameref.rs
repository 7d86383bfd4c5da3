//! Name references: fields that name another object follow it through every renaming.
//!
//! For each object that may refer to others, and each field it may do so with, the referred object is
//! sought among those that once had the name, then narrowed down by kind, namespace, and the prefixes
//! and suffixes that both came by. Source of behaviour: kustomize `api/filters/nameref`,
//! `api/internal/accumulator/namereferencetransformer.go`. An index by former name takes the place of
//! the original's scan over all objects.

use std::collections::{HashMap, HashSet};

use borax_yaml::Text;

use crate::build::Build;
use crate::config::Config;
use crate::diag::{Result, fail};
use crate::fieldspec::{self, split_path};
use crate::id::{Gvk, NO_NAMESPACE};
use crate::resource::{self, Ids, PREFIXES, SUFFIXES};
use crate::tree::{Kind, NodeId, Tree};

/// What is known of an object while references are followed.
#[derive(Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) ids: Ids,
    prefixes: Vec<Text>,
    suffixes: Vec<Text>,
}

/// All objects, in slots that keep their numbers while objects come and go.
#[derive(Debug, Default)]
pub(crate) struct Index {
    known: Vec<Option<Known>>,
    by_former_name: HashMap<Text, Vec<usize>>,
    by_first_namespace: HashMap<Text, Vec<usize>>,
    by_namespace: HashMap<Text, Vec<usize>>,
}

/// What one object's references were looked for by: what came of them depends on the objects that have
/// or had such a name, or are or were in such a namespace, and on nothing else.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    pub(crate) names: Vec<Text>,
    pub(crate) namespaces: Vec<Text>,
    /// The object's own identity followed another one, which those after it could see.
    pub(crate) renames_itself: bool,
}

/// One search: who refers, with which field, to what kind.
struct Search<'i> {
    index: &'i Index,
    referrer: usize,
    target: &'i Gvk,
    /// What a `roleRef` says it refers to.
    role: Option<Gvk>,
    /// Namespaces of the service accounts that a role binding names.
    subject_namespaces: &'i HashSet<Text>,
}

/// A field that may hold a name.
struct Field<'c> {
    path: Vec<String>,
    text: &'c str,
    target: &'c Gvk,
}

/// The fields that may hold names, by the kind that has them; those of any kind under the empty one.
pub(crate) struct Fields<'c> {
    by_kind: HashMap<&'c str, Vec<(usize, &'c Gvk, Field<'c>)>>,
}

impl<'c> Fields<'c> {
    pub(crate) fn new(config: &'c Config) -> Fields<'c> {
        let mut by_kind: HashMap<&str, Vec<(usize, &Gvk, Field<'_>)>> = HashMap::new();
        let mut order = 0;
        for reference in &config.name_references {
            for spec in &reference.referrers {
                let path = split_path(&spec.path, '/');
                let field = Field { path, text: &spec.path, target: &reference.target };
                by_kind.entry(&spec.gvk.kind).or_default().push((order, &spec.gvk, field));
                order += 1;
            }
        }
        Fields { by_kind }
    }
}

/// Makes the references of the object in a slot follow.
pub(crate) fn follow(
    build: &mut Build<'_>,
    index: &mut Index,
    fields: &Fields<'_>,
    node: NodeId,
    referrer: usize,
) -> Result<Lookups> {
    let mut lookups = Lookups::default();
    let original = index.at(referrer).ids.original().gvk.clone();
    let of_kind = fields.by_kind.get(original.kind.as_str()).into_iter().flatten();
    let of_any = if original.kind.is_empty() { None } else { fields.by_kind.get("") };
    let mut chosen: Vec<_> = of_kind
        .chain(of_any.into_iter().flatten())
        .filter(|(_, gvk, _)| original.is_selected(gvk))
        .collect();
    chosen.sort_by_key(|(order, ..)| *order);
    if chosen.is_empty() {
        return Ok(lookups);
    }
    let subject_namespaces = subject_namespaces(&build.tree, node, index.at(referrer))?;
    if index.none_renamed() {
        return Ok(lookups);
    }
    for (_, _, field) in chosen {
        let role = field.text.ends_with("roleRef/name").then(|| role_ref(&build.tree, node));
        let search = Search {
            index,
            referrer,
            target: field.target,
            role: role.flatten(),
            subject_namespaces: &subject_namespaces,
        };
        let done = fieldspec::descend(&mut build.tree, node, &field.path, None, &mut |tree, at| {
            search.set(tree, at, &mut lookups)
        });
        done.map_err(|e| {
            let id = &index.at(referrer).ids.current;
            e.during(format!("updating name reference in '{}' field of '{id}'", field.text))
        })?;
        if field.path.first().is_some_and(|first| first == "metadata") {
            // The referrer's own name may have been the reference.
            let known = Known::new(build, node);
            lookups.renames_itself |= known != *index.at(referrer);
            index.known[referrer] = Some(known);
        }
    }
    Ok(lookups)
}

impl Known {
    pub(crate) fn new(build: &Build<'_>, node: NodeId) -> Known {
        let tree = &build.tree;
        let ids = resource::ids(tree, &build.schema, node);
        Known {
            prefixes: resource::note_list(tree, node, PREFIXES),
            suffixes: resource::note_list(tree, node, SUFFIXES),
            ids,
        }
    }

    /// The names by which others may refer to the object.
    pub(crate) fn former_names(&self) -> impl Iterator<Item = &Text> {
        self.ids.previous.iter().map(|id| &id.name)
    }

    /// The namespaces that it is in, and was in at first.
    pub(crate) fn namespaces(&self) -> [Text; 2] {
        let (first, current) = (self.ids.original(), &self.ids.current);
        [first.effective_namespace().into(), current.effective_namespace().into()]
    }
}

impl Index {
    /// Whether no object was renamed, so that no reference needs to be followed.
    pub(crate) fn none_renamed(&self) -> bool {
        self.by_former_name.is_empty()
    }

    pub(crate) fn at(&self, slot: usize) -> &Known {
        self.known[slot].as_ref().expect("the slots of a build's objects are filled")
    }

    /// Makes room for so many objects.
    pub(crate) fn reserve(&mut self, objects: usize) {
        self.known.reserve_exact(objects.saturating_sub(self.known.len()));
    }

    /// Fills a slot that is empty, or the one after the last.
    pub(crate) fn put(&mut self, slot: usize, known: Known) {
        for name in known.former_names() {
            let places = self.by_former_name.entry(name.clone()).or_default();
            if places.last() != Some(&slot) {
                places.push(slot);
            }
        }
        let [first, current] = known.namespaces();
        self.by_first_namespace.entry(first).or_default().push(slot);
        self.by_namespace.entry(current).or_default().push(slot);
        if slot == self.known.len() {
            self.known.push(Some(known));
        } else {
            self.known[slot] = Some(known);
        }
    }

    /// Empties a slot.
    pub(crate) fn take(&mut self, slot: usize) -> Option<Known> {
        let known = self.known[slot].take()?;
        let remove = |map: &mut HashMap<Text, Vec<usize>>, key: &Text| {
            if let Some(places) = map.get_mut(key) {
                places.retain(|at| *at != slot);
                if places.is_empty() {
                    map.remove(key);
                }
            }
        };
        known.former_names().for_each(|name| remove(&mut self.by_former_name, name));
        let [first, current] = known.namespaces();
        remove(&mut self.by_first_namespace, &first);
        remove(&mut self.by_namespace, &current);
        Some(known)
    }
}

/// The namespaces of service accounts among a role binding's subjects.
fn subject_namespaces(tree: &Tree, node: NodeId, referrer: &Known) -> Result<HashSet<Text>> {
    let mut namespaces = HashSet::new();
    if referrer.ids.current.gvk.kind != "RoleBinding" {
        return Ok(namespaces);
    }
    let Some(subjects) = tree.field(node, "subjects") else { return Ok(namespaces) };
    for subject in tree.content(subjects) {
        let namespace = tree.field(*subject, "namespace");
        if tree.text_at(*subject, &["kind"]) != "ServiceAccount" {
            continue;
        }
        let Some(namespace) = namespace else { continue };
        if tree.is_null(namespace) {
            return fail(format!(
                "Invalid Input: namespace is blank for resource {}",
                referrer.ids.current
            ));
        }
        namespaces.insert(tree.text(namespace).clone());
    }
    Ok(namespaces)
}

fn role_ref(tree: &Tree, node: NodeId) -> Option<Gvk> {
    let role = tree.field(node, "roleRef")?;
    let group = tree.field(role, "apiGroup")?;
    let kind = tree.field(role, "kind")?;
    Some(Gvk::new(tree.text(group), "", tree.text(kind)))
}

impl Search<'_> {
    fn set(&self, tree: &mut Tree, at: NodeId, lookups: &mut Lookups) -> Result<()> {
        if tree.is_null(at) {
            return Ok(());
        }
        match tree.kind(at) {
            Kind::Scalar => self.set_scalar(tree, at, lookups),
            Kind::Mapping => self.set_mapping(tree, at, lookups),
            Kind::Sequence => {
                for item in tree.content(at).to_vec() {
                    if tree.is_null(item) {
                        continue;
                    }
                    match tree.kind(item) {
                        Kind::Scalar => self.set_scalar(tree, item, lookups)?,
                        Kind::Mapping => self.set_mapping(tree, item, lookups)?,
                        Kind::Sequence => {
                            return fail("a list item is expected to be a string or a map");
                        }
                    }
                }
                Ok(())
            }
        }
    }

    fn set_scalar(&self, tree: &mut Tree, at: NodeId, lookups: &mut Lookups) -> Result<()> {
        let old = tree.text(at).clone();
        lookups.names.push(old.clone());
        let candidates = self.index.by_former_name.get(&old);
        let candidates = candidates.into_iter().flatten().copied().collect();
        let Some(found) = self.select(&old, candidates, false)? else { return Ok(()) };
        let name = &self.index.at(found).ids.current.name;
        if *name == old {
            return Ok(());
        }
        let value = tree.scalar(name.clone());
        tree.set_scalar(at, value)
    }

    /// A map that names both the object and, maybe, its namespace.
    fn set_mapping(&self, tree: &mut Tree, at: NodeId, lookups: &mut Lookups) -> Result<()> {
        let Some(name) = tree.field(at, "name") else {
            return fail("path config error; no 'name' field in node");
        };
        let old = tree.text(name).clone();
        lookups.names.push(old.clone());
        let mut candidates: Vec<usize> =
            self.index.by_former_name.get(&old).into_iter().flatten().copied().collect();
        if let Some(namespace) = tree.field(at, "namespace") {
            let namespace = tree.text(namespace).clone();
            lookups.namespaces.push(namespace.clone());
            let within = |places: &HashMap<Text, Vec<usize>>| {
                let found = places.get(&namespace).filter(|_| namespace != NO_NAMESPACE);
                let found: HashSet<usize> =
                    found.into_iter().flatten().copied().filter(|at| self.may_see(*at)).collect();
                (!found.is_empty()).then_some(found)
            };
            let places = within(&self.index.by_first_namespace)
                .or_else(|| within(&self.index.by_namespace))
                .unwrap_or_default();
            candidates.retain(|at| places.contains(at));
        }
        let Some(found) = self.select(&old, candidates, true)? else { return Ok(()) };
        let found = &self.index.at(found).ids.current;
        if found.name == old && found.namespace.is_empty() {
            return Ok(());
        }
        let value = tree.scalar(found.name.clone());
        tree.set_field(at, "name", Some(value))?;
        if !found.namespace.is_empty() {
            let value = tree.scalar(found.namespace.clone());
            tree.set_field(at, "namespace", Some(value))?;
        }
        Ok(())
    }

    /// Whether the referrer can refer to the object at all.
    fn may_see(&self, at: usize) -> bool {
        let referrer = &self.index.at(self.referrer).ids.current;
        let other = self.index.at(at);
        referrer.cluster_scoped
            || other.ids.current.cluster_scoped
            || other.ids.current.same_namespace(referrer)
            || self.subject_namespaces.contains(&other.ids.current.namespace)
    }

    fn select(
        &self,
        old: &str,
        mut candidates: Vec<usize>,
        with_namespace: bool,
    ) -> Result<Option<usize>> {
        let known = |at: usize| self.index.at(at);
        let referrer = known(self.referrer);
        candidates.retain(|at| {
            let previous = &known(*at).ids.previous;
            let was = |target: &Gvk| previous.iter().any(|id| id.gvk.is_selected(target));
            let current = &known(*at).ids.current;
            self.may_see(*at)
                && previous.iter().any(|id| id.name == old)
                && was(self.target)
                && self.role.as_ref().is_none_or(was)
                && (referrer.ids.current.cluster_scoped
                    || current.cluster_scoped
                    || current.gvk.kind == "ServiceAccount"
                    || current.same_namespace(&referrer.ids.current))
        });
        if candidates.len() == 1 {
            return Ok(Some(candidates[0]));
        }
        candidates.retain(|at| same_affixes(known(*at), referrer, true));
        if candidates.len() > 1 {
            candidates.retain(|at| same_affixes(known(*at), referrer, false));
        }
        let Some(first) = candidates.first().copied() else { return Ok(None) };
        let wanted = &known(first).ids.current;
        let same = |at: &usize| {
            let current = &known(*at).ids.current;
            current.name == wanted.name
                && (!with_namespace || current.namespace == wanted.namespace)
        };
        if candidates.iter().all(same) {
            return Ok(Some(first));
        }
        let ids: Vec<String> =
            candidates.iter().map(|at| known(*at).ids.current.to_string()).collect();
        fail(format!("found multiple possible referrals to {old:?}: {}", ids.join(", ")))
    }
}

/// Whether both came by the same prefixes and suffixes, as far as the shorter list goes.
fn same_affixes(one: &Known, other: &Known, allow_none: bool) -> bool {
    let same = |left: &[Text], right: &[Text]| {
        if left.is_empty() || right.is_empty() {
            return allow_none || left.len() == right.len();
        }
        left.iter().rev().zip(right.iter().rev()).all(|(left, right)| left == right)
    };
    same(&one.prefixes, &other.prefixes) && same(&one.suffixes, &other.suffixes)
}
