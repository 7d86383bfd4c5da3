//! A Kustomization that is being deleted: what it applied goes with it, as its deletion policy says.
//!
//! Behaviour: kustomize-controller v1.9 `internal/controller/kustomization_controller.go` (`finalize`,
//! `finalizerShouldDeleteResources`).

use borax_api::kustomize::{DeletionPolicy, Kustomization};
use borax_kubeio::Applier;
use borax_reconcile::{Outcome, Turn};

use super::report::{About, inventory};
use super::run::owner;
use super::{KustomizationReconciler, target};

/// Whether the applied objects are deleted: not while suspended, not without an inventory, else as the policy says.
fn deletes(object: &Kustomization) -> bool {
    let applied = object.status.as_ref().and_then(|status| status.inventory.as_ref());
    if object.spec.suspend || applied.is_none_or(|inventory| inventory.entries.is_empty()) {
        return false;
    }
    match object.deletion_policy() {
        DeletionPolicy::MirrorPrune => object.spec.prune,
        DeletionPolicy::Delete | DeletionPolicy::WaitForTermination => true,
        DeletionPolicy::Orphan => false,
    }
}

impl KustomizationReconciler {
    /// Tells an event about what was applied last.
    fn tell(&self, object: &Kustomization, is_error: bool, message: &str) {
        let status = object.status.clone().unwrap_or_default();
        let about = About {
            revision: status.last_applied_revision.clone(),
            origin_revision: status.last_applied_origin_revision.clone(),
            ..About::default()
        };
        self.event(object, &status, &about, is_error, message);
    }

    /// Deletes what the object applied, then lets it go.
    pub(super) async fn finalize(&self, object: &Kustomization, turn: &Turn) -> Outcome {
        if deletes(object)
            && let Err(error) = self.delete_applied(object, turn).await
        {
            tracing::error!(object = %crate::store::key_of(object), error, "pruning for deleted resource failed");
            self.tell(object, true, "pruning for deleted resource failed");
            return Outcome::Backoff;
        }
        self.owned().let_go(object).await
    }

    async fn delete_applied(&self, object: &Kustomization, turn: &Turn) -> Result<(), String> {
        let shared = &self.shared;
        let entries = inventory(object.status.as_ref());
        let may = target::can_impersonate(&shared.cluster, object, &shared.options).await;
        if !may.map_err(|error| error.to_string())? {
            let list: Vec<String> = entries.iter().map(|entry| entry.id.to_string()).collect();
            let message = format!("unable to prune objects: \n{}", list.join("\n"));
            tracing::error!(object = %crate::store::key_of(object), "the service account is gone, so nothing is pruned");
            self.tell(object, true, &message);
            return Ok(());
        }
        let cluster = target::target(&shared.cluster, &self.remotes, object, &shared.options)
            .await
            .map_err(|error| error.to_string())?;
        let options = borax_apply::Options::default();
        let applier = Applier::new(&cluster, owner(object), options, shared.options.concurrent_ssa);
        let pruned = applier.prune(&entries).await;
        if let Some(error) = pruned.error {
            return Err(error);
        }
        if pruned.changes.entries.is_empty() {
            return Ok(());
        }
        let lines = pruned.changes.to_string();
        self.tell(object, false, lines.trim_end());
        if object.deletion_policy() == DeletionPolicy::WaitForTermination
            && let Err(error) =
                turn.park(applier.wait_gone(&pruned.changes, object.timeout())).await
        {
            tracing::error!(object = %crate::store::key_of(object), %error, "failed to wait for resources termination");
            self.tell(object, true, "failed to wait for resources termination");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use borax_api::kustomize::{
        KustomizationSpec, KustomizationStatus, ResourceInventory, ResourceRef,
    };

    use super::*;

    #[test]
    fn the_policy_decides_and_suspension_keeps_everything() {
        let with = |policy, prune, suspend, entries| {
            let spec = KustomizationSpec {
                deletion_policy: policy,
                prune,
                suspend,
                ..KustomizationSpec::default()
            };
            let mut object = Kustomization::new("app", spec);
            let entries = vec![ResourceRef::default(); entries];
            let inventory = Some(ResourceInventory { entries });
            object.status =
                Some(KustomizationStatus { inventory, ..KustomizationStatus::default() });
            deletes(&object)
        };
        assert!(with(None, true, false, 1));
        assert!(!with(None, false, false, 1));
        assert!(!with(None, true, true, 1));
        assert!(!with(None, true, false, 0));
        assert!(with(Some(DeletionPolicy::Delete), false, false, 1));
        assert!(!with(Some(DeletionPolicy::Delete), false, true, 1));
        assert!(!with(Some(DeletionPolicy::Orphan), true, false, 1));
    }
}
