//! `borax template [NAME] CHART`: prints what `helm template` prints.
//!
//! Behaviour: Helm v4.2.1 `pkg/cmd/template.go`; the flags are read by the engine's own parser, which names those
//! that are not supported.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use borax_controllers::machine::Machine;
use borax_helm::{
    Chart, Error, Options, OutputOptions, Rendered, TemplateFlags, ValueFlags, check_installable,
    output_files, render, render_templates, template_output,
};
use clap::Args;

use crate::chart;

/// Arguments of a subcommand that reads its flags as Helm does.
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Flags {
    /// Arguments and flags, as of the helm command.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

impl Flags {
    /// The arguments as texts.
    pub(crate) fn texts(self) -> anyhow::Result<Vec<String>> {
        let text = |arg: OsString| match arg.into_string() {
            Ok(arg) => Ok(arg),
            Err(arg) => bail!("the argument {arg:?} is not UTF-8"),
        };
        self.args.into_iter().map(text).collect()
    }
}

/// Renders and prints.
pub(crate) fn run(flags: Flags) -> anyhow::Result<()> {
    let flags = TemplateFlags::parse(flags.texts()?)?;
    if flags.help {
        return crate::print(TemplateFlags::help().as_bytes());
    }
    for notice in &flags.notices {
        say(notice);
    }
    if flags.server {
        bail!(
            "--dry-run=server and --validate are not supported: no cluster is asked while rendering"
        );
    }
    let options = flags.options(Arc::new(Machine))?;
    let path = locate(&flags)?;
    let values = values(&flags.values)?;
    let chart = Arc::new(chart::load(&path)?);
    for warning in &chart.warnings {
        say(&format!("level=WARN msg={warning:?}"));
    }
    let missing = chart.missing_dependencies();
    if flags.dependency_update && !missing.is_empty() {
        let missing = missing.join(", ");
        bail!(
            "--dependency-update is not supported: dependencies are not fetched, and charts/ lacks {missing}"
        );
    }
    check_installable(&chart)?;
    if chart.metadata.deprecated {
        say("level=WARN msg=\"this chart is deprecated\"");
    }
    let rendered = match render(&chart, &values, &options) {
        Ok(rendered) => rendered,
        Err(error) => return Err(failed(error, &flags, &chart, &values, &options)),
    };
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

/// What a failed rendering leaves to say; with `--debug` also what the templates gave, as far as they did.
fn failed(
    error: Error,
    flags: &TemplateFlags,
    chart: &Arc<Chart>,
    values: &serde_json::Map<String, serde_json::Value>,
    options: &Options,
) -> anyhow::Error {
    let of_templates =
        matches!(error, Error::KubeVersion { .. } | Error::Template(_) | Error::Manifest { .. });
    if !of_templates {
        return error.into();
    }
    if !flags.debug {
        return anyhow::anyhow!("{error}\n\nUse --debug flag to render out invalid YAML");
    }
    let texts = match error {
        Error::Manifest { .. } => render_templates(chart, values, options).unwrap_or_default(),
        _ => std::collections::BTreeMap::new(),
    };
    let mut out = String::new();
    for (path, text) in texts {
        if !text.trim().is_empty() && !path.ends_with("NOTES.txt") {
            out.push_str(&format!("---\n# Source: {path}\n{text}\n"));
        }
    }
    match crate::print(format!("{}\n", out.trim()).as_bytes()) {
        Ok(()) => error.into(),
        Err(print) => print,
    }
}

/// A line on standard error, where nobody may be listening.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Where the chart lies.
fn locate(flags: &TemplateFlags) -> anyhow::Result<PathBuf> {
    let name = flags.chart.trim();
    if flags.source.repo.is_empty() {
        if Path::new(name).exists() {
            return Ok(PathBuf::from(name));
        }
        if name.starts_with(['/', '.']) {
            bail!("path {name:?} not found");
        }
    }
    bail!(
        "{name:?} is no path, and charts are not fetched from repositories or registries: pull it first"
    );
}

/// The values that the flags give, their files read.
pub(crate) fn values(
    flags: &ValueFlags,
) -> anyhow::Result<serde_json::Map<String, serde_json::Value>> {
    let files = flags.values.iter().map(|name| read(name).map_err(anyhow::Error::msg));
    let files = files.collect::<anyhow::Result<Vec<_>>>()?;
    let set_file = |name: &str| {
        let text = read(name)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    Ok(flags.options(files).merge(&set_file)?)
}

/// A values file: `-` is standard input, and the network is not asked.
fn read(name: &str) -> Result<Vec<u8>, String> {
    if name.trim() == "-" {
        let mut text = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut text);
        return read.map(|_| text).map_err(|e| format!("read standard input: {e}"));
    }
    if name.starts_with("http://") || name.starts_with("https://") {
        return Err(format!("{name}: values are read from files, not fetched"));
    }
    fs::read(name).map_err(|e| format!("open {name}: {}", reason(&e)))
}

/// The cause of an error in the system's words, without its number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    // As Go has it.
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
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
    let Some(pattern) = options.show_only.first() else {
        return crate::print(format!("{lines}\n").as_bytes());
    };
    // As in Helm: everything went to the files, so nothing is left to choose from.
    crate::print(lines.as_bytes())?;
    bail!("could not find template {pattern} in chart")
}
