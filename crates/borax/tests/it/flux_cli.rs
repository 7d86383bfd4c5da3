//! The `flux` command line gets, reconciles, suspends, resumes, traces and trees what Borax keeps.

use std::process::Command;

use borax_testkit::git::Change;
use borax_testkit::oracle;

use crate::harness::{App, config_map, ready, revision};

#[tokio::test(flavor = "multi_thread")]
async fn flux_works_as_it_does_with_flux() {
    let Some(flux) = oracle::require("flux") else { return };
    let Some(app) = App::start("cli", &[("a.yaml", &config_map("a", "key", "one"))], "").await
    else {
        return;
    };
    let run = async |args: &[&str]| {
        let mut command = Command::new(&flux);
        command.args(args).arg("--namespace=cli").arg("--timeout=60s");
        command.env("KUBECONFIG", app.world.plane.kubeconfig());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "flux {args:?}:\n{text}");
        text
    };
    let has = |text: &str, words: &[&str]| {
        for word in words {
            assert!(text.contains(word), "no {word:?} in:\n{text}");
        }
    };
    let head = app.repository.hash("main");
    let short = format!("main@sha1:{}", &head[..8]);
    has(&run(&["get", "kustomizations"]).await, &["app", &short, "True", "Applied revision"]);
    has(&run(&["get", "sources", "git"]).await, &["app", &short, "True", "stored artifact"]);
    has(&run(&["get", "all"]).await, &["gitrepository/app", "kustomization/app"]);
    has(
        &run(&["tree", "kustomization", "app"]).await,
        &["Kustomization/cli/app", "ConfigMap/cli/a"],
    );
    let trace = run(&["trace", "configmap", "a"]).await;
    has(&trace, &["Managed by Flux", "Kustomization:   app", "GitRepository:   app", &head]);
    has(&run(&["events", "--for", "Kustomization/app"]).await, &["ReconciliationSucceeded"]);
    has(&run(&["stats"]).await, &["Kustomization "]);
    has(&run(&["export", "kustomization", "app"]).await, &["targetNamespace: cli"]);

    let two = config_map("a", "key", "two");
    let change = [("a.yaml", Change::File(two.as_bytes()))];
    let commit = app.repository.commit_changes("refs/heads/main", &change, "Two\n", 1_700_000_100);
    has(
        &run(&["reconcile", "kustomization", "app", "--with-source"]).await,
        &["applied revision", &commit],
    );
    assert_eq!(app.kube.get(&app.config_map("a")).await.unwrap()["data"]["key"], "two");

    run(&["suspend", "kustomization", "app"]).await;
    let three = config_map("a", "key", "three");
    let change = [("a.yaml", Change::File(three.as_bytes()))];
    let commit =
        app.repository.commit_changes("refs/heads/main", &change, "Three\n", 1_700_000_200);
    has(&run(&["reconcile", "source", "git", "app"]).await, &["fetched revision", &commit]);
    assert_eq!(app.kube.get(&app.config_map("a")).await.unwrap()["data"]["key"], "two");
    has(&run(&["resume", "kustomization", "app"]).await, &["applied revision", &commit]);
    assert_eq!(app.kube.get(&app.config_map("a")).await.unwrap()["data"]["key"], "three");
    run(&["suspend", "source", "git", "app"]).await;
    has(&run(&["resume", "source", "git", "app"]).await, &["fetched revision", &commit]);

    run(&["delete", "kustomization", "app", "--silent"]).await;
    app.kube.until_gone(&app.kustomization).await;
    app.kube.until_gone(&app.config_map("a")).await;
    let source = app.kube.get(&app.source).await.unwrap();
    assert_eq!(ready(&source), Some("True"));
    assert!(revision(&source).ends_with(&commit));
}
