//! The flags of `helm template` and `helm lint` as plain data, and what they mean for a rendering. Reading
//! the files they name, and reaching for a cluster or a registry, is the caller's. Source: Helm
//! `pkg/cmd/template.go`, `lint.go`, `install.go`, `pkg/action/install.go`.

mod lint;
mod pflag;
mod table;

use std::sync::Arc;

use self::pflag::Parsed;
use crate::capabilities::KubeVersion;
use crate::chart::Chart;
use crate::env::Env;
use crate::error::Error;
use crate::options::{ValueOptions, check_release_name};
use crate::output::OutputOptions;
use crate::render::Options;

pub use self::lint::LintFlags;

/// Where values come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueFlags {
    /// `-f`, `--values`: names of files.
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
}

impl ValueFlags {
    fn put(&mut self, name: &str, value: &str) -> bool {
        let list = match name {
            "values" => &mut self.values,
            "set" => &mut self.set,
            "set-string" => &mut self.set_string,
            "set-json" => &mut self.set_json,
            "set-file" => &mut self.set_file,
            "set-literal" => &mut self.set_literal,
            _ => return false,
        };
        list.push(value.to_owned());
        true
    }

    /// The flags with the content of the values files, in their order.
    pub fn options(&self, contents: Vec<Vec<u8>>) -> ValueOptions {
        ValueOptions {
            files: self.values.iter().cloned().zip(contents).collect(),
            json: self.set_json.clone(),
            set: self.set.clone(),
            string: self.set_string.clone(),
            file: self.set_file.clone(),
            literal: self.set_literal.clone(),
        }
    }
}

/// Which chart a reference means, when it is no path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChartFlags {
    /// `--version`, and what `--devel` makes of it.
    pub version: String,
    /// `--repo`
    pub repo: String,
    /// `--username`
    pub username: String,
    /// `--password`
    pub password: String,
    /// `--cert-file`
    pub cert_file: String,
    /// `--key-file`
    pub key_file: String,
    /// `--ca-file`
    pub ca_file: String,
    /// `--insecure-skip-tls-verify`
    pub insecure: bool,
    /// `--plain-http`
    pub plain_http: bool,
    /// `--pass-credentials`
    pub pass_credentials: bool,
}

/// Which cluster `--dry-run=server` asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFlags {
    /// `--kubeconfig`
    pub kubeconfig: String,
    /// `--kube-context`
    pub context: String,
    /// `--kube-token`
    pub token: String,
    /// `--kube-as-user`
    pub as_user: String,
    /// `--kube-as-group`
    pub as_groups: Vec<String>,
    /// `--kube-apiserver`
    pub api_server: String,
    /// `--kube-ca-file`
    pub ca_file: String,
    /// `--kube-tls-server-name`
    pub tls_server_name: String,
    /// `--kube-insecure-skip-tls-verify`
    pub insecure: bool,
}

/// Flags and arguments of `helm template [NAME] CHART`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateFlags {
    /// NAME, when given.
    pub name: Option<String>,
    /// CHART: a folder, an archive or a reference.
    pub chart: String,
    /// The value flags.
    pub values: ValueFlags,
    /// Where a chart that is no path comes from.
    pub source: ChartFlags,
    /// The cluster.
    pub cluster: ClusterFlags,
    /// `--validate`, `--dry-run=server`: a cluster answers.
    pub server: bool,
    /// `--disable-openapi-validation`
    pub disable_openapi_validation: bool,
    /// `--take-ownership`
    pub take_ownership: bool,
    /// `--dependency-update`
    pub dependency_update: bool,
    /// `--debug`
    pub debug: bool,
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
    /// Help was asked for; nothing else counts.
    pub help: bool,
    /// What to say on standard error: deprecations.
    pub notices: Vec<String>,
}

fn refuse<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Option(text.into()))
}

/// Sets of flags of which only one may be given.
const EXCLUSIVE: &[[&str; 2]] =
    &[["force", "force-conflicts"], ["force-replace", "force-conflicts"], ["validate", "dry-run"]];

/// Flags that say so when they are used.
const DEPRECATED: &[(&str, &str)] = &[
    ("validate", "use '--dry-run=server' instead"),
    ("force", "use --force-replace instead"),
    ("atomic", "use --rollback-on-failure instead"),
    ("hide-notes", "this flag has no effect for 'helm template' and will be removed in Helm 5"),
    (
        "render-subchart-notes",
        "this flag has no effect for 'helm template' and will be removed in Helm 5",
    ),
];

/// What `--dry-run=VALUE` asks for: whether a cluster answers.
fn dry_run(value: &str, notices: &mut Vec<String>) -> Result<bool, Error> {
    let shown = borax_gotmpl::quote(value.as_bytes());
    match value {
        "unset" => {
            let text = "--dry-run is deprecated and should be replaced with '--dry-run=client'";
            notices.push(format!("level=WARN msg={}", borax_gotmpl::quote(text.as_bytes())));
            Ok(false)
        }
        "client" => Ok(false),
        "server" => Ok(true),
        _ => match pflag::boolean(value) {
            Some(true) => {
                let text = format!(
                    "boolean '--dry-run={value}' flag is deprecated and must be replaced with '--dry-run=client'"
                );
                notices.push(format!("level=WARN msg={}", borax_gotmpl::quote(text.as_bytes())));
                Ok(false)
            }
            None if value != "none" => refuse(format!(
                "invalid dry-run value ({shown}). Must be \"none\", \"server\", or \"client\""
            )),
            _ => {
                refuse(format!("invalid dry-run value ({shown}). Must be \"server\" or \"client\""))
            }
        },
    }
}

impl TemplateFlags {
    const TABLES: &'static [&'static [pflag::Flag]] =
        &[table::TEMPLATE, table::INSTALL, table::VALUES, table::CHART, table::GLOBAL];

    /// Reads a command line, the program and subcommand names left out.
    ///
    /// # Errors
    /// Names a flag that is unknown, not supported (and why), or lacks its value.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<TemplateFlags, Error> {
        let parsed = pflag::parse(Self::TABLES, args).map_err(Error::Option)?;
        let mut flags = TemplateFlags { help: parsed.help, ..TemplateFlags::default() };
        if flags.help {
            return Ok(flags);
        }
        for (name, value) in &parsed.set {
            flags.put(name, value)?;
        }
        flags.place(&parsed)?;
        for (name, text) in DEPRECATED {
            if parsed.has(name) {
                flags.notices.push(format!("Flag --{name} has been deprecated, {text}"));
            }
        }
        for group in EXCLUSIVE {
            if group.iter().all(|name| parsed.has(name)) {
                let mut both = *group;
                both.sort_unstable();
                return refuse(format!(
                    "if any flags in the group [{}] are set none of the others can be; [{}] were all set",
                    group.join(" "),
                    both.join(" ")
                ));
            }
        }
        if let Some((_, value)) = parsed.set.iter().rfind(|(name, _)| *name == "dry-run") {
            flags.server = dry_run(value, &mut flags.notices)?;
        }
        Ok(flags)
    }

    fn put(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let on = value == "true";
        let text = || value.to_owned();
        if self.values.put(name, value) {
            return Ok(());
        }
        let (source, cluster) = (&mut self.source, &mut self.cluster);
        match name {
            "version" => source.version = text(),
            "devel" if source.version.is_empty() && on => source.version = ">0.0.0-0".to_owned(),
            "repo" => source.repo = text(),
            "username" => source.username = text(),
            "password" => source.password = text(),
            "cert-file" => source.cert_file = text(),
            "key-file" => source.key_file = text(),
            "ca-file" => source.ca_file = text(),
            "insecure-skip-tls-verify" => source.insecure = on,
            "plain-http" => source.plain_http = on,
            "pass-credentials" => source.pass_credentials = on,
            "kubeconfig" => cluster.kubeconfig = text(),
            "kube-context" => cluster.context = text(),
            "kube-token" => cluster.token = text(),
            "kube-as-user" => cluster.as_user = text(),
            "kube-as-group" => cluster.as_groups.push(text()),
            "kube-apiserver" => cluster.api_server = text(),
            "kube-ca-file" => cluster.ca_file = text(),
            "kube-tls-server-name" => cluster.tls_server_name = text(),
            "kube-insecure-skip-tls-verify" => cluster.insecure = on,
            "validate" => self.server = on,
            "disable-openapi-validation" => self.disable_openapi_validation = on,
            "take-ownership" => self.take_ownership = on,
            "dependency-update" => self.dependency_update = on,
            "debug" => self.debug = on,
            "namespace" => self.namespace = Some(text()),
            "kube-version" => self.kube_version = Some(text()),
            "api-versions" => self.api_versions.push(text()),
            "include-crds" => self.include_crds = on,
            "skip-tests" => self.skip_tests = on,
            "no-hooks" => self.no_hooks = on,
            "is-upgrade" => self.is_upgrade = on,
            "show-only" => self.show_only.push(text()),
            "skip-schema-validation" => self.skip_schema_validation = on,
            "enable-dns" => self.enable_dns = on,
            "output-dir" => self.output_dir = Some(text()).filter(|dir| !dir.is_empty()),
            "release-name" => self.release_name = on,
            "generate-name" => self.generate_name = on,
            "name-template" => self.name_template = Some(text()).filter(|t| !t.is_empty()),
            "verify" if on => {
                return refuse(
                    "--verify is not supported: provenance files are not read; check the archive before it is rendered",
                );
            }
            "post-renderer" | "post-renderer-args" => {
                return refuse(
                    "--post-renderer is not supported: it would run a program on the manifests; pipe the output into it instead",
                );
            }
            "wait" if !matches!(value, "watcher" | "hookOnly" | "legacy" | "true" | "false") => {
                let shown = borax_gotmpl::quote(value.as_bytes());
                return refuse(format!(
                    "invalid argument {shown} for \"--wait\" flag: invalid wait input {shown}. Valid inputs are watcher, hookOnly, and legacy"
                ));
            }
            "color" | "colour" if !matches!(value, "never" | "auto" | "always") => {
                let shown = borax_gotmpl::quote(value.as_bytes());
                return refuse(format!(
                    "invalid color mode {shown}: must be one of: never, auto, always"
                ));
            }
            // The others of the tables mean nothing to a rendering.
            _ => {}
        }
        Ok(())
    }

    /// NAME and CHART.
    fn place(&mut self, parsed: &Parsed) -> Result<(), Error> {
        match parsed.plain.as_slice() {
            [chart] => self.chart.clone_from(chart),
            [name, chart] => {
                self.name = Some(name.clone());
                self.chart.clone_from(chart);
            }
            [] => {
                return refuse(
                    "\"borax template\" requires at least 1 argument\n\nUsage:  borax template [NAME] [CHART] [flags]",
                );
            }
            more => {
                return refuse(format!(
                    "expected at most two arguments, unexpected arguments: {}",
                    more[2..].join(", ")
                ));
            }
        }
        if self.name.is_some() && self.generate_name {
            return refuse("cannot set --generate-name and also specify a name");
        }
        if self.name.is_some() && self.name_template.is_some() {
            return refuse("cannot set --name-template and also specify a name");
        }
        Ok(())
    }

    /// The flags, one a line.
    pub fn help() -> String {
        format!(
            "Prints what a chart renders, as `helm template` does.\n\nUsage: borax template [NAME] CHART [flags]\n\nFlags:\n{}",
            pflag::listing(Self::TABLES)
        )
    }

    /// What is rendered.
    ///
    /// # Errors
    /// When the Kubernetes version or the release's name is not usable.
    pub fn options(&self, env: Arc<dyn Env>) -> Result<Options, Error> {
        // `--generate-name` changes nothing: Helm's template command has named the release before it looks.
        let mut options = Options::new("release-name", env);
        if let Some(version) = &self.kube_version {
            options.capabilities.kube_version = KubeVersion::parse(version)?;
        }
        if let Some(template) = &self.name_template {
            options.release_name = crate::render::release_name(template, &options)?;
        } else if let Some(name) = &self.name {
            options.release_name.clone_from(name);
        }
        if let Some(namespace) = self.namespace.as_ref().filter(|name| !name.is_empty()) {
            options.namespace.clone_from(namespace);
        }
        options.capabilities.api_versions.extend(self.api_versions.iter().cloned());
        options.is_upgrade = self.is_upgrade;
        options.skip_schema_validation = self.skip_schema_validation;
        options.enable_dns = self.enable_dns;
        check_release_name(&options.release_name)?;
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
