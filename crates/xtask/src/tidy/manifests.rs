//! Every manifest has the house shape: what can be shared is the workspace's.

use toml::{Table, Value};

use super::Finding;
use super::metadata::Metadata;
use super::tree::Tree;

/// Keys of `[package]` that come from the workspace.
const SHARED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

pub(super) fn check(tree: &Tree, metadata: &Metadata) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for member in metadata.members() {
        let folder = member.folder();
        let place = format!("crates/{folder}/Cargo.toml");
        let text = tree.text(&place).unwrap_or_default();
        let mut say = |message: String| findings.push(Finding::new(&place, message));
        for message in shape(&text.parse()?) {
            say(message);
        }
        let name = match folder {
            "borax" | "xtask" => folder.to_owned(),
            _ => format!("borax-{folder}"),
        };
        if member.name != name {
            say(format!("the crate in crates/{folder} is called {name}"));
        }
        let pure = ["values", "engines"].contains(&member.ring());
        if pure && !tree.has(&format!("crates/{folder}/clippy.toml")) {
            say("a crate of a pure ring has a clippy.toml that disallows clock, files and environment".into());
        }
    }
    Ok(findings)
}

fn shape(manifest: &Table) -> Vec<String> {
    let mut wrong = Vec::new();
    let from_workspace = |value: Option<&Value>| {
        value.and_then(|v| v.get("workspace")).and_then(Value::as_bool) == Some(true)
    };
    let package = manifest.get("package");
    for key in SHARED {
        if !from_workspace(package.and_then(|p| p.get(key))) {
            wrong.push(format!("{key}.workspace = true"));
        }
    }
    if !from_workspace(manifest.get("lints")) {
        wrong.push("[lints] workspace = true".into());
    }
    let described = package.and_then(|p| p.get("description")).and_then(Value::as_str);
    if described.is_none_or(str::is_empty) {
        wrong.push("package.description says in a line what the crate owns".into());
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_manifest_sets_for_itself_is_found() {
        let text = "[package]\nname = 'x'\nversion = '1.0.0'\nedition.workspace = true\n\
                    rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n\
                    description = 'x'\n";
        let wrong = shape(&text.parse().unwrap());
        assert_eq!(wrong, ["version.workspace = true", "[lints] workspace = true"]);
    }
}
