//! Which token begins at a place, and what it means for keys and indentation.

use super::{Dialect, Mark, Scan, Scanner, SimpleKey, TokenKind};

impl Scanner<'_> {
    pub(super) fn fetch_next(&mut self) -> Scan<()> {
        if !self.started {
            self.started = true;
            self.indent = -1;
            self.keys.push(SimpleKey::default());
            self.simple_key_allowed = true;
            let mark = self.mark();
            self.push(TokenKind::StreamStart, mark);
            return Ok(());
        }
        let scan_mark = self.mark();
        self.skip_to_token(scan_mark)?;
        // Four characters are looked at to find out which token begins.
        self.check_readable(4)?;
        self.unroll_indent(self.column(), scan_mark);

        let first = self.byte(0);
        if first == 0 {
            return self.fetch_stream_end();
        }
        if self.column() == 0 {
            if first == b'%' {
                let mark = self.mark();
                self.unroll_indent(-1, mark);
                self.remove_key()?;
                self.simple_key_allowed = false;
                return self.scan_directive();
            }
            if self.at_document_indicator() {
                let start = self.mark();
                self.unroll_indent(-1, start);
                self.remove_key()?;
                self.simple_key_allowed = false;
                self.skip_ascii(3);
                let kind =
                    if first == b'-' { TokenKind::DocumentStart } else { TokenKind::DocumentEnd };
                self.push(kind, start);
                return Ok(());
            }
        }
        if self.dialect == Dialect::V2 {
            return self.dispatch(first);
        }
        let mut comment_mark = self.mark();
        let of_prior = if self.flow_level == 0 { first == b':' } else { first == b',' };
        if of_prior && let Some(prior) = self.tokens.last() {
            comment_mark = prior.start;
        }
        self.dispatch(first)?;
        if self.tokens.last().is_some_and(|token| token.kind != TokenKind::BlockEntry) {
            self.scan_line_comment(comment_mark);
        }
        Ok(())
    }

    fn dispatch(&mut self, first: u8) -> Scan<()> {
        let in_flow = self.flow_level > 0;
        match first {
            b'[' => self.fetch_flow_start(TokenKind::FlowSequenceStart),
            b'{' => self.fetch_flow_start(TokenKind::FlowMappingStart),
            b']' => self.fetch_flow_end(TokenKind::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(TokenKind::FlowMappingEnd),
            b',' => self.fetch_flow_entry(),
            b'-' if self.is_blank_or_end(1) => self.fetch_block_entry(),
            b'?' if in_flow || self.is_blank_or_end(1) => self.fetch_key(),
            b':' if in_flow || self.is_blank_or_end(1) => self.fetch_value(),
            b'*' => self.fetch_anchor(TokenKind::Alias),
            b'&' => self.fetch_anchor(TokenKind::Anchor),
            b'!' => {
                self.save_key()?;
                self.simple_key_allowed = false;
                self.scan_tag()
            }
            b'|' | b'>' if !in_flow => {
                self.remove_key()?;
                self.simple_key_allowed = true;
                self.scan_block_scalar(first == b'|')
            }
            b'\'' | b'"' => {
                self.save_key()?;
                self.simple_key_allowed = false;
                self.scan_quoted(first == b'\'')
            }
            // `-`, `?` and `:` before a character that is no blank, as above.
            b'-' | b'?' | b':' => self.fetch_plain(),
            b'#' | b'|' | b'>' | b'%' | b'@' | b'`' | b' ' | b'\t' | b'\r' | b'\n' => {
                Err(self.no_token())
            }
            _ if self.is_break(0) => Err(self.no_token()),
            _ => self.fetch_plain(),
        }
    }

    fn no_token(&self) -> Box<super::Fault> {
        self.error(self.mark(), "found character that cannot start any token")
    }

    fn fetch_plain(&mut self) -> Scan<()> {
        self.save_key()?;
        self.simple_key_allowed = false;
        self.scan_plain()
    }

    fn fetch_stream_end(&mut self) -> Scan<()> {
        if self.column() != 0 {
            self.line_start = self.pos - self.trailing;
            self.line += 1;
        }
        let mark = self.mark();
        self.unroll_indent(-1, mark);
        self.remove_key()?;
        self.simple_key_allowed = false;
        self.push(TokenKind::StreamEnd, mark);
        Ok(())
    }

    /// Passes one indicator character and queues its token.
    fn indicator(&mut self, kind: TokenKind) {
        let start = self.mark();
        self.skip_ascii(1);
        self.push(kind, start);
    }

    fn fetch_flow_start(&mut self, kind: TokenKind) -> Scan<()> {
        self.save_key()?;
        self.enter_flow()?;
        self.simple_key_allowed = true;
        self.indicator(kind);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: TokenKind) -> Scan<()> {
        self.remove_key()?;
        self.leave_flow();
        self.simple_key_allowed = false;
        self.indicator(kind);
        Ok(())
    }

    fn fetch_flow_entry(&mut self) -> Scan<()> {
        self.remove_key()?;
        self.simple_key_allowed = true;
        self.indicator(TokenKind::FlowEntry);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Scan<()> {
        if self.flow_level == 0 {
            let mark = self.mark();
            if !self.simple_key_allowed {
                return Err(
                    self.error(mark, "block sequence entries are not allowed in this context")
                );
            }
            self.roll_indent(self.column(), None, TokenKind::BlockSequenceStart, mark)?;
        }
        self.remove_key()?;
        self.simple_key_allowed = true;
        self.indicator(TokenKind::BlockEntry);
        Ok(())
    }

    fn fetch_key(&mut self) -> Scan<()> {
        if self.flow_level == 0 {
            let mark = self.mark();
            if !self.simple_key_allowed {
                return Err(self.error(mark, "mapping keys are not allowed in this context"));
            }
            self.roll_indent(self.column(), None, TokenKind::BlockMappingStart, mark)?;
        }
        self.remove_key()?;
        self.simple_key_allowed = self.flow_level == 0;
        self.indicator(TokenKind::Key);
        Ok(())
    }

    fn fetch_value(&mut self) -> Scan<()> {
        let last = self.keys.len() - 1;
        if self.key_is_valid(last)? {
            let key = self.keys[last];
            self.insert(key.token, TokenKind::Key, key.mark);
            self.roll_indent(
                i64::from(key.mark.column),
                Some(key.token),
                TokenKind::BlockMappingStart,
                key.mark,
            )?;
            self.drop_key();
            self.simple_key_allowed = false;
        } else {
            if self.flow_level == 0 {
                let mark = self.mark();
                if !self.simple_key_allowed {
                    return Err(self.error(mark, "mapping values are not allowed in this context"));
                }
                self.roll_indent(self.column(), None, TokenKind::BlockMappingStart, mark)?;
            }
            self.simple_key_allowed = self.flow_level == 0;
        }
        self.indicator(TokenKind::Value);
        Ok(())
    }

    fn fetch_anchor(&mut self, kind: TokenKind) -> Scan<()> {
        self.save_key()?;
        self.simple_key_allowed = false;
        self.scan_anchor(kind)
    }

    /// Passes blanks, line breaks and comments.
    fn skip_to_token(&mut self, scan_mark: Mark) -> Scan<()> {
        loop {
            // A second byte order mark at the very beginning is passed too.
            if self.pos == self.trailing && self.text[self.pos..].starts_with('\u{FEFF}') {
                self.skip();
            }
            // No tabs where indentation could be meant.
            let tabs = self.flow_level > 0 || !self.simple_key_allowed;
            let rest = &self.text.as_bytes()[self.pos..];
            self.pos += rest.iter().take_while(|&&b| b == b' ' || (tabs && b == b'\t')).count();
            if self.dialect == Dialect::V3 {
                if !self.comments.is_empty() {
                    self.line_comment_to_head();
                }
                if self.byte(0) == b'#' {
                    self.scan_comments(scan_mark);
                }
            } else if self.byte(0) == b'#' {
                self.skip_to_break();
            }
            if !self.is_break(0) {
                return Ok(());
            }
            self.read_line();
            if self.flow_level == 0 {
                self.simple_key_allowed = true;
            }
        }
    }
}
