//! What lies beyond the files comes through the caller.

use std::sync::Arc;

use borax_kustomize::{HelmChart, HelmRenderer, Options, Remote, RepoSpec, build};
use borax_stdx::files::{Files, MemoryFiles};

struct Net;

impl Remote for Net {
    fn file(&self, url: &str) -> Result<Arc<[u8]>, String> {
        if url.ends_with(".yaml") {
            return Ok(Arc::from(
                &b"{apiVersion: v1, kind: ConfigMap, metadata: {name: remote}}"[..],
            ));
        }
        Err("404".to_owned())
    }

    fn repository(&self, spec: &RepoSpec) -> Result<Arc<dyn Files>, String> {
        assert_eq!((&*spec.repository, &*spec.reference), ("org/repo", "v1"));
        Ok(Arc::new(MemoryFiles::from_iter([
            ("/deploy/kustomization.yaml", &b"resources: [x.yaml]"[..]),
            ("/deploy/x.yaml", b"{apiVersion: v1, kind: Secret, metadata: {name: repo}}"),
        ])))
    }
}

struct Charts;

impl HelmRenderer for Charts {
    fn pull(&self, chart: &HelmChart) -> Result<Arc<dyn Files>, String> {
        assert_eq!(chart.repo, "https://charts.example.org");
        Ok(Arc::new(MemoryFiles::from_iter([("/values.yaml", &b"{v: 0, w: 2, gone: 3}"[..])])))
    }

    fn render(
        &self,
        chart: &HelmChart,
        files: &dyn Files,
        directory: &str,
    ) -> Result<Vec<u8>, String> {
        assert!(matches!(files.kind(directory), Ok(Some(_))));
        let values: Vec<String> = chart
            .values
            .iter()
            .map(|(_, text)| String::from_utf8_lossy(text).trim().replace('\n', ", "))
            .collect();
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {}, namespace: {}}}\ndata: {{v: '{}'}}\n",
            chart.release_name,
            chart.namespace,
            values.join("; ")
        );
        Ok(text.into_bytes())
    }
}

fn run(text: &str, options: &Options<'_>) -> Result<String, String> {
    let files = MemoryFiles::from_iter([("/a/kustomization.yaml", text.as_bytes())]);
    build(&files, "/a", options).map(|objects| objects.to_yaml()).map_err(|found| found.to_string())
}

const BASES: &str =
    "resources: ['https://example.org/x.yaml', 'https://github.com/org/repo//deploy?ref=v1']";

#[test]
fn remote_files_and_repositories_are_fetched() {
    let text = run(BASES, &Options { remote: Some(&Net), ..Options::default() }).unwrap();
    assert!(text.contains("name: remote") && text.contains("name: repo"), "{text}");
}

#[test]
fn without_a_network_the_url_is_named() {
    let found = run(BASES, &Options::default()).unwrap_err();
    assert!(found.contains("https://example.org/x.yaml"), "{found}");
    assert!(found.contains("https://github.com/org/repo//deploy?ref=v1"), "{found}");
}

#[test]
fn charts_are_rendered_into_the_namespace_and_then_left_alone() {
    let text = "namespace: ns1\nnamePrefix: p-\nhelmCharts: [{name: c, releaseName: r, \
                repo: 'https://charts.example.org', valuesInline: {v: 1, gone: null}}]";
    let options = Options { enable_helm: true, helm: Some(&Charts), ..Options::default() };
    let text = run(text, &options).unwrap();
    assert!(text.contains("name: p-r\n  namespace: ns1"), "{text}");
    // The chart's own values are part of what is given to it, and null takes one out.
    assert!(text.contains("v: 'v: 1, w: 2'"), "{text}");
}

#[test]
fn a_chart_that_is_nowhere_is_named() {
    let options = Options { enable_helm: true, helm: Some(&Charts), ..Options::default() };
    let found = run("helmCharts: [{name: c}]", &options).unwrap_err();
    assert!(found.contains("no chart found at '/a/charts/c'"), "{found}");
}

#[test]
fn charts_without_an_engine_are_an_error() {
    let found =
        run("helmCharts: [{name: c}]", &Options { enable_helm: true, ..Options::default() });
    assert!(found.unwrap_err().contains("no Helm engine"));
}
