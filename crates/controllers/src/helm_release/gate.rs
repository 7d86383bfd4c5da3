//! Whether a HelmRelease may be reconciled now: suspension, references, source, dependencies. Pure.
//!
//! Behaviour: helm-controller v1.6 `internal/controller/helmrelease_controller.go` (`reconcileRelease`,
//! `checkDependencies`, `getSource`, `isSourceReady`).

use std::sync::Arc;

use borax_api::helm::{ChartRefKind, HelmRelease, ServerSideApplyMode, reasons as helm_reasons};
use borax_api::meta::{Artifact, Condition, condition_types, find_condition, is_condition_true};
use borax_api::meta::{is_condition_false, reasons};
use borax_health::ReadyExpr;
use kube::ResourceExt;
use serde_json::Value;

use crate::options::Options;

/// What opens the message of an error that only another spec mends.
const TERMINAL: &str = "Reconciliation failed terminally due to configuration error";

/// Which object holds the chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceRef {
    pub kind: ChartRefKind,
    pub namespace: String,
    pub name: String,
}

impl std::fmt::Display for SourceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// The source of a HelmRelease: what `chartRef` names, else the HelmChart made from `chart`.
pub(super) fn source_ref(object: &HelmRelease) -> SourceRef {
    let own = object.namespace().unwrap_or_default();
    match (&object.spec.chart_ref, &object.spec.chart) {
        (Some(reference), _) => SourceRef {
            kind: reference.kind,
            namespace: reference.namespace_or(&own).to_owned(),
            name: reference.name.clone(),
        },
        (None, template) => SourceRef {
            kind: ChartRefKind::HelmChart,
            namespace: template.as_ref().map_or(own.clone(), |template| {
                template.spec.source_ref.namespace_or(&own).to_owned()
            }),
            name: object.helm_chart_name(),
        },
    }
}

/// What the store says of the source.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// There is no such object.
    Missing,
    /// It is there.
    Found {
        /// Its generation.
        generation: i64,
        /// The generation it has reconciled; absent where the kind does not tell.
        observed: Option<i64>,
        /// Its conditions.
        conditions: Vec<Condition>,
        /// Its artifact.
        artifact: Option<Artifact>,
    },
}

/// Everything the decision rests on.
pub(super) struct Observed<'a> {
    /// The HelmRelease.
    pub object: &'a HelmRelease,
    /// Its source.
    pub source: Source,
    /// Finds a HelmRelease by namespace and name.
    pub find: &'a dyn Fn(&str, &str) -> Option<Arc<HelmRelease>>,
    /// The flags.
    pub options: &'a Options,
}

/// What to do with the HelmRelease now.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Gate {
    /// It is being deleted.
    Finalize,
    /// It is suspended.
    Suspended,
    /// It can't be reconciled.
    Stop(Stop),
    /// Reconcile this artifact.
    Go(Artifact),
}

/// Why a HelmRelease can't be reconciled now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stop {
    /// The reason of its Ready condition.
    pub reason: &'static str,
    /// The message of its Ready condition.
    pub message: String,
    /// What ends the stop.
    pub until: Until,
    /// Whether an event tells of it, and whether as a warning.
    pub event: Option<bool>,
}

/// What ends a [`Stop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Only another spec: the object is stalled.
    Spec,
    /// Its source changing; looked at again after `--requeue-dependency` all the same.
    Source,
    /// A dependency changing; looked at again after `--requeue-dependency` all the same.
    Dependency,
}

impl Stop {
    fn stalled(reason: &'static str, message: String) -> Gate {
        Gate::Stop(Self { reason, message, until: Until::Spec, event: Some(true) })
    }
}

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
    if let Some(stop) = dependencies(observed) {
        return stop;
    }
    let own = object.namespace().unwrap_or_default();
    let source = source_ref(object);
    if observed.options.no_cross_namespace_refs && source.namespace != own {
        let message =
            format!("can't access '{source}', cross-namespace references have been blocked");
        return Stop::stalled(reasons::ACCESS_DENIED, message);
    }
    if source.kind == ChartRefKind::ExternalArtifact && !observed.options.gates.external_artifact {
        let message = format!("can't access '{source}', ExternalArtifact feature gate is disabled");
        return Stop::stalled(reasons::ACCESS_DENIED, message);
    }
    match ready_artifact(&source, &observed.source) {
        Ok(artifact) => Gate::Go(artifact),
        Err((reason, message)) => {
            Gate::Stop(Stop { reason, message, until: Until::Source, event: None })
        }
    }
}

fn ready_artifact(
    reference: &SourceRef,
    source: &Source,
) -> Result<Artifact, (&'static str, String)> {
    let SourceRef { kind, namespace, name } = reference;
    let Source::Found { generation, observed, conditions, artifact } = source else {
        let plural = match kind {
            ChartRefKind::OCIRepository => "ocirepositories",
            ChartRefKind::HelmChart => "helmcharts",
            ChartRefKind::ExternalArtifact => "externalartifacts",
        };
        let message = format!(
            "could not get Source object: {plural}.source.toolkit.fluxcd.io \"{name}\" not found"
        );
        return Err((reasons::ARTIFACT_FAILED, message));
    };
    let not_ready = |why: &str| {
        let message = format!("{kind} '{namespace}/{name}' is not ready: {why}");
        Err((helm_reasons::SOURCE_NOT_READY, message))
    };
    let text = |type_| find_condition(conditions, type_).map(|c| c.message.as_str());
    if observed.is_some_and(|observed| observed != *generation) {
        let failed = is_condition_false(conditions, condition_types::READY);
        return not_ready(
            text(condition_types::READY)
                .filter(|_| failed)
                .unwrap_or("latest generation of object has not been reconciled"),
        );
    }
    if is_condition_true(conditions, condition_types::STALLED) {
        return not_ready(text(condition_types::STALLED).unwrap_or_default());
    }
    match artifact {
        Some(artifact) => Ok(artifact.clone()),
        // Flux says only that there is no artifact; why there is none is what a person wants to know.
        None => {
            let failed = is_condition_false(conditions, condition_types::READY);
            match text(condition_types::READY).filter(|_| failed) {
                Some(why) => not_ready(&format!("does not have an artifact: {why}")),
                None => not_ready("does not have an artifact"),
            }
        }
    }
}

/// Fields that Borax knows and does not honour yet: better no reconciliation than a wrong one.
fn unsupported(object: &HelmRelease) -> Option<Gate> {
    let refuse = |field: &str, instead: &str| {
        let message = format!("{field} is not supported yet: {instead}");
        Some(Stop::stalled(helm_reasons::RECONCILE_ERROR, message))
    };
    let spec = &object.spec;
    if spec.kube_config.as_ref().is_some_and(|config| config.config_map_ref.is_some()) {
        let instead = "give a kubeconfig with spec.kubeConfig.secretRef";
        return refuse("spec.kubeConfig.configMapRef", instead);
    }
    let instead = "leave it out, objects are applied on the server";
    if spec.install.as_ref().is_some_and(|install| install.server_side_apply == Some(false)) {
        return refuse("spec.install.serverSideApply: false", instead);
    }
    let disabled = Some(ServerSideApplyMode::Disabled);
    if spec.upgrade.as_ref().is_some_and(|upgrade| upgrade.server_side_apply == disabled) {
        return refuse("spec.upgrade.serverSideApply: disabled", instead);
    }
    if spec.rollback.as_ref().is_some_and(|rollback| rollback.server_side_apply == disabled) {
        return refuse("spec.rollback.serverSideApply: disabled", instead);
    }
    None
}

fn dependencies(observed: &Observed<'_>) -> Option<Gate> {
    let object = observed.object;
    let own = object.namespace().unwrap_or_default();
    let wait = |message: String| {
        let reason = reasons::DEPENDENCY_NOT_READY;
        Some(Gate::Stop(Stop { reason, message, until: Until::Dependency, event: Some(false) }))
    };
    for reference in &object.spec.depends_on {
        let namespace = reference.namespace_or(&own);
        let id = format!("{namespace}/{}", reference.name);
        let Some(dependency) = (observed.find)(namespace, &reference.name) else {
            return wait(format!(
                "unable to get '{id}' dependency: helmreleases.helm.toolkit.fluxcd.io \"{}\" not found",
                reference.name
            ));
        };
        if !reference.ready_expr.is_empty() {
            let expression = match ReadyExpr::compile(&reference.ready_expr) {
                Ok(expression) => expression,
                Err(error) => {
                    let name = &reference.name;
                    let message =
                        format!("{TERMINAL}: failed to evaluate dependency {name}: {error}");
                    return Some(Stop::stalled(reasons::INVALID_CEL_EXPRESSION, message));
                }
            };
            let value = |object: &HelmRelease| serde_json::to_value(object).unwrap_or(Value::Null);
            match expression.evaluate(&value(object), &value(&dependency)) {
                Ok(true) => {}
                Ok(false) => {
                    return wait(format!(
                        "dependency '{id}' is not ready according to readyExpr eval"
                    ));
                }
                Err(error) => return wait(error.to_string()),
            }
            if !observed.options.gates.additive_cel_dependency_check {
                continue;
            }
        }
        let ready = dependency.status.as_ref().is_some_and(|status| {
            dependency.metadata.generation == Some(status.observed_generation)
                && is_condition_true(&status.conditions, condition_types::READY)
        });
        if !ready {
            return wait(format!("dependency '{id}' is not ready"));
        }
    }
    None
}

/// The message of a spec whose health checks make no sense.
pub(super) fn invalid_checks(error: &borax_health::CheckError) -> Stop {
    Stop {
        reason: reasons::INVALID_CEL_EXPRESSION,
        message: format!("{TERMINAL}: {error}"),
        until: Until::Spec,
        event: Some(true),
    }
}

#[cfg(test)]
mod tests;
