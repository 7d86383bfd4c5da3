//! What needs a process of its own: being killed, and being weighed.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use borax_artifact::path::ArtifactPath;
use borax_artifact::tree::{FileMeta, TreeError, TreeSink, TreeSource};
use borax_artifact::{ArtifactError, Options, Storage};
use borax_stdx::files::Files;
use flate2::read::GzDecoder;

/// Names the job of a child and, after a colon, its folder.
const JOB: &str = "BORAX_TEST_CHILD";

/// The file in its folder in which a child says how it went.
const REPORT: &str = "report";

fn report(storage: &Storage, text: &str) {
    fs::write(storage.options().root.join(REPORT), text).expect("the folder is there");
}

fn start(job: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::child", "--nocapture"])
        .env(JOB, format!("{job}:{}", dir.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Does nothing in the parent's run.
#[test]
fn child() {
    let Ok(job) = std::env::var(JOB) else { return };
    let (job, dir) = job.split_once(':').unwrap();
    let storage = Storage::new(Options::new(dir, "source.example")).unwrap();
    match job {
        "archive" => {
            for n in 0.. {
                let artifact = archive(&storage, n).unwrap();
                storage.symlink(&artifact.path, "latest.tar.gz").unwrap();
                println!("archived {n}");
            }
        }
        "weigh" => weigh(&storage),
        "full" => full(&storage),
        _ => panic!("{job}"),
    }
}

/// A tree of `n_files` files of 10 kB that hardly compress.
struct Generated {
    n_files: u64,
    noise: Vec<u8>,
}

impl Generated {
    fn new(n_files: u64, seed: u64) -> Self {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        Self { n_files, noise: (0..1 << 18).map(|_| next()).collect() }
    }
}

impl TreeSource for Generated {
    fn emit(&mut self, sink: &mut dyn TreeSink) -> Result<(), TreeError> {
        for n in 0..self.n_files {
            if n % 100 == 0 {
                sink.dir(format!("{:03}", n / 100).as_bytes())?;
            }
            let path = format!("{:03}/{n:06}.yaml", n / 100);
            let start = (n as usize * 79_193) % (self.noise.len() - 10_000);
            let mut content = &self.noise[start..start + 10_000];
            sink.file(path.as_bytes(), FileMeta { size: 10_000, executable: false }, &mut content)?;
        }
        Ok(())
    }
}

fn path(n: u64) -> ArtifactPath {
    ArtifactPath::new("GitRepository", "ns", "app", &format!("{n}.tar.gz")).unwrap()
}

fn archive(storage: &Storage, n: u64) -> Result<borax_artifact::Artifact, ArtifactError> {
    storage.archive(&path(n), "r", &mut Generated::new(20, n))
}

#[test]
fn whatever_a_kill_leaves_under_an_artifacts_path_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let reference = tempfile::tempdir().unwrap();
    let reference = Storage::new(Options::new(reference.path(), "source.example")).unwrap();
    for round in 0..10 {
        let mut child = start("archive", dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Some archives in; the kill hits wherever the next one is.
        for _ in 0..=round {
            while !lines.next().unwrap().unwrap().contains("archived") {}
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut n_found = 0;
        for entry in fs::read_dir(dir.path().join("gitrepository/ns/app")).unwrap() {
            let entry = entry.unwrap();
            let mut tar = Vec::new();
            let file = fs::File::open(entry.path()).unwrap();
            GzDecoder::new(file).read_to_end(&mut tar).unwrap();
            let name = entry.file_name().into_string().unwrap();
            if let Some(n) = name.strip_suffix(".tar.gz").and_then(|n| n.parse().ok()) {
                let want = archive(&reference, n).unwrap();
                let found = Storage::new(Options::new(dir.path(), "source.example")).unwrap();
                found.verify(&path(n), &want.digest).unwrap();
                n_found += 1;
            }
        }
        assert!(n_found > round, "{n_found} archives in round {round}");
    }
}

/// Peak memory of this process in KiB, and memory now.
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (field("VmHWM:"), field("VmRSS:"))
}

fn weigh(storage: &Storage) {
    archive(storage, 1).unwrap();
    let (_, before) = memory();
    let mut tree = Generated::new(10_000, 5);
    let artifact = storage.archive(&path(2), "r", &mut tree).unwrap();
    let content = storage.open(&artifact).unwrap();
    assert_eq!(content.size(), 100_000_000);
    drop(content);
    // Again from the file: unpacked anew.
    let file = fs::File::open(storage.local_path(&path(2))).unwrap();
    let other: PathBuf = storage.options().root.join("other");
    let other = Storage::new(Options::new(other, "source.example")).unwrap();
    let content = other.open_file(file, &artifact.digest, "there").unwrap();
    assert_eq!(content.read("/000/000042.yaml").unwrap().len(), 10_000);
    let (peak, after) = memory();
    let kept = after.saturating_sub(before);
    report(storage, &format!("{} {kept}", peak - before));
}

#[test]
fn a_tree_of_100_mb_adds_less_than_50_mib() {
    let dir = tempfile::tempdir().unwrap();
    let output = start("weigh", dir.path()).wait_with_output().unwrap();
    let weight = fs::read_to_string(dir.path().join(REPORT));
    let weight = weight.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stdout)));
    let (peak, kept) = weight.split_once(' ').unwrap();
    let (peak, kept): (u64, u64) = (peak.parse().unwrap(), kept.parse().unwrap());
    println!("peak {peak} KiB, kept {kept} KiB");
    assert!(peak < 50 << 10, "peak {peak} KiB");
    assert!(kept < 10 << 10, "kept {kept} KiB");
}

/// Runs where no file may be larger than 64 KiB: the disk is full for a large archive, and not for a small one.
fn full(storage: &Storage) {
    let large = path(1);
    let error = storage.archive(&large, "r", &mut Generated::new(100, 1)).unwrap_err();
    assert!(error.is_storage(), "{error:?}");
    assert!(!storage.exists(&large));
    assert_eq!(fs::read_dir(storage.options().root.join(".tmp")).unwrap().count(), 0);
    let small = storage.archive(&path(2), "r", &mut Generated::new(2, 1)).unwrap();
    assert_eq!(storage.open(&small).unwrap().size(), 20_000);
    report(storage, "survived");
}

#[test]
fn a_full_disk_is_an_error_leaves_nothing_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    // A signal ignored by the shell is ignored by what it runs: a write past the limit is then an error.
    let limited = "trap '' XFSZ; ulimit -f 128; exec \"$0\" --exact process::child --nocapture";
    let output = Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .env(JOB, format!("full:{}", dir.path().display()))
        .output()
        .unwrap();
    let report = fs::read_to_string(dir.path().join(REPORT)).unwrap_or_default();
    assert_eq!(report, "survived", "{}", String::from_utf8_lossy(&output.stderr));
}
