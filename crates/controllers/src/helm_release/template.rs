//! The HelmChart that a HelmRelease's `chart` describes: made, kept and deleted.
//!
//! Behaviour: helm-controller v1.6 `internal/reconcile/helmchart_template.go`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use borax_api::helm::{
    HelmRelease, HelmReleaseStatus, OWNER_NAME_LABEL, OWNER_NAMESPACE_LABEL, STATUS_MANAGER,
    reasons as helm_reasons,
};
use borax_api::source::{HelmChart, HelmChartSpec};
use borax_kubeio::{ApplyOptions, Propagation, Resource};
use borax_object::Gvk;
use borax_reconcile::{Key, Outcome};
use borax_release::Draft;
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use super::HelmReleaseReconciler;
use crate::shared::now;
use crate::store::key_of;

static HELM_CHARTS: LazyLock<Resource> = LazyLock::new(|| Resource {
    gvk: Gvk::new("source.toolkit.fluxcd.io/v1", "HelmChart"),
    plural: "helmcharts".to_owned(),
    namespaced: true,
    watchable: true,
});

/// The HelmChart; `None` when the spec describes none.
fn wanted(object: &HelmRelease) -> Option<Value> {
    let template = object.spec.chart.as_ref()?;
    let own = object.namespace().unwrap_or_default();
    let (spec, name) = (&template.spec, object.name_any());
    let text = |map: &std::collections::BTreeMap<String, String>| -> Map<String, Value> {
        map.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect()
    };
    let metadata = template.metadata.clone().unwrap_or_default();
    let mut labels = text(&metadata.labels);
    labels.insert(OWNER_NAME_LABEL.to_owned(), name.into());
    labels.insert(OWNER_NAMESPACE_LABEL.to_owned(), own.clone().into());
    let mut chart = json!({
        "apiVersion": HELM_CHARTS.gvk.api_version(),
        "kind": HELM_CHARTS.gvk.kind,
        "metadata": {
            "name": object.helm_chart_name(),
            "namespace": spec.source_ref.namespace_or(&own),
            "labels": labels,
        },
        "spec": {
            "chart": spec.chart,
            "interval": spec.interval.unwrap_or(object.spec.interval),
            "reconcileStrategy": spec.reconcile_strategy.unwrap_or_default(),
            "sourceRef": {"kind": spec.source_ref.kind, "name": spec.source_ref.name},
            "version": if spec.version.is_empty() { "*" } else { &spec.version },
        },
    });
    if !metadata.annotations.is_empty() {
        chart["metadata"]["annotations"] = Value::Object(text(&metadata.annotations));
    }
    if !spec.values_files.is_empty() {
        chart["spec"]["valuesFiles"] = json!(spec.values_files);
    }
    if spec.ignore_missing_values_files {
        chart["spec"]["ignoreMissingValuesFiles"] = json!(true);
    }
    if let Some(verify) = &spec.verify {
        chart["spec"]["verify"] = json!({"provider": verify.provider});
        if let Some(secret) = &verify.secret_ref {
            chart["spec"]["verify"]["secretRef"] = json!({"name": secret.name});
        }
    }
    Some(chart)
}

/// Whether a HelmChart is as it is wanted: its whole spec, and the labels and annotations that the template speaks of.
/// Whether it is suspended is not for the template to say.
fn is_as_wanted(live: &HelmChart, wanted: &Value) -> bool {
    let Ok(wanted) = serde_json::from_value::<HelmChart>(wanted.clone()) else { return false };
    let spec = HelmChartSpec { suspend: live.spec.suspend, ..wanted.spec.clone() };
    let has = |live: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>| {
        wanted.iter().all(|(key, value)| live.get(key) == Some(value))
    };
    live.spec == spec
        && has(live.labels(), wanted.labels())
        && has(live.annotations(), wanted.annotations())
}

impl HelmReleaseReconciler {
    /// Makes the HelmChart as the spec describes it, and deletes the one it described before.
    ///
    /// # Errors
    /// What the turn ends with when that is not possible.
    pub(super) async fn sync_chart(&self, object: &HelmRelease) -> Result<(), Outcome> {
        let status = object.status.clone().unwrap_or_default();
        let wanted = wanted(object);
        let reference = wanted.as_ref().map(|chart| {
            let text = |pointer| chart.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            format!("{}/{}", text("/metadata/namespace"), text("/metadata/name"))
        });
        if !status.helm_chart.is_empty() && Some(&status.helm_chart) != reference.as_ref() {
            self.delete_chart(object).await.map_err(|error| self.failed(object, &error))?;
        }
        let Some(wanted) = wanted else { return Ok(()) };
        let own = object.namespace().unwrap_or_default();
        let namespace = borax_object::meta::namespace(&wanted).to_owned();
        if self.shared.options.no_cross_namespace_refs && namespace != own {
            // The gate says so, and stops.
            return Ok(());
        }
        let name = borax_object::meta::name(&wanted).to_owned();
        let live = self.shared.stores.helm_charts.get(&Key::new(&namespace, &name));
        if live.is_some_and(|live| is_as_wanted(&live, &wanted)) {
            return self.note_chart(object, reference.unwrap_or_default()).await;
        }
        let options = ApplyOptions { manager: STATUS_MANAGER, force: true, dry_run: false };
        let answer =
            self.shared.cluster.apply_object(&HELM_CHARTS, &wanted, options).await.map_err(
                |error| self.failed(object, &format!("failed to run server-side apply: {error}")),
            )?;
        let kind = &wanted["spec"]["sourceRef"]["kind"];
        tracing::info!(
            object = %key_of(object),
            "HelmChart/{namespace}/{name} with SourceRef '{}/{namespace}/{}' applied",
            kind.as_str().unwrap_or_default(),
            wanted["spec"]["sourceRef"]["name"].as_str().unwrap_or_default(),
        );
        if let Ok(chart) = serde_json::from_value(answer) {
            self.shared.stores.helm_charts.put(chart);
        }
        self.note_chart(object, reference.unwrap_or_default()).await
    }

    async fn note_chart(&self, object: &HelmRelease, reference: String) -> Result<(), Outcome> {
        let status = object.status.clone().unwrap_or_default();
        if status.helm_chart == reference {
            return Ok(());
        }
        let new = HelmReleaseStatus { helm_chart: reference, ..status };
        self.owned().status(object, &new).await
    }

    fn failed(&self, object: &HelmRelease, error: &str) -> Outcome {
        tracing::error!(object = %key_of(object), error, "can't make the HelmChart");
        Outcome::Backoff
    }

    /// Deletes the HelmChart that was made for the object.
    ///
    /// # Errors
    /// The server refused.
    pub(super) async fn delete_chart(&self, object: &HelmRelease) -> Result<(), String> {
        let status = object.status.clone().unwrap_or_default();
        let Some((namespace, name)) = status.helm_chart() else { return Ok(()) };
        let own = object.namespace().unwrap_or_default();
        if self.shared.options.no_cross_namespace_refs && namespace != own {
            return Ok(());
        }
        let chart = &status.helm_chart;
        self.shared
            .cluster
            .delete_object(&HELM_CHARTS, namespace, name, Propagation::Background, None)
            .await
            .map_err(|error| format!("failed to delete HelmChart '{chart}': {error}"))?;
        let mut draft = Draft::new(object, now());
        draft.status.helm_chart.clear();
        draft.tell_plain(
            false,
            helm_reasons::HELM_CHART_DELETED,
            &format!("deleted HelmChart '{chart}'"),
        );
        if object.metadata.deletion_timestamp.is_none() {
            let written = self.write_draft(object, &mut draft).await;
            written.map_err(|_| "the status could not be written".to_owned())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_made_from_the_template() {
        let object: HelmRelease = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "apps"},
            "spec": {"interval": "5m", "chart": {
                "metadata": {"labels": {"team": "a"}},
                "spec": {
                    "chart": "podinfo", "version": "6.x", "valuesFiles": ["a.yaml"],
                    "sourceRef": {"kind": "HelmRepository", "name": "repo", "namespace": "charts"},
                },
            }},
        }))
        .unwrap();
        let chart = wanted(&object).unwrap();
        assert_eq!(
            chart,
            json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart",
                "metadata": {"name": "apps-web", "namespace": "charts", "labels": {
                    "team": "a",
                    "helm.toolkit.fluxcd.io/name": "web",
                    "helm.toolkit.fluxcd.io/namespace": "apps",
                }},
                "spec": {
                    "chart": "podinfo", "version": "6.x", "interval": "5m0s",
                    "reconcileStrategy": "ChartVersion", "valuesFiles": ["a.yaml"],
                    "sourceRef": {"kind": "HelmRepository", "name": "repo"},
                },
            })
        );
        let live = |change: fn(&mut Value)| -> HelmChart {
            let mut live = chart.clone();
            change(&mut live);
            serde_json::from_value(live).unwrap()
        };
        assert!(is_as_wanted(&live(|_| {}), &chart));
        assert!(is_as_wanted(&live(|live| live["spec"]["suspend"] = json!(true)), &chart));
        let labelled = live(|live| live["metadata"]["labels"]["someone"] = json!("else"));
        assert!(is_as_wanted(&labelled, &chart));
        assert!(!is_as_wanted(&live(|live| live["spec"]["version"] = json!("7.x")), &chart));
        assert!(!is_as_wanted(&live(|live| live["metadata"]["labels"] = json!({})), &chart));
        // What the template no longer says has to go.
        let more = live(|live| live["spec"]["ignoreMissingValuesFiles"] = json!(true));
        assert!(!is_as_wanted(&more, &chart));
        let more = live(|live| live["spec"]["verify"] = json!({"provider": "cosign"}));
        assert!(!is_as_wanted(&more, &chart));
    }
}
