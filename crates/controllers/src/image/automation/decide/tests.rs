//! Tables of what is decided.

use super::*;
use serde_json::{Value, json};

fn automation(spec: Value, status: Value) -> ImageUpdateAutomation {
    serde_json::from_value(json!({
        "apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImageUpdateAutomation",
        "metadata": {"name": "auto", "namespace": "apps", "generation": 2},
        "spec": spec, "status": status,
    }))
    .unwrap()
}

fn spec(more: Value) -> Value {
    let mut spec = json!({
        "interval": "1m",
        "sourceRef": {"kind": "GitRepository", "name": "repo"},
        "git": {"commit": {"author": {"email": "bot@example.com"}}},
        "update": {"strategy": "Setters"},
    });
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}

fn policy(name: &str, labels: Value, tag: Option<&str>) -> Arc<ImagePolicy> {
    let status = tag.map(|tag| json!({"latestRef": {"name": "img", "tag": tag}}));
    Arc::new(
        serde_json::from_value(json!({
            "apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImagePolicy",
            "metadata": {"name": name, "namespace": "apps", "labels": labels},
            "spec": {"imageRepositoryRef": {"name": "x"}, "policy": {}},
            "status": status.unwrap_or_else(|| json!({})),
        }))
        .unwrap(),
    )
}

fn repository(reference: Value) -> Arc<GitRepository> {
    Arc::new(
        serde_json::from_value(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "repo", "namespace": "apps"},
            "spec": {"url": "https://example.com/x", "interval": "1m", "ref": reference},
        }))
        .unwrap(),
    )
}

fn seen(reference: Value) -> Observed {
    Observed {
        policies: vec![
            policy("a", json!({"team": "x"}), Some("1.0.0")),
            policy("b", json!({}), Some("2.0.0")),
            policy("c", json!({"team": "x"}), None),
        ],
        source: Some(repository(reference)),
        no_cross_namespace_refs: true,
    }
}

fn decided(more: Value) -> Result<Work, (&'static str, String, bool)> {
    let object = automation(spec(more), json!({}));
    decide(&object, seen(json!({"branch": "main"})))
        .map_err(|failure| (failure.reason, failure.message, failure.is_stalled))
}

#[test]
fn what_is_checked_out_and_pushed_to_follows_flux() {
    for (git, source, checkout, push) in [
        (json!({}), json!({"branch": "main"}), "main", "main"),
        (json!({"push": {"branch": "auto"}}), json!({"branch": "main"}), "main", "auto"),
        (json!({"checkout": {"ref": {"branch": "dev"}}}), json!({"branch": "main"}), "dev", "dev"),
        (
            json!({"checkout": {"ref": {"branch": "dev"}}, "push": {"branch": "auto"}}),
            json!({"tag": "v1"}),
            "dev",
            "auto",
        ),
        (json!({"push": {"branch": "auto"}}), json!(null), "", "auto"),
    ] {
        let mut whole = json!({"commit": {"author": {"email": "a@b"}}});
        for (key, value) in git.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let object = automation(spec(json!({"git": whole})), json!({}));
        let work = decide(&object, seen(source)).unwrap();
        assert_eq!(
            (work.reference.branch.as_str(), work.branch.as_str()),
            (checkout, push),
            "{git}"
        );
    }
}

#[test]
fn only_selected_policies_with_an_image_count() {
    let names = |more| decided(more).unwrap().policies.into_keys().collect::<Vec<_>>();
    assert_eq!(names(json!({})), ["apps:a", "apps:b"]);
    assert_eq!(names(json!({"policySelector": {"matchLabels": {"team": "x"}}})), ["apps:a"]);
    let by = |operator: &str, values: Value| json!({"policySelector": {"matchExpressions": [{"key": "team", "operator": operator, "values": values}]}});
    assert_eq!(names(by("In", json!(["x", "y"]))), ["apps:a"]);
    assert_eq!(names(by("NotIn", json!(["x"]))), ["apps:b"]);
    assert_eq!(names(by("Exists", json!([]))), ["apps:a"]);
    assert_eq!(names(by("DoesNotExist", json!([]))), ["apps:b"]);
    let failure = |more| decided(more).unwrap_err();
    assert_eq!(
        failure(by("Near", json!([]))),
        (
            "InvalidPolicySelector",
            "failed to parse policy selector: \"Near\" is not a valid label selector operator"
                .to_owned(),
            true
        )
    );
    assert_eq!(failure(by("In", json!([]))).0, "InvalidPolicySelector");
}

#[test]
fn what_can_not_be_done_is_told_as_flux_tells_it() {
    let failure = |more| decided(more).unwrap_err();
    assert_eq!(
        failure(json!({"git": null})),
        (
            "InvalidSourceConfiguration",
            "source kind 'GitRepository' necessitates field .spec.git: invalid source configuration".to_owned(),
            true
        )
    );
    let elsewhere =
        json!({"sourceRef": {"kind": "GitRepository", "name": "repo", "namespace": "other"}});
    assert_eq!(
        failure(elsewhere),
        (
            "AccessDenied",
            "can't access 'GitRepository/other/repo', cross-namespace references have been blocked"
                .to_owned(),
            true
        )
    );
    assert_eq!(
        failure(json!({"update": null})),
        ("InvalidUpdateStrategy", "no update strategy".to_owned(), true)
    );
    let push = |push: Value| json!({"git": {"commit": {"author": {"email": "a@b"}}, "push": push}});
    assert_eq!(
        failure(push(json!({"refspec": "a"}))),
        (
            "GitOperationFailed",
            "failed to update source: failed to push to remote: malformed refspec, separators are wrong: 'a'"
                .to_owned(),
            false
        )
    );
    let (reason, message, stalled) = failure(push(json!({"options": {"title": "a\nb"}})));
    assert_eq!((reason, stalled), ("SourceManagerFailed", false));
    assert!(message.contains("push option 'title'") && !message.contains("a\nb"), "{message}");

    let object = automation(spec(json!({})), json!({}));
    let missing = decide(&object, Observed { source: None, ..seen(json!({})) }).unwrap_err();
    assert_eq!(
        missing.message,
        "failed configuring source manager: referenced git repository does not exist: \
         GitRepository.source.toolkit.fluxcd.io \"repo\" not found"
    );
    let no_branch = decide(&object, seen(json!({"tag": "v1"}))).unwrap_err();
    assert_eq!(
        no_branch.message,
        "failed configuring source manager: push spec not provided, and cannot be inferred from \
         .spec.git.checkout.ref or GitRepository .spec.ref"
    );
}

#[test]
fn a_look_at_the_files_is_spared_only_when_nothing_at_all_changed() {
    let images =
        json!({"a": {"name": "img", "tag": "1.0.0"}, "b": {"name": "img", "tag": "2.0.0"}});
    let status = |generation: i64, policies: &Value| json!({"observedGeneration": generation, "observedPolicies": policies, "observedSourceRevision": "main@sha1:1"});
    let unless = |more: Value, status: Value| {
        decide(&automation(spec(more), status), seen(json!({"branch": "main"}))).unwrap().unless
    };
    let revision = Some("main@sha1:1".to_owned());
    assert_eq!(unless(json!({}), status(2, &images)), revision);
    assert_eq!(unless(json!({}), status(1, &images)), None, "the spec changed");
    assert_eq!(unless(json!({}), status(2, &json!({}))), None, "the policies changed");
    assert_eq!(unless(json!({}), json!({})), None, "nothing was seen yet");
    let push = json!({"git": {"commit": {"author": {"email": "a@b"}}, "push": {"refspec": "a:b"}}});
    assert_eq!(unless(push, status(2, &images)), None, "a refspec's target may have moved");
    let push = json!({"git": {"commit": {"author": {"email": "a@b"}}, "push": {"branch": "auto"}}});
    assert_eq!(unless(push, status(2, &images)), None, "the push branch may have moved");
}
