//! `cargo xtask fuzz`: runs the fuzz targets of `fuzz/` for a while each.
//!
//! Owns how they are built: with LLVM's coverage counters, which the stable compiler has, and libFuzzer from
//! `libfuzzer-sys`. So neither a nightly toolchain nor `cargo-fuzz` is needed; with `cargo-fuzz` they run as well. What
//! a run found stays in `fuzz/artifacts`, what it learnt in `fuzz/corpus`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use borax_testkit::oracle::project_root;

/// What to run, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// These targets; all without
    targets: Vec<String>,
    /// How long each runs
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// The most memory a target may take, in MiB
    #[arg(long, default_value_t = 2048)]
    memory: u64,
}

/// What `cargo-fuzz` gives the compiler, less the sanitizer, which only a nightly one has. Overflows and broken
/// `debug_assert`s are failures.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = project_root().join("fuzz");
    let all = targets(&folder)?;
    for wanted in &args.targets {
        ensure!(all.contains(wanted), "no target {wanted:?}; there are: {}", all.join(", "));
    }
    let wanted = if args.targets.is_empty() { all } else { args.targets.clone() };
    // Named, so that the flags reach the targets and not the build scripts.
    let host = host()?;
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--release", "--target", &host, "--manifest-path"]);
    build.arg(folder.join("Cargo.toml")).env("RUSTFLAGS", FLAGS).env_remove("CARGO_TARGET_DIR");
    for target in &wanted {
        build.args(["--bin", target]);
    }
    ensure!(build.status()?.success(), "the fuzz targets don't build");
    let mut failed = Vec::new();
    for target in &wanted {
        let corpus = folder.join("corpus").join(target);
        let artifacts = folder.join("artifacts").join(target);
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&artifacts)?;
        eprintln!("fuzzing {target} for {} s", args.seconds);
        let status = Command::new(folder.join("target").join(&host).join("release").join(target))
            .arg(&corpus)
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .arg(format!("-max_total_time={}", args.seconds))
            .arg(format!("-rss_limit_mb={}", args.memory))
            .args(["-timeout=25", "-print_final_stats=1", "-verbosity=0"])
            .status()
            .with_context(|| format!("run the fuzz target {target}"))?;
        println!("{target}: {}", if status.success() { "nothing found" } else { "failed" });
        if !status.success() {
            failed.push(target.as_str());
        }
    }
    if !failed.is_empty() {
        bail!("see fuzz/artifacts for what breaks {}", failed.join(", "));
    }
    Ok(())
}

/// The targets' names, from the manifest.
fn targets(folder: &Path) -> anyhow::Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Manifest {
        bin: Vec<Bin>,
    }
    #[derive(serde::Deserialize)]
    struct Bin {
        name: String,
    }
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    let manifest: Manifest = toml::from_str(&manifest).context("read fuzz/Cargo.toml")?;
    Ok(manifest.bin.into_iter().map(|bin| bin.name).collect())
}

fn host() -> anyhow::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_of_the_folder_is_in_the_manifest() {
        let folder = project_root().join("fuzz");
        let mut listed = targets(&folder).unwrap();
        listed.sort();
        let files = fs::read_dir(folder.join("fuzz_targets")).unwrap();
        let mut files: Vec<String> = files
            .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        assert_eq!(listed, files);
    }
}
