//! The borax binary: one program, its subcommands.
//!
//! - `borax run`: the controllers ([`run`]).
//! - `borax build DIR`: what `kustomize build DIR` prints ([`build`]).
//! - `borax template [NAME] CHART`: what `helm template` prints ([`template`]).
//! - `borax lint CHART`: what `helm lint` prints ([`lint`]).
//! - `borax crds`: the custom resource definitions.
//!
//! Everything that reads the environment, the disk or the clock starts here or in an adapter.

mod bases;
mod build;
mod chart;
mod charts;
mod disk;
mod lint;
mod run;
mod template;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keeps Kubernetes clusters equal to what Git, OCI and Helm sources say, with Flux's custom resources.
#[derive(Parser)]
#[command(name = "borax", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the controllers until it is told to stop.
    Run(Box<run::flags::Flags>),
    /// Prints what a directory's kustomization builds, as `kustomize build` does.
    Build(build::Flags),
    /// Prints what a chart renders, as `helm template` does.
    Template(template::Flags),
    /// Examines charts, as `helm lint` does.
    Lint(template::Flags),
    /// Prints the custom resource definitions.
    Crds,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(flags) => run::run(*flags),
        Command::Build(flags) => build::run(&flags),
        Command::Template(flags) => template::run(flags),
        Command::Lint(flags) => lint::run(flags),
        Command::Crds => print(borax_api::crds_yaml().as_bytes()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed pipe is the reader's wish, not a failure to report.
            let _ = writeln!(std::io::stderr(), "Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output; a reader that has gone away is no error.
fn print(text: &[u8]) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
