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
use crate::resmap::ResMap;
use crate::resource::{self, Ids, PREFIXES, SUFFIXES};
use crate::tree::{Kind, NodeId, Tree};

/// What is known of an object while references are followed.
struct Known {
    node: NodeId,
    ids: Ids,
    name: Text,
    namespace: Text,
    kind: Text,
    prefixes: Vec<Text>,
    suffixes: Vec<Text>,
}

struct Index {
    known: Vec<Known>,
    by_former_name: HashMap<Text, Vec<usize>>,
    by_first_namespace: HashMap<Text, Vec<usize>>,
    by_namespace: HashMap<Text, Vec<usize>>,
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

/// Makes all references follow.
pub(crate) fn transform(build: &mut Build<'_>, map: &mut ResMap, config: &Config) -> Result<()> {
    let mut index = Index::new(build, map);
    let none_renamed = index.by_former_name.is_empty();
    // Fields by the kind that has them; those of any kind under the empty one.
    let mut fields: HashMap<&str, Vec<(usize, &Gvk, Field<'_>)>> = HashMap::new();
    let mut order = 0;
    for reference in &config.name_references {
        for spec in &reference.referrers {
            let path = split_path(&spec.path, '/');
            let field = Field { path, text: &spec.path, target: &reference.target };
            fields.entry(&spec.gvk.kind).or_default().push((order, &spec.gvk, field));
            order += 1;
        }
    }
    for referrer in 0..index.known.len() {
        let original = index.known[referrer].ids.original().gvk.clone();
        let of_kind = fields.get(original.kind.as_str()).into_iter().flatten();
        let of_any = if original.kind.is_empty() { None } else { fields.get("") };
        let mut chosen: Vec<_> = of_kind
            .chain(of_any.into_iter().flatten())
            .filter(|(_, gvk, _)| original.is_selected(gvk))
            .collect();
        chosen.sort_by_key(|(order, ..)| *order);
        if chosen.is_empty() {
            continue;
        }
        let node = index.known[referrer].node;
        let subject_namespaces = subject_namespaces(&build.tree, &index.known[referrer])?;
        if none_renamed {
            continue;
        }
        for (_, _, field) in chosen {
            let role = field.text.ends_with("roleRef/name").then(|| role_ref(&build.tree, node));
            let search = Search {
                index: &index,
                referrer,
                target: field.target,
                role: role.flatten(),
                subject_namespaces: &subject_namespaces,
            };
            let done =
                fieldspec::descend(&mut build.tree, node, &field.path, None, &mut |tree, at| {
                    search.set(tree, at)
                });
            done.map_err(|e| {
                let id = &index.known[referrer].ids.current;
                e.during(format!("updating name reference in '{}' field of '{id}'", field.text))
            })?;
            if field.path.first().is_some_and(|first| first == "metadata") {
                // The referrer's own name may have been the reference.
                index.known[referrer] = Known::new(build, node);
            }
        }
    }
    map.forget_index();
    Ok(())
}

impl Known {
    fn new(build: &Build<'_>, node: NodeId) -> Known {
        let tree = &build.tree;
        let ids = resource::ids(tree, &build.schema, node);
        Known {
            node,
            name: ids.current.name.clone(),
            namespace: ids.current.namespace.clone(),
            kind: ids.current.gvk.kind.clone(),
            prefixes: resource::note_list(tree, node, PREFIXES),
            suffixes: resource::note_list(tree, node, SUFFIXES),
            ids,
        }
    }
}

impl Index {
    fn new(build: &Build<'_>, map: &ResMap) -> Index {
        let tree = &build.tree;
        let mut index = Index {
            known: Vec::new(),
            by_former_name: HashMap::new(),
            by_first_namespace: HashMap::new(),
            by_namespace: HashMap::new(),
        };
        for (at, node) in map.nodes().into_iter().enumerate() {
            let ids = resource::ids(tree, &build.schema, node);
            for id in &ids.previous {
                let places = index.by_former_name.entry(id.name.clone()).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
            }
            let first = Text::from(ids.original().effective_namespace());
            let current = Text::from(ids.current.effective_namespace());
            index.by_first_namespace.entry(first).or_default().push(at);
            index.by_namespace.entry(current).or_default().push(at);
            index.known.push(Known::new(build, node));
        }
        index
    }
}

/// The namespaces of service accounts among a role binding's subjects.
fn subject_namespaces(tree: &Tree, referrer: &Known) -> Result<HashSet<Text>> {
    let mut namespaces = HashSet::new();
    if referrer.kind != "RoleBinding" {
        return Ok(namespaces);
    }
    let Some(subjects) = tree.field(referrer.node, "subjects") else { return Ok(namespaces) };
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
    fn set(&self, tree: &mut Tree, at: NodeId) -> Result<()> {
        if tree.is_null(at) {
            return Ok(());
        }
        match tree.kind(at) {
            Kind::Scalar => self.set_scalar(tree, at),
            Kind::Mapping => self.set_mapping(tree, at),
            Kind::Sequence => {
                for item in tree.content(at).to_vec() {
                    if tree.is_null(item) {
                        continue;
                    }
                    match tree.kind(item) {
                        Kind::Scalar => self.set_scalar(tree, item)?,
                        Kind::Mapping => self.set_mapping(tree, item)?,
                        Kind::Sequence => {
                            return fail("a list item is expected to be a string or a map");
                        }
                    }
                }
                Ok(())
            }
        }
    }

    fn set_scalar(&self, tree: &mut Tree, at: NodeId) -> Result<()> {
        let old = tree.text(at).clone();
        let candidates = self.index.by_former_name.get(&old);
        let candidates = candidates.into_iter().flatten().copied().collect();
        let Some(found) = self.select(&old, candidates, false)? else { return Ok(()) };
        let name = &self.index.known[found].name;
        if *name == old {
            return Ok(());
        }
        let value = tree.scalar(name.clone());
        tree.set_scalar(at, value)
    }

    /// A map that names both the object and, maybe, its namespace.
    fn set_mapping(&self, tree: &mut Tree, at: NodeId) -> Result<()> {
        let Some(name) = tree.field(at, "name") else {
            return fail("path config error; no 'name' field in node");
        };
        let old = tree.text(name).clone();
        let mut candidates: Vec<usize> =
            self.index.by_former_name.get(&old).into_iter().flatten().copied().collect();
        if let Some(namespace) = tree.field(at, "namespace") {
            let namespace = tree.text(namespace).clone();
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
        let found = &self.index.known[found];
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
        let referrer = &self.index.known[self.referrer].ids.current;
        let other = &self.index.known[at];
        referrer.cluster_scoped
            || other.ids.current.cluster_scoped
            || other.ids.current.same_namespace(referrer)
            || self.subject_namespaces.contains(&other.namespace)
    }

    fn select(
        &self,
        old: &str,
        mut candidates: Vec<usize>,
        with_namespace: bool,
    ) -> Result<Option<usize>> {
        let known = &self.index.known;
        let referrer = &known[self.referrer];
        candidates.retain(|at| {
            let previous = &known[*at].ids.previous;
            let was = |target: &Gvk| previous.iter().any(|id| id.gvk.is_selected(target));
            let current = &known[*at].ids.current;
            self.may_see(*at)
                && previous.iter().any(|id| id.name == old)
                && was(self.target)
                && self.role.as_ref().is_none_or(was)
                && (referrer.ids.current.cluster_scoped
                    || current.cluster_scoped
                    || known[*at].kind == "ServiceAccount"
                    || current.same_namespace(&referrer.ids.current))
        });
        if candidates.len() == 1 {
            return Ok(Some(candidates[0]));
        }
        candidates.retain(|at| same_affixes(&known[*at], referrer, true));
        if candidates.len() > 1 {
            candidates.retain(|at| same_affixes(&known[*at], referrer, false));
        }
        let Some(first) = candidates.first().copied() else { return Ok(None) };
        let same = |at: &usize| {
            known[*at].name == known[first].name
                && (!with_namespace || known[*at].namespace == known[first].namespace)
        };
        if candidates.iter().all(same) {
            return Ok(Some(first));
        }
        let ids: Vec<String> =
            candidates.iter().map(|at| known[*at].ids.current.to_string()).collect();
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
