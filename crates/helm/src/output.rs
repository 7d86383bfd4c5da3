//! The bytes `helm template` prints for a rendering. Source: Helm `pkg/cmd/template.go`.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::ignore::match_pattern;
use crate::manifest::split;
use crate::render::Rendered;

/// What of a rendering is printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputOptions {
    /// CRDs come first.
    pub include_crds: bool,
    /// Hooks that are tests are left out.
    pub skip_tests: bool,
    /// All hooks are left out.
    pub no_hooks: bool,
    /// Only these templates, by path below the chart; globs allowed.
    pub show_only: Vec<String>,
}

/// The text `helm template` prints.
///
/// # Errors
/// When a template to show is not there.
pub fn template_output(rendered: &Rendered, options: &OutputOptions) -> Result<String, Error> {
    let room: usize = rendered.manifests.iter().map(|m| m.path.len() + m.content.len() + 20).sum();
    let mut manifest = String::with_capacity(room);
    let mut put = |path: &str, content: &str| {
        manifest.push_str("---\n# Source: ");
        manifest.push_str(path);
        manifest.push('\n');
        manifest.push_str(content);
        manifest.push('\n');
    };
    if options.include_crds {
        for crd in &rendered.crds {
            put(&crd.path, &String::from_utf8_lossy(&crd.data));
        }
    }
    for m in &rendered.manifests {
        put(&m.path, &m.content);
    }
    // The text starts with dashes, so only its end can be blank.
    let mut out = manifest;
    out.truncate(out.trim_end_matches(borax_gotmpl::is_space).len());
    out.push('\n');
    for hook in hooks(rendered, options) {
        let m = &hook.manifest;
        out.push_str(&format!("---\n# Source: {}\n{}\n", m.path, m.content));
    }
    if options.show_only.is_empty() {
        return Ok(out);
    }
    show_only(&out, &options.show_only)
}

fn hooks<'r>(
    rendered: &'r Rendered,
    options: &'r OutputOptions,
) -> impl Iterator<Item = &'r crate::manifest::Hook> {
    rendered.hooks.iter().filter(|h| !(options.no_hooks || options.skip_tests && h.is_test()))
}

/// The template's path below its chart, from the comment in front of a document.
fn source(document: &str) -> Option<&str> {
    let at = document.find("# Source: ")?;
    let line = document[at + "# Source: ".len()..].split('\n').next()?;
    let (chart, rest) = line.split_once('/')?;
    (!chart.is_empty() && !rest.is_empty()).then_some(rest)
}

fn show_only(text: &str, wanted: &[String]) -> Result<String, Error> {
    let documents = split(text);
    let mut out = String::new();
    for pattern in wanted {
        let mut missing = true;
        for document in &documents {
            let hit = source(document).is_some_and(|path| match_pattern(pattern, path) == Ok(true));
            if hit {
                out.push_str(&format!("---\n{document}\n"));
                missing = false;
            }
        }
        if missing {
            return Err(Error::Option(format!("could not find template {pattern} in chart")));
        }
    }
    Ok(out)
}

/// The files `--output-dir` writes, by path below it, and the lines it prints, in order.
pub fn output_files(
    rendered: &Rendered,
    options: &OutputOptions,
) -> (BTreeMap<String, String>, Vec<String>) {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut written = Vec::new();
    let mut put = |path: &str, content: &str| {
        let text = format!("---\n# Source: {path}\n{content}\n");
        files.entry(path.to_owned()).or_default().push_str(&text);
        written.push(path.to_owned());
    };
    if options.include_crds {
        for crd in &rendered.crds {
            put(&crd.path, &String::from_utf8_lossy(&crd.data));
        }
    }
    for m in &rendered.manifests {
        put(&m.path, &m.content);
    }
    for hook in hooks(rendered, options) {
        put(&hook.manifest.path, &hook.manifest.content);
    }
    (files, written)
}
