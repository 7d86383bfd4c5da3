//! Durations and points in time, as Flux's resources spell them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time, spelled in Go's notation (`1h30m`) and written as Go writes it (`1h30m0s`).
///
/// Reading is as forgiving as must be for objects that an API server already accepted: what is longer than
/// Go's 290 years counts as that long, what is negative (clocks do step back) as nothing. Text that is no
/// duration is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Duration(pub std::time::Duration);

/// Go's longest duration.
const LONGEST: std::time::Duration = std::time::Duration::from_nanos(i64::MAX as u64);

impl Duration {
    /// A duration of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// Reads Go's notation, see the type for what is forgiven.
    ///
    /// # Errors
    /// Text that is no duration.
    pub fn parse(text: &str) -> Result<Self, borax_stdx::duration::ParseDurationError> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        match borax_stdx::duration::parse(unsigned) {
            Ok(_) if unsigned.len() < text.len() => Ok(Self::default()),
            Ok(duration) => Ok(Self(duration)),
            Err(_) if is_well_formed(text) => Ok(Self(LONGEST)),
            Err(_) => Err(borax_stdx::duration::ParseDurationError(text.to_owned())),
        }
    }
}

/// Whether `text` is a sequence of numbers with units, as the CRDs' patterns ask for, however large.
fn is_well_formed(mut text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    if text.is_empty() {
        return false;
    }
    while !text.is_empty() {
        let whole = digits(text);
        let mut rest = &text[whole..];
        let mut fraction = None;
        if let Some(after) = rest.strip_prefix('.') {
            let length = digits(after);
            fraction = Some(length);
            rest = &after[length..];
        }
        let unit = ["ms", "s", "m", "h"].into_iter().find_map(|unit| rest.strip_prefix(unit));
        match unit {
            Some(after) if whole > 0 && fraction != Some(0) => text = after,
            _ => return false,
        }
    }
    true
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Self(duration)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&borax_stdx::duration::format(self.0))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

/// A point in time, written in RFC 3339 and UTC to the second, as Kubernetes' `metav1.Time` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(pub jiff::Timestamp);

impl From<jiff::Timestamp> for Time {
    fn from(timestamp: jiff::Timestamp) -> Self {
        Self(timestamp)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Go writes its zero time as null.
        Ok(Self(Option::<jiff::Timestamp>::deserialize(deserializer)?.unwrap_or_default()))
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_and_written_as_go_does() {
        let duration: Duration = serde_json::from_str("\"1h30m\"").unwrap();
        assert_eq!(duration, Duration::from_secs(5400));
        assert_eq!(serde_json::to_string(&duration).unwrap(), "\"1h30m0s\"");
    }

    #[test]
    fn a_duration_beyond_gos_range_is_clamped_and_nonsense_refused() {
        assert_eq!(Duration::parse("99999999999999999999h1.5s").unwrap().0, LONGEST);
        assert_eq!(Duration::parse("-3s").unwrap(), Duration::default());
        for text in ["", "5", "1d", "h", "1.h.", "-", "1h é", "9999999999999999999999"] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_written_to_the_second_and_null_is_the_zero_time() {
        let time: Time = serde_json::from_str("\"2026-03-01T12:00:00.25+02:00\"").unwrap();
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-03-01T10:00:00Z\"");
        assert_eq!(serde_json::from_str::<Time>("null").unwrap(), Time::default());
    }
}
