//! Why a control plane could not be had, or did not do as told.

use std::io;
use std::path::PathBuf;

use super::PATIENCE;
use crate::oracle::OracleError;

/// Why there is no control plane.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A program is not built.
    #[error("{program} is not built (`cargo xtask cluster up` builds it)")]
    NotBuilt {
        /// File name of the program.
        program: &'static str,
    },
    /// The tool set is broken.
    #[error(transparent)]
    Oracle(#[from] OracleError),
    /// A file, a port or a process.
    #[error("{action}")]
    Io {
        /// What was being done.
        action: String,
        /// The cause.
        source: io::Error,
    },
    /// Keys could not be made.
    #[error("make the control plane's certificates")]
    Certificates(#[from] rcgen::Error),
    /// A program ended by itself.
    #[error("{program} ended with {status} while starting; its log ends:\n{log}")]
    Ended {
        /// Which.
        program: &'static str,
        /// How.
        status: std::process::ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// A program did not get ready in time.
    #[error("{what} took more than {} s; the log of {program} ends:\n{log}", PATIENCE.as_secs())]
    TooSlow {
        /// What was waited for.
        what: &'static str,
        /// Whose log is shown.
        program: &'static str,
        /// The last lines of its log.
        log: String,
    },
    /// The kubeconfig or the client made of it.
    #[error("make a client from the kubeconfig {}", path.display())]
    Client {
        /// The kubeconfig.
        path: PathBuf,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A request of the start itself.
    #[error("{action}")]
    Request {
        /// What was asked.
        action: &'static str,
        /// The answer.
        source: Box<kube::Error>,
    },
}

pub(super) fn io_error(action: impl Into<String>) -> impl FnOnce(io::Error) -> ClusterError {
    let action = action.into();
    move |source| ClusterError::Io { action, source }
}
