//! Tags of nodes in go-yaml's short form (`!!str`). Owns their names; does not know how a plain
//! scalar's text decides its tag.

use std::fmt;
use std::sync::Arc;

const LONG_PREFIX: &str = "tag:yaml.org,2002:";

/// A node's tag, as `yaml.Node.Tag` holds it after parsing (short form).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tag {
    /// No tag is recorded; it follows from the text and the style.
    #[default]
    None,
    /// `!!str`
    Str,
    /// `!!null`
    Null,
    /// `!!bool`
    Bool,
    /// `!!int`
    Int,
    /// `!!float`
    Float,
    /// `!!timestamp`
    Timestamp,
    /// `!!binary`
    Binary,
    /// `!!merge`, the tag of a plain `<<` key.
    Merge,
    /// `!!seq`
    Seq,
    /// `!!map`
    Map,
    /// Any other tag, in short form where it has one (`!!set`, `!local`, `tag:example.com,2000:x`).
    Other(Arc<str>),
}

impl Tag {
    /// The tag that `text` names, in long or short form. The empty text is [`Tag::None`].
    pub fn parse(text: &str) -> Tag {
        let name = text.strip_prefix(LONG_PREFIX).or_else(|| text.strip_prefix("!!"));
        match name {
            Some("str") => Tag::Str,
            Some("null") => Tag::Null,
            Some("bool") => Tag::Bool,
            Some("int") => Tag::Int,
            Some("float") => Tag::Float,
            Some("timestamp") => Tag::Timestamp,
            Some("binary") => Tag::Binary,
            Some("merge") => Tag::Merge,
            Some("seq") => Tag::Seq,
            Some("map") => Tag::Map,
            Some(name) => Tag::Other(format!("!!{name}").into()),
            None if text.is_empty() => Tag::None,
            None => Tag::Other(text.into()),
        }
    }

    /// The short form (`!!str`); empty for [`Tag::None`].
    pub fn as_str(&self) -> &str {
        match self {
            Tag::None => "",
            Tag::Str => "!!str",
            Tag::Null => "!!null",
            Tag::Bool => "!!bool",
            Tag::Int => "!!int",
            Tag::Float => "!!float",
            Tag::Timestamp => "!!timestamp",
            Tag::Binary => "!!binary",
            Tag::Merge => "!!merge",
            Tag::Seq => "!!seq",
            Tag::Map => "!!map",
            Tag::Other(name) => name,
        }
    }

    /// The long form (`tag:yaml.org,2002:str`) where the tag belongs to YAML itself.
    pub fn long(&self) -> String {
        let short = self.as_str();
        match short.strip_prefix("!!") {
            Some(name) => format!("{LONG_PREFIX}{name}"),
            None => short.to_owned(),
        }
    }

    /// Whether no tag is recorded.
    pub fn is_none(&self) -> bool {
        *self == Tag::None
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
