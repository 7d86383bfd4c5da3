//! What specs and tags may hold: any of it is read or refused, none of it panics.

use borax_golang::regexp;
use borax_golang::semver::{Constraint, Version};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn versions_and_ranges(
        version in "[v0-9xX*.+\\-a-c ]{0,20}",
        range in "[v0-9xX*.+\\-a-c<>=!~^|, ]{0,40}",
        any in ".{0,40}",
    ) {
        for text in [&version, &any] {
            if let Ok(version) = Version::parse(text) {
                let again = Version::parse(&version.to_string()).expect("what was printed is a version");
                prop_assert!(version.compare(&again).is_eq());
                for text in [&range, &any] {
                    let _ = Constraint::parse(text).map(|constraint| constraint.matches(&version));
                }
            }
        }
    }

    #[test]
    fn patterns_and_templates(
        pattern in "[a-c(){}\\[\\]|.*+?^$:<>P,\\\\dDwQE0-3-]{0,20}",
        any in ".{0,20}",
        template in "[$a-c0-3{}]{0,12}",
    ) {
        for pattern in [&pattern, &any] {
            if let Ok(regex) = regexp::compile(pattern)
                && let Some(found) = regex.captures(any.as_bytes())
            {
                let mut out = Vec::new();
                regexp::expand(&template, &found, &mut out);
            }
        }
    }
}
