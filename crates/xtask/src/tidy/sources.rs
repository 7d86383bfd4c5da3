//! Every Rust file opens with what it owns, is of a readable size, and is compiled.

use super::Finding;
use super::tree::Tree;

/// A file beyond this is two files.
const LONGEST: usize = 600;

/// Files that may be longer, with why. The list only shrinks, but for pure tables.
const LONG: &[(&str, &str)] = &[];

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in tree.ending(".rs").filter(|f| f.starts_with("crates/")) {
        let text = tree.text(file).unwrap_or_default();
        if !text.starts_with("//!") {
            findings.push(Finding::new(
                file,
                "opens with `//!`: what it owns, what it refuses to know",
            ));
        }
        let lines = text.lines().count();
        match LONG.iter().find(|(name, _)| *name == file) {
            None if lines > LONGEST => findings.push(Finding::new(
                file,
                format!("has {lines} lines; {LONGEST} is the most, split it by what it owns"),
            )),
            Some(_) if lines <= LONGEST => {
                findings
                    .push(Finding::new(file, "is short again: take it off the list of long files"));
            }
            _ => {}
        }
        if let Some(message) = orphan(tree, file) {
            findings.push(Finding::new(file, message));
        }
    }
    for (file, _) in LONG.iter().filter(|(file, _)| !tree.has(file)) {
        findings.push(Finding::new(*file, "is gone: take it off the list of long files"));
    }
    Ok(findings)
}

/// Why a file is never compiled, when it is not: Cargo ignores a file that nobody declares, and a
/// forgotten test passes for ever.
fn orphan(tree: &Tree, file: &str) -> Option<String> {
    let parts: Vec<&str> = file.split('/').collect();
    // crates/x/src/..., crates/x/tests/it/...
    let (kind, inner) = match parts.as_slice() {
        ["crates", _, kind @ ("src" | "tests" | "benches" | "examples"), inner @ ..] => {
            (*kind, inner)
        }
        _ => return None,
    };
    let (name, folders) = inner.split_last()?;
    let stem = name.strip_suffix(".rs")?;
    let base = file.strip_suffix(&inner.join("/"))?;
    match (kind, folders, stem) {
        ("src", [], "lib" | "main") | ("benches" | "examples", ..) => return None,
        ("src", ["bin"], _) | ("src", ["bin", ..], "main") => return None,
        ("tests", ["it"], "main") => return None,
        ("tests", [], _) => {
            return Some(
                "is a test binary of its own: tests live in tests/it, one binary a crate".into(),
            );
        }
        ("tests", [first, ..], _) if *first != "it" => return None,
        _ => {}
    }
    let (module, above) = match (stem, folders) {
        ("mod", [above @ .., module]) => (*module, above),
        _ => (stem, folders),
    };
    let above_path = above.iter().map(|f| format!("{f}/")).collect::<String>();
    let parents = match (kind, above) {
        ("src", []) => vec![format!("{base}lib.rs"), format!("{base}main.rs")],
        ("tests", ["it"]) => vec![format!("{base}it/main.rs")],
        _ => vec![
            format!("{base}{above_path}mod.rs"),
            format!("{base}{}.rs", above_path.trim_end_matches('/')),
        ],
    };
    let declares = |text: String| {
        text.lines().any(|line| {
            let line = line.trim_start();
            let line = line.find("mod ").map_or("", |at| &line[at + 4..]);
            line.strip_prefix(module).is_some_and(|rest| rest.starts_with(';'))
        })
    };
    let declared = parents.iter().filter_map(|p| tree.text(p)).any(declares);
    (!declared).then(|| format!("is not compiled: no `mod {module};` in {}", parents.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_declares_is_found_and_what_somebody_declares_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::of(
            dir.path(),
            &[
                ("crates/x/src/lib.rs", "//! x\nmod a;\npub(crate) mod b;\n#[cfg(test)] mod t;\n"),
                ("crates/x/src/a.rs", "//! a\nmod inner;\n"),
                ("crates/x/src/a/inner.rs", "//! i\n"),
                ("crates/x/src/a/lost.rs", "//! l\n"),
                ("crates/x/src/b/mod.rs", "//! b\npub mod deep;\n"),
                ("crates/x/src/b/deep.rs", "//! d\n"),
                ("crates/x/src/t.rs", "//! t\n"),
                ("crates/x/src/silent.rs", "fn f() {}\n"),
                ("crates/x/tests/it/main.rs", "//! m\nmod feature;\n"),
                ("crates/x/tests/it/feature.rs", "//! f\n"),
                ("crates/x/tests/it/forgotten.rs", "//! f\n"),
                ("crates/x/tests/own.rs", "//! o\n"),
                ("crates/x/tests/data/code.rs", "//! data\n"),
            ],
        );
        let places: Vec<String> = check(&tree).unwrap().into_iter().map(|f| f.place).collect();
        assert_eq!(
            places,
            [
                "crates/x/src/a/lost.rs",
                "crates/x/src/silent.rs",
                "crates/x/src/silent.rs",
                "crates/x/tests/it/forgotten.rs",
                "crates/x/tests/own.rs",
            ]
        );
    }
}
