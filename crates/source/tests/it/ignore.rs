//! Ignore rules compared with recordings of Flux's own package (`tests/oracles/source`, command `ignore`).

use std::collections::BTreeMap;

use borax_source::ignore::{IgnoreFile, Rules};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    files: BTreeMap<String, String>,
    spec: Option<String>,
    paths: Vec<String>,
    excluded: Vec<String>,
}

fn compare(cases: &str) {
    let cases: Vec<Case> = serde_json::from_str(cases).expect("valid recordings");
    assert!(cases.len() > 50);
    let mut wrong = Vec::new();
    for case in cases {
        // In an order that is not theirs, as it must not matter.
        let files = case
            .files
            .iter()
            .rev()
            .map(|(dir, content)| IgnoreFile { dir: dir.clone(), content: content.clone() })
            .collect();
        let rules = Rules::new(files, case.spec.as_deref());
        let excluded: Vec<&String> = case
            .paths
            .iter()
            .filter(|path| rules.excludes(path.trim_end_matches('/'), path.ends_with('/')))
            .collect();
        if excluded != case.excluded.iter().collect::<Vec<_>>() {
            wrong.push(format!(
                "{}: files {:?}, spec {:?}\n  ours   {excluded:?}\n  Flux's {:?}",
                case.name, case.files, case.spec, case.excluded
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
}

#[test]
fn rules_exclude_what_those_of_flux_exclude() {
    compare(include_str!("../data/ignore.json"));
}

#[test]
fn random_rules_exclude_what_those_of_flux_exclude() {
    compare(include_str!("../data/ignore-random.json"));
}
