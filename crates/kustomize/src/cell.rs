//! One node of a build's values in 32 bytes: there are some fifty for each object, and they are most of what a
//! build holds.
//!
//! Almost every node is a scalar with a text or a collection with items, under one of YAML's own tags. What is
//! anything else (a tag of one's own, a null that became a mapping and kept its text) goes to a box.

use borax_yaml::{Style, Tag, Text};

use crate::tree::NodeId;

/// The sort of a node's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Scalar,
    Mapping,
    Sequence,
}

/// A node: `yaml.Node` without comments, anchors and positions.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    body: Body,
    /// A place in [`OWN_TAGS`]; without meaning where the body is odd.
    tag: u8,
    pub(crate) style: Style,
}

#[derive(Clone, Debug)]
enum Body {
    Scalar(Text),
    Mapping(Box<[NodeId]>),
    Sequence(Box<[NodeId]>),
    Odd(Box<Parts>),
}

/// What a cell is made of.
#[derive(Clone, Debug)]
struct Parts {
    kind: Kind,
    tag: Tag,
    text: Text,
    content: Vec<NodeId>,
}

static OWN_TAGS: [Tag; 11] = [
    Tag::None,
    Tag::Str,
    Tag::Null,
    Tag::Bool,
    Tag::Int,
    Tag::Float,
    Tag::Timestamp,
    Tag::Binary,
    Tag::Merge,
    Tag::Seq,
    Tag::Map,
];

/// The place among [`OWN_TAGS`]; `None` for a tag of one's own.
fn place(tag: &Tag) -> Option<u8> {
    OWN_TAGS.iter().position(|own| own == tag).map(|at| at as u8)
}

impl Parts {
    fn packed(self, style: Style) -> Cell {
        let plain = match self.kind {
            Kind::Scalar => self.content.is_empty(),
            Kind::Mapping | Kind::Sequence => self.text.is_empty(),
        };
        let Some(tag) = place(&self.tag).filter(|_| plain) else {
            return Cell { body: Body::Odd(Box::new(self)), tag: 0, style };
        };
        let body = match self.kind {
            Kind::Scalar => Body::Scalar(self.text),
            Kind::Mapping => Body::Mapping(self.content.into()),
            Kind::Sequence => Body::Sequence(self.content.into()),
        };
        Cell { body, tag, style }
    }
}

impl Cell {
    pub(crate) fn scalar(tag: Tag, style: Style, text: Text) -> Cell {
        Parts { kind: Kind::Scalar, tag, text, content: Vec::new() }.packed(style)
    }

    /// A node with items, or with keys and values in turn.
    pub(crate) fn collection(kind: Kind, tag: Tag, style: Style, content: Vec<NodeId>) -> Cell {
        Parts { kind, tag, text: Text::default(), content }.packed(style)
    }

    pub(crate) fn kind(&self) -> Kind {
        match &self.body {
            Body::Scalar(_) => Kind::Scalar,
            Body::Mapping(_) => Kind::Mapping,
            Body::Sequence(_) => Kind::Sequence,
            Body::Odd(parts) => parts.kind,
        }
    }

    pub(crate) fn tag(&self) -> &Tag {
        match &self.body {
            Body::Odd(parts) => &parts.tag,
            _ => &OWN_TAGS[usize::from(self.tag)],
        }
    }

    /// A scalar's text; that of a collection means nothing, and is empty as a rule.
    pub(crate) fn text(&self) -> &Text {
        const NONE: &Text = &Text::new_static("");
        match &self.body {
            Body::Scalar(text) => text,
            Body::Mapping(_) | Body::Sequence(_) => NONE,
            Body::Odd(parts) => &parts.text,
        }
    }

    /// Items, or keys and values in turn.
    pub(crate) fn content(&self) -> &[NodeId] {
        match &self.body {
            Body::Scalar(_) => &[],
            Body::Mapping(content) | Body::Sequence(content) => content,
            Body::Odd(parts) => &parts.content,
        }
    }

    /// The items, to replace each by another one.
    pub(crate) fn content_mut(&mut self) -> &mut [NodeId] {
        match &mut self.body {
            Body::Scalar(_) => &mut [],
            Body::Mapping(content) | Body::Sequence(content) => content,
            Body::Odd(parts) => &mut parts.content,
        }
    }

    /// Gives the node another kind and tag, and leaves text and items.
    pub(crate) fn set_kind(&mut self, kind: Kind, tag: Tag) {
        self.change(|parts| (parts.kind, parts.tag) = (kind, tag));
    }

    pub(crate) fn set_tag(&mut self, tag: Tag) {
        self.set_kind(self.kind(), tag);
    }

    pub(crate) fn set_text(&mut self, text: Text) {
        match &mut self.body {
            Body::Scalar(old) => *old = text,
            _ => self.change(|parts| parts.text = text),
        }
    }

    /// Changes the list of items.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Vec<NodeId>)) {
        self.change(|parts| change(&mut parts.content));
    }

    fn change(&mut self, change: impl FnOnce(&mut Parts)) {
        let (kind, tag) = (self.kind(), self.tag().clone());
        let mut parts = match std::mem::replace(&mut self.body, Body::Scalar(Text::default())) {
            Body::Scalar(text) => Parts { kind, tag, text, content: Vec::new() },
            Body::Mapping(content) | Body::Sequence(content) => {
                Parts { kind, tag, text: Text::default(), content: content.into_vec() }
            }
            Body::Odd(parts) => *parts,
        };
        change(&mut parts);
        *self = parts.packed(self.style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_takes_32_bytes() {
        assert_eq!(size_of::<Cell>(), 32);
    }

    #[test]
    fn what_fits_no_packed_form_is_kept_too() {
        let own = Tag::Other("!own".into());
        let mut cell = Cell::scalar(own.clone(), Style::SINGLE, "text".into());
        assert_eq!((cell.kind(), cell.tag(), cell.text().as_str()), (Kind::Scalar, &own, "text"));
        cell.set_kind(Kind::Mapping, Tag::None);
        assert_eq!(
            (cell.kind(), cell.tag(), cell.text().as_str()),
            (Kind::Mapping, &Tag::None, "text")
        );
        cell.set_text(Text::default());
        assert!(matches!(cell.body, Body::Mapping(_)), "a plain mapping again");
        assert_eq!(cell.style, Style::SINGLE);
    }
}
