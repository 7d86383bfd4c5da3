//! Timestamps as go-yaml accepts them, which is as Go's `time.Parse` reads four layouts. Owns the
//! accepted forms and their RFC 3339 spelling; does no calculation with times.

/// A point in time as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    nanos: u32,
    /// Minutes east of UTC.
    offset: i32,
}

/// Reads `2001-1-2`, `2001-1-2 3:4:5.6`, `2001-1-2T3:4:5.6Z` and `...t...+07:00`.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return None;
    }
    let mut rest = Rest(&bytes[5..]);
    let year = bytes[..4].iter().fold(0, |year, digit| year * 10 + u16::from(digit - b'0'));
    let month = rest.number()?;
    rest.literal(b'-')?;
    let day = rest.number()?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let date = Timestamp { year, month, day, hour: 0, minute: 0, second: 0, nanos: 0, offset: 0 };
    match rest.0 {
        [] => Some(date),
        [b'T' | b't', ..] => {
            rest.0 = &rest.0[1..];
            let mut time = rest.time(date)?;
            time.offset = rest.zone()?;
            rest.0.is_empty().then_some(time)
        }
        [b' ', ..] => {
            while let [b' ', more @ ..] = rest.0 {
                rest.0 = more;
            }
            let time = rest.time(date)?;
            rest.0.is_empty().then_some(time)
        }
        _ => None,
    }
}

impl Timestamp {
    /// RFC 3339 with as many digits of a second as are needed.
    pub(crate) fn rfc3339(&self) -> String {
        let mut text = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        );
        if self.nanos > 0 {
            let fraction = format!("{:09}", self.nanos);
            text.push('.');
            text.push_str(fraction.trim_end_matches('0'));
        }
        match self.offset {
            0 => text.push('Z'),
            offset => {
                let sign = if offset < 0 { '-' } else { '+' };
                let minutes = offset.abs();
                text.push_str(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
            }
        }
        text
    }
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// One or two digits.
    fn number(&mut self) -> Option<u8> {
        match self.0 {
            [a @ b'0'..=b'9', b @ b'0'..=b'9', rest @ ..] => {
                self.0 = rest;
                Some((a - b'0') * 10 + (b - b'0'))
            }
            [a @ b'0'..=b'9', rest @ ..] => {
                self.0 = rest;
                Some(a - b'0')
            }
            _ => None,
        }
    }

    fn literal(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        (*first == byte).then(|| self.0 = rest)
    }

    fn time(&mut self, mut date: Timestamp) -> Option<Timestamp> {
        date.hour = self.number()?;
        self.literal(b':')?;
        date.minute = self.number()?;
        self.literal(b':')?;
        date.second = self.number()?;
        if date.hour > 23 || date.minute > 59 || date.second > 59 {
            return None;
        }
        if let [b'.' | b',', first, ..] = self.0
            && first.is_ascii_digit()
        {
            let digits = self.0[1..].iter().take_while(|b| b.is_ascii_digit()).count();
            // Nine digits count, as in Go.
            date.nanos = (0..9).fold(0, |nanos, at| {
                let digit = if at < digits { self.0[1 + at] - b'0' } else { 0 };
                nanos * 10 + u32::from(digit)
            });
            self.0 = &self.0[1 + digits..];
        }
        Some(date)
    }

    fn zone(&mut self) -> Option<i32> {
        if let [b'Z', rest @ ..] = self.0 {
            self.0 = rest;
            return Some(0);
        }
        let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2, rest @ ..] = self.0 else { return None };
        let two = |a: &u8, b: &u8| {
            (a.is_ascii_digit() && b.is_ascii_digit())
                .then(|| i32::from(a - b'0') * 10 + i32::from(b - b'0'))
        };
        let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
        // Go's own bounds.
        if hours > 24 || minutes > 60 {
            return None;
        }
        self.0 = rest;
        let offset = hours * 60 + minutes;
        Some(if *sign == b'-' { -offset } else { offset })
    }
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}
