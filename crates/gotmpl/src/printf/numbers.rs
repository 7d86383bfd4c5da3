//! Numbers of every verb: integers, code points, floats, complex.

use super::Printer;
use crate::float::format_float;
use crate::quote;
use crate::value::Value;

/// The integers printf can show: magnitude and sign.
#[derive(Clone, Copy)]
pub(super) struct Integer {
    magnitude: u64,
    negative: bool,
    signed: bool,
}

impl Integer {
    pub(super) fn signed(n: i64) -> Integer {
        Integer { magnitude: n.unsigned_abs(), negative: n < 0, signed: true }
    }

    pub(super) fn unsigned(n: u64) -> Integer {
        Integer { magnitude: n, negative: false, signed: false }
    }
}

impl Printer {
    pub(super) fn hex64(&mut self, n: u64, leading: bool) {
        let sharp = std::mem::replace(&mut self.flags.sharp, leading);
        self.number(Integer::unsigned(n), 16, 'v', false);
        self.flags.sharp = sharp;
    }

    pub(super) fn integer(&mut self, n: Integer, verb: char, value: &Value) {
        match verb {
            'v' if self.flags.sharp_v && !n.signed => self.hex64(n.magnitude, true),
            'v' | 'd' => self.number(n, 10, verb, false),
            'b' => self.number(n, 2, verb, false),
            'o' | 'O' => self.number(n, 8, verb, false),
            'x' => self.number(n, 16, verb, false),
            'X' => self.number(n, 16, verb, true),
            'c' | 'q' | 'U' => {
                let code = if n.negative { n.magnitude.wrapping_neg() } else { n.magnitude };
                self.code_point(code, verb);
            }
            _ => self.bad_verb(verb, value),
        }
    }

    pub(super) fn code_point(&mut self, code: u64, verb: char) {
        let rune = u32::try_from(code).ok().and_then(char::from_u32);
        let rune_or_bad = rune.unwrap_or(char::REPLACEMENT_CHARACTER);
        match verb {
            'c' => {
                let mut buf = [0; 4];
                let bytes = rune_or_bad.encode_utf8(&mut buf).as_bytes().to_vec();
                self.pad(&bytes);
            }
            'q' => {
                let text = quote::quote_rune(rune_or_bad, self.flags.plus);
                self.pad(text.as_bytes());
            }
            _ => {
                let digits = self.flags.precision.unwrap_or(4).max(4).min(self.limit);
                let mut text = format!("U+{code:0digits$X}");
                if self.flags.sharp
                    && let Some(c) = rune
                    && crate::text::is_print(c)
                {
                    text.push_str(&format!(" '{c}'"));
                }
                self.pad_plain(text.as_bytes());
            }
        }
    }

    pub(super) fn number(&mut self, n: Integer, base: u32, verb: char, upper: bool) {
        let flags = self.flags;
        let mut least = 0;
        if let Some(p) = flags.precision {
            least = p;
            if p == 0 && n.magnitude == 0 {
                let zero = std::mem::replace(&mut self.flags.zero, false);
                self.padding(flags.width.unwrap_or(0));
                self.flags.zero = zero;
                return;
            }
        } else if flags.zero
            && !flags.minus
            && let Some(w) = flags.width
        {
            least = w;
            if n.negative || flags.plus || flags.space {
                least = least.saturating_sub(1);
            }
        }
        let digits = match base {
            2 => format!("{:b}", n.magnitude),
            8 => format!("{:o}", n.magnitude),
            16 if upper => format!("{:X}", n.magnitude),
            16 => format!("{:x}", n.magnitude),
            _ => n.magnitude.to_string(),
        };
        let least = least.min(self.limit);
        let mut body = "0".repeat(least.saturating_sub(digits.len()));
        body.push_str(&digits);
        let mut text = String::new();
        if n.negative {
            text.push('-');
        } else if flags.plus {
            text.push('+');
        } else if flags.space {
            text.push(' ');
        }
        if verb == 'O' {
            text.push_str("0o");
        }
        if flags.sharp {
            match base {
                2 => text.push_str("0b"),
                8 if !body.starts_with('0') => text.push('0'),
                16 => text.push_str(if upper { "0X" } else { "0x" }),
                _ => {}
            }
        }
        text.push_str(&body);
        self.pad_plain(text.as_bytes());
    }

    pub(super) fn float(&mut self, f: f64, verb: char, value: &Value) {
        match verb {
            'v' => self.float_text(f, b'g', None),
            'g' | 'G' | 'b' | 'x' | 'X' => {
                self.float_text(f, u8::try_from(verb).unwrap_or(b'g'), None);
            }
            'e' | 'E' => self.float_text(f, u8::try_from(verb).unwrap_or(b'e'), Some(6)),
            'f' | 'F' => self.float_text(f, b'f', Some(6)),
            _ => self.bad_verb(verb, value),
        }
    }

    pub(super) fn float_text(&mut self, f: f64, format: u8, default: Option<usize>) {
        let flags = self.flags;
        let precision = flags.precision.or(default);
        if precision.is_some_and(|p| p > self.limit) {
            self.overflow = true;
            return;
        }
        let mut num = format_float(f, format, precision);
        if !num.starts_with(['+', '-']) {
            num.insert(0, '+');
        }
        if flags.space && num.starts_with('+') && !flags.plus {
            num.replace_range(..1, " ");
        }
        if matches!(num.as_bytes().get(1), Some(b'I' | b'N')) {
            // An infinity always shows its sign.
            if num.as_bytes()[1] == b'N' && !flags.space && !flags.plus {
                num.remove(0);
            }
            return self.pad_plain(num.as_bytes());
        }
        if flags.sharp && format != b'b' {
            num = sharp_float(&num, format, precision);
        }
        if flags.plus || !num.starts_with('+') {
            if flags.zero
                && !flags.minus
                && let Some(width) = flags.width
                && width > num.len()
            {
                self.push(&num.as_bytes()[..1]);
                self.padding(width - num.len());
                self.push(&num.as_bytes()[1..]);
                return;
            }
            return self.pad(num.as_bytes());
        }
        self.pad(&num.as_bytes()[1..]);
    }

    pub(super) fn complex(&mut self, re: f64, im: f64, verb: char, value: &Value) {
        if !matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E') {
            return self.bad_verb(verb, value);
        }
        let plus = self.flags.plus;
        self.push(b"(");
        self.float(re, verb, value);
        self.flags.plus = true;
        self.float(im, verb, value);
        self.push(b"i)");
        self.flags.plus = plus;
    }
}

/// Puts back the point and zeros that the `#` flag asks for.
fn sharp_float(num: &str, format: u8, precision: Option<usize>) -> String {
    let mut digits: i64 = match format {
        b'g' | b'G' | b'x' | b'X' => match precision {
            Some(p) => i64::try_from(p).unwrap_or(i64::MAX),
            None => 6,
        },
        _ => 0,
    };
    if format == b'X' {
        digits = 0;
    }
    let hex = matches!(format, b'x' | b'X');
    let cut = num
        .char_indices()
        .skip(1)
        .find(|(_, c)| matches!(c, 'p' | 'P') || (!hex && matches!(c, 'e' | 'E')))
        .map_or(num.len(), |(i, _)| i);
    let (body, tail) = num.split_at(cut);
    let mut seen = false;
    for c in body.chars().skip(1).filter(|c| *c != '.') {
        seen |= c != '0';
        if seen {
            digits -= 1;
        }
    }
    let mut out = body.to_owned();
    if !body.contains('.') {
        if body.len() == 2 && body.ends_with('0') {
            digits -= 1;
        }
        out.push('.');
    }
    for _ in 0..digits.max(0) {
        out.push('0');
    }
    out + tail
}
