//! The kustomize engine beside kustomize: whole processes, the same trees. Then how cost grows, and what a
//! change costs to someone who remembers the last build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use borax_kustomize::{Memo, Objects, Options};
use borax_stdx::files::MemoryFiles;
use borax_testkit::oracle::{self, project_root};

use super::measure::{Run, median};
use super::trees::{self, Tree};

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
    println!(
        "{:<48} {:>10} {:>10} {:>7} {:>8} {:>8} {:>7}",
        "tree", "borax", "kustomize", "faster", "MiB", "MiB", "less"
    );
    let compare = |name: &str, tree: &Path, runs: usize| match (
        median(runs, || build(&ours, tree)),
        median(runs, || build(&theirs, tree)),
    ) {
        (Ok(ours), Ok(theirs)) => print(name, ours, theirs),
        (ours, theirs) => {
            let failed = |r: Result<Run, _>| r.map_or("fails", |_| "builds");
            println!("{name:<48} borax {}, kustomize {}", failed(ours), failed(theirs));
        }
    };
    if !args.trees.is_empty() {
        for tree in &args.trees {
            compare(&tree.display().to_string(), tree, args.runs);
        }
        return Ok(());
    }
    let config = project_root().join("config");
    let known = kustomizations(&config)?;
    ensure!(!known.is_empty(), "there is no kustomization below config/");
    for tree in known {
        let name = tree.strip_prefix(project_root()).unwrap_or(&tree).display().to_string();
        compare(&name, &tree, args.runs);
    }
    let scratch = std::env::temp_dir().join(format!("borax-bench-{}", std::process::id()));
    let result = generated(&scratch, &ours, args.runs, &compare);
    // What is left behind lies in the folder for temporary files.
    let _ = std::fs::remove_dir_all(&scratch);
    result
}

fn build(program: &Path, tree: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("build").arg(tree);
    command
}

/// The trees that are made for this: large ones beside kustomize, larger ones alone, and the memo.
fn generated(
    scratch: &Path,
    ours: &Path,
    runs: usize,
    compare: &dyn Fn(&str, &Path, usize),
) -> anyhow::Result<()> {
    let place = |name: &str, tree: &Tree| -> anyhow::Result<PathBuf> {
        let folder = scratch.join(name);
        trees::write(tree, &folder)?;
        Ok(folder)
    };
    // Kustomize needs minutes for these.
    let few = runs.min(3);
    compare("300 overlays over a base of 50", &place("overlays", &trees::overlays(300))?, few);
    let large = trees::patched(50);
    compare("5,000 objects, patches, replacements", &place("patched", &large)?, few);
    println!();
    for apps in [5, 50, 500] {
        let folder = place(&format!("grow-{apps}"), &trees::patched(apps))?;
        let run = median(few, || build(ours, &folder))?;
        let objects = apps * 100;
        let each = run.wall.as_secs_f64() * 1e6 / objects as f64;
        let (wall, memory) = (run.wall.as_secs_f64() * 1e3, run.usage.peak_resident >> 20);
        println!("{objects:>6} objects: {wall:>8.1} ms, {each:>5.1} us each, {memory} MiB");
    }
    println!();
    remember(&large, runs)
}

/// One file changes in the tree: with a memo, and from nothing.
fn remember(tree: &Tree, runs: usize) -> anyhow::Result<()> {
    let mut files = MemoryFiles::new();
    for (path, text) in tree {
        files.insert(&format!("/{path}"), text.as_bytes());
    }
    let options = Options::default();
    let failed = |found: borax_kustomize::Diagnostics| anyhow::anyhow!("{found}");
    let mut memo = Memo::default();
    memo.build(&files, "/", &options).map_err(failed)?;
    let (path, text) =
        tree.iter().find(|(path, _)| path.ends_with("part-3.yaml")).context("parts")?;
    let mut times: [Vec<Duration>; 2] = Default::default();
    for run in 0..runs.max(1) {
        let changed = text.replace("cpu: 100m", &format!("cpu: {}m", 101 + run));
        files.insert(&format!("/{path}"), changed.as_bytes());
        let begin = Instant::now();
        let again: Objects = memo.build(&files, "/", &options).map_err(failed)?;
        times[0].push(begin.elapsed());
        let begin = Instant::now();
        let anew = borax_kustomize::build(&files, "/", &options).map_err(failed)?;
        times[1].push(begin.elapsed());
        ensure!(again == anew, "the memo gives other objects than a build from nothing");
    }
    let [again, anew] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e3
    });
    println!(
        "5,000 objects after one changed file: {again:.2} ms, from nothing {anew:.1} ms, {:.1}x faster",
        anew / again
    );
    Ok(())
}

fn print(name: &str, ours: Run, theirs: Run) {
    println!(
        "{name:<48} {:>7.1} ms {:>7.1} ms {:>6.1}x {:>8.1} {:>8.1} {:>6.1}x",
        ours.wall.as_secs_f64() * 1e3,
        theirs.wall.as_secs_f64() * 1e3,
        theirs.wall.as_secs_f64() / ours.wall.as_secs_f64(),
        ours.usage.peak_resident as f64 / 1048576.0,
        theirs.usage.peak_resident as f64 / 1048576.0,
        theirs.usage.peak_resident as f64 / ours.usage.peak_resident.max(1) as f64,
    );
}

/// Every folder with a kustomization file below `folder`, sorted.
fn kustomizations(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
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
