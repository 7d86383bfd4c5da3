//! Helm charts in a kustomization: what is to be rendered. Rendering is the caller's.
//!
//! Source of behaviour: kustomize `api/internal/builtins/HelmChartInflationGenerator.go`,
//! `api/types/helmchartargs.go`.

use borax_stdx::files::{Files, join};
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

/// Renders charts. Implemented outside, with a Helm engine.
///
/// Errors are sentences for people.
pub trait HelmRenderer: Send + Sync {
    /// The manifests of a chart as `helm template` prints them.
    fn render(&self, chart: &HelmChart, files: &dyn Files) -> std::result::Result<Vec<u8>, String>;
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
    /// Where the chart is if it is there: a directory in the files of the build.
    pub directory: String,
    /// The release's name; empty asks for a generated one.
    pub release_name: String,
    /// The release's namespace; empty for the default.
    pub namespace: String,
    /// A template for the release's name.
    pub name_template: String,
    /// Values to lay over the chart's own, in order.
    pub values: Vec<Value>,
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
    let Some(renderer) = build.options.helm else {
        return fail("helmCharts: this build has no Helm engine");
    };
    let mut home = String::new();
    if let Some(globals) = globals {
        let mut o = Object::lenient("helmGlobals", globals.clone())?;
        home = o.text("chartHome")?;
    }
    let chart = read(build, loader, home, chart, namespace).map_err(|e| e.during("helmCharts"))?;
    let text = renderer.render(&chart, loader.files()).map_err(|error| {
        Diagnostics::new(error).during(format!("rendering chart {}", chart.name))
    })?;
    let nodes = documents::read(&mut build.tree, &text)
        .map_err(|e| e.during(format!("reading what chart {} renders", chart.name)))?;
    for node in &nodes {
        let tree = &mut build.tree;
        crate::resource::set_annotation(tree, *node, crate::resource::HELM_GENERATED, "true")?;
    }
    Ok(nodes)
}

fn read(
    build: &mut Build<'_>,
    loader: &Loader<'_>,
    home: String,
    chart: &Value,
    namespace: &str,
) -> Result<HelmChart> {
    let mut o = Object::lenient("helmCharts", chart.clone())?;
    let own_home = o.text("chartHome")?;
    let home = [own_home, home].into_iter().find(|home| !home.is_empty());
    let home = home.unwrap_or_else(|| "charts".to_owned());
    let mut chart = HelmChart {
        name: o.text("name")?,
        version: o.text("version")?,
        repo: o.text("repo")?,
        release_name: o.text("releaseName")?,
        namespace: o.text("namespace")?,
        name_template: o.text("nameTemplate")?,
        include_crds: o.flag("includeCRDs")?,
        skip_hooks: o.flag("skipHooks")?,
        skip_tests: o.flag("skipTests")?,
        devel: o.flag("devel")?,
        api_versions: o.texts("apiVersions")?,
        kube_version: o.text("kubeVersion")?,
        ..HelmChart::default()
    };
    if chart.name.is_empty() {
        return fail("chart name cannot be empty");
    }
    for (field, text) in [("releaseName", &chart.release_name), ("name", &chart.name)] {
        if text.starts_with('-') {
            return fail(format!("{field} must not start with '-', got {text:?}"));
        }
    }
    if chart.namespace.is_empty() {
        chart.namespace = namespace.to_owned();
    }
    let base = if chart.version.is_empty() || chart.repo.is_empty() {
        home
    } else {
        format!("{home}/{}-{}", chart.name, chart.version)
    };
    chart.directory = join(loader.root(), &format!("{base}/{}", chart.name));
    let file = o.text("valuesFile")?;
    let inline = o.take("valuesInline");
    let how = o.text("valuesMerge")?;
    let own_file = format!("{base}/{}/values.yaml", chart.name);
    let from_file = match file.is_empty() {
        false => Some(load_values(build, loader, &file)?),
        // The chart's own values matter only when they are to win over the inline ones.
        true if how == "merge" && inline.is_some() => Some(load_values(build, loader, &own_file)?),
        true => None,
    };
    let first = match (from_file, inline) {
        (from_file, None) => from_file,
        (None, inline) => inline,
        (Some(from_file), Some(inline)) => match how.as_str() {
            "" | "override" => Some(merge_values(build, from_file, &inline)?),
            "merge" => Some(merge_values(build, inline, &from_file)?),
            "replace" => Some(inline),
            _ => return fail("valuesMerge must be one of [merge override replace]"),
        },
    };
    chart.values.extend(first);
    for file in o.texts("additionalValuesFiles")? {
        chart.values.push(load_values(build, loader, &file)?);
    }
    Ok(chart)
}

fn load_values(build: &Build<'_>, loader: &Loader<'_>, path: &str) -> Result<Value> {
    let text = loader.load(build, path).map_err(|e| e.during("could not load valuesFile"))?;
    documents::yaml_to_json(&text).map_err(|e| e.at(&loader.join(path)))
}

fn merge_values(build: &mut Build<'_>, below: Value, above: &Value) -> Result<Value> {
    let target = from_json(&mut build.tree, &below);
    let patch = from_json(&mut build.tree, above);
    let merged = merge::merge(&mut build.tree, &build.schema, target, patch, Growth::Append)?;
    merged.map_or(Ok(Value::Null), |merged| to_value(&build.tree, merged))
}
