//! Looking into a tree and changing it by key and path. Owns no knowledge of the syntax.

use crate::resolve::{self, Resolved};
use crate::scan::Dialect;
use crate::{Data, Kind, Node, Quoting, Tag, Text};

/// One step of a path into a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step<'a> {
    /// The value of a key in a mapping.
    Key(&'a str),
    /// An item of a sequence, from 0.
    Index(usize),
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Step<'a> {
        Step::Key(key)
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Step::Index(index)
    }
}

impl Node {
    /// A scalar's text, whatever its type.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The tag, worked out from text and style where none is recorded (`ShortTag` of `yaml.Node`).
    /// For an alias without a tag that is [`Tag::None`].
    pub fn short_tag(&self) -> Tag {
        if !self.tag.is_none() {
            return self.tag.clone();
        }
        match &self.data {
            Data::Scalar(_) if self.style.quoting != Quoting::Plain => Tag::Str,
            Data::Scalar(text) => resolve::plain(text, Dialect::V3).tag(),
            Data::Sequence(_) => Tag::Seq,
            Data::Mapping(_) => Tag::Map,
            Data::Alias(_) => Tag::None,
        }
    }

    /// What a scalar's text means under its tag (go-yaml v3).
    fn resolved(&self) -> Option<Resolved> {
        resolve::tagged(self.text()?, &self.short_tag(), Dialect::V3)
    }

    /// Whether this is a null.
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Scalar && self.short_tag() == Tag::Null
    }

    /// A string's text; `None` for scalars of other types.
    pub fn as_str(&self) -> Option<&str> {
        self.text().filter(|_| self.short_tag() == Tag::Str)
    }

    /// A boolean's value.
    pub fn as_bool(&self) -> Option<bool> {
        match self.resolved()? {
            Resolved::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// An integer's value.
    pub fn as_i64(&self) -> Option<i64> {
        match self.resolved()? {
            Resolved::Int(value) => Some(value),
            _ => None,
        }
    }

    /// A number's value.
    pub fn as_f64(&self) -> Option<f64> {
        match self.resolved()? {
            Resolved::Int(value) => Some(value as f64),
            Resolved::Uint(value) => Some(value as f64),
            Resolved::Float(value) => Some(value),
            _ => None,
        }
    }

    /// A sequence's items.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.data {
            Data::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// A sequence's items, to change.
    pub fn items_mut(&mut self) -> Option<&mut Vec<Node>> {
        match &mut self.data {
            Data::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// A mapping's keys and values.
    pub fn entries(&self) -> Option<&[(Node, Node)]> {
        match &self.data {
            Data::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// A mapping's keys and values, to change.
    pub fn entries_mut(&mut self) -> Option<&mut Vec<(Node, Node)>> {
        match &mut self.data {
            Data::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The first value of a scalar key with this text, when this is a mapping that has one.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// As [`Node::get`], to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let entries = self.entries_mut()?;
        entries.iter_mut().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// Puts `value` where the key is, or at the end as a new key (a plain string). Returns what was
    /// there. A node that is no mapping stays as it is and `value` comes back as the error.
    pub fn set(&mut self, key: &str, value: Node) -> Result<Option<Node>, Node> {
        let Data::Mapping(entries) = &mut self.data else { return Err(value) };
        match entries.iter_mut().find(|(name, _)| name.text() == Some(key)) {
            Some((_, old)) => Ok(Some(std::mem::replace(old, value))),
            None => {
                entries.push((Node::string(Text::from(key)), value));
                Ok(None)
            }
        }
    }

    /// Takes the first entry with this key out of a mapping.
    pub fn remove(&mut self, key: &str) -> Option<(Node, Node)> {
        let entries = self.entries_mut()?;
        let at = entries.iter().position(|(name, _)| name.text() == Some(key))?;
        Some(entries.remove(at))
    }

    /// The node at the end of a path.
    pub fn at<'s>(&self, path: impl IntoIterator<Item = impl Into<Step<'s>>>) -> Option<&Node> {
        path.into_iter().try_fold(self, |node, step| match step.into() {
            Step::Key(key) => node.get(key),
            Step::Index(index) => node.items()?.get(index),
        })
    }

    /// As [`Node::at`], to change.
    pub fn at_mut<'s>(
        &mut self,
        path: impl IntoIterator<Item = impl Into<Step<'s>>>,
    ) -> Option<&mut Node> {
        path.into_iter().try_fold(self, |node, step| match step.into() {
            Step::Key(key) => node.get_mut(key),
            Step::Index(index) => node.items_mut()?.get_mut(index),
        })
    }
}
