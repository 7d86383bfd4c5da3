//! What scalars mean, for code that keeps trees of its own. Owns only the public face of the
//! resolvers; does not know documents.

use crate::resolve::{self, Resolved};
use crate::scan::Dialect;
use crate::{Tag, timestamp};

/// What a scalar's text means.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer beyond `i64`.
    Uint(u64),
    /// A number, maybe infinite or NaN.
    Float(f64),
    /// A point in time, in RFC 3339 as Go's `encoding/json` prints it.
    Time(String),
    /// The text itself.
    Text,
}

impl Meaning {
    /// What go-yaml v3 takes a plain text with this tag for ([`Tag::None`]: as the text suggests).
    /// `None`: the text does not fit the tag.
    pub fn of(text: &str, tag: &Tag) -> Option<Meaning> {
        Some(match resolve::tagged(text, tag, Dialect::V3)? {
            Resolved::Null => Meaning::Null,
            Resolved::Bool(value) => Meaning::Bool(value),
            Resolved::Int(value) => Meaning::Int(value),
            Resolved::Uint(value) => Meaning::Uint(value),
            Resolved::Float(value) => Meaning::Float(value),
            Resolved::Timestamp => Meaning::Time(timestamp::parse(text)?.rfc3339()),
            Resolved::Str => Meaning::Text,
        })
    }

    /// The tag of a plain text (go-yaml v3's `resolve`).
    pub fn tag_of(text: &str) -> Tag {
        resolve::implicit_tag(text, crate::Quoting::Plain)
    }

    /// Whether YAML 1.1 (go-yaml v2) reads a plain text as anything but a string.
    pub fn is_not_text_in_yaml11(text: &str) -> bool {
        !matches!(resolve::plain(text, Dialect::V2), Resolved::Str)
    }
}
