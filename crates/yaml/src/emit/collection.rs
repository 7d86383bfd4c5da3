//! Sequences and mappings, in block and in flow form.

use super::{After, Described, Emitter, Entry, Place, Shape, Tree, replace};
use crate::Text;
use crate::error::Error;

/// Keys up to this long (with tag and anchor) are written without `?`.
const SIMPLE_KEY: usize = 128;

impl Emitter {
    pub(super) fn block_sequence<'a, T: Tree<'a>>(
        &mut self,
        items: Vec<T>,
        place: Place,
        line: &Text,
        foot: &Text,
    ) -> Result<(), Error> {
        let fresh = self.column == 0 || !self.indention;
        let compact = place.mapping && fresh && self.layout.compact;
        let indentless = self.layout.v2 && place.mapping && !self.indention;
        let before = self.increase_indent(false, indentless, compact, place);
        for item in items {
            let described = item.describe()?;
            self.take_comments(&described);
            self.head_comment();
            self.write_indent();
            self.indicator("-", true, false, true);
            let place = Place { block_item: true, after: After::Comments, ..Place::default() };
            self.node(described, place)?;
        }
        replace(&mut self.line, line);
        replace(&mut self.foot, foot);
        self.indent = before;
        Ok(())
    }

    pub(super) fn block_mapping<'a, T: Tree<'a>>(
        &mut self,
        entries: Vec<Entry<T>>,
        place: Place,
        line: &Text,
        foot: &Text,
    ) -> Result<(), Error> {
        let before = self.increase_indent(false, false, false, place);
        let mut tail = Text::default();
        for Entry { key, value, foot } in entries {
            let key = self.key(key, &tail)?;
            tail = foot;
            self.head_comment();
            self.write_indent();
            if !self.line.is_empty() {
                // Written with the value.
                self.key_line = std::mem::take(&mut self.line);
            }
            let simple = is_simple_key(&key);
            if !simple {
                self.indicator("?", true, false, true);
            }
            let place = Place { mapping: true, simple_key: simple, ..Place::default() };
            self.node(key, place)?;

            let value = value.describe()?;
            self.take_comments(&value);
            if simple {
                self.indicator(":", false, false, false);
            } else {
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            if !self.key_line.is_empty() {
                self.key_line_comment(&value);
            }
            let place = Place { mapping: true, after: After::Comments, ..Place::default() };
            self.node(value, place)?;
        }
        replace(&mut self.tail, &tail);
        replace(&mut self.line, line);
        replace(&mut self.foot, foot);
        self.head_comment();
        self.indent = before;
        Ok(())
    }

    /// A key with the foot of the entry before it; its own foot is written after its value.
    fn key<'a, T: Tree<'a>>(&mut self, key: T, tail: &Text) -> Result<Described<'a, T>, Error> {
        let mut key = key.describe()?;
        key.foot = Text::default();
        // The original forgets it before a key that is a sequence or an alias.
        if matches!(key.shape, Shape::Scalar(..) | Shape::Mapping { .. }) {
            replace(&mut self.tail, tail);
        }
        self.take_comments(&key);
        Ok(key)
    }

    /// A key's line comment is written with a scalar value, or before a block that follows.
    fn key_line_comment<T>(&mut self, value: &Described<'_, T>) {
        match &value.shape {
            Shape::Scalar(..) if self.line.is_empty() => {
                self.line = std::mem::take(&mut self.key_line);
            }
            Shape::Sequence { flow: false, .. } | Shape::Mapping { flow: false, .. } => {
                std::mem::swap(&mut self.line, &mut self.key_line);
                self.line_comment();
                std::mem::swap(&mut self.line, &mut self.key_line);
            }
            _ => {}
        }
    }

    pub(super) fn flow_sequence<'a, T: Tree<'a>>(
        &mut self,
        items: Vec<T>,
        place: Place,
        line: &Text,
        foot: &Text,
    ) -> Result<(), Error> {
        self.indicator("[", true, true, false);
        let before = self.increase_indent(true, false, false, place);
        self.flow_level += 1;
        let mut comma = false;
        for item in items {
            let described = item.describe()?;
            self.take_comments(&described);
            comma = self.flow_entry_start(comma);
            let place = Place { after: After::FlowComments, ..Place::default() };
            self.node(described, place)?;
        }
        replace(&mut self.line, line);
        replace(&mut self.foot, foot);
        self.flow_level -= 1;
        self.indent = before;
        if self.column == 0 && !self.layout.v2 {
            self.write_indent();
        }
        self.indicator("]", false, false, false);
        self.line_comment();
        self.foot_comment();
        Ok(())
    }

    /// The comma and the comments before an entry. Gives whether the next one needs a comma: after
    /// trailing comments, the comma was written before them.
    fn flow_entry_start(&mut self, comma: bool) -> bool {
        if comma {
            self.indicator(",", false, false, false);
        }
        self.head_comment();
        if self.column == 0 && !self.layout.v2 {
            self.write_indent();
        }
        if self.column > self.layout.width {
            self.write_indent();
        }
        !self.has_trailing_comments()
    }

    pub(super) fn flow_mapping<'a, T: Tree<'a>>(
        &mut self,
        entries: Vec<Entry<T>>,
        place: Place,
        line: &Text,
        foot: &Text,
    ) -> Result<(), Error> {
        self.indicator("{", true, true, false);
        let before = self.increase_indent(true, false, false, place);
        self.flow_level += 1;
        let mut tail = Text::default();
        let mut comma = false;
        let first = entries.is_empty();
        for Entry { key, value, foot } in entries {
            let key = self.key(key, &tail)?;
            tail = foot;
            self.flow_entry_start(comma);
            let simple = is_simple_key(&key);
            if !simple {
                self.indicator("?", true, false, false);
            }
            let place = Place { mapping: true, simple_key: simple, ..Place::default() };
            self.node(key, place)?;

            let value = value.describe()?;
            self.take_comments(&value);
            if !simple && self.column > self.layout.width {
                self.write_indent();
            }
            self.indicator(":", !simple, false, false);
            comma = !self.has_trailing_comments();
            let place = Place { mapping: true, after: After::FlowComments, ..Place::default() };
            self.node(value, place)?;
        }
        replace(&mut self.tail, &tail);
        replace(&mut self.line, line);
        replace(&mut self.foot, foot);
        let pending = !(self.head.is_empty() && self.foot.is_empty() && self.tail.is_empty());
        if pending && !first && comma {
            self.indicator(",", false, false, false);
        }
        self.head_comment();
        self.flow_level -= 1;
        self.indent = before;
        self.indicator("}", false, false, false);
        self.line_comment();
        self.foot_comment();
        Ok(())
    }
}

fn is_simple_key<T>(key: &Described<'_, T>) -> bool {
    let length = match &key.shape {
        Shape::Alias(name) => name.len(),
        Shape::Scalar(text, _) => {
            if text.contains(super::text::is_break) {
                return false;
            }
            key.anchor.len() + tag_length(&key.tag) + text.len()
        }
        Shape::Sequence { items, .. } if items.is_empty() => {
            key.anchor.len() + tag_length(&key.tag)
        }
        Shape::Mapping { entries, .. } if entries.is_empty() => {
            key.anchor.len() + tag_length(&key.tag)
        }
        _ => return false,
    };
    length <= SIMPLE_KEY
}

fn tag_length(tag: &str) -> usize {
    let (handle, suffix) = super::scalar::split_tag(tag);
    handle.len() + suffix.len()
}
