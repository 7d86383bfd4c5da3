//! Many HelmReleases of one chart of four objects on a real control plane of their own.
//!
//! Owns the story (first install, idle intervals, a new chart version that upgrades all, deletion) and the table
//! printed of it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use borax_testkit::cluster::{ControlPlane, Options};
use borax_testkit::oracle;
use borax_testkit::registry::{Registry, RegistryOptions, tar_gz};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams, WatchEvent, WatchParams,
};
use serde_json::{Value, json};

use super::operator::{Operator, cost, free_port, install_crds, measured, table};

const NAMESPACE: &str = "bench";
const PATIENCE: Duration = Duration::from_secs(600);

/// Four objects of four kinds, of which the first holds the chart's version.
const TEMPLATES: [(&str, &str); 4] = [
    (
        "web/templates/config.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}\"}\ndata: {version: \"{{ .Chart.Version }}\"}\n",
    ),
    (
        "web/templates/account.yaml",
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: \"{{ .Release.Name }}\"}\n",
    ),
    (
        "web/templates/service.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: \"{{ .Release.Name }}\"}\nspec: {clusterIP: None, selector: {app: \"{{ .Release.Name }}\"}}\n",
    ),
    (
        "web/templates/role.yaml",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: \"{{ .Release.Name }}\"}\nrules: [{apiGroups: [\"\"], resources: [pods], verbs: [get]}]\n",
    ),
];

/// How much, and of whom.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure this Borax; a release build of this tree without
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How many HelmReleases, one control plane for each number
    #[arg(long, value_delimiter = ',', default_value = "100,300,1000")]
    counts: Vec<usize>,
    /// How long to watch that nothing is done when nothing changes; the interval is a minute
    #[arg(long, default_value_t = 75)]
    idle_seconds: u64,
    /// Further flags of the operator
    #[arg(last = true)]
    flags: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    crate::oracles::build(&oracle::set("controlplane")?)?;
    let borax = super::borax(args.binary.as_deref())?;
    let runtime = tokio::runtime::Runtime::new()?;
    for count in &args.counts {
        runtime.block_on(story(args, &borax, *count))?;
    }
    Ok(())
}

async fn story(args: &Args, borax: &std::path::Path, count: usize) -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options { audit: true, ..Options::default() })?;
    let registry = Registry::start(RegistryOptions::default());
    registry.push_chart("org/web", "1.0.0", chart("1.0.0"));
    let client = plane.client().await?;
    install_crds(&client).await?;
    create_objects(&client, count, &registry.url("org/web")).await?;
    let releases = api(&client, "helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases");
    let sources =
        api(&client, "source.toolkit.fluxcd.io", "v1", "OCIRepository", "ocirepositories");
    let (storage, metrics, health) = (free_port()?, free_port()?, free_port()?);
    let mut flags = vec![
        "run".to_owned(),
        format!("--storage-path={}", plane.folder().join("cache").display()),
        format!("--storage-addr=127.0.0.1:{storage}"),
        format!("--storage-adv-addr=127.0.0.1:{storage}"),
        format!("--metrics-addr=127.0.0.1:{metrics}"),
        format!("--health-addr=127.0.0.1:{health}"),
    ];
    flags.extend(args.flags.iter().cloned());
    let mut log = plane.request_log();
    log.take()?;
    let what = "HelmReleases of 4 objects";

    let before = cost(&plane, None);
    let begin = Instant::now();
    let operator = Operator::start(borax, &flags, &plane, &plane.folder().join("operator.log"))?;
    until_released(&releases, count, "1.0.0").await?;
    let phase = measured(&plane, &mut log, "first install", begin, &before, &operator)?;
    print!("{}", table(what, count, &phase));

    let (begin, before) = (Instant::now(), cost(&plane, Some(&operator)));
    tokio::time::sleep(Duration::from_secs(args.idle_seconds)).await;
    let phase = measured(&plane, &mut log, "idle", begin, &before, &operator)?;
    print!("{}", table(what, count, &phase));

    registry.push_chart("org/web", "1.1.0", chart("1.1.0"));
    let (begin, before) = (Instant::now(), cost(&plane, Some(&operator)));
    let patch = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "1"}}});
    sources.patch("chart", &PatchParams::default(), &Patch::Merge(patch)).await?;
    until_released(&releases, count, "1.1.0").await?;
    let phase = measured(&plane, &mut log, "upgrade", begin, &before, &operator)?;
    print!("{}", table(what, count, &phase));

    let (begin, before) = (Instant::now(), cost(&plane, Some(&operator)));
    releases.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    let gone = async {
        while !releases.list_metadata(&ListParams::default()).await?.items.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, gone).await.context("deletion takes too long")??;
    let phase = measured(&plane, &mut log, "deletion", begin, &before, &operator)?;
    print!("{}", table(what, count, &phase));
    Ok(())
}

fn chart(version: &str) -> Vec<u8> {
    let meta = format!("apiVersion: v2\nname: web\nversion: {version}\n");
    let mut files: Vec<(&str, &[u8])> = vec![("web/Chart.yaml", meta.as_bytes())];
    files.extend(TEMPLATES.iter().map(|(path, text)| (*path, text.as_bytes())));
    tar_gz(&files)
}

fn api(
    client: &kube::Client,
    group: &str,
    version: &str,
    kind: &str,
    plural: &str,
) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let resource = ApiResource { plural: plural.to_owned(), ..resource };
    Api::namespaced_with(client.clone(), NAMESPACE, &resource)
}

async fn create_objects(client: &kube::Client, count: usize, url: &str) -> anyhow::Result<()> {
    let create = async |api: &Api<DynamicObject>, object: Value| {
        let object: DynamicObject = serde_json::from_value(object)?;
        api.create(&PostParams::default(), &object).await?;
        anyhow::Ok(())
    };
    let namespaces: Api<DynamicObject> = Api::all_with(
        client.clone(),
        &ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace")),
    );
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    create(&namespaces, namespace).await?;
    let source = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository",
        "metadata": {"name": "chart", "namespace": NAMESPACE},
        "spec": {
            "interval": "1h", "insecure": true, "url": url, "ref": {"semver": ">=0.0.0"},
            "layerSelector": {
                "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
                "operation": "copy",
            },
        },
    });
    let sources = api(client, "source.toolkit.fluxcd.io", "v1", "OCIRepository", "ocirepositories");
    create(&sources, source).await?;
    let releases = api(client, "helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases");
    let all = (0..count).map(|number| {
        let release = json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": format!("web-{number}"), "namespace": NAMESPACE},
            "spec": {"interval": "1m", "chartRef": {"kind": "OCIRepository", "name": "chart"}},
        });
        create(&releases, release)
    });
    futures::stream::iter(all).buffer_unordered(16).try_collect::<Vec<()>>().await?;
    Ok(())
}

/// Waits until `count` HelmReleases are ready with a release of the chart version.
async fn until_released(
    api: &Api<DynamicObject>,
    count: usize,
    version: &str,
) -> anyhow::Result<()> {
    let mut done = std::collections::BTreeSet::new();
    let released = |object: &DynamicObject| {
        let status = &object.data["status"];
        let ready = status["conditions"].as_array().cloned().into_iter().flatten();
        let is_ready = ready.filter(|c| c["type"] == "Ready").any(|c| c["status"] == "True");
        let newest = status["history"][0]["chartVersion"].as_str().unwrap_or_default();
        is_ready && newest.starts_with(version)
    };
    let watch = async {
        while done.len() < count {
            let mut events = api.watch(&WatchParams::default(), "0").await?.boxed();
            while let Some(event) = events.try_next().await? {
                let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else {
                    continue;
                };
                if released(&object) {
                    done.insert(object.metadata.name.unwrap_or_default());
                }
                if done.len() >= count {
                    break;
                }
            }
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(PATIENCE, watch).await {
        Ok(result) => result,
        Err(_) => bail!(
            "after {} s {} of {count} have a release of {version}",
            PATIENCE.as_secs(),
            done.len()
        ),
    }
}
