//! The document tree. Owns the shape of nodes and their constructors; does not know the syntax.

use crate::{Tag, Text};

/// One node of a document, cheap to build and to clone.
///
/// The fields mean what the fields of `yaml.Node` in go.yaml.in/yaml/v3 mean, so that code which
/// follows kyaml can do what kyaml does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// The content.
    pub data: Data,
    /// The tag in short form. The parser always sets it: the explicit one, or what the text means.
    pub tag: Tag,
    /// How the node is, or shall be, written.
    pub style: Style,
    /// Where the node begins in the text it was read from.
    pub position: Position,
    /// What few nodes have. Private so that an absent set and an empty one stay the same thing.
    pub(crate) extra: Option<Box<Extra>>,
}

/// A node's content.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// A scalar's text after unquoting.
    Scalar(Text),
    /// The items in order.
    Sequence(Vec<Node>),
    /// Keys and values in order; duplicates are kept.
    Mapping(Vec<(Node, Node)>),
    /// `*name`: stands for the nearest node before it in the document that carries `&name`.
    /// [`Node::expand_aliases`](crate::Node::expand_aliases) puts copies in their place.
    Alias(Text),
}

/// The sort of a node's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A scalar.
    Scalar,
    /// A sequence.
    Sequence,
    /// A mapping.
    Mapping,
    /// A reference to an anchored node.
    Alias,
}

/// How a node is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Style {
    /// A scalar's quoting.
    pub quoting: Quoting,
    /// A collection in `[]` or `{}`.
    pub flow: bool,
    /// The tag is written out (`!!str 1`).
    pub tagged: bool,
}

/// A scalar's quoting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quoting {
    /// No quotes: the text decides the type.
    #[default]
    Plain,
    /// `'text'`
    Single,
    /// `"text"`
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// Where a node begins and ends. Lines and columns count from 1 (columns in characters), bytes
/// from 0; a node that was not read from a text has line 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// Line of the first character.
    pub line: u32,
    /// Column of the first character.
    pub column: u32,
    /// Offset of the first byte (of the content: after tag and anchor for a scalar).
    pub start: u32,
    /// Offset after the last byte of a scalar or alias; for collections the same as `start`.
    pub end: u32,
}

/// Comments attached to a node, each with its `#`, lines joined by `\n`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comments {
    /// On the lines before the node, without an empty line between.
    pub head: Text,
    /// At the end of the node's line.
    pub line: Text,
    /// After the node, before an empty line.
    pub foot: Text,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extra {
    pub(crate) anchor: Text,
    pub(crate) comments: Comments,
}

impl Default for Data {
    fn default() -> Data {
        Data::Scalar(Text::default())
    }
}

impl Style {
    /// No quotes, block form, no explicit tag.
    pub const PLAIN: Style = Style { quoting: Quoting::Plain, flow: false, tagged: false };
    /// `'text'`
    pub const SINGLE: Style = Style { quoting: Quoting::Single, flow: false, tagged: false };
    /// `"text"`
    pub const DOUBLE: Style = Style { quoting: Quoting::Double, flow: false, tagged: false };
    /// `|`
    pub const LITERAL: Style = Style { quoting: Quoting::Literal, flow: false, tagged: false };
    /// `>`
    pub const FOLDED: Style = Style { quoting: Quoting::Folded, flow: false, tagged: false };
    /// `[]` or `{}`
    pub const FLOW: Style = Style { quoting: Quoting::Plain, flow: true, tagged: false };

    /// Whether nothing about the style is set (Go's `node.Style == 0`).
    pub fn is_plain(self) -> bool {
        self == Style::PLAIN
    }
}

const NO_COMMENTS: &Comments = &Comments {
    head: Text::new_static(""),
    line: Text::new_static(""),
    foot: Text::new_static(""),
};

impl Node {
    fn new(data: Data, tag: Tag) -> Node {
        Node { data, tag, ..Node::default() }
    }

    /// A plain scalar whose type follows from its text.
    pub fn scalar(text: impl Into<Text>) -> Node {
        Node::new(Data::Scalar(text.into()), Tag::None)
    }

    /// A string: it is quoted on writing when its text alone would mean something else.
    pub fn string(text: impl Into<Text>) -> Node {
        Node::new(Data::Scalar(text.into()), Tag::Str)
    }

    /// An integer.
    pub fn int(value: i64) -> Node {
        Node::new(Data::Scalar(Text::from(value.to_string())), Tag::Int)
    }

    /// A boolean.
    pub fn bool(value: bool) -> Node {
        Node::new(Data::Scalar(Text::new_static(if value { "true" } else { "false" })), Tag::Bool)
    }

    /// `null`
    pub fn null() -> Node {
        Node::new(Data::Scalar(Text::new_static("null")), Tag::Null)
    }

    /// A block sequence.
    pub fn sequence(items: Vec<Node>) -> Node {
        Node::new(Data::Sequence(items), Tag::Seq)
    }

    /// A block mapping.
    pub fn mapping(entries: Vec<(Node, Node)>) -> Node {
        Node::new(Data::Mapping(entries), Tag::Map)
    }

    /// The same node with another style.
    pub fn with_style(mut self, style: Style) -> Node {
        self.style = style;
        self
    }

    /// The sort of content.
    pub fn kind(&self) -> Kind {
        match self.data {
            Data::Scalar(_) => Kind::Scalar,
            Data::Sequence(_) => Kind::Sequence,
            Data::Mapping(_) => Kind::Mapping,
            Data::Alias(_) => Kind::Alias,
        }
    }

    /// The name after `&`; empty without one.
    pub fn anchor(&self) -> &str {
        self.extra.as_ref().map_or("", |extra| &extra.anchor)
    }

    /// Gives the node an anchor; an empty name takes it away.
    pub fn set_anchor(&mut self, name: impl Into<Text>) {
        let name = name.into();
        if self.extra.is_some() || !name.is_empty() {
            self.extra_mut().anchor = name;
            self.tidy_extra();
        }
    }

    /// The comments; all empty without any.
    pub fn comments(&self) -> &Comments {
        self.extra.as_ref().map_or(NO_COMMENTS, |extra| &extra.comments)
    }

    /// Replaces the comments.
    pub fn set_comments(&mut self, comments: Comments) {
        if self.extra.is_some() || comments != *NO_COMMENTS {
            self.extra_mut().comments = comments;
            self.tidy_extra();
        }
    }

    /// Takes away the comments of this node and of all below.
    pub fn clear_comments(&mut self) {
        self.set_comments(Comments::default());
        match &mut self.data {
            Data::Scalar(_) | Data::Alias(_) => {}
            Data::Sequence(items) => items.iter_mut().for_each(Node::clear_comments),
            Data::Mapping(entries) => entries.iter_mut().for_each(|(key, value)| {
                key.clear_comments();
                value.clear_comments();
            }),
        }
    }

    pub(crate) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_with(Box::default)
    }

    fn tidy_extra(&mut self) {
        if self.extra.as_deref() == Some(&Extra::default()) {
            self.extra = None;
        }
    }
}
