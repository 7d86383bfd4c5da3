//! The Helm engine beside helm: whole processes on the same charts, and a loaded chart rendered again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use borax_testkit::oracle::{self, project_root};

use super::measure::median;

/// What to render, how often.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure this Borax; a release build of this tree without
    #[arg(long)]
    binary: Option<PathBuf>,
    /// CHART or CHART:VALUES, which may lie anywhere; charts/borax without
    charts: Vec<String>,
    /// How many runs of each the median is of
    #[arg(long, default_value_t = 9)]
    runs: usize,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let set = oracle::set("helm-cli")?;
    crate::oracles::build(&set)?;
    let theirs = set.program("helm").context("helm is not built")?;
    let ours = super::borax(args.binary.as_deref())?;
    let again =
        super::release(&["--package=borax-helm", "--example=rerender"], "examples/rerender")?;
    let own = [project_root().join("charts/borax").display().to_string()];
    let charts = if args.charts.is_empty() { &own[..] } else { &args.charts };
    println!(
        "{:<32} {:>9} {:>9} {:>8} {:>6} {:>6} {:>7} {:>9} {:>9}",
        "chart", "borax", "helm", "faster", "MiB", "MiB", "memory", "re-render", "faster"
    );
    for chart in charts {
        let (chart, values) = match chart.split_once(':') {
            Some((chart, values)) => (chart, Some(values)),
            None => (chart.as_str(), None),
        };
        let template = |program: &Path| {
            let mut command = Command::new(program);
            command.args(["template", "bench", chart]);
            command.args(values.map(|values| format!("--values={values}")));
            command
        };
        let mine = median(args.runs, || template(&ours))?;
        let helm = median(args.runs, || template(&theirs))?;
        let rerender = rerender(&again, chart, values)?;
        let name = Path::new(chart).file_name().map_or(chart.into(), |n| n.to_string_lossy());
        let ratio = |part: Duration| helm.wall.as_secs_f64() / part.as_secs_f64();
        let memory =
            |run: &super::measure::Run| run.usage.peak_resident as f64 / f64::from(1 << 20);
        println!(
            "{name:<32} {:>6.1} ms {:>6.1} ms {:>7.1}x {:>6.1} {:>6.1} {:>7} {:>6.2} ms {:>8.0}x",
            mine.wall.as_secs_f64() * 1e3,
            helm.wall.as_secs_f64() * 1e3,
            ratio(mine.wall),
            memory(&mine),
            memory(&helm),
            format!("1/{:.1}", memory(&helm) / memory(&mine)),
            rerender.as_secs_f64() * 1e3,
            ratio(rerender),
        );
    }
    Ok(())
}

/// The median time of rendering the loaded chart again with other values.
fn rerender(program: &Path, chart: &str, values: Option<&str>) -> anyhow::Result<Duration> {
    let output = Command::new(program).arg(chart).args(values).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "rendering {chart} again: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let micros = text.trim().parse().with_context(|| format!("a number of µs: {text:?}"))?;
    Ok(Duration::from_micros(micros))
}
