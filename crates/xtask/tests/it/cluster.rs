//! A control plane that stays up between commands, and leaves nothing behind when it goes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use borax_testkit::{cluster, oracle, skip};

/// The command, with a cache folder of its own that borrows the built programs.
fn xtask(cache: &Path, args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_xtask");
    let output = Command::new(program).args(args).env(oracle::CACHE, cache).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// `None` after saying so, when the programs are not built or a control plane is not wanted.
fn cache() -> Option<tempfile::TempDir> {
    if let Some(why) = std::env::var(cluster::OFF).ok().filter(|why| !why.is_empty()) {
        skip::skipped(&why);
        return None;
    }
    if !oracle::set(cluster::TOOLS).is_ok_and(|set| set.missing().is_empty()) {
        skip::skipped(
            "the control plane's programs are not built (`cargo xtask cluster up` builds them)",
        );
        return None;
    }
    let cache = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(oracle::cache_dir().join("go"), cache.path().join("go")).unwrap();
    Some(cache)
}

fn up(cache: &Path) -> PathBuf {
    let output = xtask(cache, &["cluster", "up"]);
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

fn until_gone(folder: &Path) {
    let begin = Instant::now();
    while folder.exists() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{} is still there", folder.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether any process still names the folder in its command line.
fn anyone_uses(folder: &Path) -> bool {
    let needle = folder.as_os_str().as_encoded_bytes();
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(needle.len()).any(|window| window == needle)
    })
}

fn until_unused(folder: &Path) {
    let begin = Instant::now();
    while anyone_uses(folder) {
        assert!(begin.elapsed() < Duration::from_secs(20), "processes are still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn it_comes_up_once_answers_and_goes_down_leaving_nothing() {
    let Some(cache) = cache() else { return };
    let kubeconfig = up(cache.path());
    assert_eq!(up(cache.path()), kubeconfig, "a second `up` finds the first");
    let kubectl = oracle::require("kubectl").unwrap();
    let nodes = Command::new(kubectl)
        .args(["get", "nodes", "--output=name", "--kubeconfig"])
        .arg(&kubeconfig)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(nodes.stdout).unwrap(), "node/node-0\n");
    let status = xtask(cache.path(), &["cluster", "status"]).stdout;
    assert!(String::from_utf8(status).unwrap().contains("kube-apiserver"));
    xtask(cache.path(), &["cluster", "down"]);
    let folder = kubeconfig.parent().unwrap();
    assert!(!folder.exists(), "down returns when it is gone");
    // Whoever removed the folder names it until it ends itself, a moment later.
    until_unused(folder);
}

#[test]
fn a_keeper_that_is_killed_takes_everything_with_it() {
    let Some(cache) = cache() else { return };
    let kubeconfig = up(cache.path());
    let note = std::fs::read(cache.path().join("clusters/default.json")).unwrap();
    let note: serde_json::Value = serde_json::from_slice(&note).unwrap();
    let keeper = i32::try_from(note["keeper"].as_i64().unwrap()).unwrap();
    let keeper = rustix::process::Pid::from_raw(keeper).unwrap();
    rustix::process::kill_process(keeper, rustix::process::Signal::KILL).unwrap();
    let folder = kubeconfig.parent().unwrap();
    until_gone(folder);
    until_unused(folder);
}
