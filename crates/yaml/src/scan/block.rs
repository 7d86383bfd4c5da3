//! Literal and folded block scalars.

use std::borrow::Cow;

use super::{Dialect, Mark, Scan, Scanner, Token, TokenKind};
use crate::Quoting;

/// What happens to the line breaks at a block scalar's end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomp {
    Strip,
    Clip,
    Keep,
}

impl Scanner<'_> {
    pub(super) fn scan_block_scalar(&mut self, literal: bool) -> Scan<()> {
        let start = self.mark();
        self.skip_ascii(1);
        let mut chomp = Chomp::Clip;
        let mut increment = 0;
        // The two indicators come in either order.
        if let Some(indicator) = self.chomping() {
            chomp = indicator;
            increment = self.indentation(start)?;
        } else {
            increment = self.indentation(start)?.max(increment);
            if increment > 0 {
                chomp = self.chomping().unwrap_or(Chomp::Clip);
            }
        }
        self.skip_blanks();
        if self.byte(0) == b'#' {
            if self.dialect == Dialect::V3 {
                self.scan_line_comment(start);
            }
            self.skip_to_break();
        }
        if !self.is_break_or_end(0) {
            return Err(self.error(start, "did not find expected comment or line break"));
        }
        self.read_line();

        let mut end = self.mark();
        let mut indent = match increment {
            0 => 0,
            _ => self.indent.max(0) + increment,
        };
        let mut text = String::new();
        let mut leading_break = "";
        let mut more_breaks = String::new();
        self.block_breaks(&mut indent, &mut more_breaks, start, &mut end)?;

        let mut leading_blank = false;
        while self.column() == indent && self.byte(0) != 0 {
            let trailing_blank = self.is_blank(0);
            if !literal && !leading_blank && !trailing_blank && leading_break == "\n" {
                if more_breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(leading_break);
            }
            text.push_str(&more_breaks);
            more_breaks.clear();
            leading_blank = trailing_blank;

            let from = self.pos;
            let line_end = self.line_end();
            let line = self.slice(from, line_end);
            text.push_str(line);
            if line.bytes().any(|b| b != b' ' && b != b'\t') {
                self.skip_text(line_end);
            } else {
                self.pos = line_end;
            }
            leading_break = self.read_line();
            self.block_breaks(&mut indent, &mut more_breaks, start, &mut end)?;
        }
        if chomp != Chomp::Strip {
            text.push_str(leading_break);
        }
        if chomp == Chomp::Keep {
            text.push_str(&more_breaks);
        }
        self.tokens.push(Token {
            kind: TokenKind::Scalar,
            quoting: if literal { Quoting::Literal } else { Quoting::Folded },
            start,
            end,
            value: Cow::Owned(text),
        });
        Ok(())
    }

    fn chomping(&mut self) -> Option<Chomp> {
        let chomp = match self.byte(0) {
            b'+' => Chomp::Keep,
            b'-' => Chomp::Strip,
            _ => return None,
        };
        self.skip_ascii(1);
        Some(chomp)
    }

    /// The indentation indicator; 0 when there is none.
    fn indentation(&mut self, start: Mark) -> Scan<i64> {
        match self.byte(0) {
            b'0' => Err(self.error(start, "found an indentation indicator equal to 0")),
            digit @ b'1'..=b'9' => {
                self.skip_ascii(1);
                Ok(i64::from(digit - b'0'))
            }
            _ => Ok(0),
        }
    }

    /// Passes indentation and empty lines, and finds the indentation when it is not known yet.
    fn block_breaks(
        &mut self,
        indent: &mut i64,
        breaks: &mut String,
        start: Mark,
        end: &mut Mark,
    ) -> Scan<()> {
        *end = self.mark();
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.column() < *indent) && self.byte(0) == b' ' {
                self.pos += 1;
            }
            deepest = deepest.max(self.column());
            if (*indent == 0 || self.column() < *indent) && self.byte(0) == b'\t' {
                return Err(self
                    .error(start, "found a tab character where an indentation space is expected"));
            }
            let line = self.read_line();
            if line.is_empty() {
                break;
            }
            breaks.push_str(line);
            *end = self.mark();
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(())
    }
}
