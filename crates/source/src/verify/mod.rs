//! Whether a commit and its tag are signed by someone trusted: `spec.verify` of a GitRepository. Pure.
//!
//! Source: source-controller's `verifySignature`, fluxcd/pkg `git/signature`. The texts are theirs.

pub(crate) mod pgp;
mod ssh;

use std::collections::BTreeMap;

use crate::git::{Commit, Tag};

/// What must be signed: `spec.verify.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The commit.
    Head,
    /// The tag object that led to it.
    Tag,
    /// Both.
    TagAndHead,
}

impl Mode {
    /// The mode of that name; as in Flux the commit for any other, `head` among them.
    pub fn of(name: &str) -> Self {
        match name {
            "Tag" => Self::Tag,
            "TagAndHEAD" => Self::TagAndHead,
            _ => Self::Head,
        }
    }

    /// The name that goes into `status.sourceVerificationMode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Head => "HEAD",
            Self::Tag => "Tag",
            Self::TagAndHead => "TagAndHEAD",
        }
    }

    fn wants_tag(self) -> bool {
        self != Self::Head
    }

    fn wants_head(self) -> bool {
        self != Self::Tag
    }
}

/// The public keys that are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedKeys {
    /// Armored OpenPGP key rings.
    pub pgp: Vec<String>,
    /// `authorized_keys` files.
    pub ssh: Vec<String>,
}

impl TrustedKeys {
    /// Sorts the data of `spec.verify.secretRef`'s Secret: keys that end in `.sshpub` are SSH keys, all others OpenPGP keys.
    pub fn from_secret(data: &BTreeMap<String, Vec<u8>>) -> Self {
        let mut keys = Self::default();
        for (name, value) in data {
            let text = String::from_utf8_lossy(value).into_owned();
            match name.ends_with(".sshpub") {
                true => keys.ssh.push(text),
                false => keys.pgp.push(text),
            }
        }
        keys
    }
}

/// Why a signature does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VerifyError {
    /// A tag is to be verified and `spec.ref` names none.
    #[error("cannot verify tag object's signature if a tag reference is not specified")]
    NoTag,
    /// The tag has no signature.
    #[error("cannot verify signature of tag '{tag}' since it is not signed")]
    UnsignedTag {
        /// The tag.
        tag: String,
    },
    /// The tag's signature.
    #[error("signature verification of tag '{tag}' failed: {source}")]
    Tag {
        /// The tag.
        tag: String,
        /// Why.
        source: SignatureError,
    },
    /// The commit's signature.
    #[error("signature verification of commit '{commit}' failed: {source}")]
    Commit {
        /// The commit.
        commit: String,
        /// Why.
        source: SignatureError,
    },
}

impl VerifyError {
    /// The condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoTag => "InvalidVerificationMode",
            Self::UnsignedTag { .. } => "InvalidGitObject",
            Self::Tag { .. } => "InvalidTagSignature",
            Self::Commit { .. } => "InvalidCommitSignature",
        }
    }

    /// Whether trying again is of no use until the object changes.
    pub fn is_stalled(&self) -> bool {
        *self == Self::NoTag
    }
}

/// What is wrong with one signature.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    /// None, or of a kind that is not supported.
    #[error("unsupported signature type: {kind}")]
    Unsupported {
        /// `empty`, `x509` or `unknown`.
        kind: &'static str,
    },
    /// The Secret has no key of its kind.
    #[error(
        "{kind} signature detected but no {kind} public keys found in secret (keys with {suffix} suffix)"
    )]
    NoKeys {
        /// `PGP` or `SSH`.
        kind: &'static str,
        /// What such keys' names end in.
        suffix: &'static str,
    },
    /// None of the Secret's keys can be read.
    #[error("unable to verify Git {what}{of}: unable to {read}: {reason}")]
    UnreadableKeys {
        /// `commit` or `tag`.
        what: &'static str,
        /// ` SSH signature` or nothing.
        of: &'static str,
        /// What could not be done.
        read: &'static str,
        /// Why.
        reason: String,
    },
    /// The signature cannot be read.
    #[error("unable to verify Git {what}{of}: unable to read the signature: {reason}")]
    UnreadableSignature {
        /// `commit` or `tag`.
        what: &'static str,
        /// ` SSH signature` or nothing.
        of: &'static str,
        /// Why.
        reason: String,
    },
    /// No key made it.
    #[error(
        "unable to verify Git {what}{of}: unable to verify payload with any of the given {keys}: no matching key{detail}"
    )]
    NoMatch {
        /// `commit` or `tag`.
        what: &'static str,
        /// ` SSH signature` or nothing.
        of: &'static str,
        /// `key rings` or `authorized keys`.
        keys: &'static str,
        /// What stood in the way of a key that would fit; begins with a separator or is empty.
        detail: String,
    },
}

/// Verifies what `mode` asks for at `now` (seconds since 1970) and returns the condition's message.
pub fn verify(
    mode: Mode,
    commit: &Commit,
    tag: Option<&Tag>,
    keys: &TrustedKeys,
    now: i64,
) -> Result<String, VerifyError> {
    let mut message = String::from("verified signature of");
    if mode.wants_tag() {
        let tag = tag.ok_or(VerifyError::NoTag)?;
        let shown = tag.to_string();
        let Some(signature) = &tag.signature else {
            return Err(VerifyError::UnsignedTag { tag: shown });
        };
        let key = verify_object("tag", signature, &tag.payload, keys, now)
            .map_err(|source| VerifyError::Tag { tag: shown.clone(), source })?;
        message.push_str(&format!("\n\t- tag '{shown}' with key '{key}'"));
    }
    if mode.wants_head() {
        let signature = commit.signature.as_deref().unwrap_or_default();
        let key = verify_object("commit", signature, &commit.payload, keys, now)
            .map_err(|source| VerifyError::Commit { commit: commit.hash.clone(), source })?;
        message.push_str(&format!("\n\t- commit '{}' with key '{key}'", commit.hash));
    }
    Ok(message)
}

fn verify_object(
    what: &'static str,
    signature: &str,
    payload: &[u8],
    keys: &TrustedKeys,
    now: i64,
) -> Result<String, SignatureError> {
    let signature = signature.trim();
    match kind_of(signature) {
        Kind::Pgp if keys.pgp.is_empty() => {
            Err(SignatureError::NoKeys { kind: "PGP", suffix: ".asc" })
        }
        Kind::Pgp => pgp::verify(what, signature, payload, &keys.pgp, now),
        Kind::Ssh if keys.ssh.is_empty() => {
            Err(SignatureError::NoKeys { kind: "SSH", suffix: ".sshpub" })
        }
        Kind::Ssh => ssh::verify(what, signature, payload, &keys.ssh),
        Kind::Other(kind) => Err(SignatureError::Unsupported { kind }),
    }
}

enum Kind {
    Pgp,
    Ssh,
    Other(&'static str),
}

fn kind_of(signature: &str) -> Kind {
    if signature.starts_with("-----BEGIN PGP SIGNATURE-----") {
        Kind::Pgp
    } else if signature.starts_with("-----BEGIN SSH SIGNATURE-----") {
        Kind::Ssh
    } else if signature.starts_with("-----BEGIN SIGNED MESSAGE-----") {
        Kind::Other("x509")
    } else if signature.is_empty() {
        Kind::Other("empty")
    } else {
        Kind::Other("unknown")
    }
}
