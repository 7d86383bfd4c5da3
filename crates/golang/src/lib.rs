//! What users see of Go's libraries: regular expressions and Masterminds' versions and ranges.
//!
//! - [`regexp`]: patterns as Go's `regexp` reads them, and templates as it expands them.
//! - [`semver`]: versions and ranges of them as Masterminds/semver v3 reads and compares them.
//!
//! Specs and templates hold these texts, so their meaning is Go's to the letter. Knows nothing of who uses them.
//!
//! ```
//! use borax_golang::semver::{Constraint, Version};
//!
//! let range = Constraint::parse("^1.2 || 3.x")?;
//! assert!(range.matches(&Version::parse("v1.9.0").unwrap()));
//! # Ok::<(), borax_golang::semver::ConstraintError>(())
//! ```

pub mod regexp;
pub mod semver;
