//! Go's duration notation (`1h30m`, `250ms`), as `time.ParseDuration` reads and `Duration.String` writes it.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid duration {0:?}: write a number with a unit (h, m, s, ms, us, ns), such as 1h30m")]
pub struct ParseDurationError(pub String);

/// Reads a non-negative Go duration.
///
/// # Errors
/// Negative or malformed text, a missing unit, or a value beyond Go's 290 years.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(borax_stdx::duration::parse("1h1.5s").unwrap(), Duration::from_millis(3_601_500));
/// assert!(borax_stdx::duration::parse("5").is_err());
/// ```
pub fn parse(text: &str) -> Result<Duration, ParseDurationError> {
    parse_nanos(text).map(Duration::from_nanos).ok_or_else(|| ParseDurationError(text.to_owned()))
}

fn parse_nanos(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
        let whole_len = digits(rest);
        let (whole, mut tail) = rest.split_at(whole_len);
        let mut fraction = "";
        if let Some(after) = tail.strip_prefix('.') {
            let len = digits(after);
            (fraction, tail) = after.split_at(len);
        }
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        // The unit is whatever stands before the next number, as in Go.
        let unit_len = tail.bytes().take_while(|b| *b != b'.' && !b.is_ascii_digit()).count();
        let (unit, after) = tail.split_at(unit_len);
        let scale: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(whole.checked_mul(scale)?)?;
        let mut place = scale;
        for digit in fraction.bytes() {
            place /= 10;
            total = total.checked_add(place.checked_mul(u64::from(digit - b'0'))?)?;
        }
        rest = after;
    }
    (total <= i64::MAX as u64).then_some(total)
}

/// Writes a duration as Go's `Duration.String` does (`1h0m0s`, `1.5s`, `250ms`, `0s`).
///
/// ```
/// use std::time::Duration;
/// assert_eq!(borax_stdx::duration::format(Duration::from_secs(3600)), "1h0m0s");
/// assert_eq!(borax_stdx::duration::format(Duration::from_millis(1500)), "1.5s");
/// ```
pub fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let decimal = |value: u128, unit: u128| {
        let (whole, fraction) = (value / unit, value % unit);
        if fraction == 0 {
            return whole.to_string();
        }
        let width = unit.ilog10() as usize;
        format!("{whole}.{}", format!("{fraction:0width$}").trim_end_matches('0'))
    };
    match nanos {
        0 => "0s".to_owned(),
        n if n < 1_000 => format!("{n}ns"),
        n if n < 1_000_000 => format!("{}µs", decimal(n, 1_000)),
        n if n < 1_000_000_000 => format!("{}ms", decimal(n, 1_000_000)),
        n => {
            let (minutes, seconds) = (n / 60_000_000_000, n % 60_000_000_000);
            let seconds = decimal(seconds, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, m) => format!("{m}m{seconds}s"),
                (h, m) => format!("{h}h{m}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("1h30m", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1us", 1_000),
            ("1µs", 1_000),
            ("2h45m30.5s", 9_930_500_000_000),
        ] {
            assert_eq!(parse_nanos(text), Some(nanos), "{text}");
        }
        for text in ["", "1", "h", "1d", "-1s", "1h-1m", ".s", "9999999h"] {
            assert_eq!(parse_nanos(text), None, "{text}");
        }
    }

    #[test]
    fn writes_what_go_writes() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
        ] {
            assert_eq!(format(Duration::from_nanos(nanos)), text);
        }
    }
}
