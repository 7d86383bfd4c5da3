//! `cargo xtask test`: the one test command.
//!
//! Owns the order of the checks, the control plane they share, and the count at the end. The checks are
//! Cargo's and the crates' own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context as _, bail};
use borax_testkit::cluster::{self, ControlPlane};
use borax_testkit::oracle::{self, OracleError, project_root};
use borax_testkit::skip;

/// What to leave out.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out what needs Go: the control plane and the original tools
    #[arg(long, conflicts_with = "no_skips")]
    quick: bool,
    /// A skipped test is a failure
    #[arg(long)]
    no_skips: bool,
    /// Only these crates' lints and tests
    #[arg(long, short, value_name = "NAME")]
    package: Vec<String>,
}

/// What came of a run.
#[derive(Debug, Default)]
struct Count {
    passed: usize,
    failed: usize,
    ignored: usize,
    skipped: Vec<String>,
    failures: Vec<String>,
}

impl Count {
    /// Takes note of a line that Cargo or a test binary wrote.
    fn line(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            let number = |what: &str| {
                let part = result.split([';', '.']).find(|p| p.trim_end().ends_with(what));
                let digits = part.and_then(|p| p.trim().split(' ').next());
                digits.and_then(|d| d.parse::<usize>().ok()).unwrap_or(0)
            };
            self.passed += number("passed");
            self.failed += number("failed");
            self.ignored += number("ignored");
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|l| l.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        } else if let Some(skip) = line.split_once(skip::MARK).map(|(_, skip)| skip) {
            // It may stand behind a test's own half line.
            self.skipped.push(skip.to_owned());
        }
    }

    fn check(&mut self, name: &str, ok: bool) {
        if ok {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.failures.push(name.to_owned());
        }
    }

    fn passes(&mut self, name: &str, result: anyhow::Result<()>) {
        self.check(name, result.inspect_err(|e| eprintln!("{name}: {e:#}")).is_ok());
    }

    /// The closing lines: failures, what was skipped and why (in one line), the plain count.
    fn report(&self) -> String {
        let mut lines: Vec<String> = self.failures.iter().map(|f| format!("failed: {f}")).collect();
        let mut reasons: Vec<(&str, usize)> = Vec::new();
        for skip in &self.skipped {
            let reason = skip.split_once(": ").map_or(&**skip, |(_, why)| why);
            match reasons.iter_mut().find(|(r, _)| *r == reason) {
                Some((_, count)) => *count += 1,
                None => reasons.push((reason, 1)),
            }
        }
        let mut parts: Vec<String> =
            reasons.iter().map(|(why, count)| format!("{count} ({why})")).collect();
        if self.ignored > 0 {
            parts.push(format!("{} (marked #[ignore], run by hand)", self.ignored));
        }
        lines.push(match parts.is_empty() {
            true => "skipped: nothing".to_owned(),
            false => format!("skipped: {}", parts.join("; ")),
        });
        lines.push(format!("{} passed, {} failed", self.passed, self.failed));
        lines.join("\n")
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let begin = Instant::now();
    let say = |what: &str| eprintln!("[{:5.0}s] {what}", begin.elapsed().as_secs_f32());
    let mut count = Count::default();

    say("cargo fmt");
    count.check(
        "cargo fmt --check",
        cargo(&["fmt", "--all", "--check"].map(str::to_owned), &[], &mut Count::default())?,
    );
    say("cargo clippy");
    let crates = match args.package.is_empty() {
        true => vec!["--workspace".to_owned()],
        false => args.package.iter().map(|name| format!("--package={name}")).collect(),
    };
    let with = |before: &[&'static str], after: &[&'static str]| -> Vec<String> {
        let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        [own(before), crates.clone(), own(after)].concat()
    };
    let clippy = with(&["clippy"], &["--all-targets", "--", "-D", "warnings"]);
    count.check("cargo clippy", cargo(&clippy, &[], &mut Count::default())?);

    let mut envs: Vec<(&str, String)> = Vec::new();
    let plane = match args.quick {
        true => {
            envs.push((cluster::OFF, "--quick was given".to_owned()));
            None
        }
        false => {
            say("the original tools");
            match build_oracles(args.no_skips)? {
                true => {
                    say("what the original tools say");
                    let check = crate::oracles::Command::Check { sets: Vec::new() };
                    count.passes("cargo xtask oracles check", crate::oracles::run(check));
                }
                false => count.skipped.push("the original tools: there is no Go toolchain".into()),
            }
            say("the control plane");
            shared_plane(args.no_skips)?
        }
    };
    if let Some(plane) = &plane {
        envs.push((cluster::KUBECONFIG, plane.kubeconfig().display().to_string()));
    }
    if args.no_skips {
        envs.push((skip::FORBID, "1".to_owned()));
    }

    if !args.quick {
        say("the image");
        count.passes("cargo xtask image", crate::image::dev());
    }

    say("cargo test");
    let before = count.failed;
    let ok = cargo(&with(&["test"], &["--no-fail-fast"]), &envs, &mut count)?;
    if !ok && count.failed == before {
        // It did not compile, or a test binary was killed.
        count.check("cargo test", false);
    }
    drop(plane);
    say("done");
    println!("{}", count.report());
    if count.failed > 0 {
        bail!("{} checks failed", count.failed);
    }
    if args.no_skips && !count.skipped.is_empty() {
        bail!("{} tests were skipped, and none may be here", count.skipped.len());
    }
    Ok(())
}

/// Builds every tool set that tests need; whether it could.
fn build_oracles(required: bool) -> anyhow::Result<bool> {
    for set in oracle::sets()?.iter().filter(|s| s.on_demand().is_none()) {
        match crate::oracles::build(set) {
            Err(e) if !required && e.downcast_ref().is_some_and(is_no_go) => {
                eprintln!("{e}");
                return Ok(false);
            }
            other => other?,
        }
    }
    Ok(true)
}

fn is_no_go(error: &OracleError) -> bool {
    matches!(error, OracleError::NoGo { .. })
}

/// The control plane for all tests of the run, unless the caller brings one.
fn shared_plane(required: bool) -> anyhow::Result<Option<ControlPlane>> {
    if std::env::var_os(cluster::KUBECONFIG).is_some_and(|v| !v.is_empty()) {
        return Ok(None);
    }
    match ControlPlane::start(cluster::Options::default()) {
        Ok(plane) => Ok(Some(plane)),
        Err(cluster::ClusterError::NotBuilt { .. }) if !required => Ok(None),
        Err(other) => Err(other).context("start the control plane"),
    }
}

/// Runs Cargo, passing on what it says and counting in it; whether it succeeded.
fn cargo(args: &[String], envs: &[(&str, String)], count: &mut Count) -> anyhow::Result<bool> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).envs(envs.iter().map(|(k, v)| (k, v))).current_dir(project_root());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("run cargo")?;
    let out = child.stdout.take().context("cargo has an output")?;
    let err = child.stderr.take().context("cargo has an error output")?;
    let count = Mutex::new(count);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| pass_on(err, &count, |line| eprintln!("{line}")));
        pass_on(out, &count, |line| println!("{line}"))?;
        other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    Ok(child.wait()?.success())
}

fn pass_on(from: impl Read, count: &Mutex<&mut Count>, print: impl Fn(&str)) -> anyhow::Result<()> {
    let mut reader = BufReader::new(from);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end_matches(['\n', '\r']);
        count
            .lock()
            .map_err(|_| anyhow::anyhow!("a reader of Cargo's output panicked"))?
            .line(line);
        print(line);
        bytes.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_failures_and_skips_are_counted_and_told_in_closing_lines() {
        let mut count = Count::default();
        for line in [
            "running 3 tests",
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "SKIPPED a::d: no Go",
            "test a::e ... SKIPPED a::e: no Go",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ] {
            count.line(line);
        }
        count.check("cargo fmt --check", true);
        assert_eq!(
            count.report(),
            "failed: a::c\nskipped: 2 (no Go); 2 (marked #[ignore], run by hand)\n16 passed, 1 failed"
        );
        assert_eq!(Count::default().report(), "skipped: nothing\n0 passed, 0 failed");
    }
}
