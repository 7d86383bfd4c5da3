//! What a large tree costs: 100 MB of files add less than 50 MiB to what the process holds.

use std::io::Read;
use std::process::Command;

use borax_artifact::tree::{FileMeta, SinkError, TreeSink, TreeSource as _};
use borax_source::ignore::Rules;
use borax_testkit::git::{Change, HttpOptions, HttpServer, Repositories};

use super::support::{checkout, request};

/// Tells the child apart, as it has to be alone in its process.
const URL: &str = "BORAX_TEST_MEMORY_URL";

/// Files of the tree, and bytes of each.
const FILES: usize = 200;
const SIZE: usize = 500_000;

#[test]
fn a_tree_of_100_mb_adds_less_than_50_mib() {
    let repositories = Repositories::new();
    let repository = repositories.create("app.git");
    let contents: Vec<Vec<u8>> = (0..FILES).map(noise).collect();
    let names: Vec<String> = (0..FILES).map(|i| format!("d{}/f{i}", i % 7)).collect();
    let changes: Vec<(&str, Change<'_>)> =
        names.iter().zip(&contents).map(|(n, c)| (n.as_str(), Change::File(c))).collect();
    repository.commit_changes("refs/heads/main", &changes, "Large", 1_700_000_000);
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "git::memory::measured", "--ignored", "--nocapture"])
        .env(URL, server.url("app.git"))
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|l| l.split_once("ADDED ")).map(|(_, kib)| kib.trim());
    let added: u64 = line.and_then(|kib| kib.parse().ok()).unwrap_or(u64::MAX);
    assert!(
        added < 50 * 1024,
        "{added} KiB were added: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "the other half of the test above"]
fn measured() {
    let Ok(url) = std::env::var(URL) else { return };
    let before = peak();
    let found = checkout(&request(&url));
    let rules = Rules::new(found.ignore_files().expect("readable"), None);
    let mut count = Count { bytes: 0 };
    found.tree(&rules).emit(&mut count).expect("readable");
    assert_eq!(count.bytes, (FILES * SIZE) as u64);
    println!("ADDED {}", peak() - before);
}

struct Count {
    bytes: u64,
}

impl TreeSink for Count {
    fn dir(&mut self, _path: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }

    fn file(
        &mut self,
        _path: &[u8],
        _file: FileMeta,
        content: &mut dyn Read,
    ) -> Result<(), SinkError> {
        self.bytes += std::io::copy(content, &mut std::io::sink()).expect("readable");
        Ok(())
    }
}

/// The most this process ever held, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Bytes that do not compress.
fn noise(seed: usize) -> Vec<u8> {
    let mut state = seed as u64 + 1;
    let mut bytes = Vec::with_capacity(SIZE + 8);
    while bytes.len() < SIZE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(SIZE);
    bytes
}
