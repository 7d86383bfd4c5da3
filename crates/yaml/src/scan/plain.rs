//! Scalars without quotes.

use std::borrow::Cow;

use super::{Scan, Scanner, Token, TokenKind};
use crate::Quoting;

const BLANK_OR_BREAK: u8 = 1;
const COLON: u8 = 2;
const FLOW: u8 = 4;

/// What a byte can mean inside a plain scalar.
const MEANING: [u8; 256] = {
    let mut table = [0; 256];
    let ends = [b' ', b'\t', b'\r', b'\n', 0, 0xC2, 0xE2];
    let mut at = 0;
    while at < ends.len() {
        table[ends[at] as usize] = BLANK_OR_BREAK;
        at += 1;
    }
    let flow = *b",?[]{}";
    let mut at = 0;
    while at < flow.len() {
        table[flow[at] as usize] = FLOW;
        at += 1;
    }
    table[b':' as usize] = COLON;
    table
};

impl Scanner<'_> {
    pub(super) fn scan_plain(&mut self) -> Scan<()> {
        let start = self.mark();
        let mut end = start;
        let indent = self.indent + 1;
        // What stands in the text unchanged from here on, blanks within a line included.
        let mut piece = self.pos;
        let mut joined = String::new();
        let mut leading_blanks = false;
        let mut leading_break = "";
        let mut more_breaks = String::new();

        loop {
            if self.at_document_indicator() || self.byte(0) == b'#' {
                break;
            }
            let run = self.plain_run();
            if run > 0 {
                if leading_blanks {
                    joined.push_str(self.slice(piece, end.pos as usize));
                    fold(&mut joined, leading_break, &mut more_breaks);
                    leading_blanks = false;
                    piece = self.pos;
                }
                self.skip_text(self.pos + run);
                end = self.mark();
            }
            if !self.is_blank(0) && !self.is_break(0) {
                break;
            }
            loop {
                match self.byte(0) {
                    b'\t' if leading_blanks && self.column() < indent => {
                        return Err(
                            self.error(start, "found a tab character that violates indentation")
                        );
                    }
                    b' ' | b'\t' => self.pos += 1,
                    _ => {
                        let line = self.read_line();
                        if line.is_empty() {
                            break;
                        }
                        if leading_blanks {
                            more_breaks.push_str(line);
                        } else {
                            leading_break = line;
                            leading_blanks = true;
                        }
                    }
                }
            }
            if self.flow_level == 0 && self.column() < indent {
                break;
            }
        }
        let tail = self.slice(piece, end.pos as usize);
        let value = if joined.is_empty() {
            Cow::Borrowed(tail)
        } else {
            joined.push_str(tail);
            Cow::Owned(joined)
        };
        let quoting = Quoting::Plain;
        self.tokens.push(Token { kind: TokenKind::Scalar, quoting, start, end, value });
        if leading_blanks {
            self.simple_key_allowed = true;
        }
        Ok(())
    }

    /// Bytes from here on that belong to the scalar and are neither blank nor a break.
    fn plain_run(&self) -> usize {
        let bytes = &self.text.as_bytes()[self.pos..];
        let mask = if self.flow_level > 0 {
            BLANK_OR_BREAK | COLON | FLOW
        } else {
            BLANK_OR_BREAK | COLON
        };
        let mut at = 0;
        while let Some(&b) = bytes.get(at) {
            let meaning = MEANING[b as usize] & mask;
            if meaning != 0 {
                let ends = match meaning {
                    COLON => self.is_blank_or_end(at + 1),
                    BLANK_OR_BREAK => self.is_blank_or_end(at),
                    _ => true,
                };
                if ends {
                    break;
                }
            }
            at += 1;
        }
        at
    }
}

/// Joins two lines of a scalar: one break is a space, more are one less.
pub(super) fn fold(text: &mut String, leading_break: &str, more_breaks: &mut String) {
    if leading_break == "\n" {
        if more_breaks.is_empty() {
            text.push(' ');
        }
    } else {
        text.push_str(leading_break);
    }
    text.push_str(more_breaks);
    more_breaks.clear();
}
