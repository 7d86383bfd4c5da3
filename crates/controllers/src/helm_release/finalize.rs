//! A HelmRelease that is being deleted: its release is uninstalled first.
//!
//! Behaviour: helm-controller v1.6 `internal/controller/helmrelease_controller.go` (`reconcileDelete`,
//! `reconcileReleaseDeletion`), `internal/reconcile/uninstall.go`.

use std::sync::Arc;

use borax_api::helm::{HelmRelease, latest, reasons, release_actions};
use borax_kubeio::Cluster;
use borax_reconcile::{Outcome, Turn};
use borax_release::Draft;
use kube::ResourceExt;
use serde_json::Map;

use super::HelmReleaseReconciler;
use super::records::Records;
use super::values::Secrets;
use super::work::{ActionFailed, Work};
use crate::kustomization::target::Reach;
use crate::shared::now;
use crate::store::key_of;

impl HelmReleaseReconciler {
    /// Uninstalls what the object installed, deletes its HelmChart, then lets it go.
    pub(super) async fn finalize(&self, object: &HelmRelease, turn: &Turn) -> Outcome {
        let key = key_of(object);
        let mut draft = Draft::new(object, now());
        if !object.spec.suspend {
            if let Err(error) = self.uninstall_deleted(object, &mut draft, turn).await {
                tracing::error!(object = %key, error, "the release of a deleted object could not be uninstalled");
                draft.finish(false);
                if let Err(outcome) = self.write_draft(object, &mut draft).await {
                    return outcome;
                }
                return Outcome::Backoff;
            }
            if let Err(error) = self.delete_chart(object).await {
                tracing::error!(object = %key, error, "can't delete the HelmChart");
                return Outcome::Backoff;
            }
        }
        // The status goes with the object: only the events are worth telling.
        for told in std::mem::take(&mut draft.events) {
            self.tell(object, &told);
        }
        self.owned().let_go(object).await
    }

    async fn uninstall_deleted(
        &self,
        object: &HelmRelease,
        draft: &mut Draft<'_>,
        turn: &Turn,
    ) -> Result<(), String> {
        if draft.status.storage_namespace.is_empty() {
            return Ok(());
        }
        let namespace = object.namespace().unwrap_or_default();
        let reach = reach(object, &namespace);
        let (local, options) = (&self.shared.cluster, &self.shared.options);
        let cluster = match reach.cluster(local, &self.remotes, options).await {
            Ok(cluster) => cluster,
            // Without the way to the cluster nothing can be uninstalled, and the object must not hang for ever.
            Err(error) if error.is_not_found() => {
                tracing::error!(%error, "skipping Helm release uninstallation");
                return Ok(());
            }
            Err(error) => {
                let message =
                    format!("failed to build REST client getter to uninstall release: {error}");
                draft.not_ready(reasons::UNINSTALL_FAILED, &message);
                return Err(message);
            }
        };
        if object.spec.kube_config.is_none() {
            match reach.account_exists(local, options).await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::error!(
                        object = %key_of(object),
                        "skipping Helm release uninstallation: the service account is gone"
                    );
                    return Ok(());
                }
                Err(error) => {
                    let message = format!(
                        "failed to confirm that the service account can be used to uninstall release: {error}"
                    );
                    draft.not_ready(reasons::UNINSTALL_FAILED, &message);
                    return Err(message);
                }
            }
        }
        self.uninstall(object, draft, cluster, turn).await
    }

    /// Uninstalls the release that the status names.
    ///
    /// # Errors
    /// What stood in the way; the draft says so too.
    pub(super) async fn uninstall(
        &self,
        object: &HelmRelease,
        draft: &mut Draft<'_>,
        cluster: Cluster,
        turn: &Turn,
    ) -> Result<(), String> {
        let Some(known) = latest(&draft.status.history).cloned() else { return Ok(()) };
        let storage = draft.status.storage_namespace.clone();
        let records =
            Records::read(&cluster, &storage, &known.name).await.inspect_err(|error| {
                draft.uninstalled(Some(error));
            })?;
        if records.history.last().is_none() {
            let release = known.full_release_name();
            draft.was_uninstalled(&format!(
                "Release {release} was not found, assuming it is uninstalled"
            ));
            return Ok(());
        }
        let mut ops = self.ops(object, cluster, Arc::default());
        ops.namespace.clone_from(&known.namespace);
        let mut work = Work {
            object,
            chart: Arc::new(empty_chart()),
            values: Map::new(),
            secrets: Secrets::default(),
            ops,
            records,
            turn,
            enable_dns: false,
            observed: Vec::new(),
        };
        let result = work.uninstall().await;
        for release in &work.observed {
            draft.observed_earlier(release, Some(release_actions::UNINSTALL));
        }
        draft.at(now());
        match result {
            Ok(()) => {
                draft.uninstalled(None);
                Ok(())
            }
            Err(ActionFailed::Failed(error)) if error.contains("is already deleted") => {
                let release = known.full_release_name();
                draft.was_uninstalled(&format!("Release {release} was already uninstalled"));
                Ok(())
            }
            Err(error) => {
                let message = error.message();
                draft.uninstalled(Some(&message));
                Err(message)
            }
        }
    }
}

/// Where the object's release goes, and on whose behalf.
pub(super) fn reach<'a>(object: &'a HelmRelease, namespace: &'a str) -> Reach<'a> {
    Reach {
        namespace,
        kube_config: object.spec.kube_config.as_ref(),
        service_account: &object.spec.service_account_name,
    }
}

/// Uninstalling needs no chart: everything is in the record.
fn empty_chart() -> borax_helm::Chart {
    borax_helm::Chart::default()
}
