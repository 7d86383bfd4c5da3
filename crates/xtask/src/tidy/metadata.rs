//! What `cargo metadata` says of the workspace and everything it is built from.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// The resolved workspace.
#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    workspace_root: String,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

/// One crate, ours or another's.
#[derive(Deserialize, Clone)]
pub(super) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    manifest_path: String,
    #[serde(default)]
    metadata: serde_json::Value,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dep>,
}

#[derive(Deserialize)]
struct Dep {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl Package {
    /// The ring its manifest names, empty when it names none.
    pub(super) fn ring(&self) -> &str {
        self.metadata.pointer("/borax/ring").and_then(|r| r.as_str()).unwrap_or_default()
    }

    /// Its folder under `crates`, for our own.
    pub(super) fn folder(&self) -> &str {
        self.manifest_path.rsplit('/').nth(1).unwrap_or_default()
    }
}

impl Metadata {
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let args = ["metadata", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"];
        serde_json::from_slice(&cargo(root, &args)?).context("read cargo metadata")
    }

    /// The names of what the library `name` is built from when it is built alone. The resolved
    /// workspace cannot tell: there a feature that one crate asks for is on for all.
    pub(super) fn built_from(&self, name: &str) -> anyhow::Result<Vec<String>> {
        let args = ["tree", "--package", name, "--edges=normal", "--prefix=none", "--format={p}"];
        let text = String::from_utf8(cargo(Path::new(&self.workspace_root), &args)?)?;
        let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        let mut names: Vec<String> = text.lines().map(first).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Our own crates, by name.
    pub(super) fn members(&self) -> Vec<&Package> {
        let mut members: Vec<&Package> =
            self.packages.iter().filter(|p| self.workspace_members.contains(&p.id)).collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    /// What each package (by id) is built from or built with; tests' own needs are left out.
    pub(super) fn dependencies(&self) -> BTreeMap<&str, Vec<&str>> {
        let needed = |dep: &&Dep| dep.dep_kinds.iter().any(|k| k.kind.as_deref() != Some("dev"));
        self.resolve
            .nodes
            .iter()
            .map(|n| {
                let deps = n.deps.iter().filter(needed).map(|d| d.pkg.as_str()).collect();
                (n.id.as_str(), deps)
            })
            .collect()
    }

    /// The package with this id.
    pub(super) fn package(&self, id: &str) -> Option<&Package> {
        self.packages.iter().find(|p| p.id == id)
    }

    /// Every package `from` is built from, at any distance, itself left out.
    pub(super) fn closure(&self, from: &str) -> Vec<&Package> {
        let edges = self.dependencies();
        let mut seen = std::collections::BTreeSet::new();
        let mut open = vec![from];
        while let Some(id) = open.pop() {
            for dep in edges.get(id).into_iter().flatten() {
                if seen.insert(*dep) {
                    open.push(dep);
                }
            }
        }
        seen.into_iter().filter_map(|id| self.package(id)).collect()
    }
}

fn cargo(root: &Path, args: &[&str]) -> anyhow::Result<Vec<u8>> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output =
        Command::new(program).args(args).current_dir(root).output().context("run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo {}: {said}", args[0]);
    Ok(output.stdout)
}
