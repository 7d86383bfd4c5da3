//! What is linked: no banned crate, no licence that asks more than attribution.
//!
//! The lists are `deny.toml`'s, so that cargo-deny and this rule cannot disagree; this rule needs no
//! tool but Cargo.

use std::collections::BTreeSet;

use anyhow::Context as _;
use toml::{Table, Value};

use super::Finding;
use super::metadata::{Metadata, Package};
use super::tree::Tree;

const LISTS: &str = "deny.toml";

pub(super) fn check(tree: &Tree, metadata: &Metadata) -> anyhow::Result<Vec<Finding>> {
    let text = tree.text(LISTS).with_context(|| format!("there is no {LISTS}"))?;
    let lists: Table = text.parse().with_context(|| format!("read {LISTS}"))?;
    let allowed = strings(&lists, "licenses", "allow");
    let mut findings = Vec::new();

    let banned = banned(&lists);
    for member in metadata.members() {
        for reached in metadata.closure(&member.id) {
            if banned.contains(&*reached.name) {
                findings.push(Finding::new(
                    format!("crates/{}/Cargo.toml", member.folder()),
                    format!(
                        "is built from {} {}, which {LISTS} bans",
                        reached.name, reached.version
                    ),
                ));
            }
        }
    }
    let linked: BTreeSet<&str> = metadata
        .members()
        .iter()
        .flat_map(|m| metadata.closure(&m.id))
        .map(|p| p.id.as_str())
        .collect();
    for package in linked.iter().filter_map(|id| metadata.package(id)) {
        if !licensed(package, &allowed, &lists) {
            let licence = package.license.as_deref().unwrap_or("none");
            findings.push(Finding::new(
                "Cargo.lock",
                format!(
                    "{} {} has the licence {licence}, which {LISTS} does not allow",
                    package.name, package.version
                ),
            ));
        }
    }
    Ok(findings)
}

fn strings(lists: &Table, section: &str, key: &str) -> BTreeSet<String> {
    let list = lists.get(section).and_then(|s| s.get(key)).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn banned(lists: &Table) -> BTreeSet<&str> {
    let deny = lists.get("bans").and_then(|b| b.get("deny")).and_then(Value::as_array);
    deny.into_iter()
        .flatten()
        .filter_map(|v| v.as_str().or_else(|| v.get("crate").and_then(Value::as_str)))
        .collect()
}

fn licensed(package: &Package, allowed: &BTreeSet<String>, lists: &Table) -> bool {
    let clarified = lists.get("licenses").and_then(|l| l.get("clarify")).and_then(Value::as_array);
    let clarified = clarified
        .into_iter()
        .flatten()
        .find(|c| c.get("crate").and_then(Value::as_str) == Some(&*package.name))
        .and_then(|c| c.get("expression").and_then(Value::as_str));
    let expression = clarified.or(package.license.as_deref()).unwrap_or_default();
    satisfied(expression, allowed)
}

/// Whether an SPDX expression can be met by `allowed`: `OR` (and the old `/`) by any side, `AND` by
/// all. `AND` binds stronger; parentheses group.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_ascii_whitespace().collect();
    let mut at = 0;
    !tokens.is_empty() && any(&tokens, &mut at, allowed) && at == tokens.len()
}

fn any(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut result = all(tokens, at, allowed);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all(tokens, at, allowed);
    }
    result
}

fn all(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut result = one(tokens, at, allowed);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(tokens, at, allowed);
    }
    result
}

fn one(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let result = any(tokens, at, allowed);
        *at += 1;
        return result;
    }
    let mut name = (*token).to_owned();
    if tokens.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", tokens.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allowed.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_met_as_spdx_says() {
        let allowed = ["MIT", "Apache-2.0 WITH LLVM-exception", "ISC"].map(str::to_owned).into();
        for ok in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/Apache-2.0",
            "(MIT OR GPL-2.0) AND ISC",
            "Apache-2.0 WITH LLVM-exception AND MIT",
        ] {
            assert!(satisfied(ok, &allowed), "{ok}");
        }
        for no in ["", "GPL-3.0", "MIT AND GPL-2.0", "Apache-2.0", "MIT GPL"] {
            assert!(!satisfied(no, &allowed), "{no}");
        }
    }
}
