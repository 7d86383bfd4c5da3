//! `borax template [NAME] CHART`: prints what `helm template` prints.
//!
//! Behaviour: Helm v4.2.1 `pkg/cmd/template.go`; the flags are read by the engine's own parser, which names those
//! that are not supported.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use borax_helm::{
    Chart, Env, OutputOptions, Rendered, TemplateFlags, check_installable, output_files, render,
    template_output,
};
use clap::Args;

/// Arguments of `borax template`.
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Flags {
    /// [NAME] CHART and the flags of `helm template`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

/// Renders and prints.
pub(crate) fn run(flags: Flags) -> anyhow::Result<()> {
    let mut args = Vec::with_capacity(flags.args.len());
    for arg in flags.args {
        match arg.into_string() {
            Ok(arg) => args.push(arg),
            Err(arg) => bail!("the argument {arg:?} is not UTF-8"),
        }
    }
    let flags = TemplateFlags::parse(args)?;
    let files =
        flags.value_files().map(|name| fs::read(name).with_context(|| format!("open {name}")));
    let files = files.collect::<anyhow::Result<Vec<_>>>()?;
    let set_file =
        |name: &str| fs::read_to_string(name).map_err(|error| format!("open {name}: {error}"));
    let values = flags.value_options(files).merge(&set_file)?;
    let options = flags.options(Arc::new(System))?;
    let chart = Arc::new(load(Path::new(&flags.chart))?);
    check_installable(&chart)?;
    let rendered = render(&chart, &values, &options)?;
    match &flags.output_dir {
        None => crate::print(template_output(&rendered, &flags.output())?.as_bytes()),
        Some(dir) => {
            let release = options.release_name.as_str();
            let dir =
                if flags.release_name { Path::new(dir).join(release) } else { PathBuf::from(dir) };
            write_files(&rendered, &flags.output(), &dir)
        }
    }
}

/// Writes a file for each template, and prints their names as Helm does.
fn write_files(rendered: &Rendered, options: &OutputOptions, dir: &Path) -> anyhow::Result<()> {
    let (files, written) = output_files(rendered, options);
    for (path, text) in files {
        let file = dir.join(&path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("can't create {}", parent.display()))?;
        }
        fs::write(&file, text).with_context(|| format!("can't write {}", file.display()))?;
    }
    let lines: String =
        written.iter().map(|path| format!("wrote {}\n", dir.join(path).display())).collect();
    crate::print(format!("{lines}\n").as_bytes())
}

fn load(path: &Path) -> anyhow::Result<Chart> {
    if path.is_dir() {
        let mut files = Vec::new();
        walk(path, "", &mut files)?;
        return Ok(Chart::from_folder(files)?);
    }
    let archive =
        fs::read(path).with_context(|| format!("can't read the chart {}", path.display()))?;
    Ok(Chart::from_archive(&archive)?)
}

fn walk(root: &Path, below: &str, files: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    let dir = root.join(below);
    for entry in fs::read_dir(&dir).with_context(|| format!("can't list {}", dir.display()))? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else {
            bail!("the file name {name:?} in {} is not UTF-8", dir.display())
        };
        let path = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
        let full = root.join(&path);
        if full.is_dir() {
            walk(root, &path, files)?;
        } else if full.is_file() {
            let content =
                fs::read(&full).with_context(|| format!("can't read {}", full.display()))?;
            files.push((path, content));
        }
    }
    Ok(())
}

/// The machine as templates see it.
struct System;

impl Env for System {
    fn now(&self) -> (i64, u32) {
        let now = jiff::Timestamp::now();
        (now.as_second(), now.subsec_nanosecond().unsigned_abs())
    }

    fn random(&self, buffer: &mut [u8]) {
        let source =
            fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(buffer));
        // Keys and passwords come of it: none at all is better than some that can be guessed.
        source.expect("a Unix system has /dev/urandom");
    }

    fn lookup_host(&self, name: &str) -> Vec<String> {
        let found = (name, 0).to_socket_addrs();
        found.into_iter().flatten().map(|address| address.ip().to_string()).collect()
    }
}
