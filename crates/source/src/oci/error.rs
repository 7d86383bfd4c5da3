//! What can go wrong between us and a registry, in go-containerregistry's words where it has some, and what of an
//! OCIRepository failed, in Flux's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use borax_artifact::ArtifactError;
use borax_artifact::digest::DigestError;
use borax_artifact::unpack::UnpackError;
use borax_golang::regexp::RegexpError;
use borax_golang::semver::ConstraintError;
use serde::Deserialize;
use serde_json::Value;

use super::name::NameError;
use crate::git::TlsError;

/// Why a conversation with a registry failed. URLs are without their query, which may hold a signature.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No answer.
    #[error("{method} \"{url}\"")]
    Network {
        /// `Get`, `Head`, `Post`.
        method: &'static str,
        /// What was asked for.
        url: String,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that is an error.
    #[error("{method} {url}: {answer}")]
    Status {
        /// The method.
        method: &'static str,
        /// What was asked for.
        url: String,
        /// What was answered.
        answer: Answer,
    },
    /// A redirect that is not followed.
    #[error("refused to follow the redirect from \"{from}\" to \"{to}\": {reason}")]
    Redirect {
        /// What was asked for.
        from: String,
        /// Where it points.
        to: String,
        /// Why not.
        reason: &'static str,
    },
    /// The registry names no place for tokens that we would show credentials to.
    #[error("invalid realm {realm:?} in www-authenticate: {reason}")]
    Realm {
        /// The place.
        realm: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The answer is not what the protocol asks for.
    #[error("{url}: {reason}")]
    Protocol {
        /// What was asked for.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// Content is not what its digest says.
    #[error("{what}: got {got:?}, want {want:?}")]
    Mismatch {
        /// What was checked.
        what: &'static str,
        /// The digest or size of what came.
        got: String,
        /// The digest or size it should have.
        want: String,
    },
    /// Neither HTTPS nor HTTP gave an answer.
    #[error("{https}; {http}")]
    Neither {
        /// What HTTPS gave.
        https: String,
        /// What HTTP gave.
        http: String,
    },
    /// A digest in a manifest is none, or of an algorithm that is not supported.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl RegistryError {
    /// The status code, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { answer, .. } => Some(answer.status),
            _ => None,
        }
    }

    /// How long the registry asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { answer, .. } => answer.retry_after,
            _ => None,
        }
    }
}

/// An error answer of a registry.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long the registry asks to be left alone.
    pub retry_after: Option<Duration>,
    is_head: bool,
    body: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    errors: Vec<Diagnostic>,
}

#[derive(Deserialize)]
struct Diagnostic {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    detail: Value,
}

impl Answer {
    pub(super) fn new(
        status: u16,
        retry_after: Option<Duration>,
        is_head: bool,
        body: &[u8],
    ) -> Self {
        Self { status, retry_after, is_head, body: String::from_utf8_lossy(body).into_owned() }
    }
}

/// The most of an answer that is shown, in bytes: it ends in a condition, whose length the API server limits.
const MAX_SHOWN: usize = 2048;

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text)?;
        let end = text.floor_char_boundary(MAX_SHOWN);
        f.write_str(&text[..end])?;
        f.write_str(if end < text.len() { "…" } else { "" })
    }
}

impl Answer {
    fn write(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let errors = serde_json::from_str::<ErrorBody>(&self.body)
            .map(|body| body.errors)
            .unwrap_or_default();
        if errors.is_empty() {
            let name =
                reqwest::StatusCode::from_u16(self.status).ok().and_then(|s| s.canonical_reason());
            write!(f, "unexpected status code {} {}", self.status, name.unwrap_or_default())?;
            return match self.body.trim() {
                "" if self.is_head => {
                    f.write_str(" (HEAD responses have no body, use GET for details)")
                }
                "" => Ok(()),
                body => write!(f, ": {body}"),
            };
        }
        if errors.len() > 1 {
            f.write_str("multiple errors returned: ")?;
        }
        for (at, error) in errors.iter().enumerate() {
            let separator = if at > 0 { "; " } else { "" };
            write!(f, "{separator}{}: {}", error.code, error.message)?;
            if !error.detail.is_null() {
                f.write_str("; ")?;
                go_value(&error.detail, f)?;
            }
        }
        Ok(())
    }
}

/// A JSON value as Go prints one with `%v`.
fn go_value(value: &Value, f: &mut impl fmt::Write) -> fmt::Result {
    match value {
        Value::Null => f.write_str("<nil>"),
        Value::String(text) => f.write_str(text),
        Value::Bool(_) | Value::Number(_) => write!(f, "{value}"),
        Value::Array(items) => {
            f.write_str("[")?;
            for (at, item) in items.iter().enumerate() {
                f.write_str(if at > 0 { " " } else { "" })?;
                go_value(item, f)?;
            }
            f.write_str("]")
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            f.write_str("map[")?;
            for (at, (name, member)) in members.into_iter().enumerate() {
                write!(f, "{}{name}:", if at > 0 { " " } else { "" })?;
                go_value(member, f)?;
            }
            f.write_str("]")
        }
    }
}

/// What of an OCIRepository failed. [`OciError::reason`] is its condition's reason.
///
/// Clones share the cause: one failure is reported to all that asked for the same.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OciError {
    /// `spec.url` is no repository.
    #[error("URL validation failed for '{url}'")]
    Url {
        /// `spec.url`.
        url: String,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// The certificates or the proxy can't be used.
    #[error("failed to generate transport for '{url}'")]
    Transport {
        /// `spec.url`.
        url: String,
        /// Why.
        #[source]
        source: Arc<TransportError>,
    },
    /// No tag could be chosen.
    #[error("failed to determine the artifact tag for '{url}'")]
    Tag {
        /// `spec.url`.
        url: String,
        /// Why.
        #[source]
        source: Arc<TagError>,
    },
    /// The tag or digest could not be looked up.
    #[error("failed to determine artifact digest")]
    Digest(#[source] Arc<RegistryError>),
    /// The manifest could not be fetched.
    #[error("failed to pull artifact from '{url}'")]
    Pull {
        /// `spec.url`.
        url: String,
        /// Why.
        #[source]
        source: Arc<RegistryError>,
    },
    /// The manifest is not one of an artifact or image.
    #[error("failed to parse artifact manifest: {reason}")]
    Manifest {
        /// What is wrong with it.
        reason: String,
    },
    /// The manifest has no layer.
    #[error("no layers found in artifact")]
    NoLayers,
    /// No layer is of the type that `spec.layerSelector.mediaType` names.
    #[error("failed to find layer with media type '{media_type}' in artifact")]
    NoSuchLayer {
        /// The type.
        media_type: String,
    },
    /// The layer could not be downloaded.
    #[error("failed to extract the {which} layer from artifact")]
    Layer {
        /// `first` or `selected`.
        which: &'static str,
        /// Why.
        #[source]
        source: Arc<RegistryError>,
    },
    /// The layer is larger than allowed.
    #[error("the artifact's layer is {size} bytes, more than the limit of {limit} bytes")]
    TooBig {
        /// What the manifest announces or what came, in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The layer is no sound tar.gz.
    #[error("failed to extract layer contents from artifact")]
    Extract(#[source] Arc<UnpackError>),
    /// The storage failed.
    #[error("failed to store the artifact's layer")]
    Storage(#[source] Arc<ArtifactError>),
    /// `spec.timeout` is over.
    #[error("failed to {action} '{url}' within the timeout of {seconds} s")]
    Timeout {
        /// What was being done.
        action: &'static str,
        /// `spec.url`.
        url: String,
        /// The timeout in seconds.
        seconds: f64,
    },
}

impl OciError {
    /// The reason of the `FetchFailed` (or, for [`OciError::Storage`], `StorageOperationFailed`) condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Url { .. } => "URLInvalid",
            Self::Transport { .. } => "AuthenticationFailed",
            Self::Tag { .. } => "ReadOperationFailed",
            Self::Digest(_) | Self::Pull { .. } | Self::Timeout { .. } => "OCIArtifactPullFailed",
            Self::Manifest { .. }
            | Self::NoLayers
            | Self::NoSuchLayer { .. }
            | Self::Layer { .. }
            | Self::TooBig { .. }
            | Self::Extract(_) => "OCIArtifactLayerOperationFailed",
            Self::Storage(_) => "ArchiveOperationFailed",
        }
    }

    /// Whether trying again without a change of the object is of no use.
    pub fn is_stalling(&self) -> bool {
        matches!(self, Self::Url { .. })
    }
}

/// Why no connection can be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The certificates can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The proxy can't be used.
    #[error("invalid proxy or connection settings")]
    Client(#[source] reqwest::Error),
}

/// Why no tag could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// The tags could not be listed.
    #[error(transparent)]
    List(Arc<RegistryError>),
    /// `spec.ref.semver` is no range.
    #[error("semver '{text}' parse error")]
    Constraint {
        /// The range.
        text: String,
        /// What is wrong with it.
        #[source]
        source: ConstraintError,
    },
    /// `spec.ref.semverFilter` is no regular expression.
    #[error("semverFilter '{text}' is not a regular expression")]
    Filter {
        /// The filter.
        text: String,
        /// What is wrong with it.
        #[source]
        source: RegexpError,
    },
    /// No tag is in the range.
    #[error("no match found for semver: {text}")]
    NoMatch {
        /// The range.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_read_as_go_containerregistry_prints_them() {
        for (status, is_head, body, want) in [
            (
                404,
                true,
                "",
                "unexpected status code 404 Not Found (HEAD responses have no body, use GET for details)",
            ),
            (502, false, "", "unexpected status code 502 Bad Gateway"),
            (502, false, "<html>\n", "unexpected status code 502 Bad Gateway: <html>"),
            (
                404,
                false,
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"1.0","A":null}}]}"#,
                "MANIFEST_UNKNOWN: manifest unknown; map[A:<nil> Tag:1.0]",
            ),
            (
                401,
                false,
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","N":1}]},{"code":"DENIED","message":"no"}]}"#,
                "multiple errors returned: UNAUTHORIZED: authentication required; [map[N:1 Type:repository]]; DENIED: no",
            ),
        ] {
            assert_eq!(Answer::new(status, None, is_head, body.as_bytes()).to_string(), want);
        }
        let long = Answer::new(500, None, false, "ä".repeat(9_000).as_bytes()).to_string();
        assert!(long.len() < 2100 && long.ends_with("ä…"), "{}", long.len());
    }
}
