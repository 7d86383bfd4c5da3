//! Private keys: making them, PEM in and out, signing. RSA, ECDSA P-256, Ed25519; DSA can only be made.

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_bigint::rand_core::{TryCryptoRng, TryRng};
use crypto_bigint::{Encoding, RandomBits, RandomMod, U1024, U2048, UnsignedWithMontyForm};
use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
use crypto_primes::{Flavor, is_prime, sieve_and_find};
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use p256::ecdsa::signature::Signer as _;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _};
use rsa::pkcs8::EncodePublicKey as _;
use rsa::rand_core::{CryptoRng, RngCore};
use rsa::signature::SignatureEncoding as _;

use super::cert::der;
use crate::env::Env;

/// The passed-in randomness as the key crates want it.
pub(super) struct Rng<'a>(pub(super) &'a dyn Env);

impl RngCore for Rng<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut buf = [0; 4];
        self.0.random(&mut buf);
        u32::from_le_bytes(buf)
    }

    fn next_u64(&mut self) -> u64 {
        let mut buf = [0; 8];
        self.0.random(&mut buf);
        u64::from_le_bytes(buf)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.random(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.0.random(dest);
        Ok(())
    }
}

impl CryptoRng for Rng<'_> {}

/// The same for the crate that finds primes, which wants later traits. The key crate's own search takes
/// seconds where this takes milliseconds.
struct PrimeRng<'a>(&'a dyn Env);

impl TryRng for PrimeRng<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(Rng(self.0).next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(Rng(self.0).next_u64())
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Infallible> {
        self.0.random(dest);
        Ok(())
    }
}

impl TryCryptoRng for PrimeRng<'_> {}

/// A prime of that many bits, the two highest set, so that two of them make a modulus of full size.
fn prime<T>(env: &dyn Env, bits: u32) -> Result<rsa::BigUint, String>
where
    T: UnsignedWithMontyForm + RandomBits + RandomMod + Encoding,
{
    let failed = |e: crypto_primes::Error| format!("error generating rsa key: {e}");
    let sieve = SmallFactorsSieveFactory::<T>::new(Flavor::Any, bits, SetBits::TwoMsb);
    let found = sieve_and_find(&mut PrimeRng(env), sieve.map_err(failed)?, |_, candidate| {
        is_prime(Flavor::Any, candidate)
    });
    let found = found.map_err(failed)?.ok_or("error generating rsa key: no prime found")?;
    Ok(rsa::BigUint::from_bytes_be(found.to_be_bytes().as_ref()))
}

/// A private key.
pub(super) enum Key {
    Rsa(Box<rsa::RsaPrivateKey>),
    Ecdsa(p256::SecretKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

impl Key {
    /// A new RSA key of that many bits.
    pub(super) fn rsa(env: &dyn Env, bits: usize) -> Result<Key, String> {
        let exponent = rsa::BigUint::from(65_537_u32);
        loop {
            let (p, q) = match bits {
                2048 => (prime::<U1024>(env, 1024)?, prime::<U1024>(env, 1024)?),
                4096 => (prime::<U2048>(env, 2048)?, prime::<U2048>(env, 2048)?),
                _ => return Err(format!("error generating rsa key: no keys of {bits} bits")),
            };
            match rsa::RsaPrivateKey::from_p_q(p, q, exponent.clone()) {
                Ok(key) => return Ok(Key::Rsa(Box::new(key))),
                // Equal primes, or one that does not go with the exponent: others will.
                Err(rsa::errors::Error::InvalidPrime | rsa::errors::Error::InvalidExponent) => {}
                Err(e) => return Err(format!("error generating rsa key: {e}")),
            }
        }
    }

    /// A new key of Sprig's `genPrivateKey` types, as PEM; what cannot be done is said in the text.
    pub(super) fn generate(env: &dyn Env, kind: &str) -> String {
        let key = match kind {
            "" | "rsa" => Key::rsa(env, 4096),
            "ecdsa" => Ok(Key::Ecdsa(p256::SecretKey::random(&mut Rng(env)))),
            "ed25519" => {
                let mut seed = [0; 32];
                env.random(&mut seed);
                Ok(Key::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed))))
            }
            "dsa" => return generate_dsa(env),
            _ => return format!("Unknown type {kind}"),
        };
        match key.and_then(|key| key.to_pem()) {
            Ok(pem) => pem,
            Err(e) => format!("failed to generate private key: {e}"),
        }
    }

    /// Reads a PEM private key.
    ///
    /// # Errors
    /// In Sprig's words; curves other than P-256 are refused by name.
    pub(super) fn from_pem(text: &str) -> Result<Key, String> {
        let Some((label, data)) = pem_decode(text) else {
            return Err("no PEM data in input".into());
        };
        let pkcs8 = |e: &str| format!("decoding PEM as PKCS#8: {e}");
        match label.as_str() {
            "PRIVATE KEY" => {
                if let Ok(key) = rsa::pkcs8::DecodePrivateKey::from_pkcs8_der(&data) {
                    return Ok(Key::Rsa(Box::new(key)));
                }
                if let Ok(key) = p256::SecretKey::from_pkcs8_der(&data) {
                    return Ok(Key::Ecdsa(key));
                }
                match ed25519_dalek::SigningKey::from_pkcs8_der(&data) {
                    Ok(key) => Ok(Key::Ed25519(Box::new(key))),
                    Err(_) => {
                        Err(pkcs8("not an RSA, ECDSA P-256 or Ed25519 key, the kinds supported"))
                    }
                }
            }
            "RSA PRIVATE KEY" => match rsa::RsaPrivateKey::from_pkcs1_der(&data) {
                Ok(key) => Ok(Key::Rsa(Box::new(key))),
                Err(e) => Err(format!("parsing RSA private key from PEM: {e}")),
            },
            "EC PRIVATE KEY" => match p256::SecretKey::from_sec1_der(&data) {
                Ok(key) => Ok(Key::Ecdsa(key)),
                Err(_) => {
                    Err("parsing EC private key from PEM: only curve P-256 is supported".into())
                }
            },
            "DSA PRIVATE KEY" => {
                Err("x509: certificates cannot be made or signed with DSA keys".into())
            }
            _ if label.ends_with(" PRIVATE KEY") => {
                let kind = label.trim_end_matches(" PRIVATE KEY");
                Err(format!("invalid private key type {kind}"))
            }
            _ => Err(format!("no private key data in PEM block of type {label}")),
        }
    }

    /// The key as Go writes it: PKCS#1 for RSA, SEC 1 for ECDSA, PKCS#8 else.
    pub(super) fn to_pem(&self) -> Result<String, String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        Ok(match self {
            Key::Rsa(key) => {
                let der = key.to_pkcs1_der().map_err(|e| text(&e))?;
                pem_encode("RSA PRIVATE KEY", der.as_bytes())
            }
            Key::Ecdsa(key) => {
                let der = key.to_sec1_der().map_err(|e| text(&e))?;
                pem_encode("EC PRIVATE KEY", &der)
            }
            Key::Ed25519(key) => {
                let der = key.to_pkcs8_der().map_err(|e| text(&e))?;
                pem_encode("PRIVATE KEY", der.as_bytes())
            }
        })
    }

    /// The public key as a DER SubjectPublicKeyInfo.
    pub(super) fn public_info(&self) -> Result<Vec<u8>, String> {
        let info = match self {
            Key::Rsa(key) => key.to_public_key().to_public_key_der(),
            Key::Ecdsa(key) => key.public_key().to_public_key_der(),
            Key::Ed25519(key) => key.verifying_key().to_public_key_der(),
        };
        info.map(|der| der.as_bytes().to_vec()).map_err(|e| e.to_string())
    }

    /// The DER AlgorithmIdentifier of its signatures.
    pub(super) fn signature_algorithm(&self) -> Vec<u8> {
        match self {
            Key::Rsa(_) => der::sequence(&[der::oid(RSA_SHA256), der::null()]),
            Key::Ecdsa(_) => der::sequence(&[der::oid(ECDSA_SHA256)]),
            Key::Ed25519(_) => der::sequence(&[der::oid(ED25519)]),
        }
    }

    /// Signs a message.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Key::Rsa(key) => {
                let signer = rsa::pkcs1v15::SigningKey::<rsa::sha2::Sha256>::new((**key).clone());
                signer.sign(message).to_vec()
            }
            Key::Ecdsa(key) => {
                let signature: p256::ecdsa::Signature =
                    p256::ecdsa::SigningKey::from(key.clone()).sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Key::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        }
    }
}

fn generate_dsa(env: &dyn Env) -> String {
    let mut rng = Rng(env);
    let components = dsa::Components::generate(&mut rng, dsa::KeySize::DSA_2048_256);
    let key = dsa::SigningKey::generate(&mut rng, components);
    let public = key.verifying_key();
    let c = public.components();
    let number = |n: &dsa::BigUint| der::integer(&n.to_bytes_be());
    let body = der::sequence(&[
        der::integer(&[0]),
        number(c.p()),
        number(c.q()),
        number(c.g()),
        number(public.y()),
        number(key.x()),
    ]);
    pem_encode("DSA PRIVATE KEY", &body)
}

/// A PEM block as Go's encoding/pem writes it.
pub(super) fn pem_encode(label: &str, data: &[u8]) -> String {
    let body = STANDARD.encode(data);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// The label and bytes of the first PEM block.
pub(super) fn pem_decode(text: &str) -> Option<(String, Vec<u8>)> {
    let start = text.find("-----BEGIN ")?;
    let after = &text[start + 11..];
    let (label, body) = after.split_once("-----")?;
    let end = body.find(&format!("-----END {label}-----"))?;
    // Headers, of the form "Key: value", end at an empty line.
    let body = &body[..end];
    let body = if body.contains(':') { body.split_once("\n\n")?.1 } else { body };
    let compact: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    Some((label.to_owned(), STANDARD.decode(compact).ok()?))
}
