//! A tenant's Kustomization has the tenant's rights, on every request, whatever it tries.

use borax_testkit::git::Change;
use serde_json::json;

use crate::harness::{
    App, Kube, Ref, Setup, World, config_map, kustomization, message, namespace, reason, status_of,
};

/// A namespace with a service account that may do everything in it and nothing elsewhere.
async fn tenant(kube: &Kube, name: &str) {
    let account = format!(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: tenant\n  namespace: {name}\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata:\n  name: tenant\n  namespace: {name}\n\
         roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: admin\n\
         subjects:\n  - kind: ServiceAccount\n    name: tenant\n    namespace: {name}\n"
    );
    kube.apply(&(namespace(name) + &account)).await;
}

const AS_TENANT: &str = "serviceAccountName: tenant\n";

#[tokio::test(flavor = "multi_thread")]
async fn every_request_for_a_tenant_is_made_with_the_tenants_rights() {
    let Some(world) = World::start(Setup { audit: true, ..Setup::default() }).await else { return };
    let kube = world.kube().await;
    tenant(&kube, "mine").await;
    let files =
        [("a.yaml", &*config_map("a", "key", "one")), ("b.yaml", &*config_map("b", "key", "one"))];
    let more = format!("{AS_TENANT}targetNamespace: mine\nwait: true\n");
    let app = App::place(&world, "mine", &files, &more).await;
    kube.until_ready(&app.kustomization, "main@").await;
    let two = config_map("a", "key", "two");
    let changes = [("a.yaml", Change::File(two.as_bytes())), ("b.yaml", Change::Delete)];
    let commit = app.push(&changes).await;
    kube.until_ready(&app.kustomization, &commit).await;
    kube.until_gone(&app.config_map("b")).await;
    kube.delete(&app.kustomization).await;
    kube.until_gone(&app.config_map("a")).await;
    kube.until_gone(&app.kustomization).await;

    let requests = world.plane.request_log().take().unwrap();
    let about = |name: &str| {
        requests
            .iter()
            .filter(move |r| {
                r.agent.starts_with("borax")
                    && r.resource == name
                    && r.namespace == "mine"
                    && r.verb != "watch"
                    && r.verb != "list"
            })
            .collect::<Vec<_>>()
    };
    let applied = about("configmaps");
    assert!(applied.len() >= 7, "{applied:#?}");
    let user = Some("system:serviceaccount:mine:tenant".to_owned());
    let strangers: Vec<_> = applied.iter().filter(|r| r.impersonated != user).collect();
    assert!(strangers.is_empty(), "{strangers:#?}");
    assert!(about("kustomizations").iter().all(|r| r.impersonated.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_may_not_do_is_refused_and_said() {
    let flags =
        ["--no-cross-namespace-refs", "--no-remote-bases", "--default-service-account=default"];
    let Some(world) = World::start(Setup { flags: &flags, ..Setup::default() }).await else {
        return;
    };
    let kube = world.kube().await;
    let victim = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: victim\ndata:\n  key: victim\n";
    kube.apply(&(namespace("victim") + victim)).await;
    futures::join!(
        another_namespace(&world),
        another_namespaces_source(&world),
        another_namespaces_health(&world),
        nobodys_rights(&world),
        remote_bases(&world),
        the_way_out_of_the_tree(&world),
        links(&world),
    );
    let object = kube.get(&Ref::config_map("victim", "a")).await.unwrap();
    assert_eq!(object["data"], json!({"key": "victim"}));
}

async fn another_namespace(world: &World) {
    tenant(&world.kube().await, "reach").await;
    let text =
        config_map("a", "key", "mine").replace("  name: a\n", "  name: a\n  namespace: victim\n");
    let app = App::place(world, "reach", &[("a.yaml", &text)], AS_TENANT).await;
    let words = app.until_failed("ReconciliationFailed").await;
    assert!(words.contains("ConfigMap/victim/a") && words.contains("(Forbidden)"), "{words}");
    assert!(words.contains("system:serviceaccount:reach:tenant"), "{words}");
}

async fn another_namespaces_source(world: &World) {
    let app = App::place(
        world,
        "source-owner",
        &[("a.yaml", &config_map("a", "key", "one"))],
        "suspend: true\n",
    )
    .await;
    app.kube.until_ready(&app.source, "main@").await;
    let text = kustomization("source-thief", "app", "app", "./", AS_TENANT)
        .replace("    name: app\n", "    name: app\n    namespace: source-owner\n");
    let kube = world.kube().await;
    tenant(&kube, "source-thief").await;
    kube.apply(&text).await;
    let id = Ref::kustomization("source-thief", "app");
    let object =
        kube.until_some("it is denied", &id, |o| status_of(o, "Stalled") == Some("True")).await;
    assert_eq!(reason(&object, "Ready"), "AccessDenied");
    assert_eq!(
        message(&object, "Ready"),
        "can't access 'GitRepository/source-owner/app', cross-namespace references have been blocked"
    );
}

/// Whether another's workload is healthy is not a tenant's to know.
async fn another_namespaces_health(world: &World) {
    tenant(&world.kube().await, "peek").await;
    let more = format!(
        "{AS_TENANT}targetNamespace: peek\ntimeout: 30s\nhealthChecks:\n  - apiVersion: v1\n    kind: ConfigMap\n    name: a\n    namespace: victim\n"
    );
    let app = App::place(world, "peek", &[("a.yaml", &config_map("a", "key", "one"))], &more).await;
    let words = app.until_failed("HealthCheckFailed").await;
    assert!(words.contains("ConfigMap/victim/a"), "{words}");
}

async fn nobodys_rights(world: &World) {
    let files = [("a.yaml", &*config_map("a", "key", "one"))];
    let app = App::place(world, "nobody", &files, "targetNamespace: nobody\n").await;
    let words = app.until_failed("ReconciliationFailed").await;
    assert!(words.contains("system:serviceaccount:nobody:default"), "{words}");
}

async fn remote_bases(world: &World) {
    tenant(&world.kube().await, "remote").await;
    let url = format!("http://{}/base.git//x?ref=main", world.server.address());
    let file = format!("resources:\n  - {url}\n");
    let app = App::place(world, "remote", &[("kustomization.yaml", &file)], AS_TENANT).await;
    let words = app.until_failed("BuildFailed").await;
    assert!(words.contains("base.git"), "{words}");
    let asked: Vec<_> = world
        .server
        .take_seen()
        .into_iter()
        .filter(|seen| seen.line.contains("base.git"))
        .collect();
    assert!(asked.is_empty(), "{asked:?}");
}

async fn the_way_out_of_the_tree(world: &World) {
    tenant(&world.kube().await, "outside").await;
    let files = [
        ("app/kustomization.yaml", "resources:\n  - ../../../../../../etc/passwd\n"),
        (
            "generator/kustomization.yaml",
            "configMapGenerator:\n  - name: stolen\n    files:\n      - ../../../../../../../etc/passwd\n",
        ),
    ];
    let app =
        App::place(world, "outside", &files, &format!("{AS_TENANT}targetNamespace: outside\n"))
            .await;
    let refused = app.until_failed("BuildFailed").await;
    assert!(!refused.is_empty());
    for path in ["./app", "./generator", "../../../../../etc"] {
        app.kube.merge(&app.kustomization, json!({"spec": {"path": path}})).await;
        let object = app
            .kube
            .until_some("it is refused", &app.kustomization, |object| {
                status_of(object, "Ready") == Some("False")
                    && object["status"]["conditions"].as_array().unwrap().iter().any(|c| {
                        c["type"] == "Ready"
                            && c["observedGeneration"] == object["metadata"]["generation"]
                    })
            })
            .await;
        let words = message(&object, "Ready");
        assert!(
            ["BuildFailed", "ArtifactFailed"].contains(&reason(&object, "Ready")),
            "{path}: {words}"
        );
        assert!(words.contains("etc") && !words.contains("root:"), "{path}: {words}");
    }
}

async fn links(world: &World) {
    tenant(&world.kube().await, "links").await;
    let app = App::place(
        world,
        "links",
        &[("a.yaml", &config_map("a", "key", "one"))],
        &format!("{AS_TENANT}targetNamespace: links\n"),
    )
    .await;
    app.kube.until_ready(&app.kustomization, "main@").await;
    let file = b"resources:\n  - a.yaml\nconfigMapGenerator:\n  - name: stolen\n    files:\n      - passwd\n";
    app.push(&[
        ("passwd", Change::Link("/etc/passwd")),
        ("kustomization.yaml", Change::File(file)),
    ])
    .await;
    let words = app.until_failed("BuildFailed").await;
    assert!(words.contains("passwd") && !words.contains("root:"), "{words}");
}
