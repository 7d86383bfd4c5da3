//! Whether a Kustomization may be reconciled now: suspension, references, source, dependencies. Pure.
//!
//! Behaviour: kustomize-controller v1.9 `internal/controller/kustomization_controller.go` (`Reconcile`,
//! `checkDependencies`, `getSource`).

use std::sync::Arc;

use borax_api::kustomize::{Kustomization, SourceKind};
use borax_api::meta::{Artifact, condition_types, is_condition_true, reasons};
use borax_health::{Checks, ReadyExpr};
use kube::ResourceExt;
use serde_json::Value;

use crate::consumers::health_checks;
use crate::options::Options;

/// What the store says of the source.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// There is no such object.
    Missing,
    /// It is there and has made nothing yet.
    NoArtifact,
    /// Its artifact.
    Artifact(Artifact),
}

/// Everything the decision rests on.
pub(super) struct Observed<'a> {
    /// The Kustomization.
    pub object: &'a Kustomization,
    /// Its source.
    pub source: Source,
    /// Finds a Kustomization by namespace and name.
    pub find: &'a dyn Fn(&str, &str) -> Option<Arc<Kustomization>>,
    /// The flags.
    pub options: &'a Options,
}

/// What to do with the Kustomization now.
#[derive(Clone, Debug)]
pub(super) enum Gate {
    /// It is being deleted.
    Finalize,
    /// It is suspended.
    Suspended,
    /// It can't be reconciled.
    Stop(Stop),
    /// Reconcile this artifact; the spec's health checks, compiled.
    Go(Artifact, Arc<Checks>),
}

/// Why a Kustomization can't be reconciled now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stop {
    /// The reason of its Ready condition.
    pub reason: &'static str,
    /// The message of its Ready condition.
    pub message: String,
    /// What ends the stop.
    pub until: Until,
    /// What to tell as an event when the condition is news.
    pub event: Option<String>,
    /// The revision the event is about, if any.
    pub revision: Revision,
}

/// A revision, and that of the code behind it; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Revision {
    /// The artifact's.
    pub artifact: String,
    /// Of the code, where the source tells.
    pub origin: String,
}

impl Revision {
    pub(super) fn of(artifact: &Artifact) -> Self {
        let origin = artifact.origin_revision().unwrap_or_default().to_owned();
        Self { artifact: artifact.revision.clone(), origin }
    }
}

/// What ends a [`Stop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Only another spec: the object is stalled.
    Spec,
    /// Only other flags, or another spec: the object is stalled.
    Flags,
    /// Its source appearing or making an artifact; looked at again after the retry interval all the same.
    Source,
    /// A dependency changing; looked at again after `--requeue-dependency` all the same.
    Dependency,
}

impl Stop {
    fn stalled(reason: &'static str, message: String, until: Until) -> Gate {
        let revision = Revision::default();
        Gate::Stop(Self { reason, event: Some(message.clone()), message, until, revision })
    }

    /// An error in the spec's expressions.
    fn invalid_expression(error: &str, revision: Revision) -> Gate {
        let message = format!("{TERMINAL}: {error}");
        Gate::Stop(Self {
            reason: reasons::INVALID_CEL_EXPRESSION,
            event: Some(message.clone()),
            message,
            until: Until::Spec,
            revision,
        })
    }
}

/// What opens the message of an error that only another spec mends.
const TERMINAL: &str = "Reconciliation failed terminally due to configuration error";

/// Decides.
pub(super) fn decide(observed: &Observed<'_>) -> Gate {
    let object = observed.object;
    if object.metadata.deletion_timestamp.is_some() {
        return Gate::Finalize;
    }
    if object.spec.suspend {
        return Gate::Suspended;
    }
    if let Some(stop) = unsupported(object) {
        return stop;
    }
    let checks = match health_checks(&object.spec.health_check_exprs) {
        Ok(checks) => Arc::new(checks),
        Err(error) => return Stop::invalid_expression(&error.to_string(), Revision::default()),
    };
    let own_namespace = object.namespace().unwrap_or_default();
    let reference = &object.spec.source_ref;
    let namespace = reference.namespace_or(&own_namespace);
    if observed.options.no_cross_namespace_refs && namespace != own_namespace {
        let what = format!("{}/{namespace}/{}", reference.kind, reference.name);
        let message =
            format!("can't access '{what}', cross-namespace references have been blocked");
        return Stop::stalled(reasons::ACCESS_DENIED, message, Until::Flags);
    }
    if reference.kind == SourceKind::ExternalArtifact && !observed.options.gates.external_artifact {
        let what = format!("{}/{namespace}/{}", reference.kind, reference.name);
        let message = format!("can't access '{what}', ExternalArtifact feature gate is disabled");
        return Stop::stalled(reasons::ACCESS_DENIED, message, Until::Flags);
    }
    let artifact = match &observed.source {
        Source::Missing => {
            return Gate::Stop(Stop {
                reason: reasons::ARTIFACT_FAILED,
                message: format!(
                    "{}.source.toolkit.fluxcd.io \"{}\" not found",
                    reference.kind, reference.name
                ),
                until: Until::Source,
                event: None,
                revision: Revision::default(),
            });
        }
        Source::NoArtifact => {
            let retry = borax_stdx::duration::format(observed.options.requeue_dependency);
            return Gate::Stop(Stop {
                reason: reasons::ARTIFACT_FAILED,
                message: format!("Source artifact not found, retrying in {retry}"),
                until: Until::Source,
                event: None,
                revision: Revision::default(),
            });
        }
        Source::Artifact(artifact) => artifact,
    };
    match dependencies(observed, artifact) {
        None => Gate::Go(artifact.clone(), checks),
        Some(stop) => stop,
    }
}

/// Fields that Borax knows and does not honour yet: better no reconciliation than a wrong one.
fn unsupported(object: &Kustomization) -> Option<Gate> {
    let refuse = |field: &str, instead: &str| {
        Some(Stop::stalled(
            reasons::BUILD_FAILED,
            format!("{field} is not supported yet: {instead}"),
            Until::Spec,
        ))
    };
    if object.spec.decryption.is_some() {
        return refuse(
            "spec.decryption",
            "remove it, or keep SOPS-encrypted files out of this Kustomization",
        );
    }
    if object.spec.kube_config.as_ref().is_some_and(|config| config.config_map_ref.is_some()) {
        return refuse(
            "spec.kubeConfig.configMapRef",
            "give a kubeconfig with spec.kubeConfig.secretRef",
        );
    }
    None
}

fn dependencies(observed: &Observed<'_>, artifact: &Artifact) -> Option<Gate> {
    let object = observed.object;
    let own_namespace = object.namespace().unwrap_or_default();
    let wait = |message: String| {
        let retry = borax_stdx::duration::format(observed.options.requeue_dependency);
        Some(Gate::Stop(Stop {
            reason: reasons::DEPENDENCY_NOT_READY,
            message,
            until: Until::Dependency,
            event: Some(format!("Dependencies do not meet ready condition, retrying in {retry}")),
            revision: Revision::of(artifact),
        }))
    };
    for reference in &object.spec.depends_on {
        let namespace = reference.namespace_or(&own_namespace);
        let id = format!("{namespace}/{}", reference.name);
        let Some(dependency) = (observed.find)(namespace, &reference.name) else {
            let kind = "kustomizations.kustomize.toolkit.fluxcd.io";
            return wait(format!(
                "dependency '{id}' not found: {kind} \"{}\" not found",
                reference.name
            ));
        };
        if !reference.ready_expr.is_empty() {
            match ready_by_expression(&reference.ready_expr, object, &dependency) {
                Ok(true) => {}
                Ok(false) => {
                    return wait(format!(
                        "dependency '{id}' is not ready according to readyExpr eval"
                    ));
                }
                Err(ExpressionFailed::Invalid(error)) => {
                    let cause =
                        format!("failed to evaluate dependency {}: {error}", reference.name);
                    return Some(Stop::invalid_expression(&cause, Revision::of(artifact)));
                }
                Err(ExpressionFailed::Now(error)) => return wait(error),
            }
            if !observed.options.gates.additive_cel_dependency_check {
                continue;
            }
        }
        let Some(message) = not_ready(object, &dependency, artifact, &id) else { continue };
        return match cycle(observed, &id) {
            Some(cycle) => wait(format!("{message}: spec.dependsOn goes in a circle: {cycle}")),
            None => wait(message),
        };
    }
    None
}

enum ExpressionFailed {
    Invalid(String),
    Now(String),
}

fn ready_by_expression(
    text: &str,
    own: &Kustomization,
    dep: &Kustomization,
) -> Result<bool, ExpressionFailed> {
    let expression =
        ReadyExpr::compile(text).map_err(|error| ExpressionFailed::Invalid(error.to_string()))?;
    let value = |object: &Kustomization| -> Result<Value, ExpressionFailed> {
        serde_json::to_value(object).map_err(|error| ExpressionFailed::Now(error.to_string()))
    };
    expression
        .evaluate(&value(own)?, &value(dep)?)
        .map_err(|error| ExpressionFailed::Now(error.to_string()))
}

fn not_ready(
    own: &Kustomization,
    dependency: &Kustomization,
    artifact: &Artifact,
    id: &str,
) -> Option<String> {
    let status = dependency.status.as_ref();
    let ready = status.is_some_and(|status| {
        dependency.metadata.generation == Some(status.observed_generation)
            && is_condition_true(&status.conditions, condition_types::READY)
    });
    if !ready {
        return Some(format!("dependency '{id}' is not ready"));
    }
    // A dependency on the same source must have applied what this one is about to apply.
    let source = |object: &Kustomization| {
        let reference = &object.spec.source_ref;
        let namespace = object.namespace().unwrap_or_default();
        (reference.kind, reference.namespace_or(&namespace).to_owned(), reference.name.clone())
    };
    let applied = status.map(|status| status.last_applied_revision.as_str()).unwrap_or_default();
    (source(own) == source(dependency) && !artifact.has_revision(applied))
        .then(|| format!("dependency '{id}' revision is not up to date"))
}

/// The way from this Kustomization along `dependsOn` back to itself, if there is one through `first`.
///
/// Flux stops waking all Kustomizations of a source when two of them wait for each other, and only its log says
/// so; here only those in the circle wait, and each says why.
fn cycle(observed: &Observed<'_>, first: &str) -> Option<String> {
    let own = format!(
        "{}/{}",
        observed.object.namespace().unwrap_or_default(),
        observed.object.name_any()
    );
    let mut seen = std::collections::BTreeSet::new();
    let mut paths = vec![vec![own.clone(), first.to_owned()]];
    while let Some(path) = paths.pop() {
        let last = path.last()?;
        if *last == own {
            return Some(path.join(" -> "));
        }
        if !seen.insert(last.clone()) {
            continue;
        }
        let (namespace, name) = last.split_once('/')?;
        let Some(object) = (observed.find)(namespace, name) else { continue };
        for next in &object.spec.depends_on {
            let mut path = path.clone();
            path.push(format!("{}/{}", next.namespace_or(namespace), next.name));
            paths.push(path);
        }
    }
    None
}

#[cfg(test)]
mod tests;
