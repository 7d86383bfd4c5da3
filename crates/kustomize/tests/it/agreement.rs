//! Random trees come out as kustomize builds them, byte for byte, or fail as they fail there.
//!
//! The seeds are 0 to 300, or those of `BORAX_SEEDS=FROM-TO`.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "asks the original in a process of its own"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use borax_kustomize::{Options, build};
use borax_testkit::{oracle, skip};
use serde_json::{Value, json};

use crate::random::{files, tree};

fn seeds() -> std::ops::Range<u64> {
    let text = std::env::var("BORAX_SEEDS").unwrap_or_else(|_| "0-300".to_owned());
    let (from, to) = text.split_once('-').unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn random_trees_agree_with_kustomize() {
    let Some(program) = oracle::set("kustomize").unwrap().program("kustomize-oracle") else {
        skip::skipped("the kustomize oracle is not built");
        return;
    };
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ask = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut different = Vec::new();
    let (mut built, mut failed) = (0, 0);
    for seed in seeds() {
        let tree = tree(seed);
        let question = json!({"files": tree, "path": "/t/top"});
        writeln!(ask, "{question}").unwrap();
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        let ours = build(&files(&tree), "/t/top", &Options::default());
        // A program that is not kustomize itself has no version.
        let theirs = answer["yaml"].as_str().map(|text| text.replace("(devel)", "v5.8.2"));
        match (ours, theirs) {
            (Ok(ours), Some(theirs)) if ours.to_yaml() == theirs => built += 1,
            (Err(_), None) => failed += 1,
            (Ok(ours), Some(theirs)) => different.push(format!(
                "seed {seed}: {tree:#?}\nkustomize:\n{theirs}\nborax:\n{}",
                ours.to_yaml()
            )),
            (Ok(ours), None) => different.push(format!(
                "seed {seed}: {tree:#?}\nkustomize: {}\nborax:\n{}",
                answer["error"],
                ours.to_yaml()
            )),
            (Err(found), Some(theirs)) => different
                .push(format!("seed {seed}: {tree:#?}\nkustomize:\n{theirs}\nborax: {found}")),
        }
    }
    drop(ask);
    child.wait().unwrap();
    println!("{built} built and {failed} failed alike");
    let n_different = different.len();
    different.truncate(20);
    assert!(different.is_empty(), "{n_different} differ:\n{}", different.join("\n=====\n"));
}
