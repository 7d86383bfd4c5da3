//! Any ref of a spec is understood or refused, any range holds or fails for any tag, and an OCI address means one thing.
#![no_main]

use borax_source::git::{Reference, untrusted};
use borax_source::oci::Repository;
use borax_source::version::{Constraint, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str, u8)| {
    let (text, other, third, set) = input;
    let field = |bit: u8, text: &str| if set & bit == 0 { String::new() } else { text.to_owned() };
    let reference = Reference {
        branch: field(1, text),
        tag: field(2, other),
        semver: field(4, text),
        name: field(8, third),
        commit: field(16, other),
    };
    untrusted::reference(&reference, text, third);

    let versions = (Version::parse(other), Version::parse(third));
    if let (Ok(a), Ok(b)) = &versions {
        assert_eq!(a.compare(b), b.compare(a).reverse(), "{a} and {b}");
    }
    if let (Ok(range), Ok(version)) = (Constraint::parse(text), &versions.0) {
        let _ = range.matches(version);
    }

    if let Ok(repository) = Repository::from_url(text) {
        let again = Repository::from_url(&format!("oci://{repository}")).expect("it was read before");
        assert_eq!(again.to_string(), repository.to_string());
    }
});
