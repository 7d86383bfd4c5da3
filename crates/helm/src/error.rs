//! Why a chart could not be loaded or rendered, in Helm's words where Helm has any.

/// A chart operation failed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The chart's files are not a chart.
    #[error("{0}")]
    Chart(String),
    /// The archive cannot be read, leaves its folder, or is too large.
    #[error("{0}")]
    Archive(String),
    /// A values file or a `--set` argument cannot be read.
    #[error("{0}")]
    Values(String),
    /// Values and chart do not fit each other.
    #[error("{0}")]
    Coalesce(String),
    /// Values break a chart's schema.
    #[error(
        "values don't meet the specifications of the schema(s) in the following chart(s):\n{0}"
    )]
    Schema(String),
    /// The chart is for other Kubernetes versions.
    #[error("chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {have}")]
    KubeVersion {
        /// The constraint.
        wanted: String,
        /// The cluster's version.
        have: String,
    },
    /// A template was refused or failed.
    #[error("{0}")]
    Template(String),
    /// What a template gave is not YAML.
    #[error("YAML parse error on {path}: {message}")]
    Manifest {
        /// The template.
        path: String,
        /// The YAML library's words.
        message: String,
    },
    /// An option is not usable.
    #[error("{0}")]
    Option(String),
}
