//! Killed, cut off, robbed of its cache or its disk, Borax comes back to what Git says.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use borax_testkit::cluster::Component;
use borax_testkit::git::{Change, Fault};
use borax_testkit::skip;
use serde_json::{Value, json};

use crate::harness::{App, Setup, World, config_map, message, reason, status_of};

/// How many times it is killed; the default suits every day, 50 a release.
const ROUNDS: &str = "BORAX_FAULT_ROUNDS";

/// A small generator, so that a failure can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// The owned ConfigMaps of the namespace: name to value and uid.
async fn owned(app: &App<'_>) -> BTreeMap<String, (String, String)> {
    let word = |object: &Value, pointer: &str| {
        object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let maps = app.kube.list("v1", "ConfigMap", &app.namespace).await;
    let owned = maps
        .iter()
        .filter(|map| map.pointer("/metadata/labels/kustomize.toolkit.fluxcd.io~1name").is_some());
    owned
        .map(|map| {
            (word(map, "/metadata/name"), (word(map, "/data/key"), word(map, "/metadata/uid")))
        })
        .collect()
}

const MAPS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_comes_back_to_what_git_says() {
    let rounds: u64 =
        std::env::var(ROUNDS).map_or(6, |text| text.parse().expect("a number of rounds"));
    let seed = 0x00b0_4a85;
    let mut dice = Dice(seed);
    let Some(mut world) = World::start(Setup::default()).await else { return };
    let keeper = config_map("keeper", "key", "always");
    let repository = {
        let more = "targetNamespace: killed\nretryInterval: 2s\n";
        let app = App::place(
            &world,
            "killed",
            &[("keeper.yaml", &keeper)],
            &more.replace("retryInterval: 2s\n", ""),
        )
        .await;
        app.kube.merge(&app.source, json!({"spec": {"interval": "3s"}})).await;
        app.kube
            .merge(&app.kustomization, json!({"spec": {"interval": "30s", "retryInterval": "2s"}}))
            .await;
        app.kube.until_ready(&app.kustomization, "main@").await;
        app.repository.clone()
    };
    let mut uids: BTreeMap<String, String> = BTreeMap::new();
    for round in 0..rounds {
        let wanted: BTreeMap<String, String> = (0..MAPS)
            .filter(|_| dice.roll(3) > 0)
            .map(|index| (format!("map-{index}"), format!("{round}")))
            .collect();
        let files: Vec<(String, Option<String>)> = (0..MAPS)
            .map(|index| format!("map-{index}"))
            .map(|name| {
                (
                    format!("{name}.yaml"),
                    wanted.get(&name).map(|value| config_map(&name, "key", value)),
                )
            })
            .collect();
        let changes: Vec<(&str, Change<'_>)> = files
            .iter()
            .map(|(path, text)| {
                (&**path, text.as_ref().map_or(Change::Delete, |t| Change::File(t.as_bytes())))
            })
            .collect();
        let commit =
            repository.commit_changes("refs/heads/main", &changes, "A round\n", 1_700_000_100);
        let source = crate::harness::Ref::git("killed", "app");
        world.kube().await.request(&source).await;
        // From before the fetch to after the last prune.
        tokio::time::sleep(Duration::from_millis(dice.roll(400))).await;
        match dice.roll(4) {
            0 => {
                world.borax.kill();
                world.plane.restart_apiserver().unwrap();
                world.borax.again();
            }
            1 => {
                world.borax.kill();
                // It comes back to an API server that does not answer, and is killed again.
                world.plane.freeze(Component::Apiserver).unwrap();
                world.borax.again();
                tokio::time::sleep(Duration::from_millis(300 + dice.roll(700))).await;
                world.borax.kill();
                world.plane.thaw(Component::Apiserver).unwrap();
                world.borax.again();
            }
            2 => {
                world.borax.kill();
                world.borax.again();
            }
            _ => {
                // The API server goes in the middle of what Borax does.
                world.plane.restart_apiserver().unwrap();
            }
        }
        let app = App::at(&world, "killed", &repository).await;
        let begin = Instant::now();
        app.kube.until_ready(&app.kustomization, &commit).await;
        let found = owned(&app).await;
        let values: BTreeMap<String, String> = found
            .iter()
            .filter(|(name, _)| *name != "keeper")
            .map(|(name, (value, _))| (name.clone(), value.clone()))
            .collect();
        assert_eq!(values, wanted, "round {round} of seed {seed:#x}");
        for (name, (_, uid)) in &found {
            // What Git had before and has now was never deleted meanwhile.
            let before = uids.get(name);
            assert!(
                before.is_none_or(|before| before == uid),
                "{name} was deleted in round {round} of seed {seed:#x}"
            );
        }
        uids = found.into_iter().map(|(name, (_, uid))| (name, uid)).collect();
        eprintln!(
            "round {round}: {} objects, right {:?} after the last kill",
            uids.len(),
            begin.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_git_server_that_is_down_leaves_the_last_good_state_and_one_clear_condition() {
    let Some(world) = World::start(Setup::default()).await else { return };
    let app = App::place(
        &world,
        "down",
        &[("a.yaml", &config_map("a", "key", "one"))],
        "targetNamespace: down\n",
    )
    .await;
    app.kube.until_ready(&app.kustomization, "main@").await;
    let before = app.kube.get(&app.source).await.unwrap();
    world.server.break_next(vec![Some(Fault::Status(503, "out of order".into())); 4]);
    let two = config_map("a", "key", "two");
    let commit = app.push(&[("a.yaml", Change::File(two.as_bytes()))]).await;
    let object = app
        .kube
        .until_some("the failure is told", &app.source, |object| {
            status_of(object, "FetchFailed") == Some("True")
        })
        .await;
    assert_eq!(reason(&object, "Ready"), "GitOperationFailed");
    assert!(message(&object, "Ready").contains("503"), "{}", message(&object, "Ready"));
    assert_eq!(object["status"]["artifact"], before["status"]["artifact"]);
    let applied = app.kube.reconcile(&app.kustomization).await;
    assert_eq!(status_of(&applied, "Ready"), Some("True"), "what was fetched is still good");
    assert_eq!(app.kube.get(&app.config_map("a")).await.unwrap()["data"]["key"], "one");
    // It answers again some tries later.
    app.kube.until_ready(&app.kustomization, &commit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_cache_is_made_again() {
    let Some(mut world) = World::start(Setup::default()).await else { return };
    let (repository, artifacts) = {
        let app = App::place(
            &world,
            "lost",
            &[("a.yaml", &config_map("a", "key", "one"))],
            "targetNamespace: lost\n",
        )
        .await;
        app.kube.until_ready(&app.kustomization, "main@").await;
        let artifacts = world.borax.storage();
        std::fs::remove_dir_all(artifacts.join("gitrepository")).unwrap();
        app.kube.reconcile(&app.source).await;
        app.kube.delete(&app.config_map("a")).await;
        app.kube.until_value(&app.config_map("a"), "key", "one").await;
        (app.repository.clone(), artifacts)
    };
    world.borax.kill();
    std::fs::remove_dir_all(&artifacts).unwrap();
    std::fs::create_dir(&artifacts).unwrap();
    let app_kube = world.kube().await;
    app_kube.delete(&crate::harness::Ref::config_map("lost", "a")).await;
    world.borax.again();
    let app = App::at(&world, "lost", &repository).await;
    app.kube.until_value(&app.config_map("a"), "key", "one").await;
    let two = config_map("a", "key", "two");
    let commit = app.push(&[("a.yaml", Change::File(two.as_bytes()))]).await;
    app.kube.until_ready(&app.kustomization, &commit).await;
}

/// A file system of its own, of two megabytes; gone with this value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::TempDir::with_prefix("borax-disk-").unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "borax-test"])
            .arg(folder.path())
            .output();
        let done = mounted.is_ok_and(|output| output.status.success());
        done.then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_overcome() {
    let Some(disk) = SmallDisk::mount() else {
        skip::skipped(
            "a small file system can't be mounted (run as root, or with user namespaces)",
        );
        return;
    };
    let path = format!("--storage-path={}", disk.0.path().display());
    let Some(world) = World::start(Setup { storage: Some(&path), ..Setup::default() }).await else {
        return;
    };
    let app = App::place(
        &world,
        "full",
        &[("a.yaml", &config_map("a", "key", "one"))],
        "targetNamespace: full\n",
    )
    .await;
    app.kube.until_ready(&app.kustomization, "main@").await;
    let filler = disk.0.path().join("filler");
    // As much as there is room for.
    let _ = std::fs::write(&filler, vec![0; 4 << 20]);
    let mut dice = Dice(7);
    let noise: String = (0..200_000).map(|_| char::from(b'a' + dice.roll(26) as u8)).collect();
    let two = config_map("a", "key", "two");
    let commit = app
        .push(&[
            ("a.yaml", Change::File(two.as_bytes())),
            ("noise.txt", Change::File(noise.as_bytes())),
        ])
        .await;
    let object = app
        .kube
        .until_some("the full disk is told", &app.source, |object| {
            status_of(object, "Ready") == Some("False")
        })
        .await;
    eprintln!("a full disk: {} {}", reason(&object, "Ready"), message(&object, "Ready"));
    assert!(message(&object, "Ready").contains("No space left"), "{}", message(&object, "Ready"));
    assert_eq!(app.kube.get(&app.config_map("a")).await.unwrap()["data"]["key"], "one");
    std::fs::remove_file(&filler).unwrap();
    app.kube.until_ready(&app.kustomization, &commit).await;
    assert_eq!(app.kube.get(&app.config_map("a")).await.unwrap()["data"]["key"], "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_within_five_seconds_when_told_to() {
    let Some(mut world) = World::start(Setup::default()).await else { return };
    {
        let app = App::place(
            &world,
            "stop",
            &[("a.yaml", &config_map("a", "key", "one"))],
            "targetNamespace: stop\n",
        )
        .await;
        app.kube.until_ready(&app.kustomization, "main@").await;
        assert!(world.borax.metrics().contains("gotk_reconcile_duration_seconds"));
    }
    let begin = Instant::now();
    assert_eq!(world.borax.stop(), 0);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}
