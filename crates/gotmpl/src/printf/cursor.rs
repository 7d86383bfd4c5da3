//! The place in a format string: digits, `*` and explicit argument numbers.

use crate::value::Value;

/// The place in a format string, with the explicit argument numbers of `%[n]`.
pub(super) struct Cursor<'a> {
    pub(super) format: &'a [u8],
    pub(super) at: usize,
    pub(super) arg: usize,
    pub(super) args: &'a [Value],
    pub(super) reordered: bool,
    pub(super) good: bool,
}

impl Cursor<'_> {
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.format.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// Reads a decimal number; one over a million swallows the rest, as in Go.
    pub(super) fn digits(&mut self) -> Option<usize> {
        let mut n: Option<usize> = None;
        while let Some(d @ b'0'..=b'9') = self.format.get(self.at) {
            if n.unwrap_or(0) > 1_000_000 {
                self.at = self.format.len();
                return None;
            }
            n = Some(n.unwrap_or(0) * 10 + usize::from(d - b'0'));
            self.at += 1;
        }
        n
    }

    /// Reads `[n]`; whether one was there and well-formed.
    pub(super) fn index(&mut self) -> bool {
        if self.format.get(self.at) != Some(&b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let close = rest.iter().position(|&b| b == b']').filter(|_| rest.len() >= 3);
        let Some(close) = close else {
            self.at += 1;
            self.good = false;
            return false;
        };
        let number = std::str::from_utf8(&rest[1..close]).ok();
        let number = number.filter(|s| s.bytes().all(|b| b.is_ascii_digit()));
        let number: Option<usize> = number.and_then(|s| s.parse().ok());
        self.at += close + 1;
        match number {
            Some(n) if n >= 1 && n <= self.args.len() => {
                self.arg = n - 1;
                true
            }
            other => {
                self.good = false;
                other.is_some()
            }
        }
    }

    pub(super) fn star(&mut self) -> Option<i64> {
        let n = match self.args.get(self.arg)? {
            Value::Int(n, _) => Some(*n),
            Value::Uint(n, _) => i64::try_from(*n).ok(),
            _ => None,
        };
        self.arg += 1;
        n.filter(|n| n.unsigned_abs() <= 1_000_000)
    }
}
