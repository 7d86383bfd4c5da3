//! Deleting what is no longer wanted.

use std::time::Duration;

use serde_json::json;

use crate::world::{World, entries, lines};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_ours_and_may_go_is_deleted() {
    let Some(world) = World::new().await else { return };
    let mut kept = world.config("kept", "1");
    kept["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/prune": "disabled"});
    let objects = vec![
        world.config("old", "1"),
        kept,
        world.config("theirs", "1"),
        world.config("absent", "1"),
    ];
    world.apply(objects.clone()).await.expect("valid");
    world
        .merge(
            &world.path("configmaps", "theirs"),
            &json!({"metadata": {"labels": {
        "kustomize.toolkit.fluxcd.io/name": "another"}}}),
        )
        .await;
    world.delete(&world.path("configmaps", "absent")).await;
    let gone = world.id(&objects[3]);
    let theirs = world.id(&objects[2]);
    world.until(|| async { world.cluster.live().get(&gone).is_none() }).await;
    world
        .until(|| async {
            world
                .cluster
                .live()
                .get(&theirs)
                .is_some_and(|r| r.owner.is_some_and(|(n, _)| &*n == "another"))
        })
        .await;

    let applier = world.applier(&world.cluster);
    let before = world.cluster.requests();
    let pruned = applier.prune(&entries(&objects)).await;
    assert_eq!(pruned.error, None);
    assert_eq!(
        lines(&pruned.changes),
        ["old deleted", "kept skipped", "theirs skipped", "absent deleted"]
    );
    assert_eq!(world.cluster.requests() - before, 2, "one deletion, one look for what is absent");
    applier.wait_gone(&pruned.changes, Duration::from_secs(10)).await.expect("it goes");
    assert!(world.get(&world.path("configmaps", "kept")).await.is_some());
    assert!(world.get(&world.path("configmaps", "theirs")).await.is_some());
    assert!(world.get(&world.path("configmaps", "old")).await.is_none());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_deleted_survives_and_says_why() {
    let Some(world) = World::new().await else { return };
    let object = world.config("settings", "1");
    world.apply(vec![object.clone()]).await.expect("valid");
    let tenant =
        world.cluster.as_user(&format!("system:serviceaccount:{}:tenant", world.namespace));
    let pruned = world.applier(&tenant).prune(&entries(std::slice::from_ref(&object))).await;
    assert_eq!(pruned.survivors, entries(&[object]));
    let error = pruned.error.expect("the tenant has no rights");
    let expect = format!(
        "delete failed, errors: ConfigMap/{}/settings delete failed: configmaps \"settings\" is forbidden",
        world.namespace
    );
    assert!(error.starts_with(&expect) && error.ends_with(';'), "{error}");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_the_end_has_an_end() {
    let Some(world) = World::new().await else { return };
    let object = world.config("held", "1");
    world.apply(vec![object.clone()]).await.expect("valid");
    let path = world.path("configmaps", "held");
    world.merge(&path, &json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    let applier = world.applier(&world.cluster);
    let pruned = applier.prune(&entries(&[object])).await;
    let error = applier
        .wait_gone(&pruned.changes, Duration::from_millis(300))
        .await
        .expect_err("it is held");
    assert_eq!(
        error.to_string(),
        format!(
            "ConfigMap/{}/held termination timeout: context deadline exceeded",
            world.namespace
        )
    );
    let nothing = json!({"metadata": {"finalizers": null}});
    let release = world.merge(&path, &nothing);
    let (result, _) =
        tokio::join!(applier.wait_gone(&pruned.changes, Duration::from_secs(10)), release);
    result.expect("it goes");
    world.finish().await;
}
