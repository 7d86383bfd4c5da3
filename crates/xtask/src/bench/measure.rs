//! One run of a whole process: wall time, CPU time, peak memory.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use borax_testkit::cluster::Usage;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// What a run cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) wall: Duration,
    pub(super) usage: Usage,
}

/// Runs `command` to its end. Peak memory is read while it runs, twice a millisecond.
pub(super) fn run(command: &mut Command) -> anyhow::Result<Run> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let mut child = command.spawn().with_context(|| format!("run {command:?}"))?;
    let pid = Pid::from_raw(child.id().cast_signed()).context("a child has a process id")?;
    let mut usage = Usage::default();
    // Not reaped yet, so that its times can still be read when it has ended.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    while waitid(WaitId::Pid(pid), options)?.is_none() {
        if let Ok(now) = Usage::of(child.id()) {
            usage = now;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let wall = begin.elapsed();
    let status = child.wait()?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Run { wall, usage })
}

/// The run with the median wall time of `count` runs, after one that is not counted.
pub(super) fn median(count: usize, command: impl Fn() -> Command) -> anyhow::Result<Run> {
    run(&mut command())?;
    let mut runs = (0..count.max(1)).map(|_| run(&mut command())).collect::<Result<Vec<_>, _>>()?;
    runs.sort_by_key(|r| r.wall);
    Ok(runs[runs.len() / 2])
}
