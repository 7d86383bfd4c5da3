//! `borax lint CHART...`: prints what `helm lint` prints, and on standard error each value that a template
//! requires and does not get, with its place.
//!
//! Behaviour: Helm v4.2.1 `pkg/cmd/lint.go`, `pkg/action/lint.go`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use borax_controllers::machine::Machine;
use borax_helm::{Findings, Folder, KubeVersion, LintFlags, LintOptions, Severity, lint, unpack};

use crate::chart;
use crate::template::{Flags, say, values};

/// Lints and prints.
pub(crate) fn run(flags: Flags) -> anyhow::Result<()> {
    let flags = LintFlags::parse(flags.texts()?)?;
    if flags.help {
        return crate::print(LintFlags::help().as_bytes());
    }
    let kube_version = flags.kube_version.as_deref().map(KubeVersion::parse).transpose()?;
    let mut charts: Vec<PathBuf> = flags.charts.iter().map(PathBuf::from).collect();
    if flags.with_subcharts {
        for chart in charts.clone() {
            below(&chart.join("charts"), &mut charts)?;
        }
    }
    let options = LintOptions {
        values: values(&flags.values)?,
        namespace: flags.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        kube_version,
        skip_schema_validation: flags.skip_schema_validation,
        env: Arc::new(Machine),
    };
    let mut out = String::new();
    let (mut failed, mut noisy) = (0, false);
    for chart in &charts {
        let found = one(chart, &options);
        let least = if flags.strict { Severity::Warning } else { Severity::Error };
        let (messages, failure) = match &found {
            Ok(found) => (found.messages.as_slice(), None),
            Err(error) => (&[][..], Some(error)),
        };
        let loud = failure.is_some() || messages.iter().any(|m| m.severity > Severity::Info);
        noisy |= loud;
        if failure.is_some() || messages.iter().any(|m| m.severity >= least) {
            failed += 1;
        }
        for notice in found.iter().flat_map(|found| &found.notices) {
            say(&format!("[WARNING] {}: {}: {}", notice.location, notice.function, notice.message));
        }
        if flags.quiet && !loud {
            continue;
        }
        out.push_str(&format!("==> Linting {}\n", chart.display()));
        if let Some(error) = failure {
            out.push_str(&format!("Error {error:#}\n"));
        }
        for message in messages {
            if !flags.quiet || message.severity > Severity::Info {
                out.push_str(&format!("{message}\n"));
            }
        }
        out.push('\n');
    }
    let summary = format!("{} chart(s) linted, {failed} chart(s) failed", charts.len());
    if failed == 0 && (!flags.quiet || noisy) {
        out.push_str(&format!("{summary}\n"));
    }
    crate::print(out.as_bytes())?;
    if failed > 0 {
        bail!(summary);
    }
    Ok(())
}

fn one(path: &Path, options: &LintOptions) -> anyhow::Result<Findings> {
    let name = path.to_string_lossy();
    let folder = if name.ends_with(".tgz") || name.ends_with(".tar.gz") {
        let files = unpack(&chart::archive(path)?).context("unable to extract tarball")?;
        Folder { path: name.into_owned(), files, folders: Vec::new() }
    } else {
        let file = path.join("Chart.yaml");
        if !file.exists() {
            bail!(
                "unable to check Chart.yaml file in chart: stat {}: no such file or directory",
                file.display()
            );
        }
        let full = std::path::absolute(path)?;
        chart::folder(&full)?
    };
    Ok(lint(&folder, options))
}

/// The charts in a folder, at any depth.
fn below(dir: &Path, out: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    let list = std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
    let mut paths = list.map(|e| Ok(e?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            below(&path, out)?;
        } else if path.file_name().is_some_and(|n| n == "Chart.yaml") {
            out.push(dir.to_path_buf());
        } else if name.ends_with(".tgz") || name.ends_with(".tar.gz") {
            out.push(path);
        }
    }
    Ok(())
}
