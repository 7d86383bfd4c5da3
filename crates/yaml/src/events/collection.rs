//! The grammar of sequences and mappings.

use super::{Event, EventKind, Parser, State, empty_scalar, event, fault};
use crate::scan::{Mark, Scan, TokenKind};

impl<'a> Parser<'a> {
    fn open(&mut self) -> Scan<()> {
        let (_, start, _) = self.peek()?;
        self.marks.push(start);
        self.scanner.skip_token();
        Ok(())
    }

    fn close(&mut self, kind: EventKind, start: Mark, end: Mark) -> Event<'a> {
        self.pop_state();
        self.marks.pop();
        event(kind, start, end)
    }

    fn context(&mut self) -> Mark {
        self.marks.pop().unwrap_or_default()
    }

    pub(super) fn block_sequence(&mut self, first: bool) -> Scan<Event<'a>> {
        if first {
            self.open()?;
        }
        let (kind, start, end) = self.peek()?;
        match kind {
            TokenKind::BlockEntry => {
                let (next, ..) = self.after_entry()?;
                if next != TokenKind::BlockEntry && next != TokenKind::BlockEnd {
                    self.states.push(State::BlockSequence);
                    return self.node(true, false);
                }
                self.state = State::BlockSequence;
                Ok(empty_scalar(end))
            }
            TokenKind::BlockEnd => {
                let out = self.close(EventKind::SequenceEnd, start, end);
                self.scanner.skip_token();
                Ok(out)
            }
            _ => {
                let context = self.context();
                Err(fault(context, "did not find expected '-' indicator", start))
            }
        }
    }

    pub(super) fn indentless_sequence(&mut self) -> Scan<Event<'a>> {
        let (kind, start, end) = self.peek()?;
        if kind == TokenKind::BlockEntry {
            let (next, ..) = self.after_entry()?;
            let ends =
                [TokenKind::BlockEntry, TokenKind::Key, TokenKind::Value, TokenKind::BlockEnd];
            if !ends.contains(&next) {
                self.states.push(State::IndentlessSequence);
                return self.node(true, false);
            }
            self.state = State::IndentlessSequence;
            return Ok(empty_scalar(end));
        }
        self.pop_state();
        Ok(event(EventKind::SequenceEnd, start, start))
    }

    /// Passes a `-`. A comment before it belongs to a collection that begins right after it as a
    /// whole, and not to that collection's first entry.
    fn after_entry(&mut self) -> Scan<(TokenKind, Mark, Mark)> {
        let stem = self.head.len();
        self.scanner.skip_token();
        let next = match self.peek() {
            Ok(next) => next,
            // The original overlooks the fault here and meets another, or this one, right after.
            Err(first) if stem > 0 => return Err(self.peek().err().unwrap_or(first)),
            Err(fault) => return Err(fault),
        };
        if stem > 0
            && matches!(next.0, TokenKind::BlockSequenceStart | TokenKind::BlockMappingStart)
        {
            let rest = self.head.get(stem + 1..).unwrap_or_default().to_owned();
            self.head.truncate(stem);
            self.stem = Some(std::mem::replace(&mut self.head, rest));
        }
        Ok(next)
    }

    pub(super) fn block_mapping_key(&mut self, first: bool) -> Scan<Event<'a>> {
        if first {
            self.open()?;
        }
        let (kind, start, end) = self.peek()?;
        match kind {
            TokenKind::Key => {
                self.scanner.skip_token();
                let (next, ..) = self.peek()?;
                if !matches!(next, TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd) {
                    self.states.push(State::BlockMappingValue);
                    return self.node(true, true);
                }
                self.state = State::BlockMappingValue;
                Ok(empty_scalar(end))
            }
            TokenKind::BlockEnd => {
                let out = self.close(EventKind::MappingEnd, start, end);
                let out = self.with_comments(out);
                self.scanner.skip_token();
                Ok(out)
            }
            _ => {
                let context = self.context();
                Err(fault(context, "did not find expected key", start))
            }
        }
    }

    pub(super) fn block_mapping_value(&mut self) -> Scan<Event<'a>> {
        let (kind, start, end) = self.peek()?;
        if kind != TokenKind::Value {
            self.state = State::BlockMappingKey;
            return Ok(empty_scalar(start));
        }
        self.scanner.skip_token();
        let (next, ..) = self.peek()?;
        if !matches!(next, TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd) {
            self.states.push(State::BlockMappingKey);
            return self.node(true, true);
        }
        self.state = State::BlockMappingKey;
        Ok(empty_scalar(end))
    }

    pub(super) fn flow_sequence(&mut self, first: bool) -> Scan<Event<'a>> {
        if first {
            self.open()?;
        }
        let (mut kind, mut start, mut end) = self.peek()?;
        if kind != TokenKind::FlowSequenceEnd {
            if !first {
                if kind != TokenKind::FlowEntry {
                    let context = self.context();
                    return Err(fault(context, "did not find expected ',' or ']'", start));
                }
                self.scanner.skip_token();
                (kind, start, end) = self.peek()?;
            }
            if kind == TokenKind::Key {
                self.state = State::FlowPairKey;
                self.scanner.skip_token();
                return Ok(Event { flow: true, ..event(EventKind::MappingStart, start, end) });
            }
            if kind != TokenKind::FlowSequenceEnd {
                self.states.push(State::FlowSequence);
                return self.node(false, false);
            }
        }
        let out = self.close(EventKind::SequenceEnd, start, end);
        let out = self.with_comments(out);
        self.scanner.skip_token();
        Ok(out)
    }

    pub(super) fn flow_pair_key(&mut self) -> Scan<Event<'a>> {
        let (kind, _, end) = self.peek()?;
        let ends = [TokenKind::Value, TokenKind::FlowEntry, TokenKind::FlowSequenceEnd];
        if !ends.contains(&kind) {
            self.states.push(State::FlowPairValue);
            return self.node(false, false);
        }
        // The original passes the token here, whichever it is.
        self.scanner.skip_token();
        self.state = State::FlowPairValue;
        Ok(empty_scalar(end))
    }

    pub(super) fn flow_pair_value(&mut self) -> Scan<Event<'a>> {
        let (kind, start, _) = self.peek()?;
        if kind == TokenKind::Value {
            self.scanner.skip_token();
            let (next, ..) = self.peek()?;
            if next != TokenKind::FlowEntry && next != TokenKind::FlowSequenceEnd {
                self.states.push(State::FlowPairEnd);
                return self.node(false, false);
            }
        }
        self.state = State::FlowPairEnd;
        Ok(empty_scalar(start))
    }

    pub(super) fn flow_mapping_key(&mut self, first: bool) -> Scan<Event<'a>> {
        if first {
            self.open()?;
        }
        let (mut kind, mut start, mut end) = self.peek()?;
        if kind != TokenKind::FlowMappingEnd {
            if !first {
                if kind != TokenKind::FlowEntry {
                    let context = self.context();
                    return Err(fault(context, "did not find expected ',' or '}'", start));
                }
                self.scanner.skip_token();
                (kind, start, end) = self.peek()?;
            }
            if kind == TokenKind::Key {
                self.scanner.skip_token();
                let (next, start, _) = self.peek()?;
                let ends = [TokenKind::Value, TokenKind::FlowEntry, TokenKind::FlowMappingEnd];
                if !ends.contains(&next) {
                    self.states.push(State::FlowMappingValue);
                    return self.node(false, false);
                }
                self.state = State::FlowMappingValue;
                return Ok(empty_scalar(start));
            }
            if kind != TokenKind::FlowMappingEnd {
                self.states.push(State::FlowMappingEmptyValue);
                return self.node(false, false);
            }
        }
        let out = self.close(EventKind::MappingEnd, start, end);
        let out = self.with_comments(out);
        self.scanner.skip_token();
        Ok(out)
    }

    pub(super) fn flow_mapping_value(&mut self, empty: bool) -> Scan<Event<'a>> {
        let (kind, mut start, _) = self.peek()?;
        if !empty && kind == TokenKind::Value {
            self.scanner.skip_token();
            let next;
            (next, start, _) = self.peek()?;
            if next != TokenKind::FlowEntry && next != TokenKind::FlowMappingEnd {
                self.states.push(State::FlowMappingKey);
                return self.node(false, false);
            }
        }
        self.state = State::FlowMappingKey;
        Ok(empty_scalar(start))
    }
}
