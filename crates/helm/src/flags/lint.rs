//! The flags of `helm lint`. Source: Helm `pkg/cmd/lint.go`.

use super::{ValueFlags, pflag, refuse, table};
use crate::error::Error;

/// Flags and arguments of `helm lint CHART...`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LintFlags {
    /// Folders or archives.
    pub charts: Vec<String>,
    /// The value flags.
    pub values: ValueFlags,
    /// `--strict`
    pub strict: bool,
    /// `--with-subcharts`
    pub with_subcharts: bool,
    /// `--quiet`
    pub quiet: bool,
    /// `--skip-schema-validation`
    pub skip_schema_validation: bool,
    /// `--kube-version`
    pub kube_version: Option<String>,
    /// `-n`, `--namespace`
    pub namespace: Option<String>,
    /// Help was asked for; nothing else counts.
    pub help: bool,
}

impl LintFlags {
    const TABLES: &'static [&'static [pflag::Flag]] = &[table::LINT, table::VALUES, table::GLOBAL];

    /// Reads a command line, the program and subcommand names left out.
    ///
    /// # Errors
    /// Names a flag that is unknown or lacks its value.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<LintFlags, Error> {
        let parsed = pflag::parse(Self::TABLES, args).map_err(Error::Option)?;
        let mut flags = LintFlags { help: parsed.help, ..LintFlags::default() };
        if flags.help {
            return Ok(flags);
        }
        for (name, value) in &parsed.set {
            let on = value == "true";
            match *name {
                "strict" => flags.strict = on,
                "with-subcharts" => flags.with_subcharts = on,
                "quiet" => flags.quiet = on,
                "skip-schema-validation" => flags.skip_schema_validation = on,
                "kube-version" => flags.kube_version = Some(value.clone()),
                "namespace" => flags.namespace = Some(value.clone()),
                other => {
                    flags.values.put(other, value);
                }
            }
        }
        if parsed.plain.is_empty() {
            return refuse(
                "\"borax lint\" requires at least 1 argument\n\nUsage:  borax lint PATH [flags]",
            );
        }
        flags.charts = parsed.plain;
        Ok(flags)
    }

    /// The flags, one a line.
    pub fn help() -> String {
        format!(
            "Examines charts for possible issues, as `helm lint` does.\n\nUsage: borax lint CHART... [flags]\n\nFlags:\n{}",
            pflag::listing(Self::TABLES)
        )
    }
}
