//! The flags of `helm template` as plain data, and what they mean for a rendering. Reading the files
//! they name is the caller's. Source: Helm `pkg/cmd/template.go`, `pkg/cmd/install.go`.

use std::sync::Arc;

use crate::capabilities::KubeVersion;
use crate::chart::Chart;
use crate::env::Env;
use crate::error::Error;
use crate::options::{ValueOptions, check_release_name};
use crate::output::OutputOptions;
use crate::render::Options;

/// Flags and arguments of `helm template [NAME] CHART`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateFlags {
    /// NAME, when given.
    pub name: Option<String>,
    /// CHART: a folder or an archive.
    pub chart: String,
    /// `-f`, `--values`: names of files, commas not yet taken apart.
    pub values: Vec<String>,
    /// `--set`
    pub set: Vec<String>,
    /// `--set-string`
    pub set_string: Vec<String>,
    /// `--set-json`
    pub set_json: Vec<String>,
    /// `--set-file`
    pub set_file: Vec<String>,
    /// `--set-literal`
    pub set_literal: Vec<String>,
    /// `-n`, `--namespace`
    pub namespace: Option<String>,
    /// `--kube-version`
    pub kube_version: Option<String>,
    /// `-a`, `--api-versions`
    pub api_versions: Vec<String>,
    /// `--include-crds`
    pub include_crds: bool,
    /// `--skip-tests`
    pub skip_tests: bool,
    /// `--no-hooks`
    pub no_hooks: bool,
    /// `--is-upgrade`
    pub is_upgrade: bool,
    /// `-s`, `--show-only`
    pub show_only: Vec<String>,
    /// `--skip-schema-validation`
    pub skip_schema_validation: bool,
    /// `--enable-dns`
    pub enable_dns: bool,
    /// `--output-dir`
    pub output_dir: Option<String>,
    /// `--release-name`: the release's name is part of the output folder.
    pub release_name: bool,
    /// `-g`, `--generate-name`
    pub generate_name: bool,
    /// `--name-template`
    pub name_template: Option<String>,
}

fn refuse<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Option(text.into()))
}

impl TemplateFlags {
    /// Reads a command line, the program and subcommand names left out.
    ///
    /// # Errors
    /// Names a flag that is unknown, not supported (and why), or lacks its value.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<TemplateFlags, Error> {
        let mut flags = TemplateFlags::default();
        let mut plain = Vec::new();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let (flag, inline) = match arg.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => {
                    (flag.to_owned(), Some(value.to_owned()))
                }
                _ => (arg.clone(), None),
            };
            let mut value = || match inline.clone().or_else(|| args.next()) {
                Some(value) => Ok(value),
                None => refuse(format!("flag needs an argument: {flag}")),
            };
            let on = inline.as_deref() != Some("false");
            match flag.as_str() {
                "-f" | "--values" => flags.values.push(value()?),
                "--set" => flags.set.push(value()?),
                "--set-string" => flags.set_string.push(value()?),
                "--set-json" => flags.set_json.push(value()?),
                "--set-file" => flags.set_file.push(value()?),
                "--set-literal" => flags.set_literal.push(value()?),
                "-n" | "--namespace" => flags.namespace = Some(value()?),
                "--kube-version" => flags.kube_version = Some(value()?),
                "-a" | "--api-versions" => {
                    flags.api_versions.extend(value()?.split(',').map(str::to_owned));
                }
                "--include-crds" => flags.include_crds = on,
                "--skip-tests" => flags.skip_tests = on,
                "--no-hooks" => flags.no_hooks = on,
                "--is-upgrade" => flags.is_upgrade = on,
                "-s" | "--show-only" => flags.show_only.push(value()?),
                "--skip-schema-validation" => flags.skip_schema_validation = on,
                "--enable-dns" => flags.enable_dns = on,
                "--output-dir" => flags.output_dir = Some(value()?),
                "--release-name" => flags.release_name = on,
                "-g" | "--generate-name" => flags.generate_name = on,
                "--name-template" => flags.name_template = Some(value()?),
                "--post-renderer" | "--post-renderer-args" => {
                    return refuse(
                        "--post-renderer is not supported: it would run a program on the manifests; pipe the output into it instead",
                    );
                }
                _ if arg.len() > 1 && arg.starts_with('-') => {
                    return refuse(format!("unknown flag: {flag}"));
                }
                _ => plain.push(arg),
            }
        }
        match plain.as_slice() {
            [chart] => flags.chart.clone_from(chart),
            [name, chart] => {
                flags.name = Some(name.clone());
                flags.chart.clone_from(chart);
            }
            [] => return refuse("\"template\" requires at least 1 argument"),
            _ => {
                return refuse(format!(
                    "expected at most two arguments, unexpected arguments: {}",
                    plain[2..].join(", ")
                ));
            }
        }
        if flags.name.is_some() && (flags.generate_name || flags.name_template.is_some()) {
            return refuse("cannot set --generate-name and also specify a name");
        }
        Ok(flags)
    }

    /// Names of the values files, one each.
    pub fn value_files(&self) -> impl Iterator<Item = &str> {
        self.values.iter().flat_map(|names| names.split(','))
    }

    /// The value flags, with the content of the values files in their order.
    pub fn value_options(&self, contents: Vec<Vec<u8>>) -> ValueOptions {
        ValueOptions {
            files: self.value_files().map(str::to_owned).zip(contents).collect(),
            json: self.set_json.clone(),
            set: self.set.clone(),
            string: self.set_string.clone(),
            file: self.set_file.clone(),
            literal: self.set_literal.clone(),
        }
    }

    /// What is rendered.
    ///
    /// # Errors
    /// When the Kubernetes version or the release's name is not usable.
    pub fn options(&self, env: Arc<dyn Env>) -> Result<Options, Error> {
        let mut options = Options::new("release-name", env);
        if let Some(template) = &self.name_template {
            options.release_name = crate::render::release_name(template, &options)?;
        } else if let Some(name) = &self.name {
            options.release_name.clone_from(name);
        } else if self.generate_name {
            let base = crate::funcs::base_path(&self.chart);
            let base = base.split('.').next().filter(|b| !b.is_empty()).unwrap_or("chart");
            let (seconds, _) = options.env.now();
            options.release_name = format!("{base}-{seconds}");
        }
        check_release_name(&options.release_name)?;
        if let Some(namespace) = &self.namespace {
            options.namespace.clone_from(namespace);
        }
        if let Some(version) = &self.kube_version {
            options.capabilities.kube_version = KubeVersion::parse(version)?;
        }
        options.capabilities.api_versions.extend(self.api_versions.iter().cloned());
        options.is_upgrade = self.is_upgrade;
        options.skip_schema_validation = self.skip_schema_validation;
        options.enable_dns = self.enable_dns;
        Ok(options)
    }

    /// What is printed.
    pub fn output(&self) -> OutputOptions {
        OutputOptions {
            include_crds: self.include_crds,
            skip_tests: self.skip_tests,
            no_hooks: self.no_hooks,
            show_only: self.show_only.clone(),
        }
    }
}

/// Refuses charts that cannot be installed: libraries, and charts whose dependencies are missing.
///
/// # Errors
/// Helm's words.
pub fn check_installable(chart: &Chart) -> Result<(), Error> {
    if chart.metadata.is_library() {
        return Err(Error::Chart("library charts are not installable".into()));
    }
    let missing = chart.missing_dependencies();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Chart(format!(
        "an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: {}",
        missing.join(", ")
    )))
}
