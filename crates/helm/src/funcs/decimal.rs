//! Exact decimals as the shopspring library computes them: a big integer and a power of ten,
//! division to 16 places. Sizes stay small: a template's floats have at most 17 digits each.

use std::cmp::Ordering;

/// `sign × digits × 10^exponent`; digits little-endian, base 10.
#[derive(Clone, Debug)]
pub(super) struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i32,
}

/// Digits kept of a product chain; far beyond what a float shows.
const MAX_DIGITS: usize = 5000;

impl Decimal {
    /// The shortest decimal that reads back as the float; `None` for infinities and NaN.
    pub(super) fn from_float(f: f64) -> Option<Decimal> {
        if !f.is_finite() {
            return None;
        }
        let text = format!("{:e}", f.abs());
        let (mantissa, exponent) = text.split_once('e')?;
        let fraction = mantissa.split_once('.').map_or(0, |(_, f)| f.len());
        let mut digits: Vec<u8> =
            mantissa.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
        digits.reverse();
        let exponent = exponent.parse::<i32>().ok()? - i32::try_from(fraction).ok()?;
        Some(Decimal { negative: f < 0.0, digits: trim(digits), exponent })
    }

    pub(super) fn to_float(&self) -> f64 {
        let digits: String = self.digits.iter().rev().map(|d| char::from(b'0' + d)).collect();
        let sign = if self.negative && !self.digits.is_empty() { "-" } else { "" };
        let digits = if digits.is_empty() { "0" } else { &digits };
        format!("{sign}{digits}e{}", self.exponent).parse().unwrap_or(0.0)
    }

    fn aligned(&self, exponent: i32) -> Vec<u8> {
        let shift = usize::try_from(self.exponent - exponent).unwrap_or(0);
        let mut digits = vec![0; if self.digits.is_empty() { 0 } else { shift }];
        digits.extend_from_slice(&self.digits);
        digits
    }

    pub(super) fn add(&self, other: &Decimal) -> Decimal {
        let exponent = self.exponent.min(other.exponent);
        let (a, b) = (self.aligned(exponent), other.aligned(exponent));
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, add(&a, &b))
        } else if compare(&a, &b) == Ordering::Less {
            (other.negative, subtract(&b, &a))
        } else {
            (self.negative, subtract(&a, &b))
        };
        Decimal { negative, digits, exponent }
    }

    pub(super) fn sub(&self, other: &Decimal) -> Decimal {
        self.add(&Decimal { negative: !other.negative, ..other.clone() })
    }

    pub(super) fn mul(&self, other: &Decimal) -> Decimal {
        let mut digits = multiply(&self.digits, &other.digits);
        let mut exponent = self.exponent + other.exponent;
        if digits.len() > MAX_DIGITS {
            let cut = digits.len() - MAX_DIGITS;
            digits.drain(..cut);
            exponent += i32::try_from(cut).unwrap_or(0);
        }
        Decimal { negative: self.negative != other.negative, digits, exponent }
    }

    /// The quotient rounded to 16 places, half away from zero; `None` by zero.
    pub(super) fn div(&self, other: &Decimal) -> Option<Decimal> {
        const PLACES: i32 = 16;
        if other.digits.is_empty() {
            return None;
        }
        // Scale so that the integer quotient carries the wanted places.
        let shift = self.exponent - other.exponent + PLACES;
        let (mut a, mut b) = (self.digits.clone(), other.digits.clone());
        if shift >= 0 {
            a.splice(0..0, std::iter::repeat_n(0, usize::try_from(shift).ok()?));
        } else {
            b.splice(0..0, std::iter::repeat_n(0, usize::try_from(-shift).ok()?));
        }
        let (mut quotient, rest) = divide(&trim(a), &b);
        if compare(&add(&rest, &rest), &b) != Ordering::Less {
            quotient = add(&quotient, &[1]);
        }
        let negative = self.negative != other.negative;
        Some(Decimal { negative, digits: quotient, exponent: -PLACES })
    }
}

fn trim(mut digits: Vec<u8>) -> Vec<u8> {
    while digits.last() == Some(&0) {
        digits.pop();
    }
    digits
}

fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

fn add(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(a.len().max(b.len()) + 1);
    let mut carry = 0;
    for i in 0..a.len().max(b.len()) {
        let sum = a.get(i).unwrap_or(&0) + b.get(i).unwrap_or(&0) + carry;
        out.push(sum % 10);
        carry = sum / 10;
    }
    if carry > 0 {
        out.push(carry);
    }
    trim(out)
}

/// `a - b`, where `a` is not the smaller.
fn subtract(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(a.len());
    let mut borrow = 0;
    for (i, &digit) in a.iter().enumerate() {
        let take = b.get(i).unwrap_or(&0) + borrow;
        borrow = u8::from(digit < take);
        out.push(digit + borrow * 10 - take);
    }
    trim(out)
}

fn multiply(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = vec![0u32; a.len() + b.len() + 1];
    for (i, &x) in a.iter().enumerate() {
        for (j, &y) in b.iter().enumerate() {
            out[i + j] += u32::from(x) * u32::from(y);
        }
        // Carry as we go: sums stay far below overflow.
        for k in i..out.len() - 1 {
            out[k + 1] += out[k] / 10;
            out[k] %= 10;
        }
    }
    trim(out.into_iter().map(|d| u8::try_from(d % 10).unwrap_or(0)).collect())
}

/// Long division: quotient and rest.
fn divide(a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut quotient = Vec::with_capacity(a.len());
    let mut rest: Vec<u8> = Vec::new();
    for &digit in a.iter().rev() {
        rest.insert(0, digit);
        rest = trim(rest);
        let mut count = 0;
        while compare(&rest, b) != Ordering::Less {
            rest = subtract(&rest, b);
            count += 1;
        }
        quotient.push(count);
    }
    quotient.reverse();
    (trim(quotient), rest)
}
