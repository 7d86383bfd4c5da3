//! Strategic merge: a patch into an object, by Kubernetes' merge keys and `$patch` directives.
//!
//! Follows kyaml `yaml/merge2` and `yaml/walk` step by step, because their peculiarities show: the
//! whole object is walked, not only what the patch names, and so on the way empty nulls vanish and
//! items of merged lists with equal keys fall together. Knows nothing of resources.

use std::collections::{BTreeSet, HashSet};

use borax_schema::Type;
use borax_yaml::{Style, Tag, Text};

use crate::diag::{Result, fail};
use crate::tree::{Kind, NodeId, Tree};

/// How deep values may be nested.
const MAX_DEPTH: usize = 400;

/// How many items a list may have that is merged by keys: its cost grows with the square.
const MAX_MERGED: usize = 10_000;

/// Where a merge finds the schema of a kind.
pub(crate) trait Schemas {
    /// The schema of the kind's objects.
    fn type_of(&self, api_version: &str, kind: &str) -> Option<Type<'_>>;
}

/// Which end of a merged list what the patch adds goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    /// After what was there (Helm values).
    Append,
    /// Before what was there (patches).
    Prepend,
}

/// What a walk leaves in a place.
#[derive(Clone, Copy)]
enum Left {
    /// Nothing: the field goes.
    Nothing,
    /// This node; as a field's value null means that the field goes.
    Node(NodeId),
    /// A null that stays.
    Null(NodeId),
}

#[derive(Clone, Copy, PartialEq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

/// Merges `patch` into `target`, in place. `None` when the patch deletes the whole. The nodes of the
/// patch become part of the target, so a patch that is used again must be copied first.
pub(crate) fn merge(
    tree: &mut Tree,
    schemas: &dyn Schemas,
    target: NodeId,
    patch: NodeId,
    growth: Growth,
) -> Result<Option<NodeId>> {
    let mut walker = Walker { tree, schemas, growth, depth: 0 };
    Ok(walker.walk([Some(target), Some(patch)], None)?.node())
}

impl Left {
    fn node(self) -> Option<NodeId> {
        match self {
            Left::Nothing => None,
            Left::Node(id) | Left::Null(id) => Some(id),
        }
    }

    fn from(node: Option<NodeId>) -> Left {
        node.map_or(Left::Nothing, Left::Node)
    }
}

struct Walker<'a> {
    tree: &'a mut Tree,
    schemas: &'a dyn Schemas,
    growth: Growth,
    depth: usize,
}

/// What is there, and what the patch says.
type Sources = [Option<NodeId>; 2];

impl<'a> Walker<'a> {
    fn walk(&mut self, sources: Sources, schema: Option<Type<'a>>) -> Result<Left> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return fail(format!("values are nested deeper than {MAX_DEPTH} levels"));
        }
        let schema = schema.or_else(|| self.own_schema(sources));
        let kind = sources
            .iter()
            .flatten()
            .find(|id| !self.tree.is_null(**id))
            .map(|id| self.tree.kind(*id));
        if let Some(kind) = kind {
            for source in sources.into_iter().flatten() {
                self.tree.expect(source, kind)?;
            }
        }
        let left = match kind {
            None | Some(Kind::Mapping) => self.walk_map(sources, schema),
            Some(Kind::Scalar) => Ok(Left::from(sources[1].or(sources[0]))),
            Some(Kind::Sequence) if schema.is_some_and(Type::merges) => {
                self.walk_list(sources, schema)
            }
            Some(Kind::Sequence) => {
                self.take_style(sources);
                Ok(Left::from(sources[1].or(sources[0])))
            }
        };
        self.depth -= 1;
        left
    }

    /// The schema of a value that says itself what it is.
    fn own_schema(&self, sources: Sources) -> Option<Type<'a>> {
        sources.into_iter().flatten().filter(|id| !self.tree.is_null(*id)).find_map(|id| {
            let kind = self.tree.text_at(id, &["kind"]);
            let api_version = self.tree.text_at(id, &["apiVersion"]);
            if kind.is_empty() || api_version.is_empty() {
                return None;
            }
            self.schemas.type_of(&api_version, &kind)
        })
    }

    /// An empty collection takes on the style of what fills it.
    fn take_style(&mut self, sources: Sources) {
        if let [Some(target), Some(patch)] = sources {
            let cell = self.tree.cell(target);
            if cell.kind() != Kind::Scalar && cell.content().is_empty() {
                self.tree.cell_mut(target).style = self.tree.cell(patch).style;
            }
        }
    }

    fn walk_map(&mut self, mut sources: Sources, schema: Option<Type<'a>>) -> Result<Left> {
        self.take_style(sources);
        let left = self.visit_map(sources)?;
        let Some(target) = left.node() else { return Ok(Left::Nothing) };
        sources[0] = Some(target);
        let mut names: BTreeSet<Text> = BTreeSet::new();
        for source in sources.into_iter().flatten().filter(|id| !self.tree.is_null(*id)) {
            if self.tree.kind(source) == Kind::Mapping {
                let keys = self.tree.content(source).iter().step_by(2);
                names.extend(keys.map(|key| self.tree.text(*key).clone()));
            }
        }
        for name in names {
            let fields = sources.map(|source| source.and_then(|id| self.tree.field(id, &name)));
            let field_schema = schema.and_then(|schema| schema.field(&name));
            let value = self.walk(fields, field_schema)?;
            let key_style = self.key_style(sources, fields, value.node(), &name);
            let keep_null = matches!(value, Left::Null(_));
            self.tree.set_field_as(target, &name, value.node(), key_style, keep_null)?;
        }
        Ok(left)
    }

    /// The style of the key that the value came with.
    fn key_style(
        &self,
        sources: Sources,
        fields: Sources,
        value: Option<NodeId>,
        name: &str,
    ) -> Style {
        // Later sources win, as they overwrite the earlier ones' entry in the original's map.
        for at in [1, 0] {
            if let (Some(source), true) = (sources[at], value.is_some() && fields[at] == value) {
                let content = self.tree.content(source);
                let key = content.iter().step_by(2).find(|key| self.tree.text(**key) == name);
                return key.map_or(Style::PLAIN, |key| self.tree.cell(*key).style);
            }
        }
        Style::PLAIN
    }

    fn visit_map(&mut self, [target, patch]: Sources) -> Result<Left> {
        let Some(target) = target.filter(|id| !self.tree.is_null(*id)) else {
            if let Some(patch) = patch
                && let Ok(Directive::Delete) = self.directive(patch)
            {
                return Ok(Left::Nothing);
            }
            if let (Some(target), None) = (target, patch)
                && !self.tree.text(target).is_empty()
            {
                let text = self.tree.text(target).clone();
                return Ok(Left::Null(self.tree.tagged(text, Tag::Null)));
            }
            return Ok(Left::from(patch));
        };
        let Some(patch) = patch else { return Ok(Left::Node(target)) };
        if self.tree.is_null(patch) {
            return Ok(Left::Nothing);
        }
        Ok(match self.directive(patch)? {
            Directive::Delete => Left::Nothing,
            Directive::Replace => Left::Node(patch),
            Directive::Merge => Left::Node(target),
        })
    }

    fn visit_list(&mut self, [target, patch]: Sources) -> Result<Left> {
        let Some(target) = target.filter(|id| !self.tree.is_null(*id)) else {
            return Ok(Left::from(patch));
        };
        let Some(patch) = patch else { return Ok(Left::Node(target)) };
        if self.tree.is_null(patch) {
            return Ok(Left::Nothing);
        }
        Ok(match self.directive(patch)? {
            Directive::Delete => Left::Nothing,
            Directive::Replace => Left::Node(patch),
            Directive::Merge => Left::Node(target),
        })
    }

    /// Reads the `$patch` directive of a patch and takes it out.
    fn directive(&mut self, patch: NodeId) -> Result<Directive> {
        const KEY: &str = "$patch";
        match self.tree.kind(patch) {
            Kind::Scalar => fail(format!(
                "no strategic merge patch strategy for the scalar {:?}",
                self.tree.text(patch)
            )),
            Kind::Mapping => {
                let Some(value) = self.tree.field(patch, KEY) else { return Ok(Directive::Merge) };
                let directive = parse_directive(self.tree.text(value))?;
                self.tree.clear(patch, KEY)?;
                Ok(directive)
            }
            Kind::Sequence => {
                let elements = self.tree.content(patch).iter();
                let Some(element) =
                    elements.copied().find(|id| self.tree.field(*id, KEY).is_some())
                else {
                    return Ok(Directive::Merge);
                };
                // With more keys it is an item's own directive, not the list's.
                if self.tree.content(element).len() > 2 {
                    return Ok(Directive::Merge);
                }
                let value = self.tree.text_at(element, &[KEY]);
                let directive = parse_directive(&value)?;
                self.set_element(patch, None, &[KEY], &[&value])?;
                Ok(directive)
            }
        }
    }

    fn walk_list(&mut self, mut sources: Sources, schema: Option<Type<'a>>) -> Result<Left> {
        self.take_style(sources);
        let Some(target) = self.visit_list(sources)?.node() else { return Ok(Left::Nothing) };
        sources[0] = Some(target);
        let map_keys = schema.map(Type::list_map_keys).unwrap_or_default();
        let keys: Vec<&str> = match schema.and_then(Type::merge_key) {
            _ if !map_keys.is_empty() => map_keys,
            Some(key) => vec![key],
            None => Vec::new(),
        };
        let element_schema = schema.and_then(Type::elements);
        if keys.is_empty() {
            let values = self.scalar_values(sources);
            return self.merge_elements(sources, target, values, &[""], element_schema);
        }
        let values = self.key_values(sources, &keys);
        self.merge_elements(sources, target, values, &keys, element_schema)
    }

    /// The order in which the sources' items come out.
    fn in_order(&self, [target, patch]: Sources) -> [Option<NodeId>; 2] {
        match self.growth {
            Growth::Append => [target, patch],
            Growth::Prepend => [patch, target],
        }
    }

    fn key_values(&self, sources: Sources, keys: &[&str]) -> Vec<Vec<Text>> {
        let mut seen = HashSet::new();
        let mut values = Vec::new();
        for source in self.in_order(sources).into_iter().flatten() {
            for element in self.tree.content(source) {
                let found: Vec<Text> =
                    keys.iter().map(|key| self.tree.text_at(*element, &[key])).collect();
                if seen.insert(found.clone()) {
                    values.push(found);
                }
            }
        }
        values
    }

    fn scalar_values(&self, sources: Sources) -> Vec<Vec<Text>> {
        let mut seen = HashSet::new();
        let mut values = Vec::new();
        for source in self.in_order(sources).into_iter().flatten() {
            for element in self.tree.content(source) {
                let text = self.tree.text(*element).clone();
                if seen.insert(text.clone()) {
                    values.push(vec![text]);
                }
            }
        }
        values
    }

    fn merge_elements(
        &mut self,
        sources: Sources,
        mut target: NodeId,
        mut values: Vec<Vec<Text>>,
        keys: &[&str],
        schema: Option<Type<'a>>,
    ) -> Result<Left> {
        if values.len() > MAX_MERGED {
            return fail(format!("a list of more than {MAX_MERGED} items can't be merged by keys"));
        }
        if keys.len() > 1 {
            unite_values(&mut values);
        }
        let added = self.tree.new_node(Kind::Sequence);
        let used: Vec<bool> =
            (0..keys.len()).map(|at| values.iter().any(|v| !v[at].is_empty())).collect();
        let any_used = used.iter().any(|used| *used);
        let valid = |at: &usize| !any_used || used[*at];
        let valid_keys: Vec<&str> = (0..keys.len()).filter(valid).map(|at| keys[at]).collect();
        for value in &values {
            let valid_values: Vec<&str> =
                (0..keys.len()).filter(valid).map(|at| value[at].as_str()).collect();
            let elements = self.elements(sources, &valid_keys, &valid_values);
            let merged = self.walk(elements, schema)?.node();
            let Some(merged) = merged.filter(|id| !self.tree.is_empty_map(*id)) else {
                self.set_element(target, None, &valid_keys, &valid_values)?;
                continue;
            };
            for (key, value) in valid_keys.iter().zip(&valid_values) {
                if self.tree.field(merged, key).is_none() && !value.is_empty() {
                    let value = self.tree.scalar(*value);
                    self.tree.set_field(merged, key, Some(value))?;
                }
            }
            self.set_element(added, Some(merged), &valid_keys, &valid_values)?;
        }
        if !values.is_empty() {
            target = match self.growth {
                Growth::Prepend => self.append(added, target, &valid_keys)?,
                Growth::Append => self.append(target, added, &valid_keys)?,
            };
        }
        Ok(if self.tree.is_null(target) { Left::Nothing } else { Left::Node(target) })
    }

    /// The element of each source that has the values; keys without a value don't count.
    fn elements(&self, sources: Sources, keys: &[&str], values: &[&str]) -> Sources {
        let given: Vec<usize> = (0..keys.len()).filter(|at| !values[*at].is_empty()).collect();
        let pick = |from: &[&'_ str]| -> Vec<String> {
            given.iter().map(|at| from[*at].to_owned()).collect()
        };
        let (some_keys, some_values) = (pick(keys), pick(values));
        let (some_keys, some_values): (Vec<&str>, Vec<&str>) = if given.is_empty() {
            (keys.to_vec(), values.to_vec())
        } else {
            (
                some_keys.iter().map(String::as_str).collect(),
                some_values.iter().map(String::as_str).collect(),
            )
        };
        sources.map(|source| {
            source
                .filter(|id| self.tree.kind(*id) == Kind::Sequence)
                .and_then(|id| self.tree.match_element(id, &some_keys, &some_values))
        })
    }

    /// Puts the elements of `from` into `to`, over those with the same keys or at the end
    /// (`appendListNode`).
    fn append(&mut self, to: NodeId, from: NodeId, keys: &[&str]) -> Result<NodeId> {
        for element in self.tree.content(from).to_vec() {
            if keys[0].is_empty() {
                let text = self.tree.text(element).clone();
                self.set_element(to, Some(element), &[""], &[&text])?;
                continue;
            }
            let mut values: Vec<Text> = Vec::new();
            for key in keys {
                match self.tree.get(element, key)? {
                    Some(value) => values.push(self.tree.text(value).clone()),
                    None => self.tree.append(to, element),
                }
            }
            let values: Vec<&str> = values.iter().map(Text::as_str).collect();
            if keys.len() > 1 {
                self.set_element(to, None, keys, &values)?;
            }
            self.set_element(to, Some(element), keys, &values)?;
        }
        Ok(to)
    }

    /// `ElementSetter`: puts `element` over those in the list with these values, or at the end;
    /// without `element` takes them out. Empty items go either way.
    fn set_element(
        &mut self,
        list: NodeId,
        element: Option<NodeId>,
        keys: &[&str],
        values: &[&str],
    ) -> Result<()> {
        self.tree.expect(list, Kind::Sequence)?;
        let for_maps = !keys[0].is_empty() && values.first().is_some_and(|value| !value.is_empty());
        let mut content = Vec::with_capacity(self.tree.content(list).len() + 1);
        let mut found_any = false;
        for at in 0..self.tree.content(list).len() {
            let item = self.tree.content(list)[at];
            if self.tree.is_empty_map(item) {
                continue;
            }
            if self.tree.kind(item) != Kind::Mapping && for_maps {
                content.push(item);
                continue;
            }
            let mut found = true;
            let mut matched = false;
            for (at, key) in keys.iter().enumerate() {
                if let Some(value) = values.get(at) {
                    matched = self.field_matches(item, key, value)?;
                }
                if !matched {
                    found = false;
                    break;
                }
            }
            if !found {
                if !values.is_empty() {
                    content.push(item);
                }
                continue;
            }
            found_any = true;
            content.extend(element);
        }
        if !found_any {
            content.extend(element.filter(|id| !self.tree.is_null(*id)));
        }
        self.tree.cell_mut(list).edit(|old| *old = content);
        Ok(())
    }

    /// `FieldMatcher` with a text value: an empty one asks only for the field.
    fn field_matches(&self, item: NodeId, key: &str, value: &str) -> Result<bool> {
        if key.is_empty() {
            self.tree.expect(item, Kind::Scalar)?;
            return Ok(self.tree.text(item) == value);
        }
        let found = self.tree.get(item, key)?;
        Ok(found.is_some_and(|found| value.is_empty() || self.tree.text(found) == value))
    }
}

fn parse_directive(text: &str) -> Result<Directive> {
    match text {
        "delete" => Ok(Directive::Delete),
        "replace" => Ok(Directive::Replace),
        "merge" => Ok(Directive::Merge),
        _ => {
            fail(format!("unknown patch strategy '{text}' in $patch: use merge, replace or delete"))
        }
    }
}

/// Items that share one key's value and differ only where one has none are the same item
/// (`mergeValues`).
fn unite_values(values: &mut [Vec<Text>]) {
    for left in 0..values.len() {
        // The original iterates over a copy of the slice header, so row `left` is read as it was
        // when its turn came.
        let first = values[left].clone();
        for right in 0..values.len() {
            if let Some(united) = unite(&first, &values[right]) {
                values[left].clone_from(&united);
                values[right] = united;
            }
        }
    }
}

fn unite(left: &[Text], right: &[Text]) -> Option<Vec<Text>> {
    let mut common = false;
    let mut united = Vec::with_capacity(left.len());
    for (left, right) in left.iter().zip(right) {
        if left == right {
            common = true;
            united.push(left.clone());
        } else if !left.is_empty() && !right.is_empty() {
            return None;
        } else {
            united.push(if left.is_empty() { right.clone() } else { left.clone() });
        }
    }
    common.then_some(united)
}
