//! Generated files are there, and something keeps them fresh.
//!
//! The texts themselves are compared by tests of the crates that make them; a copy of that knowledge here
//! would only drift. This rule sees that such a test exists for each.

use super::Finding;
use super::tree::Tree;

/// Generated files or folders, and the crate and test that hold them fresh.
const GENERATED: &[(&str, &str, &str)] = &[
    ("config/crds", "api", "the_crds_in_config_are_what_the_types_make"),
    ("config/install/crds.yaml", "borax", "the_crds_of_the_plain_install_are_those_of_the_binary"),
    ("config/install/borax.yaml", "borax", "the_plain_install_is_what_the_chart_renders"),
];

pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (path, krate, test) in GENERATED {
        if !tree.has(path) {
            findings.push(Finding::new(*path, "is generated and not there (`cargo xtask crds`)"));
        }
        let below = format!("crates/{krate}/");
        let needle = format!("fn {test}(");
        let kept = tree
            .ending(".rs")
            .filter(|f| f.starts_with(&below))
            .any(|f| tree.text(f).is_some_and(|text| text.contains(&needle)));
        if !kept {
            let message = format!("nothing keeps it fresh: no test {test} in {below}");
            findings.push(Finding::new(*path, message));
        }
    }
    Ok(findings)
}
