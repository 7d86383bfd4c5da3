//! The flags of `helm template` and `helm lint` as tables. Source: Helm `pkg/cmd/template.go`, `lint.go`,
//! `install.go`, `flags.go`, `pkg/cli/environment.go`.

use super::pflag::{Flag, Kind};

const fn flag(name: &'static str, kind: Kind, help: &'static str) -> Flag {
    Flag { name, short: None, kind, help }
}

const fn short(name: &'static str, short: char, kind: Kind, help: &'static str) -> Flag {
    Flag { name, short: Some(short), kind, help }
}

/// Taken because Helm takes it, and because a rendering has no use for it.
const UNUSED: &str = "accepted; a rendering does not use it";

/// Values, on the command line and from files.
pub(super) static VALUES: &[Flag] = &[
    short("values", 'f', Kind::List, "values from a YAML file; - is standard input"),
    flag("set", Kind::Text, "values: key1=val1,key2=val2"),
    flag("set-string", Kind::Text, "values that stay texts: key1=val1,key2=val2"),
    flag("set-file", Kind::Text, "values from files: key1=path1,key2=path2"),
    flag("set-json", Kind::Text, "values as JSON: key1=jsonval1, or one object"),
    flag("set-literal", Kind::Text, "one value, taken as it stands: key=value"),
];

/// Where a chart comes from when it is no path.
pub(super) static CHART: &[Flag] = &[
    flag("version", Kind::Text, "version of a chart from a repository or registry, or a range"),
    flag("devel", Kind::Switch, "also development versions: the range >0.0.0-0"),
    flag("repo", Kind::Text, "URL of the repository that has the chart"),
    flag("username", Kind::Text, "user name for the repository"),
    flag("password", Kind::Text, "password for the repository"),
    flag("cert-file", Kind::Text, "client certificate for the repository"),
    flag("key-file", Kind::Text, "key of the client certificate"),
    flag("ca-file", Kind::Text, "certificates that the repository's is checked with"),
    flag("insecure-skip-tls-verify", Kind::Switch, "do not check the repository's certificate"),
    flag("plain-http", Kind::Switch, "reach the registry without TLS"),
    flag("pass-credentials", Kind::Switch, "send the credentials to every host"),
    flag("verify", Kind::Switch, "not supported: check the chart's provenance file"),
    flag("keyring", Kind::Text, "keys for --verify"),
];

/// What concerns installing, which `helm template` takes too.
pub(super) static INSTALL: &[Flag] = &[
    flag("no-hooks", Kind::Switch, "print no hooks"),
    short("generate-name", 'g', Kind::Switch, "no effect, as with helm template"),
    flag("name-template", Kind::Text, "template that names the release"),
    flag("dependency-update", Kind::Switch, "fetch missing dependencies first"),
    flag("disable-openapi-validation", Kind::Switch, "with --dry-run=server: no schema validation"),
    flag("skip-crds", Kind::Switch, UNUSED),
    flag("skip-schema-validation", Kind::Switch, "do not check values against values.schema.json"),
    flag("enable-dns", Kind::Switch, "let getHostByName ask the resolver"),
    flag("take-ownership", Kind::Switch, "with --dry-run=server: adopt objects of others"),
    flag("create-namespace", Kind::Switch, UNUSED),
    flag("force-replace", Kind::Switch, UNUSED),
    flag("force", Kind::Switch, UNUSED),
    flag("force-conflicts", Kind::Switch, UNUSED),
    flag("server-side", Kind::Switch, UNUSED),
    flag("replace", Kind::Switch, UNUSED),
    flag("timeout", Kind::Duration, UNUSED),
    flag("wait", Kind::Optional("watcher"), UNUSED),
    flag("wait-for-jobs", Kind::Switch, UNUSED),
    flag("description", Kind::Text, UNUSED),
    flag("rollback-on-failure", Kind::Switch, UNUSED),
    flag("atomic", Kind::Switch, UNUSED),
    flag("render-subchart-notes", Kind::Switch, UNUSED),
    short("labels", 'l', Kind::Pairs, UNUSED),
    flag("hide-notes", Kind::Switch, UNUSED),
];

/// `helm template` alone.
pub(super) static TEMPLATE: &[Flag] = &[
    short("show-only", 's', Kind::Text, "print only what these templates give"),
    flag("output-dir", Kind::Text, "write files below this folder"),
    flag("validate", Kind::Switch, "the same as --dry-run=server"),
    flag("dry-run", Kind::Optional("unset"), "client, or server: render with a cluster's answers"),
    flag("include-crds", Kind::Switch, "print the CRDs too"),
    flag("skip-tests", Kind::Switch, "print no tests"),
    flag("is-upgrade", Kind::Switch, "set .Release.IsUpgrade instead of .Release.IsInstall"),
    flag("kube-version", Kind::Text, "Kubernetes version of .Capabilities"),
    short("api-versions", 'a', Kind::List, "further API versions of .Capabilities"),
    flag("release-name", Kind::Switch, "the release's name is a folder below --output-dir"),
    flag("post-renderer", Kind::Text, "not supported: run a program on the manifests"),
    flag("post-renderer-args", Kind::Text, "arguments for --post-renderer"),
];

/// `helm lint` alone.
pub(super) static LINT: &[Flag] = &[
    flag("strict", Kind::Switch, "fail on warnings"),
    flag("with-subcharts", Kind::Switch, "lint the charts in charts/ too"),
    flag("quiet", Kind::Switch, "print only warnings and errors"),
    flag("skip-schema-validation", Kind::Switch, "do not check values against values.schema.json"),
    flag("kube-version", Kind::Text, "Kubernetes version for .Capabilities and deprecations"),
];

/// Every command's.
pub(super) static GLOBAL: &[Flag] = &[
    short("namespace", 'n', Kind::Text, "namespace of the release"),
    flag("debug", Kind::Switch, "print what was rendered even when it is not YAML"),
    flag("kubeconfig", Kind::Text, "kubeconfig file"),
    flag("kube-context", Kind::Text, "context of the kubeconfig"),
    flag("kube-token", Kind::Text, "bearer token"),
    flag("kube-as-user", Kind::Text, "user to impersonate"),
    flag("kube-as-group", Kind::Text, "group to impersonate, each time"),
    flag("kube-apiserver", Kind::Text, "address of the API server"),
    flag("kube-ca-file", Kind::Text, "certificates that the API server's is checked with"),
    flag("kube-tls-server-name", Kind::Text, "name that the API server's certificate is for"),
    flag(
        "kube-insecure-skip-tls-verify",
        Kind::Switch,
        "do not check the API server's certificate",
    ),
    flag("registry-config", Kind::Text, UNUSED),
    flag("repository-config", Kind::Text, UNUSED),
    flag("repository-cache", Kind::Text, UNUSED),
    flag("content-cache", Kind::Text, UNUSED),
    flag("burst-limit", Kind::Integer, UNUSED),
    flag("qps", Kind::Number, UNUSED),
    flag("color", Kind::Text, UNUSED),
    flag("colour", Kind::Text, UNUSED),
];
