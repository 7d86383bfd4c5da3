//! How long a loaded chart takes to render again with other values: the median of many, in µs. For
//! `cargo xtask bench helm`.
//!
//! ```text
//! cargo run --release -p borax-helm --example rerender -- CHART [VALUES]
//! ```

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the engine does no input or output; this program is where it happens"
)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use borax_helm::{Chart, FixedEnv, Options, OutputOptions, ValueOptions, render, template_output};

const ROUNDS: usize = 101;

fn walk(root: &Path, below: &str, out: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(root.join(below))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
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

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(args.first().ok_or("CHART is missing")?);
    let chart = if root.is_dir() {
        let mut files = Vec::new();
        walk(root, "", &mut files)?;
        Chart::from_folder(files)?
    } else {
        Chart::from_archive(&std::fs::read(root)?)?
    };
    let chart = Arc::new(chart);
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..=ROUNDS {
        let mut given = ValueOptions { set: vec![format!("round={round}")], ..Default::default() };
        if let Some(name) = args.get(1) {
            given.files.push((name.clone(), std::fs::read(name)?));
        }
        let begin = Instant::now();
        let values = given.merge(&|_| Err("no files".into()))?;
        let options = Options::new("bench", Arc::new(FixedEnv::at(1_700_000_000)));
        let rendered = render(&chart, &values, &options)?;
        let text = template_output(&rendered, &OutputOptions::default())?;
        assert!(!text.is_empty(), "nothing was rendered");
        // The first round parses.
        if round > 0 {
            times.push(begin.elapsed());
        }
    }
    times.sort();
    println!("{}", times[ROUNDS / 2].as_micros());
    Ok(())
}
