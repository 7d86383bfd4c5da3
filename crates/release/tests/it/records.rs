//! Records: what goes into a Secret comes out of it, and what is no record is refused.

use borax_helm::HookEvent;
use borax_release::storage::{decode, encode, from_secret, key, to_secret};
use borax_release::{History, Hook, Phase, Release, Status};
use serde_json::json;

fn full() -> Release {
    let mut release = crate::release(3, Status::Deployed);
    release.info.first_deployed = "2026-01-02T03:04:05.678901234+01:00".into();
    release.info.last_deployed = "2026-01-02T03:04:06Z".into();
    release.info.description = "Upgrade <complete> & well".into();
    release.info.notes = "Hello\n".into();
    release.config = borax_helm::plain_values(&json!({"a": {"b": [1, 1.5, true, null, "x"]}}));
    release.hooks = vec![Hook {
        name: "h".into(),
        kind: "Job".into(),
        path: "web/templates/h.yaml".into(),
        manifest: "kind: Job\n".into(),
        events: vec![HookEvent::PreInstall, HookEvent::Test],
        weight: -5,
        delete_policies: vec!["hook-succeeded".into()],
        ..Hook::default()
    }];
    release.hooks[0].last_run.phase = Phase::Succeeded;
    release.labels.insert("team".into(), "a".into());
    release.apply_method = "ssa".into();
    release
}

#[test]
fn a_record_comes_out_of_a_secret_as_it_went_in() {
    let release = full();
    let secret = to_secret(&release, "store", 1_700_000_000, true);
    assert_eq!(secret["metadata"]["name"], "sh.helm.release.v1.web.v3");
    assert_eq!(secret["metadata"]["namespace"], "store");
    assert_eq!(secret["type"], "helm.sh/release.v1");
    assert_eq!(
        secret["metadata"]["labels"],
        json!({
            "name": "web", "owner": "helm", "status": "deployed", "version": "3",
            "createdAt": "1700000000", "team": "a",
        })
    );
    let mut read = from_secret(&secret).unwrap();
    assert_eq!(read.labels.remove("createdAt").as_deref(), Some("1700000000"));
    assert_eq!(read, release);
    let again = to_secret(&from_secret(&secret).unwrap(), "store", 1_700_000_001, false);
    assert_eq!(again["metadata"]["labels"]["createdAt"], "1700000000");
    assert_eq!(again["metadata"]["labels"]["modifiedAt"], "1700000001");
}

#[test]
fn what_is_no_record_is_refused_without_quoting_it() {
    assert!(decode(b"not base64!").is_err());
    assert!(decode(b"aGVsbG8=").is_err());
    let mut gzip = encode(&full());
    gzip.truncate(gzip.len() / 8 * 4);
    assert!(decode(gzip.as_bytes()).is_err());
    let error = from_secret(&json!({"metadata": {"name": "s", "namespace": "n"}})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Secret 'n/s' is no readable Helm release record: it has no key 'release'"
    );
}

#[test]
fn the_oldest_records_go_and_the_deployed_one_stays() {
    let of = |statuses: &[Status]| {
        let each =
            statuses.iter().zip(1..).map(|(status, version)| crate::release(version, *status));
        History::new(each.collect())
    };
    use Status::{Deployed, Failed, Superseded};
    let five = of(&[Superseded, Superseded, Superseded, Superseded, Deployed]);
    assert_eq!(five.to_prune(5), [1]);
    assert_eq!(five.to_prune(3), [1, 2, 3]);
    assert_eq!(five.to_prune(0), [0i64; 0]);
    assert_eq!(five.to_prune(10), [0i64; 0]);
    let failing = of(&[Deployed, Failed, Failed, Failed, Failed]);
    assert_eq!(failing.to_prune(5), [2]);
    assert_eq!(failing.current().unwrap().version, 1);
    assert_eq!(of(&[Failed, Failed]).current().unwrap().version, 2);
    assert!(of(&[Status::Uninstalled]).current().is_none());
    assert_eq!(key("web", 12), "sh.helm.release.v1.web.v12");
}
