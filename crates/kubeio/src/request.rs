//! What a request can come to: errors of the server in its own words, and errors on the way to it.

use serde_json::Value;

/// The server's refusal (a `Status`), with its message as Go's client would print it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status.
    pub code: u16,
    /// The machine-readable reason, such as `NotFound`; empty where none was given.
    pub reason: String,
    /// The message.
    pub message: String,
    /// The reasons of the causes, such as `FieldManagerConflict`.
    pub causes: Vec<String>,
    /// Seconds to wait before another attempt.
    pub retry_after: Option<u64>,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// The server said no.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The server could not be reached, or the connection broke.
    #[error("{method} {path}: {cause}")]
    Transport {
        /// The method.
        method: String,
        /// The path, without query.
        path: String,
        /// What happened.
        cause: String,
    },
    /// The answer makes no sense.
    #[error("{method} {path}: the answer is no JSON: {cause}")]
    Decode {
        /// The method.
        method: String,
        /// The path, without query.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl RequestError {
    /// The server's refusal, if that is what it is.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }

    /// The machine-readable reason; empty where there is none.
    pub fn reason(&self) -> &str {
        self.api().map_or("", |error| &error.reason)
    }

    /// Whether what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.api().is_some_and(|error| error.code == 404)
    }

    /// Whether the server does not even know the path: the kind is not served.
    pub fn is_unknown_path(&self) -> bool {
        self.api().is_some_and(|error| error.code == 404 && error.message.starts_with(UNKNOWN_PATH))
    }

    /// Whether the rights don't reach.
    pub fn is_forbidden(&self) -> bool {
        self.api().is_some_and(|error| matches!(error.code, 401 | 403))
    }

    /// Whether the same request may succeed a moment later, without anyone doing anything about it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Api(error) => error.code == 429 || error.code >= 500,
            Self::Transport { .. } => true,
            Self::Decode { .. } => false,
        }
    }
}

const UNKNOWN_PATH: &str = "the server could not find the requested resource";

/// Reads the answer to a refused request, with the texts of Go's client where the server sends no `Status`
/// (apimachinery `pkg/api/errors`: `NewGenericServerResponse`).
pub(crate) fn api_error(code: u16, retry_after: Option<u64>, body: &[u8]) -> ApiError {
    let status: Option<Value> = serde_json::from_slice(body).ok();
    let status =
        status.filter(|status| status.get("kind").and_then(Value::as_str) == Some("Status"));
    if let Some(status) = status {
        let text = |pointer: &str| {
            status.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let causes = status.pointer("/details/causes").and_then(Value::as_array);
        let causes = causes.into_iter().flatten().filter_map(|cause| cause.get("reason")?.as_str());
        let seconds = status.pointer("/details/retryAfterSeconds").and_then(Value::as_u64);
        return ApiError {
            code,
            reason: text("/reason"),
            message: text("/message"),
            causes: causes.map(str::to_owned).collect(),
            retry_after: retry_after.or(seconds.filter(|seconds| *seconds > 0)),
        };
    }
    let body = String::from_utf8_lossy(&body[..body.len().min(512)]).trim().to_owned();
    let (reason, message) = match code {
        401 => ("Unauthorized", "the server has asked for the client to provide credentials".to_owned()),
        403 => ("Forbidden", body),
        404 => ("NotFound", UNKNOWN_PATH.to_owned()),
        405 => ("MethodNotAllowed", "the server does not allow this method on the requested resource".to_owned()),
        409 => ("Conflict", "the server reported a conflict".to_owned()),
        422 => ("Invalid", "the server rejected our request due to an error in our request".to_owned()),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later".to_owned(),
        ),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request".to_owned()),
        504 => (
            "Timeout",
            "the server was unable to return a response in the time allotted, but may still be processing the request"
                .to_owned(),
        ),
        500.. => (
            "InternalError",
            format!("an error on the server ({body:?}) has prevented the request from succeeding"),
        ),
        _ => ("", format!("the server responded with the status code {code} but did not return more information")),
    };
    ApiError { code, reason: reason.to_owned(), message, causes: Vec::new(), retry_after }
}

/// Percent-encodes a path segment or the value of a query parameter.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
