//! Errors of parsing and of rendering, worded as Go words them. Knows where, not why.

use std::fmt;

use crate::limits::Limit;

/// A template text was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Name of the template being parsed.
    pub template: String,
    /// Line, from 1.
    pub line: usize,
    /// What was wrong.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template: {}:{}: {}", self.template, self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Why a function call failed.
#[derive(Clone, Debug)]
pub enum FuncError {
    /// The function's own words.
    Message(String),
    /// A template run by the function failed.
    Exec(Box<ExecError>),
    /// A template run by the function failed, told in the function's words.
    Wrapped(String, Box<ExecError>),
    /// A template text read by the function was refused; with the words to show.
    Parse(String, ParseError),
    /// The rendering went over one of its limits: which, and how much it allows.
    Limit(Limit, u64),
    /// No error: the call gives the value, and the words are kept with their place
    /// ([`Context::notices`](crate::Context::notices)).
    Noted(String, crate::Value),
}

/// Words of a function that went on, with their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `name:line:column` of the call: line from 1, column in bytes from 0.
    pub location: String,
    /// The function.
    pub function: String,
    /// Its words.
    pub message: String,
}

impl FuncError {
    /// An error in the function's own words.
    pub fn new(message: impl Into<String>) -> FuncError {
        FuncError::Message(message.into())
    }
}

impl fmt::Display for FuncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FuncError::Message(text)
            | FuncError::Wrapped(text, _)
            | FuncError::Parse(text, _)
            | FuncError::Noted(text, _) => f.write_str(text),
            FuncError::Exec(e) => e.fmt(f),
            FuncError::Limit(which, most) => {
                write!(f, "rendering exceeds its limit of {most} {which}")
            }
        }
    }
}

impl std::error::Error for FuncError {}

impl From<String> for FuncError {
    fn from(text: String) -> Self {
        FuncError::Message(text)
    }
}

impl From<&str> for FuncError {
    fn from(text: &str) -> Self {
        FuncError::Message(text.into())
    }
}

/// A rendering stopped.
#[derive(Clone, Debug)]
pub struct ExecError {
    /// The template that was being executed.
    pub template: String,
    /// `name:line:column` of the action, when known: line from 1, column in bytes from 0.
    pub location: Option<String>,
    /// The text of the action or operand.
    pub context: String,
    /// What was wrong, without position; the whole text of the cause included.
    pub message: String,
    /// The function error behind, when a call failed.
    pub cause: Option<Box<FuncError>>,
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(
                f,
                "template: {location}: executing {} at <{}>: {}",
                crate::quote::quote(self.template.as_bytes()),
                self.context,
                self.message
            ),
            None if self.template.is_empty() => write!(f, "template: {}", self.message),
            None => write!(f, "template: {}: {}", self.template, self.message),
        }
    }
}

impl std::error::Error for ExecError {}
