//! Random strings, numbers and UUIDs, from the randomness passed in.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use borax_gotmpl::{FuncError, FuncMap, Type, Value};

use super::args::{int, text};
use super::fixed;
use crate::env::Env;

/// A number below `n`, without bias.
pub(super) fn below(env: &dyn Env, n: u64) -> u64 {
    let limit = u64::MAX - u64::MAX % n.max(1);
    loop {
        let mut buf = [0; 8];
        env.random(&mut buf);
        let drawn = u64::from_le_bytes(buf);
        if drawn < limit {
            return drawn % n.max(1);
        }
    }
}

pub(super) fn add(f: &mut FuncMap, env: &Arc<dyn Env>) {
    use Type::{Int, Str as S};
    const DIGITS: &str = "0123456789";
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let ascii: String = (' '..='~').collect();
    for (name, alphabet) in [
        ("randAlphaNum", format!("{DIGITS}{LETTERS}")),
        ("randAlpha", LETTERS.to_owned()),
        ("randNumeric", DIGITS.to_owned()),
        ("randAscii", ascii),
    ] {
        let env = Arc::clone(env);
        fixed(f, name, &[Int], move |cx, a| {
            let n = usize::try_from(int(&a[0])).unwrap_or(0);
            cx.make(n.saturating_mul(2))?;
            let alphabet = alphabet.as_bytes();
            let pick = |_| {
                let i = below(env.as_ref(), alphabet.len() as u64);
                alphabet[usize::try_from(i).unwrap_or(0)]
            };
            Ok(Value::str((0..n).map(pick).collect::<Vec<u8>>()))
        });
    }
    let source = Arc::clone(env);
    fixed(f, "randBytes", &[Int], move |cx, a| {
        let n = usize::try_from(int(&a[0]))
            .map_err(|_| FuncError::new("runtime error: makeslice: len out of range"))?;
        cx.make(n.saturating_mul(2))?;
        let mut buf = vec![0; n];
        source.random(&mut buf);
        Ok(Value::str(STANDARD.encode(buf)))
    });
    let source = Arc::clone(env);
    fixed(f, "randInt", &[Int, Int], move |_, a| {
        let (low, high) = (int(&a[0]), int(&a[1]));
        match high.checked_sub(low) {
            Some(span) if span > 0 => {
                let drawn = below(source.as_ref(), span.unsigned_abs());
                Ok(Value::int(low.wrapping_add(drawn.cast_signed())))
            }
            _ => Err("invalid argument to Intn".into()),
        }
    });
    let source = Arc::clone(env);
    fixed(f, "shuffle", &[S], move |_, a| {
        let mut chars: Vec<char> = text(&a[0]).chars().collect();
        for i in (1..chars.len()).rev() {
            let j = below(source.as_ref(), i as u64 + 1);
            chars.swap(i, usize::try_from(j).unwrap_or(0));
        }
        Ok(Value::str(chars.into_iter().collect::<String>()))
    });
    let source = Arc::clone(env);
    fixed(f, "uuidv4", &[], move |_, _| {
        let mut b = [0; 16];
        source.random(&mut b);
        b[6] = b[6] & 0x0f | 0x40;
        b[8] = b[8] & 0x3f | 0x80;
        let h = hex::encode(b);
        Ok(Value::str(format!(
            "{}-{}-{}-{}-{}",
            &h[..8],
            &h[8..12],
            &h[12..16],
            &h[16..20],
            &h[20..]
        )))
    });
}
