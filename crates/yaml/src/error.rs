//! What can be wrong with a text. Owns the error type; the words are chosen where the fault is found.

/// Why a text was refused.
///
/// `Display` gives go-yaml's own sentence where it has one (`yaml: line 3: mapping values are not
/// allowed in this context`), so that it can stand in for the original's message. The line in that
/// sentence is go-yaml's (which is often one before or after the fault); [`Error::line`] and
/// [`Error::column`] say where the fault really is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What sort of fault.
    pub kind: ErrorKind,
    /// 1-based line of the fault; 0 when it has no place in the text.
    pub line: u32,
    /// 1-based column of the fault in characters; 0 when it has no place in the text.
    pub column: u32,
    /// The sentence, in go-yaml's words where known.
    pub message: String,
}

/// The sort of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not text that YAML allows (encoding, control characters).
    Encoding,
    /// The text is not YAML.
    Syntax,
    /// The text is YAML, but its content cannot become the wanted value.
    Content,
    /// The same key twice in one mapping.
    DuplicateKey,
    /// A limit of [`crate::Options`] was reached.
    Limit,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        line: u32,
        column: u32,
        message: impl Into<String>,
    ) -> Error {
        Error { kind, line, column, message: message.into() }
    }
}
