//! Simple keys and indentation levels: where block collections begin and end.

use super::{Dialect, Mark, Scan, Scanner, SimpleKey, Token, TokenKind};

/// As deep as go-yaml nests.
const MAX_DEPTH: usize = 10_000;
/// A key without `?` must find its `:` within so many characters.
const KEY_LENGTH: u32 = 1024;

impl<'a> Scanner<'a> {
    /// Number that the next queued token will have.
    fn next_token(&self) -> usize {
        self.parsed + (self.tokens.len() - self.head)
    }

    pub(super) fn push(&mut self, kind: TokenKind, start: Mark) {
        let end = self.mark();
        self.tokens.push(Token { kind, start, end, ..Token::default() });
    }

    /// Puts a token before the one with the given number. As in the original, a number that has
    /// been handed out already (by a bug there, `[]: x` can do that) puts it at the end.
    pub(super) fn insert(&mut self, number: usize, kind: TokenKind, mark: Mark) {
        let token = Token { kind, start: mark, end: mark, ..Token::default() };
        let at = number.checked_sub(self.parsed).map(|ahead| self.head + ahead);
        match at {
            Some(at) if at <= self.tokens.len() => self.tokens.insert(at, token),
            _ => self.tokens.push(token),
        }
    }

    pub(super) fn key_is_valid(&mut self, at: usize) -> Scan<bool> {
        let key = self.keys[at];
        if !key.possible {
            return Ok(false);
        }
        let now = self.mark();
        if key.mark.line < now.line || key.mark.index + KEY_LENGTH < now.index {
            if key.required {
                return Err(self.error(key.mark, "could not find expected ':'"));
            }
            self.keys[at].possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    pub(super) fn save_key(&mut self) -> Scan<()> {
        if !self.simple_key_allowed {
            return Ok(());
        }
        let key = SimpleKey {
            possible: true,
            required: self.flow_level == 0 && self.indent == self.column(),
            token: self.next_token(),
            mark: self.mark(),
        };
        self.remove_key()?;
        let at = self.keys.len() - 1;
        self.keys[at] = key;
        match self.waiting.last_mut() {
            Some(last) if last.0 == key.token => last.1 = at,
            _ => self.waiting.push((key.token, at)),
        }
        Ok(())
    }

    pub(super) fn remove_key(&mut self) -> Scan<()> {
        let Some(&key) = self.keys.last() else { return Ok(()) };
        if key.possible {
            if key.required {
                return Err(self.error(key.mark, "could not find expected ':'"));
            }
            self.drop_key();
        }
        Ok(())
    }

    /// The last level's key waits no longer.
    pub(super) fn drop_key(&mut self) {
        if let Some(key) = self.keys.last_mut() {
            key.possible = false;
            let token = key.token;
            self.forget(token);
        }
    }

    fn forget(&mut self, token: usize) {
        if let Ok(at) = self.waiting.binary_search_by_key(&token, |&(number, _)| number) {
            self.waiting.remove(at);
        }
    }

    pub(super) fn enter_flow(&mut self) -> Scan<()> {
        let mark = self.mark();
        let token = self.next_token();
        self.keys.push(SimpleKey { token, mark, ..SimpleKey::default() });
        self.flow_level += 1;
        if self.flow_level > MAX_DEPTH {
            return Err(self.error(mark, format!("exceeded max depth of {MAX_DEPTH}")));
        }
        Ok(())
    }

    pub(super) fn leave_flow(&mut self) {
        if self.flow_level > 0 {
            self.flow_level -= 1;
            // By token number, as the original does: for `[]` that is the number of the `[`.
            if let Some(key) = self.keys.pop() {
                self.forget(key.token);
            }
        }
    }

    /// Begins a block collection when `column` is deeper than the current level. `before` is the
    /// number of the token that it begins with, if that is in the queue already.
    pub(super) fn roll_indent(
        &mut self,
        column: i64,
        before: Option<usize>,
        kind: TokenKind,
        mark: Mark,
    ) -> Scan<()> {
        if self.flow_level > 0 || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > MAX_DEPTH {
            let context = self.keys.last().map(|key| key.mark).unwrap_or_default();
            return Err(self.error(context, format!("exceeded max depth of {MAX_DEPTH}")));
        }
        match before {
            Some(number) => self.insert(number, kind, mark),
            None => self.tokens.push(Token { kind, start: mark, end: mark, ..Token::default() }),
        }
        Ok(())
    }

    /// Ends the block collections that are deeper than `column`.
    pub(super) fn unroll_indent(&mut self, column: i64, scan_mark: Mark) {
        if self.flow_level > 0 || self.indent <= column {
            return;
        }
        let mut end = if self.dialect == Dialect::V3 { scan_mark } else { self.mark() };
        if self.dialect == Dialect::V3 {
            end.index = end.index.saturating_sub(1);
        }
        while self.indent > column {
            if self.dialect == Dialect::V3 {
                end = self.before_comments(end);
            }
            let token = Token { kind: TokenKind::BlockEnd, start: end, end, ..Token::default() };
            self.tokens.push(token);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    /// Where a block ends that has comments of its own indentation after it: before them, so that
    /// they stay with its parent.
    fn before_comments(&self, mut end: Mark) -> Mark {
        let mut stop = end.index;
        for comment in self.comments[self.comments_head..].iter().rev() {
            if comment.end.index < stop {
                break;
            }
            if i64::from(comment.start.column) == self.indent + 1 {
                end = comment.start;
            }
            stop = comment.scan.index;
        }
        end
    }
}
