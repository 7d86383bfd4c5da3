//! Passwords and ciphers: bcrypt, htpasswd, derivePassword, AES.

use std::sync::Arc;

use aes::Aes256;
use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockDecrypt as _, BlockEncrypt as _, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use borax_gotmpl::{FuncMap, Type, Value};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::args::{bytes, int, text};
use super::fixed;
use crate::env::Env;

const BLOCK: usize = 16;
/// Steps that a password hash counts as: it takes a tenth of a second on purpose.
const SLOW: u64 = 500_000;
/// What deriving a password takes, in bytes.
const SCRYPT: usize = 33 << 20;

pub(super) fn add(f: &mut FuncMap, env: &Arc<dyn Env>) {
    use Type::{Str as S, Uint32};
    let host = Arc::clone(env);
    fixed(f, "bcrypt", &[S], move |cx, a| {
        cx.spend(SLOW)?;
        Ok(Value::str(bcrypt(host.as_ref(), bytes(&a[0]))))
    });
    let host = Arc::clone(env);
    fixed(f, "htpasswd", &[S, S], move |cx, a| {
        cx.spend(SLOW)?;
        let user = text(&a[0]);
        Ok(Value::str(if user.contains(':') {
            format!("invalid username: {user}")
        } else {
            format!("{user}:{}", bcrypt(host.as_ref(), bytes(&a[1])))
        }))
    });
    fixed(f, "derivePassword", &[Uint32, S, S, S, S], |cx, a| {
        cx.spend(SLOW)?;
        cx.make(SCRYPT)?;
        let counter = u32::try_from(int(&a[0])).unwrap_or(0);
        Ok(Value::str(derive_password(
            counter,
            &text(&a[1]),
            bytes(&a[2]),
            bytes(&a[3]),
            bytes(&a[4]),
        )))
    });
    let host = Arc::clone(env);
    fixed(f, "encryptAES", &[S, S], move |_, a| {
        let plain = bytes(&a[1]);
        if plain.is_empty() {
            return Ok(Value::str(""));
        }
        let mut iv = [0; BLOCK];
        host.random(&mut iv);
        Ok(Value::str(STANDARD.encode(encrypt(bytes(&a[0]), plain, iv))))
    });
    fixed(f, "decryptAES", &[S, S], |_, a| {
        if bytes(&a[1]).is_empty() {
            return Ok(Value::str(""));
        }
        let data = super::encode::decode_base64(bytes(&a[1]))?;
        Ok(Value::str(decrypt(bytes(&a[0]), &data)?))
    });
}

fn bcrypt(env: &dyn Env, password: &[u8]) -> String {
    if password.len() > 72 {
        return "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes"
            .into();
    }
    let mut salt = [0; 16];
    env.random(&mut salt);
    match bcrypt::hash_with_salt(password, 10, salt) {
        Ok(hash) => hash.format_for_version(bcrypt::Version::TwoA),
        Err(e) => format!("failed to encrypt string with bcrypt: {e}"),
    }
}

fn cipher(password: &[u8]) -> Aes256 {
    let mut key = [0; 32];
    let n = password.len().min(32);
    key[..n].copy_from_slice(&password[..n]);
    Aes256::new(GenericArray::from_slice(&key))
}

fn encrypt(password: &[u8], plain: &[u8], iv: [u8; BLOCK]) -> Vec<u8> {
    let cipher = cipher(password);
    let padding = BLOCK - plain.len() % BLOCK;
    let mut padded = plain.to_vec();
    padded.resize(plain.len() + padding, u8::try_from(padding).unwrap_or(0));
    let mut out = iv.to_vec();
    let mut previous = iv;
    for chunk in padded.chunks_exact(BLOCK) {
        let mut block = [0; BLOCK];
        for (i, b) in block.iter_mut().enumerate() {
            *b = chunk[i] ^ previous[i];
        }
        cipher.encrypt_block(GenericArray::from_mut_slice(&mut block));
        out.extend_from_slice(&block);
        previous = block;
    }
    out
}

fn decrypt(password: &[u8], data: &[u8]) -> Result<Vec<u8>, String> {
    let Some((iv, body)) = data.split_at_checked(BLOCK) else {
        let len = data.len();
        return Err(format!("runtime error: slice bounds out of range [:16] with capacity {len}"));
    };
    if body.len() % BLOCK != 0 {
        return Err("crypto/cipher: input not full blocks".into());
    }
    let cipher = cipher(password);
    let mut out = Vec::with_capacity(body.len());
    let mut previous = iv;
    for chunk in body.chunks_exact(BLOCK) {
        let mut block = [0; BLOCK];
        block.copy_from_slice(chunk);
        cipher.decrypt_block(GenericArray::from_mut_slice(&mut block));
        out.extend(block.iter().zip(previous).map(|(b, p)| b ^ p));
        previous = chunk;
    }
    let padding = usize::from(out.last().copied().unwrap_or(0));
    match out.len().checked_sub(padding) {
        Some(end) if !out.is_empty() => {
            out.truncate(end);
            Ok(out)
        }
        _ => Err("runtime error: slice bounds out of range".into()),
    }
}

const SEED: &[u8] = b"com.lyndir.masterpassword";

/// Masks of the Master Password algorithm, by password type.
fn masks(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => return None,
    })
}

fn characters(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

fn derive_password(counter: u32, kind: &str, password: &[u8], user: &[u8], site: &[u8]) -> String {
    let Some(masks) = masks(kind) else {
        return format!("cannot find password template {kind}");
    };
    let length = |s: &[u8]| u32::try_from(s.len()).unwrap_or(u32::MAX).to_be_bytes();
    let salt = [SEED, &length(user), user].concat();
    let mut key = [0; 64];
    let derived = scrypt::Params::new(15, 8, 2)
        .map_err(|e| e.to_string())
        .and_then(|p| scrypt::scrypt(password, &salt, &p, &mut key).map_err(|e| e.to_string()));
    if let Err(e) = derived {
        return format!("failed to derive password: {e}");
    }
    let message = [SEED, &length(site), site, &counter.to_be_bytes()].concat();
    let Ok(mut mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&key) else {
        return "failed to derive password: bad key".into();
    };
    mac.update(&message);
    let seed = mac.finalize().into_bytes();
    let mask = masks[usize::from(seed[0]) % masks.len()];
    let pick = |(i, class): (usize, u8)| {
        let from = characters(class);
        char::from(from[usize::from(seed[i + 1]) % from.len()])
    };
    mask.bytes().enumerate().map(pick).collect()
}
