//! SSH signatures (`PROTOCOL.sshsig`) in the namespace `git`, by the keys of `authorized_keys` files.

use ssh_key::{Fingerprint, HashAlg, PublicKey, SshSig};

use super::SignatureError;

const OF: &str = " SSH signature";

/// Returns the SHA-256 fingerprint of the key that made `signature` over `payload`.
///
/// A file with a line that is no key does not count at all, as a typo must not pass unseen.
pub(super) fn verify(
    what: &'static str,
    signature: &str,
    payload: &[u8],
    files: &[String],
) -> Result<String, SignatureError> {
    let signature = SshSig::from_pem(format!("{signature}\n")).map_err(|error| {
        SignatureError::UnreadableSignature { what, of: OF, reason: error.to_string() }
    })?;
    let (mut unreadable, mut tried, mut detail) = (None, false, String::new());
    for file in files {
        let keys = match parse(file) {
            Ok(keys) => keys,
            Err(reason) => {
                unreadable.get_or_insert(reason);
                continue;
            }
        };
        tried = true;
        for key in keys {
            match key.verify("git", payload, &signature) {
                Ok(()) => return Ok(fingerprint(&key).to_string()),
                Err(ssh_key::Error::PublicKey) => {}
                Err(ssh_key::Error::Namespace) => {
                    detail =
                        format!(": the signature is for '{}', not 'git'", signature.namespace());
                }
                Err(error) => detail = format!(": {}: {error}", fingerprint(&key)),
            }
        }
    }
    Err(match unreadable {
        Some(reason) if !tried => {
            SignatureError::UnreadableKeys { what, of: OF, read: "parse authorized keys", reason }
        }
        _ => SignatureError::NoMatch { what, of: OF, keys: "authorized keys", detail },
    })
}

fn parse(file: &str) -> Result<Vec<PublicKey>, String> {
    file.lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(i, line)| {
            PublicKey::from_openssh(line)
                .or_else(|_| PublicKey::from_openssh(without_options(line)))
                .map_err(|_| format!("line {} is not an SSH public key", i + 1))
        })
        .collect()
}

/// What follows the options a line may begin with: they end at the first blank outside of quotes.
fn without_options(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => return line[at..].trim_start(),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    ""
}

fn fingerprint(key: &PublicKey) -> Fingerprint {
    key.fingerprint(HashAlg::Sha256)
}
