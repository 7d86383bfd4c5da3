//! `helm template` on this engine, for comparisons: reads the chart and values files, maps the flags,
//! prints what the engine gives.
//!
//! ```text
//! cargo run -p borax-helm --example template -- [NAME] CHART [flags of helm template] [--repeat N]
//! ```

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the engine does no input or output; this program is where it happens"
)]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use borax_helm::{Chart, Env, TemplateFlags, check_installable, render, template_output};

struct System;

impl Env for System {
    fn now(&self) -> (i64, u32) {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(t) => (t.as_secs().cast_signed(), t.subsec_nanos()),
            Err(_) => (0, 0),
        }
    }

    fn random(&self, buf: &mut [u8]) {
        use std::io::Read as _;
        if let Ok(mut source) = std::fs::File::open("/dev/urandom") {
            let _ = source.read_exact(buf);
        }
    }

    fn lookup_host(&self, _name: &str) -> Vec<String> {
        Vec::new()
    }
}

fn walk(root: &Path, below: &str, out: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let full = root.join(&path);
        if full.is_dir() {
            walk(root, &path, out)?;
        } else if full.is_file() {
            out.push((path, std::fs::read(full)?));
        }
    }
    Ok(())
}

fn load(path: &str) -> Result<Chart, String> {
    let root = Path::new(path);
    if root.is_dir() {
        let mut files = Vec::new();
        walk(root, "", &mut files).map_err(|e| e.to_string())?;
        return Chart::from_folder(files).map_err(|e| e.to_string());
    }
    let data = std::fs::read(root).map_err(|e| format!("{path}: {e}"))?;
    Chart::from_archive(&data).map_err(|e| e.to_string())
}

fn run() -> Result<String, String> {
    // `--repeat N` is this program's own: renders a loaded chart N times, for measurements.
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut repeat = 1;
    if let Some(i) = args.iter().position(|a| a == "--repeat") {
        repeat = args.get(i + 1).and_then(|n| n.parse().ok()).unwrap_or(1);
        args.drain(i..(i + 2).min(args.len()));
    }
    let text = |e: borax_helm::Error| e.to_string();
    let read = |name: &str| std::fs::read(name).map_err(|e| format!("{name}: {e}"));
    let flags = TemplateFlags::parse(args).map_err(text)?;
    let contents =
        flags.values.values.iter().map(|name| read(name)).collect::<Result<Vec<_>, _>>()?;
    let set_file = |name: &str| std::fs::read_to_string(name).map_err(|e| format!("{name}: {e}"));
    let values = flags.values.options(contents).merge(&set_file).map_err(text)?;
    let options = flags.options(Arc::new(System)).map_err(text)?;
    let chart = Arc::new(load(&flags.chart)?);
    check_installable(&chart).map_err(text)?;
    let mut out = String::new();
    for _ in 0..repeat {
        let rendered = render(&chart, &values, &options).map_err(text)?;
        out = template_output(&rendered, &flags.output()).map_err(text)?;
    }
    Ok(out)
}

fn main() -> ExitCode {
    match run() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("Error: {message}");
            ExitCode::FAILURE
        }
    }
}
