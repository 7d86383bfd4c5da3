//! The values of a build: one arena of nodes, and the small operations kyaml builds everything of.
//!
//! A node may sit in several places at once. That is not an accident of this design but of the
//! original: kustomize puts one `yaml.Node` under every label field it creates, so that a later
//! change of one changes them all, and people's manifests depend on what comes out. An arena keeps
//! such sharing without reference counts, and is freed in one go.
//!
//! Sources of behaviour: kyaml `yaml/fns.go`, `yaml/rnode.go`. Knows nothing of Kubernetes objects.

use borax_yaml::{Data, Node, Style, Tag, Text};

use crate::arena::{Arena, page_of};
pub(crate) use crate::cell::{Cell, Kind};
use crate::diag::{Diagnostics, Result, fail};
use crate::scalar;

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

/// All nodes of a build.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) cells: Arena,
}

impl NodeId {
    /// The page that the node's cell is on.
    pub(crate) fn page(self) -> u32 {
        page_of(self.0)
    }
}

impl Kind {
    /// As yaml.v3 calls it.
    fn name(self) -> &'static str {
        match self {
            Kind::Scalar => "ScalarNode",
            Kind::Mapping => "MappingNode",
            Kind::Sequence => "SequenceNode",
        }
    }
}

impl Tree {
    pub(crate) fn push(&mut self, cell: Cell) -> NodeId {
        NodeId(self.cells.push(cell))
    }

    fn empty(&mut self, kind: Kind, tag: Tag) -> NodeId {
        self.push(match kind {
            Kind::Scalar => Cell::scalar(tag, Style::PLAIN, Text::default()),
            Kind::Mapping | Kind::Sequence => Cell::collection(kind, tag, Style::PLAIN, Vec::new()),
        })
    }

    /// A new node without content (`&yaml.Node{Kind: kind}`).
    pub(crate) fn new_node(&mut self, kind: Kind) -> NodeId {
        self.empty(kind, Tag::None)
    }

    /// A new mapping without a tag, of keys and values in turn.
    pub(crate) fn mapping(&mut self, content: Vec<NodeId>) -> NodeId {
        self.push(Cell::collection(Kind::Mapping, Tag::None, Style::PLAIN, content))
    }

    /// Adds an item at the end.
    pub(crate) fn append(&mut self, list: NodeId, item: NodeId) {
        self.cell_mut(list).edit(|content| content.push(item));
    }

    /// A plain scalar without a tag (`NewScalarRNode`).
    pub(crate) fn scalar(&mut self, text: impl Into<Text>) -> NodeId {
        self.tagged(text, Tag::None)
    }

    /// A plain scalar with a tag.
    pub(crate) fn tagged(&mut self, text: impl Into<Text>, tag: Tag) -> NodeId {
        self.push(Cell::scalar(tag, Style::PLAIN, text.into()))
    }

    /// A string, in literal style when it has lines (`NewStringRNode`).
    pub(crate) fn string(&mut self, text: impl Into<Text>) -> NodeId {
        let id = self.tagged(text, Tag::Str);
        if self.text(id).contains('\n') {
            self.cell_mut(id).style = Style::LITERAL;
        }
        id
    }

    pub(crate) fn cell(&self, id: NodeId) -> &Cell {
        self.cells.get(id.0)
    }

    pub(crate) fn cell_mut(&mut self, id: NodeId) -> &mut Cell {
        self.cells.get_mut(id.0)
    }

    pub(crate) fn kind(&self, id: NodeId) -> Kind {
        self.cell(id).kind()
    }

    pub(crate) fn text(&self, id: NodeId) -> &Text {
        self.cell(id).text()
    }

    pub(crate) fn content(&self, id: NodeId) -> &[NodeId] {
        self.cell(id).content()
    }

    /// Takes a parsed document in.
    pub(crate) fn import(&mut self, node: Node) -> NodeId {
        let (kind, content) = match node.data {
            Data::Scalar(text) | Data::Alias(text) => {
                return self.push(Cell::scalar(node.tag, node.style, text));
            }
            Data::Sequence(items) => {
                (Kind::Sequence, items.into_iter().map(|item| self.import(item)).collect())
            }
            Data::Mapping(entries) => {
                let mut content = Vec::with_capacity(entries.len() * 2);
                for (key, value) in entries {
                    content.push(self.import(key));
                    content.push(self.import(value));
                }
                (Kind::Mapping, content)
            }
        };
        self.push(Cell::collection(kind, node.tag, node.style, content))
    }

    /// A copy that shares nothing with the original (`CopyYNode`).
    pub(crate) fn copy(&mut self, id: NodeId) -> NodeId {
        let mut cell = self.cell(id).clone();
        for child in cell.content_mut() {
            *child = self.copy(*child);
        }
        self.push(cell)
    }

    /// Makes `to` equal to `from`, wherever `to` sits (`*to = *from`).
    pub(crate) fn assign(&mut self, to: NodeId, from: NodeId) {
        if to != from {
            *self.cell_mut(to) = self.cell(from).clone();
        }
    }

    /// `!!null`, in whatever spelling.
    pub(crate) fn is_null(&self, id: NodeId) -> bool {
        *self.cell(id).tag() == Tag::Null
    }

    /// Null, or a collection without content (`IsYNodeNilOrEmpty`).
    pub(crate) fn is_empty(&self, id: NodeId) -> bool {
        let cell = self.cell(id);
        *cell.tag() == Tag::Null || (cell.kind() != Kind::Scalar && cell.content().is_empty())
    }

    pub(crate) fn is_empty_map(&self, id: NodeId) -> bool {
        self.is_null(id) || (self.kind(id) == Kind::Mapping && self.content(id).is_empty())
    }

    /// A scalar that is tagged as a string or not at all (`IsYNodeString`).
    pub(crate) fn is_string(&self, id: NodeId) -> bool {
        let cell = self.cell(id);
        cell.kind() == Kind::Scalar && matches!(cell.tag(), Tag::Str | Tag::None)
    }

    /// Refuses a node of another kind; null passes (`ErrorIfInvalid`).
    pub(crate) fn expect(&self, id: NodeId, kind: Kind) -> Result<()> {
        if self.is_null(id) || self.kind(id) == kind {
            return Ok(());
        }
        let (wanted, found) = (kind.name(), self.kind(id).name());
        let mut message = format!("wrong node kind: expected {wanted} but got {found}");
        if self.kind(id) == Kind::Scalar {
            message.push_str(&format!(": {}", self.text(id)));
        }
        Err(Diagnostics::new(message))
    }

    fn find(&self, map: NodeId, key: &str) -> Option<usize> {
        let content = self.content(map);
        (0..content.len() / 2).map(|at| at * 2).find(|at| self.text(content[*at]) == key)
    }

    /// The value of a key; `None` when this is no mapping or has no such key (`Field`).
    pub(crate) fn field(&self, map: NodeId, key: &str) -> Option<NodeId> {
        if self.kind(map) != Kind::Mapping {
            return None;
        }
        self.find(map, key).map(|at| self.content(map)[at + 1])
    }

    /// As [`Tree::field`], but a node that is neither mapping nor null is an error (`Get`).
    pub(crate) fn get(&self, map: NodeId, key: &str) -> Result<Option<NodeId>> {
        if self.is_null(map) {
            return Ok(None);
        }
        self.expect(map, Kind::Mapping)?;
        Ok(self.field(map, key))
    }

    /// The text of a field at a path of keys; empty when it isn't there or is null or no scalar.
    pub(crate) fn text_at(&self, map: NodeId, path: &[&str]) -> Text {
        let found = path.iter().try_fold(map, |at, key| self.field(at, key));
        found
            .filter(|at| !self.is_empty(*at))
            .map_or_else(Text::default, |at| self.text(at).clone())
    }

    /// Removes a key (`Clear`).
    pub(crate) fn clear(&mut self, map: NodeId, key: &str) -> Result<()> {
        self.expect(map, Kind::Mapping)?;
        if let Some(at) = self.find(map, key) {
            self.cell_mut(map).edit(|content| {
                content.drain(at..at + 2);
            });
        }
        Ok(())
    }

    /// `FieldSetter` with an empty name: gives the scalar `node` the content of `value`, which takes
    /// on the style of `node`.
    pub(crate) fn set_scalar(&mut self, node: NodeId, value: NodeId) -> Result<()> {
        self.protect_string(value);
        self.expect(node, Kind::Scalar)?;
        if !self.is_null(value) {
            self.cell_mut(value).style = self.cell(node).style;
            self.assign(node, value);
        }
        Ok(())
    }

    /// `FieldSetter`: sets or adds a field; a null `value` removes it. An existing field keeps its
    /// node and its style.
    pub(crate) fn set_field(
        &mut self,
        map: NodeId,
        key: &str,
        value: Option<NodeId>,
    ) -> Result<Option<NodeId>> {
        self.set_field_as(map, key, value, Style::PLAIN, false)
    }

    /// As [`Tree::set_field`], with the style of an added key, and whether null is a value.
    pub(crate) fn set_field_as(
        &mut self,
        map: NodeId,
        key: &str,
        value: Option<NodeId>,
        key_style: Style,
        keep_null: bool,
    ) -> Result<Option<NodeId>> {
        if let Some(value) = value {
            self.protect_string(value);
            if key.is_empty() {
                self.set_scalar(map, value)?;
                return Ok(Some(map));
            }
        }
        let Some(value) = value.filter(|value| keep_null || !self.is_null(*value)) else {
            self.clear(map, key)?;
            return Ok(None);
        };
        if let Some(field) = self.get(map, key)? {
            self.cell_mut(value).style = self.cell(field).style;
            self.assign(field, value);
            return Ok(Some(field));
        }
        let key = self.push(Cell::scalar(Tag::None, key_style, key.into()));
        self.cell_mut(map).edit(|content| content.extend([key, value]));
        Ok(Some(value))
    }

    /// Lets the key that was added last take its text, `name`, from where the program has it.
    pub(crate) fn share_last_key(&mut self, map: NodeId, name: &'static str) {
        if let [.., key, _] = *self.content(map)
            && self.text(key) == name
        {
            self.cell_mut(key).set_text(Text::new_static(name));
        }
    }

    /// A plain string that YAML 1.1 would not read as a string gets quotes.
    fn protect_string(&mut self, value: NodeId) {
        let cell = self.cell(value);
        if self.is_string(value)
            && cell.style.is_plain()
            && scalar::is_yaml11_non_string(cell.text())
        {
            self.cell_mut(value).style = Style::DOUBLE;
        }
    }

    /// Follows a path of kyaml steps (`Lookup`): keys, indices, `-`, `[key=value]`.
    pub(crate) fn lookup<S: AsRef<str>>(
        &mut self,
        node: NodeId,
        path: &[S],
    ) -> Result<Option<NodeId>> {
        self.lookup_create(node, path, None)
    }

    /// As [`Tree::lookup`]; creates what is missing, the last step as `create` (`LookupCreate`).
    pub(crate) fn lookup_create<S: AsRef<str>>(
        &mut self,
        node: NodeId,
        path: &[S],
        create: Option<Kind>,
    ) -> Result<Option<NodeId>> {
        let parts: Vec<&str> =
            path.iter().map(|part| part.as_ref().trim()).filter(|part| !part.is_empty()).collect();
        let mut at = node;
        for (index, part) in parts.iter().enumerate() {
            let next = parts.get(index + 1).copied().unwrap_or("");
            match self.step(at, part, next, create)? {
                Some(found) => at = found,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    fn step(
        &mut self,
        node: NodeId,
        part: &str,
        next: &str,
        create: Option<Kind>,
    ) -> Result<Option<NodeId>> {
        if let Ok(index) = part.parse::<i64>() {
            if index < 0 {
                return fail(format!("array index {index} cannot be negative"));
            }
            self.expect(node, Kind::Sequence)?;
            return Ok(self.content(node).get(index as usize).copied());
        }
        match part {
            "-" => {
                self.expect(node, Kind::Sequence)?;
                Ok(self.content(node).last().copied())
            }
            "*" => fail("wildcard is not supported in PathGetter"),
            _ if is_list_index(part) => self.element_step(node, part, create),
            _ => {
                if let Some(found) = self.get(node, part)? {
                    return Ok(Some(found));
                }
                let Some(kind) = create.filter(|_| !self.is_null(node)) else { return Ok(None) };
                let created = self.new_node(part_kind(next, kind));
                self.set_field(node, part, Some(created))
            }
        }
    }

    fn element_step(
        &mut self,
        node: NodeId,
        part: &str,
        create: Option<Kind>,
    ) -> Result<Option<NodeId>> {
        let (name, value) = split_index(part)?;
        self.expect(node, Kind::Sequence)?;
        if let Some(found) = self.match_element(node, &[name], &[value]) {
            return Ok(Some(found));
        }
        if create.is_none() {
            return Ok(None);
        }
        let scalar = self.scalar(value);
        let element = if name.is_empty() {
            scalar
        } else {
            let key = self.scalar(name);
            self.mapping(vec![key, scalar])
        };
        self.append(node, element);
        Ok(Some(element))
    }

    /// The first element whose keys have these texts (`MatchElementList`). An empty first key
    /// compares the element itself.
    pub(crate) fn match_element(
        &self,
        sequence: NodeId,
        keys: &[&str],
        values: &[&str],
    ) -> Option<NodeId> {
        let content = self.content(sequence);
        if keys.first().is_none_or(|key| key.is_empty()) {
            let wanted = values.first().copied().unwrap_or("");
            return content.iter().copied().find(|element| self.text(*element) == wanted);
        }
        content.iter().copied().find(|element| {
            !self.is_null(*element)
                && self.kind(*element) == Kind::Mapping
                && keys.iter().zip(values).all(|(key, value)| {
                    self.field(*element, key).is_some_and(|found| self.text(found) == value)
                })
        })
    }

    /// Gives a scalar a new text and tag and takes its style away (`updateNodeValue` of vars).
    pub(crate) fn overwrite(&mut self, node: NodeId, text: impl Into<Text>, tag: Tag) {
        let cell = self.cell_mut(node);
        cell.set_text(text.into());
        cell.set_tag(tag);
        cell.style = Style::PLAIN;
    }
}

/// `[...]`
pub(crate) fn is_list_index(part: &str) -> bool {
    part.starts_with('[') && part.ends_with(']')
}

/// What a missing step is created as, told by the step after it (`getPathPartKind`).
pub(crate) fn part_kind(next: &str, last: Kind) -> Kind {
    if is_list_index(next) || next.parse::<i64>().is_ok_and(|index| index >= 0) {
        Kind::Sequence
    } else if next.is_empty() {
        last
    } else {
        Kind::Mapping
    }
}

/// Takes `[name=value]` apart.
pub(crate) fn split_index(part: &str) -> Result<(&str, &str)> {
    let inner = part.strip_suffix(']').unwrap_or(part);
    let inner = inner.strip_prefix('[').unwrap_or(inner);
    inner.split_once('=').ok_or_else(|| {
        Diagnostics::new(format!(
            "list path element {part} must contain fieldName=fieldValue for element to match"
        ))
    })
}
