//! What a HelmRelease costs the API server, counted in its audit log.

use std::time::Duration;

use borax_testkit::cluster::{Request, RequestLog, count_by};
use serde_json::json;

use crate::harness::{Release, Setup, World, helm_release};

/// Four objects of four kinds.
const FILES: [(&str, &str); 5] = [
    (
        "templates/config.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}\"}\ndata: {greeting: \"{{ .Values.greeting }}\"}\n",
    ),
    (
        "templates/account.yaml",
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: \"{{ .Release.Name }}\"}\n",
    ),
    (
        "templates/service.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: \"{{ .Release.Name }}\"}\nspec: {clusterIP: None, selector: {a: \"{{ .Values.greeting }}\"}}\n",
    ),
    (
        "templates/role.yaml",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: \"{{ .Release.Name }}\"}\nrules: [{apiGroups: [\"\"], resources: [pods], verbs: [get]}]\n",
    ),
    ("values.yaml", "greeting: hello\n"),
];

/// Borax's requests since the last call, when it has been silent for a second.
async fn requests(log: &mut RequestLog) -> Vec<Request> {
    let mut all = Vec::new();
    loop {
        // Nothing to wait on says that nothing more will come.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let more = log.take().unwrap();
        if more.is_empty() {
            return all;
        }
        all.extend(more.into_iter().filter(|request| request.agent.starts_with("borax")));
    }
}

fn show(what: &str, requests: &[Request]) {
    eprintln!("{what}: {} requests", requests.len());
    for (label, count) in count_by(requests, Request::label) {
        eprintln!("  {count:>3} {label}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helm_release_stays_within_its_budget_of_requests() {
    let Some(world) = World::start(Setup { audit: true, ..Setup::default() }).await else { return };
    let app = Release::place(&world, "counted", &FILES, "").await;
    app.until_ready("1.0.0").await;
    let mut log = world.plane.request_log();
    show("everything up to the first release", &requests(&mut log).await);

    let second = crate::harness::Ref::helm_release("counted", "second");
    app.kube.apply(&helm_release("counted", "second", "")).await;
    app.kube.until_released(&second, "1.0.0").await;
    let install = requests(&mut log).await;
    show("an install of 4 objects", &install);
    assert!(install.len() <= 18, "{}", install.len());

    app.kube.merge(&second, json!({"spec": {"values": {"greeting": "two"}}})).await;
    app.kube.until_value(&app.config_map("second"), "greeting", "two").await;
    app.kube.until_released(&second, "1.0.0").await;
    let upgrade = requests(&mut log).await;
    show("an upgrade of 4 objects", &upgrade);
    assert!(upgrade.len() <= 20, "{}", upgrade.len());

    let often = json!({"spec": {"interval": "1s", "driftDetection": {"mode": "enabled"}}});
    app.kube.merge(&second, often).await;
    requests(&mut log).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle: Vec<Request> = log.take().unwrap();
    let idle: Vec<_> =
        idle.into_iter().filter(|request| request.agent.starts_with("borax")).collect();
    show("five unchanged intervals", &idle);
    let writes: Vec<_> = idle.iter().filter(|request| request.writes()).collect();
    assert!(writes.is_empty(), "{writes:?}");
    assert!(!idle.is_empty(), "the interval does not come round");
}
