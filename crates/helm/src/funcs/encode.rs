//! Base64 and base32 as Go's encoding packages read and write them, and hashes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use borax_gotmpl::{FuncMap, Type, Value};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::args::bytes;
use super::fixed;

pub(super) fn add(f: &mut FuncMap) {
    use Type::Str as S;
    fixed(f, "b64enc", &[S], |_, a| Ok(Value::str(STANDARD.encode(bytes(&a[0])))));
    fixed(f, "b64dec", &[S], |_, a| {
        Ok(match decode_base64(bytes(&a[0])) {
            Ok(data) => Value::str(data),
            Err(message) => Value::str(message),
        })
    });
    fixed(f, "b32enc", &[S], |_, a| Ok(Value::str(encode_base32(bytes(&a[0])))));
    fixed(f, "b32dec", &[S], |_, a| {
        Ok(match decode_base32(bytes(&a[0])) {
            Ok(data) => Value::str(data),
            Err(message) => Value::str(message),
        })
    });
    fixed(f, "sha1sum", &[S], |_, a| Ok(Value::str(hex::encode(Sha1::digest(bytes(&a[0]))))));
    fixed(f, "sha256sum", &[S], |_, a| Ok(Value::str(hex::encode(Sha256::digest(bytes(&a[0]))))));
    fixed(f, "sha512sum", &[S], |_, a| Ok(Value::str(hex::encode(Sha512::digest(bytes(&a[0]))))));
    fixed(f, "adler32sum", &[S], |_, a| {
        let (mut low, mut high) = (1u32, 0u32);
        for &b in bytes(&a[0]) {
            low = (low + u32::from(b)) % 65_521;
            high = (high + low) % 65_521;
        }
        Ok(Value::str((high << 16 | low).to_string()))
    });
}

fn corrupt(encoding: &str, at: usize) -> String {
    format!("illegal {encoding} data at input byte {at}")
}

fn base64_digit(b: u8) -> Option<u8> {
    Some(match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// `base64.StdEncoding.DecodeString`: newlines are skipped, padding is required.
pub(super) fn decode_base64(src: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(src.len() / 4 * 3);
    let mut at = 0;
    let next = |at: &mut usize| loop {
        let b = src.get(*at).copied();
        *at += usize::from(b.is_some());
        if !matches!(b, Some(b'\n' | b'\r')) {
            return b;
        }
    };
    loop {
        let mut group = [0u8; 4];
        let mut filled = 0;
        while filled < 4 {
            let Some(b) = next(&mut at) else {
                if filled == 0 {
                    return Ok(out);
                }
                return Err(corrupt("base64", at - filled));
            };
            if let Some(digit) = base64_digit(b) {
                group[filled] = digit;
                filled += 1;
                continue;
            }
            if b != b'=' || filled < 2 {
                return Err(corrupt("base64", at - 1));
            }
            if filled == 2 {
                match next(&mut at) {
                    None => return Err(corrupt("base64", src.len())),
                    Some(b'=') => {}
                    Some(_) => return Err(corrupt("base64", at - 1)),
                }
            }
            if next(&mut at).is_some() {
                return Err(corrupt("base64", at - 1));
            }
            out.push(group[0] << 2 | group[1] >> 4);
            if filled == 3 {
                out.push(group[1] << 4 | group[2] >> 2);
            }
            return Ok(out);
        }
        out.push(group[0] << 2 | group[1] >> 4);
        out.push(group[1] << 4 | group[2] >> 2);
        out.push(group[2] << 6 | group[3]);
    }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn encode_base32(src: &[u8]) -> String {
    let mut out = String::new();
    for chunk in src.chunks(5) {
        let mut block = [0u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let digits = (chunk.len() * 8).div_ceil(5);
        for i in 0..8 {
            let digit = usize::try_from(bits >> (35 - i * 5) & 31).unwrap_or(0);
            out.push(if i < digits { char::from(BASE32[digit]) } else { '=' });
        }
    }
    out
}

/// `base32.StdEncoding.DecodeString`.
fn decode_base32(src: &[u8]) -> Result<Vec<u8>, String> {
    let plain: Vec<u8> = src.iter().copied().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    let mut out = Vec::new();
    let mut at = 0;
    let mut ended = false;
    while at < plain.len() && !ended {
        let start = at;
        let mut bits: u64 = 0;
        let mut digits = 0;
        while digits < 8 {
            let Some(&b) = plain.get(at) else {
                return Err(corrupt("base32", start));
            };
            at += 1;
            if b == b'=' && digits >= 2 && plain.len() - at < 8 {
                if plain.len() - at + digits < 7 {
                    return Err(corrupt("base32", plain.len()));
                }
                for k in 0..7 - digits {
                    if plain.get(at + k).is_some_and(|b| *b != b'=') {
                        return Err(corrupt("base32", at + k - 1));
                    }
                }
                if matches!(digits, 1 | 3 | 6) {
                    return Err(corrupt("base32", at - 1));
                }
                ended = true;
                break;
            }
            let Some(digit) = BASE32.iter().position(|d| *d == b) else {
                return Err(corrupt("base32", at - 1));
            };
            bits |= (digit as u64) << (35 - digits * 5);
            digits += 1;
        }
        out.extend_from_slice(&bits.to_be_bytes()[3..3 + digits * 5 / 8]);
    }
    Ok(out)
}
