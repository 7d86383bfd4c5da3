//! The gate as a table: what is observed, what is decided.

use std::collections::HashMap;

use borax_api::kustomize::{CrossNamespaceSourceReference, KustomizationSpec, KustomizationStatus};
use borax_api::meta::{Condition, ConditionStatus, DependencyReference};

use super::*;

fn kustomization(name: &str, depends_on: &[&str]) -> Kustomization {
    let depend = |name: &&str| DependencyReference {
        name: (*name).to_owned(),
        ..DependencyReference::default()
    };
    let spec = KustomizationSpec {
        source_ref: CrossNamespaceSourceReference {
            kind: SourceKind::GitRepository,
            name: "app".into(),
            ..CrossNamespaceSourceReference::default()
        },
        depends_on: depends_on.iter().map(depend).collect(),
        ..KustomizationSpec::default()
    };
    let mut object = Kustomization::new(name, spec);
    object.metadata.namespace = Some("apps".into());
    object.metadata.generation = Some(1);
    object
}

fn ready(mut object: Kustomization, revision: &str) -> Kustomization {
    let condition =
        Condition::new("Ready", ConditionStatus::True, "ReconciliationSucceeded", "", 1);
    object.status = Some(KustomizationStatus {
        observed_generation: 1,
        conditions: vec![condition],
        last_applied_revision: revision.into(),
        ..KustomizationStatus::default()
    });
    object
}

fn artifact() -> Artifact {
    Artifact { revision: "main@sha1:2".into(), ..Artifact::default() }
}

fn gate_of(
    object: &Kustomization,
    source: Source,
    others: Vec<Kustomization>,
    options: &Options,
) -> Gate {
    let others: HashMap<String, Arc<Kustomization>> =
        others.into_iter().map(|object| (object.name_any(), Arc::new(object))).collect();
    let find = |_: &str, name: &str| others.get(name).cloned();
    decide(&Observed { object, source, find: &find, options })
}

/// What [`message`] says when [`artifact`] is to be reconciled.
const GO: &str = "go: main@sha1:2";

fn message(gate: Gate) -> String {
    match gate {
        Gate::Stop(stop) => format!("{}: {}", stop.reason, stop.message),
        Gate::Go(artifact, _) => format!("go: {}", artifact.revision),
        other => format!("{other:?}"),
    }
}

fn with_artifact(object: &Kustomization, others: Vec<Kustomization>) -> String {
    message(gate_of(object, Source::Artifact(artifact()), others, &Options::default()))
}

#[test]
fn the_source_must_have_an_artifact() {
    let object = kustomization("web", &[]);
    let options = Options::default();
    assert_eq!(message(gate_of(&object, Source::Artifact(artifact()), vec![], &options)), GO);
    assert_eq!(
        message(gate_of(&object, Source::Missing, vec![], &options)),
        "ArtifactFailed: GitRepository.source.toolkit.fluxcd.io \"app\" not found"
    );
    assert_eq!(
        message(gate_of(&object, Source::NoArtifact, vec![], &options)),
        "ArtifactFailed: Source artifact not found, retrying in 30s"
    );
}

#[test]
fn deletion_goes_before_suspension_and_suspension_before_all_else() {
    let mut object = kustomization("web", &[]);
    object.spec.suspend = true;
    let options = Options::default();
    assert_eq!(message(gate_of(&object, Source::Missing, vec![], &options)), "Suspended");
    object.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
        ));
    assert_eq!(message(gate_of(&object, Source::Missing, vec![], &options)), "Finalize");
}

#[test]
fn references_into_other_namespaces_are_refused_when_told() {
    let mut object = kustomization("web", &[]);
    object.spec.source_ref.namespace = "flux-system".into();
    let options = Options { no_cross_namespace_refs: true, ..Options::default() };
    let gate = gate_of(&object, Source::Artifact(artifact()), vec![], &options);
    let Gate::Stop(stop) = &gate else { panic!("{gate:?}") };
    assert_eq!(stop.until, Until::Flags);
    assert_eq!(
        message(gate),
        "AccessDenied: can't access 'GitRepository/flux-system/app', cross-namespace references have been blocked"
    );
}

#[test]
fn a_dependency_must_be_there_and_ready_and_on_the_same_revision_of_the_same_source() {
    let object = kustomization("web", &["db"]);
    assert_eq!(
        with_artifact(&object, vec![]),
        "DependencyNotReady: dependency 'apps/db' not found: kustomizations.kustomize.toolkit.fluxcd.io \"db\" not found"
    );
    let db = kustomization("db", &[]);
    assert_eq!(
        with_artifact(&object, vec![db.clone()]),
        "DependencyNotReady: dependency 'apps/db' is not ready"
    );
    assert_eq!(
        with_artifact(&object, vec![ready(db.clone(), "main@sha1:1")]),
        "DependencyNotReady: dependency 'apps/db' revision is not up to date"
    );
    let gate = gate_of(
        &object,
        Source::Artifact(artifact()),
        vec![ready(db, "main@sha1:2")],
        &Options::default(),
    );
    assert_eq!(message(gate), GO);
}

#[test]
fn a_circle_is_shown_to_those_in_it() {
    let object = kustomization("web", &["db"]);
    let others =
        vec![kustomization("db", &["cache"]), kustomization("cache", &["web"]), object.clone()];
    assert_eq!(
        with_artifact(&object, others),
        "DependencyNotReady: dependency 'apps/db' is not ready: spec.dependsOn goes in a circle: \
         apps/web -> apps/db -> apps/cache -> apps/web"
    );
}

#[test]
fn an_expression_replaces_the_built_in_check_or_adds_to_it() {
    let mut object = kustomization("web", &["db"]);
    object.spec.depends_on[0].ready_expr = "dep.metadata.name == 'db'".into();
    let others = || vec![kustomization("db", &[])];
    let source = || Source::Artifact(artifact());
    assert_eq!(message(gate_of(&object, source(), others(), &Options::default())), GO);
    let mut additive = Options::default();
    additive.gates.additive_cel_dependency_check = true;
    assert_eq!(
        message(gate_of(&object, source(), others(), &additive)),
        "DependencyNotReady: dependency 'apps/db' is not ready"
    );
    object.spec.depends_on[0].ready_expr = "dep.metadata.name == 'other'".into();
    assert_eq!(
        with_artifact(&object, others()),
        "DependencyNotReady: dependency 'apps/db' is not ready according to readyExpr eval"
    );
    object.spec.depends_on[0].ready_expr = "dep.metadata.name ==".into();
    let gate = gate_of(&object, source(), others(), &Options::default());
    let Gate::Stop(stop) = gate else { panic!("{gate:?}") };
    assert_eq!((stop.reason, stop.until), ("InvalidCELExpression", Until::Spec));
    assert!(
        stop.message.starts_with("Reconciliation failed terminally due to configuration error: "),
        "{}",
        stop.message
    );
}

#[test]
fn a_wrong_health_expression_is_told_before_anything_else_is_looked_at() {
    let mut object = kustomization("web", &["nowhere"]);
    object.spec.health_check_exprs = vec![borax_api::kustomize::CustomHealthCheck {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        in_progress: "foo.".into(),
        current: "true".into(),
        ..Default::default()
    }];
    let gate = gate_of(&object, Source::Missing, vec![], &Options::default());
    let Gate::Stop(stop) = &gate else { panic!("{gate:?}") };
    assert_eq!((stop.reason, stop.until), ("InvalidCELExpression", Until::Spec));
    assert!(
        stop.message.starts_with(
            "Reconciliation failed terminally due to configuration error: failed to create custom status evaluator \
             for healthchecks[0]: failed to parse the expression InProgress: failed to parse the CEL expression 'foo.': "
        ),
        "{}",
        stop.message
    );
}

#[test]
fn fields_that_are_not_honoured_yet_are_named() {
    let mut object = kustomization("web", &[]);
    object.spec.decryption = Some(borax_api::kustomize::Decryption::default());
    assert_eq!(
        with_artifact(&object, vec![]),
        "BuildFailed: spec.decryption is not supported yet: remove it, or keep SOPS-encrypted files out of this Kustomization"
    );
}
