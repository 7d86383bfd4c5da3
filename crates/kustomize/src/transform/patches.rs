//! Patches: strategic merges and JSON patches, onto objects chosen by identity or by selector.
//!
//! Source of behaviour: kustomize `api/internal/builtins/PatchTransformer.go`,
//! `PatchStrategicMergeTransformer.go`, `PatchJson6902Transformer.go`.

use std::collections::HashSet;

use crate::build::Build;
use crate::diag::{Diagnostics, Result, fail};
use crate::documents;
use crate::loader::Loader;
use crate::merge::{self, Growth};
use crate::resmap::ResMap;
use crate::resource::{self, ALLOW_KIND_CHANGE, ALLOW_NAME_CHANGE, ENABLED, INTERNAL};
use crate::selector::Selector;
use crate::transform::json_patch::JsonPatch;
use crate::tree::NodeId;

/// One entry of `patches`.
#[derive(Clone, Debug, Default)]
pub(crate) struct PatchEntry {
    pub(crate) path: String,
    pub(crate) patch: String,
    pub(crate) target: Option<Selector>,
    pub(crate) allow_name_change: bool,
    pub(crate) allow_kind_change: bool,
}

/// A patch that was read.
#[derive(Debug)]
pub(crate) struct Patch {
    content: Content,
    target: Option<Selector>,
    /// How it is called in messages.
    source: String,
    file: Option<String>,
    /// The older field keeps no note of the identity that a JSON patch may change.
    keeps_ids: bool,
}

#[derive(Debug)]
enum Content {
    Merge(Vec<NodeId>),
    Json(JsonPatch),
}

impl Patch {
    /// Reads an entry of `patches`.
    pub(crate) fn load(
        build: &mut Build<'_>,
        loader: &Loader<'_>,
        entry: &PatchEntry,
    ) -> Result<Patch> {
        let inline = entry.patch.trim();
        let (text, source, file) = match (inline.is_empty(), entry.path.is_empty()) {
            (true, true) => return fail("patches: must specify one of patch and path"),
            (false, false) => {
                return fail(format!(
                    "patches: patch and path can't be set at the same time (path {})",
                    entry.path
                ));
            }
            (false, true) => (inline.as_bytes().into(), "the inline patch".to_owned(), None),
            (true, false) => {
                let text = loader.load(build, &entry.path).map_err(|e| {
                    e.during(format!("failed to get the patch file from path({})", entry.path))
                })?;
                (text, format!("the patch {}", entry.path), Some(loader.join(&entry.path)))
            }
        };
        let located = |found: Diagnostics| match &file {
            Some(file) => found.at(file),
            None => found,
        };
        let merges = documents::read(&mut build.tree, &text);
        let json = if merges.as_ref().is_ok_and(|nodes| !nodes.is_empty()) {
            Ok(None)
        } else {
            parse_json_patch(&text).map(Some)
        };
        let content = match (merges, json) {
            (Ok(nodes), _) => {
                for node in &nodes {
                    for (allowed, key) in [
                        (entry.allow_name_change, ALLOW_NAME_CHANGE),
                        (entry.allow_kind_change, ALLOW_KIND_CHANGE),
                    ] {
                        if allowed {
                            let mut annotations = resource::annotations(&build.tree, *node);
                            annotations.insert(key.into(), ENABLED.into());
                            resource::set_annotations(&mut build.tree, *node, &annotations)?;
                        }
                    }
                }
                Content::Merge(nodes)
            }
            (Err(_), Ok(Some(json))) => Content::Json(json),
            (Err(no_merge), Err(no_json)) => {
                // Tell of the form that the text seems to want to be.
                let looks_like_json = text.trim_ascii_start().starts_with(b"[")
                    || text.trim_ascii_start().starts_with(b"- ");
                let reason = if looks_like_json { no_json } else { no_merge };
                return Err(located(
                    reason.during(format!("unable to parse SM or JSON patch from {source}")),
                ));
            }
            (Err(found), Ok(None)) => return Err(located(found)),
        };
        Ok(Patch { content, target: entry.target.clone(), source, file, keeps_ids: true })
    }

    /// Reads an entry of `patchesJson6902`.
    pub(crate) fn load_json6902(
        build: &mut Build<'_>,
        loader: &Loader<'_>,
        entry: &PatchEntry,
    ) -> Result<Patch> {
        if entry.target.as_ref().is_none_or(|target| target.name.is_empty()) {
            return fail("patchesJson6902: must specify the target name");
        }
        let text: Vec<u8> = match (entry.path.is_empty(), entry.patch.is_empty()) {
            (true, true) => return fail("patchesJson6902: empty file path and empty jsonOp"),
            (false, false) => {
                return fail("patchesJson6902: must specify a file path or jsonOp, not both");
            }
            (true, false) => entry.patch.as_bytes().to_vec(),
            (false, true) => loader.load(build, &entry.path)?.to_vec(),
        };
        let file = (!entry.path.is_empty()).then(|| loader.join(&entry.path));
        let source = match &file {
            Some(_) => format!("the patch {}", entry.path),
            None => "the inline patch".to_owned(),
        };
        let json = parse_json_patch(&text).map_err(|e| match &file {
            Some(file) => e.at(file),
            None => e,
        })?;
        if json.is_empty() {
            return fail(format!("patchesJson6902: {source} appears to be empty"));
        }
        let target = entry.target.clone();
        Ok(Patch { content: Content::Json(json), target, source, file, keeps_ids: false })
    }

    /// Reads the entries of `patchesStrategicMerge`: texts or paths.
    pub(crate) fn load_merges(
        build: &mut Build<'_>,
        loader: &Loader<'_>,
        entries: &[String],
    ) -> Result<Vec<NodeId>> {
        let mut nodes = Vec::new();
        for entry in entries {
            // A path is a scalar to YAML, and so no object.
            match documents::read(&mut build.tree, entry.as_bytes()) {
                Ok(inline) => nodes.extend(inline),
                Err(no_text) => {
                    let text = match loader.load(build, entry) {
                        Ok(text) => text,
                        Err(_) if entry.contains('\n') => {
                            return Err(no_text.during("patchesStrategicMerge"));
                        }
                        Err(found) => return Err(found.during("patchesStrategicMerge")),
                    };
                    let file = loader.join(entry);
                    nodes.extend(documents::read(&mut build.tree, &text).map_err(|e| e.at(&file))?);
                }
            }
        }
        if nodes.is_empty() && !entries.is_empty() {
            return fail("patchesStrategicMerge: the patches appear to be empty");
        }
        Ok(nodes)
    }

    /// Applies the patch to what it is for.
    pub(crate) fn transform(&self, build: &mut Build<'_>, map: &mut ResMap) -> Result<()> {
        let done = match (&self.content, &self.target) {
            (Content::Merge(patches), Some(target)) => {
                self.merge_selected(build, map, patches, target)
            }
            (Content::Merge(patches), None) => merge_by_id(build, map, patches),
            (Content::Json(patch), Some(target)) => self.apply_json(build, map, patch, target),
            (Content::Json(_), None) => {
                fail(format!("must specify a target for JSON patch ({})", self.source))
            }
        };
        done.map_err(|e| match &self.file {
            Some(file) => e.at(file),
            None => e,
        })
    }

    fn merge_selected(
        &self,
        build: &mut Build<'_>,
        map: &mut ResMap,
        patches: &[NodeId],
        target: &Selector,
    ) -> Result<()> {
        let patch = match patches {
            [patch] => *patch,
            [] => return Ok(()),
            _ => {
                return fail(format!(
                    "Multiple Strategic-Merge Patches in one `patches` entry is not allowed to set \
                     `patches.target` field: {}",
                    self.source
                ));
            }
        };
        let matcher = target.matcher()?;
        let selected = map.select(&build.tree, &build.schema, &matcher);
        merge_into(build, map, &selected, patch)
    }

    fn apply_json(
        &self,
        build: &mut Build<'_>,
        map: &mut ResMap,
        patch: &JsonPatch,
        target: &Selector,
    ) -> Result<()> {
        let matcher = target.matcher()?;
        for at in map.select(&build.tree, &build.schema, &matcher) {
            let Some(object) = map.resources()[at].node else { continue };
            let tree = &mut build.tree;
            if self.keeps_ids {
                resource::store_previous_id(tree, &build.schema, object)?;
            }
            let notes: Vec<_> = resource::annotations(tree, object)
                .into_iter()
                .filter(|(key, _)| is_internal(key))
                .collect();
            let name = resource::name(tree, object);
            let kind = resource::kind(tree, object);
            let patched = patch
                .apply(tree, object)
                .map_err(|e| e.during(format!("applying {} to {kind} {name}", self.source)))?;
            let mut annotations = resource::annotations(tree, patched);
            annotations.extend(notes);
            resource::set_annotations(tree, patched, &annotations)?;
            map.resources_mut()[at].node = Some(patched);
        }
        Ok(())
    }
}

fn is_internal(key: &str) -> bool {
    key.starts_with(INTERNAL)
        || ["config.kubernetes.io/path", "config.kubernetes.io/index", "config.k8s.io/id"]
            .contains(&key)
}

/// A JSON patch from JSON, or from YAML.
fn parse_json_patch(text: &[u8]) -> Result<JsonPatch> {
    if text.is_empty() {
        return fail("empty json patch operations");
    }
    let value = if text.starts_with(b"[") {
        serde_json::from_slice(text)
            .map_err(|error| Diagnostics::new(format!("no JSON patch: {error}")))?
    } else {
        documents::yaml_to_json(text)?
    };
    JsonPatch::parse(value)
}

/// Merges each patch into the object that it names.
pub(crate) fn merge_by_id(
    build: &mut Build<'_>,
    map: &mut ResMap,
    patches: &[NodeId],
) -> Result<()> {
    for patch in patches {
        let at = find_target(build, map, *patch)?;
        merge_one(build, map, at, *patch)?;
    }
    Ok(())
}

/// As [`merge_by_id`], the way `patchesStrategicMerge` does it: a copy is merged.
pub(crate) fn merge_copies_by_id(
    build: &mut Build<'_>,
    map: &mut ResMap,
    patches: &[NodeId],
) -> Result<()> {
    for patch in patches {
        let at = find_target(build, map, *patch)?;
        merge_into(build, map, &[at], *patch)?;
    }
    Ok(())
}

fn find_target(build: &mut Build<'_>, map: &mut ResMap, patch: NodeId) -> Result<usize> {
    let id = resource::ids(&build.tree, &build.schema, patch).original().clone();
    map.the_one(&build.tree, &build.schema, &id)
        .map_err(|e| e.during(format!("no resource matches strategic merge patch {id}")))
}

/// Merges copies of a patch into the objects, and sees that identities stay unique.
fn merge_into(
    build: &mut Build<'_>,
    map: &mut ResMap,
    places: &[usize],
    patch: NodeId,
) -> Result<()> {
    for at in places {
        let Some(object) = map.resources()[*at].node else { continue };
        let tree = &mut build.tree;
        let copy = tree.copy(patch);
        resource::take_metadata(tree, copy, patch)?;
        let api_version = resource::gvk(tree, object).api_version();
        let kind = resource::kind(tree, patch);
        resource::set_api_version(tree, copy, &api_version)?;
        resource::set_kind(tree, copy, &kind)?;
        merge_one(build, map, *at, copy)?;
    }
    map.drop_empties(&build.tree);
    let mut seen = HashSet::new();
    for ids in map.ids(&build.tree, &build.schema) {
        if !seen.insert(ids.current.key()) {
            return fail(format!(
                "may not add resource with an already registered id: {}",
                ids.current
            ));
        }
    }
    Ok(())
}

/// Merges a patch into one object. Kind and name stay, unless the patch may change them.
fn merge_one(build: &mut Build<'_>, map: &mut ResMap, at: usize, patch: NodeId) -> Result<()> {
    let Some(object) = map.resources()[at].node else { return Ok(()) };
    let tree = &mut build.tree;
    let before = resource::current_id(tree, &build.schema, object);
    let may = |tree: &crate::tree::Tree, key: &str| {
        resource::annotation(tree, patch, key).is_some_and(|value| value == ENABLED)
    };
    let may_rename = may(tree, ALLOW_NAME_CHANGE);
    let may_change_kind = may(tree, ALLOW_KIND_CHANGE);
    if may_rename || may_change_kind {
        resource::store_previous_id(tree, &build.schema, object)?;
    }
    let left = merge::merge(tree, &build.schema, object, patch, Growth::Prepend)
        .map_err(|e| e.during(format!("merging a patch into {before}")))?;
    if left.is_none() || tree.is_empty(object) {
        map.resources_mut()[at].node = left.map(|_| object);
        return Ok(());
    }
    if !may_change_kind {
        resource::set_kind(tree, object, &before.gvk.kind)?;
    }
    if !may_rename {
        resource::set_name(tree, object, &before.name)?;
    }
    resource::set_namespace(tree, object, &before.namespace)?;
    let after = resource::current_id(tree, &build.schema, object);
    if may_rename || may_change_kind || after != before {
        map.forget_index();
    }
    Ok(())
}
