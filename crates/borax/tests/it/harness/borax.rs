//! The binary, as a process that can't outlive its test.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use borax_testkit::cluster::Usage;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::tail;

/// Starts "$@", prints its process id, and ends it when standard input closes: when this process ends, in
/// whatever way. Prints its exit status when it ends.
const GUARD: &str = r#"exec 3<&0
"$@" 3<&- </dev/null >&2 &
p=$!
echo $p
(read _ <&3; kill -9 $p) >/dev/null 2>&1 &
r=$!
wait $p
s=$?
kill $r 2>/dev/null
echo $s"#;

/// A running (or ended) `borax run`.
pub(crate) struct Borax {
    folder: TempDir,
    args: Vec<String>,
    ports: Ports,
    running: Option<Running>,
}

#[derive(Clone, Copy)]
struct Ports {
    storage: u16,
    metrics: u16,
    health: u16,
}

struct Running {
    pid: Pid,
    guard: Child,
    line: Option<ChildStdin>,
    told: BufReader<ChildStdout>,
}

impl Borax {
    /// Starts it on a cluster and returns when it says it is ready.
    pub(crate) async fn start(kubeconfig: &Path, flags: &[&str], storage: Option<&str>) -> Self {
        let folder = TempDir::with_prefix("borax-e2e-").unwrap();
        let ports = free_ports();
        let args = [
            "run".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            storage.map_or_else(
                || format!("--storage-path={}", folder.path().join("data").display()),
                str::to_owned,
            ),
            format!("--storage-addr=127.0.0.1:{}", ports.storage),
            format!("--metrics-addr=127.0.0.1:{}", ports.metrics),
            format!("--health-addr=127.0.0.1:{}", ports.health),
        ];
        let args = args.into_iter().chain(flags.iter().map(|&flag| flag.to_owned())).collect();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        let mut borax = Self { folder, args, ports, running: None };
        borax.again();
        borax.wait_ready().await;
        borax
    }

    /// Starts it where it ended, on the same folder and ports; returns at once.
    pub(crate) fn again(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "guard", env!("CARGO_BIN_EXE_borax")])
            .args(&self.args)
            .env_remove("KUBECONFIG")
            .env("RUNTIME_NAMESPACE", "flux-system")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let line = guard.stdin.take();
        let mut told = BufReader::new(guard.stdout.take().unwrap());
        let mut pid = String::new();
        told.read_line(&mut pid).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        self.running = Some(Running { pid, guard, line, told });
    }

    /// Waits until /readyz answers.
    pub(crate) async fn wait_ready(&self) {
        let begin = Instant::now();
        while !self.get(self.ports.health, "/readyz").is_some_and(|answer| answer.contains(" 200 "))
        {
            let log = || tail(&self.log(), 40);
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "borax did not become ready:\n{}",
                log()
            );
            assert!(self.is_running(), "borax ended:\n{}", log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|running| {
            Usage::of(running.pid.as_raw_nonzero().get().cast_unsigned()).is_ok()
        })
    }

    /// What `/metrics` says.
    pub(crate) fn metrics(&self) -> String {
        self.get(self.ports.metrics, "/metrics").expect("the metrics are served")
    }

    /// The whole answer to an HTTP GET on a port of the loopback.
    fn get(&self, port: u16, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended();
    }

    /// SIGTERM; returns the exit status when it has ended.
    pub(crate) fn stop(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.ended()
    }

    fn signal(&self, signal: Signal) {
        let running = self.running.as_ref().expect("it runs");
        kill_process(running.pid, signal).unwrap();
    }

    fn ended(&mut self) -> i32 {
        let mut running = self.running.take().expect("it runs");
        let mut status = String::new();
        running.told.read_line(&mut status).unwrap();
        running.line.take();
        running.guard.wait().unwrap();
        status.trim().parse().unwrap_or(-1)
    }

    /// What it costs.
    pub(crate) fn usage(&self) -> Usage {
        let pid = self.running.as_ref().expect("it runs").pid;
        Usage::of(pid.as_raw_nonzero().get().cast_unsigned()).unwrap()
    }

    /// Its log, over all its lives.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("borax.log")
    }

    /// The folder of its artifact cache.
    pub(crate) fn storage(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Borax {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
    }
}

fn free_ports() -> Ports {
    let hold: Vec<TcpListener> =
        (0..3).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
    let port = |index: usize| hold[index].local_addr().unwrap().port();
    Ports { storage: port(0), metrics: port(1), health: port(2) }
}
