//! Which of an image's tags is the latest.
//!
//! Tags go in one by one, so that a repository's tags need not be held in memory. Which of equals is taken depends on
//! the order they come in, as in Flux; where a filter extracts parts, Flux takes one of them at random.
//!
//! Behaviour: image-reflector-controller v1.2 `internal/policy` and `applyPolicy` of its
//! `internal/controller/imagepolicy_controller.go`.

use std::cmp::Ordering;

use borax_api::image::{ImagePolicyChoice, SortOrder, TagFilter};
use borax_golang::regexp::{self, RegexpError};
use borax_golang::semver::{Constraint, ConstraintError, Version};
use regex::bytes::Regex;

/// An ImagePolicy's spec, ready to be asked.
#[derive(Debug)]
pub struct Policy {
    order: Order,
    filter: Option<Filter>,
}

#[derive(Debug)]
enum Order {
    Versions(Constraint),
    Alphabet(SortOrder),
    Numbers(SortOrder),
}

#[derive(Debug)]
struct Filter {
    pattern: Regex,
    extract: String,
}

/// Why a spec can never choose a tag. The texts are Flux's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// None of the orders is chosen.
    #[error("invalid policy: given ImagePolicyChoice object is invalid")]
    NoOrder,
    /// The range of versions is none.
    #[error("invalid policy: {0}")]
    Range(ConstraintError),
    /// The filter's pattern is no regular expression.
    #[error("failed to filter tags: invalid regular expression pattern '{pattern}': {error}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        error: RegexpError,
    },
}

/// Why no tag of those there are is the latest. The texts are Flux's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLatest {
    /// There are no tags, or none that the filter leaves.
    #[error("version list argument cannot be empty")]
    Empty,
    /// No tag is a version in the range.
    #[error("unable to determine latest version from provided list")]
    NoVersion,
    /// A tag is no number.
    #[error("failed to parse invalid numeric value '{0}'")]
    NoNumber(String),
}

impl Policy {
    /// Reads a spec.
    ///
    /// # Errors
    /// What no tag can mend.
    pub fn new(
        choice: &ImagePolicyChoice,
        filter: Option<&TagFilter>,
    ) -> Result<Self, InvalidPolicy> {
        let order = if let Some(policy) = &choice.semver {
            Order::Versions(Constraint::parse(&policy.range).map_err(InvalidPolicy::Range)?)
        } else if let Some(policy) = &choice.alphabetical {
            Order::Alphabet(policy.order.unwrap_or_default())
        } else if let Some(policy) = &choice.numerical {
            Order::Numbers(policy.order.unwrap_or_default())
        } else {
            return Err(InvalidPolicy::NoOrder);
        };
        let filter = filter.map(Filter::new).transpose()?;
        Ok(Self { order, filter })
    }

    /// Begins a choice.
    pub fn choose(&self) -> Choice<'_> {
        Choice { policy: self, seen: false, best: None, rank: Rank::None, wrong: None }
    }

    /// The latest of some tags.
    ///
    /// # Errors
    /// Where none is.
    pub fn latest<'t>(&self, tags: impl IntoIterator<Item = &'t str>) -> Result<String, NoLatest> {
        let mut choice = self.choose();
        tags.into_iter().for_each(|tag| choice.offer(tag));
        choice.latest()
    }
}

impl Filter {
    fn new(spec: &TagFilter) -> Result<Self, InvalidPolicy> {
        let pattern = regexp::compile(&spec.pattern)
            .map_err(|error| InvalidPolicy::Pattern { pattern: spec.pattern.clone(), error })?;
        Ok(Self { pattern, extract: spec.extract.clone() })
    }

    /// What of a tag is compared; `None` when the tag does not count.
    fn apply(&self, tag: &str) -> Option<String> {
        if self.extract.is_empty() {
            return self.pattern.is_match(tag.as_bytes()).then(|| tag.to_owned());
        }
        let found = self.pattern.captures(tag.as_bytes())?;
        let mut extracted = Vec::new();
        regexp::expand(&self.extract, &found, &mut extracted);
        Some(String::from_utf8_lossy(&extracted).into_owned())
    }
}

/// A choice that is being made.
#[derive(Debug)]
pub struct Choice<'p> {
    policy: &'p Policy,
    /// Whether any tag counted.
    seen: bool,
    /// The latest so far: what is compared, and the tag.
    best: Option<(String, String)>,
    rank: Rank,
    wrong: Option<String>,
}

/// The place of the latest so far, read once.
#[derive(Debug)]
enum Rank {
    None,
    Version(Version),
    Number(f64),
}

impl Choice<'_> {
    /// Takes one more tag into account.
    pub fn offer(&mut self, tag: &str) {
        let compared = match &self.policy.filter {
            None => tag.to_owned(),
            Some(filter) => match filter.apply(tag) {
                Some(compared) => compared,
                None => return,
            },
        };
        self.seen = true;
        // Two tags with the same part: Flux remembers the later of them.
        if let Some((best, original)) = &mut self.best
            && *best == compared
        {
            tag.clone_into(original);
            return;
        }
        if self.is_later(&compared) {
            self.best = Some((compared, tag.to_owned()));
        }
    }

    fn is_later(&mut self, compared: &str) -> bool {
        match &self.policy.order {
            Order::Versions(range) => {
                let Ok(version) = Version::parse_full(compared) else { return false };
                let is_later = range.matches(&version)
                    && match &self.rank {
                        Rank::Version(best) => version.compare(best).is_gt(),
                        _ => true,
                    };
                if is_later {
                    self.rank = Rank::Version(version);
                }
                is_later
            }
            Order::Alphabet(order) => match &self.best {
                None => true,
                Some((best, _)) => compared.cmp(best) == wanted(*order),
            },
            Order::Numbers(order) => {
                let Some(number) = borax_gotmpl::parse_float(compared) else {
                    self.wrong.get_or_insert_with(|| compared.to_owned());
                    return false;
                };
                // Of equals (1 and 1.0) the last counts, as in Flux.
                let is_earlier = match self.rank {
                    Rank::Number(best) => best.partial_cmp(&number) == Some(wanted(*order)),
                    _ => false,
                };
                if !is_earlier {
                    self.rank = Rank::Number(number);
                }
                !is_earlier
            }
        }
    }

    /// The latest of the tags that were offered.
    ///
    /// # Errors
    /// Where none is.
    pub fn latest(self) -> Result<String, NoLatest> {
        if let Some(wrong) = self.wrong {
            return Err(NoLatest::NoNumber(wrong));
        }
        match self.best {
            Some((_, tag)) => Ok(tag),
            None if self.seen => Err(NoLatest::NoVersion),
            None => Err(NoLatest::Empty),
        }
    }
}

/// How a later value compares with an earlier one.
fn wanted(order: SortOrder) -> Ordering {
    match order {
        SortOrder::Asc => Ordering::Greater,
        SortOrder::Desc => Ordering::Less,
    }
}
