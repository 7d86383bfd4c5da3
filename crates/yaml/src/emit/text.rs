//! The writing of characters, indentation, indicators and comments.

use super::Emitter;

pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

impl Emitter {
    pub(super) fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    /// Writes text without line breaks.
    pub(super) fn put_text(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += if text.is_ascii() { text.len() } else { text.chars().count() } as i64;
    }

    pub(super) fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
        self.indention = true;
    }

    /// Writes a line break of the text, whichever it is.
    pub(super) fn write_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
        self.indention = true;
    }

    pub(super) fn write_indent(&mut self) {
        let indent = self.indent.max(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break();
        }
        if self.foot_indent == indent {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.foot_indent = -1;
    }

    pub(super) fn indicator(&mut self, text: &str, space: bool, whitespace: bool, indention: bool) {
        if space && !self.whitespace {
            self.put(' ');
        }
        self.put_text(text);
        self.whitespace = whitespace;
        self.indention = self.indention && indention;
    }

    /// Writes an anchor's name or a part of a tag.
    pub(super) fn write_word(&mut self, text: &str) {
        self.put_text(text);
        self.whitespace = false;
        self.indention = false;
    }

    pub(super) fn head_comment(&mut self) {
        if !self.tail.is_empty() {
            let tail = std::mem::take(&mut self.tail);
            self.write_indent();
            self.comment(&tail);
            self.foot_indent = self.indent.max(0);
        }
        if !self.head.is_empty() {
            let head = std::mem::take(&mut self.head);
            self.write_indent();
            self.comment(&head);
        }
    }

    pub(super) fn line_comment(&mut self) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            if !self.whitespace {
                self.put(' ');
            }
            self.comment(&line);
        }
    }

    /// Ends the line of a block scalar's indicator.
    pub(super) fn line_comment_or_break(&mut self) {
        if self.line.is_empty() {
            self.put_break();
        } else {
            self.line_comment();
        }
    }

    pub(super) fn foot_comment(&mut self) {
        if !self.foot.is_empty() {
            let foot = std::mem::take(&mut self.foot);
            self.write_indent();
            self.comment(&foot);
            self.foot_indent = self.indent.max(0);
        }
    }

    fn comment(&mut self, text: &str) {
        let mut breaks = false;
        let mut pound = false;
        for c in text.chars() {
            if is_break(c) {
                self.write_break(c);
                breaks = true;
                pound = false;
                continue;
            }
            if breaks {
                self.write_indent();
            }
            if !pound {
                if c != '#' {
                    self.put_text("# ");
                }
                pound = true;
            }
            self.put(c);
            self.indention = false;
            breaks = false;
        }
        if !breaks {
            self.put_break();
        }
        self.whitespace = true;
    }
}
