//! Signing commits, with an OpenPGP or an SSH key out of a Secret.
//!
//! Source: image-automation-controller `internal/source/signing.go` (keys, texts), fluxcd/pkg `git/signature`. A signer
//! prints no key.

use std::collections::BTreeMap;
use std::fmt;

use pgp::composed::{ArmorOptions, Deserializable as _, DetachedSignature, SignedSecretKey};
use pgp::types::{KeyDetails as _, Password, SigningKey};
use rand::rngs::OsRng;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use crate::verify::pgp::signing_key;

/// Bits of the smallest RSA key that OpenSSH takes a signature of.
const MIN_RSA: usize = 2048;

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFormat {
    /// OpenPGP, armored, under `git.asc`; its `passphrase` if need be.
    Gpg,
    /// SSH, in PEM, under `identity`; its `password` if need be.
    Ssh,
}

/// A key to sign with.
pub struct Signer(Key);

enum Key {
    Gpg { key: Box<SignedSecretKey>, passphrase: Password },
    Ssh(Box<PrivateKey>),
}

/// Why a Secret has no key to sign with. The texts are Flux's.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignerError {
    /// The key is not there.
    #[error("signing key secret '{secret}' does not contain {article} '{key}' key")]
    Missing {
        /// The Secret's name.
        secret: String,
        /// The key's key.
        key: &'static str,
        /// As English has it.
        article: &'static str,
    },
    /// The key can't be read.
    #[error("could not {doing} from secret '{secret}': {reason}")]
    Unreadable {
        /// The Secret's name.
        secret: String,
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// More keys than one.
    #[error(
        "multiple entities read from secret '{secret}', could not determine which signing key to use"
    )]
    Several {
        /// The Secret's name.
        secret: String,
    },
    /// A passphrase is needed.
    #[error(
        "can not use passphrase protected signing key without '{key}' field present in secret {secret}"
    )]
    NoPassphrase {
        /// The Secret's name.
        secret: String,
        /// The passphrase's key.
        key: &'static str,
    },
    /// The passphrase is wrong.
    #[error(
        "could not decrypt private key of the signing key present in secret {secret}: is '{key}' its passphrase?"
    )]
    Passphrase {
        /// The Secret's name.
        secret: String,
        /// The passphrase's key.
        key: &'static str,
    },
}

/// Why nothing was signed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("can't sign the commit: {0}")]
pub struct SignError(&'static str);

impl Signer {
    /// The key in the data of the Secret named `secret`.
    ///
    /// # Errors
    /// There is none that can sign.
    pub fn from_secret(
        format: KeyFormat,
        secret: &str,
        data: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, SignerError> {
        match format {
            KeyFormat::Gpg => gpg(secret, data),
            KeyFormat::Ssh => ssh(secret, data),
        }
    }

    /// An armored signature over `payload`, which is made at `now` (seconds since 1970).
    ///
    /// # Errors
    /// The key may not sign, or not any more.
    pub fn sign(&self, payload: &[u8], now: i64) -> Result<String, SignError> {
        match &self.0 {
            Key::Gpg { key, passphrase } => sign_gpg(key, passphrase, payload, now),
            Key::Ssh(key) => {
                let broken = |_| SignError("the SSH key can't sign");
                let signature = key.sign("git", HashAlg::Sha512, payload).map_err(broken)?;
                signature.to_pem(LineEnding::LF).map_err(broken)
            }
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Key::Gpg { .. } => "Signer(Gpg)",
            Key::Ssh(_) => "Signer(Ssh)",
        })
    }
}

fn gpg(secret: &str, data: &BTreeMap<String, Vec<u8>>) -> Result<Signer, SignerError> {
    let secret = || secret.to_string();
    let armored = data.get("git.asc").ok_or_else(|| SignerError::Missing {
        secret: secret(),
        key: "git.asc",
        article: "a",
    })?;
    let unreadable = |reason: &str| SignerError::Unreadable {
        secret: secret(),
        doing: "read signing key",
        reason: reason.to_string(),
    };
    // The library's own texts are for its developers.
    let (parsed, _) = SignedSecretKey::from_armor_many(armored.as_slice())
        .map_err(|_| unreadable("no armored private key found"))?;
    let keys: Vec<SignedSecretKey> = parsed
        .collect::<Result<_, _>>()
        .map_err(|_| unreadable("no readable private key found"))?;
    let mut keys = keys.into_iter();
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) => key,
        (None, _) => return Err(unreadable("no armored private key found")),
        (Some(_), Some(_)) => return Err(SignerError::Several { secret: secret() }),
    };
    let passphrase = data.get("passphrase");
    let encrypted = key.primary_key.secret_params().is_encrypted();
    if encrypted && passphrase.is_none() {
        return Err(SignerError::NoPassphrase { secret: secret(), key: "passphrase" });
    }
    let passphrase = Password::from(passphrase.map(Vec::as_slice).unwrap_or_default());
    let opened = key.primary_key.unlock(&passphrase, |_, _| Ok(()));
    if !matches!(opened, Ok(Ok(()))) {
        return Err(SignerError::Passphrase { secret: secret(), key: "passphrase" });
    }
    Ok(Signer(Key::Gpg { key: Box::new(key), passphrase }))
}

fn ssh(secret: &str, data: &BTreeMap<String, Vec<u8>>) -> Result<Signer, SignerError> {
    let secret = || secret.to_string();
    let pem = data.get("identity").ok_or_else(|| SignerError::Missing {
        secret: secret(),
        key: "identity",
        article: "an",
    })?;
    let unreadable = |reason: String| SignerError::Unreadable {
        secret: secret(),
        doing: "parse SSH signing key",
        reason,
    };
    let text = std::str::from_utf8(pem).map_err(|_| unreadable("it is not PEM".to_string()))?;
    let passphrase = data.get("password").and_then(|bytes| std::str::from_utf8(bytes).ok());
    let passphrase = passphrase.filter(|text| !text.is_empty());
    let key = match (russh::keys::decode_secret_key(text, passphrase), passphrase) {
        (Ok(key), _) => key,
        (Err(russh::keys::Error::KeyIsEncrypted), _) => {
            return Err(SignerError::NoPassphrase { secret: secret(), key: "password" });
        }
        (Err(_), Some(_)) => {
            return Err(SignerError::Passphrase { secret: secret(), key: "password" });
        }
        (Err(error), None) => return Err(unreadable(error.to_string())),
    };
    match key.public_key().key_data() {
        KeyData::Ed25519(_) | KeyData::Ecdsa(_) => {}
        KeyData::Rsa(rsa) if rsa.key_size() as usize >= MIN_RSA => {}
        KeyData::Rsa(rsa) => {
            let bits = rsa.key_size();
            return Err(unreadable(format!(
                "RSA key size {bits} bits is below the minimum; must be at least {MIN_RSA}"
            )));
        }
        _ => {
            let kind = key.algorithm();
            return Err(unreadable(format!("unsupported SSH signing key algorithm: {kind}")));
        }
    }
    Ok(Signer(Key::Ssh(Box::new(key))))
}

fn sign_gpg(
    key: &SignedSecretKey,
    passphrase: &Password,
    payload: &[u8],
    now: i64,
) -> Result<String, SignError> {
    let chosen = signing_key(&key.to_public_key(), now).map_err(SignError)?;
    let subkey = key.secret_subkeys.iter().find(|subkey| subkey.key.fingerprint() == chosen);
    match subkey {
        Some(subkey) => detached(&subkey.key, passphrase, payload),
        None if key.primary_key.fingerprint() == chosen => {
            detached(&key.primary_key, passphrase, payload)
        }
        None => Err(SignError("the private part of the OpenPGP key's signing subkey is missing")),
    }
}

fn detached(
    key: &impl SigningKey,
    passphrase: &Password,
    payload: &[u8],
) -> Result<String, SignError> {
    let broken = |_| SignError("the OpenPGP key can't sign");
    let signature =
        DetachedSignature::sign_binary_data(OsRng, key, passphrase, key.hash_alg(), payload)
            .map_err(broken)?;
    signature.to_armored_string(ArmorOptions::default()).map_err(broken)
}
