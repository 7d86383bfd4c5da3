//! Any ignore rules hold for any path, and the order of the files does not matter.
#![no_main]

use borax_source::ignore::{IgnoreFile, Rules};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, Option<&str>, &str, bool)| {
    let (root, below, spec, path, is_dir) = input;
    let file = |dir: &str, content: &str| IgnoreFile { dir: dir.into(), content: content.into() };
    let files = vec![file("", root), file("a", below)];
    let turned = files.iter().rev().cloned().collect();
    let rules = Rules::new(files, spec);
    assert_eq!(rules.excludes(path, is_dir), Rules::new(turned, spec).excludes(path, is_dir));
});
