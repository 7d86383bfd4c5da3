//! A process that is killed at any point leaves no release stuck.

use std::time::Duration;

use serde_json::json;

use crate::harness::{CONFIG, Kube, Ref, Release, Setup, VALUES, World, helm_release, ready};

/// How often it is killed; BORAX_KILLS sets another number.
const KILLS: u64 = 10;

const HOOK: &str = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: hook\n  annotations: {helm.sh/hook: \"pre-install,post-upgrade,pre-delete\"}\nspec:\n  backoffLimit: 0\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{name: main, image: example.org/none}]\n";

/// Evenly spread, and the same in every run.
fn spread(round: u64) -> u64 {
    let mut z = round.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ z >> 31
}

async fn statuses(kube: &Kube) -> Vec<(i64, String)> {
    let secrets = kube.list("v1", "Secret", "killed").await;
    let mut all: Vec<(i64, String)> = secrets
        .iter()
        .filter(|secret| secret["type"] == "helm.sh/release.v1")
        .map(|secret| {
            let labels = &secret["metadata"]["labels"];
            let text = |key: &str| labels[key].as_str().unwrap_or_default().to_owned();
            (text("version").parse().unwrap_or_default(), text("status"))
        })
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_a_release_converges_without_a_person() {
    let Some(mut world) = World::start(Setup::default()).await else { return };
    let kills = std::env::var("BORAX_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let files =
        [("templates/config.yaml", CONFIG), ("values.yaml", VALUES), ("templates/hook.yaml", HOOK)];
    let id = Ref::helm_release("killed", "web");
    let kube = {
        let app = Release::place(&world, "killed", &files, "").await;
        app.until_ready("1.0.0").await;
        // The registry goes with it; the artifact is in the storage.
        app.kube
    };
    for round in 0..kills {
        let before = statuses(&kube).await.last().map_or(0, |(version, _)| *version);
        // Two upgrades, then an uninstall, then an install.
        let action = round % 4;
        match action {
            2 => kube.delete(&id).await,
            3 => kube.apply(&helm_release("killed", "web", "")).await,
            _ => {
                kube.merge(&id, json!({"spec": {"values": {"greeting": format!("r{round}")}}}))
                    .await;
            }
        }
        tokio::time::sleep(Duration::from_millis(spread(round) % 900)).await;
        world.borax.kill();
        world.borax.again();
        world.borax.wait_ready().await;
        if action == 2 {
            kube.until_gone(&id).await;
            assert!(statuses(&kube).await.is_empty(), "round {round}: records are left");
            continue;
        }
        let wanted = format!("r{round}");
        kube.until_some(&format!("round {round} converges"), &id, |object| {
            ready(object) == Some("True")
                && object["status"]["observedGeneration"] == object["metadata"]["generation"]
        })
        .await;
        if action != 3 {
            kube.until_value(&Ref::config_map("killed", "web"), "greeting", &wanted).await;
        }
        let after = statuses(&kube).await;
        let pending: Vec<&(i64, String)> =
            after.iter().filter(|(_, status)| status.starts_with("pending")).collect();
        assert!(pending.is_empty(), "round {round}: {after:?}");
        let last = after.last().cloned().unwrap_or_default();
        assert_eq!(last.1, "deployed", "round {round}: {after:?}");
        let made = last.0 - before;
        assert!((1..=2).contains(&made), "round {round}: {made} revisions, {after:?}");
    }
}
