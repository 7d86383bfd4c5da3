//! The d1 story: a fleet repository brings up infrastructure and tenants on staging; what is merged into the
//! production branch reaches the production cluster, and only that one.

use std::fs;

use borax_testkit::git::{Change, Repository};
use serde_json::{Value, json};

use crate::harness::{
    Kube, Ref, Setup, World, commit_tree, files_below, namespace, project, revision, substituted,
};

/// The Kustomizations of a cluster, as (namespace, name), in the order in which they can become ready.
pub(crate) const EVERYWHERE: &[(&str, &str)] = &[
    ("flux-system", "flux-system"),
    ("flux-system", "monitoring-controllers"),
    ("flux-system", "monitoring-configs"),
    ("flux-system", "admission-controllers"),
    ("flux-system", "admission-configs"),
    ("flux-system", "infra-tenant"),
    ("flux-system", "apps-tenant"),
    ("frontend", "frontend"),
    ("backend", "backend"),
];

/// Those that only a cluster has where images are updated by machines.
pub(crate) const STAGING: &[(&str, &str)] =
    &[("flux-system", "infra-update-policies"), ("apps-update", "flux-apps")];

pub(crate) struct Fleet {
    pub(crate) infra: Repository,
}

impl Fleet {
    fn push(world: &World) -> Self {
        Self::push_with(world, |text| text)
    }

    /// With the texts of the infrastructure's files as `change` makes them.
    pub(crate) fn push_with(world: &World, change: impl Fn(String) -> String) -> Self {
        for name in ["fleet", "apps"] {
            let repository = world.repositories.create(&format!("{name}.git"));
            let commit = commit_tree(&repository, "main", &project("config/d1").join(name));
            repository.set_ref("refs/heads/production", &commit);
        }
        let infra = world.repositories.create("infra.git");
        let files = files_below(&project("config/d1/infra")).into_iter();
        let files: Vec<(String, String)> =
            files.map(|(path, bytes)| (path, change(String::from_utf8(bytes).unwrap()))).collect();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let commit = infra.commit("main", &files);
        infra.set_ref("refs/heads/production", &commit);
        Self { infra }
    }
}

pub(crate) async fn bootstrap(kube: &Kube, cluster: &str, server: &str) {
    kube.apply(&namespace("flux-system")).await;
    // Borax runs beside the cluster here: of the plain install only the rights are wanted.
    let install = fs::read_to_string(project("config/install/borax.yaml")).unwrap();
    for document in install.split("\n---\n").filter(|text| {
        text.contains("rbac.authorization.k8s.io") || text.contains("kind: ServiceAccount")
    }) {
        kube.apply(document).await;
    }
    let text = substituted("config/d1/bootstrap.yaml", "GIT_SERVER_URL", server);
    kube.apply(&text.replace("CLUSTER", cluster)).await;
}

pub(crate) async fn until_all_ready(kube: &Kube, kustomizations: &[(&str, &str)]) {
    for (namespace, name) in kustomizations {
        kube.until_ready(&Ref::kustomization(namespace, name), "@sha1:").await;
    }
}

fn argument(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]["containers"][0]["args"][0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_comes_up_and_a_merge_reaches_production_alone() {
    let Some(staging) = World::start(Setup::default()).await else { return };
    let Some(production) = World::start(Setup::default()).await else { return };
    let fleet = Fleet::push(&staging);
    let server = format!("http://{}", staging.server.address());
    let (on_staging, on_production) = (staging.kube().await, production.kube().await);
    bootstrap(&on_staging, "staging", &server).await;
    bootstrap(&on_production, "production", &server).await;
    until_all_ready(&on_staging, EVERYWHERE).await;
    until_all_ready(&on_staging, STAGING).await;
    until_all_ready(&on_production, EVERYWHERE).await;

    brought_up(&on_staging, "24h", 1, "staging-1", "preview.example.com").await;
    brought_up(&on_production, "48h", 2, "production-1", "example.com").await;
    let automation =
        Ref::new("image.toolkit.fluxcd.io/v1", "ImageUpdateAutomation", "flux-system", "infra");
    assert!(on_staging.get(&automation).await.is_some());
    assert!(on_production.get(&automation).await.is_none(), "production is updated by machines");
    assert!(on_production.get(&Ref::namespace("apps-update")).await.is_none());

    a_commit_and_then_a_merge(&fleet, &on_staging, &on_production).await;
}

/// Everything that the trees say, as this cluster's variables and overlays make it.
async fn brought_up(kube: &Kube, retention: &str, replicas: u64, cluster: &str, domain: &str) {
    let collector = kube.get(&Ref::deployment("metrics", "collector")).await.unwrap();
    assert_eq!(*argument(&collector), format!("--retention={retention}"));
    assert_eq!(collector["spec"]["replicas"], replicas);
    // The name of a generated ConfigMap is followed where kustomize knows of it, and where it was told.
    let pod = &collector["spec"]["template"]["spec"];
    let settings = pod["volumes"][0]["configMap"]["name"].as_str().unwrap();
    assert_eq!(pod["containers"][0]["envFrom"][0]["configMapRef"]["name"], settings);
    let settings = kube.get(&Ref::config_map("metrics", settings)).await.unwrap();
    assert_eq!(settings["data"]["CLUSTER"], cluster);
    let release =
        Ref::new("helm.toolkit.fluxcd.io/v2", "HelmRelease", "metrics", "monitoring-stack");
    let release = kube.get(&release).await.unwrap();
    let values = release["spec"]["valuesFrom"][0]["name"].as_str().unwrap();
    assert!(kube.get(&Ref::config_map("metrics", values)).await.is_some(), "{values}");
    assert_eq!(release["spec"]["values"]["server"]["retention"], retention);

    let scrape = Ref::new("metrics.example.com/v1", "Scrape", "metrics", "flux-system");
    assert!(kube.get(&scrape).await.is_some());
    let policy = Ref::new(
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        "",
        "charts-from-oci",
    );
    assert!(kube.get(&policy).await.is_some());
    let webhook = kube.get(&Ref::deployment("guard", "guard-webhook")).await.unwrap();
    assert_eq!(
        webhook["spec"]["template"]["spec"]["containers"][0]["env"],
        json!([{"name": "CLUSTER", "value": cluster}])
    );

    let ingress =
        kube.get(&Ref::new("networking.k8s.io/v1", "Ingress", "frontend", "web")).await.unwrap();
    assert_eq!(ingress["spec"]["rules"][0]["host"], format!("web.{domain}"));
    let cache = kube
        .get(&Ref::new("helm.toolkit.fluxcd.io/v2", "HelmRelease", "backend", "cache"))
        .await
        .unwrap();
    assert_eq!(
        cache["spec"]["serviceAccountName"], "flux-apps",
        "the patch of the Kustomization was not applied"
    );
    // What Git says was merged into what was there.
    let info = kube.get(&Ref::config_map("flux-system", "flux-runtime-info")).await.unwrap();
    assert_eq!(info["data"]["CLUSTER_NAME"], cluster);
    assert!(info["data"]["GIT_SERVER"].as_str().unwrap().starts_with("http://"));
}

async fn a_commit_and_then_a_merge(fleet: &Fleet, on_staging: &Kube, on_production: &Kube) {
    let source = Ref::git("flux-system", "flux-infra");
    let collector = Ref::deployment("metrics", "collector");
    let image =
        |object: &Value| object["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    let path = "components/monitoring/controllers/base/collector.yaml";
    let text =
        substituted(&format!("config/d1/infra/{path}"), "collector:1.4.0", "collector:1.5.0");
    let change = [(path, Change::File(text.as_bytes()))];
    let commit =
        fleet.infra.commit_changes("refs/heads/main", &change, "collector 1.5.0\n", 1_700_000_100);
    let before = on_production.get(&collector).await.unwrap();

    on_staging.request(&source).await;
    let monitoring = Ref::kustomization("flux-system", "monitoring-controllers");
    on_staging.until_ready(&monitoring, &commit).await;
    assert_eq!(
        image(&on_staging.get(&collector).await.unwrap()),
        "registry.example.com/collector:1.5.0"
    );
    // Dependents follow to the same commit.
    on_staging.until_ready(&Ref::kustomization("flux-system", "admission-configs"), &commit).await;
    let object = on_production.reconcile(&source).await;
    assert!(
        revision(&object).starts_with("production@sha1:") && !revision(&object).contains(&commit)
    );
    assert_eq!(
        on_production.get(&collector).await.unwrap()["metadata"]["generation"],
        before["metadata"]["generation"]
    );

    let staged = on_staging.get(&collector).await.unwrap();
    fleet.infra.set_ref("refs/heads/production", &commit);
    on_production.request(&source).await;
    on_production.until_ready(&monitoring, &commit).await;
    assert_eq!(
        image(&on_production.get(&collector).await.unwrap()),
        "registry.example.com/collector:1.5.0"
    );
    on_staging.reconcile(&source).await;
    let after = on_staging.get(&collector).await.unwrap();
    assert_eq!(after["metadata"]["generation"], staged["metadata"]["generation"]);
    assert_eq!(revision(&on_staging.get(&source).await.unwrap()), format!("main@sha1:{commit}"));
}
