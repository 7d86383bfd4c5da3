//! `cargo xtask oracles`: builds the pinned original tools and says where they are.
//!
//! Owns the commands; what a tool set is and how it is built is `borax_testkit::oracle`'s.

use std::fs;
use std::path::Path;
use std::process::Command as Process;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use borax_testkit::oracle::{self, Set, project_root};

/// What to do with the tool sets.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Builds tool sets (all without names) into the user's cache folder
    Build {
        /// Names of folders under tests/oracles
        sets: Vec<String>,
    },
    /// Prints each tool and where it is
    List,
    /// Writes the recorded baselines again, with the scripts tests/oracles/SET/record
    Record {
        /// Names of folders under tests/oracles; all that have a script without
        sets: Vec<String>,
    },
    /// Records beside the tree and fails when a baseline would change
    Check {
        /// Names of folders under tests/oracles; all that have a script without
        sets: Vec<String>,
    },
}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Build { sets } => chosen(&sets, |_| true)?.iter().try_for_each(build)?,
        Command::Record { sets } => {
            return chosen(&sets, has_record)?.iter().try_for_each(|s| record(s, &project_root()));
        }
        Command::Check { sets } => return check(&chosen(&sets, has_record)?),
        Command::List => {}
    }
    for set in oracle::sets()? {
        for tool in &set.tools {
            let built = set.program(&tool.name);
            let place = built.map_or("not built".to_owned(), |p| p.display().to_string());
            println!("{}/{}: {place}", set.name, tool.name);
        }
    }
    Ok(())
}

/// The sets named, or all that `fits`.
fn chosen(names: &[String], fits: fn(&Set) -> bool) -> anyhow::Result<Vec<Set>> {
    Ok(match names.is_empty() {
        true => oracle::sets()?.into_iter().filter(fits).collect(),
        false => names.iter().map(|s| oracle::set(s)).collect::<Result<_, _>>()?,
    })
}

/// A script for `sh -eu`, run where the tree's root is, with the set's programs first on `PATH`.
fn has_record(set: &Set) -> bool {
    set.folder().join("record").is_file()
}

fn record(set: &Set, root: &Path) -> anyhow::Result<()> {
    build(set)?;
    let script = set.folder().join("record");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::iter::once(set.bin_dir()).chain(std::env::split_paths(&path));
    let status = Process::new("sh")
        .arg("-eu")
        .arg(&script)
        .env("PATH", std::env::join_paths(places)?)
        .current_dir(root)
        .status()
        .with_context(|| format!("run {}", script.display()))?;
    ensure!(status.success(), "{} ended with {status}", script.display());
    Ok(())
}

/// Records in a copy of the crates' test data and compares.
fn check(sets: &[Set]) -> anyhow::Result<()> {
    let root = project_root();
    let copy = std::env::temp_dir().join(format!("borax-check-{}", std::process::id()));
    let result = (|| {
        let files = test_data(&root)?;
        for file in &files {
            let target = copy.join(file);
            fs::create_dir_all(target.parent().context("a file has a folder")?)?;
            fs::copy(root.join(file), &target).with_context(|| format!("copy {file}"))?;
        }
        sets.iter().try_for_each(|set| record(set, &copy))?;
        let same = |file: &str| same(&root.join(file), &copy.join(file));
        let changed: Vec<&String> = files.iter().filter(|f| !same(f)).collect();
        if !changed.is_empty() {
            bail!("the originals no longer say what is recorded in {changed:#?}");
        }
        println!("{} sets say what is recorded", sets.len());
        Ok(())
    })();
    // What is left behind lies in the folder for temporary files.
    let _ = fs::remove_dir_all(&copy);
    result
}

/// Whether two files hold the same: as JSON where both are, else byte for byte. Recorders indent, and
/// long recordings are kept compact.
fn same(one: &Path, other: &Path) -> bool {
    let read = |path: &Path| fs::read(path).ok();
    let (Some(one), Some(other)) = (read(one), read(other)) else { return false };
    let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    one == other || json(&one).is_some_and(|value| Some(value) == json(&other))
}

/// Every file below the crates' `tests` folders, from the root.
fn test_data(root: &Path) -> anyhow::Result<Vec<String>> {
    let output = Process::new("git")
        .args(["ls-files", "-z", "--", ":(glob)crates/*/tests/**"])
        .current_dir(root)
        .output()
        .context("run git")?;
    let text = String::from_utf8(output.stdout)?;
    let files = text.split_terminator('\0').map(str::to_owned);
    Ok(files.filter(|f| root.join(f).is_file()).collect())
}

/// Builds what `set` lacks, with progress on standard error.
pub(crate) fn build(set: &Set) -> anyhow::Result<()> {
    let begin = Instant::now();
    set.build(&[], |step| {
        eprintln!("[{:4}s] {}: {step}", begin.elapsed().as_secs(), set.name);
    })?;
    Ok(())
}
