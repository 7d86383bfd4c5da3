//! Numeric constants: Go's `strconv` grammar for integers and floats with base prefixes and
//! underscores, and the readings a template constant allows. Knows no evaluation.

use crate::lex::Kind;
use crate::node::Number;
use crate::quote::{quote, unquote_char};

/// Whether underscores only separate digits, as Go requires of base-0 literals.
fn underscores_ok(s: &str) -> bool {
    let s = s.strip_prefix(['+', '-']).unwrap_or(s);
    let bytes = s.as_bytes();
    let mut last = b'^';
    let mut at = 0;
    let mut hex = false;
    if bytes.len() >= 2 && bytes[0] == b'0' && matches!(bytes[1] | 0x20, b'b' | b'o' | b'x') {
        at = 2;
        last = b'0';
        hex = bytes[1] | 0x20 == b'x';
    }
    for &b in &bytes[at..] {
        if b.is_ascii_digit() || (hex && b.is_ascii_hexdigit()) {
            last = b'0';
        } else if b == b'_' {
            if last != b'0' {
                return false;
            }
            last = b'_';
        } else {
            if last == b'_' {
                return false;
            }
            last = b'!';
        }
    }
    last != b'_'
}

/// `strconv.ParseUint(s, 0, 64)`.
pub fn parse_uint(s: &str) -> Option<u64> {
    let lower = s.to_ascii_lowercase();
    let (digits, radix) = if let Some(d) = lower.strip_prefix("0x") {
        (d, 16)
    } else if let Some(d) = lower.strip_prefix("0b") {
        (d, 2)
    } else if let Some(d) = lower.strip_prefix("0o") {
        (d, 8)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (&lower[1..], 8)
    } else {
        (lower.as_str(), 10)
    };
    if digits.is_empty() || digits.starts_with(['+', '-']) {
        return None;
    }
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    if plain.len() != digits.len() && !underscores_ok(s) {
        return None;
    }
    u64::from_str_radix(&plain, radix).ok()
}

/// `strconv.ParseInt(s, 0, 64)`.
pub fn parse_int(s: &str) -> Option<i64> {
    let (negative, digits) = match s.as_bytes().first()? {
        b'-' => (true, &s[1..]),
        b'+' => (false, &s[1..]),
        _ => (false, s),
    };
    let n = i128::from(parse_uint(digits)?);
    i64::try_from(if negative { -n } else { n }).ok()
}

/// `strconv.ParseFloat(s, 64)`: decimal, hexadecimal, `inf`, `infinity` and `nan`. Out of range is
/// `None`, as it is an error in Go.
pub fn parse_float(s: &str) -> Option<f64> {
    let (negative, body) = match s.as_bytes().first()? {
        b'-' => (true, &s[1..]),
        b'+' => (false, &s[1..]),
        _ => (false, s),
    };
    let lower = body.to_ascii_lowercase();
    if lower == "inf" || lower == "infinity" {
        return Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    if lower == "nan" {
        return (body.len() == s.len()).then_some(f64::NAN);
    }
    let magnitude = if let Some(hex) = lower.strip_prefix("0x") {
        if lower.contains('_') && !underscores_ok(body) {
            return None;
        }
        parse_hex_float(&hex.replace('_', ""))?
    } else {
        if !lower
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-' | b'_'))
        {
            return None;
        }
        if !lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        if lower.contains('_') && !underscores_ok(body) {
            return None;
        }
        let lower = lower.replace('_', "");
        lower.parse::<f64>().ok()?
    };
    if magnitude.is_infinite() {
        return None;
    }
    Some(if negative { -magnitude } else { magnitude })
}

fn parse_hex_float(body: &str) -> Option<f64> {
    let (mantissa, exponent) = body.split_once('p')?;
    let exponent: i64 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: u128 = 0;
    let mut shift: i64 = 0;
    for c in whole.chars() {
        let digit = u128::from(c.to_digit(16)?);
        if value >> 120 == 0 { value = value * 16 + digit } else { shift += 4 }
    }
    for c in fraction.chars() {
        let digit = u128::from(c.to_digit(16)?);
        if value >> 120 == 0 {
            value = value * 16 + digit;
            shift -= 4;
        }
    }
    let scale = i32::try_from((exponent.clamp(-5000, 5000)) + shift).ok()?;
    #[expect(clippy::cast_precision_loss, reason = "rounding to the nearest float is the aim")]
    let mut result = value as f64;
    let mut left = scale;
    while left != 0 && result != 0.0 && result.is_finite() {
        let step = left.clamp(-1000, 1000);
        result *= 2f64.powi(step);
        left -= step;
    }
    Some(result)
}

#[expect(clippy::cast_possible_truncation, reason = "the cast is compared with what it came from")]
#[expect(clippy::cast_precision_loss, reason = "likewise")]
fn whole_int(f: f64) -> Option<i64> {
    let in_range = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&f);
    (in_range && (f as i64) as f64 == f).then_some(f as i64)
}

#[expect(clippy::cast_possible_truncation, reason = "the cast is compared with what it came from")]
#[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "likewise")]
fn whole_uint(f: f64) -> Option<u64> {
    let in_range = (0.0..18_446_744_073_709_551_616.0).contains(&f);
    (in_range && (f as u64) as f64 == f).then_some(f as u64)
}

fn simplify(mut n: Number, re: f64, im: f64) -> Number {
    n.complex = Some((re, im));
    if im == 0.0 {
        n.float = Some(re);
        n.int = whole_int(re);
        n.uint = whole_uint(re);
    }
    n
}

/// Reads a numeric token. The error is Go's text.
pub(crate) fn parse_number(token: &[u8], kind: Kind) -> Result<Number, String> {
    let text = String::from_utf8_lossy(token).into_owned();
    let mut n = Number { text: text.clone(), ..Number::default() };
    match kind {
        Kind::CharConstant => {
            let Some((unit, tail)) = unquote_char(&token[1..], token[0]) else {
                return Err("invalid syntax".into());
            };
            if tail != b"'" {
                return Err(format!("malformed character constant: {text}"));
            }
            let code = unit.code();
            n.int = Some(i64::from(code));
            n.uint = Some(u64::from(code));
            n.float = Some(f64::from(code));
            return Ok(n);
        }
        Kind::Complex => {
            let body = &text[..text.len() - 1];
            let split = body
                .char_indices()
                .skip(1)
                .filter(|(i, c)| {
                    matches!(c, '+' | '-') && !matches!(body.as_bytes()[i - 1] | 0x20, b'e' | b'p')
                })
                .last();
            let parts =
                split.and_then(|(i, _)| Some((parse_float(&body[..i])?, parse_float(&body[i..])?)));
            let Some((re, im)) = parts else {
                return Err("syntax error scanning complex number".into());
            };
            return Ok(simplify(n, re, im));
        }
        _ => {}
    }
    if let Some(imaginary) = text.strip_suffix('i')
        && let Some(f) = parse_float(imaginary)
    {
        return Ok(simplify(n, 0.0, f));
    }
    n.uint = parse_uint(&text);
    n.int = parse_int(&text);
    if n.int == Some(0) {
        n.uint = Some(0);
    }
    #[expect(clippy::cast_precision_loss, reason = "Go promotes the same way")]
    if let Some(i) = n.int {
        n.float = Some(i as f64);
    } else if let Some(u) = n.uint {
        n.float = Some(u as f64);
    } else if let Some(f) = parse_float(&text) {
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", quote(token)));
        }
        n.float = Some(f);
        n.int = whole_int(f);
        n.uint = whole_uint(f);
    } else {
        return Err(format!("illegal number syntax: {}", quote(token)));
    }
    Ok(n)
}
