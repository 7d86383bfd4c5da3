//! Versions and ranges against recordings of Masterminds/semver (`tests/oracle/semver.go`).

use borax_golang::semver::{Constraint, Version, matching};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recording {
    versions: Vec<(String, String)>,
    sorted: Vec<String>,
    constraints: Vec<Recorded>,
}

#[derive(Deserialize)]
struct Recorded {
    constraint: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    matches: String,
}

fn recording() -> Recording {
    serde_json::from_str(include_str!("../data/semver.json")).expect("a recording")
}

fn parsed(recording: &Recording) -> Vec<Version> {
    recording.versions.iter().filter_map(|(text, _)| Version::parse(text).ok()).collect()
}

#[test]
fn versions_parse_and_print_as_recorded() {
    for (text, want) in recording().versions {
        let got = match Version::parse(&text) {
            Ok(version) => version.to_string(),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, want, "{text:?}");
    }
}

#[test]
fn versions_sort_as_recorded() {
    let recording = recording();
    let mut versions = parsed(&recording);
    versions.sort_by(Version::compare);
    let got: Vec<&str> = versions.iter().map(Version::original).collect();
    assert_eq!(got, recording.sorted);
}

#[test]
fn constraints_match_as_recorded() {
    let recording = recording();
    let versions = parsed(&recording);
    let mut differences = Vec::new();
    let mut n_pairs = 0;
    for recorded in &recording.constraints {
        let text = &recorded.constraint;
        match Constraint::parse(text) {
            Err(error) if error.to_string() == recorded.error => {}
            // Go escapes what does not print in its own way.
            Err(_)
                if text.contains(['\u{b}', '\u{a0}'])
                    && recorded.error.starts_with("improper constraint") => {}
            Err(error) => differences.push(format!("{text:?}: {error}; want {:?}", recorded.error)),
            Ok(_) if !recorded.error.is_empty() => {
                differences.push(format!("{text:?}: want {}", recorded.error))
            }
            Ok(constraint) => {
                assert_eq!(recorded.matches.len(), versions.len());
                for (version, bit) in versions.iter().zip(recorded.matches.bytes()) {
                    n_pairs += 1;
                    let want = bit == b'1';
                    if constraint.matches(version) != want {
                        differences
                            .push(format!("{text:?} matches {}: want {want}", version.original()));
                    }
                }
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(n_pairs > 9_000, "only {n_pairs} pairs were compared");
}

#[test]
fn the_newest_full_version_of_a_range_comes_first() {
    let newest = |range: &str, tags: &[&str]| {
        let versions = matching(&Constraint::parse(range).unwrap(), tags.iter().copied());
        versions.first().map(|version| version.original().to_owned())
    };
    let tags = ["latest", "v1", "1.9.0", "v1.10.0", "2.0.0-rc.1", "1.10", "v2025.02.03"];
    assert_eq!(newest("1.x", &tags).as_deref(), Some("v1.10.0"));
    assert_eq!(newest(">=1.0.0-0 <3", &tags).as_deref(), Some("2.0.0-rc.1"));
    assert_eq!(newest("~1.9", &tags).as_deref(), Some("1.9.0"));
    assert_eq!(newest(">=3", &tags).as_deref(), Some("v2025.02.03"));
    assert_eq!(newest("^3", &tags), None);
    assert_eq!(newest("1.0.x", &["1.0.0+a", "1.0.0", "v1.0.0"]).as_deref(), Some("1.0.0+a"));
}
