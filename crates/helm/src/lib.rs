//! The Helm render engine: chart and values in, manifests out.
//!
//! ```text
//! files ─► Chart ─┐
//!                 ├─► Tree (dependencies on and off, aliases, imports) ─► values coalesced, checked
//! flags ─► values ┘      ─► templates run (gotmpl + funcs) ─► manifests and hooks sorted ─► Rendered
//! ```
//!
//! Behaviour is Helm 4.2's, as `helm template` and Flux's helm-controller show it. Nothing here reads
//! files, the clock, randomness or the network: files come in as bytes, the rest through [`Env`] and
//! [`Lookup`]. A [`Chart`] is loaded once and rendered many times, from any thread.
//!
//! ```
//! use std::sync::Arc;
//! use borax_helm::{Chart, FixedEnv, Options, OutputOptions, render, template_output};
//!
//! let files = [
//!     ("Chart.yaml", "apiVersion: v2\nname: hello\nversion: 1.0.0\n"),
//!     ("values.yaml", "who: world\n"),
//!     ("templates/config.yaml", "kind: ConfigMap\ndata: {hello: {{ .Values.who }}}\n"),
//! ];
//! let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
//! let chart = Arc::new(Chart::from_folder(files).unwrap());
//! let options = Options::new("demo", Arc::new(FixedEnv::at(0)));
//! let rendered = render(&chart, &serde_json::Map::new(), &options).unwrap();
//! let text = template_output(&rendered, &OutputOptions::default()).unwrap();
//! assert_eq!(
//!     text,
//!     "---\n# Source: hello/templates/config.yaml\nkind: ConfigMap\ndata: {hello: world}\n"
//! );
//! ```
//!
//! Start reading at `render`; the function library is `funcs`.

mod archive;
mod capabilities;
mod chart;
mod convert;
mod env;
mod error;
mod files;
mod flags;
mod funcs;
mod glob;
mod ignore;
mod lint;
mod manifest;
mod metadata;
mod options;
mod output;
mod package;
mod render;
mod schema;
mod semver;
mod strvals;
mod trace;
mod tree;
mod values;
mod yaml;

pub use archive::{MAX_CHART, unpack};
pub use borax_gotmpl::Notice;
pub use capabilities::{Capabilities, HELM_VERSION, KubeVersion};
pub use chart::{Chart, File, MAX_FILE};
pub use env::{Env, FixedEnv, Lookup};
pub use error::Error;
pub use flags::{
    ChartFlags, ClusterFlags, LintFlags, TemplateFlags, ValueFlags, check_installable,
};
pub use funcs::hermetic;
pub use ignore::IgnoreRules;
pub use lint::{Findings, Folder, LintOptions, Message, Severity, lint};
pub use manifest::{Hook, HookEvent, INSTALL_ORDER, Manifest, sort as sort_manifests, split};
pub use metadata::{Dependency, Lock, Maintainer, Metadata};
pub use options::{
    ValueOptions, check_release_name, coalesce_values, overlay_values, plain_values, read_values,
    set_value,
};
pub use output::{OutputOptions, output_files, template_output};
pub use package::{merge_values, package};
pub use render::{Crd, Options, Rendered, render, render_templates};
pub use semver::{Constraint, Version};
