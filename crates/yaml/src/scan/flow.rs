//! Scalars in single and double quotes.

use std::borrow::Cow;

use super::plain::fold;
use super::{Mark, Scan, Scanner, Token, TokenKind};
use crate::Quoting;

impl Scanner<'_> {
    pub(super) fn scan_quoted(&mut self, single: bool) -> Scan<()> {
        let start = self.mark();
        self.skip_ascii(1);
        let quote = if single { b'\'' } else { b'"' };
        let first = self.pos;
        // What stands in the text unchanged from here on.
        let mut piece = self.pos;
        let mut joined: Option<String> = None;
        let mut more_breaks = String::new();

        loop {
            if self.at_document_indicator() {
                return Err(self.error(start, "found unexpected document indicator"));
            }
            if self.byte(0) == 0 {
                return Err(self.error(start, "found unexpected end of stream"));
            }
            let mut leading_blanks = false;
            let mut leading_break = "";
            loop {
                let run = self.quoted_run(quote);
                if run > 0 {
                    self.skip_text(self.pos + run);
                }
                match self.byte(0) {
                    b'\'' if single && self.byte(1) == b'\'' => {
                        let text = joined.get_or_insert_default();
                        text.push_str(self.slice(piece, self.pos + 1));
                        self.skip_ascii(2);
                        piece = self.pos;
                    }
                    b'\\' if !single => {
                        let text = joined.get_or_insert_default();
                        text.push_str(self.slice(piece, self.pos));
                        if self.is_break(1) {
                            self.skip_ascii(1);
                            self.read_line();
                            piece = self.pos;
                            leading_blanks = true;
                            break;
                        }
                        let escaped = self.escape(start)?;
                        text.push(escaped);
                        piece = self.pos;
                    }
                    _ => break,
                }
            }
            if self.byte(0) == quote {
                break;
            }
            let blanks = self.pos;
            let after_escaped_break = leading_blanks;
            loop {
                match self.byte(0) {
                    b' ' | b'\t' => self.pos += 1,
                    _ => {
                        let at = self.pos;
                        let line = self.read_line();
                        if line.is_empty() {
                            break;
                        }
                        if leading_blanks {
                            more_breaks.push_str(line);
                        } else {
                            debug_assert!(at >= blanks);
                            let text = joined.get_or_insert_default();
                            text.push_str(self.slice(piece, blanks));
                            leading_break = line;
                            leading_blanks = true;
                        }
                    }
                }
            }
            if leading_blanks {
                let text = joined.get_or_insert_default();
                if after_escaped_break {
                    text.push_str(&more_breaks);
                    more_breaks.clear();
                } else {
                    fold(text, leading_break, &mut more_breaks);
                }
                piece = self.pos;
            }
        }
        let tail = self.slice(piece, self.pos);
        let value = match joined {
            None => Cow::Borrowed(self.slice(first, self.pos)),
            Some(mut text) => {
                text.push_str(tail);
                Cow::Owned(text)
            }
        };
        self.skip_ascii(1);
        let end = self.mark();
        let quoting = if single { Quoting::Single } else { Quoting::Double };
        self.tokens.push(Token { kind: TokenKind::Scalar, quoting, start, end, value });
        Ok(())
    }

    /// Bytes from here on that mean themselves and are neither blank nor a break.
    fn quoted_run(&self, quote: u8) -> usize {
        let bytes = &self.text.as_bytes()[self.pos..];
        let mut at = 0;
        while let Some(&b) = bytes.get(at) {
            match b {
                b' ' | b'\t' | b'\r' | b'\n' => break,
                b'\\' if quote == b'"' => break,
                0xC2 | 0xE2 if self.is_break(at) => break,
                _ if b == quote => break,
                _ => at += 1,
            }
        }
        at
    }

    /// The character of an escape sequence, which is passed.
    fn escape(&mut self, start: Mark) -> Scan<char> {
        let (value, digits) = match self.byte(1) {
            b'0' => ('\0', 0),
            b'a' => ('\x07', 0),
            b'b' => ('\x08', 0),
            b't' | b'\t' => ('\t', 0),
            b'n' => ('\n', 0),
            b'v' => ('\x0B', 0),
            b'f' => ('\x0C', 0),
            b'r' => ('\r', 0),
            b'e' => ('\x1B', 0),
            b' ' => (' ', 0),
            b'"' => ('"', 0),
            b'\'' => ('\'', 0),
            b'\\' => ('\\', 0),
            b'N' => ('\u{85}', 0),
            b'_' => ('\u{A0}', 0),
            b'L' => ('\u{2028}', 0),
            b'P' => ('\u{2029}', 0),
            b'x' => ('\0', 2),
            b'u' => ('\0', 4),
            b'U' => ('\0', 8),
            _ => return Err(self.error(start, "found unknown escape character")),
        };
        self.skip_ascii(2);
        if digits == 0 {
            return Ok(value);
        }
        let mut code: u32 = 0;
        for at in 0..digits {
            let Some(digit) = char::from(self.byte(at)).to_digit(16) else {
                return Err(self.error(start, "did not find expected hexdecimal number"));
            };
            code = (code << 4) | digit;
        }
        let Some(value) = char::from_u32(code) else {
            return Err(self.error(start, "found invalid Unicode character escape code"));
        };
        self.skip_ascii(digits);
        Ok(value)
    }
}
