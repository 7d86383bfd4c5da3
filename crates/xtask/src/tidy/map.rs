//! The crate map of `ARCHITECTURE.md` has one line for each crate, in its ring, and no other.

use super::Finding;
use super::metadata::Metadata;
use super::tree::Tree;

const MAP: &str = "ARCHITECTURE.md";

pub(super) fn check(tree: &Tree, metadata: &Metadata) -> anyhow::Result<Vec<Finding>> {
    let text = tree.text(MAP).unwrap_or_default();
    let crates: Vec<(&str, &str)> =
        metadata.members().iter().map(|m| (m.folder(), m.ring())).collect();
    Ok(compare(&text, &crates))
}

/// Rows of the table whose head is `| crate | ring | ... |`: line number, crate, ring.
fn rows(text: &str) -> Vec<(usize, &str, &str)> {
    let mut inside = false;
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        match cells.as_slice() {
            ["", "crate", "ring", ..] => inside = true,
            ["", name, ring, ..] if inside && !name.starts_with("---") => {
                rows.push((index + 1, name.trim_matches('`'), *ring));
            }
            ["", _, ..] => {}
            _ => inside = false,
        }
    }
    rows
}

fn compare(text: &str, crates: &[(&str, &str)]) -> Vec<Finding> {
    let rows = rows(text);
    let mut findings = Vec::new();
    for (name, ring) in crates {
        let lines: Vec<_> = rows.iter().filter(|(_, n, _)| n == name).collect();
        match lines.as_slice() {
            [] => findings.push(Finding::new(MAP, format!("the crate map lacks `{name}`"))),
            [(line, _, said)] if said != ring => findings.push(Finding::new(
                format!("{MAP}:{line}"),
                format!("`{name}` is of the ring {ring}, not {said}"),
            )),
            [_] => {}
            [_, (line, ..), ..] => findings.push(Finding::new(
                format!("{MAP}:{line}"),
                format!("`{name}` is in the crate map twice"),
            )),
        }
    }
    for (line, name, _) in &rows {
        if !crates.iter().any(|(n, _)| n == name) {
            let message = format!("there is no crate `{name}`");
            findings.push(Finding::new(format!("{MAP}:{line}"), message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_a_double_a_misplaced_and_an_invented_crate_are_found() {
        let text = "| other | x |\n\n| crate | ring | what |\n|---|---|---|\n| `b` | values | |\n\
                    | `b` | values | |\n| `c` | tools | |\n| `d` | values | |\n\n| `e` | x | |\n";
        let found: Vec<String> =
            compare(text, &[("a", "values"), ("b", "values"), ("c", "values")])
                .iter()
                .map(ToString::to_string)
                .collect();
        assert_eq!(
            found,
            [
                "ARCHITECTURE.md: the crate map lacks `a`",
                "ARCHITECTURE.md:6: `b` is in the crate map twice",
                "ARCHITECTURE.md:7: `c` is of the ring values, not tools",
                "ARCHITECTURE.md:8: there is no crate `d`",
            ]
        );
    }
}
