//! Child processes that cannot outlive their owner.
//!
//! Owns the process group of one control plane, its guard, and what one child costs. The guard is a
//! shell that leads the group and waits for the end of a pipe whose other end only the owner
//! holds: however the owner ends (return, panic, kill -9), the pipe closes, and the guard ends the group
//! and removes the folder. Refuses to know which programs run.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// What the guard runs: `$0` is the folder. The second shell has a session of its own, so it
/// survives the group it ends.
const GUARD: &str =
    r#"cat >/dev/null; exec setsid sh -c 'kill -s KILL -- -"$0"; rm -rf -- "$1"' "$$" "$0""#;

/// A process group that ends with its owner.
#[derive(Debug)]
pub(super) struct Group {
    guard: Child,
    // Closing it is what ends the group.
    _line: ChildStdin,
}

impl Group {
    /// Starts the guard; `folder` is removed with the group.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let mut guard = Command::new("sh")
            .arg("-c")
            .arg(GUARD)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let line = guard.stdin.take().ok_or_else(|| io::Error::other("the guard has no stdin"))?;
        Ok(Self { guard, _line: line })
    }

    fn id(&self) -> i32 {
        self.guard.id().cast_signed()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The owner ends its processes itself before this; the guard has nothing left to do.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

/// How to start one program.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) envs: Vec<(&'static str, String)>,
    pub(super) log: PathBuf,
}

/// One program: running, stopped, or to be started again.
#[derive(Debug)]
pub(super) struct Process {
    spec: Spec,
    child: Option<Child>,
}

/// What a process has cost since it was last started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// Resident memory now, bytes.
    pub resident: u64,
    /// The most resident memory it ever had, bytes.
    pub peak_resident: u64,
}

impl Usage {
    /// The cost of any process of this machine, from `/proc`.
    ///
    /// # Errors
    /// When there is no such process, or it may not be looked at.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        parse_usage(&stat, &status, rustix::param::clock_ticks_per_second())
            .ok_or_else(|| io::Error::other(format!("/proc/{pid} is not as proc(5) says")))
    }
}

fn parse_usage(stat: &str, status: &str, ticks_per_second: u64) -> Option<Usage> {
    // The second field is the program's name in parentheses and may itself hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    let kib = |field: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(field))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    Some(Usage {
        cpu: Duration::from_millis(ticks * 1000 / ticks_per_second),
        resident: kib("VmRSS:")? * 1024,
        peak_resident: kib("VmHWM:")? * 1024,
    })
}

impl Process {
    pub(super) fn new(spec: Spec) -> Self {
        Self { spec, child: None }
    }

    pub(super) fn log(&self) -> &Path {
        &self.spec.log
    }

    /// Starts it, unless it runs. Output is appended to its log.
    pub(super) fn start(&mut self, group: &Group) -> io::Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let log = File::options().create(true).append(true).open(&self.spec.log)?;
        let child = Command::new(&self.spec.program)
            .args(&self.spec.args)
            .envs(self.spec.envs.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(group.id())
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The exit status, when it has ended by itself.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), Child::try_wait)
    }

    /// kill -9, and waits for the end. Nothing when it does not run.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait().map(drop)
    }

    /// Sends `signal`. Nothing when it does not run.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self.child.as_ref().and_then(|c| Pid::from_raw(c.id().cast_signed()));
        pid.map_or(Ok(()), |pid| kill_process(pid, signal).map_err(io::Error::from))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_survives_a_program_name_with_spaces_and_parentheses() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        let status = "Name:\ta\nVmHWM:\t  200 kB\nVmRSS:\t  100 kB\n";
        let usage = parse_usage(stat, status, 100).unwrap();
        assert_eq!(usage.cpu, Duration::from_secs(3));
        assert_eq!((usage.resident, usage.peak_resident), (102_400, 204_800));
    }

    #[test]
    fn the_test_process_itself_has_a_cost() {
        assert!(Usage::of(std::process::id()).unwrap().resident > 0);
    }

    #[test]
    fn a_group_ends_when_the_pipe_of_its_owner_closes() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("plane");
        std::fs::create_dir(&folder).unwrap();
        let mut group = Group::new(&folder).unwrap();
        let spec = Spec {
            program: "sleep".into(),
            args: vec!["1000".into()],
            envs: Vec::new(),
            log: dir.path().join("log"),
        };
        let mut process = Process::new(spec);
        process.start(&group).unwrap();
        // What the kernel does to the pipe when the owner is killed.
        let (_reader, writer) = io::pipe().unwrap();
        group._line = std::process::ChildStdin::from(std::os::fd::OwnedFd::from(writer));
        let begin = std::time::Instant::now();
        while process.ended().unwrap().is_none() || folder.exists() {
            assert!(begin.elapsed() < Duration::from_secs(30), "the group is still there");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
