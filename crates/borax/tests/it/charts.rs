//! HelmRepositories and HelmCharts on a real control plane: from an index, a registry and a Git repository.

use borax_testkit::charts::{ChartRepository, ChartRepositoryOptions, chart};
use borax_testkit::git::Change;
use borax_testkit::registry::{Access, Fault, Registry, RegistryOptions};
use serde_json::{Value, json};

use crate::harness::{
    Kube, Ref, World, conditions, git_repository, message, namespace, reason, revision, status_of,
};

const API: &str = "source.toolkit.fluxcd.io/v1";

fn repository(namespace: &str, name: &str) -> Ref {
    Ref::new(API, "HelmRepository", namespace, name)
}

fn helm_chart(namespace: &str, name: &str) -> Ref {
    Ref::new(API, "HelmChart", namespace, name)
}

/// A HelmRepository that is looked at only when asked; `more` goes into its spec.
async fn place_repository(kube: &Kube, namespace: &str, name: &str, url: &str, more: Value) {
    let mut object = json!({
        "apiVersion": API, "kind": "HelmRepository",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"interval": "1h", "url": url},
    });
    merge(&mut object["spec"], more);
    kube.apply_value(object).await;
}

/// A HelmChart of the chart `app` that is looked at only when asked; `more` goes into its spec.
async fn place_chart(kube: &Kube, namespace: &str, name: &str, more: Value) {
    let mut object = json!({
        "apiVersion": API, "kind": "HelmChart",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "interval": "1h", "chart": "app",
            "sourceRef": {"kind": "HelmRepository", "name": "charts"},
        },
    });
    merge(&mut object["spec"], more);
    kube.apply_value(object).await;
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

/// The artifact, as it is served.
async fn served(url: &str) -> Vec<u8> {
    let url = url.strip_prefix("http://").unwrap();
    let (host, path) = url.split_once('/').unwrap();
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let ask = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{url}: {}", String::from_utf8_lossy(&answer));
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    answer.split_off(head + 4)
}

fn words(object: &Value) -> Vec<String> {
    let text =
        |condition: &Value, key: &str| condition[key].as_str().unwrap_or_default().to_owned();
    let line = |condition: &Value| {
        format!(
            "{}={} {}: {}",
            text(condition, "type"),
            text(condition, "status"),
            text(condition, "reason"),
            text(condition, "message")
        )
    };
    conditions(object).iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_an_index_is_an_artifact_and_a_new_version_reaches_it() {
    let Some(world) = World::shared().await else { return };
    let (kube, ns) = (world.kube().await, "hc-index");
    let charts =
        ChartRepository::start(ChartRepositoryOptions { etags: true, ..Default::default() });
    let values = [("values.yaml", "a: 1\n"), ("prod.yaml", "a: 2\nb: 3\n")];
    let archive = charts.add("app", "1.0.0", &values);
    charts.add("app", "2.0.0", &values);
    kube.apply(&namespace(ns)).await;
    place_chart(&kube, ns, "app", json!({"version": "1.x"})).await;
    let id = helm_chart(ns, "app");
    let waiting = kube
        .until_some("it waits for its source", &id, |object| {
            reason(object, "FetchFailed") == "SourceUnavailable"
        })
        .await;
    assert_eq!(
        message(&waiting, "Ready"),
        "failed to get source: helmrepositories.source.toolkit.fluxcd.io \"charts\" not found"
    );
    place_repository(&kube, ns, "charts", &charts.url(), json!({})).await;
    let source = kube.until_ready(&repository(ns, "charts"), "sha256:").await;
    let index = revision(&source);
    assert_eq!(
        words(&source),
        [
            format!("Ready=True Succeeded: stored artifact: revision '{index}'"),
            format!("ArtifactInStorage=True Succeeded: stored artifact: revision '{index}'"),
        ]
    );
    let artifact = &source["status"]["artifact"];
    let hex = index.strip_prefix("sha256:").unwrap();
    assert_eq!(artifact["path"], format!("helmrepository/{ns}/charts/index-{hex}.yaml"));
    let url = source["status"]["url"].as_str().unwrap();
    assert!(url.ends_with(&format!("/helmrepository/{ns}/charts/index.yaml")), "{url}");
    assert_eq!(served(url).await, served(artifact["url"].as_str().unwrap()).await);

    let object = kube.until_ready(&id, "1.0.0").await;
    let told = "pulled 'app' chart with version '1.0.0'";
    assert_eq!(
        words(&object),
        [
            format!("Ready=True ChartPullSucceeded: {told}"),
            format!("ArtifactInStorage=True ChartPullSucceeded: {told}"),
        ]
    );
    let status = &object["status"];
    assert_eq!(status["observedChartName"], "app");
    assert_eq!(status["observedSourceArtifactRevision"], *index);
    assert_eq!(status["artifact"]["path"], format!("helmchart/{ns}/app/app-1.0.0.tgz"));
    assert_eq!(served(status["artifact"]["url"].as_str().unwrap()).await, archive);
    assert!(
        status["url"].as_str().unwrap().ends_with(&format!("/helmchart/{ns}/app/latest.tar.gz"))
    );
    // A new version reaches the chart by the index's artifact alone.
    charts.take_seen();
    charts.add("app", "1.1.0", &values);
    let source = kube.reconcile(&repository(ns, "charts")).await;
    let object = kube.until_ready(&id, "1.1.0").await;
    assert_eq!(object["status"]["observedSourceArtifactRevision"], *revision(&source));
    assert_eq!(charts.take_lines(), ["GET /charts/index.yaml", "GET /charts/app-1.1.0.tgz"]);
    // Neither is fetched again when nothing is new; the server only says so.
    kube.reconcile(&repository(ns, "charts")).await;
    kube.reconcile(&id).await;
    assert_eq!(charts.take_lines(), ["GET /charts/index.yaml"]);

    // Other values make another version, by the object's generation.
    let files = json!({"spec": {"valuesFiles": ["values.yaml", "prod.yaml", "none.yaml"], "ignoreMissingValuesFiles": true}});
    kube.merge(&id, files).await;
    let object = kube.until_ready(&id, "1.1.0+").await;
    let generation = &object["metadata"]["generation"];
    assert_eq!(revision(&object), format!("1.1.0+{generation}"));
    assert_eq!(object["status"]["observedValuesFiles"], json!(["values.yaml", "prod.yaml"]));
    assert_eq!(
        message(&object, "Ready"),
        format!(
            "packaged 'app' chart with version '1.1.0+{generation}' and merged values files [values.yaml prod.yaml]"
        )
    );
    assert_eq!(reason(&object, "ArtifactInStorage"), "ChartPackageSucceeded");
    let before = object["status"]["artifact"].clone();
    let again = kube.reconcile(&id).await;
    assert_eq!(again["status"]["artifact"], before, "the same chart is the same artifact");
    assert_eq!(message(&again, "Ready"), message(&object, "Ready"));

    let bad = kube.merge(&id, json!({"spec": {"ignoreMissingValuesFiles": false}})).await;
    drop(bad);
    let object = kube
        .until_some("the missing file is told", &id, |o| {
            status_of(o, "BuildFailed") == Some("True")
        })
        .await;
    assert_eq!(
        message(&object, "Ready"),
        "values files merge error: failed to merge chart values: no values file found at path 'none.yaml'"
    );
    assert_eq!(reason(&object, "Stalled"), "ValuesFilesError");
    assert_eq!(reason(&object, "ArtifactOutdated"), "NewChart");
    assert_eq!(object["status"]["artifact"], before, "what was there stays");

    // The failure is the last thing told, so that all before it is there with it.
    let failed = "values files merge error: failed to merge chart values: no values file found at path 'none.yaml'";
    let mut events = Vec::new();
    for _ in 0..600 {
        events = kube.events(&id).await;
        if events.iter().any(|(_, _, message)| message == failed) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let has = |kind: &str, reason: &str, message: &str| {
        events.iter().any(|(k, r, m)| k == kind && r == reason && m == message)
    };
    assert!(has("Normal", "ChartPullSucceeded", told), "{events:#?}");
    assert!(has("Warning", "ValuesFilesError", failed), "{events:#?}");
    let index = kube.events(&repository(ns, "charts")).await;
    assert!(
        index.iter().any(|(kind, reason, message)| {
            kind == "Normal"
                && reason == "NewArtifact"
                && message.starts_with("stored fetched index of size ")
                && message.ends_with(&format!(" from '{}'", charts.url()))
        }),
        "{index:#?}"
    );

    kube.delete(&id).await;
    kube.until_gone(&id).await;
    assert!(!world.borax.storage().join(format!("helmchart/{ns}/app")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_a_static_repository_and_its_charts_come_by_range_and_secret() {
    let Some(world) = World::shared().await else { return };
    let (kube, ns) = (world.kube().await, "hc-oci");
    let registry = Registry::start(RegistryOptions {
        access: Access::Basic("user".into(), "s3cret".into()),
        ..RegistryOptions::default()
    });
    for version in ["1.0.0", "1.1.0+build.7", "2.0.0-rc.1"] {
        registry.push_chart("org/app", version, chart("app", version, &[("values.yaml", "")]));
    }
    registry.tag(
        "org/app",
        "v1.9.0",
        &registry.push_chart("org/app", "1.0.1", chart("app", "1.0.1", &[])),
    );
    kube.apply(&namespace(ns)).await;
    let insecure = json!({"type": "oci", "insecure": true, "secretRef": {"name": "login"}});
    place_repository(&kube, ns, "charts", &registry.url("org"), insecure).await;
    place_chart(&kube, ns, "app", json!({"version": "1.x"})).await;
    let id = helm_chart(ns, "app");
    let object = kube
        .until_some("the missing Secret is told", &id, |object| {
            reason(object, "FetchFailed") == "AuthenticationFailed"
        })
        .await;
    assert_eq!(
        message(&object, "Ready"),
        format!("failed to get authentication secret '{ns}/login': secrets \"login\" not found")
    );
    let source = kube.get(&repository(ns, "charts")).await.unwrap();
    assert!(source["metadata"]["finalizers"].is_null(), "{source}");
    assert_eq!(source["status"], json!({}), "a registry has no status");

    let secret = |password: &str| {
        let config =
            json!({"auths": {registry.host(): {"username": "user", "password": password}}});
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"namespace": ns, "name": "login"},
            "stringData": {".dockerconfigjson": config.to_string()},
        })
    };
    kube.apply_value(secret("wrong")).await;
    kube.request(&id).await;
    let object = kube
        .until_some("the refusal is told", &id, |o| {
            message(o, "Ready").starts_with("failed to authenticate")
        })
        .await;
    assert!(!message(&object, "Ready").contains("wrong"));
    kube.apply_value(secret("s3cret")).await;
    kube.request(&id).await;
    // `v1.9.0` is no chart's tag; `_` in a tag is `+`.
    let object = kube.until_ready(&id, "1.1.0").await;
    assert_eq!(revision(&object), "1.1.0+build.7");
    assert_eq!(
        object["status"]["artifact"]["path"],
        format!("helmchart/{ns}/app/app-1.1.0+build.7.tgz")
    );
    assert!(object["status"]["observedSourceArtifactRevision"].is_null());

    // An exact version that is the artifact's costs no request.
    kube.merge(&id, json!({"spec": {"version": "2.0.0-rc.1"}})).await;
    kube.until_ready(&id, "2.0.0-rc.1").await;
    registry.take_lines();
    kube.reconcile(&id).await;
    assert_eq!(registry.take_lines(), Vec::<String>::new());
    kube.merge(&id, json!({"spec": {"version": "7.x"}})).await;
    let object = kube
        .until_some("the empty range is told", &id, |o| {
            reason(o, "FetchFailed") == "ChartPullError"
        })
        .await;
    assert_eq!(
        message(&object, "Ready"),
        "chart pull error: failed to get chart version for remote reference: could not locate a version matching provided version string 7.x"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_becomes_a_registry_loses_what_it_had() {
    let Some(world) = World::shared().await else { return };
    let (kube, ns) = (world.kube().await, "hc-static");
    let charts = ChartRepository::start(ChartRepositoryOptions::default());
    charts.add("app", "1.0.0", &[]);
    kube.apply(&namespace(ns)).await;
    place_repository(&kube, ns, "charts", &charts.url(), json!({})).await;
    let id = repository(ns, "charts");
    kube.until_ready(&id, "sha256:").await;
    kube.merge(&id, json!({"spec": {"type": "oci", "url": "oci://example.invalid/charts"}})).await;
    kube.until_some("it is settings only", &id, |object| {
        object["metadata"]["finalizers"].is_null() && object["status"] == json!({})
    })
    .await;
    assert!(!world.borax.storage().join(format!("helmrepository/{ns}/charts")).exists());
    kube.delete(&id).await;
    kube.until_gone(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_a_git_repository_is_packaged_with_its_dependencies() {
    let Some(world) = World::shared().await else { return };
    let (kube, ns) = (world.kube().await, "hc-git");
    let charts = ChartRepository::start(ChartRepositoryOptions {
        login: Some(("user".into(), "s3cret".into())),
        ..ChartRepositoryOptions::default()
    });
    charts.add("lib", "1.2.0", &[("templates/_lib.tpl", "{{ define \"lib\" }}{{ end }}")]);
    charts.add("lib", "2.0.0", &[]);
    let chart_yaml = format!(
        "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- name: lib\n  version: 1.x\n  repository: {}/\n",
        charts.url()
    );
    let git = world.repository(
        "hc-git.git",
        &[
            ("charts/app/Chart.yaml", &chart_yaml),
            ("charts/app/values.yaml", "a: 1\n"),
            ("charts/app/templates/a.yaml", "kind: ConfigMap\n"),
        ],
    );
    kube.apply(&(namespace(ns) + &git_repository(ns, "app", &world.url(&git)))).await;
    let from_git = json!({
        "chart": "./charts/app", "reconcileStrategy": "Revision",
        "sourceRef": {"kind": "GitRepository", "name": "app"},
    });
    place_chart(&kube, ns, "app", from_git).await;
    let id = helm_chart(ns, "app");
    let object = kube
        .until_some("the refusal is told", &id, |o| status_of(o, "BuildFailed") == Some("True"))
        .await;
    let told = message(&object, "Ready");
    assert!(
        told.starts_with("dependency build error: failed to add remote dependency 'lib': failed to get chart 'lib' version '1.x' from '")
            && told.ends_with("401 Unauthorized"),
        "{told}"
    );
    // With the settings of the HelmRepository that has the dependency's address.
    kube.apply_value(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": ns, "name": "login"},
        "stringData": {"username": "user", "password": "s3cret"},
    }))
    .await;
    let login = json!({"secretRef": {"name": "login"}});
    place_repository(&kube, ns, "charts", &charts.url(), login).await;
    kube.until_ready(&repository(ns, "charts"), "sha256:").await;
    kube.request(&id).await;
    let head = git.hash("main");
    let object = kube.until_ready(&id, "1.0.0+").await;
    assert_eq!(revision(&object), format!("1.0.0+{}", &head[..12]));
    assert_eq!(reason(&object, "Ready"), "ChartPackageSucceeded");
    let archive = served(object["status"]["artifact"]["url"].as_str().unwrap()).await;
    let loaded = borax_helm::Chart::from_archive(&archive).unwrap();
    assert_eq!(loaded.metadata.version, revision(&object));
    assert_eq!(&*loaded.dependencies[0].metadata.version, "1.2.0");

    let commit = git.commit_changes(
        "refs/heads/main",
        &[("charts/app/values.yaml", Change::File(b"a: 2\n"))],
        "A change\n",
        1_700_000_100,
    );
    kube.request(&Ref::git(ns, "app")).await;
    kube.until_ready(&id, &commit[..12]).await;
    // By version alone a commit is no news.
    kube.merge(&id, json!({"spec": {"reconcileStrategy": "ChartVersion"}})).await;
    let object =
        kube.until_some("the version is plain", &id, |object| revision(object) == "1.0.0").await;
    let before = object["status"]["artifact"].clone();
    git.commit("main", &[("charts/app/values.yaml", "a: 3\n")]);
    kube.request(&Ref::git(ns, "app")).await;
    let object = kube
        .until_some("the commit is seen", &id, |o| {
            o["status"]["observedSourceArtifactRevision"]
                != object["status"]["observedSourceArtifactRevision"]
        })
        .await;
    assert_eq!(object["status"]["artifact"], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_tells_why_there_is_no_chart() {
    let Some(world) = World::shared().await else { return };
    let (kube, ns) = (world.kube().await, "hc-faults");
    let charts = ChartRepository::start(ChartRepositoryOptions::default());
    charts.add("app", "1.0.0", &[]);
    charts.add_entry("gone", "1.0.0", "gone-1.0.0.tgz");
    charts.put("broken-1.0.0.tgz", "no archive");
    charts.add_entry("broken", "1.0.0", "broken-1.0.0.tgz");
    kube.apply(&namespace(ns)).await;
    place_repository(&kube, ns, "charts", &charts.url(), json!({})).await;
    place_repository(
        &kube,
        ns,
        "aws",
        "oci://example.invalid/x",
        json!({"type": "oci", "provider": "aws"}),
    )
    .await;
    kube.until_ready(&repository(ns, "charts"), "sha256:").await;
    let url = charts.url();
    let cases = [
        ("missing", json!({"chart": "none"}), "InvalidChartReference", true,
            "invalid chart reference: failed to get chart version for remote reference: no chart name found".to_owned()),
        ("range", json!({"version": "3.x"}), "InvalidChartReference", true,
            "invalid chart reference: failed to get chart version for remote reference: no 'app' chart with version matching '3.x' found".to_owned()),
        ("syntax", json!({"version": "what?"}), "InvalidChartReference", true,
            "invalid chart reference: failed to get chart version for remote reference: improper constraint: \"what?\"".to_owned()),
        ("name", json!({"chart": "App"}), "InvalidChartReference", true,
            "invalid chart reference: invalid chart name 'App': a valid name must be lower case letters and numbers and MAY be separated with dashes (-), slashes (/) or periods (.)".to_owned()),
        ("gone", json!({"chart": "gone"}), "ChartPullError", false,
            format!("chart pull error: failed to download chart for remote reference: failed to fetch {url}/gone-1.0.0.tgz : 404 Not Found")),
        ("broken", json!({"chart": "broken"}), "ChartPullError", false,
            "chart pull error: failed to load chart metadata from written chart: ".to_owned()),
        ("bucket", json!({"sourceRef": {"kind": "Bucket", "name": "x"}}), "UnsupportedSourceKind", true,
            "spec.sourceRef.kind: Bucket is not supported yet: ".to_owned()),
        ("cosign", json!({"verify": {"provider": "cosign"}}), "InvalidProviderConfiguration", true,
            "spec.verify.provider: cosign is not supported yet: ".to_owned()),
        ("aws", json!({"sourceRef": {"kind": "HelmRepository", "name": "aws"}}), "InvalidProviderConfiguration", true,
            "spec.provider: aws of HelmRepository 'aws' is not supported yet: ".to_owned()),
    ];
    for (name, spec, _, _, _) in &cases {
        place_chart(&kube, ns, name, spec.clone()).await;
    }
    for (name, _, wanted, stalls, text) in &cases {
        let object = kube
            .until_some(&format!("{name} is told"), &helm_chart(ns, name), |object| {
                status_of(object, "Ready") == Some("False") && reason(object, "Ready") == *wanted
            })
            .await;
        assert!(
            message(&object, "Ready").starts_with(&**text),
            "{name}: {}",
            message(&object, "Ready")
        );
        assert_eq!(status_of(&object, "Stalled") == Some("True"), *stalls, "{name}");
    }
    // A chart that was not in the index comes with the next one, though it was given up on.
    charts.add("none", "0.1.0", &[]);
    kube.request(&repository(ns, "charts")).await;
    kube.until_ready(&helm_chart(ns, "missing"), "0.1.0").await;

    let told = async |spec: Value, wanted: &str, text: &str| {
        kube.merge(&repository(ns, "charts"), json!({"spec": spec})).await;
        kube.request(&repository(ns, "charts")).await;
        let object = kube
            .until_some(&format!("{text:?} is told"), &repository(ns, "charts"), |object| {
                reason(object, "Ready") == wanted && message(object, "Ready").contains(text)
            })
            .await;
        assert!(!object["status"]["artifact"].is_null(), "what was there stays");
    };
    // Until it was seen: a fault that passes is over before a slow machine looks.
    charts.break_requests("index.yaml", Fault::Status(500, Vec::new(), String::new()), usize::MAX);
    told(json!({}), "Failed", "failed to fetch Helm repository index: failed to cache index to temporary file: failed to fetch").await;
    charts.mend();
    charts.break_requests("index.yaml", Fault::Body(b"entries: {}\n".to_vec()), usize::MAX);
    told(json!({}), "IndexationFailed", "failed to load Helm repository from index YAML: failed to load index: no API version specified").await;
    charts.mend();
    told(json!({"url": "oci://example.invalid/x"}), "URLInvalid", "invalid Helm repository URL: 'oci' URL scheme cannot be used with 'default' HelmRepository type").await;
    told(
        json!({"url": url, "secretRef": {"name": "none"}}),
        "AuthenticationFailed",
        "failed to get authentication secret 'hc-faults/none': secrets \"none\" not found",
    )
    .await;
}
