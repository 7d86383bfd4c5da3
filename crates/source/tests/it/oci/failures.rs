//! Registries that fail, lie or do not end.

use super::*;

#[tokio::test]
async fn failures_are_tried_again_and_then_named() {
    let registry = Registry::start(RegistryOptions::default());
    let digest = registry.push_flux_artifact("org/app", "latest", FILES, &[]);
    let source = source(&registry, "org/app");
    let status = |status: u16| Fault::Status(status, Vec::new(), String::new());
    let asked = || vec![("retry-after", "0".to_owned())];
    registry.break_requests("HEAD", status(503), 1);
    registry.break_requests("HEAD", Fault::Status(429, asked(), String::new()), 1);
    assert_eq!(revision(&client(), &source).await, Ok(format!("latest@{digest}")));
    // HEAD is not everywhere: GET does as well.
    for fault in [status(405), Fault::Without("docker-content-digest")] {
        registry.break_requests("HEAD", fault, 1);
        assert_eq!(revision(&client(), &source).await, Ok(format!("latest@{digest}")));
    }
    let url = format!("http://{}/v2/org/app/manifests/latest", registry.host());
    for (code, name) in [(403, "Forbidden"), (500, "Internal Server Error")] {
        registry.mend();
        registry.break_requests("manifests", status(code), 99);
        assert_eq!(
            revision(&client(), &source).await.unwrap_err(),
            format!(
                "failed to determine artifact digest: GET {url}: unexpected status code {code} {name}"
            )
        );
    }
    registry.mend();
    let missing =
        OciSource { reference: reference(|r| r.tag = Some("nope".to_owned())), ..source.clone() };
    assert_eq!(
        revision(&client(), &missing).await.unwrap_err(),
        format!(
            "failed to determine artifact digest: GET http://{}/v2/org/app/manifests/nope: \
             MANIFEST_UNKNOWN: manifest unknown; map[Tag:nope]",
            registry.host()
        )
    );
    let slow = OciSource { timeout: Duration::from_millis(50), ..source };
    registry.break_requests("GET /v2/", Fault::Hang, 99);
    let error = client().resolve(&slow, &LayerSelector::default()).await.unwrap_err();
    let url = registry.url("org/app");
    assert_eq!(
        error.to_string(),
        format!(
            "failed to determine the artifact revision of '{url}' within the timeout of 0.05 s"
        )
    );
}

#[tokio::test]
async fn ranges_that_match_nothing_or_are_none_are_named() {
    let registry = Registry::start(RegistryOptions::default());
    registry.push_flux_artifact("org/app", "1.0.0", FILES, &[]);
    let url = registry.url("org/app");
    let of = async |change: fn(&mut Reference)| {
        let source = OciSource { reference: reference(change), ..source(&registry, "org/app") };
        let error = client().resolve(&source, &LayerSelector::default()).await.unwrap_err();
        assert_eq!(error.reason(), "ReadOperationFailed");
        chain(&error)
    };
    let failed = format!("failed to determine the artifact tag for '{url}'");
    assert_eq!(
        of(|r| r.semver = Some("<= 0.1.0".to_owned())).await,
        format!("{failed}: no match found for semver: <= 0.1.0")
    );
    assert_eq!(
        of(|r| r.semver = Some("abc".to_owned())).await,
        format!("{failed}: semver 'abc' parse error: improper constraint: \"abc\"")
    );
    let filter = of(|r| {
        r.semver = Some("*".to_owned());
        r.semver_filter = Some("(".to_owned());
    });
    assert_eq!(
        filter.await,
        format!(
            "{failed}: semverFilter '(' is not a regular expression: error parsing regexp: missing closing ): `(`"
        )
    );
    let source = OciSource { url: "https://ghcr.io/a/b".to_owned(), ..OciSource::default() };
    let error = client().resolve(&source, &LayerSelector::default()).await.unwrap_err();
    assert!(error.is_stalling());
    assert_eq!(
        chain(&error),
        "URL validation failed for 'https://ghcr.io/a/b': URL must be in format 'oci://<domain>/<org>/<repo>'"
    );
}

#[tokio::test]
async fn content_that_is_not_what_its_digest_says_is_refused() {
    let registry = Registry::start(RegistryOptions::default());
    registry.push_flux_artifact("org/app", "latest", FILES, &[]);
    let source = source(&registry, "org/app");
    let (_dir, storage) = storage();
    let layer = LayerSelector::default();
    registry.break_requests("GET /v2/org/app/manifests/sha256", Fault::Body(b"{}".to_vec()), 1);
    let text = chain(&pull(&source, &layer, &storage).await.unwrap_err());
    assert!(text.contains("manifest digest: got \"sha256:"), "{text}");
    registry.break_requests("/blobs/", Fault::CutAfter(10), 1);
    let text = chain(&pull(&source, &layer, &storage).await.unwrap_err());
    assert!(text.starts_with("failed to extract the first layer from artifact"), "{text}");
    let digest = registry.first_layer("org/app", "latest");
    let size = tar_gz(FILES).len();
    for (bytes, want) in [
        (vec![7; size], "layer digest: got \"sha256:"),
        (vec![7; size + 1], "layer size: got \"more\""),
        (vec![7; size - 1], "layer size: got"),
    ] {
        registry.corrupt_blob(&digest, bytes);
        let text = chain(&pull(&source, &layer, &storage).await.unwrap_err());
        assert!(text.contains(want), "{text}");
    }
    pull(&source, &layer, &storage).await.unwrap_err();
}

#[tokio::test]
async fn a_layer_over_the_limit_is_not_downloaded() {
    let registry = Registry::start(RegistryOptions::default());
    registry.push_flux_artifact("org/app", "latest", FILES, &[]);
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(dir.path(), "source.example");
    options.limits.max_bytes = 16;
    let storage = Arc::new(Storage::new(options).unwrap());
    let error =
        pull(&source(&registry, "org/app"), &LayerSelector::default(), &storage).await.unwrap_err();
    let size = tar_gz(FILES).len();
    assert_eq!(
        error.to_string(),
        format!("the artifact's layer is {size} bytes, more than the limit of 16 bytes")
    );
    assert!(!registry.take_lines().iter().any(|line| line.contains("/blobs/")));
}

#[tokio::test]
async fn an_endless_list_of_tags_ends() {
    let registry = Registry::start(RegistryOptions::default());
    registry.push_flux_artifact("org/app", "1.0.0", FILES, &[]);
    let reference = reference(|r| r.semver = Some("*".to_owned()));
    let source = OciSource { reference, ..source(&registry, "org/app") };
    for (link, why) in [
        (
            "</v2/org/app/tags/list?n=1000>; rel=next",
            "the list of tags leads back to a page that was read already",
        ),
        ("<http://169.254.169.254/x>; rel=next", "the next page is not a page of this list"),
    ] {
        let body = r#"{"tags":["1.0.0"]}"#.to_owned();
        registry.break_requests(
            "/tags/list",
            Fault::Status(200, vec![("link", link.to_owned())], body),
            1,
        );
        let error = revision(&client(), &source).await.unwrap_err();
        assert!(error.ends_with(why), "{error}");
    }
}
