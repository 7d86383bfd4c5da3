//! Replacements: one field's value into other fields, whole or in part.
//!
//! Source of behaviour: kustomize `api/filters/replacement`, `api/types/replacement.go`.

use std::collections::{BTreeSet, HashMap};

use borax_yaml::Text;
use serde_json::Value;

use crate::build::Build;
use crate::decode::Object;
use crate::diag::{Diagnostics, Result, fail};
use crate::documents;
use crate::fieldspec::split_smart_path;
use crate::id::ResId;
use crate::loader::Loader;
use crate::resmap::ResMap;
use crate::resource;
use crate::scalar::{go_json, to_value};
use crate::selector::{Matcher, Selector};
use crate::transform::path_match;
use crate::tree::{Kind, NodeId, Tree};

/// An entry of `replacements`: one written out, or a file with some.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplacementEntry {
    path: String,
    replacement: Replacement,
}

/// What goes where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replacement {
    source: Option<Source>,
    source_value: Option<String>,
    targets: Option<Vec<Target>>,
}

#[derive(Clone, Debug, Default)]
struct Source {
    id: ResId,
    field_path: String,
    options: Option<FieldOptions>,
}

#[derive(Clone, Debug, Default)]
struct Target {
    select: Option<Selector>,
    reject: Vec<Selector>,
    field_paths: Vec<String>,
    options: Option<FieldOptions>,
}

#[derive(Clone, Debug, Default)]
struct FieldOptions {
    delimiter: String,
    index: i64,
    create: bool,
}

const DEFAULT_PATH: &str = "metadata.name";

impl FieldOptions {
    fn parse(mut o: Object) -> Result<FieldOptions> {
        let options = FieldOptions {
            delimiter: o.text("delimiter")?,
            index: o.int("index")?,
            create: o.flag("create")?,
        };
        o.text("encoding")?;
        o.done()?;
        Ok(options)
    }
}

impl ReplacementEntry {
    pub(crate) fn parse(mut o: Object) -> Result<ReplacementEntry> {
        let path = o.text("path")?;
        let replacement = Replacement::read(&mut o)?;
        o.done()?;
        Ok(ReplacementEntry { path, replacement })
    }

    /// The replacements that the entry stands for.
    pub(crate) fn load(
        &self,
        build: &mut Build<'_>,
        loader: &Loader<'_>,
    ) -> Result<Vec<Replacement>> {
        if self.path.is_empty() {
            return Ok(vec![self.replacement.clone()]);
        }
        if self.replacement.source.is_some() || self.replacement.targets.is_some() {
            return fail("replacements: cannot specify both path and inline replacement");
        }
        let text = loader.load(build, &self.path)?;
        let file = loader.join(&self.path);
        let read = || -> Result<Vec<Replacement>> {
            let values = match documents::yaml_to_json(&text)? {
                Value::Array(values) => values,
                value @ Value::Object(_) => vec![value],
                _ => return fail("a replacements file must hold a replacement or a list of them"),
            };
            let one = |value| {
                let mut o = Object::lenient("replacement", value)?;
                Replacement::read(&mut o)
            };
            values.into_iter().map(one).collect()
        };
        read().map_err(|e| e.at(&file))
    }
}

impl Replacement {
    fn read(o: &mut Object) -> Result<Replacement> {
        let source = match o.object("source")? {
            None => None,
            Some(mut source) => {
                let options = source.object("options")?.map(FieldOptions::parse).transpose()?;
                let field_path = source.text("fieldPath")?;
                Some(Source { id: Selector::parse(source)?.id(), field_path, options })
            }
        };
        let targets = match o.objects("targets")? {
            None => None,
            Some(targets) => Some(targets.into_iter().map(Target::parse).collect::<Result<_>>()?),
        };
        let source_value = match o.take("sourceValue") {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                return fail(format!("replacement.sourceValue must be a string, not {other}"));
            }
        };
        Ok(Replacement { source, source_value, targets })
    }
}

impl Target {
    fn parse(mut o: Object) -> Result<Target> {
        let target = Target {
            select: o.object("select")?.map(Selector::parse).transpose()?,
            reject: o
                .objects("reject")?
                .unwrap_or_default()
                .into_iter()
                .map(Selector::parse)
                .collect::<Result<_>>()?,
            field_paths: o.texts("fieldPaths")?,
            options: o.object("options")?.map(FieldOptions::parse).transpose()?,
        };
        o.done()?;
        Ok(target)
    }
}

/// Applies the replacements in order.
pub(crate) fn transform(
    build: &mut Build<'_>,
    map: &mut ResMap,
    replacements: &[Replacement],
) -> Result<()> {
    if replacements.is_empty() {
        return Ok(());
    }
    let objects: Vec<NodeId> =
        map.nodes().into_iter().filter(|node| !build.tree.is_empty(*node)).collect();
    let ids = objects.iter().map(|object| plain_ids(build, *object)).collect();
    let mut known = Known::new(objects, ids);
    for replacement in replacements {
        let Some(targets) = &replacement.targets else {
            return fail("replacements must specify a source and at least one target");
        };
        let value = source_value(&mut build.tree, replacement, &known)?;
        for target in targets {
            apply(build, target, value, &mut known)?;
        }
    }
    map.forget_index();
    Ok(())
}

/// The objects with all their identities, found by name.
struct Known {
    objects: Vec<NodeId>,
    ids: Vec<Vec<ResId>>,
    by_name: HashMap<Text, BTreeSet<usize>>,
}

impl Known {
    fn new(objects: Vec<NodeId>, ids: Vec<Vec<ResId>>) -> Known {
        let mut by_name: HashMap<Text, BTreeSet<usize>> = HashMap::new();
        for (at, ids) in ids.iter().enumerate() {
            for id in ids {
                by_name.entry(id.name.clone()).or_default().insert(at);
            }
        }
        Known { objects, ids, by_name }
    }

    /// Where objects may be that have, or had, the name; all places without a name.
    fn places(&self, name: Option<&str>) -> Vec<usize> {
        match name {
            None => (0..self.objects.len()).collect(),
            Some(name) => self.by_name.get(name).into_iter().flatten().copied().collect(),
        }
    }

    /// Notes that an object changed.
    fn update(&mut self, build: &Build<'_>, at: usize) {
        self.ids[at] = plain_ids(build, self.objects[at]);
        for id in &self.ids[at] {
            self.by_name.entry(id.name.clone()).or_default().insert(at);
        }
    }
}

/// The present identity, then earlier ones, without knowledge of scopes (`MakeResIds`).
fn plain_ids(build: &Build<'_>, object: NodeId) -> Vec<ResId> {
    let ids = resource::ids(&build.tree, &build.schema, object);
    let current = ResId { cluster_scoped: false, ..ids.current };
    std::iter::once(current).chain(ids.previous).collect()
}

fn source_value(tree: &mut Tree, replacement: &Replacement, known: &Known) -> Result<NodeId> {
    let ids = &known.ids;
    let source = match (&replacement.source, &replacement.source_value) {
        (None, None) => return fail("replacements must specify a source and at least one target"),
        (Some(_), Some(_)) => {
            return fail("value and resource selectors are mutually exclusive");
        }
        (None, Some(text)) => return Ok(tree.scalar(text.as_str())),
        (Some(source), None) => source,
    };
    let name = Some(source.id.name.as_str()).filter(|name| !name.is_empty());
    let mut selected = known
        .places(name)
        .into_iter()
        .filter(|at| ids[*at].iter().any(|id| id.is_selected_by(&source.id)));
    let Some(first) = selected.next() else {
        let found =
            Diagnostics::new(format!("nothing selected by replacement source {}", source.id));
        let near: Vec<String> = ids
            .iter()
            .filter(|ids| ids[0].gvk.kind == source.id.gvk.kind || ids[0].name == source.id.name)
            .map(|ids| ids[0].to_string())
            .take(5)
            .collect();
        return Err(if near.is_empty() {
            found
        } else {
            found.hint(format!("there is {}", near.join(", ")))
        });
    };
    if let Some(second) = selected.next() {
        return fail(format!(
            "multiple matches for replacement source {}: {} and {}",
            source.id, ids[first][0], ids[second][0]
        ));
    }
    let field_path =
        if source.field_path.is_empty() { DEFAULT_PATH } else { source.field_path.as_str() };
    let path = split_smart_path(field_path, '.');
    let found = tree
        .lookup(known.objects[first], &path)
        .map_err(|e| e.during("error looking up replacement source"))?;
    let Some(node) = found.filter(|node| !tree.is_empty(*node)) else {
        return fail(format!(
            "fieldPath `{field_path}` is missing for replacement source {}",
            ids[first][0]
        ));
    };
    let Some(options) = source.options.as_ref().filter(|options| !options.delimiter.is_empty())
    else {
        return Ok(node);
    };
    if tree.kind(node) != Kind::Scalar {
        return fail("delimiter option can only be used with scalar nodes");
    }
    let text = tree.text(node).clone();
    let part = usize::try_from(options.index)
        .ok()
        .and_then(|index| text.split(options.delimiter.as_str()).nth(index));
    let Some(part) = part else {
        return fail(format!("options.index {} is out of bounds for value {text}", options.index));
    };
    let copy = tree.copy(node);
    tree.cell_mut(copy).set_text(Text::from(part));
    Ok(copy)
}

fn apply(build: &mut Build<'_>, target: &Target, value: NodeId, known: &mut Known) -> Result<()> {
    let Some(select) = &target.select else {
        return fail("replacement target must specify resources to select");
    };
    let default_paths = [DEFAULT_PATH.to_owned()];
    let paths =
        if target.field_paths.is_empty() { &default_paths[..] } else { &target.field_paths };
    let matcher = select.matcher().map_err(|e| e.during("error creating target selector"))?;
    let rejects: Vec<(&Selector, Matcher)> = target
        .reject
        .iter()
        .map(|reject| Ok((reject, reject.matcher()?)))
        .collect::<Result<_>>()?;
    for at in known.places(matcher.exact_name()) {
        let (object, ids) = (known.objects[at], &known.ids[at]);
        if !ids.iter().any(|id| matcher.matches_id(id))
            || !selected_by_metadata(&build.tree, object, &matcher, &rejects)
        {
            continue;
        }
        let rejected = rejects.iter().any(|(selector, reject)| {
            !selector.has_no_id() && ids.iter().any(|id| reject.matches_id(id))
        });
        if rejected {
            continue;
        }
        for path in paths {
            copy_to(&mut build.tree, object, value, path, target.options.as_ref())
                .map_err(|e| e.during(format!("replacing in {}", ids[0])))?;
        }
        known.update(build, at);
    }
    Ok(())
}

fn selected_by_metadata(
    tree: &Tree,
    object: NodeId,
    matcher: &Matcher,
    rejects: &[(&Selector, Matcher)],
) -> bool {
    let wanted = matcher.wants_metadata();
    if !wanted && !rejects.iter().any(|(_, reject)| reject.wants_metadata()) {
        return true;
    }
    let labels = resource::labels(tree, object);
    let annotations = resource::annotations(tree, object);
    matcher.matches_metadata(&labels, &annotations)
        && !rejects.iter().any(|(_, reject)| {
            reject.wants_metadata() && reject.matches_metadata(&labels, &annotations)
        })
}

fn copy_to(
    tree: &mut Tree,
    object: NodeId,
    value: NodeId,
    field_path: &str,
    options: Option<&FieldOptions>,
) -> Result<()> {
    let create = options.is_some_and(|options| options.create).then(|| tree.kind(value));
    let path = split_smart_path(field_path, '.');
    if set_in_text(tree, object, value, &path, create, options)? {
        return Ok(());
    }
    let missing = || {
        let or_create = if create.is_some() { " or create" } else { "" };
        format!("unable to find{or_create} field {field_path:?} in replacement target")
    };
    let found = path_match::find(tree, object, &path, create).map_err(|e| e.during(missing()))?;
    if found.is_empty() {
        return fail(missing());
    }
    found.into_iter().try_for_each(|field| set_field(tree, options, field, value))
}

fn set_field(
    tree: &mut Tree,
    options: Option<&FieldOptions>,
    field: NodeId,
    value: NodeId,
) -> Result<()> {
    let value = tree.copy(value);
    if let Some(options) = options.filter(|options| !options.delimiter.is_empty()) {
        if tree.kind(field) != Kind::Scalar {
            return fail("delimiter option can only be used with scalar nodes");
        }
        let new = if tree.is_null(value) { Text::default() } else { tree.text(value).clone() };
        let old = tree.text(field).clone();
        let mut parts: Vec<&str> = old.split(options.delimiter.as_str()).collect();
        match usize::try_from(options.index) {
            Err(_) => parts.insert(0, &new),
            Ok(index) if index >= parts.len() => parts.push(&new),
            Ok(index) => parts[index] = &new,
        }
        let joined = Text::from(parts.join(&options.delimiter));
        tree.cell_mut(value).set_text(joined);
    }
    if tree.kind(field) == Kind::Scalar {
        let text = tree.text(value).clone();
        tree.cell_mut(field).set_text(text);
    } else {
        tree.assign(field, value);
    }
    Ok(())
}

/// Sets a field inside a text that holds YAML or JSON. `false` when the path leads through no such
/// text, or finds nothing there.
fn set_in_text(
    tree: &mut Tree,
    object: NodeId,
    value: NodeId,
    path: &[String],
    create: Option<Kind>,
    options: Option<&FieldOptions>,
) -> Result<bool> {
    for length in 1..path.len() {
        let Ok(Some(scalar)) = tree.lookup(object, &path[..length]) else { continue };
        if tree.kind(scalar) != Kind::Scalar {
            continue;
        }
        let text = tree.text(scalar).clone();
        let Ok(inner) = documents::read_one(tree, text.as_bytes()) else { continue };
        let Some(inner) = inner else { return Ok(false) };
        let Ok(found) = path_match::find(tree, inner, &path[length..], create) else {
            return Ok(false);
        };
        if found.is_empty() {
            return Ok(false);
        }
        for field in found {
            if set_field(tree, options, field, value).is_err() {
                return Ok(false);
            }
        }
        let Ok(written) = write_like(tree, inner, &text) else { return Ok(false) };
        tree.cell_mut(scalar).set_text(Text::from(written));
        return Ok(true);
    }
    Ok(false)
}

/// A text in the form of the one it replaces.
fn write_like(tree: &Tree, node: NodeId, original: &str) -> Result<String> {
    if !original.trim().starts_with(['{', '[']) {
        return Ok(documents::to_yaml(tree, node)?.trim().to_owned());
    }
    let value = to_value(tree, node)?;
    if original.contains('\n') && original.contains("  ") {
        let mut out = String::new();
        indent_json(&mut out, &value, 0);
        return Ok(out);
    }
    Ok(go_json(&value))
}

/// JSON as Go's `json.MarshalIndent` with two spaces prints it.
fn indent_json(out: &mut String, value: &Value, depth: usize) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                line(out, depth + 1);
                indent_json(out, item, depth + 1);
            }
            line(out, depth);
            out.push(']');
        }
        Value::Object(map) if !map.is_empty() => {
            out.push('{');
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            for (at, key) in keys.into_iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                line(out, depth + 1);
                out.push_str(&go_json(&Value::String(key.clone())));
                out.push_str(": ");
                indent_json(out, &map[key], depth + 1);
            }
            line(out, depth);
            out.push('}');
        }
        other => out.push_str(&go_json(other)),
    }
}
