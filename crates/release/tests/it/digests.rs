//! Digests beside those that helm-controller's and fluxcd/pkg's own tests expect.

use borax_release::observe::{config_digest, digest, is_selected, shorten_name, verify};
use borax_release::{Release, Status, snapshot};
use serde_json::{Map, Value, json};

fn map(value: Value) -> Map<String, Value> {
    borax_helm::plain_values(&value)
}

/// fluxcd/pkg `chartutil/digest_test.go`.
#[test]
fn values_have_the_digests_that_flux_gives_them() {
    let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(config_digest(&Map::new()), empty);
    let values = map(json!({
        "replicas": 3,
        "image": {"tag": "latest", "repository": "nginx"},
        "ports": [{"protocol": "TCP", "port": 8080}, {"port": 9090, "protocol": "UDP"}],
    }));
    assert_eq!(
        config_digest(&values),
        "sha256:fcdc2b0de1581a3633ada4afee3f918f6eaa5b5ab38c3fef03d5b48d3f85d9f6"
    );
    // Keys in the order of their bytes, which is not go-yaml's.
    let values = map(json!({
        "replicas": 3,
        "test": {
            "632bd80235a05f4192aefade": "value1",
            "632bd80ddf416cf32fd50679": "value2",
            "632bd817c559818a52307da2": "value3",
            "632bd82398e71231a98004b6": "value4",
        },
    }));
    assert_eq!(
        config_digest(&values),
        "sha256:8a980fcbeadd6f05818f07e8aec14070c22250ca3d96af1fcd5f93b3e85b4d70"
    );
}

#[test]
fn a_digest_is_of_all_but_the_tests() {
    let mut release = crate::release(1, Status::Deployed);
    let before = digest(&release, "");
    release.hooks.push(borax_release::Hook {
        name: "test".into(),
        events: vec![borax_helm::HookEvent::Test],
        ..borax_release::Hook::default()
    });
    assert_eq!(digest(&release, ""), before);
    assert_ne!(digest(&release, "sha256:1"), before);
    release.hooks[0].events = vec![borax_helm::HookEvent::PreInstall];
    assert_ne!(digest(&release, ""), before);
}

#[test]
fn a_snapshot_knows_its_record_and_no_other() {
    let release = crate::release(1, Status::Deployed);
    let taken = snapshot(&release, "install", "sha256:1");
    assert_eq!(verify(&taken, &release), Ok(()));
    let changed = Release { manifest: "other".into(), ..release.clone() };
    assert!(verify(&taken, &changed).is_err());
    let old = borax_api::helm::Snapshot { api_version: "v1".into(), ..taken };
    assert_eq!(verify(&old, &changed), Ok(()));
}

/// helm-controller `internal/release/name_test.go` says how; the checksum is that of the whole name.
#[test]
fn long_names_are_shortened() {
    assert_eq!(shorten_name("release-name"), "release-name");
    let long = "this-is-a-very-long-release-name-that-goes-on-and-on-and-on";
    let short = shorten_name(long);
    assert_eq!(short.len(), 53);
    assert!(short.starts_with("this-is-a-very-long-release-name-that-go-"), "{short}");
}

#[test]
fn filters_choose_tests() {
    let filter = |name: &str, exclude| borax_api::helm::Filter { name: name.into(), exclude };
    assert!(is_selected("a", &[]));
    assert!(is_selected("a", &[filter("a", false)]));
    assert!(!is_selected("b", &[filter("a", false)]));
    assert!(!is_selected("a", &[filter("a", true)]));
    assert!(is_selected("b", &[filter("a", true)]));
    assert!(!is_selected("a", &[filter("a", false), filter("a", true)]));
}
