//! The d1 update story: a new chart version in a registry becomes a commit on main, staging follows, and what is merged
//! reaches production.

use borax_testkit::registry::{Registry, RegistryOptions};
use serde_json::Value;

use crate::automation::{IMAGE, automation_ref, policy_ref};
use crate::d1::{EVERYWHERE, Fleet, STAGING, bootstrap, until_all_ready};
use crate::harness::{Kube, Ref, Setup, World, ready};

/// What the policies of `infra/update` find in the registry at first.
const FIRST: [(&str, &str); 4] = [
    ("collector", "1.4.0"),
    ("charts/monitoring-stack", "4.2.0"),
    ("charts/guard", "1.8.3"),
    ("charts/node-metrics", "3.13.1"),
];

const STACK: &str = "components/monitoring/controllers/base/stack.yaml";

fn push_chart(registry: &Registry, repository: &str, version: &str) {
    let name = repository.rsplit('/').next().unwrap();
    let chart = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
    let file = (format!("{name}/Chart.yaml"), chart);
    let packed = borax_testkit::registry::tar_gz(&[(&file.0, file.1.as_bytes())]);
    registry.push_chart(repository, version, packed);
}

/// The version that the release of the monitoring stack is of in a cluster.
fn version(release: &Value) -> &str {
    release["spec"]["chart"]["spec"]["version"].as_str().unwrap_or_default()
}

async fn until_version(kube: &Kube, wanted: &str) {
    let id = Ref::new("helm.toolkit.fluxcd.io/v2", "HelmRelease", "metrics", "monitoring-stack");
    kube.until_some(&format!("the release is {wanted}"), &id, |r| version(r) == wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_chart_becomes_a_commit_on_main_and_a_merge_brings_it_to_production() {
    let Some(staging) = World::start(Setup::default()).await else { return };
    let Some(production) = World::start(Setup::default()).await else { return };
    let registry = Registry::start(RegistryOptions::default());
    for (repository, tag) in FIRST {
        push_chart(&registry, repository, tag);
    }
    let fleet = Fleet::push_with(&staging, |text| {
        text.replace("registry.example.com", &registry.host())
            .replace("  provider: generic\n", "  provider: generic\n  insecure: true\n")
    });
    let server = format!("http://{}", staging.server.address());
    let (on_staging, on_production) = (staging.kube().await, production.kube().await);
    bootstrap(&on_staging, "staging", &server).await;
    bootstrap(&on_production, "production", &server).await;
    until_all_ready(&on_staging, EVERYWHERE).await;
    until_all_ready(&on_staging, STAGING).await;
    until_all_ready(&on_production, EVERYWHERE).await;
    for name in ["collector", "monitoring-stack", "guard", "node-metrics"] {
        let policy = policy_ref("flux-system", name);
        on_staging
            .until_some("the policy has an image", &policy, |p| ready(p) == Some("True"))
            .await;
    }
    let automation = automation_ref("flux-system", "infra");
    on_staging
        .until_some("all policies were looked at", &automation, |object| {
            let seen = object["status"]["observedPolicies"].as_object();
            ready(object) == Some("True") && seen.is_some_and(|seen| seen.len() == FIRST.len())
        })
        .await;
    let before = fleet.infra.hash("main");

    push_chart(&registry, "charts/monitoring-stack", "4.3.0");
    let repository = Ref::new(IMAGE, "ImageRepository", "flux-system", "monitoring-stack");
    on_staging.request(&repository).await;
    let object = on_staging
        .until_some("the new chart is committed", &automation, |object| {
            object["status"]["observedPolicies"]["monitoring-stack"]["tag"] == "4.3.0"
        })
        .await;
    let commit = fleet.infra.hash("main");
    assert_eq!(object["status"]["lastPushCommit"], *commit);
    assert_eq!(fleet.infra.hash("main^"), before);
    assert_eq!(
        fleet.infra.git(&["log", "-1", "--format=%an <%ae>%n%B", "main"]),
        "update-bot <update-bot@example.com>\nNew images\n\n\
         - monitoring/controllers/base/stack.yaml\n\
         HelmRelease monitoring-stack\n  4.2.0 -> 4.3.0"
    );
    let diff = fleet.infra.git(&["diff", "-U0", "--no-prefix", "main^", "main"]);
    let changed: Vec<&str> = diff.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    let line = |sign: char, version: &str| {
        format!(
            "{sign}      version: \"{version}\" # {{\"$imagepolicy\": \"flux-system:monitoring-stack:tag\"}}"
        )
    };
    assert_eq!(
        changed,
        [format!("--- {STACK}"), format!("+++ {STACK}"), line('-', "4.2.0"), line('+', "4.3.0")]
    );

    // Staging follows; production does not, before somebody merges.
    let source = Ref::git("flux-system", "flux-infra");
    on_staging.request(&source).await;
    until_version(&on_staging, "4.3.0").await;
    let monitoring = Ref::kustomization("flux-system", "monitoring-controllers");
    on_staging.until_ready(&monitoring, &commit).await;
    on_production.reconcile(&source).await;
    until_version(&on_production, "4.2.0").await;
    fleet.infra.set_ref("refs/heads/production", &commit);
    on_production.request(&source).await;
    until_version(&on_production, "4.3.0").await;
    on_production.until_ready(&monitoring, &commit).await;
    assert_eq!(fleet.infra.git(&["fsck", "--strict", "--no-dangling"]), "");
}
