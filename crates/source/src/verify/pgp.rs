//! OpenPGP signatures by the keys of armored key rings.
//!
//! A key counts as it does for ProtonMail's go-crypto, which Flux uses: bound to its owner by signatures that hold, allowed
//! to sign, not revoked and not expired at the time of verification. The key's primary key is what is named.

use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::types::{Fingerprint, KeyDetails, Tag, Timestamp};

use super::SignatureError;

/// Returns the id of the key that made `signature` over `payload`, in upper case hex.
pub(super) fn verify(
    what: &'static str,
    signature: &str,
    payload: &[u8],
    rings: &[String],
    now: i64,
) -> Result<String, SignatureError> {
    let signatures = DetachedSignature::from_armor_many(signature.as_bytes())
        .and_then(|(parsed, _)| parsed.collect::<Result<Vec<_>, _>>())
        .map_err(|_| SignatureError::NoMatch {
            what,
            of: "",
            keys: "key rings",
            detail: ": the signature can't be read".to_string(),
        })?;
    let (mut unreadable, mut tried, mut detail) = (None, false, String::new());
    for ring in rings {
        let keys = match read_ring(ring) {
            Ok(keys) => keys,
            Err(reason) => {
                unreadable.get_or_insert(reason);
                continue;
            }
        };
        tried = true;
        for key in &keys {
            for made in &signatures {
                match check(key, &made.signature, payload, now) {
                    Verdict::Good => return Ok(id(&key.primary_key)),
                    Verdict::Other => {}
                    Verdict::Bad(reason) => {
                        detail = format!(": key {}: {reason}", id(&key.primary_key))
                    }
                }
            }
        }
    }
    Err(match unreadable {
        Some(reason) if !tried => SignatureError::UnreadableKeys {
            what,
            of: "",
            read: "read armored key ring",
            reason: reason.to_string(),
        },
        _ => SignatureError::NoMatch { what, of: "", keys: "key rings", detail },
    })
}

/// The keys of a ring that can be read; an error when there is none.
fn read_ring(ring: &str) -> Result<Vec<SignedPublicKey>, &'static str> {
    let (parsed, _) = SignedPublicKey::from_armor_many(ring.as_bytes())
        .map_err(|_| "no armored public key found")?;
    let keys: Vec<SignedPublicKey> = parsed.filter_map(Result::ok).collect();
    match keys.is_empty() {
        true => Err("no readable public key found"),
        false => Ok(keys),
    }
}

enum Verdict {
    Good,
    /// Made by another key.
    Other,
    /// By this key, and yet.
    Bad(&'static str),
}

fn check(key: &SignedPublicKey, signature: &Signature, payload: &[u8], now: i64) -> Verdict {
    let by_primary = is_issuer(signature, &key.primary_key);
    let subkey = key.public_subkeys.iter().find(|subkey| is_issuer(signature, &subkey.key));
    if !by_primary && subkey.is_none() {
        return Verdict::Other;
    }
    let judged = || -> Result<(), &'static str> {
        check_signature(signature, now)?;
        let primary = check_primary(key, now)?;
        match subkey {
            _ if by_primary => {
                if !may_sign(primary) {
                    return Err("it is not meant for signing");
                }
                holds(signature.verify(&key.primary_key, payload))
            }
            Some(subkey) => {
                check_subkey(key, subkey, now)?;
                holds(signature.verify(&subkey.key, payload))
            }
            None => Err("it did not make the signature"),
        }
    };
    match judged() {
        Ok(()) => Verdict::Good,
        Err(reason) => Verdict::Bad(reason),
    }
}

/// The library's own texts are for its developers (they hold backtraces), so they are not passed on.
fn holds(verified: pgp::errors::Result<()>) -> Result<(), &'static str> {
    verified.map_err(|_| "the signature is not of what is signed")
}

fn is_issuer(signature: &Signature, key: &impl KeyDetails) -> bool {
    let (id, fingerprint) = (key.legacy_key_id(), key.fingerprint());
    signature.issuer_key_id().into_iter().any(|issuer| *issuer == id)
        || signature.issuer_fingerprint().into_iter().any(|issuer| *issuer == fingerprint)
}

/// What holds for every signature over data: its kind, hash and time, and nothing critical we do not know.
fn check_signature(signature: &Signature, now: i64) -> Result<(), &'static str> {
    if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
        return Err("the signature is not one over data");
    }
    if matches!(
        signature.hash_alg(),
        None | Some(HashAlgorithm::None | HashAlgorithm::Md5 | HashAlgorithm::Ripemd160)
    ) {
        return Err("the signature's hash is broken or unknown");
    }
    let is_critical_notation = |config: &pgp::packet::SignatureConfig| {
        config
            .hashed_subpackets()
            .any(|p| p.is_critical && matches!(p.data, SubpacketData::Notation(_)))
    };
    if signature.config().is_some_and(is_critical_notation) {
        return Err("the signature has an unknown critical notation");
    }
    if is_expired_signature(signature, now) {
        return Err("the signature is expired or from the future");
    }
    Ok(())
}

/// Checks the primary key and returns the signature its owner describes it with.
fn check_primary(key: &SignedPublicKey, now: i64) -> Result<&Signature, &'static str> {
    let primary = &key.primary_key;
    if key
        .details
        .revocation_signatures
        .iter()
        .any(|s| s.typ() == Some(SignatureType::KeyRevocation) && s.verify_key(primary).is_ok())
    {
        return Err("it is revoked");
    }
    let description = description(key)?;
    if is_expired_signature(description, now) || is_expired_key(primary, description, now) {
        return Err("it is expired");
    }
    Ok(description)
}

/// The latest self-signature of the primary identity; without identities the latest one on the key itself.
fn description(key: &SignedPublicKey) -> Result<&Signature, &'static str> {
    let primary = &key.primary_key;
    let mut best: Option<(bool, Option<u32>, &Signature)> = None;
    for user in &key.details.users {
        let own = |s: &&Signature| {
            is_issuer(s, primary) && s.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        };
        let revoked = user
            .signatures
            .iter()
            .any(|s| s.typ() == Some(SignatureType::CertRevocation) && own(&s));
        if revoked {
            continue;
        }
        let certifies =
            |s: &&Signature| s.is_certification() && s.typ() != Some(SignatureType::CertRevocation);
        for signature in user.signatures.iter().filter(certifies).filter(own) {
            let candidate = (signature.is_primary(), created(signature), signature);
            if best.is_none_or(|(is_primary, made, _)| {
                (candidate.0, candidate.1) >= (is_primary, made)
            }) {
                best = Some(candidate);
            }
        }
    }
    if let Some((_, _, signature)) = best {
        return Ok(signature);
    }
    key.details
        .direct_signatures
        .iter()
        .filter(|s| s.typ() == Some(SignatureType::Key) && s.verify_key(primary).is_ok())
        .max_by_key(|s| created(s))
        .ok_or("it has no identity that holds")
}

/// Checks that a subkey belongs to its primary key (both say so), may sign, and still counts.
fn check_subkey(
    key: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    now: i64,
) -> Result<(), &'static str> {
    let primary = &key.primary_key;
    let holds = |s: &&Signature| s.verify_subkey_binding(primary, &subkey.key).is_ok();
    let of = |kind| subkey.signatures.iter().filter(move |s| s.typ() == Some(kind)).filter(holds);
    if of(SignatureType::SubkeyRevocation).next().is_some() {
        return Err("its subkey is revoked");
    }
    let binding = of(SignatureType::SubkeyBinding)
        .max_by_key(|s| created(s))
        .ok_or("its subkey is not bound to it")?;
    if !may_sign(binding) {
        return Err("its subkey is not meant for signing");
    }
    let back = binding
        .embedded_signature()
        .filter(|back| back.verify_primary_key_binding(&subkey.key, primary).is_ok())
        .ok_or("its subkey does not confirm to belong to it")?;
    if is_expired_signature(binding, now)
        || is_expired_signature(back, now)
        || is_expired_key(&subkey.key, binding, now)
    {
        return Err("its subkey is expired");
    }
    Ok(())
}

/// The key that signs for `key` at `now`: its newest subkey that may, else itself.
///
/// Source: ProtonMail's go-crypto `openpgp/keys.go`, `SigningKeyById`.
pub(crate) fn signing_key(key: &SignedPublicKey, now: i64) -> Result<Fingerprint, &'static str> {
    let primary = check_primary(key, now)?;
    let usable = key.public_subkeys.iter().filter(|subkey| check_subkey(key, subkey, now).is_ok());
    match usable.max_by_key(|subkey| subkey.key.created_at().as_secs()) {
        Some(subkey) => Ok(subkey.key.fingerprint()),
        None if may_sign(primary) => Ok(key.primary_key.fingerprint()),
        None => Err("the OpenPGP key is not meant for signing, nor is a subkey of its"),
    }
}

fn may_sign(signature: &Signature) -> bool {
    signature.key_flags().sign()
}

fn created(signature: &Signature) -> Option<u32> {
    signature.created().map(Timestamp::as_secs)
}

/// Outside its time: made in the future, or past its end.
fn is_expired_signature(signature: &Signature, now: i64) -> bool {
    let Some(created) = created(signature).map(i64::from) else {
        return true;
    };
    let lifetime = signature.signature_expiration_time().map_or(0, |d| i64::from(d.as_secs()));
    created > now || (lifetime > 0 && now > created + lifetime)
}

/// The same for a key, whose end its `description` says.
fn is_expired_key(key: &impl KeyDetails, description: &Signature, now: i64) -> bool {
    let created = i64::from(key.created_at().as_secs());
    let lifetime = description.key_expiration_time().map_or(0, |d| i64::from(d.as_secs()));
    created > now || (lifetime > 0 && now > created + lifetime)
}

fn id(key: &impl KeyDetails) -> String {
    let id = key.legacy_key_id();
    id.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}
