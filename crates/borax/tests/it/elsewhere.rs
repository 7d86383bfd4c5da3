//! Sources that are not Git, clusters that are not this one, and processes that take turns.

use borax_testkit::cluster::{self, Options};
use borax_testkit::git::{HttpOptions, HttpServer, Repositories};
use borax_testkit::registry::{Registry, RegistryOptions};
use serde_json::json;

use crate::harness::{
    App, Borax, Kube, Ref, Setup, World, config_map, git_repository, kustomization, namespace,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_oci_artifact_is_applied_and_a_newer_one_follows() {
    let Some(world) = World::shared().await else { return };
    let kube = world.kube().await;
    let registry = Registry::start(RegistryOptions::default());
    let push = |tag: &str, value: &str| {
        let text = config_map("a", "key", value);
        registry.push_flux_artifact("org/app", tag, &[("a.yaml", text.as_bytes())], &[])
    };
    push("1.0.0", "one");
    let source = format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata:\n  name: app\n  namespace: oci\nspec:\n  interval: 1h\n  insecure: true\n  url: {}\n  ref:\n    semver: 1.x\n---\n",
        registry.url("org/app")
    );
    let applier = kustomization("oci", "app", "app", "./", "targetNamespace: oci\n");
    let applier = applier.replace("kind: GitRepository", "kind: OCIRepository");
    kube.apply(&(namespace("oci") + &source + &applier)).await;
    let map = Ref::config_map("oci", "a");
    kube.until_value(&map, "key", "one").await;
    let digest = push("1.1.0", "two");
    let id = Ref::new("source.toolkit.fluxcd.io/v1", "OCIRepository", "oci", "app");
    kube.request(&id).await;
    kube.until_value(&map, "key", "two").await;
    let revision = format!("1.1.0@{digest}");
    kube.until_ready(&Ref::kustomization("oci", "app"), &revision).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_artifact_is_applied_where_its_gate_is_open() {
    let flags = ["--feature-gates=ExternalArtifact=true"];
    let Some(world) = World::start(Setup { flags: &flags, ..Setup::default() }).await else {
        return;
    };
    let files = [("a.yaml", &*config_map("a", "key", "one"))];
    let app = App::place(&world, "external", &files, "targetNamespace: external\n").await;
    app.kube.until_ready(&app.kustomization, "main@").await;
    // What some other controller serves is here what Borax serves itself.
    let artifact = app.kube.get(&app.source).await.unwrap()["status"]["artifact"].clone();
    let text = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: ExternalArtifact\nmetadata:\n  name: made\n  namespace: made\nspec: {}\n---\n";
    let applier = kustomization("made", "app", "made", "./", "targetNamespace: made\n");
    let applier = applier.replace("kind: GitRepository", "kind: ExternalArtifact");
    app.kube.apply(&(namespace("made") + text + &applier)).await;
    let id = Ref::new("source.toolkit.fluxcd.io/v1", "ExternalArtifact", "made", "made");
    app.kube.merge_status(&id, json!({"artifact": artifact})).await;
    app.kube.until_value(&Ref::config_map("made", "a"), "key", "one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_in_a_secret_leads_to_another_cluster() {
    let Some(world) = World::start(Setup::default()).await else { return };
    let Some(other) = cluster::own(Options::default()) else { return };
    let there = Kube::connect(&other.kubeconfig(), None).await;
    there.apply(&namespace("remote")).await;
    let kube = world.kube().await;
    let kubeconfig = std::fs::read_to_string(other.kubeconfig()).unwrap();
    kube.apply(&namespace("remote")).await;
    kube.apply_value(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "other", "namespace": "remote"},
        "stringData": {"value": kubeconfig},
    }))
    .await;
    let files = [("a.yaml", &*config_map("a", "key", "one"))];
    let more = "targetNamespace: remote\nwait: true\nkubeConfig:\n  secretRef:\n    name: other\n";
    let app = App::place(&world, "remote", &files, more).await;
    app.kube.until_ready(&app.kustomization, "main@").await;
    let map = app.config_map("a");
    assert_eq!(there.get(&map).await.unwrap()["data"]["key"], "one");
    assert!(app.kube.get(&map).await.is_none(), "it was applied here");
    app.kube.delete(&app.kustomization).await;
    app.kube.until_gone(&app.kustomization).await;
    assert!(there.get(&map).await.is_none(), "it was left there");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_is_killed_the_next_one_carries_on() {
    let Some(plane) = cluster::own(Options::default()) else { return };
    let kube = Kube::connect(&plane.kubeconfig(), None).await;
    kube.install_crds().await;
    kube.apply(&(namespace("flux-system") + &namespace("led"))).await;
    let flags = [
        "--enable-leader-election",
        "--leader-election-lease-duration=3s",
        "--leader-election-renew-deadline=2s",
        "--leader-election-retry-period=500ms",
    ];
    let mut first = Borax::start(&plane.kubeconfig(), &flags, None).await;
    let lease = Ref::new("coordination.k8s.io/v1", "Lease", "flux-system", "borax-leader-election");
    let held = kube
        .until_some("someone leads", &lease, |lease| lease["spec"]["holderIdentity"].is_string())
        .await;
    let _second = Borax::start(&plane.kubeconfig(), &flags, None).await;
    let repositories = Repositories::new();
    let repository = repositories.create("led.git");
    repository.commit("main", &[("a.yaml", &config_map("a", "key", "one"))]);
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let source = git_repository("led", "app", &server.url("led.git"));
    kube.apply(&(source + &kustomization("led", "app", "app", "./", "targetNamespace: led\n")))
        .await;
    kube.until_value(&Ref::config_map("led", "a"), "key", "one").await;

    first.kill();
    kube.until_some("another one leads", &lease, |lease| {
        lease["spec"]["holderIdentity"] != held["spec"]["holderIdentity"]
    })
    .await;
    let commit = repository.commit("main", &[("a.yaml", &config_map("a", "key", "two"))]);
    kube.request(&Ref::git("led", "app")).await;
    kube.until_ready(&Ref::kustomization("led", "app"), &commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_namespace_alone_is_watched_where_told_so_and_a_missing_kind_stops_no_one() {
    let Some(plane) = cluster::own(Options::default()) else { return };
    let kube = Kube::connect(&plane.kubeconfig(), None).await;
    kube.install_crds().await;
    for plural in ["imagerepositories", "imagepolicies", "imageupdateautomations"] {
        let name = format!("{plural}.image.toolkit.fluxcd.io");
        let id = Ref::new("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", &name);
        kube.delete(&id).await;
        kube.until_gone(&id).await;
    }
    let repositories = Repositories::new();
    let repository = repositories.create("one.git");
    repository.commit("main", &[("a.yaml", &config_map("a", "key", "one"))]);
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    // The other one is there first, so it would be looked at first.
    for place in ["other", "flux-system"] {
        let source = git_repository(place, "app", &server.url("one.git"));
        let more = format!("targetNamespace: {place}\n");
        let applier = kustomization(place, "app", "app", "./", &more);
        kube.apply(&(namespace(place) + &source + &applier)).await;
    }
    let _borax = Borax::start(&plane.kubeconfig(), &["--watch-all-namespaces=false"], None).await;
    kube.until_ready(&Ref::kustomization("flux-system", "app"), "main@").await;
    for id in [Ref::git("other", "app"), Ref::kustomization("other", "app")] {
        let left = kube.get(&id).await.unwrap();
        assert!(left["metadata"]["finalizers"].is_null(), "{left}");
        assert!(left["status"]["artifact"].is_null(), "{left}");
    }
}
