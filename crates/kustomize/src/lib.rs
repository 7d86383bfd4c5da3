//! The kustomize build engine: files in, objects out, byte for byte what `kustomize build` prints.
//!
//! [`build`] takes a view of files and a directory in it, and gives [`Objects`] or [`Diagnostics`].
//! Whatever lies beyond the files comes through two traits: [`Remote`] for repositories and files at
//! URLs, [`HelmRenderer`] for charts.
//!
//! ```text
//! Files ─► loader ─► documents ─► tree ─► accumulate (transform/*, generate, merge) ─► build ─► Objects
//! ```
//!
//! Invariants: no input or output, no clock, no global state, so builds run in parallel; equal input
//! gives equal output; hostile input gives an error. Knows nothing of Flux. Start reading in
//! `build.rs`, then `accumulate.rs`.
//!
//! ```
//! use borax_kustomize::{Options, build};
//! use borax_stdx::files::MemoryFiles;
//!
//! let files = MemoryFiles::from_iter([
//!     ("/app/kustomization.yaml", "namePrefix: my-\nresources: [config.yaml]\n"),
//!     ("/app/config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config\n"),
//! ].map(|(path, text)| (path, text.as_bytes())));
//! let objects = build(&files, "/app", &Options::default())?;
//! assert_eq!(objects.to_yaml(), "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: my-config\n");
//! # Ok::<(), borax_kustomize::Diagnostics>(())
//! ```

mod accumulate;
mod arena;
mod build;
mod built;
mod cell;
mod config;
mod decode;
mod defaults;
mod diag;
mod documents;
mod fieldspec;
mod finish;
mod generate;
mod helm;
mod id;
mod kustomization;
mod loader;
mod locate;
mod memo;
mod merge;
mod nameref;
mod objects;
mod options;
mod origin;
mod places;
mod plugins;
mod remote;
mod resmap;
mod resource;
mod scalar;
mod schema;
mod selector;
mod transform;
mod transformer;
mod tree;
mod vars;

use borax_stdx::files::Files;

pub use built::Built;
pub use diag::{Diagnostic, Diagnostics};
pub use helm::{HelmChart, HelmRenderer};
pub use memo::Memo;
pub use objects::{Object, Objects};
pub use options::{Options, Order};
pub use remote::{Remote, RepoSpec};

/// Builds the kustomization in the directory `path` of `files`.
///
/// # Errors
///
/// All that is found wrong with the kustomization and what it refers to: unreadable files, fields
/// that don't exist, patches without a target, references outside of the root, circles.
pub fn build(files: &dyn Files, path: &str, options: &Options<'_>) -> Result<Objects, Diagnostics> {
    let mut build = build::Build::new(files, options);
    let mut finished = build.run(path, None)?;
    Ok(Objects::new(finished.objects(&build.tree)?, build.warnings))
}

/// As [`build`], making the objects' values one by one: who prints them need not hold them all.
///
/// # Errors
///
/// As [`build`].
///
/// ```
/// use borax_kustomize::{Options, build_each};
/// use borax_stdx::files::MemoryFiles;
///
/// let mut files = MemoryFiles::new();
/// files.insert("/kustomization.yaml", *b"configMapGenerator: [{name: a}, {name: b}]");
/// let built = build_each(&files, "/", &Options::default())?;
/// assert_eq!(built.map(|object| object.kind().to_owned()).collect::<Vec<_>>(), ["ConfigMap", "ConfigMap"]);
/// # Ok::<(), borax_kustomize::Diagnostics>(())
/// ```
pub fn build_each(
    files: &dyn Files,
    path: &str,
    options: &Options<'_>,
) -> Result<Built, Diagnostics> {
    let mut build = build::Build::new(files, options);
    let finished = build.run(path, None)?;
    finished.into_built(build.tree, build.warnings)
}
