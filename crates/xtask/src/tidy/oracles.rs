//! Every Go module of the tree is pinned, so that a fresh clone builds what was recorded.

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in tree.ending("go.mod") {
        let folder = file.trim_end_matches("go.mod");
        let text = tree.text(file).unwrap_or_default();
        if text.contains("require") && !tree.has(&format!("{folder}go.sum")) {
            findings.push(Finding::new(file, "has no go.sum beside it"));
        }
        let local = text.lines().filter(|l| l.contains("=> /") || l.contains("=> .."));
        for line in local {
            findings.push(Finding::new(file, format!("`{}` leaves the folder", line.trim())));
        }
        let program = tree.has(&format!("{folder}main.go"));
        if folder.starts_with("tests/oracles/") && !program && !text.contains("\ntool ") {
            findings
                .push(Finding::new(file, "names no program: neither `tool` lines nor a main.go"));
        }
    }
    Ok(findings)
}
