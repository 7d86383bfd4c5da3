//! Semantic versions and constraints as Masterminds' semver v3 reads and compares them: loose
//! versions (`v1`, `1.2`), wildcards, ranges, pre-releases hidden unless asked for.

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::Regex;

const MAX_VERSION: usize = 256;
const MAX_CONSTRAINT: usize = 512;
const MAX_GROUPS: usize = 32;

const PARTIAL: &str = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
const OPS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant that compiles")
}

static LOOSE: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r"^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?",
        r"(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?$"
    ))
});
static CONSTRAINT: LazyLock<Regex> =
    LazyLock::new(|| compile(&format!(r"^\s*({OPS})\s*({PARTIAL})\s*$")));
static RANGE: LazyLock<Regex> =
    LazyLock::new(|| compile(&format!(r"\s*({PARTIAL})\s+-\s+({PARTIAL})\s*")));
static FIND: LazyLock<Regex> = LazyLock::new(|| compile(&format!(r"({OPS})\s*({PARTIAL})")));
static VALID: LazyLock<Regex> = LazyLock::new(|| {
    compile(&format!(r"^(\s*({OPS})\s*({PARTIAL})\s*)((?:\s+|,\s*)({OPS})\s*({PARTIAL})\s*)*$"))
});

/// A version.
#[derive(Clone, Debug, Default)]
pub struct Version {
    /// First number.
    pub major: u64,
    /// Second number, 0 when not written.
    pub minor: u64,
    /// Third number, 0 when not written.
    pub patch: u64,
    /// Pre-release, without its dash.
    pub pre: String,
    /// Build metadata, without its plus.
    pub metadata: String,
    /// The text it was read from.
    pub original: String,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        format!(
            "error parsing version segment: strconv.ParseUint: parsing \"{text}\": value out of range"
        )
    })
}

impl Version {
    /// Reads a version loosely.
    ///
    /// # Errors
    /// The library's words.
    pub fn parse(text: &str) -> Result<Version, String> {
        if text.len() > MAX_VERSION {
            return Err("version string is too long (max 256 bytes)".into());
        }
        let Some(m) = LOOSE.captures(text) else {
            return Err("invalid semantic version".into());
        };
        let part = |i: usize| m.get(i).map_or("", |g| g.as_str());
        let segment = |i: usize| match part(i).trim_start_matches('.') {
            "" => Ok(0),
            digits => number(digits),
        };
        let version = Version {
            major: segment(1)?,
            minor: segment(2)?,
            patch: segment(3)?,
            pre: part(5).into(),
            metadata: part(8).into(),
            original: text.into(),
        };
        for part in version.pre.split('.') {
            let number = part.bytes().all(|b| b.is_ascii_digit());
            if part.len() > 1 && number && part.starts_with('0') {
                return Err("version segment starts with 0".into());
            }
        }
        Ok(version)
    }

    /// Whether the text is a version to the letter: three numbers without `v` or leading zeros.
    pub(crate) fn is_strict(text: &str) -> bool {
        let (numbers, _) = text.split_once(['-', '+']).unwrap_or((text, ""));
        let parts: Vec<&str> = numbers.split('.').collect();
        let plain = |part: &&str| *part == "0" || !part.starts_with('0');
        parts.len() == 3
            && parts.iter().all(plain)
            && Version::parse(text).is_ok()
            && !text.starts_with('v')
    }

    /// Order by precedence; metadata does not count.
    pub fn compare(&self, other: &Version) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => compare_pre(&self.pre, &other.pre),
            })
    }
}

fn compare_pre(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) => compare_part(x.unwrap_or(""), y.unwrap_or("")),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_part(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    match (a.is_empty(), b.is_empty()) {
        (true, _) => return Ordering::Less,
        (_, true) => return Ordering::Greater,
        _ => {}
    }
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Err(_), Err(_)) => a.cmp(b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Ok(x), Ok(y)) => x.cmp(&y).then(Ordering::Less),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    TildeOrEqual,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

#[derive(Debug)]
struct Single {
    op: Op,
    version: Version,
    dirty: bool,
    minor_dirty: bool,
    patch_dirty: bool,
}

/// A constraint: alternatives of conjunctions.
#[derive(Debug)]
pub struct Constraint {
    groups: Vec<Vec<Single>>,
}

fn is_x(s: &str) -> bool {
    matches!(s, "x" | "X" | "*")
}

impl Constraint {
    /// Reads a constraint.
    ///
    /// # Errors
    /// The library's words.
    pub fn parse(text: &str) -> Result<Constraint, String> {
        if text.len() > MAX_CONSTRAINT {
            return Err(format!("constraint string is too long (max {MAX_CONSTRAINT} bytes)"));
        }
        let text = rewrite_ranges(text);
        let parts: Vec<&str> = text.split("||").collect();
        if parts.len() > MAX_GROUPS {
            return Err(format!("too many constraint groups (max {MAX_GROUPS})"));
        }
        let mut groups = Vec::new();
        for part in parts {
            if !VALID.is_match(part) {
                return Err(format!(
                    "improper constraint: {}",
                    borax_gotmpl::quote(part.as_bytes())
                ));
            }
            let singles: Result<Vec<Single>, String> =
                FIND.find_iter(part).map(|m| Single::parse(m.as_str())).collect();
            groups.push(singles?);
        }
        Ok(Constraint { groups })
    }

    /// Whether the version satisfies the constraint.
    pub fn check(&self, v: &Version) -> bool {
        self.groups.iter().any(|group| {
            let pre_allowed = group.iter().any(|c| !c.version.pre.is_empty());
            (v.pre.is_empty() || pre_allowed) && group.iter().all(|c| c.check(v))
        })
    }
}

fn rewrite_ranges(text: &str) -> String {
    let mut out = text.to_owned();
    for m in RANGE.captures_iter(text) {
        let (whole, from, to) = (&m[0], &m[1], &m[11]);
        out = out.replacen(whole, &format!(">= {from}, <= {to} "), 1);
    }
    out
}

impl Single {
    fn parse(text: &str) -> Result<Single, String> {
        let Some(m) = CONSTRAINT.captures(text) else {
            return Err(format!("improper constraint: {}", borax_gotmpl::quote(text.as_bytes())));
        };
        let part = |i: usize| m.get(i).map_or("", |g| g.as_str());
        let op = match part(1) {
            "!=" => Op::NotEqual,
            ">" => Op::Greater,
            "<" => Op::Less,
            ">=" | "=>" => Op::GreaterEqual,
            "<=" | "=<" => Op::LessEqual,
            "~" | "~>" => Op::Tilde,
            "^" => Op::Caret,
            _ => Op::TildeOrEqual,
        };
        let (major, minor, patch, pre) = (part(3), part(4), part(5), part(6));
        let loose = |s: &str| s.is_empty() || is_x(s.trim_start_matches('.'));
        let (mut dirty, mut minor_dirty, mut patch_dirty) = (true, false, false);
        let version = if loose(major) {
            format!("0.0.0{pre}")
        } else if loose(minor) {
            minor_dirty = true;
            format!("{major}.0.0{pre}")
        } else if loose(patch) {
            patch_dirty = true;
            format!("{major}{minor}.0{pre}")
        } else {
            dirty = false;
            part(2).to_owned()
        };
        let version = Version::parse(&version).map_err(|_| "constraint parser error".to_owned())?;
        Ok(Single { op, version, dirty, minor_dirty, patch_dirty })
    }

    fn check(&self, v: &Version) -> bool {
        let c = &self.version;
        match self.op {
            Op::TildeOrEqual if self.dirty => self.tilde(v),
            Op::TildeOrEqual => v.compare(c) == Ordering::Equal,
            Op::NotEqual => self.not_equal(v),
            Op::Greater => self.greater(v),
            Op::Less => v.compare(c) == Ordering::Less,
            Op::GreaterEqual => v.compare(c) != Ordering::Less,
            Op::LessEqual if self.dirty => {
                !(v.major > c.major
                    || (v.major == c.major && v.minor > c.minor && !self.minor_dirty))
            }
            Op::LessEqual => v.compare(c) != Ordering::Greater,
            Op::Tilde => self.tilde(v),
            Op::Caret => self.caret(v),
        }
    }

    fn not_equal(&self, v: &Version) -> bool {
        let c = &self.version;
        if self.dirty {
            if c.major != v.major {
                return true;
            }
            if c.minor != v.minor && !self.minor_dirty {
                return true;
            } else if self.minor_dirty {
                return false;
            } else if c.patch != v.patch && !self.patch_dirty {
                return true;
            } else if self.patch_dirty {
                let any_pre = !v.pre.is_empty() || !c.pre.is_empty();
                return any_pre && compare_pre(&v.pre, &c.pre) != Ordering::Equal;
            }
        }
        v.compare(c) != Ordering::Equal
    }

    fn greater(&self, v: &Version) -> bool {
        let c = &self.version;
        if self.dirty {
            if v.major != c.major {
                return v.major > c.major;
            }
            if self.minor_dirty {
                return false;
            }
            if self.patch_dirty {
                return v.minor > c.minor;
            }
        }
        v.compare(c) == Ordering::Greater
    }

    fn tilde(&self, v: &Version) -> bool {
        let c = &self.version;
        if v.compare(c) == Ordering::Less {
            return false;
        }
        if c.major == 0 && c.minor == 0 && c.patch == 0 && !self.minor_dirty && !self.patch_dirty {
            return true;
        }
        v.major == c.major && (v.minor == c.minor || self.minor_dirty)
    }

    fn caret(&self, v: &Version) -> bool {
        let c = &self.version;
        if v.compare(c) == Ordering::Less {
            return false;
        }
        if c.major > 0 || self.minor_dirty {
            return v.major == c.major;
        }
        if v.major > 0 {
            return false;
        }
        if c.minor > 0 || self.patch_dirty {
            return v.minor == c.minor;
        }
        v.minor == 0 && c.patch == v.patch
    }
}

/// Whether the version lies in the range; what cannot be read does not.
pub(crate) fn in_range(constraint: &str, version: &str) -> bool {
    match (Version::parse(version), Constraint::parse(constraint)) {
        (Ok(v), Ok(c)) => c.check(&v),
        _ => false,
    }
}
