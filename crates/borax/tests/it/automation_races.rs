//! Many automations, other people's pushes and a killed process: no commit is lost, halved or repeated.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use borax_testkit::git::Repository;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::automation::{automation, automation_ref, policy, set_latest};
use crate::harness::{Kube, Setup, World, git_repository, namespace, ready};

/// How many automations, other pushes and kills; the defaults suit every day, 50, 100 and 50 a release.
const AUTOMATIONS: &str = "BORAX_AUTOMATIONS";
const PUSHES: &str = "BORAX_PUSHES";
const ROUNDS: &str = "BORAX_FAULT_ROUNDS";

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

fn file(ns: &str, index: usize, tag: &str) -> String {
    format!("app:\n  tag: \"{tag}\" # {{\"$imagepolicy\": \"{ns}:p{index}:tag\"}}\n")
}

/// Somebody with a clone of their own, who pushes as people do: when refused, pull and push again.
struct Colleague {
    clone: TempDir,
}

impl Colleague {
    fn new(url: &str) -> Self {
        let clone = TempDir::new().unwrap();
        let colleague = Self { clone };
        assert!(colleague.git(&["clone", "-q", url, "."]));
        colleague
    }

    fn git(&self, args: &[&str]) -> bool {
        let output = Command::new("git")
            .current_dir(self.clone.path())
            .envs([
                ("GIT_CONFIG_NOSYSTEM", "1"),
                ("GIT_CONFIG_GLOBAL", "/dev/null"),
                ("GIT_AUTHOR_NAME", "Colleague"),
                ("GIT_AUTHOR_EMAIL", "colleague@example.com"),
                ("GIT_COMMITTER_NAME", "Colleague"),
                ("GIT_COMMITTER_EMAIL", "colleague@example.com"),
            ])
            .args(args)
            .output()
            .unwrap();
        output.status.success()
    }

    fn push(&self, index: usize) {
        let path: &Path = self.clone.path();
        std::fs::write(path.join(format!("note-{index}")), "a note\n").unwrap();
        let message = format!("Note {index}");
        assert!(self.git(&["add", "."]) && self.git(&["commit", "-q", "-m", &message]));
        while !self.git(&["push", "-q", "origin", "main"]) {
            assert!(self.git(&["pull", "-q", "--rebase", "origin", "main"]));
        }
    }
}

/// Waits until the real `git` finds nothing wrong: the server may still be taking in a push whose sender is gone, and what
/// it writes then must come out whole.
async fn until_sound(repository: &Repository) {
    let fsck = || {
        let mut git = Command::new("git");
        git.current_dir(repository.path()).args(["fsck", "--strict", "--no-dangling"]).output()
    };
    for last in (0..100).rev() {
        let found = fsck().unwrap();
        if found.status.success() {
            return;
        }
        assert!(last > 0, "the repository is broken: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every commit of the bot changes one line of one file, and each is another.
async fn assert_clean(repository: &Repository, from: &str) -> Vec<String> {
    until_sound(repository).await;
    let log = repository.git(&["log", "--reverse", "--format=%H %P %an", &format!("{from}..main")]);
    let mut bodies = Vec::new();
    for line in log.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [commit, parent, author] = words[..] else { panic!("not one parent: {line}") };
        if author != "Bot" {
            continue;
        }
        let stat = repository.git(&["diff", "--numstat", parent, commit]);
        assert!(stat.starts_with("1\t1\t") && !stat.contains('\n'), "{commit}: {stat}");
        let path = stat.split('\t').nth(2).unwrap().to_owned();
        let body = repository.git(&["show", &format!("{commit}:{path}")]);
        bodies.push(format!("{path}: {body}"));
    }
    bodies
}

async fn until_written(kube: &Kube, repository: &Repository, ns: &str, index: usize, tag: &str) {
    let id = automation_ref(ns, &format!("a{index}"));
    kube.until_some(&format!("{tag} is written"), &id, |object| {
        let path = format!("main:apps/{index}/values.yaml");
        ready(object) == Some("True")
            && repository.read_object("blob", &path) == file(ns, index, tag).as_bytes()
    })
    .await;
}

async fn place(world: &World, ns: &str, count: usize) -> (Kube, Repository, String) {
    let kube = world.kube().await;
    let files: Vec<(String, String)> = (0..count)
        .map(|index| (format!("apps/{index}/values.yaml"), file(ns, index, "0.0.0")))
        .collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let repository = world.repository(&format!("{ns}.git"), &files);
    let first = repository.hash("main");
    kube.apply(&namespace(ns)).await;
    let source = git_repository(ns, "repo", &world.url(&repository)).replace("1h", "2s");
    kube.apply(&source).await;
    for index in 0..count {
        kube.apply(&policy(ns, &format!("p{index}"))).await;
        let more: Value = json!({
            "interval": "5s",
            "policySelector": {"matchLabels": {"policy": format!("p{index}")}},
            "update": {"path": format!("apps/{index}")},
        });
        kube.apply_value(automation(ns, &format!("a{index}"), more)).await;
    }
    (kube, repository, first)
}

/// Nobody but the stories says what the latest images are: the reflector would take it back.
fn alone() -> Setup<'static> {
    Setup { flags: &["--controllers=source,image-automation"], ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_automations_and_a_colleague_lose_nothing_of_each_other() {
    let (count, pushes) = (number(AUTOMATIONS, 12), number(PUSHES, 25));
    let Some(world) = World::start(alone()).await else { return };
    let ns = "auto-races";
    let (kube, repository, first) = place(&world, ns, count).await;
    let url = world.url(&repository);
    let done = AtomicBool::new(false);
    let rounds = std::thread::scope(|scope| {
        scope.spawn(|| {
            let colleague = Colleague::new(&url);
            for index in 0..pushes {
                colleague.push(index);
            }
            done.store(true, Ordering::SeqCst);
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let mut round = 0;
                while round < 2 || !done.load(Ordering::SeqCst) {
                    round += 1;
                    let tag = format!("1.0.{round}");
                    for index in 0..count {
                        set_latest(&kube, ns, &format!("p{index}"), &tag).await;
                    }
                    for index in 0..count {
                        until_written(&kube, &repository, ns, index, &tag).await;
                    }
                }
                round
            })
        })
    });
    let written = assert_clean(&repository, &first).await;
    let different: BTreeSet<&String> = written.iter().collect();
    assert_eq!((written.len(), different.len()), (count * rounds, count * rounds));
    let notes = repository.git(&["log", "--author=Colleague", "--format=%s", "main"]);
    assert_eq!(notes.lines().count(), pushes);
    for index in 0..pushes {
        repository.hash(&format!("main:note-{index}"));
    }
    for index in 0..count {
        let events = kube.events(&automation_ref(ns, &format!("a{index}"))).await;
        assert!(events.iter().all(|(kind, ..)| kind == "Normal"), "{events:?}");
    }
    eprintln!(
        "{} commits of {count} automations beside {pushes} others, in {rounds} rounds",
        written.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_leaves_no_half_and_no_repeated_commit() {
    let rounds = number(ROUNDS, 6);
    let Some(mut world) = World::start(alone()).await else { return };
    let (ns, count) = ("auto-killed", 3);
    let (_, repository, first) = place(&world, ns, count).await;
    // A fixed sequence, so that a failure can be run again.
    let mut dice = 0x00b0_4a86_u64;
    for round in 1..=rounds {
        let tag = format!("1.0.{round}");
        let kube = world.kube().await;
        world.borax.wait_ready().await;
        for index in 0..count {
            set_latest(&kube, ns, &format!("p{index}"), &tag).await;
        }
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis((dice >> 33) % 1_500)).await;
        world.borax.kill();
        assert_clean(&repository, &first).await;
        world.borax.again();
        if round % 5 == 0 || round == rounds {
            for index in 0..count {
                until_written(&kube, &repository, ns, index, &tag).await;
            }
        }
    }
    let written = assert_clean(&repository, &first).await;
    let different: BTreeSet<&String> = written.iter().collect();
    assert_eq!(written.len(), different.len(), "a commit was made twice: {written:#?}");
    eprintln!("{} commits in {rounds} lives", written.len());
}
