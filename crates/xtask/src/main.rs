//! The project's front door: test, cluster, oracles, crds, bench, fuzz, image, tidy.
//!
//! Owns the command line only; each command is a module.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

mod bench;
mod cluster;
mod crds;
mod demo;
mod fuzz;
mod image;
mod oracles;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's front door.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything: format, lints, tidy, all tests, with the original tools and a control plane
    Test(test::Args),
    /// The main job end to end: a fleet of Git repositories brings a cluster up, and it stays up to look at
    Demo(demo::Args),
    /// A real Kubernetes control plane on this machine, without Docker
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// The original tools that tests compare with
    #[command(subcommand)]
    Oracles(oracles::Command),
    /// What things cost
    #[command(subcommand)]
    Bench(bench::Command),
    /// Runs the fuzz targets, ten minutes each unless told otherwise
    Fuzz(fuzz::Args),
    /// Writes the custom resource definitions to config/crds
    Crds,
    /// An OCI image archive of the one static binary, without a container daemon
    Image(image::Args),
    /// Checks the rules of the house that no compiler checks
    Tidy,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Demo(args) => demo::run(args),
        Command::Cluster(command) => cluster::run(command),
        Command::Oracles(command) => oracles::run(command),
        Command::Bench(command) => bench::run(command),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Crds => crds::run(),
        Command::Image(args) => image::run(&args),
        Command::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
