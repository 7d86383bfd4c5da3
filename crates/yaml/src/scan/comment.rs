//! Which comment belongs to what, by the rules of go-yaml v3. The rules are the original's to the
//! letter (looking ahead byte by byte, at most 512), because what is kept and where it is written
//! back follows from them.

use super::{Mark, Scanner, TokenKind};

/// A comment that waits for the token it belongs to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comment {
    /// Where the search began that found it.
    pub(crate) scan: Mark,
    /// The token it belongs to begins here.
    pub(crate) token: Mark,
    pub(crate) start: Mark,
    pub(crate) end: Mark,
    pub(crate) head: String,
    pub(crate) line: String,
    pub(crate) foot: String,
}

const LOOK_AHEAD: usize = 512;

impl Scanner<'_> {
    /// Takes a comment at the end of the line of a token that was just scanned.
    pub(super) fn scan_line_comment(&mut self, token: Mark) {
        if self.newlines > 0 {
            return;
        }
        let rest = &self.text.as_bytes()[self.pos..];
        let ahead = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        if ahead >= LOOK_AHEAD || rest.get(ahead) != Some(&b'#') {
            return;
        }
        self.pos += ahead;
        let start = self.mark();
        let from = self.pos;
        self.skip_to_break();
        let line = self.slice(from, self.pos).to_owned();
        self.comments.push(Comment { token, start, line, ..Comment::default() });
    }

    /// `- # text` before a nested sequence: the text heads what follows.
    pub(super) fn line_comment_to_head(&mut self) {
        let [.., before, last] = self.tokens.as_slice() else { return };
        if before.kind != TokenKind::BlockSequenceStart
            || last.kind != TokenKind::BlockEntry
            || self.is_break(0)
        {
            return;
        }
        let mark = self.mark();
        if let Some(comment) = self.comments.last_mut()
            && !comment.line.is_empty()
        {
            comment.head = std::mem::take(&mut comment.line);
            if comment.start.line + 1 == mark.line {
                comment.token = mark;
            }
        }
    }

    /// Takes the comments from here on, and decides which are the foot of what came before and
    /// which the head of what comes next.
    pub(super) fn scan_comments(&mut self, scan_mark: Mark) {
        let mut scan = scan_mark;
        let last = self.tokens.len() - 1;
        let token = match self.tokens[last].kind {
            TokenKind::FlowEntry if last > 0 => &self.tokens[last - 1],
            _ => &self.tokens[last],
        };
        let token_kind = token.kind;
        let mut token_mark = token.start;
        let mut start = Mark::default();
        let mut next_indent = self.indent.max(0);

        let mut recent_empty = false;
        let mut first_empty = self.newlines <= 1;
        let mut line = i64::from(self.line);
        let mut column = self.column();
        let mut text = String::new();

        let mut foot_line = -1;
        if scan.line > 0 {
            foot_line = i64::from(self.line) - i64::from(self.newlines) + 1;
            if self.newlines == 0 && self.column() > 1 {
                foot_line += 1;
            }
        }

        let mut peek = 0;
        while peek < LOOK_AHEAD {
            column += 1;
            if self.is_blank(peek) {
                peek += 1;
                continue;
            }
            let c = self.byte(peek);
            let close_flow = self.flow_level > 0 && (c == b']' || c == b'}');
            if close_flow || self.is_break_or_end(peek) {
                if close_flow || !recent_empty {
                    let dedented = i64::from(start.column) - 1 < next_indent;
                    let is_foot = i64::from(start.line) == foot_line
                        && token_kind != TokenKind::Value
                        || dedented;
                    if close_flow || first_empty && is_foot {
                        if !text.is_empty() {
                            if dedented {
                                token_mark = start;
                            }
                            let end = self.mark_ahead(peek, line, column);
                            self.push_foot(scan, token_mark, start, end, &mut text);
                            scan = end;
                            token_mark = end;
                        }
                    } else if !text.is_empty() && c != 0 {
                        text.push('\n');
                    }
                }
                if !self.is_break(peek) {
                    break;
                }
                first_empty = false;
                recent_empty = true;
                column = 0;
                line += 1;
                peek += 1;
                continue;
            }
            if !text.is_empty()
                && (close_flow || column - 1 < next_indent && column != i64::from(start.column))
            {
                let end = self.mark_ahead(peek, line, column);
                self.push_foot(scan, token_mark, start, end, &mut text);
                scan = end;
                token_mark = end;
            }
            if c != b'#' {
                break;
            }
            if text.is_empty() {
                start = self.mark_ahead(peek, line, column);
            } else {
                text.push('\n');
            }
            recent_empty = false;
            // Pass what was looked at, then take the comment's line.
            let target = self.pos + peek;
            while self.pos < target {
                if self.read_line().is_empty() {
                    self.skip();
                }
            }
            let from = self.pos;
            self.skip_to_break();
            text.push_str(self.slice(from, self.pos));

            // The original goes on after the character here, the line break.
            peek = 1;
            column = 0;
            line = i64::from(self.line);
            next_indent = self.indent.max(0);
        }
        if !text.is_empty() {
            let mut end = self.mark_ahead(peek, line, column);
            end.index = end.index.saturating_sub(1);
            self.comments.push(Comment {
                scan,
                token: start,
                start,
                end,
                head: text,
                ..Comment::default()
            });
        }
    }

    fn mark_ahead(&self, peek: usize, line: i64, column: i64) -> Mark {
        let here = self.mark();
        Mark {
            pos: here.pos + peek as u32,
            index: here.index + peek as u32,
            line: u32::try_from(line).unwrap_or(0),
            column: u32::try_from(column).unwrap_or(0),
        }
    }

    fn push_foot(&mut self, scan: Mark, token: Mark, start: Mark, end: Mark, text: &mut String) {
        let foot = std::mem::take(text);
        self.comments.push(Comment { scan, token, start, end, foot, ..Comment::default() });
    }
}
