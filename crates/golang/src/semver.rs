//! Versions and version ranges as Flux understands them: Masterminds/semver v3, quirks included.
//!
//! Needed wherever Flux takes a range: Git and OCI references, image policies, charts. Pure, and of no other module.
//! Rust's `semver` crate will not do: it knows neither `v1.2`, `~>`, `||`, `1.0 - 2.0` nor Masterminds' rules for
//! pre-releases. The grammar is upstream's own (regular expressions over ASCII), as its leniencies are what users have
//! come to rely on; results are compared with recordings of the original in `tests/it/semver.rs`.

use std::cmp::Ordering;
use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

/// Longest text taken for a version.
const MAX_VERSION: usize = 256;
/// Longest text taken for a constraint.
const MAX_CONSTRAINT: usize = 512;
/// Most alternatives (`||`) in a constraint.
const MAX_GROUPS: usize = 32;

/// A version. Parsed leniently: `v1`, `1.2` and `01.2.3` are versions.
///
/// Equality is of the texts; for precedence see [`Version::compare`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    pre: String,
    metadata: String,
    original: String,
}

/// Why a text is not a version. The texts are Masterminds'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Longer than any real version.
    #[error("version string is too long (max {MAX_VERSION} bytes)")]
    TooLong,
    /// Not of a version's form.
    #[error("invalid semantic version")]
    Invalid,
    /// A number of the pre-release has a leading zero.
    #[error("version segment starts with 0")]
    LeadingZero,
    /// A number is too large.
    #[error(
        "error parsing version segment: strconv.ParseUint: parsing {segment:?}: value out of range"
    )]
    OutOfRange {
        /// The number.
        segment: String,
    },
}

impl Version {
    /// Parses as Masterminds' `NewVersion` does.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_VERSION {
            return Err(VersionError::TooLong);
        }
        let parts = LOOSE_VERSION.captures(text).ok_or(VersionError::Invalid)?;
        let part = |n: usize| parts.get(n).map_or("", |m| m.as_str());
        let number = |n: usize| match part(n).trim_start_matches('.') {
            "" => Ok(0),
            segment => segment
                .parse()
                .map_err(|_| VersionError::OutOfRange { segment: segment.to_owned() }),
        };
        let is_numeric = |id: &str| id.bytes().all(|b| b.is_ascii_digit());
        let (major, minor, patch) = (number(1)?, number(2)?, number(3)?);
        if part(4).split('.').any(|id| id.len() > 1 && id.starts_with('0') && is_numeric(id)) {
            return Err(VersionError::LeadingZero);
        }
        let (pre, metadata) = (part(4).to_owned(), part(5).to_owned());
        Ok(Self { major, minor, patch, pre, metadata, original: text.to_owned() })
    }

    /// Parses only what has all three numbers, as Flux asks of tags (fluxcd/pkg `version.ParseVersion`).
    pub fn parse_full(text: &str) -> Result<Self, VersionError> {
        if text.splitn(3, '.').count() != 3 {
            return Err(VersionError::Invalid);
        }
        Self::parse(text)
    }

    /// The text it was parsed from.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// Major, minor and patch number.
    pub fn numbers(&self) -> (u64, u64, u64) {
        (self.major, self.minor, self.patch)
    }

    /// The pre-release without its `-`; empty for a release.
    pub fn prerelease(&self) -> &str {
        &self.pre
    }

    /// The build metadata without its `+`.
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// The version with other build metadata (Masterminds' `SetMetadata`); its text is then the canonical one.
    ///
    /// # Errors
    /// The metadata has other characters than it may.
    pub fn with_metadata(&self, metadata: &str) -> Result<Self, VersionError> {
        let mut stamped = Self { metadata: metadata.to_owned(), ..self.clone() };
        stamped.original = stamped.to_string();
        Self::parse(&stamped.original)
    }

    /// Precedence. Metadata does not count, so different versions may compare equal.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.numbers().cmp(&other.numbers()).then_with(|| compare_prerelease(&self.pre, &other.pre))
    }
}

impl fmt::Display for Version {
    /// The canonical form: three numbers, no `v`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// A release is above its pre-releases; identifiers are compared one by one, numbers below words.
fn compare_prerelease(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let compare = |(a, b): (&str, &str)| match (a.parse::<u64>(), b.parse::<u64>()) {
        _ if a == b => Ordering::Equal,
        (Ok(a), Ok(b)) if a > b => Ordering::Greater,
        (Ok(_), Ok(_)) => Ordering::Less,
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        // Numbers beyond 64 bits are words here, as upstream.
        (Err(_), Err(_)) => a.cmp(b),
    };
    let (a, b): (Vec<_>, Vec<_>) = (a.split('.').collect(), b.split('.').collect());
    let first_difference =
        a.iter().copied().zip(b.iter().copied()).map(compare).find(|order| order.is_ne());
    first_difference.unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// A range of versions: alternatives of comparisons that all must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    groups: Vec<Group>,
    include_prereleases: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    comparisons: Vec<Comparison>,
    /// Whether any of them names a pre-release: only then are pre-releases considered.
    has_prerelease: bool,
}

/// Why a text is not a constraint. The texts are Masterminds'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// Longer than any real constraint.
    #[error("constraint string is too long (max {MAX_CONSTRAINT} bytes)")]
    TooLong,
    /// Too many alternatives.
    #[error("too many constraint groups (max {MAX_GROUPS})")]
    TooManyGroups,
    /// An alternative is not of a constraint's form.
    #[error("improper constraint: {text:?}")]
    Improper {
        /// The alternative.
        text: String,
    },
    /// A version in it is none.
    #[error("constraint parser error")]
    Version,
}

impl Constraint {
    /// Parses as Masterminds' `NewConstraint` does.
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > MAX_CONSTRAINT {
            return Err(ConstraintError::TooLong);
        }
        let text = rewrite_ranges(text);
        let alternatives: Vec<&str> = text.split("||").collect();
        if alternatives.len() > MAX_GROUPS {
            return Err(ConstraintError::TooManyGroups);
        }
        let groups = alternatives.into_iter().map(Group::parse).collect::<Result<_, _>>()?;
        Ok(Self { groups, include_prereleases: false })
    }

    /// Considers pre-releases everywhere (Masterminds' `IncludePrerelease`, helm's `--devel` by another way).
    #[must_use]
    pub fn including_prereleases(mut self) -> Self {
        self.include_prereleases = true;
        self
    }

    /// Whether `version` is in the range.
    pub fn matches(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            let prereleases = self.include_prereleases || group.has_prerelease;
            (prereleases || version.pre.is_empty())
                && group.comparisons.iter().all(|comparison| comparison.holds(version))
        })
    }
}

impl Group {
    fn parse(text: &str) -> Result<Self, ConstraintError> {
        if !VALID_CONSTRAINT.is_match(text) {
            return Err(ConstraintError::Improper { text: text.to_owned() });
        }
        let comparisons: Vec<Comparison> = FIND_CONSTRAINT
            .find_iter(text)
            .map(|found| Comparison::parse(found.as_str()))
            .collect::<Result<_, _>>()?;
        let has_prerelease =
            comparisons.iter().any(|comparison| !comparison.version.pre.is_empty());
        Ok(Self { comparisons, has_prerelease })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Tilde,
    Caret,
}

/// Which of a comparison's numbers are left open (`1.x`, or just `1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Patch,
    Minor,
    All,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparison {
    operator: Operator,
    version: Version,
    open: Open,
}

impl Comparison {
    fn parse(text: &str) -> Result<Self, ConstraintError> {
        let improper = || ConstraintError::Improper { text: text.to_owned() };
        let parts = CONSTRAINT.captures(text).ok_or_else(improper)?;
        let part = |n: usize| parts.get(n).map_or("", |m| m.as_str());
        let operator = match part(1) {
            "" | "=" => Operator::Equal,
            "!=" => Operator::NotEqual,
            ">" => Operator::Greater,
            "<" => Operator::Less,
            ">=" | "=>" => Operator::GreaterEqual,
            "<=" | "=<" => Operator::LessEqual,
            "~" | "~>" => Operator::Tilde,
            "^" => Operator::Caret,
            _ => return Err(improper()),
        };
        let is_open =
            |segment: &str| matches!(segment.trim_start_matches('.'), "" | "x" | "X" | "*");
        let (major, minor, patch, pre) = (part(3), part(4), part(5), part(6));
        let (version, open) = if is_open(major) {
            (format!("0.0.0{pre}"), Open::All)
        } else if is_open(minor) {
            (format!("{major}.0.0{pre}"), Open::Minor)
        } else if is_open(patch) {
            (format!("{major}{minor}.0{pre}"), Open::Patch)
        } else {
            (part(2).to_owned(), Open::Nothing)
        };
        let version = Version::parse(&version).map_err(|_| ConstraintError::Version)?;
        Ok(Self { operator, version, open })
    }

    /// Whether the comparison holds for a version that is not left out for being a pre-release.
    fn holds(&self, version: &Version) -> bool {
        let order = version.compare(&self.version);
        match self.operator {
            Operator::Equal if self.open == Open::Nothing => order.is_eq(),
            Operator::Equal | Operator::Tilde => self.tilde(version),
            Operator::NotEqual => self.not_equal(version),
            Operator::Greater => match self.open {
                Open::Nothing => order.is_gt(),
                _ if version.major != self.version.major => version.major > self.version.major,
                Open::Minor => false,
                Open::Patch => version.minor > self.version.minor,
                Open::All => order.is_gt(),
            },
            Operator::Less => order.is_lt(),
            Operator::GreaterEqual => order.is_ge(),
            Operator::LessEqual => match self.open {
                Open::Nothing => order.is_le(),
                Open::Minor => version.major <= self.version.major,
                Open::Patch | Open::All => {
                    (version.major, version.minor) <= (self.version.major, self.version.minor)
                }
            },
            Operator::Caret => self.caret(version),
        }
    }

    /// At least this version, of the same major and (unless open) minor number.
    fn tilde(&self, version: &Version) -> bool {
        if version.compare(&self.version).is_lt() {
            return false;
        }
        let is_any =
            self.version.numbers() == (0, 0, 0) && matches!(self.open, Open::Nothing | Open::All);
        is_any
            || (version.major == self.version.major
                && (version.minor == self.version.minor || self.open == Open::Minor))
    }

    /// At least this version, with the same first number that is not zero.
    fn caret(&self, version: &Version) -> bool {
        if version.compare(&self.version).is_lt() {
            return false;
        }
        let limit = &self.version;
        if limit.major > 0 || self.open == Open::Minor {
            return version.major == limit.major;
        }
        if version.major > 0 {
            return false;
        }
        if limit.minor > 0 || self.open == Open::Patch {
            return version.minor == limit.minor;
        }
        version.minor == 0 && version.patch == limit.patch
    }

    fn not_equal(&self, version: &Version) -> bool {
        let limit = &self.version;
        let is_other = version.compare(limit).is_ne();
        match self.open {
            Open::Nothing => is_other,
            _ if version.major != limit.major => true,
            Open::Minor => false,
            _ if version.minor != limit.minor => true,
            Open::Patch => compare_prerelease(&version.pre, &limit.pre).is_ne(),
            Open::All => version.patch != limit.patch || is_other,
        }
    }
}

/// The versions of `texts` that are full versions in the range, newest first. Of equals the earlier comes first.
pub fn matching<'a>(
    constraint: &Constraint,
    texts: impl IntoIterator<Item = &'a str>,
) -> Vec<Version> {
    let mut versions: Vec<Version> = texts
        .into_iter()
        .filter_map(|text| Version::parse_full(text).ok())
        .filter(|version| constraint.matches(version))
        .collect();
    versions.sort_by(|a, b| b.compare(a));
    versions
}

/// `1.0 - 2.0` becomes `>= 1.0, <= 2.0`.
fn rewrite_ranges(text: &str) -> String {
    let mut rewritten = text.to_owned();
    for range in RANGE.captures_iter(text) {
        rewritten =
            rewritten.replacen(&range[0], &format!(">= {}, <= {} ", &range[1], &range[11]), 1);
    }
    rewritten
}

/// White space as Go's `\s` has it.
const SPACE: &str = r"[\t\n\f\r ]";
const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
const CONSTRAINT_VERSION: &str = concat!(
    r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?",
    r"(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?"
);

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns are constants")
}

static LOOSE_VERSION: LazyLock<Regex> = LazyLock::new(|| {
    let ids = r"[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*";
    regex(&format!(r"^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?(?:-({ids}))?(?:\+({ids}))?$"))
});
static CONSTRAINT: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(r"^{SPACE}*({OPERATORS}){SPACE}*({CONSTRAINT_VERSION}){SPACE}*$"))
});
static RANGE: LazyLock<Regex> = LazyLock::new(|| {
    regex(&format!(
        r"{SPACE}*({CONSTRAINT_VERSION}){SPACE}+-{SPACE}+({CONSTRAINT_VERSION}){SPACE}*"
    ))
});
static FIND_CONSTRAINT: LazyLock<Regex> =
    LazyLock::new(|| regex(&format!(r"({OPERATORS}){SPACE}*({CONSTRAINT_VERSION})")));
static VALID_CONSTRAINT: LazyLock<Regex> = LazyLock::new(|| {
    let one = format!(r"(?:{OPERATORS}){SPACE}*(?:{CONSTRAINT_VERSION})");
    regex(&format!(r"^(?:{SPACE}*{one}{SPACE}*)(?:(?:{SPACE}+|,{SPACE}*){one}{SPACE}*)*$"))
});
