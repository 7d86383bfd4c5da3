//! Reading texts: the entry points, their options and their errors.

use std::borrow::Cow;

use crate::compose::{Composed, Composer};
use crate::error::{Error, ErrorKind};
use crate::events::Parser;
use crate::input;
use crate::scan::{Dialect, Fault, Scanner, Stage};
use crate::{Comments, Node, Position};

/// Collections inside each other at most, where no option says otherwise.
pub(crate) const MAX_DEPTH: usize = 500;

/// Limits and choices for reading.
#[derive(Clone, Debug)]
pub struct Options {
    /// Keep comments in the trees. Without, they are read over.
    pub comments: bool,
    /// Collections inside each other at most. go-yaml allows 10,000; nothing that Kubernetes
    /// accepts comes near the default of 500.
    pub max_depth: usize,
    /// Bytes of text at most.
    pub max_bytes: usize,
    /// Nodes of one document at most. A node takes some hundred bytes where it stands for one of the text; an
    /// object of the largest size that Kubernetes stores has fewer than a million.
    pub max_nodes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { comments: true, max_depth: MAX_DEPTH, max_bytes: 256 << 20, max_nodes: 4_000_000 }
    }
}

/// One document of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// Its content. An empty document is a plain empty scalar (`!!null`).
    pub root: Node,
    /// Comments that belong to the document as a whole: `head` before, `foot` after the content.
    pub comments: Comments,
    /// Where it begins.
    pub position: Position,
}

/// Reads all documents of a text as `go.yaml.in/yaml/v3` would and gives their contents.
///
/// An empty text, or one of comments only, has no documents. An alias must find its anchor in its
/// own document, as the specification asks (v3's decoder would look in earlier ones too; kyaml takes
/// documents apart before it decodes them). A second byte order mark at the beginning is read over
/// (v3 loses characters after it).
pub fn parse(text: impl AsRef<[u8]>, options: &Options) -> Result<Vec<Node>, Error> {
    Ok(parse_documents(text, options)?.into_iter().map(|document| document.root).collect())
}

/// As [`parse`], with the documents' own comments.
pub fn parse_documents(text: impl AsRef<[u8]>, options: &Options) -> Result<Vec<Document>, Error> {
    let mut documents = Vec::new();
    read(text.as_ref(), Dialect::V3, options, |document| {
        documents.push(document);
        true
    })?;
    Ok(documents)
}

/// Reads the first document only, as `yaml.Unmarshal` does: what comes after it may be anything.
pub fn parse_first(text: impl AsRef<[u8]>, options: &Options) -> Result<Option<Node>, Error> {
    let mut first = None;
    read(text.as_ref(), Dialect::V3, options, |document| {
        first = Some(document.root);
        false
    })?;
    Ok(first)
}

/// Reads documents one by one and hands each to `each`, until that answers `false`.
/// A fault in a later document does not take back the earlier ones.
pub fn for_each_document(
    text: impl AsRef<[u8]>,
    options: &Options,
    each: impl FnMut(Document) -> bool,
) -> Result<(), Error> {
    read(text.as_ref(), Dialect::V3, options, each)
}

pub(crate) fn read(
    bytes: &[u8],
    dialect: Dialect,
    options: &Options,
    mut each: impl FnMut(Document) -> bool,
) -> Result<(), Error> {
    let limit = options.max_bytes.min(u32::MAX as usize - 1);
    if bytes.len() > limit {
        let message = format!("yaml: text of {} bytes exceeds the limit of {limit}", bytes.len());
        return Err(Error::new(ErrorKind::Limit, 0, 0, message));
    }
    let input = input::check(bytes);
    let scanner = Scanner::new(&input.text, input.skip, input.fault, dialect);
    let parser = Parser::new(scanner, dialect);
    let comments = options.comments && dialect == Dialect::V3;
    let mut composer = Composer::new(parser, dialect, options, comments);
    loop {
        match composer.document() {
            Ok(Some(Composed { root, comments, position })) => {
                if !each(Document { root, comments, position }) {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(fault) => return Err(error(&fault, dialect)),
        }
    }
}

/// go-yaml's sentence for a fault, with the line that it would name.
fn error(fault: &Fault, dialect: Dialect) -> Error {
    let (context, problem) = (fault.context.line, fault.problem.line);
    let scanner = u32::from(fault.stage == Stage::Scanner);
    let line = match dialect {
        _ if !matches!(fault.stage, Stage::Scanner | Stage::Parser) => 0,
        Dialect::V3 if context != 0 => context + scanner,
        Dialect::V3 if problem != 0 => problem + scanner,
        Dialect::V2 if problem != 0 => problem + scanner,
        Dialect::V2 => context,
        Dialect::V3 => 0,
    };
    let place: Cow<'static, str> = match line {
        0 => "".into(),
        line => format!("line {line}: ").into(),
    };
    let kind = match fault.stage {
        Stage::Reader => ErrorKind::Encoding,
        Stage::Limit => ErrorKind::Limit,
        _ => ErrorKind::Syntax,
    };
    let (line, column) = match fault.stage {
        Stage::Reader => (0, 0),
        _ => (problem + 1, fault.problem.column + 1),
    };
    Error::new(kind, line, column, format!("yaml: {place}{}", fault.message))
}
