//! What a Kustomization costs the API server, counted in its audit log.

use std::time::Duration;

use borax_testkit::cluster::{Request, RequestLog, count_by};
use borax_testkit::git::Change;
use serde_json::json;

use crate::harness::{
    Kube, Ref, Setup, World, config_map, git_repository, kustomization, namespace,
};

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

/// Those that a source causes.
fn is_of_the_source(request: &Request) -> bool {
    request.resource.starts_with("gitrepositories")
        || (request.resource == "events" && request.name.starts_with("source."))
}

fn show(what: &str, requests: &[Request]) {
    eprintln!("{what}: {} requests", requests.len());
    for (label, count) in count_by(requests, Request::label) {
        eprintln!("  {count:>3} {label}");
    }
}

struct Counted {
    kube: Kube,
    log: RequestLog,
    repository: borax_testkit::git::Repository,
}

impl Counted {
    /// A source, and one Kustomization that was applied from it already: what the first of a kind costs once (its
    /// discovery, its watch) is not what each costs.
    async fn start(world: &World) -> Self {
        let kube = world.kube().await;
        let names: Vec<String> = (0..5).map(|i| format!("map-{i}")).collect();
        let files: Vec<(String, String)> = names
            .iter()
            .map(|name| (format!("{name}.yaml"), config_map(name, "key", "one")))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (&**p, &**t)).collect();
        let repository = world.repository("counted.git", &files);
        let mut text = namespace("counted") + &namespace("first") + &namespace("second");
        text += &git_repository("counted", "source", &world.url(&repository));
        text += &kustomization("counted", "first", "source", "./", "targetNamespace: first\n");
        kube.apply(&text).await;
        kube.until_ready(&Ref::kustomization("counted", "first"), "main@").await;
        let mut log = world.plane.request_log();
        let begin = requests(&mut log).await;
        show("everything up to the first Kustomization", &begin);
        Self { kube, log, repository }
    }

    async fn apply(&self, more: &str) {
        self.kube.apply(&kustomization("counted", "second", "source", "./", more)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kustomization_stays_within_its_budget_of_requests() {
    let Some(world) = World::start(Setup { audit: true, ..Setup::default() }).await else { return };
    let mut counted = Counted::start(&world).await;
    let second = Ref::kustomization("counted", "second");

    counted.apply("targetNamespace: second\n").await;
    counted.kube.until_ready(&second, "main@").await;
    let new = requests(&mut counted.log).await;
    show("a new Kustomization of 5 objects", &new);
    assert!(new.len() <= 16, "{}", new.len());

    counted
        .kube
        .merge(&Ref::kustomization("counted", "first"), json!({"spec": {"suspend": true}}))
        .await;
    requests(&mut counted.log).await;
    let two = config_map("map-1", "key", "two");
    let commit = counted.repository.commit_changes(
        "refs/heads/main",
        &[("map-1.yaml", Change::File(two.as_bytes()))],
        "Two\n",
        1_700_000_100,
    );
    counted.kube.request(&Ref::git("counted", "source")).await;
    counted.kube.until_ready(&second, &commit).await;
    let (source, changed): (Vec<_>, Vec<_>) =
        requests(&mut counted.log).await.into_iter().partition(is_of_the_source);
    show("a commit that changes one of its five", &changed);
    show("and at its source", &source);
    assert!(changed.len() <= 6, "{}", changed.len());

    let often = json!({"spec": {"interval": "1s"}});
    counted.kube.merge(&second, often.clone()).await;
    counted.kube.merge(&Ref::git("counted", "source"), often).await;
    requests(&mut counted.log).await;
    let fetches = world.server.count();
    let fetched = async {
        while world.server.count() < fetches + 5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), fetched).await.expect("it looks five times");
    let idle: Vec<_> = counted.log.take().unwrap();
    let idle: Vec<_> =
        idle.into_iter().filter(|request| request.agent.starts_with("borax")).collect();
    show("five unchanged intervals of source and Kustomization", &idle);
    let writes: Vec<_> = idle.iter().filter(|request| request.writes()).collect();
    assert!(writes.is_empty(), "{writes:?}");
}
