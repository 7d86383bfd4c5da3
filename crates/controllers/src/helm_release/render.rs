//! Rendering a release: the chart with its values, as the cluster's versions and objects make it. Blocking work runs
//! where blocking is allowed.
//!
//! Behaviour: Helm `pkg/action/{install,upgrade,action}.go`.

use std::sync::Arc;

use borax_api::helm::HelmRelease;
use borax_helm::{Capabilities, Chart, KubeVersion, Lookup, Options, Rendered};
use borax_kubeio::Cluster;
use borax_object::Gvk;
use borax_release::{Hook, PostRender, StoredChart};
use serde_json::{Map, Value};

use crate::machine::Machine;

/// What is rendered.
pub(super) struct Rendering {
    pub(super) chart: Arc<Chart>,
    pub(super) values: Map<String, Value>,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) revision: i64,
    pub(super) is_upgrade: bool,
    pub(super) skip_schema: bool,
    pub(super) enable_dns: bool,
}

/// What a rendering came to.
pub(super) struct Made {
    pub(super) chart: StoredChart,
    pub(super) manifest: String,
    pub(super) hooks: Vec<Hook>,
    pub(super) notes: String,
}

/// Renders and post-renders.
///
/// # Errors
/// What Helm refuses, in its words.
pub(super) async fn render(
    cluster: &Cluster,
    object: &HelmRelease,
    rendering: Rendering,
    with_origin: bool,
) -> Result<Made, String> {
    let capabilities = capabilities(cluster).await?;
    let object = object.clone();
    let lookup =
        ClusterLookup { cluster: cluster.clone(), runtime: tokio::runtime::Handle::current() };
    let work = move || {
        let options = Options {
            namespace: rendering.namespace,
            revision: rendering.revision,
            is_upgrade: rendering.is_upgrade,
            capabilities,
            skip_schema_validation: rendering.skip_schema,
            enable_dns: rendering.enable_dns,
            lookup: Some(Arc::new(lookup)),
            ..Options::new(rendering.name, Arc::new(Machine))
        };
        let rendered = borax_helm::render(&rendering.chart, &rendering.values, &options)
            .map_err(|error| error.to_string())?;
        let post = PostRender::of(&object);
        let post = if with_origin { post } else { post.without_origin() };
        let output = post.run(&rendered).map_err(|error| error.to_string())?;
        let Rendered { notes, metadata, chart_values, .. } = rendered;
        Ok(Made {
            chart: StoredChart::of(&rendering.chart, &metadata, &chart_values),
            manifest: output.manifest,
            hooks: output.hooks,
            notes,
        })
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| format!("rendering broke off: {error}"))?
}

async fn capabilities(cluster: &Cluster) -> Result<Capabilities, String> {
    let unreachable =
        |error: &dyn std::fmt::Display| format!("kubernetes cluster unreachable: {error}");
    let api_versions =
        cluster.discovery().api_versions(cluster).await.map_err(|error| unreachable(&error))?;
    let version = cluster.server_version().await.map_err(|error| unreachable(&error))?;
    let kube_version = KubeVersion::parse(&version).map_err(|error| error.to_string())?;
    Ok(Capabilities { kube_version, api_versions })
}

/// The cluster as the `lookup` function sees it, with the rights of the release's service account.
struct ClusterLookup {
    cluster: Cluster,
    runtime: tokio::runtime::Handle,
}

impl Lookup for ClusterLookup {
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, String> {
        let gvk = Gvk::new(api_version, kind);
        self.runtime.block_on(async {
            let resource = match self.cluster.discovery().resolve(&self.cluster, &gvk).await {
                Ok(resource) => resource,
                Err(error) => return Err(format!("unable to get apiresource: {error}")),
            };
            if name.is_empty() {
                let mut items = Vec::new();
                let listed = self
                    .cluster
                    .list_objects(&resource, namespace, "", |item| items.push(item))
                    .await;
                return match listed {
                    Ok(()) => Ok(serde_json::json!({
                        "apiVersion": api_version, "kind": format!("{kind}List"), "items": items,
                    })),
                    Err(error) if error.is_not_found() => Ok(Value::Object(Map::new())),
                    Err(error) => Err(error.to_string()),
                };
            }
            match self.cluster.read_object(&resource, namespace, name).await {
                Ok(object) => Ok(object),
                Err(error) if error.is_not_found() => Ok(Value::Object(Map::new())),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}
