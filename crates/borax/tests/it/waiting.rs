//! Waiting costs no one else: what never becomes ready delays neither the others nor its own mending.

use std::time::{Duration, Instant};

use borax_testkit::git::{Change, Repository};
use futures::future::join_all;
use serde_json::Value;

use crate::harness::{
    Kube, Ref, Setup, Timeline, World, config_map, git_repository, kustomization, namespace, ready,
    revision, status_of,
};

const GIT: (&str, &str) = ("source.toolkit.fluxcd.io/v1", "GitRepository");
const KUSTOMIZATION: (&str, &str) = ("kustomize.toolkit.fluxcd.io/v1", "Kustomization");

fn deployment(name: &str, outcome: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  selector:\n    matchLabels: {{app: {name}}}\n  template:\n    metadata:\n      labels: {{app: {name}}}\n      annotations: {{borax.test/outcome: \"{outcome}\"}}\n    spec:\n      containers:\n        - name: main\n          image: example.org/none\n"
    )
}

/// How long after the source had its new artifact something was seen.
fn after(artifact: Instant, seen: Instant) -> Duration {
    // Two watches may tell in another order than things happened.
    seen.saturating_duration_since(artifact)
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent).div_ceil(100).clamp(1, times.len()) - 1]
}

const TEAMS: usize = 50;

/// 50 sources with four Kustomizations each, of which the first never becomes ready.
struct Crowd {
    kube: Kube,
    repositories: Vec<Repository>,
    sources: Timeline,
}

impl Crowd {
    async fn start(world: &World) -> Self {
        let kube = world.kube().await;
        kube.apply(&namespace("crowd")).await;
        let mut repositories = Vec::new();
        for team in 0..TEAMS {
            let files = [
                ("stuck/web.yaml".to_owned(), deployment(&format!("web-{team}"), "never")),
                ("a/map.yaml".to_owned(), config_map(&format!("a-{team}"), "key", "one")),
                ("b/map.yaml".to_owned(), config_map(&format!("b-{team}"), "key", "one")),
                ("c/map.yaml".to_owned(), config_map(&format!("c-{team}"), "key", "one")),
            ];
            let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (&**p, &**t)).collect();
            let repository = world.repository(&format!("team-{team}.git"), &files);
            let source = format!("team-{team}");
            let mut text = git_repository("crowd", &source, &world.url(&repository));
            for dir in ["stuck", "a", "b", "c"] {
                let more = "targetNamespace: crowd\nwait: true\ntimeout: 1h\n";
                let name = format!("{dir}-{team}");
                text += &kustomization("crowd", &name, &source, &format!("./{dir}"), more);
            }
            kube.apply(&text).await;
            repositories.push(repository);
        }
        for team in 0..TEAMS {
            for dir in ["a", "b", "c"] {
                kube.until_ready(&Ref::kustomization("crowd", &format!("{dir}-{team}")), "main@")
                    .await;
            }
            let stuck = Ref::kustomization("crowd", &format!("stuck-{team}"));
            kube.until_some("it waits for health", &stuck, |object| {
                status_of(object, "Healthy") == Some("Unknown")
            })
            .await;
        }
        let sources = kube.timeline(GIT.0, GIT.1, "crowd");
        Self { kube, repositories, sources }
    }

    /// Commits a file for a team and returns when the source had it as an artifact.
    async fn push(&self, team: usize, path: &str, text: &str) -> Instant {
        let change = [(path, Change::File(text.as_bytes()))];
        let commit = self.repositories[team].commit_changes(
            "refs/heads/main",
            &change,
            "A change\n",
            1_700_000_100,
        );
        let source = format!("team-{team}");
        self.kube.request(&Ref::git("crowd", &source)).await;
        self.sources.first_of(&source, |object| revision(object).ends_with(&commit)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_that_never_become_ready_delay_none_of_the_others() {
    let Some(world) = World::start(Setup { quiet: true, ..Setup::default() }).await else { return };
    let begin = Instant::now();
    let crowd = Crowd::start(&world).await;
    eprintln!("200 Kustomizations, 50 of them stuck: there after {:?}", begin.elapsed());

    let maps = crowd.kube.timeline("v1", "ConfigMap", "crowd");
    let mut commits = Vec::new();
    for batch in (0..TEAMS).collect::<Vec<_>>().chunks(5) {
        let pushes = batch.iter().map(|&team| {
            let (crowd, maps) = (&crowd, &maps);
            async move {
                let name = format!("a-{team}");
                let artifact =
                    crowd.push(team, "a/map.yaml", &config_map(&name, "key", "two")).await;
                after(artifact, maps.first_of(&name, |map| map["data"]["key"] == "two").await)
            }
        });
        commits.extend(join_all(pushes).await);
    }
    let (half, most) = (percentile(&mut commits, 50), percentile(&mut commits, 99));
    eprintln!(
        "a commit to a healthy one is applied {half:?} (50%), {most:?} (99%) after its artifact"
    );
    assert!(most < Duration::from_secs(2), "{commits:?}");

    let deployments = crowd.kube.timeline("apps/v1", "Deployment", "crowd");
    let mut mends = Vec::new();
    for batch in (0..TEAMS).collect::<Vec<_>>().chunks(5) {
        let pushes = batch.iter().map(|&team| {
            let (crowd, deployments) = (&crowd, &deployments);
            async move {
                let name = format!("web-{team}");
                let artifact =
                    crowd.push(team, "stuck/web.yaml", &deployment(&name, "ready")).await;
                let template = "/spec/template/metadata/annotations/borax.test~1outcome";
                let mended = deployments.first_of(&name, |object| {
                    object.pointer(template).is_some_and(|outcome| outcome == "ready")
                });
                after(artifact, mended.await)
            }
        });
        mends.extend(join_all(pushes).await);
    }
    let (half, most) = (percentile(&mut mends, 50), percentile(&mut mends, 99));
    eprintln!(
        "the mending of a stuck one is applied {half:?} (50%), {most:?} (99%) after its artifact"
    );
    assert!(most < Duration::from_secs(1), "{mends:?}");
    for team in 0..TEAMS {
        crowd
            .kube
            .until_ready(&Ref::kustomization("crowd", &format!("stuck-{team}")), "main@")
            .await;
    }
    let usage = world.borax.usage();
    eprintln!("borax: {:?} CPU, {} MiB resident at most", usage.cpu, usage.peak_resident >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_twenty_dependencies_costs_less_than_a_second() {
    const LENGTH: usize = 20;
    let Some(world) = World::start(Setup { quiet: true, ..Setup::default() }).await else { return };
    let kube = world.kube().await;
    let files: Vec<(String, String)> = (0..LENGTH)
        .map(|i| (format!("{i}/map.yaml"), config_map(&format!("map-{i}"), "key", "one")))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (&**p, &**t)).collect();
    let repository = world.repository("links.git", &files);
    for kind in ["flat", "chain"] {
        let mut text = namespace(kind) + &git_repository(kind, "app", &world.url(&repository));
        for i in 0..LENGTH {
            let mut more = format!("targetNamespace: {kind}\nwait: true\n");
            if kind == "chain" && i > 0 {
                more += &format!("dependsOn:\n  - name: link-{}\n", i - 1);
            }
            text += &kustomization(kind, &format!("link-{i}"), "app", &format!("./{i}"), &more);
        }
        kube.apply(&text).await;
        for i in 0..LENGTH {
            kube.until_ready(&Ref::kustomization(kind, &format!("link-{i}")), "main@").await;
        }
    }
    let texts: Vec<String> =
        (0..LENGTH).map(|i| config_map(&format!("map-{i}"), "key", "two")).collect();
    let names: Vec<String> = (0..LENGTH).map(|i| format!("{i}/map.yaml")).collect();
    let changes: Vec<(&str, Change<'_>)> =
        names.iter().zip(&texts).map(|(n, t)| (&**n, Change::File(t.as_bytes()))).collect();
    let commit = repository.commit_changes("refs/heads/main", &changes, "Two\n", 1_700_000_100);
    let mut took = Vec::new();
    for kind in ["flat", "chain"] {
        let sources = kube.timeline(GIT.0, GIT.1, kind);
        let links = kube.timeline(KUSTOMIZATION.0, KUSTOMIZATION.1, kind);
        kube.request(&Ref::git(kind, "app")).await;
        let artifact = sources.first_of("app", |object| revision(object).ends_with(&commit)).await;
        let mut last = artifact;
        for i in 0..LENGTH {
            let done = |object: &Value| {
                ready(object) == Some("True") && revision(object).ends_with(&commit)
            };
            last = last.max(links.first_of(&format!("link-{i}"), done).await);
        }
        took.push(after(artifact, last));
    }
    eprintln!("20 Kustomizations at once: {:?}; in a chain: {:?}", took[0], took[1]);
    assert!(took[1] < took[0] + Duration::from_secs(1), "{took:?}");
}
