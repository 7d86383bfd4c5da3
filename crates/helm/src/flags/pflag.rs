//! Command lines as Go's pflag reads them: `--flag=value`, `--flag value`, grouped shorthands, `--`, values
//! checked by the flag's kind, and pflag's words when something does not fit. Source: pflag 1.0.10
//! `flag.go`, `errors.go`, `string_slice.go`, and `encoding/csv` for lists.

use borax_gotmpl::{quote, quote_rune};

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// On, or `=true` and its relatives.
    Switch,
    /// One text, each time.
    Text,
    /// Texts, as one line of CSV.
    List,
    /// A Go duration.
    Duration,
    /// An integer of base 10, or by its prefix.
    Integer,
    /// A floating point number.
    Number,
    /// `key=value` pairs as one line of CSV.
    Pairs,
    /// A text after `=`; this one when the flag stands alone.
    Optional(&'static str),
}

/// One flag of a command.
#[derive(Debug)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) short: Option<char>,
    pub(super) kind: Kind,
    /// What it does, for the help text.
    pub(super) help: &'static str,
}

/// A command line, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// The flags given, in order; a list is one entry per item.
    pub(super) set: Vec<(&'static str, String)>,
    /// The arguments that are no flags.
    pub(super) plain: Vec<String>,
    /// Help was asked for.
    pub(super) help: bool,
}

impl Parsed {
    pub(super) fn has(&self, name: &str) -> bool {
        self.set.iter().any(|(flag, _)| *flag == name)
    }
}

/// Reads a command line with the flags of all `tables`.
///
/// # Errors
/// In pflag's words.
pub(super) fn parse(
    tables: &[&'static [Flag]],
    args: impl IntoIterator<Item = String>,
) -> Result<Parsed, String> {
    let all = || tables.iter().flat_map(|table| table.iter());
    let mut out = Parsed::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            out.plain.extend(args);
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            if long.starts_with(['-', '=']) {
                return Err(format!("bad flag syntax: {arg}"));
            }
            let (name, inline) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let Some(flag) = all().find(|f| f.name == name) else {
                if name == "help" {
                    out.help = true;
                    return Ok(out);
                }
                return Err(format!("unknown flag: --{name}"));
            };
            let value = inline.or_else(|| alone(flag.kind)).or_else(|| args.next());
            let value = value.ok_or_else(|| format!("flag needs an argument: --{name}"))?;
            put(flag, value, &mut out)?;
        } else if arg.len() > 1 && arg.starts_with('-') {
            let mut rest = &arg[1..];
            while let Some(c) = rest.chars().next() {
                let after = &rest[c.len_utf8()..];
                let Some(flag) = all().find(|f| f.short == Some(c)) else {
                    if c == 'h' {
                        out.help = true;
                        return Ok(out);
                    }
                    let shown = quote_rune(c, false);
                    return Err(format!("unknown shorthand flag: {shown} in -{rest}"));
                };
                let value = if after.len() > 1 && after.starts_with('=') {
                    Some(after[1..].to_owned())
                } else if let Some(value) = alone(flag.kind) {
                    put(flag, value, &mut out)?;
                    rest = after;
                    continue;
                } else if after.is_empty() {
                    args.next()
                } else {
                    Some(after.to_owned())
                };
                let missing =
                    || format!("flag needs an argument: {} in -{rest}", quote_rune(c, false));
                put(flag, value.ok_or_else(missing)?, &mut out)?;
                break;
            }
        } else {
            out.plain.push(arg);
        }
    }
    Ok(out)
}

/// The value of a flag that stands alone, for those that may.
fn alone(kind: Kind) -> Option<String> {
    match kind {
        Kind::Switch => Some("true".to_owned()),
        Kind::Optional(value) => Some(value.to_owned()),
        _ => None,
    }
}

fn put(flag: &'static Flag, value: String, out: &mut Parsed) -> Result<(), String> {
    let refuse = |cause: String| {
        let name = match flag.short {
            Some(short) => format!("-{short}, --{}", flag.name),
            None => format!("--{}", flag.name),
        };
        let (value, name) = (quote(value.as_bytes()), quote(name.as_bytes()));
        Err(format!("invalid argument {value} for {name} flag: {cause}"))
    };
    let syntax =
        |func: &str| format!("strconv.{func}: parsing {}: invalid syntax", quote(value.as_bytes()));
    match flag.kind {
        Kind::Switch => match boolean(&value) {
            Some(on) => out.set.push((flag.name, on.to_string())),
            None => return refuse(syntax("ParseBool")),
        },
        Kind::List | Kind::Pairs => match csv(&value) {
            Err(cause) => return refuse(cause),
            Ok(items) => {
                if flag.kind == Kind::Pairs
                    && let Some(bad) = items.iter().find(|item| !item.contains('='))
                {
                    return refuse(format!("{bad} must be formatted as key=value"));
                }
                out.set.extend(items.into_iter().map(|item| (flag.name, item)));
            }
        },
        Kind::Duration => {
            if let Err(cause) = crate::funcs::parse_duration(&value) {
                return refuse(cause);
            }
            out.set.push((flag.name, value));
        }
        Kind::Integer => match value.parse::<i64>() {
            Ok(_) => out.set.push((flag.name, value)),
            Err(_) => return refuse(syntax("ParseInt")),
        },
        Kind::Number => match value.parse::<f32>() {
            Ok(_) => out.set.push((flag.name, value)),
            Err(_) => return refuse(syntax("ParseFloat")),
        },
        Kind::Text | Kind::Optional(_) => out.set.push((flag.name, value)),
    }
    Ok(())
}

/// `strconv.ParseBool`
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// The first record of a CSV text.
fn csv(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let text = text.replace("\r\n", "\n");
    let text = text.trim_start_matches('\n');
    let at = |rest: &str| text.len() - rest.len() + 1;
    let mut fields = Vec::new();
    let mut rest = text;
    if rest.is_empty() {
        return Err("EOF".to_owned());
    }
    loop {
        let Some(mut quoted) = rest.strip_prefix('"') else {
            let end = rest.find([',', '\n']).unwrap_or(rest.len());
            let field = &rest[..end];
            if let Some(bare) = field.find('"') {
                let column = at(rest) + bare;
                return Err(format!(
                    "parse error on line 1, column {column}: bare \" in non-quoted-field"
                ));
            }
            fields.push(field.to_owned());
            match rest[end..].strip_prefix(',') {
                Some(after) => rest = after,
                None => return Ok(fields),
            }
            continue;
        };
        let mut field = String::new();
        loop {
            let Some(end) = quoted.find('"') else {
                let column = text.len() + 1;
                return Err(format!(
                    "parse error on line 1, column {column}: extraneous or missing \" in quoted-field"
                ));
            };
            field.push_str(&quoted[..end]);
            let after = &quoted[end + 1..];
            match after.as_bytes().first() {
                Some(b'"') => {
                    field.push('"');
                    quoted = &after[1..];
                }
                Some(b',') => {
                    fields.push(field);
                    rest = &after[1..];
                    break;
                }
                None | Some(b'\n') => {
                    fields.push(field);
                    return Ok(fields);
                }
                Some(_) => {
                    let column = at(after) - 1;
                    return Err(format!(
                        "parse error on line 1, column {column}: extraneous or missing \" in quoted-field"
                    ));
                }
            }
        }
    }
}

/// The flags as a help text lists them.
pub(super) fn listing(tables: &[&'static [Flag]]) -> String {
    let mut flags: Vec<&Flag> = tables.iter().flat_map(|table| table.iter()).collect();
    flags.sort_by_key(|f| f.name);
    let head = |f: &Flag| {
        let short = f.short.map_or("   ".to_owned(), |c| format!("-{c},"));
        let value = match f.kind {
            Kind::Switch => "",
            Kind::Text => " string",
            Kind::List => " strings",
            Kind::Duration => " duration",
            Kind::Integer => " int",
            Kind::Number => " float",
            Kind::Pairs => " key=value",
            Kind::Optional(_) => " [string]",
        };
        format!("  {short} --{}{value}", f.name)
    };
    let width = flags.iter().map(|f| head(f).len()).max().unwrap_or(0);
    flags.iter().map(|f| format!("{:<width$}   {}\n", head(f), f.help)).collect()
}
