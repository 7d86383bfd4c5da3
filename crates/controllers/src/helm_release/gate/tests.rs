//! When a HelmRelease is reconciled, and when not.

use serde_json::json;

use super::*;

fn object(spec: serde_json::Value) -> HelmRelease {
    let mut all = json!({
        "interval": "5m",
        "chartRef": {"kind": "OCIRepository", "name": "web"},
    });
    if let (Some(all), Value::Object(more)) = (all.as_object_mut(), spec) {
        all.extend(more);
    }
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "apps", "generation": 1},
        "spec": all,
    }))
    .unwrap()
}

fn found(artifact: Option<Artifact>, conditions: Vec<Condition>) -> Source {
    Source::Found { generation: 1, observed: Some(1), conditions, artifact }
}

fn gate(spec: serde_json::Value, source: Source, options: &Options) -> Gate {
    let object = object(spec);
    let find = |namespace: &str, name: &str| {
        (namespace == "apps" && name == "db").then(|| {
            let mut db = self::object(json!({}));
            db.status = serde_json::from_value(json!({
                "observedGeneration": 1,
                "conditions": [{"type": "Ready", "status": "True", "reason": "InstallSucceeded",
                    "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            }))
            .unwrap();
            Arc::new(db)
        })
    };
    decide(&Observed { object: &object, source, find: &find, options })
}

fn stop(gate: Gate) -> (&'static str, String, Until) {
    match gate {
        Gate::Stop(stop) => (stop.reason, stop.message, stop.until),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_artifact_lets_it_go_and_its_absence_does_not() {
    let options = Options::default();
    let artifact = Artifact { revision: "1".into(), ..Artifact::default() };
    let go = gate(json!({}), found(Some(artifact.clone()), Vec::new()), &options);
    assert_eq!(go, Gate::Go(artifact));
    let (reason, message, until) = stop(gate(json!({}), found(None, Vec::new()), &options));
    assert_eq!((reason, until), ("SourceNotReady", Until::Source));
    assert_eq!(message, "OCIRepository 'apps/web' is not ready: does not have an artifact");
    let failed = Condition::new(
        "Ready",
        borax_api::meta::ConditionStatus::False,
        "OCIArtifactPullFailed",
        "401 Unauthorized",
        1,
    );
    let (_, message, _) = stop(gate(json!({}), found(None, vec![failed]), &options));
    assert!(message.ends_with("does not have an artifact: 401 Unauthorized"), "{message}");
    let (reason, message, _) = stop(gate(json!({}), Source::Missing, &options));
    assert_eq!(reason, "ArtifactFailed");
    assert!(message.contains("ocirepositories.source.toolkit.fluxcd.io \"web\" not found"));
}

#[test]
fn dependencies_come_first() {
    let options = Options::default();
    let ready = json!({"dependsOn": [{"name": "db"}]});
    let artifact = || found(Some(Artifact::default()), Vec::new());
    assert!(matches!(gate(ready, artifact(), &options), Gate::Go(_)));
    let missing = json!({"dependsOn": [{"name": "nothing"}]});
    let (reason, message, until) = stop(gate(missing, artifact(), &options));
    assert_eq!((reason, until), ("DependencyNotReady", Until::Dependency));
    assert!(message.starts_with("unable to get 'apps/nothing' dependency"), "{message}");
    let never = json!({"dependsOn": [{"name": "db", "readyExpr": "dep.metadata.name == 'x'"}]});
    let (_, message, _) = stop(gate(never, artifact(), &options));
    assert_eq!(message, "dependency 'apps/db' is not ready according to readyExpr eval");
    let broken = json!({"dependsOn": [{"name": "db", "readyExpr": "dep.("}]});
    let (reason, _, until) = stop(gate(broken, artifact(), &options));
    assert_eq!((reason, until), ("InvalidCELExpression", Until::Spec));
}

#[test]
fn other_namespaces_and_external_artifacts_need_leave() {
    let locked = Options { no_cross_namespace_refs: true, ..Options::default() };
    let elsewhere = json!({"chartRef": {"kind": "OCIRepository", "name": "web", "namespace": "b"}});
    let (reason, _, until) = stop(gate(elsewhere, Source::Missing, &locked));
    assert_eq!((reason, until), ("AccessDenied", Until::Spec));
    let external = json!({"chartRef": {"kind": "ExternalArtifact", "name": "web"}});
    let (reason, message, _) = stop(gate(external, Source::Missing, &Options::default()));
    assert_eq!(reason, "AccessDenied");
    assert!(message.ends_with("ExternalArtifact feature gate is disabled"));
}

#[test]
fn fields_that_are_not_honoured_yet_are_named() {
    for (spec, field) in [
        (json!({"kubeConfig": {"configMapRef": {"name": "c"}}}), "spec.kubeConfig.configMapRef"),
        (json!({"install": {"serverSideApply": false}}), "spec.install.serverSideApply"),
        (json!({"upgrade": {"serverSideApply": "disabled"}}), "spec.upgrade.serverSideApply"),
        (json!({"rollback": {"serverSideApply": "disabled"}}), "spec.rollback.serverSideApply"),
    ] {
        let (_, message, until) = stop(gate(spec, Source::Missing, &Options::default()));
        assert_eq!(until, Until::Spec);
        assert!(message.starts_with(field), "{message}");
    }
}
