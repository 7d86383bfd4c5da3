//! `cargo xtask bench`: what things cost, measured from outside on whole processes.
//!
//! Owns the list of benches. Numbers are for comparing on one machine, one after the other.

use std::path::{Path, PathBuf};

mod engines;
mod helm;
mod images;
mod measure;
mod operator;
mod releases;
mod trees;

/// What to measure.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Many Kustomizations on a real control plane: time, CPU, memory and requests
    Operator(operator::Args),
    /// Many HelmReleases on a real control plane: time, CPU, memory and requests
    Releases(releases::Args),
    /// The engines beside kustomize, on the same trees
    Engines(engines::Args),
    /// The Helm engine beside helm: time and memory of a process, time of rendering again
    Helm(helm::Args),
    /// A tree of many files searched for setters, and many image repositories with many tags
    Images(images::Args),
}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Operator(args) => operator::run(&args),
        Command::Releases(args) => releases::run(&args),
        Command::Engines(args) => engines::run(&args),
        Command::Helm(args) => helm::run(&args),
        Command::Images(args) => images::run(&args),
    }
}

/// Borax's binary: `given`, or a release build of this tree.
fn borax(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_path_buf());
    }
    release(&["--package=borax"], "borax")
}

/// A program of this tree, built with the release profile.
fn release(args: &[&str], program: &str) -> anyhow::Result<PathBuf> {
    let root = borax_testkit::oracle::project_root();
    let status =
        std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--release"])
            .args(args)
            .current_dir(&root)
            .status()?;
    anyhow::ensure!(status.success(), "cargo build --release failed");
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release").join(program))
}
