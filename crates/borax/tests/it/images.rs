//! ImageRepositories and ImagePolicies on a real control plane, with a registry that answers well and badly.

use borax_testkit::registry::{Access, Fault, Registry, RegistryOptions};
use serde_json::{Value, json};

use crate::harness::{Kube, Ref, World, message, namespace, ready, reason, status_of};

const API: &str = "image.toolkit.fluxcd.io/v1";

fn image_repository(namespace: &str, name: &str) -> Ref {
    Ref::new(API, "ImageRepository", namespace, name)
}

fn image_policy(namespace: &str, name: &str) -> Ref {
    Ref::new(API, "ImagePolicy", namespace, name)
}

fn object(kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": API, "kind": kind,
        "metadata": {"namespace": namespace, "name": name}, "spec": spec,
    })
}

fn scanned(object: &Value) -> u64 {
    object["status"]["lastScanResult"]["tagCount"].as_u64().unwrap_or_default()
}

fn push(registry: &Registry, repository: &str, tags: &[&str]) {
    for tag in tags {
        registry.push_image(repository, Some(tag), "amd64", &[("tag", tag.as_bytes())]);
    }
}

async fn until_scanned(kube: &Kube, id: &Ref, tags: u64) -> Value {
    let what = format!("{tags} tags are found");
    kube.until_some(&what, id, |o| ready(o) == Some("True") && scanned(o) == tags).await
}

async fn until_latest(kube: &Kube, id: &Ref, tag: &str) -> Value {
    let what = format!("{tag} is the latest");
    kube.until_some(&what, id, |o| {
        ready(o) == Some("True") && o["status"]["latestRef"]["tag"] == *tag
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_scanned_and_the_latest_is_chosen() {
    let Some(world) = World::shared().await else { return };
    let kube = world.kube().await;
    let registry = Registry::start(RegistryOptions { page_size: 2, ..Default::default() });
    push(&registry, "org/app", &["1.0.0", "1.1.0", "2.0.0-rc.1", "sha256-ab.sig", "main-1"]);
    kube.apply(&namespace("img-latest")).await;
    let image = format!("{}/org/app", registry.host());
    let spec = json!({"image": image, "interval": "1h"});
    kube.apply_value(object("ImageRepository", "img-latest", "app", spec)).await;
    for (name, spec) in [
        (
            "semver",
            json!({"policy": {"semver": {"range": ">=1.0.0"}}, "digestReflectionPolicy": "IfNotPresent"}),
        ),
        (
            "numeric",
            json!({"policy": {"numerical": {"order": "asc"}}, "filterTags": {"pattern": "^main-(?P<n>\\d+)$", "extract": "$n"}}),
        ),
        (
            "always",
            json!({"policy": {"alphabetical": {}}, "digestReflectionPolicy": "Always", "interval": "1h"}),
        ),
        ("invalid", json!({"policy": {"semver": {"range": "nope"}}})),
        ("none", json!({"policy": {"semver": {"range": ">=9"}}})),
    ] {
        let mut spec = spec;
        spec["imageRepositoryRef"] = json!({"name": "app"});
        kube.apply_value(object("ImagePolicy", "img-latest", name, spec)).await;
    }
    let repository = image_repository("img-latest", "app");
    let found = until_scanned(&kube, &repository, 4).await;
    let status = &found["status"];
    let checksum = status["lastScanResult"]["revision"].as_str().unwrap();
    assert_eq!(
        message(&found, "Ready"),
        format!("successful scan: found 4 tags with checksum {checksum}")
    );
    assert_eq!(reason(&found, "Ready"), "Succeeded");
    assert_eq!(status["canonicalImageName"], image);
    assert_eq!(status["observedExclusionList"], json!(["^.*\\.sig$"]));
    assert_eq!(
        status["lastScanResult"]["latestTags"],
        json!(["main-1", "2.0.0-rc.1", "1.1.0", "1.0.0"])
    );
    assert_eq!(found["metadata"]["finalizers"], json!(["finalizers.fluxcd.io"]));

    let semver = image_policy("img-latest", "semver");
    let chosen = until_latest(&kube, &semver, "1.1.0").await;
    let digest = chosen["status"]["latestRef"]["digest"].as_str().unwrap().to_owned();
    assert_eq!(
        message(&chosen, "Ready"),
        format!("Latest image tag for {image} resolved to 1.1.0 with digest {digest}")
    );
    until_latest(&kube, &image_policy("img-latest", "numeric"), "main-1").await;
    until_latest(&kube, &image_policy("img-latest", "always"), "main-1").await;
    let stalled = image_policy("img-latest", "invalid");
    let stalled =
        kube.until_some("it stalls", &stalled, |o| status_of(o, "Stalled") == Some("True")).await;
    assert_eq!(reason(&stalled, "Ready"), "InvalidPolicy");
    assert_eq!(message(&stalled, "Ready"), "invalid policy: improper constraint: \"nope\"");
    let none = image_policy("img-latest", "none");
    let none =
        kube.until_some("nothing is found", &none, |o| reason(o, "Ready") == "Failure").await;
    assert_eq!(message(&none, "Ready"), "unable to determine latest version from provided list");

    push(&registry, "org/app", &["1.2.0"]);
    kube.request(&repository).await;
    let chosen = until_latest(&kube, &semver, "1.2.0").await;
    assert_eq!(
        chosen["status"]["observedPreviousRef"],
        json!({"name": image, "tag": "1.1.0", "digest": digest})
    );
    assert!(message(&chosen, "Ready").ends_with(&format!("(previously {image}:1.1.0@{digest})")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_suspended_was_seen_all_the_same() {
    let Some(world) = World::shared().await else { return };
    let kube = world.kube().await;
    let registry = Registry::start(RegistryOptions::default());
    push(&registry, "org/app", &["1.0.0"]);
    kube.apply(&namespace("img-seen")).await;
    let spec = json!({"image": format!("{}/org/app", registry.host()), "interval": "1h"});
    kube.apply_value(object("ImageRepository", "img-seen", "app", spec)).await;
    let spec = json!({
        "imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": "1.x"}},
    });
    kube.apply_value(object("ImagePolicy", "img-seen", "app", spec)).await;
    let (repository, policy) =
        (image_repository("img-seen", "app"), image_policy("img-seen", "app"));
    until_latest(&kube, &policy, "1.0.0").await;
    push(&registry, "org/app", &["1.1.0"]);
    for id in [&policy, &repository] {
        kube.merge(id, json!({"spec": {"suspend": true}})).await;
        let seen = kube.reconcile(id).await;
        assert_eq!(seen["status"]["observedGeneration"], seen["metadata"]["generation"]);
        assert_eq!(status_of(&seen, "Ready"), Some("True"));
    }
    assert_eq!(scanned(&kube.get(&repository).await.unwrap()), 1, "nothing else was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_fails_is_told_of_and_the_last_scan_kept() {
    let Some(world) = World::shared().await else { return };
    let kube = world.kube().await;
    kube.apply(&namespace("img-faults")).await;
    let status = |code, headers, body: &str| Fault::Status(code, headers, body.to_owned());
    let looping = vec![("link", "</v2/org/app/tags/list?n=1000>; rel=\"next\"".to_owned())];
    let asks = vec![("retry-after", "1".to_owned())];
    let faults: Vec<(&str, Fault, &str)> = vec![
        ("denied", status(401, vec![], ""), "401 Unauthorized"),
        (
            "forbidden",
            status(403, vec![], "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\"}]}"),
            "DENIED: no",
        ),
        ("missing", status(404, vec![], ""), "404 Not Found"),
        ("limited", status(429, asks, ""), "429 Too Many Requests"),
        ("broken", status(500, vec![], ""), "500 Internal Server Error"),
        ("truncated", Fault::Body(b"{\"tags\": [\"1.0.0\"".to_vec()), "not a list of tags"),
        ("cut", Fault::CutAfter(5), "tags/list"),
        (
            "looping",
            status(200, looping, "{\"tags\": [\"1.0.0\"]}"),
            "leads back to a page that was read already",
        ),
        ("slow", Fault::Hang, "no complete answer within 2s"),
    ];
    for (name, fault, want) in faults {
        let registry = Registry::start(RegistryOptions::default());
        push(&registry, "org/app", &["1.0.0", "1.1.0"]);
        let image = format!("{}/org/app", registry.host());
        // What may pass is asked for three times, which takes 4 s; only silence is to run out of time.
        let timeout = if name == "slow" { "2s" } else { "1m" };
        let spec = json!({"image": image, "interval": "1h", "timeout": timeout});
        kube.apply_value(object("ImageRepository", "img-faults", name, spec)).await;
        let id = image_repository("img-faults", name);
        let good = until_scanned(&kube, &id, 2).await;
        registry.break_requests("/tags/list", fault, usize::MAX);
        kube.request(&id).await;
        let failed = kube.until_some("it fails", &id, |o| ready(o) == Some("False")).await;
        assert_eq!(reason(&failed, "Ready"), "ReadOperationFailed", "{name}");
        let said = message(&failed, "Ready");
        assert!(said.starts_with("scan failed: ") && said.contains(want), "{name}: {said}");
        assert_eq!(reason(&failed, "Reconciling"), "ProgressingWithRetry", "{name}");
        assert_eq!(failed["status"]["lastScanResult"], good["status"]["lastScanResult"], "{name}");
        registry.mend();
        push(&registry, "org/app", &["1.2.0"]);
        until_scanned(&kube, &id, 3).await;
        kube.delete(&id).await;
        kube.until_gone(&id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_logins_and_providers_that_are_wrong_are_told_of() {
    let Some(world) = World::shared().await else { return };
    let kube = world.kube().await;
    kube.apply(&namespace("img-wrong")).await;
    for (name, spec, why, text) in [
        (
            "tagged",
            json!({"image": "ghcr.io/a/b:1.0.0"}),
            "ImageURLInvalid",
            "image 'ghcr.io/a/b:1.0.0' should not include a tag; remove ':1.0.0'",
        ),
        (
            "url",
            json!({"image": "https://ghcr.io/a/b"}),
            "ImageURLInvalid",
            "image 'https://ghcr.io/a/b' should not include URL scheme; remove 'https://'",
        ),
        (
            "cloud",
            json!({"image": "ghcr.io/a/b", "provider": "aws"}),
            "InvalidProviderConfiguration",
            "spec.provider: aws is not supported yet",
        ),
        (
            "login",
            json!({"image": "ghcr.io/a/b", "secretRef": {"name": "none"}}),
            "AuthenticationFailed",
            "secrets \"none\" not found",
        ),
        (
            "account",
            json!({"image": "ghcr.io/a/b", "serviceAccountName": "none"}),
            "AuthenticationFailed",
            "serviceaccount 'img-wrong/none' not found",
        ),
    ] {
        let mut spec = spec;
        spec["interval"] = json!("1h");
        kube.apply_value(object("ImageRepository", "img-wrong", name, spec)).await;
        let id = image_repository("img-wrong", name);
        let failed = kube.until_some("it fails", &id, |o| ready(o) == Some("False")).await;
        assert_eq!(reason(&failed, "Ready"), why, "{name}");
        assert!(message(&failed, "Ready").contains(text), "{name}: {}", message(&failed, "Ready"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_of_other_namespaces_need_to_be_let_in() {
    let Some(world) = World::shared().await else { return };
    let kube = world.kube().await;
    let registry = Registry::start(RegistryOptions::default());
    push(&registry, "org/app", &["1.0.0"]);
    kube.apply(&[namespace("img-owner"), namespace("img-guest")].concat()).await;
    let image = format!("{}/org/app", registry.host());
    let spec = json!({"image": image, "interval": "1h"});
    kube.apply_value(object("ImageRepository", "img-owner", "app", spec)).await;
    let reference = json!({"name": "app", "namespace": "img-owner"});
    let spec = json!({"imageRepositoryRef": reference, "policy": {"semver": {"range": "*"}}});
    kube.apply_value(object("ImagePolicy", "img-guest", "app", spec)).await;
    let policy = image_policy("img-guest", "app");
    let denied =
        kube.until_some("it is denied", &policy, |o| reason(o, "Ready") == "AccessDenied").await;
    assert_eq!(
        message(&denied, "Ready"),
        "failed to get the referred ImageRepository: access denied: 'img-owner/app' can't be accessed due to missing ACL labels on 'accessFrom'"
    );
    let labels = json!({"kubernetes.io/metadata.name": "img-guest"});
    let access = json!({"namespaceSelectors": [{"matchLabels": labels}]});
    let id = image_repository("img-owner", "app");
    kube.merge(&id, json!({"spec": {"accessFrom": access}})).await;
    until_latest(&kube, &policy, "1.0.0").await;
    kube.delete(&id).await;
    kube.until_some("its repository is gone", &policy, |o| {
        reason(o, "Ready") == "DependencyNotReady"
            && message(o, "Ready").contains("referenced ImageRepository does not exist")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_image_with_the_same_login_is_scanned_once() {
    let Some(world) = World::shared().await else { return };
    let kube = world.kube().await;
    let access =
        Access::Token { username: "user".into(), password: "pass".into(), identity: String::new() };
    let registry = Registry::start(RegistryOptions { access, ..Default::default() });
    push(&registry, "org/app", &["1.0.0", "1.1.0"]);
    kube.apply(&namespace("img-shared")).await;
    let auths = json!({"auths": {registry.host(): {"username": "user", "password": "pass"}}});
    kube.apply_value(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"namespace": "img-shared", "name": "login"},
        "stringData": {".dockerconfigjson": auths.to_string()},
    }))
    .await;
    let image = format!("{}/org/app", registry.host());
    registry.take_lines();
    for n in 0..5 {
        let spec = json!({"image": image, "interval": "1h", "secretRef": {"name": "login"}});
        kube.apply_value(object("ImageRepository", "img-shared", &format!("app-{n}"), spec)).await;
        until_scanned(&kube, &image_repository("img-shared", &format!("app-{n}")), 2).await;
    }
    let lines = registry.take_lines();
    let count = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!(
        (count("/tags/list"), count("GET /v2/ "), lines.len()),
        (1, 0, lines.len()),
        "{lines:#?}"
    );
    // One to be told how, one for a token, one for the tags.
    assert!(lines.len() <= 4, "{lines:#?}");
}
