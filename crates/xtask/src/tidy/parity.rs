//! Each row of `docs/parity.md` names its proof: a test that exists, or a folder of cases.

use super::Finding;
use super::tree::Tree;

const PAGE: &str = "docs/parity.md";

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let text = tree.text(PAGE).unwrap_or_default();
    let mut findings = Vec::new();
    let mut columns = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut say = |message: String| {
            findings.push(Finding::new(format!("{PAGE}:{}", index + 1), message));
        };
        if !line.starts_with('|') {
            columns.clear();
            continue;
        }
        let cells = cells(line);
        if columns.is_empty() {
            columns = cells.iter().map(|c| (*c).to_owned()).collect();
            if columns.last().is_none_or(|c| c != "test") {
                say("the last column of every table here is `test`".into());
            }
            continue;
        }
        if cells.iter().all(|c| c.chars().all(|c| "-: ".contains(c))) {
            continue;
        }
        let state = columns.iter().position(|c| c == "state").and_then(|at| cells.get(at));
        if let Some(state) = state {
            let word = state.split([' ', ':', ',']).next().unwrap_or_default();
            if !["yes", "partly", "no"].contains(&word) {
                say(format!("the state is yes, partly or no, not {state:?}"));
            }
        }
        let proofs: Vec<&str> = cells.last().map(|c| quoted(c)).unwrap_or_default();
        if proofs.is_empty() {
            say("names no test in its last column".into());
        }
        for proof in proofs.into_iter().filter(|p| !exists(tree, p)) {
            say(format!("there is no test or folder `{proof}`"));
        }
    }
    Ok(findings)
}

fn cells(line: &str) -> Vec<&str> {
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(str::trim).collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// `crate::module::test_name` (the crate by its folder's name, `it` left out), or a path.
fn exists(tree: &Tree, proof: &str) -> bool {
    let Some((krate, rest)) = proof.split_once("::") else { return tree.has(proof) };
    let krate = krate.strip_prefix("borax_").unwrap_or(krate).to_owned();
    let mut modules: Vec<&str> = rest.split("::").collect();
    let Some(name) = modules.pop() else { return false };
    let function = format!("fn {name}(");
    let crate_folder = format!("crates/{krate}/");
    let within = |file: &str| {
        modules
            .iter()
            .all(|m| matches!(*m, "it" | "tests") || file.split(['/', '.']).any(|part| part == *m))
    };
    tree.ending(".rs")
        .filter(|f| f.starts_with(&crate_folder) && within(f))
        .filter_map(|f| tree.text(f))
        .any(|text| text.contains(&function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_a_proof_or_with_an_invented_one_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let page = "| feature | state | test |\n|---|---|---|\n\
                    | a | yes | `x::area::it_works` |\n| b | yes | `crates/x/tests/cases/b` |\n\
                    | c | maybe | `x::other::it_works` |\n| d | no | later |\n";
        let tree = Tree::of(
            dir.path(),
            &[
                (PAGE, page),
                ("crates/x/tests/it/area.rs", "//! a\n#[test]\nfn it_works() {}\n"),
                ("crates/x/tests/cases/b/in.yaml", ""),
            ],
        );
        let found: Vec<String> = check(&tree).unwrap().into_iter().map(|f| f.place).collect();
        assert_eq!(found, ["docs/parity.md:5", "docs/parity.md:5", "docs/parity.md:6"]);
    }
}
