//! Scalars: which style a text allows, and the writing of each style; tags.

use super::text::is_break;
use super::{Emitter, Place};
use crate::Quoting;

/// What a text allows.
struct Allowed {
    multiline: bool,
    flow_plain: bool,
    block_plain: bool,
    single: bool,
    block: bool,
}

const LONG_PREFIX: &str = "tag:yaml.org,2002:";

/// A long tag as it is written: with the handle `!!` or `!`, or verbatim without one.
pub(super) fn split_tag(tag: &str) -> (&'static str, &str) {
    if let Some(suffix) = tag.strip_prefix('!') {
        ("!", suffix)
    } else if let Some(suffix) = tag.strip_prefix(LONG_PREFIX) {
        ("!!", suffix)
    } else {
        ("", tag)
    }
}

impl Emitter {
    pub(super) fn tag(&mut self, tag: &str) {
        if tag.is_empty() {
            return;
        }
        let (handle, suffix) = split_tag(tag);
        if handle.is_empty() {
            self.indicator("!<", true, false, false);
            self.tag_content(suffix);
            self.indicator(">", false, false, false);
        } else {
            if !self.whitespace {
                self.put(' ');
            }
            self.write_word(handle);
            self.tag_content(suffix);
        }
    }

    fn tag_content(&mut self, content: &str) {
        for &b in content.as_bytes() {
            if b.is_ascii_alphanumeric() || b"-_;/?:@&=+$,.~*'()[]".contains(&b) {
                self.put(char::from(b));
            } else {
                self.put_text(&format!("%{b:02X}"));
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    pub(super) fn scalar(&mut self, text: &str, quoting: Quoting, tag: &str, place: Place) {
        let allowed = self.analyze(text);
        let mut style = quoting;
        if place.simple_key && allowed.multiline {
            style = Quoting::Double;
        }
        if style == Quoting::Plain {
            let plain = if self.flow_level > 0 { allowed.flow_plain } else { allowed.block_plain };
            if !plain || (text.is_empty() && (self.flow_level > 0 || place.simple_key)) {
                style = Quoting::Single;
            }
        }
        if style == Quoting::Single && !allowed.single {
            style = Quoting::Double;
        }
        if matches!(style, Quoting::Literal | Quoting::Folded)
            && (!allowed.block || self.flow_level > 0 || place.simple_key)
        {
            style = Quoting::Double;
        }
        self.tag(tag);
        let before = self.increase_indent(true, false, false, place);
        let breaks = !place.simple_key;
        match style {
            Quoting::Plain => self.plain(text, breaks),
            Quoting::Single => self.single_quoted(text, breaks),
            Quoting::Double => self.double_quoted(text, breaks),
            Quoting::Literal => self.literal(text),
            Quoting::Folded => self.folded(text),
        }
        self.indent = before;
    }

    fn analyze(&self, text: &str) -> Allowed {
        if text.is_empty() {
            return Allowed {
                multiline: false,
                flow_plain: false,
                block_plain: true,
                single: true,
                block: false,
            };
        }
        let mut block_indicators = text.starts_with("---") || text.starts_with("...");
        let mut flow_indicators = block_indicators;
        let (mut breaks, mut special, mut tabs) = (false, false, false);
        let (mut leading, mut trailing_space, mut trailing_break) = (false, false, false);
        let (mut break_space, mut space_break) = (false, false);
        let mut after_blank = true;
        let (mut after_space, mut after_break) = (false, false);

        let bytes = text.as_bytes();
        for (at, c) in text.char_indices() {
            let next = bytes.get(at + c.len_utf8());
            let before_blank = matches!(next, None | Some(b' ' | b'\t'));
            if at == 0 {
                match c {
                    '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\''
                    | '"' | '%' | '@' | '`' => {
                        flow_indicators = true;
                        block_indicators = true;
                    }
                    '?' | ':' => {
                        flow_indicators = true;
                        block_indicators |= before_blank;
                    }
                    '-' if before_blank => {
                        flow_indicators = true;
                        block_indicators = true;
                    }
                    _ => {}
                }
            } else {
                match c {
                    ',' | '?' | '[' | ']' | '{' | '}' => flow_indicators = true,
                    ':' => {
                        flow_indicators = true;
                        block_indicators |= before_blank;
                    }
                    '#' if after_blank => {
                        flow_indicators = true;
                        block_indicators = true;
                    }
                    _ => {}
                }
            }
            if c == '\t' && !self.layout.v2 {
                tabs = true;
            } else if !is_printable(c) {
                special = true;
            }
            if c == ' ' {
                leading |= at == 0;
                trailing_space |= next.is_none();
                break_space |= after_break;
                (after_space, after_break) = (true, false);
            } else if is_break(c) {
                breaks = true;
                leading |= at == 0;
                trailing_break |= next.is_none();
                space_break |= after_space;
                (after_space, after_break) = (false, true);
            } else {
                (after_space, after_break) = (false, false);
            }
            after_blank = c == ' ' || c == '\t' || is_break(c);
        }
        let quoted_only = break_space || space_break || tabs || special;
        let plain = !(leading || trailing_space || trailing_break || quoted_only || breaks);
        Allowed {
            multiline: breaks,
            flow_plain: plain && !flow_indicators,
            block_plain: plain && !block_indicators,
            single: !quoted_only,
            block: !(trailing_space || space_break || special),
        }
    }

    fn plain(&mut self, text: &str, allow_breaks: bool) {
        if !self.whitespace && (self.layout.v2 || !text.is_empty()) {
            self.put(' ');
        }
        self.lines(text, allow_breaks, false);
        if self.layout.v2 || !text.is_empty() {
            self.whitespace = false;
        }
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str, allow_breaks: bool) {
        self.indicator("'", true, false, false);
        self.lines(text, allow_breaks, true);
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    /// Writes plain or single-quoted text, folding long lines at spaces.
    fn lines(&mut self, text: &str, allow_breaks: bool, quoted: bool) {
        let special = |b: u8| b >= 0x80 || b == b'\n' || b == b'\r' || (quoted && b == b'\'');
        let fits = !allow_breaks || self.layout.width - self.column >= text.len() as i64;
        if fits && !text.bytes().any(special) {
            self.put_text(text);
            if !text.is_empty() {
                self.indention = false;
            }
            return;
        }
        let (mut spaces, mut breaks) = (false, false);
        let bytes = text.as_bytes();
        for (at, c) in text.char_indices() {
            if c == ' ' {
                let inside = !quoted || (at > 0 && at < text.len() - 1);
                if allow_breaks
                    && !spaces
                    && self.column > self.layout.width
                    && inside
                    && bytes.get(at + 1) != Some(&b' ')
                {
                    self.write_indent();
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(c) {
                if !breaks && c == '\n' {
                    self.put_break();
                }
                self.write_break(c);
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                if quoted && c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
        }
    }

    fn double_quoted(&mut self, text: &str, allow_breaks: bool) {
        self.indicator("\"", true, false, false);
        // The original looks for the mark at the text's beginning whichever character it is at.
        let escape_all = text.starts_with('\u{FEFF}');
        let mut spaces = false;
        let bytes = text.as_bytes();
        for (at, c) in text.char_indices() {
            if escape_all || !is_printable(c) || is_break(c) || c == '"' || c == '\\' {
                self.escape(c);
                spaces = false;
            } else if c == ' ' {
                if allow_breaks
                    && !spaces
                    && self.column > self.layout.width
                    && at > 0
                    && at < text.len() - 1
                {
                    self.write_indent();
                    if bytes.get(at + 1) == Some(&b' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn escape(&mut self, c: char) {
        let short = match c {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0B' => 'v',
            '\x0C' => 'f',
            '\r' => 'r',
            '\x1B' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{A0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = u32::from(c);
                let text = match code {
                    0..=0xFF => format!("\\x{code:02X}"),
                    0x100..=0xFFFF => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
                self.put_text(&text);
                return;
            }
        };
        self.put('\\');
        self.put(short);
    }

    fn block_hints(&mut self, text: &str) {
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            let hint = self.layout.indent.to_string();
            self.indicator(&hint, false, false, false);
        }
        let mut from_end = text.chars().rev();
        let last = from_end.next().is_some_and(is_break);
        let hint = if !last {
            "-"
        } else if from_end.next().is_none_or(is_break) {
            "+"
        } else {
            ""
        };
        if !hint.is_empty() {
            self.indicator(hint, false, false, false);
        }
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        self.block_hints(text);
        self.line_comment_or_break();
        self.whitespace = true;
        let mut rest = text;
        while !rest.is_empty() {
            let len = rest.find(is_break).unwrap_or(rest.len());
            if len > 0 {
                self.write_indent();
                self.put_text(&rest[..len]);
                self.indention = false;
                rest = &rest[len..];
            }
            if let Some(c) = rest.chars().next() {
                self.write_break(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }

    fn folded(&mut self, text: &str) {
        self.indicator(">", true, false, false);
        self.block_hints(text);
        self.line_comment_or_break();
        self.whitespace = true;
        // The original looks after the breaks at the text's beginning, not at this place.
        let blank_first = text.trim_start_matches(is_break).starts_with([' ', '\t', '\0']);
        let bytes = text.as_bytes();
        let (mut breaks, mut leading_spaces) = (true, true);
        for (at, c) in text.char_indices() {
            if is_break(c) {
                if !breaks && !leading_spaces && c == '\n' && !blank_first {
                    self.put_break();
                }
                self.write_break(c);
                breaks = true;
                continue;
            }
            if breaks {
                self.write_indent();
                leading_spaces = c == ' ' || c == '\t';
            }
            let next_is_space = bytes.get(at + 1) == Some(&b' ');
            if !breaks && c == ' ' && !next_is_space && self.column > self.layout.width {
                self.write_indent();
            } else {
                self.put(c);
            }
            self.indention = false;
            breaks = false;
        }
    }
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}')
        && c != '\u{FEFF}'
}
