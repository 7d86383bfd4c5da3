//! The custom resource definitions that a chart brings: applied before its objects, never deleted.
//!
//! Behaviour: helm-controller v1.6 `internal/action/crds.go`.

use std::time::Duration;

use borax_api::helm::{CrdsPolicy, OWNER_NAME_LABEL, OWNER_NAMESPACE_LABEL};
use borax_object::{ObjectId, meta};
use borax_release::objects;
use serde_json::Value;

use super::work::{ActionFailed, Work};

/// How long definitions of custom resources have to be established.
const CRD_TIMEOUT: Duration = Duration::from_secs(60);

impl Work<'_> {
    /// Applies the chart's definitions of custom resources as the policy says.
    pub(super) async fn apply_crds(&self, policy: CrdsPolicy) -> Result<(), ActionFailed> {
        if policy == CrdsPolicy::Skip {
            return Ok(());
        }
        let failed = |error: String| format!("failed to apply CustomResourceDefinitions: {error}");
        let objects = self.crds().map_err(failed)?;
        if objects.is_empty() {
            return Ok(());
        }
        let placed = self.ops.place(objects).await.map_err(failed)?;
        self.ops.cover(&placed).await;
        let mut applied = Vec::new();
        for each in placed {
            if policy == CrdsPolicy::Create {
                let id = each.id();
                match self.ops.cluster.read_object(&each.resource, "", &id.name).await {
                    Ok(_) => continue,
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(failed(format!("{id}: {error}")).into()),
                }
            }
            self.ops.apply_one(&each, true).await.map_err(failed)?;
            applied.push(each);
        }
        self.turn
            .park(self.ops.wait_healthy(&applied, true, CRD_TIMEOUT))
            .await
            .map_err(|error| failed(error).into())
    }

    /// The definitions in the chart's `crds/` folders, labelled as the HelmRelease's.
    ///
    /// # Errors
    /// A file holds something else than objects.
    pub(super) fn crds(&self) -> Result<Vec<Value>, String> {
        let mut objects = Vec::new();
        for crd in self.chart.crds(&self.values).map_err(|error| error.to_string())? {
            let text = String::from_utf8_lossy(&crd.data);
            let parsed = objects::parse(&text).map_err(|error| format!("{}: {error}", crd.path))?;
            for mut object in parsed {
                if !meta::is_crd(&object) {
                    tracing::warn!(
                        chart = self.chart.metadata.name,
                        object = %ObjectId::of(&object),
                        "ignored: the crds/ folder is for CustomResourceDefinitions only"
                    );
                    continue;
                }
                let own = |text: &Option<String>| text.clone().unwrap_or_default();
                let metadata = &self.object.metadata;
                meta::set_label(&mut object, OWNER_NAME_LABEL, &own(&metadata.name));
                meta::set_label(&mut object, OWNER_NAMESPACE_LABEL, &own(&metadata.namespace));
                objects.push(object);
            }
        }
        Ok(objects)
    }
}
