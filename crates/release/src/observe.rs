//! What Flux remembers of a release in `status.history`: a snapshot and its digests, which tell whether the record is
//! still the one that was made. Source: helm-controller `internal/release/observation.go`, `digest.go`,
//! `internal/action/verify.go`; fluxcd/pkg `chartutil/digest.go`.

use std::collections::BTreeMap;

use borax_api::helm::{Filter, SNAPSHOT_API_VERSION, Snapshot, TestHookStatus};
use borax_api::meta::Time;
use borax_helm::HookEvent;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::json::{Fields, list};
use crate::metadata;
use crate::record::{Hook, Release, values};

/// `sha256:` and the checksum.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The checksum of values: of their YAML with keys in the order of their bytes, of nothing when there are none.
pub fn config_digest(config: &Map<String, Value>) -> String {
    if config.is_empty() {
        return sha256(b"");
    }
    sha256(borax_yaml::to_string_bytewise(&Value::Object(config.clone())).as_bytes())
}

/// The checksum of a record, without its tests, which anyone may run at any time.
pub fn digest(release: &Release, oci_digest: &str) -> String {
    let mut out = Fields::new();
    out.text("name", &release.name);
    out.raw("version", &release.version.to_string());
    out.raw("info", &release.info.write());
    out.raw("chartMetadata", &metadata::write(&release.chart.metadata));
    let config = match release.config.is_empty() {
        true => "null".to_owned(),
        false => values(&release.config),
    };
    out.raw("config", &config);
    out.text("manifest", &release.manifest);
    let hooks = release.hooks.iter().filter(|hook| !hook.is_for(HookEvent::Test));
    let hooks: Vec<String> = hooks.map(Hook::write).collect();
    out.raw("hooks", &if hooks.is_empty() { "null".to_owned() } else { list(&hooks) });
    out.text("namespace", &release.namespace);
    out.some_text("ociDigest", oci_digest);
    sha256(format!("{}\n", out.end()).as_bytes())
}

fn time(text: &str) -> Time {
    text.parse::<jiff::Timestamp>().map(Into::into).unwrap_or_default()
}

fn some_time(text: &str) -> Option<Time> {
    text.parse::<jiff::Timestamp>().ok().map(Into::into)
}

/// The snapshot of a record as it now is.
pub fn snapshot(release: &Release, action: &str, oci_digest: &str) -> Snapshot {
    Snapshot {
        api_version: SNAPSHOT_API_VERSION.to_owned(),
        digest: digest(release, oci_digest),
        name: release.name.clone(),
        namespace: release.namespace.clone(),
        version: release.version,
        status: release.info.status.as_str().to_owned(),
        action: action.to_owned(),
        chart_name: release.chart.metadata.name.clone(),
        chart_version: release.chart.metadata.version.clone(),
        app_version: release.chart.metadata.app_version.clone(),
        config_digest: config_digest(&release.config),
        first_deployed: time(&release.info.first_deployed),
        last_deployed: time(&release.info.last_deployed),
        deleted: some_time(&release.info.deleted),
        test_hooks: None,
        oci_digest: oci_digest.to_owned(),
    }
}

/// How a release's tests went, of those that `filters` choose.
pub fn test_hooks(release: &Release, filters: &[Filter]) -> BTreeMap<String, TestHookStatus> {
    let tests = release.hooks.iter().filter(|hook| hook.is_for(HookEvent::Test));
    tests
        .filter(|hook| is_selected(&hook.name, filters))
        .map(|hook| {
            let status = TestHookStatus {
                last_started: some_time(&hook.last_run.started_at),
                last_completed: some_time(&hook.last_run.completed_at),
                phase: hook.last_run.phase.as_str().to_owned(),
            };
            (hook.name.clone(), status)
        })
        .collect()
}

/// Whether filters choose a test: none that leaves it out names it, and one names it if any takes in.
pub fn is_selected(name: &str, filters: &[Filter]) -> bool {
    let named = |exclude: bool| filters.iter().any(|f| f.exclude == exclude && f.name == name);
    let has_include = filters.iter().any(|filter| !filter.exclude);
    !named(true) && (!has_include || named(false))
}

/// Whether a record is the one a snapshot was made of. Snapshots of earlier kinds have digests that Helm 4 can't
/// reproduce, and are taken at their word.
///
/// # Errors
/// Flux's words for why not.
pub fn verify(snapshot: &Snapshot, release: &Release) -> Result<(), &'static str> {
    if snapshot.api_version != SNAPSHOT_API_VERSION {
        return Ok(());
    }
    if !snapshot.digest.starts_with("sha256:") {
        return Err("release digest verification error");
    }
    if digest(release, &snapshot.oci_digest) != snapshot.digest {
        return Err("release not observed to be made for object");
    }
    Ok(())
}

/// The release's name as Helm allows it: what is longer than 53 characters ends in a checksum of the whole.
pub fn shorten_name(name: &str) -> String {
    const MOST: usize = 53;
    const HASH: usize = 12;
    if name.len() <= MOST {
        return name.to_owned();
    }
    let sum: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let end = name.floor_char_boundary(MOST - HASH - 1);
    format!("{}-{}", &name[..end], &sum[..HASH])
}

/// The checksum of the post-renderers or common metadata of a spec; empty for none.
pub fn spec_digest(part: Option<&impl serde::Serialize>) -> String {
    let Some(json) = part.and_then(|part| serde_json::to_string(part).ok()) else {
        return String::new();
    };
    // These only stand inside of texts, where Go's encoder escapes them.
    let mut text = json;
    for (plain, escaped) in [
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u{2028}", "\\u2028"),
        ("\u{2029}", "\\u2029"),
    ] {
        text = text.replace(plain, escaped);
    }
    sha256(format!("{text}\n").as_bytes())
}
