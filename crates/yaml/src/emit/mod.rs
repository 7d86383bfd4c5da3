//! From trees to text, as go-yaml's emitters write. One emitter serves v2 and v3, which differ in
//! indentation, width and comments. Owns layout; what a scalar's style should be is decided by
//! whoever describes the tree.

mod collection;
mod scalar;
mod text;

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};
use crate::{Quoting, Text};

/// How the text shall look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Follow go-yaml v2, else v3.
    pub(crate) v2: bool,
    pub(crate) indent: i64,
    /// Columns after which lines are folded at the next space.
    pub(crate) width: i64,
    /// `- ` counts as indentation of a sequence in a mapping.
    pub(crate) compact: bool,
}

impl Layout {
    /// go-yaml v2's only layout.
    pub(crate) const V2: Layout = Layout { v2: true, indent: 2, width: 80, compact: false };

    /// v3's, with an indentation from 2 to 9.
    pub(crate) fn v3(indent: i64, compact: bool) -> Layout {
        let indent = if (2..=9).contains(&indent) { indent } else { 2 };
        Layout { v2: false, indent, width: i64::MAX, compact }
    }
}

/// A tree as the emitter walks it.
pub(crate) trait Tree<'a>: Copy {
    fn describe(self) -> Result<Described<'a, Self>, Error>;
}

/// One node with all that is written of it.
pub(crate) struct Described<'a, T> {
    pub(crate) shape: Shape<'a, T>,
    pub(crate) anchor: &'a str,
    /// In long form; empty when none shall be written.
    pub(crate) tag: Cow<'a, str>,
    /// Comments of the start and of the end. A collection's line and foot belong to its end.
    pub(crate) head: Text,
    pub(crate) line: Text,
    pub(crate) foot: Text,
}

pub(crate) enum Shape<'a, T> {
    Scalar(Cow<'a, str>, Quoting),
    Sequence { flow: bool, items: Vec<T> },
    Mapping { flow: bool, entries: Vec<Entry<T>> },
    Alias(&'a str),
}

/// A key, its value, and the foot comment that is written after the value.
pub(crate) struct Entry<T> {
    pub(crate) key: T,
    pub(crate) value: T,
    pub(crate) foot: Text,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    mapping: bool,
    simple_key: bool,
    /// Directly after the `- ` of a block sequence.
    block_item: bool,
    /// What follows once the node has begun.
    after: After,
}

/// What the surrounding collection does once a node has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum After {
    #[default]
    Nothing,
    /// Writes line and foot comments.
    Comments,
    /// The same in a flow collection, where the comma comes before them.
    FlowComments,
}

pub(crate) struct Emitter {
    pub(crate) out: String,
    layout: Layout,
    indent: i64,
    column: i64,
    /// The last character was white space.
    whitespace: bool,
    /// Only indentation and indicators stand in this line so far.
    indention: bool,
    /// A foot comment was written at this indentation; an empty line follows it.
    foot_indent: i64,
    flow_level: u32,
    documents: u32,
    head: Text,
    line: Text,
    foot: Text,
    tail: Text,
    key_line: Text,
}

impl Emitter {
    pub(crate) fn new(layout: Layout) -> Emitter {
        Emitter {
            out: String::new(),
            layout,
            indent: -1,
            column: 0,
            whitespace: true,
            indention: true,
            foot_indent: -1,
            flow_level: 0,
            documents: 0,
            head: Text::default(),
            line: Text::default(),
            foot: Text::default(),
            tail: Text::default(),
            key_line: Text::default(),
        }
    }

    /// Writes one document; from the second on with `---` before it.
    pub(crate) fn document<'a, T: Tree<'a>>(
        &mut self,
        root: T,
        head: &Text,
        foot: &Text,
    ) -> Result<(), Error> {
        if self.documents > 0 {
            self.write_indent();
            self.indicator("---", true, false, false);
            self.write_indent();
        }
        self.documents += 1;
        if !head.is_empty() {
            self.head = head.clone();
            self.head_comment();
            self.put_break();
        }
        let place = Place { after: After::Comments, ..Place::default() };
        let described = root.describe()?;
        self.take_comments(&described);
        self.head_comment();
        self.node(described, place)?;
        if !foot.is_empty() {
            self.foot = foot.clone();
        }
        self.foot_indent = 0;
        self.foot_comment();
        self.foot_indent = -1;
        self.write_indent();
        Ok(())
    }

    /// The comments that are known when a node begins.
    fn take_comments<T>(&mut self, described: &Described<'_, T>) {
        replace(&mut self.head, &described.head);
        if matches!(described.shape, Shape::Scalar(..) | Shape::Alias(_)) {
            replace(&mut self.line, &described.line);
            replace(&mut self.foot, &described.foot);
        }
    }

    fn has_trailing_comments(&self) -> bool {
        !(self.line.is_empty() && self.foot.is_empty() && self.tail.is_empty())
    }

    fn node<'a, T: Tree<'a>>(
        &mut self,
        described: Described<'a, T>,
        place: Place,
    ) -> Result<(), Error> {
        let Described { shape, anchor, tag, line, foot, .. } = described;
        match shape {
            Shape::Alias(name) => {
                check_anchor(name, "alias")?;
                self.indicator("*", true, false, false);
                self.write_word(name);
                self.after(place);
            }
            Shape::Scalar(text, quoting) => {
                self.anchor(anchor)?;
                self.scalar(&text, quoting, &tag, place);
                self.after(place);
            }
            Shape::Sequence { flow, items } => {
                self.anchor(anchor)?;
                self.tag(&tag);
                self.after(place);
                if self.flow_level > 0 || flow || items.is_empty() {
                    self.flow_sequence(items, place, &line, &foot)?;
                } else {
                    self.block_sequence(items, place, &line, &foot)?;
                }
            }
            Shape::Mapping { flow, entries } => {
                self.anchor(anchor)?;
                self.tag(&tag);
                self.after(place);
                if self.flow_level > 0 || flow || entries.is_empty() {
                    self.flow_mapping(entries, place, &line, &foot)?;
                } else {
                    self.block_mapping(entries, place, &line, &foot)?;
                }
            }
        }
        Ok(())
    }

    fn after(&mut self, place: Place) {
        match place.after {
            After::Nothing => {}
            After::Comments => {
                self.line_comment();
                self.foot_comment();
            }
            After::FlowComments => {
                if self.has_trailing_comments() {
                    self.indicator(",", false, false, false);
                }
                self.line_comment();
                self.foot_comment();
            }
        }
    }

    fn anchor(&mut self, name: &str) -> Result<(), Error> {
        if !name.is_empty() {
            check_anchor(name, "anchor")?;
            self.indicator("&", true, false, false);
            self.write_word(name);
        }
        Ok(())
    }

    /// Goes one level in and gives the level to come back to.
    fn increase_indent(
        &mut self,
        flow: bool,
        indentless: bool,
        compact: bool,
        place: Place,
    ) -> i64 {
        let before = self.indent;
        let step = self.layout.indent;
        if self.indent < 0 {
            self.indent = if flow { step } else { 0 };
        } else if !indentless {
            if self.layout.v2 {
                self.indent += step;
            } else if place.block_item {
                self.indent += 2;
            } else {
                self.indent = step * ((self.indent + step) / step);
                if compact {
                    self.indent -= 2;
                }
            }
        }
        before
    }
}

fn replace(old: &mut Text, new: &Text) {
    if !new.is_empty() {
        *old = new.clone();
    }
}

fn check_anchor(name: &str, what: &str) -> Result<(), Error> {
    let fault = if name.is_empty() {
        "value must not be empty"
    } else if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        return Ok(());
    } else {
        "value must contain alphanumerical characters only"
    };
    Err(Error::new(ErrorKind::Content, 0, 0, format!("yaml: {what} {fault}")))
}
