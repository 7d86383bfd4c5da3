//! Errors of a fetch, in Flux's words.

use super::cause::Cause;
use super::session::Stopped;
use super::url::UrlError;

/// Why a fetch failed. The texts are those of fluxcd/pkg `git/gogit`; source-controller puts
/// `failed to checkout and determine revision: ` in front (see [`GitError::message`]).
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// `spec.url` can't be fetched from.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The remote's refs can't be listed.
    #[error("unable to list remote for '{url}': {cause}")]
    List {
        /// The URL, without credentials.
        url: String,
        /// Why.
        cause: Cause,
    },
    /// The remote can't be cloned.
    #[error("unable to clone '{url}': {cause}")]
    Clone {
        /// The URL, without credentials.
        url: String,
        /// Why.
        cause: Cause,
    },
    /// There is no such repository.
    #[error("unable to clone: {cause}: git repository: '{url}'")]
    NotFound {
        /// The URL, without credentials.
        url: String,
        /// Why.
        cause: Cause,
    },
    /// The repository has no commit.
    #[error("git repository is empty")]
    Empty,
    /// `spec.ref.name` is not there.
    #[error("unable to resolve ref '{name}' to a specific commit{hint}")]
    Unresolved {
        /// The name.
        name: String,
        /// What there is instead; begins with a separator or is empty.
        hint: String,
    },
    /// A name no ref can have.
    #[error("ref {name} is invalid; {reason}")]
    InvalidRef {
        /// The name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// `spec.ref.semver` does not parse.
    #[error("semver parse error: {reason}")]
    Semver {
        /// Why.
        reason: String,
    },
    /// No tag is in `spec.ref.semver`'s range.
    #[error("no match found for semver: {range}")]
    NoMatch {
        /// The range.
        range: String,
    },
    /// `spec.ref.commit` is not there.
    #[error("unable to resolve commit object for '{commit}': {reason}")]
    Commit {
        /// The hash as it was given.
        commit: String,
        /// Why.
        reason: String,
    },
    /// A directory of `spec.sparseCheckout` is not there.
    #[error("sparse checkout dir '{dir}' does not exist in repository: no such file or directory")]
    Sparse {
        /// The directory as it was given.
        dir: String,
    },
    /// A submodule can't be fetched.
    #[error("unable to clone '{url}': submodule '{path}': {cause}")]
    Submodule {
        /// The URL of the repository, without credentials.
        url: String,
        /// Where the submodule is.
        path: String,
        /// Why.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The fetch could not begin.
    #[error("can't start the fetch of '{url}': {reason}")]
    Start {
        /// The URL, without credentials.
        url: String,
        /// Why.
        reason: String,
    },
}

impl GitError {
    /// The whole text for a condition.
    pub fn message(&self) -> String {
        match self {
            Self::Empty => self.to_string(),
            Self::Sparse { .. } => format!("failed to sparse checkout directories : {self}"),
            _ => format!("failed to checkout and determine revision: {self}"),
        }
    }

    /// The condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "EmptyGitRepository",
            _ => "GitOperationFailed",
        }
    }

    /// Whether the caller itself stopped the fetch: nothing to report, the next attempt will tell.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::List { cause, .. } | Self::Clone { cause, .. } | Self::NotFound { cause, .. } => {
                matches!(cause, Cause::Stopped(Stopped::Cancelled))
            }
            Self::Submodule { cause, .. } => cause
                .downcast_ref::<Cause>()
                .is_some_and(|c| matches!(c, Cause::Stopped(Stopped::Cancelled))),
            _ => false,
        }
    }
}

/// Why nothing was pushed. The texts are those of image-automation-controller and fluxcd/pkg `git/gogit`.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// The source could not be checked out.
    #[error("failed to checkout source: {0}")]
    Checkout(GitError),
    /// The files could not be changed.
    #[error("failed to apply policies: {0}")]
    Apply(Cause),
    /// There is no commit to be made.
    #[error("failed to update source: {0}")]
    Commit(String),
    /// The commit could not be pushed.
    #[error("failed to update source: failed to push to remote: {cause}")]
    Push {
        /// Why.
        cause: Cause,
        /// Whether the server may have taken it all the same.
        unanswered: bool,
    },
}

impl ProposeError {
    pub(crate) fn push(cause: Cause) -> Self {
        Self::Push { cause, unanswered: false }
    }

    pub(crate) fn unanswered(cause: Cause) -> Self {
        Self::Push { cause, unanswered: true }
    }
}
