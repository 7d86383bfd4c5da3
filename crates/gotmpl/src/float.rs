//! Floats as text: Go's `strconv.FormatFloat`. Knows no flags, widths or verbs of printf beyond the
//! format letter.

/// Decimal digits and exponent of a finite, non-negative float: `0.d1d2d3… × 10^point`.
struct Digits {
    digits: Vec<u8>,
    point: i32,
}

/// Reads what Rust's exponent form gives; `precision` counts digits after the first.
fn decompose(f: f64, precision: Option<usize>) -> Digits {
    let text = match precision {
        Some(p) => format!("{f:.p$e}"),
        None => format!("{f:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if f == 0.0 && precision.is_none() {
        return Digits { digits: Vec::new(), point: 0 };
    }
    Digits { digits, point: if f == 0.0 { 0 } else { exponent + 1 } }
}

/// `strconv.FormatFloat(f, format, precision, 64)`; a precision of `None` is Go's -1.
///
/// Formats: `e E f g G b x X`; another letter gives `%` and the letter, as in Go.
pub fn format_float(f: f64, format: u8, precision: Option<usize>) -> String {
    if f.is_nan() {
        return "NaN".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let sign = if f.is_sign_negative() { "-" } else { "" };
    let magnitude = f.abs();
    let body = match format {
        b'e' | b'E' => exponent_form(&decompose(magnitude, precision), precision, format),
        b'f' => match precision {
            Some(p) => format!("{magnitude:.p$}"),
            None => plain_form(&decompose(magnitude, None)),
        },
        b'g' | b'G' => general_form(magnitude, precision, format),
        b'b' => binary_form(magnitude),
        b'x' | b'X' => hex_form(magnitude, precision, format),
        other => return format!("%{}", char::from(other)),
    };
    format!("{sign}{body}")
}

fn exponent_form(d: &Digits, precision: Option<usize>, letter: u8) -> String {
    let first = d.digits.first().copied().unwrap_or(b'0');
    let mut out = String::new();
    out.push(char::from(first));
    let n = precision.unwrap_or_else(|| d.digits.len().saturating_sub(1));
    if n > 0 {
        out.push('.');
        for i in 0..n {
            out.push(char::from(d.digits.get(i + 1).copied().unwrap_or(b'0')));
        }
    }
    let exponent = if d.digits.iter().all(|&b| b == b'0') { 0 } else { d.point - 1 };
    out.push(char::from(if letter == b'g' {
        b'e'
    } else if letter == b'G' {
        b'E'
    } else {
        letter
    }));
    out.push(if exponent < 0 { '-' } else { '+' });
    out.push_str(&format!("{:02}", exponent.abs()));
    out
}

fn plain_form(d: &Digits) -> String {
    let mut out = String::new();
    if d.point > 0 {
        for i in 0..d.point {
            let digit = usize::try_from(i).ok().and_then(|i| d.digits.get(i));
            out.push(char::from(digit.copied().unwrap_or(b'0')));
        }
    } else {
        out.push('0');
    }
    let len = i32::try_from(d.digits.len()).unwrap_or(i32::MAX);
    let fraction = (len - d.point).max(0);
    if fraction > 0 && !d.digits.is_empty() {
        out.push('.');
        for i in 0..fraction {
            let digit = usize::try_from(d.point + i).ok().and_then(|i| d.digits.get(i));
            out.push(char::from(digit.copied().unwrap_or(b'0')));
        }
    }
    out
}

fn general_form(f: f64, precision: Option<usize>, letter: u8) -> String {
    let mut d = match precision {
        None => decompose(f, None),
        Some(p) => {
            let mut d = decompose(f, Some(p.max(1) - 1));
            // %g drops trailing zeros.
            while d.digits.last() == Some(&b'0') {
                d.digits.pop();
            }
            d
        }
    };
    if d.digits.is_empty() {
        d.point = 0;
    }
    let len = i32::try_from(d.digits.len()).unwrap_or(i32::MAX);
    let mut threshold = match precision {
        Some(p) => i32::try_from(p.max(1)).unwrap_or(i32::MAX),
        None => 6,
    };
    if precision.is_some() && threshold > len && len >= d.point {
        threshold = len;
    }
    let exponent = d.point - 1;
    if exponent < -4 || exponent >= threshold {
        return exponent_form(&d, None, letter);
    }
    plain_form(&d)
}

fn binary_form(f: f64) -> String {
    let bits = f.to_bits();
    let exponent = i64::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    let mantissa = bits & ((1 << 52) - 1);
    let (mantissa, exponent) =
        if exponent == 0 { (mantissa, 1) } else { (mantissa | 1 << 52, exponent) };
    let power = exponent - 1023 - 52;
    format!("{mantissa}p{power:+}")
}

fn hex_form(f: f64, precision: Option<usize>, letter: u8) -> String {
    let bits = f.to_bits();
    let raw = i64::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    let mut mantissa = bits & ((1 << 52) - 1);
    let mut exponent = if raw == 0 { 1 } else { raw } - 1023;
    if raw != 0 {
        mantissa |= 1 << 52;
    }
    if mantissa == 0 {
        exponent = 0;
    }
    // One digit before the point, 13 after: shift so that bit 60 is the leading one.
    mantissa <<= 8;
    while mantissa != 0 && mantissa & (1 << 60) == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(p) = precision
        && p < 15
    {
        let shift = p * 4;
        let extra = (mantissa << shift) & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let lead = (mantissa >> 60) & 1;
    let mut digits = String::new();
    let mut rest = mantissa & ((1 << 60) - 1);
    match precision {
        None => {
            while rest != 0 {
                digits.push_str(&format!("{:x}", (rest >> 56) & 15));
                rest = (rest << 4) & ((1 << 60) - 1);
            }
        }
        Some(p) => {
            for _ in 0..p {
                digits.push_str(&format!("{:x}", (rest >> 56) & 15));
                rest = (rest << 4) & ((1 << 60) - 1);
            }
        }
    }
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let out = format!("0x{lead}{point}{digits}p{sign}{:02}", exponent.abs());
    if letter == b'X' { out.to_uppercase() } else { out }
}
