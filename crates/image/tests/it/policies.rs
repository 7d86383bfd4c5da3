//! Which tag is chosen, and why none is: the same as Flux says, over many policies and lists of tags.

use borax_api::image::{ImagePolicyChoice, TagFilter};
use borax_image::policy::Policy;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::flux::Flux;

#[derive(Debug, Deserialize)]
struct Answer {
    latest: String,
    error: String,
    invalid: bool,
}

fn ours(question: &Value) -> (String, String, bool) {
    let choice: ImagePolicyChoice = serde_json::from_value(question["policy"].clone()).unwrap();
    let filter: Option<TagFilter> = serde_json::from_value(question["filterTags"].clone()).unwrap();
    let tags: Vec<String> = serde_json::from_value(question["tags"].clone()).unwrap();
    match Policy::new(&choice, filter.as_ref()) {
        Err(error) => (String::new(), error.to_string(), true),
        Ok(policy) => match policy.latest(tags.iter().map(String::as_str)) {
            Ok(tag) => (tag, String::new(), false),
            Err(error) => (String::new(), error.to_string(), false),
        },
    }
}

fn compare(flux: &mut Flux, question: &Value) {
    let theirs: Answer = serde_json::from_str(&flux.ask(question)).unwrap();
    let (latest, error, invalid) = ours(question);
    assert_eq!(
        (latest, error, invalid),
        (theirs.latest, theirs.error, theirs.invalid),
        "{question:#}"
    );
}

#[test]
fn cases_are_chosen_as_by_flux() {
    let Some(mut flux) = Flux::start("flux-policies") else { return };
    let tags = json!([
        "v2.0.0",
        "latest",
        "2.0.0-rc.1",
        "1.10.0",
        "1.9.9",
        "1.2",
        "main-abc123-1700000002",
        "main-def456-1700000001",
        "dev-000",
        "10",
        "9"
    ]);
    let versions =
        ["1.x", "^1", ">=1.0.0-0", "*", "", "nope", ">=9", "1.9 || >=2.0.0-rc.0", "~1.10"];
    let mut policies: Vec<Value> =
        versions.iter().map(|range| json!({"semver": {"range": range}})).collect();
    for order in [None, Some("asc"), Some("desc")] {
        policies.push(json!({"alphabetical": {"order": order}}));
        policies.push(json!({"numerical": {"order": order}}));
    }
    policies.push(json!({}));
    let filters = [
        Value::Null,
        json!({"pattern": "^main-[a-f0-9]+-(?P<ts>\\d+)$", "extract": "$ts"}),
        json!({"pattern": "^main-[a-f0-9]+-(?P<ts>\\d+)$", "extract": "${ts}"}),
        json!({"pattern": "^v?(\\d+)(\\.\\d+)*", "extract": "$1"}),
        json!({"pattern": "^\\d+$"}),
        json!({"pattern": "^nothing$"}),
        json!({"pattern": "("}),
        json!({"pattern": "a**"}),
        json!({"extract": "1.0.0"}),
    ];
    for policy in &policies {
        for filter in &filters {
            // Parts that are equal are taken at random by Flux.
            let is_tie = filter["pattern"] == json!("^v?(\\d+)(\\.\\d+)*");
            if is_tie && policy.get("semver").is_none() {
                continue;
            }
            compare(&mut flux, &json!({"policy": policy, "filterTags": filter, "tags": tags}));
        }
    }
    compare(&mut flux, &json!({"policy": {"semver": {"range": "*"}}, "tags": []}));
}

#[test]
fn numbers_are_gos() {
    let Some(mut flux) = Flux::start("flux-policies") else { return };
    for tags in [
        json!(["1", "1.0", "01"]),
        json!(["1e3", "999"]),
        json!(["0x10", "15"]),
        json!(["0x1p4", "15"]),
        json!(["1_000", "999"]),
        json!(["1e400"]),
        json!(["NaN", "1"]),
        json!(["1", "NaN"]),
        json!(["inf", "1"]),
        json!(["-Infinity", "1"]),
        json!([".5", "0.4"]),
        json!(["5.", "4"]),
        json!(["1,5"]),
        json!([" 1"]),
        json!(["20230101", "20230102"]),
        json!(["1.8446744073709552e19", "18446744073709551615"]),
    ] {
        for order in ["asc", "desc"] {
            let policy = json!({"numerical": {"order": order}});
            compare(&mut flux, &json!({"policy": policy, "tags": tags}));
        }
    }
}

#[test]
fn any_tags_are_chosen_as_by_flux() {
    let Some(flux) = Flux::start("flux-policies") else { return };
    let tag = prop_oneof![
        "v?[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{1,2}(-(rc|alpha)\\.[0-9])?",
        "[0-9]{1,3}(\\.[0-9]{1,2})?",
        "(main|dev)-[a-f0-9]{4}-[0-9]{4}",
        "[a-z]{1,4}",
    ];
    let policy = prop_oneof![
        prop_oneof![Just(">=1.0.0"), Just("1.x"), Just("~2.3"), Just("<5.0.0-0"), Just("*")]
            .prop_map(|range| json!({"semver": {"range": range}})),
        prop_oneof![Just("asc"), Just("desc")]
            .prop_map(|order| json!({"alphabetical": {"order": order}})),
        prop_oneof![Just("asc"), Just("desc")]
            .prop_map(|order| json!({"numerical": {"order": order}})),
    ];
    let filter = prop_oneof![
        Just(Value::Null),
        Just(json!({"pattern": "^[0-9]+$"})),
        Just(json!({"pattern": "^(main|dev)-[a-f0-9]+-(?P<n>[0-9]+)$", "extract": "$1$n"})),
        Just(json!({"pattern": "^v?[0-9]+\\.[0-9]+\\.[0-9]+$"})),
    ];
    let cases = (policy, filter, prop::collection::btree_set(tag, 0..20));
    let mut runner =
        TestRunner::new(Config { cases: 2_000, failure_persistence: None, ..Config::default() });
    let flux = std::cell::RefCell::new(flux);
    runner
        .run(&cases, |(policy, filter, tags)| {
            let question = json!({"policy": policy, "filterTags": filter, "tags": tags});
            let theirs: Answer = serde_json::from_str(&flux.borrow_mut().ask(&question)).unwrap();
            let (latest, error, invalid) = ours(&question);
            // With a filter Flux walks a map, in any order: of equal versions, or of several tags that are no numbers, it
            // names any.
            let is_any = !filter.is_null();
            let plain = |tag: &str| match is_any {
                true => tag.trim_start_matches('v').to_owned(),
                false => tag.to_owned(),
            };
            if is_any && error.starts_with("failed to parse invalid numeric value") {
                prop_assert!(theirs.error.starts_with("failed to parse invalid numeric value"));
            } else {
                prop_assert_eq!(plain(&latest), plain(&theirs.latest), "{:#}", question);
                prop_assert_eq!((error, invalid), (theirs.error, theirs.invalid), "{:#}", question);
            }
            Ok(())
        })
        .unwrap();
}
