//! An index of 100 MB costs a fraction of itself.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::time::Instant;

use borax_source::helm_repo::Index;

/// How large the index is, in megabytes; the default suits every day, 100 is the promise.
const SIZE: &str = "BORAX_INDEX_MB";

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

fn index(megabytes: u64, json: bool) -> File {
    let file = tempfile::tempfile().expect("a file");
    let mut out = BufWriter::new(file);
    let note =
        "What this chart installs, in some words more than needed, as charts have it. ".repeat(6);
    let (mut written, mut chart) = (0u64, 0);
    let head: &[u8] =
        if json { b"{\"apiVersion\":\"v1\",\"entries\":{" } else { b"apiVersion: v1\nentries:\n" };
    out.write_all(head).expect("a write");
    while written < megabytes << 20 {
        let open = match (json, chart) {
            (true, 0) => "\"chart-0\":[".to_owned(),
            (true, _) => format!(",\"chart-{chart}\":["),
            (false, _) => format!("  chart-{chart}:\n"),
        };
        out.write_all(open.as_bytes()).expect("a write");
        for version in 0..200 {
            let comma = if version > 0 { "," } else { "" };
            let entry = match json {
                true => format!(
                    "{comma}{{\"apiVersion\":\"v2\",\"created\":\"2024-01-02T03:04:05Z\",\"description\":\"{note}\",\"digest\":\"{version:064}\",\"name\":\"chart-{chart}\",\"urls\":[\"https://charts.example.com/files/chart-{chart}-1.{version}.0.tgz\"],\"version\":\"1.{version}.0\"}}"
                ),
                false => format!(
                    "  - apiVersion: v2\n    created: \"2024-01-02T03:04:05Z\"\n    description: {note}\n    digest: \"{version:064}\"\n    name: chart-{chart}\n    urls:\n    - https://charts.example.com/files/chart-{chart}-1.{version}.0.tgz\n    version: 1.{version}.0\n"
                ),
            };
            out.write_all(entry.as_bytes()).expect("a write");
            written += entry.len() as u64;
        }
        if json {
            out.write_all(b"]").expect("a write");
        }
        chart += 1;
    }
    if json {
        out.write_all(b"}}").expect("a write");
    }
    out.into_inner().expect("a flush")
}

#[test]
fn a_large_index_is_read_in_a_fraction_of_its_size() {
    let megabytes: u64 =
        std::env::var(SIZE).map_or(4, |text| text.parse().expect("a number of megabytes"));
    for json in [false, true] {
        let mut file = index(megabytes, json);
        let mut stored = tempfile::tempfile().expect("a file");
        let spool = tempfile::tempfile().expect("a file");
        let (before, begin) = (resident(), Instant::now());
        let read = Index::read(&mut file, Some(&mut stored), Some(spool)).expect("an index");
        let grown = resident().saturating_sub(before) / 1024;
        let (charts, versions) = read.size();
        let stored = stored.stream_position().expect("a position") >> 20;
        eprintln!(
            "json {json}: {megabytes} MB, {charts} charts, {versions} versions in {:?}; peak memory grew by {grown} MiB; {stored} MiB stored",
            begin.elapsed()
        );
        assert!(read.choose("chart-0", "1.x").is_ok_and(|v| &*v.version == "1.199.0"));
        // Other tests run in this process, so the bound is a loose one.
        assert!(grown < megabytes / 2 + 24, "{grown} MiB for {megabytes} MB");
    }
}
