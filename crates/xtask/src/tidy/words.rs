//! No path of a machine, and no word that stands for unfinished work, is in the tree.

use super::Finding;
use super::tree::Tree;

/// This file spells what it forbids.
const SELF: &str = "crates/xtask/src/tidy/words.rs";

/// Nowhere: they name a machine someone works on.
const PATHS: &[&str] = &["/work/main", "/work/shared", "/work/.", "/tmp/brief", "/tmp/oracles"];

/// Not in what we write ourselves: code, configuration of the house, pages.
const UNFINISHED: &[&str] =
    &["TODO", "FIXME", "XXX", "HACK", "todo!", "unimplemented!", "for now,", "Lorem ipsum"];

/// File names that say nothing of what the file owns.
const NAMES: &[&str] = &["utils.rs", "util.rs", "common.rs", "helpers.rs", "helper.rs", "misc.rs"];

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|f| *f != SELF) {
        let name = file.rsplit('/').next().unwrap_or(file);
        if NAMES.contains(&name) {
            findings.push(Finding::new(file, "a file is named after what it owns"));
        }
        let Some(text) = tree.text(file) else { continue };
        let ours = own_words(file);
        for (index, line) in text.lines().enumerate() {
            let mut say = |message: String| {
                findings.push(Finding::new(format!("{file}:{}", index + 1), message));
            };
            for path in PATHS.iter().filter(|p| line.contains(**p)) {
                say(format!("{path} is a path of some machine"));
            }
            let unfinished = UNFINISHED.iter().filter(|w| ours && stands_alone(line, w));
            for word in unfinished {
                say(format!("{word:?}: finish it, or refuse it by name"));
            }
        }
    }
    Ok(findings)
}

/// Whether the words of a file are ours. Cases and recorded baselines hold others' words.
fn own_words(file: &str) -> bool {
    let data = ["/cases/", "/data/", "/reference/", "/testdata/", "/fuzz/corpus/"];
    let kinds = [".rs", ".toml", ".md", ".go", ".sh", ".run"];
    !data.iter().any(|d| file.contains(d))
        && (kinds.iter().any(|k| file.ends_with(k)) || file.starts_with(".ci/"))
}

/// `mktemp -d /x/XXXXXX` and `TODOS` are other words.
fn stands_alone(line: &str, word: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let joins = word.ends_with(char::is_alphanumeric);
    line.match_indices(word).any(|(at, _)| {
        let before = letter(line[..at].chars().next_back());
        let after = joins && letter(line[at + word.len()..].chars().next());
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_work_and_machine_paths_are_found_where_words_are_ours() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::of(
            dir.path(),
            &[
                ("a/notes.md", "fine\nTODO: more\nTODOS XXXXXX\n"),
                ("a/cases/input.yaml", "# TODO of someone else\npath: /work/main\n"),
                ("a/utils.rs", "//! x\n"),
            ],
        );
        let found: Vec<String> = check(&tree).unwrap().into_iter().map(|f| f.place).collect();
        assert_eq!(found, ["a/cases/input.yaml:2", "a/notes.md:2", "a/utils.rs"]);
    }
}
