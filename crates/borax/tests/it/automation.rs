//! Image updates in Git: a policy's latest image becomes a commit, told as Flux tells it.

use std::time::{Duration, Instant};

use borax_testkit::git::{HttpOptions, HttpServer, KeyKind, Repository, SshOptions, SshServer};
use serde_json::{Value, json};

use crate::harness::{
    Kube, Ref, World, git_repository, message, namespace, ready, reason, status_of,
};

pub(crate) const IMAGE: &str = "image.toolkit.fluxcd.io/v1";

pub(crate) fn automation_ref(namespace: &str, name: &str) -> Ref {
    Ref::new(IMAGE, "ImageUpdateAutomation", namespace, name)
}

pub(crate) fn policy_ref(namespace: &str, name: &str) -> Ref {
    Ref::new(IMAGE, "ImagePolicy", namespace, name)
}

/// The manifest of an ImagePolicy whose latest image the test itself sets.
pub(crate) fn policy(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: {IMAGE}\nkind: ImagePolicy\nmetadata:\n  name: {name}\n  namespace: {namespace}\n  \
         labels: {{policy: {name}}}\nspec:\n  imageRepositoryRef:\n    name: {name}\n  policy:\n    semver:\n      \
         range: '*'\n---\n"
    )
}

/// The manifest of an automation; `more` goes into its spec.
pub(crate) fn automation(namespace: &str, name: &str, more: Value) -> Value {
    let mut spec = json!({
        "interval": "1h",
        "sourceRef": {"kind": "GitRepository", "name": "repo"},
        "git": {"commit": {
            "author": {"name": "Bot", "email": "bot@example.com"},
            "messageTemplate": "Update\n\n{{ range .Changed.Changes }}{{ .OldValue }} -> {{ .NewValue }}\n{{ end }}",
        }},
    });
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    json!({
        "apiVersion": IMAGE, "kind": "ImageUpdateAutomation",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    })
}

pub(crate) async fn set_latest(kube: &Kube, namespace: &str, policy: &str, tag: &str) {
    let latest = json!({"latestRef": {"name": "example.com/app", "tag": tag}});
    kube.merge_status(&policy_ref(namespace, policy), latest).await;
}

const DEPLOYMENT: &str = "# kept\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n    name: web   # odd indent\nspec:\n    \
    image:  \"example.com/app:1.0.0\"   # {\"$imagepolicy\": \"NS:app\"}\n    tag: '1.0.0' # {\"$imagepolicy\": \"NS:app:tag\"}\n";

async fn until_value(kube: &Kube, id: &Ref, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    kube.until_some(what, id, holds).await
}

/// Waits until an event about an object is told; events follow the status they tell of.
async fn until_told(kube: &Kube, id: &Ref, told: impl Fn(&str, &str, &str) -> bool) {
    let begin = Instant::now();
    loop {
        let events = kube.events(id).await;
        if events.iter().any(|(kind, reason, message)| told(kind, reason, message)) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{id}: {events:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn pushed(object: &Value) -> &str {
    object["status"]["lastPushCommit"].as_str().unwrap_or_default()
}

fn observed(object: &Value) -> &str {
    object["status"]["observedSourceRevision"].as_str().unwrap_or_default()
}

fn changed_lines(repository: &Repository) -> Vec<String> {
    let diff = repository.git(&["diff", "-U0", "main^", "main"]);
    let is_change = |line: &&str| {
        line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---")
    };
    diff.lines().filter(is_change).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_image_becomes_a_commit() {
    let Some(world) = World::shared().await else { return };
    let (kube, ns) = (world.kube().await, "auto-commit");
    let text = DEPLOYMENT.replace("NS", ns);
    let repository = world.repository("auto-commit.git", &[("deploy/web.yaml", &text)]);
    let url = world.url(&repository);
    kube.apply(&(namespace(ns) + &git_repository(ns, "repo", &url) + &policy(ns, "app"))).await;
    let id = automation_ref(ns, "auto");
    kube.apply_value(automation(ns, "auto", json!({"update": {"path": "./deploy"}}))).await;
    let object = until_value(&kube, &id, "it is ready", |o| ready(o) == Some("True")).await;
    assert_eq!(message(&object, "Ready"), "repository up-to-date");
    assert_eq!(pushed(&object), "", "there was no image yet");
    let first = repository.hash("main");
    assert_eq!(observed(&object), format!("main@sha1:{first}"));

    // A policy's image wakes it, long before its interval.
    set_latest(&kube, ns, "app", "1.2.0").await;
    let object = until_value(&kube, &id, "it pushed", |o| !pushed(o).is_empty()).await;
    let second = repository.hash("main");
    assert_eq!((pushed(&object), repository.hash("main^")), (second.as_str(), first));
    assert_eq!(observed(&object), format!("main@sha1:{second}"));
    assert_eq!(
        object["status"]["observedPolicies"],
        json!({"app": {"name": "example.com/app", "tag": "1.2.0"}})
    );
    assert!(
        object["status"]["lastPushTime"].is_string()
            && object["status"]["lastAutomationRunTime"].is_string()
    );
    assert_eq!(object["status"]["observedGeneration"], object["metadata"]["generation"]);
    assert_eq!(
        changed_lines(&repository),
        [
            format!(
                "-    image:  \"example.com/app:1.0.0\"   # {{\"$imagepolicy\": \"{ns}:app\"}}"
            ),
            format!("-    tag: '1.0.0' # {{\"$imagepolicy\": \"{ns}:app:tag\"}}"),
            format!(
                "+    image:  \"example.com/app:1.2.0\"   # {{\"$imagepolicy\": \"{ns}:app\"}}"
            ),
            format!("+    tag: '1.2.0' # {{\"$imagepolicy\": \"{ns}:app:tag\"}}"),
        ]
    );
    assert_eq!(
        repository.git(&["log", "-1", "--format=%an <%ae> %cn%n%B", "main"]),
        "Bot <bot@example.com> Bot\nUpdate\n\nexample.com/app:1.0.0 -> example.com/app:1.2.0\n1.0.0 -> 1.2.0"
    );
    let told = format!(
        "pushed commit '{}' to branch 'main'\nUpdate\n\nexample.com/app:1.0.0 -> example.com/app:1.2.0\n1.0.0 -> 1.2.0\n",
        &second[..7]
    );
    until_told(&kube, &id, |kind, reason, message| {
        kind == "Normal" && reason == "Succeeded" && message == told
    })
    .await;

    // Somebody turns it back: the source's new artifact wakes it.
    repository.commit("main", &[("deploy/web.yaml", &text)]);
    kube.request(&Ref::git(ns, "repo")).await;
    let object = until_value(&kube, &id, "it pushed again", |o| pushed(o) != second).await;
    let third = repository.hash("main");
    assert_eq!(pushed(&object), third);
    // Nothing changes, so nothing is committed; the request is answered.
    let object = kube.reconcile(&id).await;
    assert_eq!((pushed(&object), repository.hash("main")), (third.as_str(), third.clone()));

    kube.merge(&id, json!({"spec": {"suspend": true}})).await;
    set_latest(&kube, ns, "app", "1.3.0").await;
    let is_third = |object: Option<&Value>| object.is_some_and(|object| pushed(object) == third);
    kube.stays("a suspended automation pushes nothing", &id, Duration::from_secs(2), is_third)
        .await;
    kube.merge(&id, json!({"spec": {"suspend": false}})).await;
    until_value(&kube, &id, "it went on", |o| pushed(o) != third).await;
    kube.delete(&id).await;
    kube.until_gone(&id).await;
    assert_eq!(repository.git(&["fsck", "--strict", "--no-dangling"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_signed_to_a_branch_of_its_own() {
    let Some(world) = World::shared().await else { return };
    let (kube, ns) = (world.kube().await, "auto-ssh");
    let text = DEPLOYMENT.replace("NS", ns);
    let repository = world.repository("auto-ssh.git", &[("web.yaml", &text)]);
    let server = SshServer::start(world.repositories.root(), SshOptions::default());
    let key = server.allow(&KeyKind::Ed25519, "");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": ns},
        "stringData": {"identity": key, "known_hosts": server.known_hosts()},
    });
    let source = git_repository(ns, "repo", &server.url("auto-ssh.git"))
        .replace("  interval", "  secretRef: {name: login}\n  interval");
    kube.apply(&namespace(ns)).await;
    kube.apply_value(secret).await;
    kube.apply(&(source + &policy(ns, "app"))).await;
    set_latest(&kube, ns, "app", "2.0.0").await;
    let git = json!({"git": {
        "commit": {
            "author": {"email": "bot@example.com"},
            "signingKey": {"type": "ssh", "secretRef": {"name": "login"}},
        },
        "push": {"branch": "auto", "refspec": "refs/heads/auto:refs/for/main"},
    }});
    kube.apply_value(automation(ns, "auto", git)).await;
    let id = automation_ref(ns, "auto");
    let object = until_value(&kube, &id, "it pushed", |o| !pushed(o).is_empty()).await;
    let commit = repository.hash("auto");
    assert_eq!(pushed(&object), commit);
    assert_eq!(repository.hash("refs/for/main"), commit);
    assert_eq!(observed(&object), format!("main@sha1:{}", repository.hash("main")));
    assert_eq!(repository.hash("auto^"), repository.hash("main"));
    let raw = String::from_utf8(repository.read_object("commit", "auto")).unwrap();
    assert!(raw.contains("\ngpgsig -----BEGIN SSH SIGNATURE-----\n"), "{raw}");
    assert!(raw.ends_with("\n\nUpdate from image update automation"), "{raw}");
    let told = format!(
        "pushed commit '{}' to branch 'auto' and refspecs 'refs/heads/auto:refs/for/main'\n",
        &commit[..7]
    );
    until_told(&kube, &id, |_, _, message| message.starts_with(&told)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_in_flux_words() {
    let Some(world) = World::shared().await else { return };
    let (kube, ns) = (world.kube().await, "auto-wrong");
    let text = DEPLOYMENT.replace("NS", ns);
    let broken = format!("a: [1 # {{\"$imagepolicy\": \"{ns}:app\"}}\n");
    let files = [("web.yaml", text.as_str()), ("broken.yaml", broken.as_str())];
    let repository = world.repository("auto-wrong.git", &files);
    let first = repository.hash("main");
    let url = world.url(&repository);
    kube.apply(&(namespace(ns) + &git_repository(ns, "repo", &url) + &policy(ns, "app"))).await;
    set_latest(&kube, ns, "app", "2.0.0").await;
    let author = json!({"email": "bot@example.com"});
    for (name, more, stalled, why, text) in [
        (
            "removed",
            json!({"git": {"commit": {"author": author, "messageTemplate": "{{ range .Updated.Images }}{{ . }}{{ end }}"}}}),
            true,
            "RemovedTemplateField",
            "template uses removed '.Updated' field. Please use '.Changed' instead.",
        ),
        (
            "template",
            json!({"git": {"commit": {"author": author, "messageTemplate": "{{ nope }}"}}}),
            false,
            "GitOperationFailed",
            "failed to update source: unable to create commit message template from spec: template: commit message:1: \
             function \"nope\" not defined",
        ),
        (
            "branch",
            json!({"git": {"commit": {"author": author}, "checkout": {"ref": {"branch": "nope"}}}}),
            false,
            "GitOperationFailed",
            "failed to checkout source: unable to clone 'http://",
        ),
        (
            "source",
            json!({"sourceRef": {"kind": "GitRepository", "name": "gone"}}),
            false,
            "SourceManagerFailed",
            "failed configuring source manager: referenced git repository does not exist: \
             GitRepository.source.toolkit.fluxcd.io \"gone\" not found",
        ),
        (
            "path",
            json!({"update": {"path": "./gone"}}),
            false,
            "UpdateFailed",
            "failed to apply policies: walking path for files: lstat gone: no such file or directory",
        ),
        (
            "key",
            json!({"git": {"commit": {"author": author, "signingKey": {"secretRef": {"name": "gone"}}}}}),
            false,
            "SourceManagerFailed",
            "failed configuring source manager: could not find signing key secret 'gone': secrets \"gone\" not found",
        ),
        (
            "selector",
            json!({"policySelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}),
            true,
            "InvalidPolicySelector",
            "failed to parse policy selector: \"Near\" is not a valid label selector operator",
        ),
        (
            "nogit",
            json!({"git": null}),
            true,
            "InvalidSourceConfiguration",
            "source kind 'GitRepository' necessitates field .spec.git: invalid source configuration",
        ),
    ] {
        let mut object = automation(ns, name, more);
        if object["spec"]["git"].is_null() {
            object["spec"].as_object_mut().unwrap().remove("git");
        }
        kube.apply_value(object).await;
        let id = automation_ref(ns, name);
        let object = until_value(&kube, &id, "it fails", |o| ready(o) == Some("False")).await;
        assert_eq!(reason(&object, "Ready"), why, "{name}");
        assert!(
            message(&object, "Ready").starts_with(text),
            "{name}: {}",
            message(&object, "Ready")
        );
        let (other, kind) =
            if stalled { ("Reconciling", "Stalled") } else { ("Stalled", "Reconciling") };
        assert_eq!(status_of(&object, kind), Some("True"), "{name}");
        assert_eq!(status_of(&object, other), None, "{name}");
        until_told(&kube, &id, |kind, reason, message| {
            kind == "Warning" && reason == why && message.starts_with(text)
        })
        .await;
        kube.delete(&id).await;
    }
    assert_eq!(repository.hash("main"), first, "nothing of this pushed anything");

    // One file that can't be read is left and told of; the others are written.
    kube.apply_value(automation(ns, "auto", json!({}))).await;
    let id = automation_ref(ns, "auto");
    let object = until_value(&kube, &id, "it pushed", |o| !pushed(o).is_empty()).await;
    let told = message(&object, "Ready");
    assert!(told.starts_with("repository up-to-date; left as they are: broken.yaml:"), "{told}");
    assert_eq!(repository.read_object("blob", "main:broken.yaml"), broken.as_bytes());
    assert_eq!(repository.git(&["diff", "--name-only", "main^", "main"]), "web.yaml");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_in_another_namespace_is_written_to_unless_that_is_forbidden() {
    let Some(world) = World::shared().await else { return };
    let (kube, ns) = (world.kube().await, "auto-across");
    let text = DEPLOYMENT.replace("NS", ns);
    let repository = world.repository("auto-across.git", &[("web.yaml", &text)]);
    let server = HttpServer::start(world.repositories.root(), HttpOptions::default());
    let url = server.url(repository.name());
    kube.apply(&(namespace(ns) + &namespace("auto-other"))).await;
    kube.apply(&(git_repository("auto-other", "repo", &url) + &policy(ns, "app"))).await;
    set_latest(&kube, ns, "app", "2.0.0").await;
    let source =
        json!({"sourceRef": {"kind": "GitRepository", "name": "repo", "namespace": "auto-other"}});
    kube.apply_value(automation(ns, "auto", source)).await;
    let id = automation_ref(ns, "auto");
    until_value(&kube, &id, "it pushed", |o| pushed(o) == repository.hash("main")).await;
}
