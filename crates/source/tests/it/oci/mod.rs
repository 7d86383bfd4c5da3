//! OCIRepositories against a registry in this process: what is found and what becomes of it.

mod access;
mod failures;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use borax_artifact::path::ArtifactPath;
use borax_artifact::{Options, Storage};
use borax_source::auth::docker_config::Keychain;
use borax_source::git::{ClientCertificate, Proxy};
use borax_source::oci::{
    Connection, Content, LayerOperation, LayerSelector, OciClient, OciError, OciSource, Pulled,
    Reference, Repository, Resolved, Retry,
};
use borax_stdx::files::Files;
use borax_testkit::git::TestTls;
use borax_testkit::registry::{
    Access, CHART_LAYER, Fault, PushSpec, Registry, RegistryOptions, tar_gz,
};

pub(super) const FILES: &[(&str, &[u8])] =
    &[("deploy/", b""), ("deploy/app.yaml", b"kind: X\n"), ("run.sh", b"#!/bin/sh\n")];

pub(super) fn client() -> OciClient {
    OciClient::new(Retry { attempts: 3, pause: Duration::from_millis(1) })
}

pub(super) fn source(registry: &Registry, repository: &str) -> OciSource {
    OciSource { url: registry.url(repository), ..OciSource::default() }
}

pub(super) fn reference(change: impl FnOnce(&mut Reference)) -> Reference {
    let mut reference = Reference::default();
    change(&mut reference);
    reference
}

pub(super) fn keychain(registry: &Registry, entry: &str) -> Keychain {
    let mut keychain = Keychain::default();
    let config = format!("{{\"auths\":{{\"{}\":{entry}}}}}", registry.host());
    let data = BTreeMap::from([(".dockerconfigjson".to_owned(), config.into_bytes())]);
    keychain.add_secret("kubernetes.io/dockerconfigjson", &data).expect("a docker config");
    keychain
}

pub(super) fn storage() -> (tempfile::TempDir, Arc<Storage>) {
    let dir = tempfile::tempdir().expect("a folder");
    let storage = Storage::new(Options::new(dir.path(), "source.example")).expect("a storage");
    (dir, Arc::new(storage))
}

pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

pub(super) async fn revision(client: &OciClient, source: &OciSource) -> Result<String, String> {
    let resolved = client.resolve(source, &LayerSelector::default()).await;
    resolved.map(|resolved| resolved.revision).map_err(|error| chain(&error))
}

pub(super) async fn pull(
    source: &OciSource,
    layer: &LayerSelector,
    storage: &Arc<Storage>,
) -> Result<Pulled, OciError> {
    let client = client();
    let resolved = client.resolve(source, layer).await?;
    client.pull(source, &resolved, layer, storage).await
}

#[tokio::test]
async fn the_revision_is_the_tag_and_the_digest() {
    let registry = Registry::start(RegistryOptions::default());
    let one = registry.push_flux_artifact("org/app", "1.0.0", FILES, &[]);
    let two = registry.push_flux_artifact("org/app", "1.1.0", &[("a", b"a")], &[]);
    registry.push_flux_artifact("org/app", "2.0.0-rc.1", &[("b", b"b")], &[]);
    registry.tag("org/app", "latest", &one);
    let client = client();
    for (reference, want) in [
        (Reference::default(), format!("latest@{one}")),
        (reference(|r| r.tag = Some("1.1.0".to_owned())), format!("1.1.0@{two}")),
        (reference(|r| r.semver = Some("1.x".to_owned())), format!("1.1.0@{two}")),
        (
            reference(|r| {
                r.semver = Some(">=1.0.0".to_owned());
                r.semver_filter = Some("^1\\.0".to_owned());
                r.tag = Some("nope".to_owned());
            }),
            format!("1.0.0@{one}"),
        ),
        // Go's syntax, which has more escapes and fewer characters in its classes than Rust's.
        (
            reference(|r| {
                r.semver = Some("*".to_owned());
                r.semver_filter = Some(r"\Q1.1\E\.\d$".to_owned());
            }),
            format!("1.1.0@{two}"),
        ),
        (
            reference(|r| {
                r.digest = Some(two.clone());
                r.semver = Some("1.0.0".to_owned());
            }),
            two.clone(),
        ),
        (reference(|r| r.tag = Some(String::new())), format!("latest@{one}")),
    ] {
        let source = OciSource { reference, ..source(&registry, "org/app") };
        assert_eq!(revision(&client, &source).await, Ok(want));
    }
}

#[tokio::test]
async fn looking_costs_one_head_and_a_digest_nothing() {
    let registry = Registry::start(RegistryOptions::default());
    let digest = registry.push_flux_artifact("org/app", "latest", FILES, &[]);
    let client = client();
    let by_tag = source(&registry, "org/app");
    revision(&client, &by_tag).await.unwrap();
    assert_eq!(registry.take_lines(), ["GET /v2/", "HEAD /v2/org/app/manifests/latest"]);
    revision(&client, &by_tag).await.unwrap();
    assert_eq!(registry.take_lines(), ["HEAD /v2/org/app/manifests/latest"], "the session is kept");
    let by_digest = OciSource { reference: reference(|r| r.digest = Some(digest)), ..by_tag };
    revision(&client, &by_digest).await.unwrap();
    assert_eq!(registry.take_lines(), [""; 0]);
}

#[tokio::test]
async fn equal_requests_at_one_time_are_one() {
    let registry = Registry::start(RegistryOptions::default());
    registry.push_flux_artifact("org/app", "latest", FILES, &[]);
    let (client, source) = (client(), source(&registry, "org/app"));
    let (_dir, storage) = storage();
    let layer = LayerSelector::default();
    let (a, b, c) = tokio::join!(
        client.resolve(&source, &layer),
        client.resolve(&source, &layer),
        client.resolve(&source, &layer)
    );
    assert_eq!(registry.take_lines().len(), 2);
    let resolved = a.unwrap();
    assert_eq!((&resolved, &resolved), (&b.unwrap(), &c.unwrap()));
    let (a, b) = tokio::join!(
        client.pull(&source, &resolved, &layer, &storage),
        client.pull(&source, &resolved, &layer, &storage)
    );
    match (a.unwrap().content, b.unwrap().content) {
        (Content::Extracted(a), Content::Extracted(b)) => assert!(Arc::ptr_eq(&a, &b)),
        other => panic!("{other:?}"),
    }
    assert_eq!(registry.take_lines().len(), 2);
}

#[tokio::test]
async fn tags_are_listed_page_by_page() {
    let registry = Registry::start(RegistryOptions { page_size: 3, ..RegistryOptions::default() });
    let digest = registry.push_flux_artifact("org/app", "0.1.0", FILES, &[]);
    for n in 0..10 {
        registry.tag("org/app", &format!("1.{n}.0"), &digest);
    }
    let reference = reference(|r| r.semver = Some("1.x".to_owned()));
    let source = OciSource { reference, ..source(&registry, "org/app") };
    assert_eq!(revision(&client(), &source).await, Ok(format!("1.9.0@{digest}")));
    let pages = registry.take_lines().iter().filter(|line| line.contains("/tags/list")).count();
    assert_eq!(pages, 4);
}

#[tokio::test]
async fn an_extracted_layer_becomes_an_artifact_less_what_is_ignored() {
    let registry = Registry::start(RegistryOptions::default());
    let files: &[(&str, &[u8])] = &[
        ("./deploy/app.yaml", b"kind: X\n"),
        ("./deploy/.sourceignore", b"*.md\n"),
        ("./deploy/README.md", b"docs"),
        ("./run.sh", b"#!/bin/sh\n"),
        ("./test/x.yaml", b"x"),
    ];
    let annotations = [
        ("org.opencontainers.image.source", "https://example.com/app"),
        ("org.opencontainers.image.revision", "main@sha1:0a1b"),
    ];
    registry.push_flux_artifact("org/app", "latest", files, &annotations);
    let (_dir, storage) = storage();
    let source = source(&registry, "org/app");
    let pulled = pull(&source, &LayerSelector::default(), &storage).await.unwrap();
    let path = ArtifactPath::new("OCIRepository", "ns", "app", "sha256:0a.tar.gz").unwrap();
    let artifact = pulled.store(&storage, &path, "latest@sha256:0a", Some("/test\n")).unwrap();
    assert_eq!(artifact.metadata["org.opencontainers.image.revision"], "main@sha1:0a1b");
    let tree = storage.open(&artifact).unwrap();
    assert_eq!(tree.list("/").unwrap(), ["deploy", "run.sh"]);
    assert_eq!(tree.list("/deploy").unwrap(), [".sourceignore", "app.yaml"]);
}

#[tokio::test]
async fn a_copied_layer_is_the_artifact_byte_for_byte() {
    let registry = Registry::start(RegistryOptions::default());
    let chart = tar_gz(&[("app/Chart.yaml", b"name: app\n")]);
    registry.push_chart("charts/app", "1.2.3+build.4", chart.clone());
    registry.push_chart("charts/app", "1.2.2", tar_gz(&[("app/Chart.yaml", b"old\n")]));
    let (_dir, storage) = storage();
    let layer =
        LayerSelector { media_type: Some(CHART_LAYER.to_owned()), operation: LayerOperation::Copy };
    let reference = reference(|r| r.semver = Some(">=1.0.0".to_owned()));
    let source = OciSource { reference, ..source(&registry, "charts/app") };
    let client = client();
    let resolved = client.resolve(&source, &layer).await.unwrap();
    assert!(resolved.revision.starts_with("1.2.3_build.4@sha256:"), "{}", resolved.revision);
    let pulled = client.pull(&source, &resolved, &layer, &storage).await.unwrap();
    let path = ArtifactPath::new("OCIRepository", "ns", "app", "sha256:0a.tar.gz").unwrap();
    for _ in 0..2 {
        let artifact = pulled.store(&storage, &path, &resolved.revision, None).unwrap();
        assert_eq!(
            artifact.digest.to_string(),
            registry.first_layer("charts/app", "1.2.3_build.4")
        );
        assert_eq!(std::fs::read(storage.local_path(&path)).unwrap(), chart);
    }
}

#[tokio::test]
async fn layers_are_selected_by_media_type_and_images_by_platform() {
    let registry = Registry::start(RegistryOptions::default());
    let spec = PushSpec {
        config: ("application/vnd.example.config".to_owned(), b"{}".to_vec()),
        layers: vec![
            ("text/plain".to_owned(), b"this is no tar.gz".to_vec()),
            ("application/x-files".to_owned(), tar_gz(&[("selected", b"")])),
        ],
        ..PushSpec::default()
    };
    registry.push("org/two", Some("latest"), &spec);
    registry.push("org/none", Some("latest"), &PushSpec { layers: Vec::new(), ..spec });
    let (_dir, storage) = storage();
    let list = async |repository: &str, media_type: Option<&str>| {
        let media_type = media_type.map(str::to_owned);
        let layer = LayerSelector { media_type, ..LayerSelector::default() };
        match pull(&source(&registry, repository), &layer, &storage).await {
            Ok(Pulled { content: Content::Extracted(tree), .. }) => Ok(tree.list("/").unwrap()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err((error.reason(), chain(&error))),
        }
    };
    let layer_failed = |text: &str| Err(("OCIArtifactLayerOperationFailed", text.to_owned()));
    assert_eq!(list("org/two", Some("application/x-files")).await, Ok(vec!["selected".to_owned()]));
    assert_eq!(
        list("org/two", None).await,
        layer_failed(
            "failed to extract layer contents from artifact: requires gzip-compressed body: invalid gzip header"
        )
    );
    assert_eq!(
        list("org/two", Some("x/y")).await,
        layer_failed("failed to find layer with media type 'x/y' in artifact")
    );
    assert_eq!(list("org/none", None).await, layer_failed("no layers found in artifact"));

    let arm = registry.push_image("org/multi", None, "arm64", &[("arm", b"")]);
    let amd = registry.push_image("org/multi", None, "amd64", &[("amd", b"")]);
    let index = registry.push_index("org/multi", "latest", &[("arm64", &arm), ("amd64", &amd)]);
    assert_eq!(list("org/multi", None).await, Ok(vec!["amd".to_owned()]));
    let revision = revision(&client(), &source(&registry, "org/multi")).await;
    assert_eq!(revision, Ok(format!("latest@{index}")), "the revision is the index's");
    let index = registry.push_index("org/arm", "latest", &[("arm64", &arm)]);
    assert_eq!(
        list("org/arm", None).await,
        layer_failed(&format!(
            "failed to parse artifact manifest: no child with platform linux/amd64 in index {index}"
        ))
    );
}

#[test]
fn the_clients_futures_can_run_on_any_thread() {
    fn is_send<T: Send>(_: T) {}
    let (_dir, storage) = storage();
    let (client, source, layer) = (client(), OciSource::default(), LayerSelector::default());
    let resolved = Resolved { revision: String::new(), digest: String::new(), name: String::new() };
    is_send(client.resolve(&source, &layer));
    is_send(client.pull(&source, &resolved, &layer, &storage));
}

/// What no connection could be made to anyway is refused as a name already.
const REFUSED_NAMES: [&str; 3] = [":5000/aa", "::1/aa", "ghcr.io:99999/aa"];

#[test]
fn names_are_read_as_go_containerregistry_reads_them() {
    #[derive(serde::Deserialize)]
    struct Recorded {
        name: String,
        #[serde(default)]
        error: String,
        #[serde(default)]
        registry: String,
        #[serde(default)]
        repository: String,
        #[serde(default)]
        scheme: String,
    }
    let recorded: Vec<Recorded> =
        serde_json::from_str(include_str!("../../data/names.json")).unwrap();
    let mut differences = Vec::new();
    for want in recorded {
        let name = &want.name;
        match Repository::parse(name) {
            Ok(got) => {
                let scheme = if got.is_local() { "http" } else { "https" };
                let got = format!("{} {} {scheme}", got.registry(), got.path());
                let want = format!("{} {} {}", want.registry, want.repository, want.scheme);
                if got != want || REFUSED_NAMES.contains(&&**name) {
                    differences.push(format!("{name:?}: {got}; want {want}"));
                }
            }
            Err(error) if error.to_string() == want.error => {}
            Err(_) if want.error.is_empty() && REFUSED_NAMES.contains(&&**name) => {}
            Err(error) => differences.push(format!("{name:?}: {error}; want {}", want.error)),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
