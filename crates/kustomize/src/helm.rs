//! Helm charts in a kustomization: what is to be rendered. Rendering is the caller's.
//!
//! Source of behaviour: kustomize `api/internal/builtins/HelmChartInflationGenerator.go`,
//! `api/types/helmchartargs.go`.

use std::sync::Arc;

use borax_stdx::files::{FileKind, Files, join};
use serde_json::{Map, Value};

use crate::build::Build;
use crate::decode::Object;
use crate::diag::{Diagnostics, Result, fail};
use crate::documents;
use crate::kustomization::Kustomization;
use crate::loader::Loader;
use crate::merge::{self, Growth};
use crate::scalar::{from_json, to_value};
use crate::tree::NodeId;

/// Fetches and renders charts. Implemented outside, with a Helm engine.
///
/// Errors are sentences for people.
pub trait HelmRenderer: Send + Sync {
    /// The files of a chart that is not among those of the build; `/` is its directory.
    fn pull(&self, chart: &HelmChart) -> std::result::Result<Arc<dyn Files>, String>;

    /// The manifests of the chart in the directory `directory` of `files`, as `helm template` prints
    /// them.
    fn render(
        &self,
        chart: &HelmChart,
        files: &dyn Files,
        directory: &str,
    ) -> std::result::Result<Vec<u8>, String>;
}

/// A chart to render.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HelmChart {
    /// The chart's name.
    pub name: String,
    /// The wanted version; empty for the newest.
    pub version: String,
    /// The repository's URL (`https://`, `oci://`); empty when the chart must be there.
    pub repo: String,
    /// The release's name; empty asks for a generated one.
    pub release_name: String,
    /// The release's namespace; empty for the default.
    pub namespace: String,
    /// A template for the release's name.
    pub name_template: String,
    /// Values files to lay over the chart's own, in order: name and content.
    pub values: Vec<(String, Vec<u8>)>,
    /// Whether the chart's CRDs are printed too.
    pub include_crds: bool,
    /// Whether hooks are left out.
    pub skip_hooks: bool,
    /// Whether tests are left out.
    pub skip_tests: bool,
    /// Whether versions with a suffix count as new.
    pub devel: bool,
    /// API versions to pretend are there.
    pub api_versions: Vec<String>,
    /// The Kubernetes version to pretend; empty for the engine's own.
    pub kube_version: String,
}

/// Reads `helmChartInflationGenerator`, the older spelling of `helmCharts`.
pub(crate) fn read_deprecated(o: &mut Object, k: &mut Kustomization) -> Result<()> {
    let mut globals = Map::new();
    for mut old in o.objects("helmChartInflationGenerator")?.unwrap_or_default() {
        let mut chart = Map::new();
        for (from, to) in [
            ("chartName", "name"),
            ("chartVersion", "version"),
            ("chartRepoUrl", "repo"),
            ("values", "valuesFile"),
            ("valuesMerge", "valuesMerge"),
            ("releaseName", "releaseName"),
        ] {
            let text = old.text(from)?;
            if !text.is_empty() {
                chart.insert(to.to_owned(), Value::String(text));
            }
        }
        if let Some(values) = old.take("valuesLocal") {
            chart.insert("valuesInline".to_owned(), values);
        }
        for (from, to) in [("helmHome", "configHome"), ("chartHome", "chartHome")] {
            let text = old.text(from)?;
            if !text.is_empty() {
                globals.insert(to.to_owned(), Value::String(text));
            }
        }
        for ignored in ["chartRepoName", "helmBin", "releaseNamespace"] {
            old.text(ignored)?;
        }
        old.texts("extraArgs")?;
        old.done()?;
        k.helm_charts.push(Value::Object(chart));
    }
    if k.helm_globals.is_none() && !globals.is_empty() {
        k.helm_globals = Some(Value::Object(globals));
    }
    Ok(())
}

/// Renders one entry of `helmCharts`; the objects are marked as Helm's.
pub(crate) fn inflate(
    build: &mut Build<'_>,
    loader: &Loader<'_>,
    globals: Option<&Value>,
    chart: &Value,
    namespace: &str,
) -> Result<Vec<NodeId>> {
    if !build.options.enable_helm {
        return fail("helmCharts: must specify --enable-helm");
    }
    build.stop_remembering();
    let Some(renderer) = build.options.helm else {
        return fail("helmCharts: this build has no Helm engine");
    };
    let wanted = Wanted::read(build, globals, chart, namespace)?;
    let name = wanted.chart.name.clone();
    let local = join(loader.root(), &wanted.directory());
    let is_here = matches!(loader.files().kind(&local), Ok(Some(FileKind::Dir)));
    let pulled =
        match (is_here, wanted.chart.repo.is_empty()) {
            (true, _) => None,
            (false, true) => {
                return fail(format!(
                    "helmCharts: no repo specified for pull, no chart found at '{local}'"
                ));
            }
            (false, false) => Some(renderer.pull(&wanted.chart).map_err(|error| {
                Diagnostics::new(error).during(format!("fetching chart {name}"))
            })?),
        };
    let (files, directory) = match &pulled {
        Some(files) => (&**files, "/"),
        None => (loader.files(), local.as_str()),
    };
    let chart = wanted.with_values(build, loader, pulled.as_deref())?;
    let text = renderer
        .render(&chart, files, directory)
        .map_err(|error| Diagnostics::new(error).during(format!("rendering chart {name}")))?;
    let nodes = documents::read(&mut build.tree, &text)
        .map_err(|e| e.during(format!("reading what chart {name} renders")))?;
    for node in &nodes {
        let tree = &mut build.tree;
        crate::resource::set_annotation(tree, *node, crate::resource::HELM_GENERATED, "true")?;
    }
    Ok(nodes)
}

/// An entry of `helmCharts`, before its values were read.
struct Wanted {
    chart: HelmChart,
    home: String,
    values_file: String,
    inline: Map<String, Value>,
    how: String,
    more_files: Vec<String>,
}

impl Wanted {
    fn read(
        build: &Build<'_>,
        globals: Option<&Value>,
        chart: &Value,
        namespace: &str,
    ) -> Result<Wanted> {
        let mut home = String::new();
        if let Some(globals) = globals {
            home = Object::lenient("helmGlobals", globals.clone())?.text("chartHome")?;
        }
        let mut o = Object::lenient("helmCharts", chart.clone())?;
        let own_home = o.text("chartHome")?;
        let home = [own_home, home].into_iter().find(|home| !home.is_empty());
        let mut chart = HelmChart {
            name: o.text("name")?,
            version: o.text("version")?,
            repo: o.text("repo")?,
            release_name: o.text("releaseName")?,
            namespace: o.text("namespace")?,
            name_template: o.text("nameTemplate")?,
            values: Vec::new(),
            include_crds: o.flag("includeCRDs")?,
            skip_hooks: o.flag("skipHooks")?,
            skip_tests: o.flag("skipTests")?,
            devel: o.flag("devel")?,
            api_versions: o.texts("apiVersions")?,
            kube_version: o.text("kubeVersion")?,
        };
        if chart.name.is_empty() {
            return fail("helmCharts: chart name cannot be empty");
        }
        for (field, text) in [("releaseName", &chart.release_name), ("name", &chart.name)] {
            if text.starts_with('-') {
                return fail(format!("helmCharts: {field} must not start with '-', got {text:?}"));
            }
        }
        if chart.namespace.is_empty() {
            chart.namespace = namespace.to_owned();
        }
        // What the entry says goes before the options, whatever the original's comment claims.
        if chart.kube_version.is_empty() {
            chart.kube_version.clone_from(&build.options.helm_kube_version);
        }
        if chart.api_versions.is_empty() {
            chart.api_versions.clone_from(&build.options.helm_api_versions);
        }
        let inline = match o.take("valuesInline") {
            None => Map::new(),
            Some(Value::Object(map)) => map,
            Some(_) => return fail("helmCharts: valuesInline must be a map"),
        };
        let how = o.text("valuesMerge")?;
        if !["", "merge", "override", "replace"].contains(&how.as_str()) {
            return fail("helmCharts: valuesMerge must be one of [merge override replace]");
        }
        Ok(Wanted {
            chart,
            home: home.unwrap_or_else(|| "charts".to_owned()),
            values_file: o.text("valuesFile")?,
            inline,
            how,
            more_files: o.texts("additionalValuesFiles")?,
        })
    }

    /// Where the chart is if it is among the files of the build, from the kustomization's root.
    fn directory(&self) -> String {
        let HelmChart { name, version, repo, .. } = &self.chart;
        if version.is_empty() || repo.is_empty() {
            format!("{}/{name}", self.home)
        } else {
            format!("{}/{name}-{version}/{name}", self.home)
        }
    }

    /// The chart with its values. Its own values file is always among them, as if the user had named
    /// it, so that null in `valuesInline` removes an entry there, and not the chart's default.
    fn with_values(
        mut self,
        build: &mut Build<'_>,
        loader: &Loader<'_>,
        pulled: Option<&dyn Files>,
    ) -> Result<HelmChart> {
        let own = format!("{}/values.yaml", self.directory());
        let text = match (self.values_file.is_empty(), pulled) {
            (true, Some(files)) => files.read("/values.yaml").map_err(|error| {
                Diagnostics::new(format!("can't read the chart's values.yaml: {error}"))
            })?,
            (true, None) => load_values(build, loader, &own)?,
            (false, _) => load_values(build, loader, &self.values_file)?,
        };
        let first = match (self.inline.is_empty(), self.how.as_str()) {
            (true, _) => text.to_vec(),
            (false, "replace") => {
                borax_yaml::to_string(&Value::Object(self.inline.clone())).into_bytes()
            }
            (false, how) => {
                // As nodes: what only YAML 1.1 calls a boolean stays a text.
                let from_file = documents::read_one(&mut build.tree, &text)?;
                let Some(from_file) = from_file else {
                    return fail("helmCharts: the values file is empty");
                };
                let inline = from_json(&mut build.tree, &Value::Object(self.inline.clone()));
                let (below, above) =
                    if how == "merge" { (inline, from_file) } else { (from_file, inline) };
                merge_values(build, below, above)?
            }
        };
        self.chart.values.push(("valuesFile".to_owned(), first));
        for file in &self.more_files {
            let text = load_values(build, loader, file)?;
            self.chart.values.push((file.clone(), text.to_vec()));
        }
        Ok(self.chart)
    }
}

fn load_values(build: &Build<'_>, loader: &Loader<'_>, path: &str) -> Result<Arc<[u8]>> {
    loader.load(build, path).map_err(|e| e.during("could not load valuesFile"))
}

fn merge_values(build: &mut Build<'_>, below: NodeId, above: NodeId) -> Result<Vec<u8>> {
    let merged = merge::merge(&mut build.tree, &build.schema, below, above, Growth::Append)?;
    let value = match merged {
        Some(merged) => to_value(&build.tree, merged)?,
        None => Value::Object(Map::new()),
    };
    Ok(borax_yaml::to_string(&value).into_bytes())
}
