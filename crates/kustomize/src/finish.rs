//! The last steps of a build, object by object: hash, references, order, and the notes taken away.
//!
//! What a [`Memo`](crate::Memo) keeps of them lets the next build redo them for those objects only that
//! changed, or that refer to one whose name or namespace did.
//!
//! Source of behaviour: kustomize `api/krusty/kustomizer.go`, `api/internal/target/kusttarget.go`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use borax_yaml::Text;
use serde_json::Value;

use crate::accumulate::{Accumulator, Target};
use crate::arena::Page;
use crate::build::Build;
use crate::built::{self, Built};
use crate::config::Config;
use crate::diag::{Result, fail};
use crate::fieldspec::FieldSpec;
use crate::id::ResId;
use crate::nameref::{self, Fields, Index, Known, Lookups};
use crate::objects::Object;
use crate::options::Order;
use crate::resmap::ResMap;
use crate::resource::{self, BUILD_ANNOTATIONS, ORIGIN, Resource, TRANSFORMATIONS};
use crate::transform::sort::{self, SortOptions};
use crate::transform::{hash, metadata};
use crate::tree::{NodeId, Tree};
use crate::vars;

const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// What the root kustomization and the options say of the last steps.
#[derive(Clone, Debug, Default, PartialEq)]
struct Style {
    sort: Option<SortOptions>,
    metadata: Vec<String>,
}

impl Style {
    fn wants(&self, option: &str) -> bool {
        self.metadata.iter().any(|have| have == option)
    }
}

/// An object and what came of it.
#[derive(Debug)]
struct Slot {
    /// Its node before the last steps.
    node: NodeId,
    /// The pages that its cells were on then.
    pages: Vec<u32>,
    lookups: Lookups,
    /// `None` for an object that is for local use only.
    object: Option<Object>,
    /// The object's value is still to be made.
    pending: bool,
}

/// Finished objects, and what is needed to finish the next build from them.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    style: Style,
    config: Option<Arc<Config>>,
    index: Index,
    slots: Vec<Slot>,
    by_node: HashMap<NodeId, usize>,
    /// All pages as they were before the last steps.
    pages: Vec<Page>,
    /// The slots of the objects, in the order of gathering and of the output.
    gathered: Vec<usize>,
    order: Vec<usize>,
    reusable: bool,
}

impl Finished {
    /// Makes the values that are not there yet, and gives all objects in order.
    pub(crate) fn objects(&mut self, tree: &Tree) -> Result<Vec<Object>> {
        let mut objects = Vec::with_capacity(self.order.len());
        for slot in &self.order {
            let Slot { node, object, pending, .. } = &mut self.slots[*slot];
            let Some(object) = object else { continue };
            if std::mem::take(pending) {
                object.value = built::value(tree, *node, object.file.as_ref())?;
            }
            objects.push(object.clone());
        }
        Ok(objects)
    }

    /// The objects of a build without a memory, of which none has a value yet.
    pub(crate) fn into_built(self, tree: Tree, warnings: Vec<String>) -> Result<Built> {
        let Finished { slots, order, .. } = self;
        let list = order.into_iter().filter_map(|slot| {
            let Slot { node, object: Some(Object { file, .. }), .. } = &slots[slot] else {
                return None;
            };
            Some((*node, file.clone()))
        });
        Built::new(tree, list.collect(), warnings)
    }
}

/// Takes the last steps, as far as `before` doesn't hold what comes of them.
pub(crate) fn finish(
    build: &mut Build<'_>,
    target: &Target<'_>,
    gathered: Accumulator,
    before: Option<Finished>,
) -> Result<Finished> {
    let Accumulator { mut map, config, vars } = gathered;
    let k = &target.kustomization;
    let style = Style { sort: k.sort_options.clone(), metadata: k.build_metadata.clone() };
    let config = config.get().cloned();
    let fits = |before: &Finished| {
        before.reusable && vars.is_empty() && before.style == style && before.config == config
    };
    let mut done = before.filter(fits).unwrap_or_default();
    // What follows keeps an index of its own.
    map.forget_index();
    done.style = style;
    let remember = build.memo.is_some();
    let resources: Vec<(NodeId, Resource)> = map
        .resources()
        .iter()
        .filter_map(|resource| Some((resource.node?, resource.clone())))
        .collect();
    let reused = done.place(&build.tree, &resources);
    done.config = config;
    done.pages = if remember { build.tree.cells.pages().to_vec() } else { Vec::new() };
    let redo = done.redo(build, &resources, &reused, remember)?;
    done.reusable = vars.is_empty();
    done.refer(build, &resources, &redo)?;
    if let Some(config) = &done.config {
        vars::resolve(build, &mut map, &vars, config)?;
    }
    done.check(build, &resources, &redo)?;
    if build.options.managed_by_label || done.style.wants("managedByLabel") {
        done.label(build, &resources, &redo)?;
    }
    let keep = (done.style.wants("originAnnotations"), done.style.wants("transformerAnnotations"));
    let same_order = done.reusable && redo.same_places && done.lists_the_same(&redo);
    let ids =
        if same_order { Vec::new() } else { done.final_ids(build, &resources, !vars.is_empty()) };
    if !remember {
        // All that names refer to is known now; what is left needs the room.
        done.index = Index::default();
    }
    for at in &redo.places {
        let node = &resources[*at].0;
        let slot = &done.slots[done.gathered[*at]];
        if slot.object.is_some() {
            clean(&mut build.tree, *node, keep.0, keep.1)?;
        }
    }
    if same_order {
        done.warn_of_order(build);
    } else {
        done.sort(build, &ids)?;
    }
    Ok(done)
}

/// What is to be done again.
struct Redo {
    /// Places in the gathered list.
    places: Vec<usize>,
    /// Whether all objects stand where they stood, under the identities they had.
    same_places: bool,
}

impl Finished {
    /// For each object the slot of its unchanged self, if there is one.
    fn place(&self, tree: &Tree, resources: &[(NodeId, Resource)]) -> Vec<Option<usize>> {
        let same = |page: &u32| {
            let now = tree.cells.pages().get(*page as usize);
            now.zip(self.pages.get(*page as usize)).is_some_and(|(a, b)| Arc::ptr_eq(a, b))
        };
        let find = |(node, resource): &(NodeId, Resource)| {
            let slot = *self.by_node.get(node)?;
            let object = self.slots[slot].object.as_ref();
            let same_file = object.is_none_or(|object| object.file == resource.file);
            (same_file && self.slots[slot].pages.iter().all(same)).then_some(slot)
        };
        resources.iter().map(find).collect()
    }

    /// Gives every object its slot, hashes those that are new or changed, and finds those that may
    /// refer to one of them.
    fn redo(
        &mut self,
        build: &mut Build<'_>,
        resources: &[(NodeId, Resource)],
        reused: &[Option<usize>],
        remember: bool,
    ) -> Result<Redo> {
        let kept: HashSet<usize> = reused.iter().flatten().copied().collect();
        let none_renamed = self.index.none_renamed();
        let mut free: Vec<usize> =
            (0..self.slots.len()).filter(|slot| !kept.contains(slot)).collect();
        let gone: Vec<Known> = free.iter().filter_map(|slot| self.index.take(*slot)).collect();
        for slot in &free {
            self.by_node.remove(&self.slots[*slot].node);
        }
        free.reverse();
        let mut places = Vec::new();
        let mut gathered = Vec::with_capacity(resources.len());
        self.slots.reserve_exact(resources.len().saturating_sub(self.slots.len()));
        self.index.reserve(resources.len());
        for (at, (node, _)) in resources.iter().enumerate() {
            if let Some(slot) = reused[at] {
                gathered.push(slot);
                continue;
            }
            let pages = if remember { pages_of(&build.tree, *node) } else { Vec::new() };
            hash::add(&mut build.tree, &build.schema, *node)?;
            let slot = free.pop().unwrap_or(self.slots.len());
            let lookups = Lookups::default();
            let new = Slot { node: *node, pages, lookups, object: None, pending: false };
            if slot == self.slots.len() {
                self.slots.push(new);
            } else {
                self.slots[slot] = new;
            }
            self.index.put(slot, Known::new(build, *node));
            if remember {
                self.by_node.insert(*node, slot);
            }
            places.push(at);
            gathered.push(slot);
        }
        // Slots that nobody took stay empty, and are nobody's.
        for slot in free {
            self.slots[slot].object = None;
        }
        let new: Vec<usize> = places.iter().map(|at| gathered[*at]).collect();
        let (names, namespaces, same_ids) = self.differences(gone, &new);
        let all = none_renamed != self.index.none_renamed();
        if all || !names.is_empty() || !namespaces.is_empty() {
            for (at, slot) in gathered.iter().enumerate() {
                let Some(slot) = reused[at].map(|_| *slot) else { continue };
                let lookups = &self.slots[slot].lookups;
                let concerned = lookups.names.iter().any(|name| names.contains(name))
                    || lookups.namespaces.iter().any(|space| namespaces.contains(space));
                if all || concerned {
                    hash::add(&mut build.tree, &build.schema, resources[at].0)?;
                    places.push(at);
                }
            }
            places.sort_unstable();
        }
        let same_places = same_ids && self.gathered == gathered;
        self.gathered = gathered;
        Ok(Redo { places, same_places })
    }

    /// The names and namespaces by which references can tell the new objects from those that are gone,
    /// and whether the new ones took the others' slots and identities.
    fn differences(&self, gone: Vec<Known>, new: &[usize]) -> (HashSet<Text>, HashSet<Text>, bool) {
        let (mut names, mut namespaces) = (HashSet::new(), HashSet::new());
        let same_ids = gone.len() == new.len()
            && gone.iter().zip(new).all(|(gone, slot)| gone == self.index.at(*slot));
        if same_ids {
            return (names, namespaces, true);
        }
        let mut note = |known: &Known| {
            names.extend(known.former_names().cloned());
            namespaces.extend(known.namespaces());
        };
        gone.iter().for_each(&mut note);
        new.iter().for_each(|slot| note(self.index.at(*slot)));
        (names, namespaces, false)
    }

    /// Makes references follow.
    fn refer(
        &mut self,
        build: &mut Build<'_>,
        resources: &[(NodeId, Resource)],
        redo: &Redo,
    ) -> Result<()> {
        let Some(config) = self.config.clone() else { return Ok(()) };
        let fields = Fields::new(&config);
        for at in &redo.places {
            let slot = self.gathered[*at];
            let found = nameref::follow(build, &mut self.index, &fields, resources[*at].0, slot)?;
            self.reusable &= !found.renames_itself;
            if build.memo.is_some() {
                self.slots[slot].lookups = found;
            }
        }
        Ok(())
    }

    /// Tells objects for local use from others, and refuses what has no kind or name.
    fn check(
        &mut self,
        build: &Build<'_>,
        resources: &[(NodeId, Resource)],
        redo: &Redo,
    ) -> Result<()> {
        let tree = &build.tree;
        // Its value comes at the end; until then all share one.
        let value: Arc<Value> = Arc::default();
        for at in &redo.places {
            let (node, resource) = &resources[*at];
            let local = resource::annotation(tree, *node, LOCAL_CONFIG);
            let slot = self.gathered[*at];
            if local.is_some_and(|value| value != "false") {
                self.slots[slot].object = None;
                continue;
            }
            let (kind, name) = (resource::kind(tree, *node), resource::name(tree, *node));
            if kind.is_empty() {
                return fail(format!("missing kind in object {name}"));
            }
            if name.is_empty() && !kind.ends_with("List") {
                return fail(format!("missing metadata.name in object {kind}"));
            }
            let (value, file) = (Arc::clone(&value), resource.file.clone());
            self.slots[slot].object = Some(Object { value, file });
            self.slots[slot].pending = true;
        }
        Ok(())
    }

    fn label(
        &self,
        build: &mut Build<'_>,
        resources: &[(NodeId, Resource)],
        redo: &Redo,
    ) -> Result<()> {
        let label = [(MANAGED_BY.to_owned(), build.options.managed_by.clone())].into();
        let specs = [FieldSpec::new("metadata/labels", true)];
        let mut map = ResMap::default();
        let chosen =
            redo.places.iter().filter(|at| self.slots[self.gathered[**at]].object.is_some());
        map.resources_mut().extend(chosen.map(|at| Resource::new(resources[*at].0)));
        metadata::set_pairs(&mut build.tree, &mut map, &label, &specs)
    }

    /// The identities of all objects that are put out.
    fn final_ids(
        &self,
        build: &Build<'_>,
        resources: &[(NodeId, Resource)],
        read: bool,
    ) -> Vec<(usize, ResId)> {
        let mut ids = Vec::with_capacity(resources.len());
        for ((node, _), slot) in resources.iter().zip(&self.gathered) {
            if self.slots[*slot].object.is_none() {
                continue;
            }
            let id = match read {
                true => resource::current_id(&build.tree, &build.schema, *node),
                false => self.index.at(*slot).ids.current.clone(),
            };
            ids.push((*slot, id));
        }
        ids
    }

    /// Whether the last order lists what was done again just if it is put out.
    fn lists_the_same(&self, redo: &Redo) -> bool {
        let listed: HashSet<usize> = self.order.iter().copied().collect();
        let mut slots = redo.places.iter().map(|at| self.gathered[*at]);
        slots.all(|slot| self.slots[slot].object.is_some() == listed.contains(&slot))
    }

    fn sort(&mut self, build: &mut Build<'_>, ids: &[(usize, ResId)]) -> Result<()> {
        self.warn_of_order(build);
        let only_ids: Vec<&ResId> = ids.iter().map(|(_, id)| id).collect();
        let order = match (&self.style.sort, build.options.order) {
            (Some(options), _) => options.order(&only_ids)?,
            (None, Order::Unspecified | Order::Legacy) => sort::legacy(&only_ids),
            (None, Order::None) => (0..ids.len()).collect(),
        };
        self.order = order.into_iter().map(|at| ids[at].0).collect();
        Ok(())
    }

    fn warn_of_order(&self, build: &mut Build<'_>) {
        if self.style.sort.is_some() && build.options.order != Order::Unspecified {
            build.warn(
                "the order is set both in 'sortOptions' and by an option; 'sortOptions' wins"
                    .into(),
            );
        }
    }
}

/// The pages that an object's cells are on.
fn pages_of(tree: &Tree, node: NodeId) -> Vec<u32> {
    let mut pages = BTreeSet::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        pages.insert(node.page());
        open.extend_from_slice(tree.content(node));
    }
    pages.into_iter().collect()
}

/// Takes the notes of the build away.
fn clean(tree: &mut Tree, node: NodeId, keep_origin: bool, keep_changes: bool) -> Result<()> {
    let mut annotations = resource::annotations(tree, node);
    if annotations.is_empty() && keep_origin && keep_changes {
        return Ok(());
    }
    annotations.retain(|key, _| {
        !BUILD_ANNOTATIONS.contains(&key.as_str())
            && (keep_origin || key != ORIGIN)
            && (keep_changes || key != TRANSFORMATIONS)
    });
    resource::set_annotations(tree, node, &annotations)
}
