//! Charts in a registry, and HelmReleases on them.

use std::path::Path;
use std::process::Command;

use borax_testkit::oracle;
use borax_testkit::registry::{Registry, RegistryOptions, tar_gz};
use serde_json::Value;

use super::{Kube, Ref, World, conditions, namespace};

/// A namespace with a registry, an OCIRepository `chart` and a HelmRelease `web` on it.
pub(crate) struct Release<'w> {
    pub(crate) world: &'w World,
    pub(crate) kube: Kube,
    pub(crate) registry: Registry,
    pub(crate) namespace: String,
    pub(crate) source: Ref,
    pub(crate) release: Ref,
}

/// The archive of a chart `web`: its files besides Chart.yaml.
pub(crate) fn chart(version: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let meta =
        format!("apiVersion: v2\nname: web\nversion: {version}\nappVersion: \"{version}\"\n");
    let all: Vec<(String, Vec<u8>)> = std::iter::once(("Chart.yaml", meta.as_str()))
        .chain(files.iter().copied())
        .map(|(path, text)| (format!("web/{path}"), text.as_bytes().to_vec()))
        .collect();
    let all: Vec<(&str, &[u8])> = all.iter().map(|(p, c)| (p.as_str(), c.as_slice())).collect();
    tar_gz(&all)
}

/// A ConfigMap that holds the value `greeting`.
pub(crate) const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  greeting: {{ .Values.greeting | quote }}\n  revision: {{ .Release.Revision | quote }}\n";
/// The values of a chart with [`CONFIG`].
pub(crate) const VALUES: &str = "greeting: hello\n";

/// The manifest of the source.
pub(crate) fn oci_repository(namespace: &str, url: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata:\n  name: chart\n  namespace: {namespace}\nspec:\n  interval: 1h\n  insecure: true\n  url: {url}\n  ref:\n    semver: \">=0.0.0\"\n  layerSelector:\n    mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip\n    operation: copy\n---\n"
    )
}

/// The manifest of a HelmRelease; `more` goes into its spec (indented by two).
pub(crate) fn helm_release(namespace: &str, name: &str, more: &str) -> String {
    let more: String = more.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  interval: 1h\n  chartRef:\n    kind: OCIRepository\n    name: chart\n{more}---\n"
    )
}

impl<'w> Release<'w> {
    /// Pushes chart 1.0.0 with these files and puts a HelmRelease on it.
    pub(crate) async fn place(
        world: &'w World,
        name: &str,
        files: &[(&str, &str)],
        more: &str,
    ) -> Release<'w> {
        let registry = Registry::start(RegistryOptions::default());
        registry.push_chart("org/web", "1.0.0", chart("1.0.0", files));
        let kube = world.kube().await;
        let manifests = [
            namespace(name),
            oci_repository(name, &registry.url("org/web")),
            helm_release(name, "web", more),
        ];
        kube.apply(&manifests.concat()).await;
        Release {
            world,
            kube,
            registry,
            namespace: name.to_owned(),
            source: Ref::new("source.toolkit.fluxcd.io/v1", "OCIRepository", name, "chart"),
            release: Ref::helm_release(name, "web"),
        }
    }

    /// The same in the shared world, ready.
    pub(crate) async fn start(
        name: &str,
        files: &[(&str, &str)],
        more: &str,
    ) -> Option<Release<'w>> {
        let app = Release::place(World::shared().await?, name, files, more).await;
        app.until_ready("1.0.0").await;
        Some(app)
    }

    /// Pushes another version and asks the source to look.
    pub(crate) async fn push(&self, version: &str, files: &[(&str, &str)]) {
        self.registry.push_chart("org/web", version, chart(version, files));
        self.kube.request(&self.source).await;
    }

    /// Waits until the release is ready on a chart version.
    pub(crate) async fn until_ready(&self, version: &str) -> Value {
        self.kube.until_released(&self.release, version).await
    }

    /// Waits until Ready is False with a reason.
    pub(crate) async fn until_failed(&self, reason: &str) -> Value {
        self.kube
            .until_some(&format!("it fails with {reason}"), &self.release, |object| {
                super::ready(object) == Some("False") && super::reason(object, "Ready") == reason
            })
            .await
    }

    pub(crate) fn config_map(&self, name: &str) -> Ref {
        Ref::config_map(&self.namespace, name)
    }

    /// Merges a patch into the HelmRelease.
    pub(crate) async fn patch(&self, patch: Value) {
        self.kube.merge(&self.release, patch).await;
    }

    /// Runs the real helm against the cluster; `None` after saying that it is not there.
    pub(crate) fn helm(&self, args: &[&str]) -> Option<String> {
        helm(&self.world.plane.kubeconfig(), &self.namespace, args)
    }
}

/// Runs the real helm; `None` after saying that it is not there.
pub(crate) fn helm(kubeconfig: &Path, namespace: &str, args: &[&str]) -> Option<String> {
    let helm = oracle::require("helm")?;
    let output = Command::new(helm)
        .args(args)
        .args(["--namespace", namespace])
        .env("KUBECONFIG", kubeconfig)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "helm {args:?}: {error}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Whether the newest release in a status is of a chart version.
pub(crate) fn is_released(object: &Value, version: &str) -> bool {
    let newest = &object["status"]["history"][0];
    let chart = newest["chartVersion"].as_str().unwrap_or_default();
    let is_ready = conditions(object).iter().any(|condition| {
        condition["type"] == "Ready"
            && condition["status"] == "True"
            && condition["observedGeneration"] == object["metadata"]["generation"]
    });
    is_ready
        && object["status"]["observedGeneration"] == object["metadata"]["generation"]
        && chart.split('+').next() == Some(version)
}
