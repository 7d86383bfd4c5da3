//! Every folder below `tests/cases` holds one case: input files in `in/`, flags in `args`, and what
//! `kustomize build` 5.8.2 answered: `expected.yaml`, or `expected.err` where it failed.
//!
//! To record answers, point `BORAX_ORACLE` at the real tool:
//! `BORAX_ORACLE=/path/to/kustomize cargo test -p borax-kustomize recorded`. It runs for cases
//! without an answer only; delete an answer to record it anew.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "reads the recorded cases, and runs the oracle when asked to record"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use borax_kustomize::{Options, Order, build, build_each};
use borax_stdx::files::MemoryFiles;

fn folders(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

fn read_tree(files: &mut MemoryFiles, path: &Path, at: &str) {
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{at}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read_tree(files, &entry.path(), &name);
        } else {
            files.insert(&name, fs::read(entry.path()).unwrap());
        }
    }
}

/// The case's flags: a directory in `in/`, and kustomize's own flags.
fn args(case: &Path) -> (String, Vec<String>) {
    let text = fs::read_to_string(case.join("args")).unwrap_or_default();
    let words = text.split_whitespace().map(str::to_owned);
    let (flags, paths): (Vec<_>, Vec<_>) = words.partition(|word| word.starts_with("--"));
    (paths.first().cloned().unwrap_or_else(|| ".".to_owned()), flags)
}

fn ours(case: &Path) -> Result<String, String> {
    let mut files = MemoryFiles::new();
    read_tree(&mut files, &case.join("in"), "/case");
    let (path, flags) = args(case);
    let mut options = Options::default();
    for flag in flags {
        match flag.as_str() {
            "--reorder=none" => options.order = Order::None,
            "--reorder=legacy" => options.order = Order::Legacy,
            "--load-restrictor=LoadRestrictionsNone" => options.load_anywhere = true,
            "--enable-managedby-label" => options.managed_by_label = true,
            "--enable-helm" => options.enable_helm = true,
            "--enable-alpha-plugins" => options.enable_alpha_plugins = true,
            other => panic!("{}: unknown flag {other}", case.display()),
        }
    }
    let path = format!("/case/{path}");
    let found = build(&files, &path, &options).map(|objects| objects.to_yaml());
    let built = build_each(&files, &path, &options);
    let parts = built.map(|built| built.map(|object| object.to_yaml()).collect::<Vec<_>>());
    let one_by_one = parts.map(|parts| parts.join("---\n"));
    assert_eq!(one_by_one, found, "{}: one by one", case.display());
    found.map_err(|found| found.to_string())
}

fn record(case: &Path, tool: &str) {
    let (path, flags) = args(case);
    let output = Command::new(tool)
        .arg("build")
        .args(flags)
        .arg(case.join("in").join(path))
        .output()
        .unwrap();
    if output.status.success() {
        fs::write(case.join("expected.yaml"), output.stdout).unwrap();
        return;
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let base = case.join("in").to_string_lossy().into_owned();
    let lines = text.lines().filter(|line| !line.starts_with("# Warning"));
    let text = lines.collect::<Vec<_>>().join("\n").replace(&base, "/case");
    let text = text.replace(&*case.to_string_lossy(), "");
    fs::write(case.join("expected.err"), format!("{text}\n")).unwrap();
}

#[test]
fn recorded_cases_come_out_byte_for_byte() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let tool = env::var("BORAX_ORACLE").ok();
    let mut n_cases = 0;
    let mut wrong = Vec::new();
    for case in folders(&root).iter().flat_map(|feature| folders(feature)) {
        n_cases += 1;
        let (yaml, err) = (case.join("expected.yaml"), case.join("expected.err"));
        if let (Some(tool), false, false) = (&tool, yaml.exists(), err.exists()) {
            record(&case, tool);
        }
        let name = case.strip_prefix(&root).unwrap().display().to_string();
        match (ours(&case), fs::read_to_string(&yaml).ok(), err.exists()) {
            (_, None, false) => wrong.push(format!("{name}: no answer is recorded")),
            (Ok(text), Some(expected), _) if text == expected => {}
            (Ok(text), Some(expected), _) => {
                wrong.push(format!("{name}: expected\n{expected}\nbut got\n{text}"));
            }
            (Ok(text), None, true) => wrong.push(format!("{name}: must fail, but gave\n{text}")),
            (Err(_), None, true) => {}
            (Err(found), Some(_), _) => wrong.push(format!("{name}: {found}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {n_cases} differ:\n{}", wrong.len(), wrong.join("\n---\n"));
    assert!(n_cases >= 400, "only {n_cases} cases");
}
