//! `borax build DIR`: prints what `kustomize build DIR` prints.
//!
//! Behaviour: kustomize v5.8.2 `kustomize/commands/build`.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use borax_kustomize::{Built, Options, Order};
use borax_stdx::files::{Files, join};
use clap::{ArgAction, Args};

use crate::bases::LazyBases;
use crate::charts::Charts;
use crate::disk::Disk;

/// Flags of `borax build`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The directory with the kustomization file; the current one by default.
    #[arg(default_value = ".")]
    dir: String,
    /// Write to this file, or one file per object into this directory, instead of standard output.
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// LoadRestrictionsRootOnly, or LoadRestrictionsNone to read files outside of the root.
    #[arg(long, default_value = "LoadRestrictionsRootOnly")]
    load_restrictor: String,
    /// legacy or none: whether to sort the objects by kind.
    #[arg(long)]
    reorder: Option<String>,
    /// Render helmCharts.
    #[arg(long, num_args = 0..=1, default_value_t = false, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    enable_helm: bool,
    /// Accepted; exec and container functions are refused.
    #[arg(long, num_args = 0..=1, default_value_t = false, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    enable_alpha_plugins: bool,
    /// The Kubernetes version for charts that name none.
    #[arg(long, default_value = "")]
    helm_kube_version: String,
    /// API versions for charts that name none.
    #[arg(long, value_name = "VERSION")]
    helm_api_versions: Vec<String>,
    /// Add the label app.kubernetes.io/managed-by.
    #[arg(long, num_args = 0..=1, default_value_t = false, default_missing_value = "true", require_equals = true, action = ArgAction::Set)]
    enable_managedby_label: bool,
}

/// Builds and prints.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let bases = LazyBases::default();
    let charts = Charts { bases: &bases };
    let options = Options { remote: Some(&bases), helm: Some(&charts), ..options(flags)? };
    let here = std::env::current_dir().context("can't tell the current directory")?;
    let here = here.to_str().context("the current directory's path is not UTF-8")?;
    let dir = join(here, &flags.dir);
    // Kustomize works on the real path, so that what is above a linked directory is what is above its target.
    let dir = Disk.resolve(&dir).unwrap_or(dir);
    if let Some(path) = flags.output.as_ref().filter(|path| path.is_dir()) {
        let found = borax_kustomize::build(&Disk, &dir, &options);
        let objects = found.map_err(|diagnostics| anyhow!("{diagnostics}"))?;
        warn(objects.warnings())?;
        return write_each(&objects, path);
    }
    let found = borax_kustomize::build_each(&Disk, &dir, &options);
    let built = found.map_err(|diagnostics| anyhow!("{diagnostics}"))?;
    warn(built.warnings())?;
    match &flags.output {
        None => match write_all(built, io::stdout().lock()) {
            // A reader that has gone away is no error.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        },
        Some(path) => fs::File::create(path)
            .and_then(|file| write_all(built, file))
            .with_context(|| format!("can't write {}", path.display())),
    }
}

fn warn(warnings: &[String]) -> io::Result<()> {
    warnings.iter().try_for_each(|warning| writeln!(io::stderr(), "{warning}"))
}

/// Writes the objects as they are made, so that no more than one of them is held as a value.
fn write_all(built: Built, to: impl io::Write) -> io::Result<()> {
    let mut to = io::BufWriter::with_capacity(1 << 16, to);
    for (at, object) in built.enumerate() {
        if at > 0 {
            to.write_all(b"---\n")?;
        }
        to.write_all(object.to_yaml().as_bytes())?;
    }
    to.flush()
}

fn options(flags: &Flags) -> anyhow::Result<Options<'static>> {
    Ok(Options {
        load_anywhere: match flags.load_restrictor.as_str() {
            "LoadRestrictionsRootOnly" => false,
            "LoadRestrictionsNone" => true,
            other => bail!(
                "--load-restrictor: {other:?} is neither LoadRestrictionsRootOnly nor LoadRestrictionsNone"
            ),
        },
        order: match flags.reorder.as_deref() {
            None => Order::Unspecified,
            Some("none") => Order::None,
            Some("legacy") => Order::Legacy,
            Some(other) => bail!("--reorder: {other:?} is neither legacy nor none"),
        },
        enable_helm: flags.enable_helm,
        enable_alpha_plugins: flags.enable_alpha_plugins,
        managed_by_label: flags.enable_managedby_label,
        helm_kube_version: flags.helm_kube_version.clone(),
        helm_api_versions: flags.helm_api_versions.clone(),
        ..Options::default()
    })
}

fn write_each(objects: &borax_kustomize::Objects, dir: &Path) -> anyhow::Result<()> {
    for (name, text) in objects.to_files() {
        let path = dir.join(name);
        fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(())
}
