//! What state a release is in, as compared with its HelmRelease. Source: helm-controller `internal/reconcile/state.go`,
//! `internal/action/verify.go`, `reset.go`.

use borax_api::helm::{ChartNameChangeStrategy, HelmRelease, HelmReleaseStatus, Snapshot, latest};
use borax_helm::Metadata;

use crate::observe::{config_digest, shorten_name, spec_digest, verify};
use crate::record::{Phase, Release, Status};
use crate::storage::History;

/// The state of a release. The texts say why, in Flux's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Absent(&'static str),
    /// There is one that was not made for the object.
    Unmanaged(&'static str),
    /// It is not what the object asks for.
    OutOfSync(&'static str),
    /// It is in the middle of something that no one is doing.
    Locked(Status),
    /// Its uninstall broke off.
    Uninstalling,
    /// It is as wanted and was not tested.
    Untested,
    /// It failed.
    Failed(&'static str),
    /// It is as wanted; whether the cluster is too, drift detection tells.
    InSync,
}

/// What a release is wanted to be made of.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The chart's Chart.yaml, its version marked with the digest of its source.
    pub chart: &'a Metadata,
    /// The checksum of the values.
    pub config_digest: &'a str,
    /// The digest of the OCI artifact the chart came from; empty for others.
    pub oci_digest: &'a str,
}

impl Wanted<'_> {
    /// Whether a record's chart is the one that is wanted. What was taken over has its own version, without the mark
    /// of the source's digest, which the snapshot holds instead.
    fn has_chart(&self, chart: &Metadata, known: &Snapshot) -> bool {
        let taken_over = !self.oci_digest.is_empty()
            && known.oci_digest == self.oci_digest
            && !chart.version.contains('+')
            && self.is_version(&chart.version);
        chart.name == self.chart.name && (chart.version == self.chart.version || taken_over)
    }

    fn is_version(&self, version: &str) -> bool {
        let plain = |version: &str| version.split('+').next().map(str::to_owned);
        plain(version) == plain(&self.chart.version)
    }
}

/// Whether a release that someone else made may be just what is wanted, as far as its record tells without rendering.
pub fn may_be_taken_over(release: &Release, wanted: &Wanted<'_>) -> bool {
    let chart = &release.chart.metadata;
    release.info.status == Status::Deployed
        && chart.name == wanted.chart.name
        && wanted.is_version(&chart.version)
        && config_digest(&release.config) == wanted.config_digest
}

/// Determines the state of the newest release in `history`. `status` is the object's as it stands in this turn.
///
/// # Errors
/// The state can't be told, in Flux's words.
pub fn determine(
    object: &HelmRelease,
    status: &HelmReleaseStatus,
    history: &History,
    wanted: &Wanted<'_>,
) -> Result<State, String> {
    let Some(last) = history.last() else {
        return Ok(State::Absent("no release in storage for object"));
    };
    if last.info.status.is_pending() {
        return Ok(State::Locked(last.info.status));
    }
    // Its objects are partly gone, and the record says so. Flux can't tell what to do and stays there.
    if last.info.status == Status::Uninstalling {
        return Ok(State::Uninstalling);
    }
    let Some(known) = latest(&status.history) else {
        return Ok(match last.info.status {
            Status::Uninstalled => State::Absent("found uninstalled release in storage"),
            _ => State::Unmanaged("found existing release in storage"),
        });
    };
    if let Err(why) = verify(known, last) {
        return Ok(State::Unmanaged(why));
    }
    match last.info.status {
        Status::Failed => return Ok(State::Failed("")),
        Status::Uninstalled => return Ok(State::Absent("found uninstalled release in storage")),
        Status::Deployed => {}
        other => {
            return Err(format!("unable to determine state for release with status '{other}'"));
        }
    }
    let chart = &last.chart.metadata;
    if !wanted.has_chart(chart, known) {
        return Ok(State::OutOfSync("release chart changed"));
    }
    if known.config_digest != wanted.config_digest {
        return Ok(State::OutOfSync("release config values changed"));
    }
    if Some(status.observed_generation) != object.metadata.generation {
        if post_renderers_digest(object) != status.observed_post_renderers_digest {
            return Ok(State::OutOfSync("postrenderers digest has changed"));
        }
        if common_metadata_digest(object) != status.observed_common_metadata_digest {
            return Ok(State::OutOfSync("common metadata digest has changed"));
        }
    }
    let test = object.spec.test.clone().unwrap_or_default();
    if test.enable {
        if !known.has_been_tested() {
            return Ok(State::Untested);
        }
        let counts = crate::decide::active_remediation(object, status)
            .is_some_and(|(r, _)| !r.ignore_test_failures.unwrap_or(test.ignore_failures));
        if counts && known.has_test_in_phase(Phase::Failed.as_str()) {
            return Ok(State::Failed("release has test in failed phase"));
        }
    }
    Ok(State::InSync)
}

/// The checksum of the object's post-renderers.
pub fn post_renderers_digest(object: &HelmRelease) -> String {
    let renderers = &object.spec.post_renderers;
    spec_digest((!renderers.is_empty()).then_some(renderers))
}

/// The checksum of the object's common metadata.
pub fn common_metadata_digest(object: &HelmRelease) -> String {
    spec_digest(object.spec.common_metadata.as_ref())
}

/// Why the release that was made must be uninstalled before the one that is wanted now is installed: it is to be
/// another release.
pub fn target_changed(
    object: &HelmRelease,
    status: &HelmReleaseStatus,
    chart_name: &str,
) -> Option<&'static str> {
    let known = latest(&status.history)?;
    if status.storage_namespace.is_empty() {
        return None;
    }
    if object.storage_namespace() != status.storage_namespace {
        return Some("storage namespace");
    }
    if object.release_namespace() != known.namespace {
        return Some("release namespace");
    }
    if shorten_name(&object.release_name()) != known.name {
        return Some("release name");
    }
    let reinstalls =
        object.upgrade().chart_name_change_strategy() == ChartNameChangeStrategy::Reinstall;
    (chart_name != known.chart_name && reinstalls).then_some("chart name")
}

/// Why failures are to be forgotten: what is tried now is not what failed.
pub fn must_reset_failures(
    object: &HelmRelease,
    status: &HelmReleaseStatus,
    wanted: &Wanted<'_>,
    reset_requested: bool,
) -> Option<&'static str> {
    if Some(status.last_attempted_generation) != object.metadata.generation {
        return Some("generation differs from last attempt");
    }
    if status.last_attempted_revision != wanted.chart.version {
        return Some("chart version differs from last attempt");
    }
    // The older field held a SHA-1; whoever still has it gets another try.
    let attempted = &status.last_attempted_config_digest;
    let known = !attempted.is_empty() || !status.last_attempted_values_checksum.is_empty();
    if known && attempted != wanted.config_digest {
        return Some("values differ from last attempt");
    }
    reset_requested.then_some("reset requested through annotation")
}

/// The checksum of values, for [`Wanted`].
pub fn wanted_digest(values: &serde_json::Map<String, serde_json::Value>) -> String {
    config_digest(values)
}
