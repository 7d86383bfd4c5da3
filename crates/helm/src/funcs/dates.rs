//! Sprig's date functions, and reading a time by a Go layout.

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

use borax_gotmpl::{FuncError, FuncMap, IntType, Object, Shape, Str, Type, Value};

use super::args::text;
use super::fixed;
use super::time::{self, Civil, Part, Time, Zone, day_names, month_names, next_part};
use crate::env::Env;

const HOUR: i64 = 3600 * 1_000_000_000;
const STRUCT: Type = Type::Struct(time::TYPE);

pub(super) fn add(f: &mut FuncMap, env: &Arc<dyn Env>) {
    use Type::{Any as A, Str as S};
    let clock = Arc::clone(env);
    fixed(f, "now", &[], move |_, _| Ok(now(clock.as_ref()).value()));
    let clock = Arc::clone(env);
    fixed(f, "date", &[S, A], move |_, a| {
        Ok(in_zone(clock.as_ref(), &text(&a[0]), &a[1], "Local"))
    });
    for name in ["dateInZone", "date_in_zone"] {
        let clock = Arc::clone(env);
        fixed(f, name, &[S, A, S], move |_, a| {
            Ok(in_zone(clock.as_ref(), &text(&a[0]), &a[1], &text(&a[2])))
        });
    }
    let clock = Arc::clone(env);
    fixed(f, "htmlDate", &[A], move |_, a| {
        Ok(in_zone(clock.as_ref(), "2006-01-02", &a[0], "Local"))
    });
    let clock = Arc::clone(env);
    fixed(f, "htmlDateInZone", &[A, S], move |_, a| {
        Ok(in_zone(clock.as_ref(), "2006-01-02", &a[0], &text(&a[1])))
    });
    for name in ["dateModify", "date_modify"] {
        fixed(f, name, &[S, STRUCT], |_, a| {
            let at = Time::of(&a[1]).cloned().unwrap_or_else(Time::zero);
            Ok(match parse_duration(&text(&a[0])) {
                Ok(span) => at.plus(span).value(),
                Err(_) => at.value(),
            })
        });
    }
    for name in ["mustDateModify", "must_date_modify"] {
        fixed(f, name, &[S, STRUCT], |_, a| {
            let at = Time::of(&a[1]).cloned().unwrap_or_else(Time::zero);
            Ok(at.plus(parse_duration(&text(&a[0]))?).value())
        });
    }
    fixed(f, "toDate", &[S, S], |_, a| {
        Ok(Time::parse(&text(&a[0]), &text(&a[1])).unwrap_or_else(Time::zero).value())
    });
    fixed(f, "mustToDate", &[S, S], |_, a| {
        Ok(parse(&text(&a[0]), &text(&a[1])).map_err(FuncError::new)?.value())
    });
    fixed(f, "unixEpoch", &[STRUCT], |_, a| {
        let at = Time::of(&a[0]).cloned().unwrap_or_else(Time::zero);
        Ok(Value::str(at.seconds.to_string()))
    });
    let clock = Arc::clone(env);
    fixed(f, "ago", &[A], move |_, a| {
        let now = now(clock.as_ref());
        let at = match &a[0] {
            Value::Int(n, IntType::Int | IntType::Int64) => Time::unix(*n, 0),
            other => Time::of(other).cloned().unwrap_or_else(|| now.clone()),
        };
        let span = now.since(&at);
        let second = 1_000_000_000;
        let rounded = (span + second / 2 * span.signum()) / second * second;
        Ok(Value::str(format_duration(rounded)))
    });
    fixed(f, "duration", &[A], |_, a| {
        let seconds = match &a[0] {
            Value::Str(s) => s.to_text().parse().unwrap_or(0),
            Value::Int(n, IntType::Int64) => *n,
            _ => 0,
        };
        Ok(Value::str(format_duration(seconds.wrapping_mul(1_000_000_000))))
    });
    let clock = Arc::clone(env);
    fixed(f, "durationRound", &[A], move |_, a| {
        let span = match &a[0] {
            Value::Str(s) => parse_duration(&s.to_text()).unwrap_or(0),
            Value::Int(n, IntType::Int64) => *n,
            other => Time::of(other).map_or(0, |at| now(clock.as_ref()).since(at)),
        };
        Ok(Value::str(round_duration(span.unsigned_abs())))
    });
}

fn now(env: &dyn Env) -> Time {
    let (seconds, nanos) = env.now();
    Time::unix(seconds, nanos)
}

fn in_zone(env: &dyn Env, layout: &str, date: &Value, zone: &str) -> Value {
    let at = match date {
        Value::Int(n, IntType::Int | IntType::Int32 | IntType::Int64) => Time::unix(*n, 0),
        other => Time::of(other).cloned().unwrap_or_else(|| now(env)),
    };
    let zone = Zone::load(zone).unwrap_or(Zone::Utc);
    Value::str(Time { zone, ..at }.format(layout))
}

fn round_duration(nanos: u64) -> String {
    let hour = HOUR.unsigned_abs();
    let units = [
        (hour * 24 * 365, "y"),
        (hour * 24 * 30, "mo"),
        (hour * 24, "d"),
        (hour, "h"),
        (hour / 60, "m"),
        (hour / 3600, "s"),
    ];
    match units.iter().find(|(size, _)| nanos > *size) {
        Some((size, unit)) => format!("{}{unit}", nanos / size),
        None => "0s".into(),
    }
}

/// Go's `Duration.String`.
pub(super) fn format_duration(nanos: i64) -> String {
    let magnitude = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    let fraction = |whole: u64, part: u64, digits: usize, unit: &str| {
        let text = format!("{part:0digits$}");
        let text = text.trim_end_matches('0');
        if text.is_empty() { format!("{whole}{unit}") } else { format!("{whole}.{text}{unit}") }
    };
    let body = match magnitude {
        0 => "0s".into(),
        n if n < 1000 => format!("{n}ns"),
        n if n < 1_000_000 => fraction(n / 1000, n % 1000, 3, "µs"),
        n if n < 1_000_000_000 => fraction(n / 1_000_000, n % 1_000_000, 6, "ms"),
        n => {
            let seconds = n / 1_000_000_000;
            let tail = fraction(seconds % 60, n % 1_000_000_000, 9, "s");
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => tail,
                (0, minutes) => format!("{minutes}m{tail}"),
                (hours, minutes) => format!("{hours}h{minutes}m{tail}"),
            }
        }
    };
    format!("{sign}{body}")
}

/// Go's `time.ParseDuration`, in nanoseconds.
pub(crate) fn parse_duration(s: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", borax_gotmpl::quote(s.as_bytes()));
    let (negative, mut rest) = match s.as_bytes().first() {
        Some(b'-') => (true, &s[1..]),
        Some(b'+') => (false, &s[1..]),
        _ => (false, s),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(number);
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        if (whole.is_empty() && part.is_empty()) || part.contains('.') || whole.len() > 19 {
            return Err(invalid());
        }
        let unit_len = tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at(unit_len);
        let size: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => i128::from(HOUR),
            "" => {
                let shown = borax_gotmpl::quote(s.as_bytes());
                return Err(format!("time: missing unit in duration {shown}"));
            }
            _ => {
                let unit = borax_gotmpl::quote(unit.as_bytes());
                let shown = borax_gotmpl::quote(s.as_bytes());
                return Err(format!("time: unknown unit {unit} in duration {shown}"));
            }
        };
        total += whole.parse::<i128>().unwrap_or(0) * size;
        let part = &part[..part.len().min(18)];
        if !part.is_empty() {
            let scale = 10i128.pow(u32::try_from(part.len()).unwrap_or(18));
            total += part.parse::<i128>().unwrap_or(0) * size / scale;
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

/// Reads digits: at least `least`, at most `most`.
fn digits(s: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let n = s.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if n < least {
        return None;
    }
    Some((s[..n].parse().ok()?, &s[n..]))
}

fn name_of<'a>(s: &'a str, names: &[&str], short: bool) -> Option<(i64, &'a str)> {
    names.iter().enumerate().find_map(|(i, name)| {
        let name = if short { &name[..3] } else { name };
        let head = s.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| Some((i64::try_from(i).ok()?, &s[name.len()..])))?
    })
}

/// Where reading stands: what is left of the text, and the element it is read as.
struct Place<'a> {
    rest: &'a str,
    element: &'a str,
    out_of_range: Option<&'static str>,
}

/// Go's `ParseInLocation` in UTC.
///
/// # Errors
/// Go's words, when the text does not follow the layout or names no date.
pub(super) fn parse(layout: &str, text: &str) -> Result<Time, String> {
    let mut place = Place { rest: text, element: layout, out_of_range: None };
    if let Some(time) = read(layout, text, &mut place) {
        return Ok(time);
    }
    let quoted = |s: &str| borax_gotmpl::quote(s.as_bytes());
    let shown = quoted(text);
    Err(match place.out_of_range {
        Some(what) => format!("parsing time {shown}: {what} out of range"),
        None if place.element.is_empty() => {
            format!("parsing time {shown}: extra text: {}", quoted(place.rest))
        }
        None => {
            let (rest, element) = (quoted(place.rest), quoted(place.element));
            format!("parsing time {shown} as {}: cannot parse {rest} as {element}", quoted(layout))
        }
    })
}

fn read<'a>(layout: &'a str, text: &'a str, place: &mut Place<'a>) -> Option<Time> {
    let mut c = Civil { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
    let (mut nanos, mut pm, mut am, mut zone) = (0u32, false, false, None::<Zone>);
    let mut year_day = None;
    let (mut month_set, mut day_set) = (false, false);
    let (mut layout, mut rest) = (layout, text);
    loop {
        let found = next_part(layout);
        let prefix = found.map_or(layout, |(prefix, _, _)| prefix);
        (place.rest, place.element) = (rest, prefix);
        rest = skip(rest, prefix)?;
        let Some((_, part, suffix)) = found else {
            (place.rest, place.element) = (rest, "");
            if !rest.is_empty() {
                return None;
            }
            break;
        };
        place.element = &layout[prefix.len()..layout.len() - suffix.len()];
        place.rest = rest;
        layout = suffix;
        let number: i64;
        match part {
            Part::Year2 => {
                (number, rest) = digits(rest, 2, 2)?;
                c.year = if number >= 69 { 1900 + number } else { 2000 + number };
            }
            Part::Year4 => (c.year, rest) = digits(rest, 4, 4)?,
            Part::MonthName | Part::MonthAbbr => {
                (number, rest) = name_of(rest, month_names(), part == Part::MonthAbbr)?;
                c.month = number + 1;
                month_set = true;
            }
            Part::Month => (c.month, rest, month_set) = with(digits(rest, 1, 2)?),
            Part::Month2 => (c.month, rest, month_set) = with(digits(rest, 2, 2)?),
            Part::DayName | Part::DayAbbr => {
                (_, rest) = name_of(rest, day_names(), part == Part::DayAbbr)?;
            }
            Part::Day => (c.day, rest, day_set) = with(digits(rest, 1, 2)?),
            Part::DaySpaced => {
                (c.day, rest, day_set) = with(digits(rest.trim_start_matches(' '), 1, 2)?);
            }
            Part::Day2 => (c.day, rest, day_set) = with(digits(rest, 2, 2)?),
            Part::YearDay3 => {
                (number, rest) = digits(rest, 3, 3)?;
                year_day = Some(number);
            }
            Part::YearDaySpaced => {
                (number, rest) = digits(rest.trim_start_matches(' '), 1, 3)?;
                year_day = Some(number);
            }
            Part::Hour24 => (c.hour, rest) = digits(rest, 1, 2)?,
            Part::Hour12 => (c.hour, rest) = digits(rest, 1, 2)?,
            Part::Hour12Padded => (c.hour, rest) = digits(rest, 2, 2)?,
            Part::Minute => (c.minute, rest) = digits(rest, 1, 2)?,
            Part::Minute2 => (c.minute, rest) = digits(rest, 2, 2)?,
            Part::Second | Part::Second2 => {
                (c.second, rest) = digits(rest, if part == Part::Second { 1 } else { 2 }, 2)?;
                // A fraction may follow although the layout has none.
                let more = matches!(next_part(layout), Some(("", Part::Fraction { .. }, _)));
                if !more && rest.starts_with(['.', ',']) {
                    let n = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
                    if n > 0 {
                        nanos = fraction(&rest[1..=n]);
                        rest = &rest[1 + n..];
                    }
                }
            }
            Part::Upper | Part::Lower => {
                let mark = rest.get(..2)?;
                let upper = mark.to_ascii_uppercase();
                if (part == Part::Upper) != (mark == upper) {
                    return None;
                }
                pm = upper == "PM";
                am = upper == "AM";
                if !pm && !am {
                    return None;
                }
                rest = &rest[2..];
            }
            Part::Offset(kind) => {
                if kind.z && rest.starts_with('Z') {
                    rest = &rest[1..];
                    zone = Some(Zone::Utc);
                    continue;
                }
                let sign = match rest.bytes().next()? {
                    b'+' => 1,
                    b'-' => -1,
                    _ => return None,
                };
                rest = &rest[1..];
                let mut offset = 0;
                for field in 0..kind.fields {
                    if field > 0 && kind.colon {
                        rest = rest.strip_prefix(':')?;
                    }
                    let (n, after) = digits(rest, 2, 2)?;
                    rest = after;
                    offset += n * [3600, 60, 1][usize::from(field)];
                }
                let offset = i32::try_from(sign * offset).ok()?;
                zone =
                    Some(if offset == 0 { Zone::Utc } else { Zone::Fixed(offset, String::new()) });
            }
            Part::ZoneName => {
                let n = rest.bytes().take(5).take_while(u8::is_ascii_uppercase).count();
                if n < 3 {
                    return None;
                }
                let name = &rest[..n];
                zone =
                    Some(if name == "UTC" { Zone::Utc } else { Zone::Fixed(0, name.to_owned()) });
                rest = &rest[n..];
            }
            Part::Fraction { digits: n, trim, .. } => {
                if trim {
                    if !rest.starts_with(['.', ',']) {
                        continue;
                    }
                    let n = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
                    nanos = fraction(rest.get(1..=n)?);
                    rest = &rest[1 + n..];
                } else {
                    let body = rest.strip_prefix(['.', ','])?.get(..n)?;
                    if !body.bytes().all(|b| b.is_ascii_digit()) {
                        return None;
                    }
                    nanos = fraction(body);
                    rest = &rest[1 + n..];
                }
            }
        }
    }
    if pm && c.hour < 12 {
        c.hour += 12;
    } else if am && c.hour == 12 {
        c.hour = 0;
    }
    if let Some(day) = year_day {
        if month_set || day_set || !(1..=366).contains(&day) {
            return None;
        }
        c.day = day;
    } else {
        if !(1..=12).contains(&c.month) {
            place.out_of_range = Some("month");
            return None;
        }
        let first = Civil { day: 1, hour: 0, minute: 0, second: 0, ..c };
        let next = Civil { month: c.month + 1, ..first };
        let length = (next.seconds() - first.seconds()) / 86_400;
        if !(1..=length).contains(&c.day) {
            place.out_of_range = Some("day");
            return None;
        }
    }
    for (value, most, name) in
        [(c.hour, 23, "hour"), (c.minute, 59, "minute"), (c.second, 59, "second")]
    {
        if value > most {
            place.out_of_range = Some(name);
            return None;
        }
    }
    let zone = zone.unwrap_or(Zone::Utc);
    let offset = match &zone {
        Zone::Fixed(offset, _) => i64::from(*offset),
        _ => 0,
    };
    Some(Time { seconds: c.seconds() - offset, nanos, zone })
}

fn with((n, rest): (i64, &str)) -> (i64, &str, bool) {
    (n, rest, true)
}

fn fraction(digits: &str) -> u32 {
    let text: String = digits.chars().chain("000000000".chars()).take(9).collect();
    text.parse().unwrap_or(0)
}

/// Skips the literal text of a layout; runs of spaces match any number of spaces.
fn skip<'a>(mut text: &'a str, prefix: &str) -> Option<&'a str> {
    let mut chars = prefix.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return None;
            }
            while chars.peek() == Some(&' ') {
                chars.next();
            }
            text = text.trim_start_matches(' ');
        } else {
            text = text.strip_prefix(c)?;
        }
    }
    Some(text)
}

/// A named integer with a text: a month or a day of the week.
#[derive(Debug)]
pub(super) struct Named {
    type_name: &'static str,
    text: &'static str,
    number: i64,
}

impl Named {
    pub(super) fn month(number: i64) -> Named {
        Named { type_name: "time.Month", text: time::month_name(number), number }
    }

    pub(super) fn weekday(number: i64) -> Named {
        let text = usize::try_from(number).ok().and_then(|i| day_names().get(i).copied());
        Named { type_name: "time.Weekday", text: text.unwrap_or(""), number }
    }
}

impl Object for Named {
    fn type_name(&self) -> Cow<'static, str> {
        self.type_name.into()
    }

    fn shape(&self) -> Shape {
        Shape::Struct(vec![("Number", Value::int(self.number))])
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn stringer(&self) -> Option<Str> {
        Some(Str::from(self.text))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
