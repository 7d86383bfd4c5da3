//! What a turn has to do: from the objects to a plan, or to why there is none. Pure.
//!
//! Behaviour: image-automation-controller v1.2 `internal/controller/imageupdateautomation_controller.go`,
//! `internal/source/{source,git}.go`, `internal/policy/applier.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use borax_api::image::{
    GitSpec, ImagePolicy, ImageRef, ImageUpdateAutomation, UpdateStrategyName, reasons,
};
use borax_api::meta::{LabelSelector, reasons as common};
use borax_api::source::{GitRepository, GitRepositoryRef};
use borax_image::setters::Policies;
use borax_source::git::{Reference, Refspec};
use kube::ResourceExt;

use crate::image::summary::Problem;

/// The longest push option: a frame of Git's protocol holds no more.
const MAX_OPTION: usize = 60_000;

/// What to do.
#[derive(Clone, Debug)]
pub(super) struct Work {
    /// The repository to write to.
    pub(super) source: Arc<GitRepository>,
    /// How to commit, and where to push.
    pub(super) git: GitSpec,
    /// What to check out.
    pub(super) reference: Reference,
    /// The branch to push to.
    pub(super) branch: String,
    /// What to push besides.
    pub(super) refspecs: Vec<Refspec>,
    /// Push options, `key=value`.
    pub(super) options: Vec<String>,
    /// Where to look for marked values; empty for everywhere.
    pub(super) path: String,
    /// The latest images, by `namespace:name` of their policies.
    pub(super) policies: Policies,
    /// The same as the status has them, by name.
    pub(super) observed: BTreeMap<String, ImageRef>,
    /// Nothing need be looked at while the source still is at this revision.
    pub(super) unless: Option<String>,
}

/// The source's manager could not be set up.
pub(super) fn source_problem(message: impl std::fmt::Display) -> Problem {
    let message = format!("failed configuring source manager: {message}");
    Problem::new(reasons::SOURCE_MANAGER_FAILED, message)
}

/// What was observed.
pub(super) struct Observed {
    /// The policies of the automation's namespace.
    pub(super) policies: Vec<Arc<ImagePolicy>>,
    /// The repository it names, if that is there.
    pub(super) source: Option<Arc<GitRepository>>,
    /// `--no-cross-namespace-refs`
    pub(super) no_cross_namespace_refs: bool,
}

/// Decides.
///
/// # Errors
/// The object, or what it refers to, does not make a plan.
pub(super) fn decide(object: &ImageUpdateAutomation, seen: Observed) -> Result<Work, Problem> {
    let namespace = object.namespace().unwrap_or_default();
    let spec = &object.spec;
    let (policies, observed) = latest(&namespace, &seen.policies, spec.policy_selector.as_ref())?;
    let reference = &spec.source_ref;
    let Some(git) = spec.git.clone() else {
        let kind = reference.kind;
        return Err(Problem::stalled(
            reasons::INVALID_SOURCE_CONFIGURATION,
            format!(
                "source kind '{kind}' necessitates field .spec.git: invalid source configuration"
            ),
        ));
    };
    let source_namespace = reference.namespace_or(&namespace);
    if seen.no_cross_namespace_refs && source_namespace != namespace {
        return Err(Problem::stalled(
            common::ACCESS_DENIED,
            format!(
                "can't access '{}/{source_namespace}/{}', cross-namespace references have been blocked",
                reference.kind, reference.name
            ),
        ));
    }
    let Some(source) = seen.source else {
        return Err(source_problem(format!(
            "referenced git repository does not exist: GitRepository.source.toolkit.fluxcd.io \"{}\" not found",
            reference.name
        )));
    };
    let checkout = git
        .checkout
        .as_ref()
        .map(|checkout| checkout.reference.clone())
        .or_else(|| source.spec.reference.clone())
        .unwrap_or_default();
    let branch = push_branch(&git, &checkout)?;
    let push = git.push.clone().unwrap_or_default();
    let refspecs = match push.refspec.as_str() {
        "" => Vec::new(),
        text => vec![Refspec::parse(text).map_err(|error| {
            let message = format!("failed to update source: failed to push to remote: {error}");
            Problem::new(reasons::GIT_OPERATION_FAILED, message)
        })?],
    };
    let options = push_options(&push.options)?;
    let Some(update) = &spec.update else {
        return Err(Problem::stalled(reasons::INVALID_UPDATE_STRATEGY, "no update strategy"));
    };
    match update.strategy.unwrap_or_default() {
        UpdateStrategyName::Setters => {}
    }
    let one_branch = GitRepositoryRef { branch: branch.clone(), ..Default::default() } == checkout;
    let reference = Reference {
        branch: checkout.branch,
        tag: checkout.tag,
        semver: checkout.semver,
        name: checkout.name,
        commit: checkout.commit,
    };
    let status = object.status.clone().unwrap_or_default();
    // A changed spec may mean other files or another message, so what was seen under the old one does not count. (Flux
    // goes by policies and revision alone.) And a revision tells nothing of another branch that is pushed to.
    let is_same = status.observed_policies == observed
        && Some(status.observed_generation) == object.metadata.generation
        && one_branch
        && refspecs.is_empty();
    let revision = Some(status.observed_source_revision).filter(|revision| !revision.is_empty());
    Ok(Work {
        source,
        git,
        reference,
        branch,
        refspecs,
        options,
        path: update.path.clone(),
        policies,
        observed,
        unless: revision.filter(|_| is_same),
    })
}

/// The latest images of the policies that are selected and have one.
fn latest(
    namespace: &str,
    policies: &[Arc<ImagePolicy>],
    selector: Option<&LabelSelector>,
) -> Result<(Policies, BTreeMap<String, ImageRef>), Problem> {
    let (mut by_setter, mut by_name) = (Policies::new(), BTreeMap::new());
    for policy in policies {
        let chosen = selector.map_or(Ok(true), |selector| matches(selector, policy.labels()));
        let chosen = chosen.map_err(|error| {
            let message = format!("failed to parse policy selector: {error}");
            Problem::stalled(reasons::INVALID_POLICY_SELECTOR, message)
        })?;
        let latest = policy.status.as_ref().and_then(|status| status.latest_ref.clone());
        if let Some(latest) = latest.filter(|_| chosen) {
            let name = policy.name_any();
            by_setter.insert(format!("{namespace}:{name}"), latest.clone());
            by_name.insert(name, latest);
        }
    }
    Ok((by_setter, by_name))
}

/// Whether labels are selected.
///
/// # Errors
/// The selector makes no sense; in the words of apimachinery's `LabelSelectorAsSelector`.
fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> Result<bool, String> {
    let mut all = selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value));
    for requirement in &selector.match_expressions {
        let value = labels.get(&requirement.key);
        let listed = value.is_some_and(|value| requirement.values.contains(value));
        let needs_values = matches!(requirement.operator.as_str(), "In" | "NotIn");
        if needs_values && requirement.values.is_empty() {
            return Err(
                "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
                    .to_owned(),
            );
        }
        let exists = matches!(requirement.operator.as_str(), "Exists" | "DoesNotExist");
        if exists && !requirement.values.is_empty() {
            return Err(format!(
                "values: Invalid value: {:?}: values set must be empty for exists and does not exist",
                requirement.values
            ));
        }
        all &= match requirement.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            other => return Err(format!("{other:?} is not a valid label selector operator")),
        };
    }
    Ok(all)
}

/// The branch to push to: the one that is named, else the one that is checked out.
fn push_branch(git: &GitSpec, checkout: &GitRepositoryRef) -> Result<String, Problem> {
    let named = git.push.as_ref().map(|push| push.branch.clone()).unwrap_or_default();
    if !named.is_empty() {
        return Ok(named);
    }
    if checkout.branch.is_empty() {
        return Err(source_problem(
            "push spec not provided, and cannot be inferred from .spec.git.checkout.ref or GitRepository .spec.ref",
        ));
    }
    Ok(checkout.branch.clone())
}

fn push_options(options: &BTreeMap<String, String>) -> Result<Vec<String>, Problem> {
    let option = |(key, value): (&String, &String)| {
        let option = format!("{key}={value}");
        if option.contains(['\n', '\0']) || option.len() > MAX_OPTION {
            let key = key.escape_debug();
            return Err(source_problem(format!(
                "push option '{key}' has a line break or more than {MAX_OPTION} bytes, which Git can't send"
            )));
        }
        Ok(option)
    };
    options.iter().map(option).collect()
}

#[cfg(test)]
#[path = "decide/tests.rs"]
mod tests;
