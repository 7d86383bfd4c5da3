//! Charts of kustomizations for `borax build --enable-helm`: fetched from chart repositories, rendered by Borax's
//! own engine with the flags that kustomize gives to `helm template`.
//!
//! Behaviour: kustomize v5.8.2 `api/types/helmchartargs.go` (`AsHelmArgs`); Helm v4.2.1 `pkg/repo/v1/index.go`. Unlike
//! kustomize, nothing is written beside the kustomization.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use borax_controllers::machine::Machine;
use borax_helm::{
    Chart, Constraint, TemplateFlags, Version, check_installable, render, template_output,
};
use borax_kustomize::{HelmChart, HelmRenderer, Remote};
use borax_stdx::files::{FileKind, Files, MemoryFiles, join};
use serde_json::Value;

use crate::bases::LazyBases;

/// Fetches and renders charts.
pub(crate) struct Charts<'a> {
    /// Holds the way out to the network.
    pub(crate) bases: &'a LazyBases,
}

impl HelmRenderer for Charts<'_> {
    fn pull(&self, chart: &HelmChart) -> Result<Arc<dyn Files>, String> {
        self.fetch(chart).map_err(|error| format!("{error:#}"))
    }

    fn render(
        &self,
        chart: &HelmChart,
        files: &dyn Files,
        directory: &str,
    ) -> Result<Vec<u8>, String> {
        output(chart, files, directory).map_err(|error| format!("{error:#}"))
    }
}

impl Charts<'_> {
    fn fetch(&self, chart: &HelmChart) -> anyhow::Result<Arc<dyn Files>> {
        let repo = chart.repo.trim_end_matches('/');
        if repo.starts_with("oci://") {
            bail!(
                "charts are not fetched from OCI registries here; put {} in chartHome",
                chart.name
            );
        }
        let index = self.get(&format!("{repo}/index.yaml"))?;
        let index =
            borax_yaml::to_json(&index).context("the repository's index.yaml is no YAML")?;
        let url = pick(&index, chart)?;
        let url = match url.contains("://") {
            true => url.to_owned(),
            false => format!("{repo}/{url}"),
        };
        let archive = self.get(&url)?;
        let files = borax_helm::unpack(&archive)?;
        let files = files.into_iter().map(|(path, content)| (format!("/{path}"), content));
        Ok(Arc::new(files.collect::<MemoryFiles>()))
    }

    fn get(&self, url: &str) -> anyhow::Result<Arc<[u8]>> {
        let found = self.bases.file(url).map_err(anyhow::Error::msg);
        found.with_context(|| format!("fetch {url}"))
    }
}

/// The address of the newest version that fits.
fn pick<'i>(index: &'i Value, chart: &HelmChart) -> anyhow::Result<&'i str> {
    let entries = index.get("entries").and_then(|entries| entries.get(&chart.name));
    let Some(entries) = entries.and_then(Value::as_array) else {
        bail!("chart {} is not in the repository {}", chart.name, chart.repo)
    };
    let wanted = match (chart.version.as_str(), chart.devel) {
        ("", true) => ">0.0.0-0",
        ("", false) => "*",
        (version, _) => version,
    };
    let text = |entry: &'i Value, key: &str| entry.get(key).and_then(Value::as_str);
    // A version that is there as it is written needs no comparing.
    let mut found = entries.iter().find(|entry| text(entry, "version") == Some(wanted));
    if found.is_none() {
        let constraint = Constraint::parse(wanted).map_err(anyhow::Error::msg)?;
        let versions = entries.iter().filter_map(|entry| {
            let version = Version::parse(text(entry, "version")?).ok()?;
            constraint.check(&version).then_some((version, entry))
        });
        let newest = versions.max_by(|left, right| left.0.compare(&right.0));
        found = newest.map(|(_, entry)| entry);
    }
    let Some(found) = found else {
        bail!("no version of chart {} in {} fits {wanted:?}", chart.name, chart.repo)
    };
    let urls = found.get("urls").and_then(Value::as_array);
    let url = urls.and_then(|urls| urls.first()).and_then(Value::as_str);
    url.with_context(|| format!("the index of {} names no address for it", chart.repo))
}

fn output(chart: &HelmChart, files: &dyn Files, directory: &str) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    walk(files, directory, "", &mut content)?;
    let loaded = Arc::new(Chart::from_folder(content)?);
    let flags = TemplateFlags::parse(args(chart))?;
    let contents = chart.values.iter().map(|(_, text)| text.clone()).collect();
    let no_file = |name: &str| Err(format!("open {name}: there is no such flag here"));
    let values = flags.values.options(contents).merge(&no_file)?;
    let options = flags.options(Arc::new(Machine))?;
    check_installable(&loaded)?;
    let rendered = render(&loaded, &values, &options)?;
    Ok(template_output(&rendered, &flags.output())?.into_bytes())
}

/// The arguments that kustomize gives to `helm template`.
fn args(chart: &HelmChart) -> Vec<String> {
    let mut args = Vec::new();
    match chart.release_name.as_str() {
        "" => args.push("--generate-name".to_owned()),
        name => args.push(name.to_owned()),
    }
    args.push(chart.name.clone());
    let mut put = |flag: &str, value: &str| {
        if !value.is_empty() {
            args.extend([flag.to_owned(), value.to_owned()]);
        }
    };
    put("--namespace", &chart.namespace);
    put("--name-template", &chart.name_template);
    // Names with a comma would count as two files.
    (0..chart.values.len()).for_each(|at| put("-f", &format!("values-{at}")));
    chart.api_versions.iter().for_each(|version| put("--api-versions", version));
    put("--kube-version", &chart.kube_version);
    let switches = [
        (chart.include_crds, "--include-crds"),
        (chart.skip_tests, "--skip-tests"),
        (chart.skip_hooks, "--no-hooks"),
    ];
    args.extend(switches.iter().filter(|(on, _)| *on).map(|(_, flag)| (*flag).to_owned()));
    args
}

fn walk(
    files: &dyn Files,
    root: &str,
    below: &str,
    found: &mut Vec<(String, Vec<u8>)>,
) -> anyhow::Result<()> {
    ensure!(below.len() < 4096, "the chart's directories are nested too deep");
    let dir = join(root, below);
    for name in files.list(&dir).with_context(|| format!("can't list {dir}"))? {
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let full = join(root, &path);
        match files.kind(&full).with_context(|| format!("can't read {full}"))? {
            Some(FileKind::Dir) => walk(files, root, &path, found)?,
            Some(FileKind::File) => {
                let content = files.read(&full).with_context(|| format!("can't read {full}"))?;
                found.push((path, content.to_vec()));
            }
            None => {}
        }
    }
    Ok(())
}
