//! The objects of a build in order, found by identity.
//!
//! Source of behaviour: kustomize `api/resmap/reswrangler.go`. The index replaces its scans, so that
//! cost grows with the number of objects and not with its square.

use crate::diag::{Diagnostics, Result, fail};
use crate::id::ResId;
use crate::places::Places;
use crate::resource::{self, Ids, Resource};
use crate::schema::Schema;
use crate::selector::Matcher;
use crate::tree::{NodeId, Tree};

/// Objects in order.
#[derive(Debug, Default)]
pub(crate) struct ResMap {
    list: Vec<Resource>,
    index: Option<Index>,
}

impl Clone for ResMap {
    /// Without the index, which is soon made anew.
    fn clone(&self) -> ResMap {
        ResMap { list: self.list.clone(), index: None }
    }
}

/// Identities, as they were when the index was made.
#[derive(Debug, Default)]
struct Index {
    ids: Vec<Ids>,
    by_id: Places,
    /// Made when it is asked for first.
    by_name: Option<Places>,
}

impl Index {
    fn add(&mut self, ids: Ids) {
        let at = self.ids.len() as u32;
        for id in ids.all() {
            self.by_id.add(id.key(), at);
        }
        if let Some(by_name) = &mut self.by_name {
            ids.all().for_each(|id| by_name.add(id.name.as_str(), at));
        }
        self.ids.push(ids);
    }

    /// Where the objects are that have, or had, this identity.
    fn with_id(&self, id: &ResId) -> Vec<usize> {
        let mut found = self.by_id.find(id.key());
        found.retain(|at| self.ids[*at].all().any(|own| own.key() == id.key()));
        found
    }

    /// Where the objects are that have, or had, this name.
    fn with_name(&mut self, name: &str) -> Vec<usize> {
        let by_name = self.by_name.get_or_insert_with(|| {
            let mut by_name = Places::default();
            for (at, ids) in self.ids.iter().enumerate() {
                ids.all().for_each(|id| by_name.add(id.name.as_str(), at as u32));
            }
            by_name
        });
        let mut found = by_name.find(name);
        found.retain(|at| self.ids[*at].all().any(|own| own.name == name));
        found
    }
}

impl ResMap {
    pub(crate) fn resources(&self) -> &[Resource] {
        &self.list
    }

    /// The resources to change; forgets the index.
    pub(crate) fn resources_mut(&mut self) -> &mut Vec<Resource> {
        self.index = None;
        &mut self.list
    }

    /// As [`ResMap::resources_mut`], for changes that touch no identity.
    pub(crate) fn resources_keeping_ids(&mut self) -> &mut [Resource] {
        &mut self.list
    }

    /// The nodes of the objects that were not deleted.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        self.list.iter().filter_map(|resource| resource.node).collect()
    }

    /// Says that identities may have changed.
    pub(crate) fn forget_index(&mut self) {
        self.index = None;
    }

    fn index(&mut self, tree: &Tree, schema: &Schema) -> &mut Index {
        self.index.get_or_insert_with(|| {
            let mut index = Index::default();
            for resource in &self.list {
                index.add(ids_of(tree, schema, resource));
            }
            index
        })
    }

    /// The identities of all resources, in their order.
    pub(crate) fn ids(&mut self, tree: &Tree, schema: &Schema) -> &[Ids] {
        &self.index(tree, schema).ids
    }

    /// Appends an object; its identity must be new.
    pub(crate) fn append(
        &mut self,
        tree: &Tree,
        schema: &Schema,
        resource: Resource,
    ) -> Result<()> {
        let ids = ids_of(tree, schema, &resource);
        let index = self.index(tree, schema);
        let id = &ids.current;
        let same = index.with_id(id);
        if same.iter().any(|at| index.ids[*at].current.key() == id.key()) {
            let mut found = Diagnostics::new(format!(
                "may not add resource with an already registered id: {id}"
            ));
            if let Some(file) = &resource.file {
                found = found.at(file);
            }
            let first = same.first().and_then(|at| self.list.get(*at)?.file.clone());
            if let Some(first) = first {
                found = found.hint(format!("the first one is in {first}"));
            }
            return Err(found);
        }
        index.add(ids);
        self.list.push(resource);
        Ok(())
    }

    pub(crate) fn append_all(&mut self, tree: &Tree, schema: &Schema, other: ResMap) -> Result<()> {
        other.list.into_iter().try_for_each(|resource| self.append(tree, schema, resource))
    }

    /// Where the objects are that have, or had, this identity.
    pub(crate) fn with_any_id(&mut self, tree: &Tree, schema: &Schema, id: &ResId) -> Vec<usize> {
        let mut places = self.index(tree, schema).with_id(id);
        places.retain(|at| self.list[*at].node.is_some_and(|node| !tree.is_empty(node)));
        places
    }

    /// Where the objects are that have, or had, this name.
    pub(crate) fn with_any_name(&mut self, tree: &Tree, schema: &Schema, name: &str) -> Vec<usize> {
        self.index(tree, schema).with_name(name)
    }

    /// The one object that has, or had, this identity.
    pub(crate) fn the_one(&mut self, tree: &Tree, schema: &Schema, id: &ResId) -> Result<usize> {
        let places = self.with_any_id(tree, schema, id);
        match places.as_slice() {
            [at] => Ok(*at),
            [] => {
                let found = Diagnostics::new(format!(
                    "no matches for Id {id}; failed to find unique target for patch {id}"
                ));
                Err(match self.near(tree, schema, id) {
                    Some(near) => found.hint(near),
                    None => found,
                })
            }
            _ => fail(format!(
                "multiple matches for Id {id}; failed to find unique target for patch {id}"
            )),
        }
    }

    /// What would have matched.
    fn near(&mut self, tree: &Tree, schema: &Schema, wanted: &ResId) -> Option<String> {
        let index = self.index(tree, schema);
        let describe = |ids: &Ids| ids.current.to_string();
        let same_name = index.with_name(&wanted.name).into_iter();
        let index = &*index;
        let same_kind =
            index.ids.iter().filter(|ids| ids.current.gvk.kind == wanted.gvk.kind).map(describe);
        let mut near: Vec<String> =
            same_name.map(|at| describe(&index.ids[at])).chain(same_kind).collect();
        near.dedup();
        near.truncate(5);
        (!near.is_empty()).then(|| format!("there is {}", near.join(", ")))
    }

    /// Where the selected objects are (`Select`): by their first or present name and namespace.
    pub(crate) fn select(&mut self, tree: &Tree, schema: &Schema, matcher: &Matcher) -> Vec<usize> {
        self.index(tree, schema);
        let ids = self.index.as_ref().map_or(&[][..], |index| &index.ids);
        let selected = |at: &usize| {
            let Some(node) = self.list[*at].node else { return false };
            let (current, original) = (&ids[*at].current, ids[*at].original());
            matcher.matches_gvk(&current.gvk)
                && (matcher.matches_name(&original.name) || matcher.matches_name(&current.name))
                && (matcher.matches_namespace(original.effective_namespace())
                    || matcher.matches_namespace(current.effective_namespace()))
                && (!matcher.wants_metadata()
                    || matcher.matches_metadata(
                        &resource::labels(tree, node),
                        &resource::annotations(tree, node),
                    ))
        };
        (0..self.list.len()).filter(selected).collect()
    }

    /// Drops the objects that were deleted or have become empty.
    pub(crate) fn drop_empties(&mut self, tree: &Tree) {
        let keep = |resource: &Resource| resource.node.is_some_and(|node| !tree.is_empty(node));
        if !self.list.iter().all(keep) {
            self.list.retain(keep);
            self.index = None;
        }
    }
}

fn ids_of(tree: &Tree, schema: &Schema, resource: &Resource) -> Ids {
    match resource.node {
        Some(node) => resource::ids(tree, schema, node),
        None => Ids { current: ResId::default(), previous: Vec::new() },
    }
}
