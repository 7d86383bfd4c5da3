//! The chart of a release: from the source's artifact, its version marked with the source's digest, loaded once for all
//! who use it.
//!
//! Behaviour: helm-controller v1.6 `internal/loader`, `internal/controller/helmrelease_controller.go`
//! (`mutateChartWithSourceRevision`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use borax_api::helm::ChartRefKind;
use borax_api::meta::Artifact;
use borax_helm::{Chart, MAX_CHART, Version};
use borax_stdx::files::{FileKind, Files};

/// How many charts stay loaded; beyond that the map starts over.
const MOST_CHARTS: usize = 64;

/// Charts by the digest of their artifact and the version they are marked with.
#[derive(Default)]
pub(super) struct Charts {
    loaded: Mutex<HashMap<(String, String), Arc<Chart>>>,
}

/// A chart, ready to be rendered.
#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) chart: Arc<Chart>,
    /// The digest of the OCI artifact it came from; empty for others.
    pub(super) oci_digest: String,
}

/// Why there is no chart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChartFailed {
    /// The artifact holds none that can be loaded.
    Load(String),
    /// Its version and the source's revision do not fit.
    Mark(String),
}

impl Charts {
    /// The chart in an artifact's files. Blocking.
    ///
    /// # Errors
    /// See [`ChartFailed`].
    pub(super) fn load(
        &self,
        files: &dyn Files,
        artifact: &Artifact,
        kind: ChartRefKind,
        mark: bool,
    ) -> Result<Loaded, ChartFailed> {
        let is_digest = match kind {
            ChartRefKind::OCIRepository => true,
            ChartRefKind::ExternalArtifact => artifact.revision.contains(':'),
            ChartRefKind::HelmChart => false,
        };
        let revision = if is_digest { artifact.revision.as_str() } else { "" };
        let key = (artifact.digest.clone(), if mark { revision.to_owned() } else { String::new() });
        let known = self.lock().get(&key).cloned();
        if let Some(chart) = known {
            let (_, oci_digest) = marked(&chart.metadata.version, revision)?;
            return Ok(Loaded { chart, oci_digest });
        }
        let mut chart = load(files).map_err(ChartFailed::Load)?;
        let (version, oci_digest) = marked(&chart.metadata.version, revision)?;
        if mark {
            chart.metadata.version = version;
        }
        let chart = Arc::new(chart);
        let mut loaded = self.lock();
        if loaded.len() >= MOST_CHARTS {
            loaded.clear();
        }
        loaded.insert(key, Arc::clone(&chart));
        Ok(Loaded { chart, oci_digest })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Arc<Chart>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(files: &dyn Files) -> Result<Chart, String> {
    let mut all: Vec<(String, Arc<[u8]>)> = Vec::new();
    let mut room = MAX_CHART;
    collect(files, "", &mut all, &mut room)?;
    Chart::from_unpacked(all).map_err(|error| error.to_string())
}

fn collect(
    files: &dyn Files,
    folder: &str,
    all: &mut Vec<(String, Arc<[u8]>)>,
    room: &mut usize,
) -> Result<(), String> {
    for name in files.list(&format!("/{folder}")).map_err(|error| error.to_string())? {
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let full = format!("/{path}");
        match files.kind(&full).map_err(|error| error.to_string())? {
            Some(FileKind::Dir) => collect(files, &path, all, room)?,
            Some(FileKind::File) => {
                let data = files.read(&full).map_err(|error| format!("{path}: {error}"))?;
                let left = room.checked_sub(data.len());
                *room = left.ok_or_else(|| {
                    format!("decompressed chart is larger than the maximum size {MAX_CHART}")
                })?;
                all.push((path, data));
            }
            None => {}
        }
    }
    Ok(())
}

/// The version marked with the digest in `revision`, and that digest. Without a revision it stays as it is.
fn marked(version: &str, revision: &str) -> Result<(String, String), ChartFailed> {
    if revision.is_empty() {
        return Ok((version.to_owned(), String::new()));
    }
    let fail = |message: String| Err(ChartFailed::Mark(message));
    let Ok(own) = Version::parse(version) else {
        return fail(format!("invalid chart version {version}"));
    };
    // `<tag>@<algorithm>:<digest>`, or the digest alone. A registry's tag has `_` where a version has `+`.
    let (tag, digest) = match revision.split_once('@') {
        Some((tag, digest)) => (Some(tag), digest),
        None => (None, revision),
    };
    if let Some(tag) = tag
        && let Ok(tagged) = Version::parse(&tag.replace('_', "+"))
    {
        let numbers = |v: &Version| (v.major, v.minor, v.patch, v.pre.clone());
        if numbers(&tagged) != numbers(&own) {
            return fail(format!("artifact revision {tag} does not match chart version {version}"));
        }
    }
    let Some(sum) = digest
        .split_once(':')
        .map(|(_, sum)| sum)
        .filter(|sum| sum.len() >= 12 && sum.is_ascii() && !sum.contains(':'))
    else {
        return fail(format!("invalid artifact revision {digest}"));
    };
    let mut version = format!("{}.{}.{}", own.major, own.minor, own.patch);
    if !own.pre.is_empty() {
        version = format!("{version}-{}", own.pre);
    }
    Ok((format!("{version}+{}", &sum[..12]), digest.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_marked_with_the_digest_of_its_source() {
        let sum = "0123456789abcdef0123";
        let of = |version: &str, revision: &str| marked(version, revision);
        let both = |version: &str, digest: &str| Ok((version.to_owned(), digest.to_owned()));
        assert_eq!(of("1.2.3", ""), both("1.2.3", ""));
        let digest = format!("sha256:{sum}");
        assert_eq!(of("1.2.3", &format!("1.2.3@{digest}")), both("1.2.3+0123456789ab", &digest));
        assert_eq!(
            of("v1.2.3-rc.1+x", &format!("latest@{digest}")),
            both("1.2.3-rc.1+0123456789ab", &digest)
        );
        assert_eq!(of("1.2.3", &digest), both("1.2.3+0123456789ab", &digest));
        assert_eq!(
            of("1.2.3", &format!("1.2.4@{digest}")),
            Err(ChartFailed::Mark(
                "artifact revision 1.2.4 does not match chart version 1.2.3".into()
            ))
        );
        assert!(matches!(of("1.2.3", "latest@sha256:short"), Err(ChartFailed::Mark(_))));
    }
}
