//! Drift: what others changed of what a release applied.
//!
//! An object that lives as we left it costs no request; any other is tried by a dry run and compared.
//!
//! Behaviour: helm-controller v1.6 `internal/action/diff.go`, `internal/diff`; fluxcd/pkg `ssa/jsondiff`.

use borax_api::helm::{DRIFT_DETECTION, DRIFT_DETECTION_DISABLED, DriftDetectionMode, HelmRelease};
use borax_apply::{IgnoreRule, IgnoreRules, IgnoreTarget};
use borax_kubeio::ApplyOptions;
use borax_object::meta;
use borax_release::drift::{Drifted, compare};

use super::ops::{MANAGER, Ops, Placed, refusal};

/// Whether the object looks for drift at all.
pub(super) fn detects(object: &HelmRelease) -> bool {
    mode(object) != DriftDetectionMode::Disabled
}

/// What the object does about drift.
pub(super) fn mode(object: &HelmRelease) -> DriftDetectionMode {
    object.spec.drift_detection.as_ref().map(|spec| spec.mode()).unwrap_or_default()
}

/// The spec's ignore rules.
///
/// # Errors
/// One makes no sense.
pub(super) fn rules(object: &HelmRelease) -> Result<IgnoreRules, String> {
    let spec = object.spec.drift_detection.clone().unwrap_or_default();
    let rules: Vec<IgnoreRule> = spec
        .ignore
        .into_iter()
        .map(|rule| IgnoreRule {
            paths: rule.paths,
            target: rule.target.map(|target| IgnoreTarget {
                group: target.group,
                version: target.version,
                kind: target.kind,
                name: target.name,
                namespace: target.namespace,
                label_selector: target.label_selector,
                annotation_selector: target.annotation_selector,
            }),
        })
        .collect();
    IgnoreRules::compile(&rules).map_err(|error| format!("spec.driftDetection.ignore: {error}"))
}

/// What of a release's objects is not as it was applied.
///
/// # Errors
/// An object could not be tried.
pub(super) async fn detect(
    ops: &Ops,
    objects: &[Placed],
    rules: &IgnoreRules,
) -> Result<Vec<(Placed, Drifted)>, String> {
    ops.cover(objects).await;
    let live = ops.cluster.live_releases();
    let mut found = Vec::new();
    for placed in objects {
        let object = &placed.object;
        if meta::name(object).is_empty()
            || meta::has(object, DRIFT_DETECTION, DRIFT_DETECTION_DISABLED)
            || live.is_settled(&ops.cluster, object)
        {
            continue;
        }
        let id = placed.id();
        let read = ops.cluster.read_object(&placed.resource, &id.namespace, &id.name).await;
        let existing = match read {
            Ok(existing) => existing,
            Err(error) if error.is_not_found() => {
                found.push((placed.clone(), Drifted::Removed));
                continue;
            }
            Err(error) => return Err(refusal(object, &error)),
        };
        if meta::has(&existing, DRIFT_DETECTION, DRIFT_DETECTION_DISABLED) {
            continue;
        }
        let options = ApplyOptions { manager: MANAGER, force: true, dry_run: true };
        let dry_run = ops.cluster.apply_object(&placed.resource, object, options).await;
        let dry_run = dry_run.map_err(|error| refusal(object, &error))?;
        let mut wanted = object.clone();
        rules.adapt(&mut wanted, &existing, &dry_run, MANAGER);
        match compare(&existing, &dry_run, &rules.ignored(&dry_run)) {
            Some(drifted) => {
                let placed = Placed { object: wanted, resource: placed.resource.clone() };
                found.push((placed, drifted));
            }
            None => live.found_as_wanted(&id, object, &existing),
        }
    }
    Ok(found)
}
