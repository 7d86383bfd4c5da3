//! From tokens to events: the grammar of documents as go-yaml's parser has it. Owns tag handles
//! and the hand-over of comments; builds no tree.

mod collection;

use std::borrow::Cow;

use crate::Quoting;
use crate::scan::{Dialect, Fault, Mark, Scan, Scanner, Stage, TokenKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    StreamStart,
    StreamEnd,
    DocumentStart,
    DocumentEnd,
    Alias,
    Scalar,
    SequenceStart,
    SequenceEnd,
    MappingStart,
    MappingEnd,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventComments {
    pub(crate) head: String,
    pub(crate) line: String,
    pub(crate) foot: String,
}

/// Tag and anchor of a node.
#[derive(Debug, Default)]
pub(crate) struct Properties<'a> {
    pub(crate) anchor: Option<Cow<'a, str>>,
    /// The tag in full (handles replaced).
    pub(crate) tag: Option<Cow<'a, str>>,
}

#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) kind: EventKind,
    pub(crate) quoting: Quoting,
    pub(crate) flow: bool,
    /// Of the whole node: its tag or anchor, when it has one.
    pub(crate) start: Mark,
    /// Byte where the content begins, after tag and anchor.
    pub(crate) content: u32,
    /// Byte after it.
    pub(crate) end: u32,
    pub(crate) value: Cow<'a, str>,
    pub(crate) properties: Option<Box<Properties<'a>>>,
    pub(crate) comments: Option<Box<EventComments>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    StreamStart,
    ImplicitDocumentStart,
    DocumentStart,
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockSequenceFirst,
    BlockSequence,
    IndentlessSequence,
    BlockMappingFirst,
    BlockMappingKey,
    BlockMappingValue,
    FlowSequenceFirst,
    FlowSequence,
    FlowPairKey,
    FlowPairValue,
    FlowPairEnd,
    FlowMappingFirst,
    FlowMappingKey,
    FlowMappingValue,
    FlowMappingEmptyValue,
    End,
}

pub(crate) struct Parser<'a> {
    scanner: Scanner<'a>,
    state: State,
    states: Vec<State>,
    /// Where the open collections begin.
    marks: Vec<Mark>,
    tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    head: String,
    line: String,
    foot: String,
    stem: Option<String>,
    comments: bool,
}

const VERSION: &str = "1.1";

impl<'a> Parser<'a> {
    pub(crate) fn new(scanner: Scanner<'a>, dialect: Dialect) -> Parser<'a> {
        Parser {
            scanner,
            state: State::StreamStart,
            states: Vec::new(),
            marks: Vec::new(),
            tags: Vec::new(),
            head: String::new(),
            line: String::new(),
            foot: String::new(),
            stem: None,
            comments: dialect == Dialect::V3,
        }
    }

    /// The next event; after the end of the stream that end again.
    pub(crate) fn next(&mut self) -> Scan<Event<'a>> {
        match self.state {
            State::StreamStart => {
                let (_, start, end) = self.peek()?;
                self.state = State::ImplicitDocumentStart;
                self.scanner.skip_token();
                Ok(event(EventKind::StreamStart, start, end))
            }
            State::ImplicitDocumentStart => self.document_start(true),
            State::DocumentStart => self.document_start(false),
            State::DocumentContent => self.document_content(),
            State::DocumentEnd => self.document_end(),
            State::BlockNode => self.node(true, false),
            State::BlockSequenceFirst => self.block_sequence(true),
            State::BlockSequence => self.block_sequence(false),
            State::IndentlessSequence => self.indentless_sequence(),
            State::BlockMappingFirst => self.block_mapping_key(true),
            State::BlockMappingKey => self.block_mapping_key(false),
            State::BlockMappingValue => self.block_mapping_value(),
            State::FlowSequenceFirst => self.flow_sequence(true),
            State::FlowSequence => self.flow_sequence(false),
            State::FlowPairKey => self.flow_pair_key(),
            State::FlowPairValue => self.flow_pair_value(),
            State::FlowPairEnd => {
                let (_, start, _) = self.peek()?;
                self.state = State::FlowSequence;
                Ok(event(EventKind::MappingEnd, start, start))
            }
            State::FlowMappingFirst => self.flow_mapping_key(true),
            State::FlowMappingKey => self.flow_mapping_key(false),
            State::FlowMappingValue => self.flow_mapping_value(false),
            State::FlowMappingEmptyValue => self.flow_mapping_value(true),
            State::End => Ok(event(EventKind::StreamEnd, Mark::default(), Mark::default())),
        }
    }

    /// Kind and place of the next token; comments before it are taken over.
    #[inline]
    fn peek(&mut self) -> Scan<(TokenKind, Mark, Mark)> {
        let token = self.scanner.peek()?;
        let (kind, start, end) = (token.kind, token.start, token.end);
        if self.scanner.comments_head < self.scanner.comments.len() {
            self.unfold_comments(kind, start);
        }
        Ok((kind, start, end))
    }

    fn unfold_comments(&mut self, kind: TokenKind, start: Mark) {
        let scanner = &mut self.scanner;
        while let Some(comment) = scanner.comments.get_mut(scanner.comments_head)
            && start.index >= comment.token.index
        {
            // An end has no head: it waits for the next token.
            if !comment.head.is_empty() && kind == TokenKind::BlockEnd {
                break;
            }
            join(&mut self.head, &comment.head);
            join(&mut self.foot, &comment.foot);
            join(&mut self.line, &comment.line);
            *comment = Default::default();
            scanner.comments_head += 1;
        }
        if scanner.comments_head == scanner.comments.len() && scanner.comments.len() > 64 {
            scanner.comments.clear();
            scanner.comments_head = 0;
        }
    }

    fn with_comments(&mut self, mut event: Event<'a>) -> Event<'a> {
        if self.comments {
            self.stem = None;
            if !(self.head.is_empty() && self.line.is_empty() && self.foot.is_empty()) {
                event.comments = Some(Box::new(EventComments {
                    head: std::mem::take(&mut self.head),
                    line: std::mem::take(&mut self.line),
                    foot: std::mem::take(&mut self.foot),
                }));
            }
        }
        event
    }

    fn pop_state(&mut self) {
        self.state = self.states.pop().unwrap_or(State::End);
    }

    fn document_start(&mut self, implicit: bool) -> Scan<Event<'a>> {
        let (mut kind, mut start, mut end) = self.peek()?;
        if !implicit {
            while kind == TokenKind::DocumentEnd {
                self.scanner.skip_token();
                (kind, start, end) = self.peek()?;
            }
        }
        if kind == TokenKind::StreamEnd {
            self.state = State::End;
            self.scanner.skip_token();
            return Ok(event(EventKind::StreamEnd, start, end));
        }
        let explicit = matches!(
            kind,
            TokenKind::VersionDirective | TokenKind::TagDirective | TokenKind::DocumentStart
        );
        if implicit && !explicit {
            self.directives()?;
            self.states.push(State::DocumentEnd);
            self.state = State::BlockNode;
            let mut event = event(EventKind::DocumentStart, start, end);
            if let Some(head) = self.split_document_head() {
                event.comments = Some(Box::new(EventComments { head, ..Default::default() }));
            }
            return Ok(event);
        }
        self.directives()?;
        let (kind, problem, end) = self.peek()?;
        if kind != TokenKind::DocumentStart {
            return Err(fault(Mark::default(), "did not find expected <document start>", problem));
        }
        self.states.push(State::DocumentEnd);
        self.state = State::DocumentContent;
        self.scanner.skip_token();
        Ok(event(EventKind::DocumentStart, start, end))
    }

    /// The part of the first comment before its last empty line heads the document.
    fn split_document_head(&mut self) -> Option<String> {
        let bytes = self.head.as_bytes();
        for at in (1..bytes.len()).rev() {
            if bytes[at] != b'\n' {
                continue;
            }
            let cut = if at == bytes.len() - 1 {
                at
            } else if bytes[at - 1] == b'\n' {
                at - 1
            } else {
                continue;
            };
            let rest = self.head.split_off(at + 1);
            self.head.truncate(cut);
            return Some(std::mem::replace(&mut self.head, rest));
        }
        None
    }

    fn document_content(&mut self) -> Scan<Event<'a>> {
        let (kind, start, _) = self.peek()?;
        match kind {
            TokenKind::VersionDirective
            | TokenKind::TagDirective
            | TokenKind::DocumentStart
            | TokenKind::DocumentEnd
            | TokenKind::StreamEnd => {
                self.pop_state();
                Ok(empty_scalar(start))
            }
            _ => self.node(true, false),
        }
    }

    fn document_end(&mut self) -> Scan<Event<'a>> {
        let (kind, start, token_end) = self.peek()?;
        let mut end = start;
        if kind == TokenKind::DocumentEnd {
            end = token_end;
            self.scanner.skip_token();
        }
        self.tags.clear();
        self.state = State::DocumentStart;
        let mut event = self.with_comments(event(EventKind::DocumentEnd, start, end));
        if let Some(comments) = &mut event.comments
            && comments.foot.is_empty()
        {
            comments.foot = std::mem::take(&mut comments.head);
        }
        Ok(event)
    }

    fn directives(&mut self) -> Scan<()> {
        let mut version = false;
        let mut mark;
        loop {
            let (kind, start, _) = self.peek()?;
            mark = start;
            match kind {
                TokenKind::VersionDirective => {
                    if version {
                        return Err(fault(
                            Mark::default(),
                            "found duplicate %YAML directive",
                            start,
                        ));
                    }
                    if self.scanner.take_value() != VERSION {
                        return Err(fault(
                            Mark::default(),
                            "found incompatible YAML document",
                            start,
                        ));
                    }
                    version = true;
                }
                TokenKind::TagDirective => {
                    let (handle, prefix) = split_tag(self.scanner.take_value());
                    self.add_tag(handle, prefix, false, start)?;
                }
                _ => break,
            }
        }
        self.add_tag("!".into(), "!".into(), true, mark)?;
        self.add_tag("!!".into(), "tag:yaml.org,2002:".into(), true, mark)
    }

    fn add_tag(
        &mut self,
        handle: Cow<'a, str>,
        prefix: Cow<'a, str>,
        default: bool,
        mark: Mark,
    ) -> Scan<()> {
        if !self.tags.iter().any(|(known, _)| *known == handle) {
            self.tags.push((handle, prefix));
        } else if !default {
            return Err(fault(Mark::default(), "found duplicate %TAG directive", mark));
        }
        Ok(())
    }

    fn node(&mut self, block: bool, indentless: bool) -> Scan<Event<'a>> {
        let (mut kind, mut start, mut end) = self.peek()?;
        if kind == TokenKind::Alias {
            self.pop_state();
            let out = self.with_comments(event(EventKind::Alias, start, end));
            let value = self.scanner.take_value();
            return Ok(Event { value, ..out });
        }
        let whole = start;
        let mut anchor = None;
        let mut tag = None;
        if kind == TokenKind::Anchor || kind == TokenKind::Tag {
            // At most one of each, in either order.
            for _ in 0..2 {
                match kind {
                    TokenKind::Anchor if anchor.is_none() => {
                        anchor = Some(self.scanner.take_value());
                    }
                    TokenKind::Tag if tag.is_none() => {
                        tag = Some((split_tag(self.scanner.take_value()), start));
                    }
                    _ => break,
                }
                (kind, start, end) = self.peek()?;
            }
        }
        let tag = match tag {
            None => None,
            Some(((handle, suffix), mark)) => Some(self.full_tag(handle, suffix, whole, mark)?),
        };
        let mut out = event(EventKind::Scalar, whole, end);
        out.content = start.pos;
        if anchor.is_some() || tag.is_some() {
            out.properties = Some(Box::new(Properties { anchor, tag }));
        }
        if indentless && kind == TokenKind::BlockEntry {
            self.state = State::IndentlessSequence;
            out.kind = EventKind::SequenceStart;
            return Ok(out);
        }
        match kind {
            TokenKind::Scalar => {
                self.pop_state();
                let mut out = self.with_comments(out);
                out.quoting = self.scanner.peek()?.quoting;
                out.value = self.scanner.take_value();
                Ok(out)
            }
            TokenKind::FlowSequenceStart | TokenKind::FlowMappingStart => {
                out.flow = true;
                (self.state, out.kind) = if kind == TokenKind::FlowSequenceStart {
                    (State::FlowSequenceFirst, EventKind::SequenceStart)
                } else {
                    (State::FlowMappingFirst, EventKind::MappingStart)
                };
                Ok(self.with_comments(out))
            }
            TokenKind::BlockSequenceStart | TokenKind::BlockMappingStart if block => {
                (self.state, out.kind) = if kind == TokenKind::BlockSequenceStart {
                    (State::BlockSequenceFirst, EventKind::SequenceStart)
                } else {
                    (State::BlockMappingFirst, EventKind::MappingStart)
                };
                if let Some(head) = self.stem.take() {
                    out.comments = Some(Box::new(EventComments { head, ..Default::default() }));
                }
                Ok(out)
            }
            _ if out.properties.is_some() => {
                self.pop_state();
                Ok(out)
            }
            _ => Err(fault(whole, "did not find expected node content", start)),
        }
    }

    fn full_tag(
        &self,
        handle: Cow<'a, str>,
        suffix: Cow<'a, str>,
        context: Mark,
        mark: Mark,
    ) -> Scan<Cow<'a, str>> {
        if handle.is_empty() {
            return Ok(suffix);
        }
        match self.tags.iter().find(|(known, _)| *known == handle) {
            Some((_, prefix)) => Ok(format!("{prefix}{suffix}").into()),
            None => Err(fault(context, "found undefined tag handle", mark)),
        }
    }
}

#[inline]
fn event<'a>(kind: EventKind, start: Mark, end: Mark) -> Event<'a> {
    Event {
        kind,
        quoting: Quoting::Plain,
        flow: false,
        start,
        content: start.pos,
        end: end.pos,
        value: Cow::Borrowed(""),
        properties: None,
        comments: None,
    }
}

fn empty_scalar<'a>(mark: Mark) -> Event<'a> {
    event(EventKind::Scalar, mark, mark)
}

/// Handle and suffix (or prefix) of a tag token's value.
fn split_tag<'a>(value: Cow<'a, str>) -> (Cow<'a, str>, Cow<'a, str>) {
    let (handle, suffix) = value.split_once('\0').unwrap_or(("", &value));
    (handle.to_owned().into(), suffix.to_owned().into())
}

fn join(to: &mut String, text: &str) {
    if !text.is_empty() {
        if !to.is_empty() {
            to.push('\n');
        }
        to.push_str(text);
    }
}

fn fault(context: Mark, message: &'static str, problem: Mark) -> Box<Fault> {
    Box::new(Fault { stage: Stage::Parser, context, problem, message: message.into() })
}
