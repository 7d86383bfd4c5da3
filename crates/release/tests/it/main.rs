//! Releases as data: records, digests, states, decisions.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod decisions;
mod digests;
mod records;
mod rendering;

use borax_api::helm::HelmRelease;
use borax_release::{Info, Release, Status, StoredChart};
use serde_json::{Value, json};

/// A HelmRelease `apps/web` of generation 2 with this spec and status.
pub(crate) fn object(spec: Value, status: Value) -> HelmRelease {
    let mut all = json!({
        "interval": "5m",
        "chartRef": {"kind": "OCIRepository", "name": "web"},
    });
    if let (Some(all), Value::Object(more)) = (all.as_object_mut(), spec) {
        all.extend(more);
    }
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "apps", "generation": 2},
        "spec": all,
        "status": status,
    }))
    .unwrap()
}

/// Release `apps/web` with that number and status, of chart `web@1.0.0`.
pub(crate) fn release(version: i64, status: Status) -> Release {
    let metadata = borax_helm::Metadata {
        name: "web".into(),
        version: "1.0.0".into(),
        api_version: "v2".into(),
        ..borax_helm::Metadata::default()
    };
    let chart = borax_helm::Chart::default();
    Release {
        name: "web".into(),
        namespace: "apps".into(),
        version,
        info: Info { status, ..Info::default() },
        chart: StoredChart::of(&chart, &metadata, &serde_json::Map::new()),
        manifest: "---\n# Source: web/templates/a.yaml\nkind: ConfigMap\n".into(),
        ..Release::default()
    }
}
