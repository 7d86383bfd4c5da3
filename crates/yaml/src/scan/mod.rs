//! From text to tokens, accepting and refusing what go-yaml's scanner accepts and refuses.
//! Owns indentation, simple keys and the token queue; does not know the grammar of documents.

mod block;
mod comment;
mod directive;
mod fetch;
mod flow;
mod keys;
mod plain;

use std::borrow::Cow;

pub(crate) use comment::Comment;

use crate::Quoting;

/// Which original is followed. They differ in look-ahead, comments and the line of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// go.yaml.in/yaml/v2, as sigs.k8s.io/yaml uses it.
    V2,
    /// go.yaml.in/yaml/v3, as kyaml uses it.
    V3,
}

/// A place in the text. Lines and columns count from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Bytes before it.
    pub(crate) pos: u32,
    /// Characters before it.
    pub(crate) index: u32,
    pub(crate) line: u32,
    /// Characters before it in its line.
    pub(crate) column: u32,
}

/// Who found a fault; decides which line go-yaml names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Reader,
    Scanner,
    Parser,
    Composer,
    /// A limit of ours.
    Limit,
}

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) stage: Stage,
    /// Where the construct began in which the fault is.
    pub(crate) context: Mark,
    pub(crate) problem: Mark,
    pub(crate) message: Cow<'static, str>,
}

pub(crate) type Scan<T> = Result<T, Box<Fault>>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TokenKind {
    #[default]
    StreamStart,
    StreamEnd,
    VersionDirective,
    TagDirective,
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias,
    Anchor,
    Tag,
    Scalar,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) quoting: Quoting,
    pub(crate) start: Mark,
    pub(crate) end: Mark,
    /// Scalar text, anchor name, `major.minor` of a version directive; of a tag the handle and the
    /// suffix, and of a tag directive the handle and the prefix, with a NUL between them.
    pub(crate) value: Cow<'a, str>,
}

/// A place where a key without `?` may have begun.
#[derive(Clone, Copy, Debug, Default)]
struct SimpleKey {
    possible: bool,
    required: bool,
    token: usize,
    mark: Mark,
}

pub(crate) struct Scanner<'a> {
    text: &'a str,
    fault: Option<&'static str>,
    dialect: Dialect,

    pos: usize,
    /// Bytes so far that do not begin a character: `pos - trailing` is the character index.
    trailing: usize,
    line: u32,
    /// Character index of the line's first character.
    line_start: usize,
    /// Line breaks since the last character that is not blank.
    newlines: u32,

    tokens: Vec<Token<'a>>,
    head: usize,
    /// Tokens handed out.
    parsed: usize,
    available: bool,
    started: bool,

    indent: i64,
    indents: Vec<i64>,
    simple_key_allowed: bool,
    keys: Vec<SimpleKey>,
    /// Token number to index in `keys`, ascending: the keys that wait for their `:`.
    waiting: Vec<(usize, usize)>,
    flow_level: usize,

    pub(crate) comments: Vec<Comment>,
    pub(crate) comments_head: usize,
}

impl<'a> Scanner<'a> {
    /// A scanner over checked text that begins after `skip` bytes.
    pub(crate) fn new(
        text: &'a str,
        skip: usize,
        fault: Option<&'static str>,
        dialect: Dialect,
    ) -> Scanner<'a> {
        Scanner {
            text,
            fault,
            dialect,
            pos: skip,
            trailing: skip,
            line: 0,
            line_start: 0,
            newlines: 0,
            tokens: Vec::with_capacity(64),
            head: 0,
            parsed: 0,
            available: false,
            started: false,
            indent: -1,
            indents: Vec::new(),
            simple_key_allowed: false,
            keys: Vec::new(),
            waiting: Vec::new(),
            flow_level: 0,
            comments: Vec::new(),
            comments_head: 0,
        }
    }

    /// The next token, left in the queue.
    #[inline]
    pub(crate) fn peek(&mut self) -> Scan<&mut Token<'a>> {
        if !self.available {
            self.fetch_more()?;
        }
        Ok(&mut self.tokens[self.head])
    }

    /// Removes the token that [`Scanner::peek`] showed, and gives its value.
    pub(crate) fn take_value(&mut self) -> Cow<'a, str> {
        let value = std::mem::take(&mut self.tokens[self.head].value);
        self.skip_token();
        value
    }

    /// Removes the token that [`Scanner::peek`] showed.
    #[inline]
    pub(crate) fn skip_token(&mut self) {
        self.available = false;
        self.parsed += 1;
        self.head += 1;
        // Two tokens that are done stay: comments look back at them.
        if self.head > 48 {
            self.tokens.drain(..self.head - 2);
            self.head = 2;
        }
    }

    fn fetch_more(&mut self) -> Scan<()> {
        // v3 looks two tokens further, so that comments find the tokens they belong to.
        let ahead = if self.dialect == Dialect::V3 { 2 } else { 0 };
        loop {
            if self.tokens.len() > self.head + ahead {
                match self.waiting.binary_search_by_key(&self.parsed, |&(token, _)| token) {
                    Err(_) => break,
                    Ok(at) => {
                        let key = self.waiting[at].1;
                        if !self.key_is_valid(key)? {
                            break;
                        }
                    }
                }
            }
            let result = self.fetch_next();
            self.check_readable(2)?;
            result?;
        }
        self.available = true;
        Ok(())
    }

    /// Reports the unreadable piece of the input once that many characters would have to come from it.
    fn check_readable(&self, characters: usize) -> Scan<()> {
        match self.fault {
            Some(fault) if self.pos + characters > self.text.len() => Err(Box::new(Fault {
                stage: Stage::Reader,
                context: Mark::default(),
                problem: Mark::default(),
                message: fault.into(),
            })),
            _ => Ok(()),
        }
    }

    #[inline]
    pub(crate) fn mark(&self) -> Mark {
        let index = self.pos - self.trailing;
        Mark {
            pos: self.pos as u32,
            index: index as u32,
            line: self.line,
            column: (index - self.line_start) as u32,
        }
    }

    #[inline]
    fn column(&self) -> i64 {
        (self.pos - self.trailing - self.line_start) as i64
    }

    /// The byte `ahead` of the current one; 0 after the end (the text itself holds no NUL).
    #[inline]
    fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.pos + ahead).copied().unwrap_or(0)
    }

    fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    fn error(&self, context: Mark, message: impl Into<Cow<'static, str>>) -> Box<Fault> {
        Box::new(Fault {
            stage: Stage::Scanner,
            context,
            problem: self.mark(),
            message: message.into(),
        })
    }

    /// Length of the line break `ahead` bytes on; 0 when there is none.
    fn break_len(&self, ahead: usize) -> usize {
        let bytes = self.text.as_bytes();
        let at = self.pos + ahead;
        match bytes.get(at).copied().unwrap_or(0) {
            b'\n' => 1,
            b'\r' => {
                if bytes.get(at + 1) == Some(&b'\n') {
                    2
                } else {
                    1
                }
            }
            0xC2 if bytes.get(at + 1) == Some(&0x85) => 2,
            0xE2 if bytes.get(at + 1) == Some(&0x80)
                && matches!(bytes.get(at + 2), Some(0xA8 | 0xA9)) =>
            {
                3
            }
            _ => 0,
        }
    }

    fn is_break(&self, ahead: usize) -> bool {
        self.break_len(ahead) > 0
    }

    fn is_break_or_end(&self, ahead: usize) -> bool {
        self.byte(ahead) == 0 || self.is_break(ahead)
    }

    fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t')
    }

    #[inline]
    fn is_blank_or_end(&self, ahead: usize) -> bool {
        match self.byte(ahead) {
            b' ' | b'\t' | b'\n' | b'\r' | 0 => true,
            0xC2 | 0xE2 => self.is_break(ahead),
            _ => false,
        }
    }

    /// Passes one character that is no line break.
    fn skip(&mut self) {
        let first = self.byte(0);
        if !matches!(first, b' ' | b'\t') {
            self.newlines = 0;
        }
        let width = width(first);
        self.pos += width;
        self.trailing += width - 1;
    }

    /// Passes `count` ASCII characters that are no line breaks and not all blank.
    fn skip_ascii(&mut self, count: usize) {
        self.newlines = 0;
        self.pos += count;
    }

    /// Passes everything up to byte `end`: one line's text that is not all blank.
    #[inline]
    fn skip_text(&mut self, end: usize) {
        self.newlines = 0;
        self.trailing += trailing_bytes(&self.text.as_bytes()[self.pos..end]);
        self.pos = end;
    }

    fn skip_blanks(&mut self) {
        while self.is_blank(0) {
            self.pos += 1;
        }
    }

    /// Passes a line break, if there is one, and says how a scalar's text reads it.
    fn read_line(&mut self) -> &'a str {
        let len = self.break_len(0);
        if len == 0 {
            return "";
        }
        let start = self.pos;
        self.pos += len;
        if self.text.as_bytes()[start] >= 0x80 {
            self.trailing += len - 1;
        }
        self.line += 1;
        self.line_start = self.pos - self.trailing;
        self.newlines += 1;
        if len == 3 { self.slice(start, start + 3) } else { "\n" }
    }

    /// Passes the rest of the line, not its break.
    fn skip_to_break(&mut self) {
        let end = self.line_end();
        if end > self.pos {
            self.skip_text(end);
        }
    }

    /// Where the current line's text ends.
    fn line_end(&self) -> usize {
        let bytes = &self.text.as_bytes()[self.pos..];
        let len = memchr::memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
        if bytes[..len].is_ascii() {
            return self.pos + len;
        }
        (0..len).find(|&at| self.is_break(at)).map_or(self.pos + len, |at| self.pos + at)
    }

    /// Whether `---` or `...` stands here alone at the beginning of a line.
    fn at_document_indicator(&self) -> bool {
        matches!(self.byte(0), b'-' | b'.')
            && self.column() == 0
            && (self.text.as_bytes()[self.pos..].starts_with(b"---")
                || self.text.as_bytes()[self.pos..].starts_with(b"..."))
            && self.is_blank_or_end(3)
    }
}

fn width(first: u8) -> usize {
    match first {
        0x00..=0x7F => 1,
        0x80..=0xDF => 2,
        0xE0..=0xEF => 3,
        _ => 4,
    }
}

fn trailing_bytes(bytes: &[u8]) -> usize {
    if bytes.is_ascii() { 0 } else { bytes.iter().filter(|&&b| b & 0xC0 == 0x80).count() }
}

fn is_alpha(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
}
