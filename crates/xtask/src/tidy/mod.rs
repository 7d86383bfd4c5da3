//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Owns the list of rules; each is a module that turns the tree or its metadata into findings.
//! The same rules run as tests of this crate, so `cargo test` alone keeps the house.

mod bans;
mod generated;
mod manifests;
mod map;
mod metadata;
mod oracles;
mod parity;
mod rings;
mod sources;
mod tree;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::bail;
use borax_testkit::oracle::project_root;
use metadata::Metadata;
use tree::Tree;

/// Something to put right.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Where: a path from the root, with a line where there is one.
    place: String,
    /// What is wrong and what would be right.
    message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// What the rules look at.
struct House {
    tree: Tree,
    metadata: Metadata,
}

type Rule = fn(&House) -> anyhow::Result<Vec<Finding>>;

/// Every rule, with the name its findings are reported under.
const RULES: &[(&str, Rule)] = &[
    ("rings", |h| rings::check(&h.metadata)),
    ("bans", |h| bans::check(&h.tree, &h.metadata)),
    ("map", |h| map::check(&h.tree, &h.metadata)),
    ("manifests", |h| manifests::check(&h.tree, &h.metadata)),
    ("sources", |h| sources::check(&h.tree)),
    ("words", |h| words::check(&h.tree)),
    ("parity", |h| parity::check(&h.tree)),
    ("generated", |h| generated::check(&h.tree)),
    ("oracles", |h| oracles::check(&h.tree)),
];

fn house(root: &Path) -> anyhow::Result<House> {
    Ok(House { tree: Tree::read(root)?, metadata: Metadata::read(root)? })
}

pub(crate) fn run() -> anyhow::Result<()> {
    let house = house(&project_root())?;
    let mut count = 0;
    for (name, rule) in RULES {
        for finding in rule(&house)? {
            eprintln!("tidy: {name}: {finding}");
            count += 1;
        }
    }
    match count {
        0 => Ok(()),
        1 => bail!("tidy has a finding"),
        n => bail!("tidy has {n} findings"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(rule: &str) {
        let house = house(&project_root()).unwrap();
        let (_, check) = RULES.iter().find(|(name, _)| *name == rule).unwrap();
        let findings: Vec<String> =
            check(&house).unwrap().iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }

    /// One test a rule, named after what holds when it passes.
    macro_rules! rules {
        ($($name:ident: $rule:literal;)*) => {
            $(#[test] fn $name() { holds($rule) })*

            #[test]
            fn every_rule_has_a_test() {
                let tested = [$($rule),*];
                assert_eq!(RULES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), tested);
            }
        };
    }

    rules! {
        dependencies_point_inwards: "rings";
        nothing_banned_is_linked_and_licences_are_permissive: "bans";
        the_map_names_each_crate_once: "map";
        every_manifest_has_the_house_shape: "manifests";
        every_source_file_says_what_it_owns_and_is_compiled: "sources";
        no_machine_path_or_banned_word_is_in_the_tree: "words";
        parity_names_tests_that_exist: "parity";
        generated_files_are_listed: "generated";
        oracles_are_pinned: "oracles";
    }
}
