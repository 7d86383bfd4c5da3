//! From events to trees, with go-yaml v3's tags and its re-attachment of comments. Owns the shape
//! of what is built and the depth limit; does not resolve aliases.

use std::collections::HashSet;

use smol_str::SmolStr;

use crate::events::{Event, EventKind, Parser};
use crate::node::Extra;
use crate::parse::Options;
use crate::resolve::implicit_tag;
use crate::scan::{Dialect, Fault, Mark, Scan, Stage};
use crate::{Comments, Data, Node, Position, Style, Tag};

/// Turns a parser's events into one document after another.
pub(crate) struct Composer<'a> {
    parser: Parser<'a>,
    dialect: Dialect,
    /// Names after `&` so far.
    anchors: HashSet<SmolStr>,
    max_depth: usize,
    max_nodes: usize,
    /// Nodes of the document so far.
    nodes: usize,
    comments: bool,
    started: bool,
}

/// A document's root and the comments around it.
pub(crate) struct Composed {
    pub(crate) root: Node,
    pub(crate) comments: Comments,
    pub(crate) position: Position,
}

/// A collection whose end has not come yet.
enum Open {
    Sequence(Node, Vec<Node>),
    /// And whether the last entry's value is still to come.
    Mapping(Node, Vec<(Node, Node)>, bool),
}

impl<'a> Composer<'a> {
    pub(crate) fn new(
        parser: Parser<'a>,
        dialect: Dialect,
        options: &Options,
        comments: bool,
    ) -> Composer<'a> {
        Composer {
            parser,
            dialect,
            anchors: HashSet::new(),
            max_depth: options.max_depth,
            max_nodes: options.max_nodes,
            nodes: 0,
            comments,
            started: false,
        }
    }

    /// The next document; `None` after the last.
    pub(crate) fn document(&mut self) -> Scan<Option<Composed>> {
        if !self.started {
            self.started = true;
            self.parser.next()?;
        }
        let start = self.parser.next()?;
        if start.kind != EventKind::DocumentStart {
            return Ok(None);
        }
        self.anchors.clear();
        self.nodes = 0;
        let root = self.node()?;
        let end = self.parser.next()?;
        let mut comments = comments_of(&start);
        comments.foot = comments_of(&end).foot;
        Ok(Some(Composed { root, comments, position: position(&start, false) }))
    }

    fn node(&mut self) -> Scan<Node> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let event = self.parser.next()?;
            if !matches!(event.kind, EventKind::SequenceEnd | EventKind::MappingEnd) {
                self.count(event.start)?;
            }
            let mut done = match event.kind {
                EventKind::Scalar => self.scalar(event),
                EventKind::Alias => self.alias(event)?,
                EventKind::SequenceStart => {
                    self.enter(&open, event.start)?;
                    let node = self.collection(event, Tag::Seq);
                    open.push(Open::Sequence(node, Vec::new()));
                    continue;
                }
                EventKind::MappingStart => {
                    self.enter(&open, event.start)?;
                    let node = self.collection(event, Tag::Map);
                    open.push(Open::Mapping(node, Vec::new(), false));
                    continue;
                }
                EventKind::SequenceEnd | EventKind::MappingEnd => match open.pop() {
                    Some(collection) => self.close(collection, event),
                    None => return Err(unexpected(event.start)),
                },
                _ => return Err(unexpected(event.start)),
            };
            match open.last_mut() {
                None => return Ok(done),
                Some(Open::Sequence(_, items)) => items.push(done),
                Some(Open::Mapping(node, entries, pending @ false)) => {
                    // A key's foot is the foot of the entry before it.
                    if !node.style.flow
                        && let Some(extra) = &mut done.extra
                        && !extra.comments.foot.is_empty()
                        && let Some((prior, _)) = entries.last_mut()
                    {
                        prior.extra_mut().comments.foot = std::mem::take(&mut extra.comments.foot);
                    }
                    entries.push((done, Node::default()));
                    *pending = true;
                }
                Some(Open::Mapping(_, entries, pending)) => {
                    *pending = false;
                    let Some((key, value)) = entries.last_mut() else { continue };
                    // A value's foot is kept at its key.
                    if let Some(extra) = &mut done.extra
                        && !extra.comments.foot.is_empty()
                        && key.comments().foot.is_empty()
                    {
                        key.extra_mut().comments.foot = std::mem::take(&mut extra.comments.foot);
                    }
                    *value = done;
                }
            }
        }
    }

    fn enter(&self, open: &[Open], start: Mark) -> Scan<()> {
        if open.len() < self.max_depth {
            return Ok(());
        }
        Err(limit(start, format!("exceeded max depth of {}", self.max_depth)))
    }

    fn count(&mut self, start: Mark) -> Scan<()> {
        if self.nodes < self.max_nodes {
            self.nodes += 1;
            return Ok(());
        }
        Err(limit(start, format!("the document has more than {} values", self.max_nodes)))
    }

    fn scalar(&mut self, event: Event<'_>) -> Node {
        let mut style = Style { quoting: event.quoting, ..Style::PLAIN };
        let tag = match tag_of(&event) {
            Some("!") if self.dialect == Dialect::V2 => Tag::Other("!".into()),
            Some(tag) if tag != "!" => {
                style.tagged = true;
                Tag::parse(tag)
            }
            _ if self.dialect == Dialect::V2 => Tag::None,
            _ => implicit_tag(&event.value, event.quoting),
        };
        let position = position(&event, true);
        let extra = self.extra(&event);
        Node { data: Data::Scalar(SmolStr::new(&event.value)), tag, style, position, extra }
    }

    fn collection(&mut self, event: Event<'_>, default: Tag) -> Node {
        let mut style = Style { flow: event.flow, ..Style::PLAIN };
        let tag = match tag_of(&event) {
            Some(tag) if tag != "!" => {
                style.tagged = true;
                Tag::parse(tag)
            }
            _ => default,
        };
        let position = position(&event, false);
        let extra = self.extra(&event);
        Node { data: Data::default(), tag, style, position, extra }
    }

    fn alias(&mut self, event: Event<'_>) -> Scan<Node> {
        if !self.anchors.contains(&*event.value) {
            return Err(Box::new(Fault {
                stage: Stage::Composer,
                context: Mark::default(),
                problem: event.start,
                message: format!("unknown anchor '{}' referenced", event.value).into(),
            }));
        }
        let position = position(&event, true);
        let extra = self.extra(&event);
        Ok(Node {
            data: Data::Alias(SmolStr::new(&event.value)),
            tag: Tag::None,
            style: Style::PLAIN,
            position,
            extra,
        })
    }

    fn close(&mut self, collection: Open, end: Event<'_>) -> Node {
        let ending = if self.comments { comments_of(&end) } else { Comments::default() };
        match collection {
            Open::Sequence(mut node, items) => {
                node.data = Data::Sequence(items);
                end_comments(&mut node, ending);
                node
            }
            Open::Mapping(mut node, mut entries, _) => {
                let mut ending = ending;
                if !node.style.flow
                    && !ending.foot.is_empty()
                    && let Some((key, _)) = entries.last_mut()
                {
                    key.extra_mut().comments.foot = std::mem::take(&mut ending.foot);
                }
                node.data = Data::Mapping(entries);
                end_comments(&mut node, ending);
                node
            }
        }
    }

    #[inline]
    fn extra(&mut self, event: &Event<'_>) -> Option<Box<Extra>> {
        if event.properties.is_none() && event.comments.is_none() {
            return None;
        }
        let anchor = match event.properties.as_ref().and_then(|both| both.anchor.as_ref()) {
            None => SmolStr::default(),
            Some(name) => {
                let name = SmolStr::new(name);
                self.anchors.insert(name.clone());
                name
            }
        };
        let comments = if self.comments && event.comments.is_some() {
            comments_of(event)
        } else {
            Comments::default()
        };
        let extra = Extra { anchor, comments };
        (extra != Extra::default()).then(|| Box::new(extra))
    }
}

/// The line and foot comments that came with a collection's end replace those of its start.
fn end_comments(node: &mut Node, ending: Comments) {
    if node.extra.is_none() && ending.line.is_empty() && ending.foot.is_empty() {
        return;
    }
    let mut comments = node.comments().clone();
    comments.line = ending.line;
    comments.foot = ending.foot;
    node.set_comments(comments);
}

fn comments_of(event: &Event<'_>) -> Comments {
    match &event.comments {
        None => Comments::default(),
        Some(comments) => Comments {
            head: SmolStr::new(&comments.head),
            line: SmolStr::new(&comments.line),
            foot: SmolStr::new(&comments.foot),
        },
    }
}

fn tag_of<'e>(event: &'e Event<'_>) -> Option<&'e str> {
    event.properties.as_ref()?.tag.as_deref()
}

fn position(event: &Event<'_>, with_end: bool) -> Position {
    let start = event.content;
    Position {
        line: event.start.line + 1,
        column: event.start.column + 1,
        start,
        end: if with_end && event.end >= start { event.end } else { start },
    }
}

fn limit(start: Mark, message: String) -> Box<Fault> {
    Box::new(Fault { stage: Stage::Limit, context: start, problem: start, message: message.into() })
}

fn unexpected(mark: Mark) -> Box<Fault> {
    Box::new(Fault {
        stage: Stage::Parser,
        context: Mark::default(),
        problem: mark,
        message: "did not find expected node content".into(),
    })
}
