//! What the turns of ImageRepositories and ImagePolicies have in common: how a suspended one is acknowledged, how a turn
//! ends, how a panic is reported.
//!
//! Behaviour: image-reflector-controller v1.2, both controllers' `Reconcile`.

use std::collections::BTreeMap;

use borax_api::image::{ImagePolicyStatus, ImageRepositoryStatus};
use borax_api::meta::{Condition, RECONCILE_REQUEST, reasons};
use borax_reconcile::{Key, Outcome};
use kube::ResourceExt;
use kube::core::object::HasStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::summary::{self, Problem};
use crate::owned::Owned;
use crate::shared::now;
use crate::store::key_of;

/// What both statuses have.
pub trait ReflectedStatus: Clone + Default + Serialize {
    /// The conditions.
    fn conditions(&mut self) -> &mut Vec<Condition>;
    /// The last generation that was reconciled.
    fn observed_generation(&mut self) -> &mut i64;
    /// The last reconcile request that was honoured.
    fn last_handled_reconcile_at(&mut self) -> &mut String;
}

macro_rules! reflected {
    ($status:ident) => {
        impl ReflectedStatus for $status {
            fn conditions(&mut self) -> &mut Vec<Condition> {
                &mut self.conditions
            }
            fn observed_generation(&mut self) -> &mut i64 {
                &mut self.observed_generation
            }
            fn last_handled_reconcile_at(&mut self) -> &mut String {
                &mut self.last_handled_reconcile_at
            }
        }
    };
}

reflected!(ImageRepositoryStatus);
reflected!(ImagePolicyStatus);

impl<K> Owned<K>
where
    K: kube::Resource<DynamicType = ()>
        + HasStatus<Status: ReflectedStatus>
        + Serialize
        + DeserializeOwned
        + 'static,
{
    /// Suspended: nothing is done, and what was asked for counts as seen, as in Flux.
    pub(super) async fn suspended(&self, object: &K) -> Outcome {
        tracing::info!(object = %key_of(object), kind = %K::kind(&()), "reconciliation is suspended for this object");
        let mut status = object.status().cloned().unwrap_or_default();
        if summary::is_settled(status.conditions()) {
            *status.observed_generation() = object.meta().generation.unwrap_or_default();
        }
        acknowledge(object, &mut status);
        self.status(object, &status).await.err().unwrap_or(Outcome::Done)
    }

    /// Writes what a turn came to, and tells it where it is news after `before`.
    pub(super) async fn ended(
        &self,
        object: &K,
        before: &[Condition],
        mut status: K::Status,
        outcome: Outcome,
    ) -> Outcome {
        acknowledge(object, &mut status);
        if let Err(outcome) = self.status(object, &status).await {
            return outcome;
        }
        if let Some(told) = summary::event(before, status.conditions()) {
            self.tell(object, told.kind, &told.reason, &told.message, BTreeMap::new());
        }
        outcome
    }

    /// Reports a panic on the object.
    pub(super) async fn panicked(&self, key: &Key, message: &str) {
        let Some(object) = self.store().get(key) else { return };
        let mut status = object.status().cloned().unwrap_or_default();
        let generation = object.meta().generation.unwrap_or_default();
        let message = format!("internal error, please report it: {message}");
        let problem = Problem::new(reasons::FAILED, message);
        summary::failed(status.conditions(), generation, &problem, now());
        // What stands in the way of the report is in the log.
        let _ = self.status(&object, &status).await;
    }
}

fn acknowledge(object: &impl ResourceExt, status: &mut impl ReflectedStatus) {
    if let Some(requested) = object.annotations().get(RECONCILE_REQUEST) {
        status.last_handled_reconcile_at().clone_from(requested);
    }
}
