//! What can go wrong between us and a Git server: the inner part of every fetch error.
//!
//! Texts follow go-git's where it has one, as Flux's users see them; what comes after names the way out.

use super::pktline::FrameError;
use super::session::Stopped;
use super::tls::TlsError;

/// Why a conversation with a Git server failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// Stopped from outside.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// 401, or no key the server takes.
    #[error("authentication required{detail}")]
    AuthenticationRequired {
        /// What the server said, and what to do; begins with a separator.
        detail: String,
    },
    /// 403.
    #[error("authorization failed{detail}")]
    AuthorizationFailed {
        /// What the server said; begins with a separator.
        detail: String,
    },
    /// 404, or the server's own words for it.
    #[error("repository not found{detail}")]
    RepositoryNotFound {
        /// What the server said; begins with a separator.
        detail: String,
    },
    /// The repository has no refs.
    #[error("remote repository is empty")]
    Empty,
    /// Another HTTP status.
    #[error(
        "unexpected client error: unexpected requesting \"{url}\" status code: {status}{detail}"
    )]
    Status {
        /// The requested URL, without credentials.
        url: String,
        /// The status code.
        status: u16,
        /// What the server said; begins with a separator.
        detail: String,
    },
    /// A redirect that is not followed.
    #[error("refused to follow the redirect from \"{from}\" to \"{to}\": {reason}")]
    Redirect {
        /// The requested URL, without credentials.
        from: String,
        /// Where it points, without credentials.
        to: String,
        /// Why not.
        reason: &'static str,
    },
    /// The connection failed.
    #[error("unexpected client error: {method} \"{url}\": {reason}")]
    Network {
        /// `Get`, `Post`, `dial`.
        method: &'static str,
        /// The URL, without credentials.
        url: String,
        /// The chain of causes.
        reason: String,
    },
    /// SSH's handshake, host key or authentication.
    #[error("ssh: {0}")]
    Ssh(String),
    /// The certificates given can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The answer is not Git's protocol.
    #[error("the answer is not Git's smart protocol: {0}")]
    Protocol(String),
    /// The server refused the request in words.
    #[error("remote: {0}")]
    Remote(String),
    /// The named ref is not there.
    #[error("couldn't find remote ref {name:?}{hint}")]
    RefNotFound {
        /// The ref in full.
        name: String,
        /// What there is instead; begins with a separator or is empty.
        hint: String,
    },
    /// More than the limits allow.
    #[error("{what} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What of it.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A path leads nowhere. The text is Go's, as Flux passes it on.
    #[error("walking path for files: lstat {path}: no such file or directory")]
    NoSuchPath {
        /// The path.
        path: String,
    },
    /// What was received can't be stored or read.
    #[error("{doing}: {reason}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        reason: String,
    },
}

impl From<FrameError> for Cause {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(error) => Self::from_io(error),
            other => Self::Protocol(other.to_string()),
        }
    }
}

impl Cause {
    /// The cause inside an error that came through [`std::io::Read`].
    pub(crate) fn from_io(error: std::io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(cause) => cause,
            Err(error) => match error.downcast::<Stopped>() {
                Ok(stopped) => Self::Stopped(stopped),
                Err(error) => Self::Protocol(error.to_string()),
            },
        }
    }

    /// The way through [`std::io::Read`].
    pub(crate) fn into_io(self) -> std::io::Error {
        std::io::Error::other(self)
    }

    pub(crate) fn store(doing: &'static str, error: &dyn std::fmt::Display) -> Self {
        Self::Store { doing, reason: error.to_string() }
    }
}

/// An error and its sources in one line, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let part = source.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = source.source();
    }
    text
}

/// A server's own words, fit for a condition: one line, no control characters, no page of HTML.
pub(crate) fn server_words(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.starts_with('<') {
        return String::new();
    }
    let line: String = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter(|c| !c.is_control())
        .take(300)
        .collect();
    format!(": {line}")
}
