//! The kustomize engine beside kustomize: whole processes, the same trees.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use borax_testkit::oracle::{self, project_root};

use super::measure::{Run, median};

/// What to build, how often.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure this Borax; a release build of this tree without
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Folders with a kustomization; those below config/ without
    trees: Vec<PathBuf>,
    /// How many runs of each the median is of
    #[arg(long, default_value_t = 9)]
    runs: usize,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let set = oracle::set("kustomize")?;
    crate::oracles::build(&set)?;
    let theirs = set.program("kustomize").context("kustomize is not built")?;
    let ours = super::borax(args.binary.as_deref())?;
    let trees = match args.trees.is_empty() {
        true => kustomizations(&project_root().join("config"))?,
        false => args.trees.clone(),
    };
    ensure!(!trees.is_empty(), "there is no kustomization below config/");
    println!(
        "{:<48} {:>10} {:>10} {:>7} {:>8} {:>8}",
        "tree", "borax", "kustomize", "faster", "MiB", "MiB"
    );
    for tree in trees {
        let build = |program: &PathBuf| {
            let mut command = Command::new(program);
            command.arg("build").arg(&tree);
            command
        };
        let name = tree.strip_prefix(project_root()).unwrap_or(&tree).display().to_string();
        match (median(args.runs, || build(&ours)), median(args.runs, || build(&theirs))) {
            (Ok(ours), Ok(theirs)) => print(&name, ours, theirs),
            (ours, theirs) => {
                let failed = |r: Result<Run, _>| r.map_or("fails", |_| "builds");
                println!("{name:<48} borax {}, kustomize {}", failed(ours), failed(theirs));
            }
        }
    }
    Ok(())
}

fn print(name: &str, ours: Run, theirs: Run) {
    println!(
        "{name:<48} {:>7.1} ms {:>7.1} ms {:>6.1}x {:>8} {:>8}",
        ours.wall.as_secs_f64() * 1e3,
        theirs.wall.as_secs_f64() * 1e3,
        theirs.wall.as_secs_f64() / ours.wall.as_secs_f64(),
        ours.usage.peak_resident >> 20,
        theirs.usage.peak_resident >> 20,
    );
}

/// Every folder with a kustomization file below `folder`, sorted.
fn kustomizations(folder: &std::path::Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().is_some_and(|n| n == "kustomization.yaml") {
                found.push(dir.clone());
            }
        }
    }
    found.sort();
    Ok(found)
}
