//! What went wrong, where, and what would have been right. Owns the error type of a build.

use std::fmt;

/// One finding about the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, naming the field or the object.
    pub message: String,
    /// The file at fault, as an absolute path in the [`Files`](borax_stdx::files::Files) view.
    pub path: Option<String>,
    /// Line in that file, from 1; 0 when unknown.
    pub line: u32,
    /// Column in that line in characters, from 1; 0 when unknown.
    pub column: u32,
    /// What was being done, outermost first.
    pub context: Vec<String>,
    /// A way out.
    pub hint: Option<String>,
}

/// Everything found wrong; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
    /// The text is no YAML: a directory of that name need not be tried.
    pub(crate) malformed: bool,
}

impl std::error::Error for Diagnostics {}

impl Diagnostics {
    /// A single finding.
    pub fn new(message: impl Into<String>) -> Diagnostics {
        let found = Diagnostic { message: message.into(), ..Diagnostic::default() };
        Diagnostics { found: vec![found], malformed: false }
    }

    /// The findings, in the order of discovery.
    pub fn all(&self) -> &[Diagnostic] {
        &self.found
    }

    pub(crate) fn join(mut self, other: Diagnostics) -> Diagnostics {
        self.found.extend(other.found);
        self
    }

    /// Says what was being done when this was found.
    pub(crate) fn during(mut self, doing: impl fmt::Display) -> Diagnostics {
        for finding in &mut self.found {
            finding.context.insert(0, doing.to_string());
        }
        self
    }

    /// Names the file, where no finding closer to the fault did.
    pub(crate) fn at(mut self, path: &str) -> Diagnostics {
        for finding in &mut self.found {
            finding.path.get_or_insert_with(|| path.to_owned());
        }
        self
    }

    /// Names the place in the file, where no finding closer to the fault did.
    pub(crate) fn at_line(mut self, line: u32, column: u32) -> Diagnostics {
        for finding in &mut self.found {
            if finding.line == 0 {
                (finding.line, finding.column) = (line, column);
            }
        }
        self
    }

    /// Adds places found by the messages.
    pub(crate) fn located(mut self, place: impl Fn(&str) -> Option<(u32, u32)>) -> Diagnostics {
        for finding in &mut self.found {
            if finding.line == 0
                && let Some(place) = place(&finding.message)
            {
                (finding.line, finding.column) = place;
            }
        }
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Diagnostics {
        let hint = hint.into();
        for finding in &mut self.found {
            finding.hint.get_or_insert_with(|| hint.clone());
        }
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{path}")?;
            if self.line > 0 {
                write!(f, ":{}", self.line)?;
                if self.column > 0 {
                    write!(f, ":{}", self.column)?;
                }
            }
            f.write_str(": ")?;
        }
        for context in &self.context {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.found.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

/// The result of a step of a build.
pub(crate) type Result<T> = std::result::Result<T, Diagnostics>;

/// Shorthand for a single finding as an error.
pub(crate) fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(Diagnostics::new(message))
}
