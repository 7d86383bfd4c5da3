//! What a reconciliation leaves in a Kustomization's status: conditions, revisions, inventory, history. Pure.
//!
//! Behaviour: kustomize-controller v1.9 `internal/controller/kustomization_controller.go` (`reconcile`,
//! `finalizeStatus`), fluxcd/pkg `runtime/conditions/setter.go`.

use std::collections::BTreeMap;
use std::time::Duration;

use borax_api::kustomize::{KustomizationStatus, ResourceInventory, ResourceRef};
use borax_api::meta::{
    Condition, ConditionStatus, Time, condition_types as types, find_condition, is_condition_false,
    is_condition_true, reasons, record, remove_condition, set_condition,
};
use borax_object::Entry;

/// A status on its way from what it was to what it will be.
///
/// Every change goes through here; [`Draft::status`] is what to write.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// The status so far.
    pub status: KustomizationStatus,
    generation: i64,
    now: Time,
}

/// What a reconciliation was about, for messages and history.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    /// The artifact's revision.
    pub revision: String,
    /// The revision of the code behind it, where the source tells.
    pub origin_revision: String,
    /// The Kustomization's timeout.
    pub timeout: Duration,
    /// The checksum of what was built, once that is known.
    pub digest: Option<String>,
    /// What a notification of a commit's status is to do with it; empty for nothing.
    pub commit_status: String,
}

/// What an object is stalled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StalledBy {
    /// Its spec makes no sense.
    Spec,
    /// The flags forbid what it asks for.
    Flags,
}

impl Draft {
    /// A draft of a status that now stands as `status`, for an object of `generation`.
    pub(super) fn new(status: KustomizationStatus, generation: i64, now: Time) -> Self {
        Self { status, generation, now }
    }

    /// Time goes on between the steps of a reconciliation.
    pub(super) fn at(&mut self, now: Time) {
        self.now = now;
    }

    fn set(&mut self, type_: &str, status: ConditionStatus, reason: &str, message: &str) {
        let condition = Condition::new(type_, status, reason, message, self.generation);
        set_condition(&mut self.status.conditions, condition, self.now);
    }

    fn reconciling(&mut self, message: &str) {
        remove_condition(&mut self.status.conditions, types::STALLED);
        self.set(types::RECONCILING, ConditionStatus::True, reasons::PROGRESSING, message);
    }

    /// A step begins. Flux writes each; here only the last one of a reconciliation that stops in it is seen.
    fn progressing(&mut self, what: &str, about: &About) -> String {
        let timeout = borax_stdx::duration::format(about.timeout);
        let message = format!("{what} for revision {} with a timeout of {timeout}", about.revision);
        self.set(
            types::READY,
            ConditionStatus::Unknown,
            reasons::PROGRESSING,
            "Reconciliation in progress",
        );
        self.reconciling(&message);
        message
    }

    /// The artifact is being opened.
    pub(super) fn fetching(&mut self, about: &About) {
        self.progressing("Fetching manifests", about);
    }

    /// There are files to build: from here on the revision counts as attempted.
    pub(super) fn building(&mut self, about: &About) {
        self.progressing("Building manifests", about);
        self.status.last_attempted_revision.clone_from(&about.revision);
    }

    /// There are objects to compare with what lives.
    pub(super) fn detecting(&mut self, about: &About) {
        self.progressing("Detecting drift", about);
    }

    /// What is applied is recorded as the inventory.
    pub(super) fn set_inventory(&mut self, entries: &[Entry]) {
        let entries = entries
            .iter()
            .map(|entry| ResourceRef {
                id: entry.id.inventory_id(),
                version: entry.version.clone(),
            })
            .collect();
        self.status.inventory = Some(ResourceInventory { entries });
    }

    /// Objects are not healthy yet; the wait begins.
    pub(super) fn waiting(&mut self, about: &About) {
        let message = self.progressing("Running health checks", about);
        self.set(types::HEALTHY, ConditionStatus::Unknown, reasons::PROGRESSING, &message);
    }

    /// All that was waited for is healthy.
    pub(super) fn healthy(&mut self, message: &str) {
        self.set(types::HEALTHY, ConditionStatus::True, reasons::SUCCEEDED, message);
    }

    /// Nothing is waited for, so nothing is known of health.
    pub(super) fn health_unchecked(&mut self) {
        remove_condition(&mut self.status.conditions, types::HEALTHY);
    }

    /// Something did not become healthy.
    pub(super) fn unhealthy(&mut self, message: &str) {
        self.set(types::HEALTHY, ConditionStatus::False, reasons::HEALTH_CHECK_FAILED, message);
    }

    /// The wait was given up for something newer.
    pub(super) fn canceled(&mut self, trigger: &str) {
        let message = format!("New reconciliation triggered by {trigger}");
        self.set(types::READY, ConditionStatus::False, reasons::HEALTH_CHECK_CANCELED, &message);
    }

    /// It worked.
    pub(super) fn succeeded(&mut self, about: &About, took: Duration) {
        self.status.last_attempted_revision.clone_from(&about.revision);
        self.status.last_applied_revision.clone_from(&about.revision);
        self.status.last_applied_origin_revision.clone_from(&about.origin_revision);
        let message = format!("Applied revision: {}", about.revision);
        self.set(types::READY, ConditionStatus::True, reasons::RECONCILIATION_SUCCEEDED, &message);
        self.remember(about, took, reasons::RECONCILIATION_SUCCEEDED);
    }

    /// It failed and will be tried again.
    pub(super) fn failed(&mut self, about: &About, reason: &str, message: &str, took: Duration) {
        self.set(types::READY, ConditionStatus::False, reason, message);
        self.remember(about, took, reason);
    }

    /// It can't be tried before something changes: the spec, and then its generation counts as observed, or the
    /// flags, and then it does not.
    pub(super) fn stalled(&mut self, reason: &str, message: &str, by: StalledBy) {
        self.set(types::READY, ConditionStatus::False, reason, message);
        remove_condition(&mut self.status.conditions, types::RECONCILING);
        self.set(types::STALLED, ConditionStatus::True, reason, message);
        if by == StalledBy::Spec {
            self.status.observed_generation = self.generation;
        }
    }

    /// It waits for something that wakes it.
    pub(super) fn not_ready(&mut self, reason: &str, message: &str) {
        remove_condition(&mut self.status.conditions, types::STALLED);
        self.set(types::READY, ConditionStatus::False, reason, message);
    }

    fn remember(&mut self, about: &About, took: Duration, reason: &str) {
        let Some(digest) = &about.digest else { return };
        let mut metadata = BTreeMap::from([("revision".to_owned(), about.revision.clone())]);
        if !about.origin_revision.is_empty() {
            metadata.insert("originRevision".to_owned(), about.origin_revision.clone());
        }
        record(&mut self.status.history, digest, self.now, took.into(), reason, metadata);
    }

    /// What every reconciliation ends with: the request is handled, and Reconciling fits Ready.
    pub(super) fn finish(&mut self, requested_at: Option<&str>) {
        if let Some(requested_at) = requested_at {
            self.status.last_handled_reconcile_at = requested_at.to_owned();
        }
        if is_condition_true(&self.status.conditions, types::READY) {
            remove_condition(&mut self.status.conditions, types::RECONCILING);
            remove_condition(&mut self.status.conditions, types::STALLED);
            self.status.observed_generation = self.generation;
        } else if is_condition_false(&self.status.conditions, types::READY)
            && let Some(reconciling) =
                find_condition(&self.status.conditions, types::RECONCILING).cloned()
        {
            let retry =
                Condition { reason: reasons::PROGRESSING_WITH_RETRY.to_owned(), ..reconciling };
            set_condition(&mut self.status.conditions, retry, self.now);
        }
    }
}

/// Whether a success would tell nothing new: everything already stands in the status. Then nothing is written,
/// however many intervals pass.
pub(super) fn is_settled(
    status: &KustomizationStatus,
    generation: i64,
    about: &About,
    requested_at: Option<&str>,
) -> bool {
    let ready = find_condition(&status.conditions, types::READY);
    status.observed_generation == generation
        && status.last_applied_revision == about.revision
        && status.last_attempted_revision == about.revision
        && status.last_applied_origin_revision == about.origin_revision
        && requested_at.is_none_or(|requested| requested == status.last_handled_reconcile_at)
        && ready.is_some_and(|ready| {
            ready.status == ConditionStatus::True
                && ready.observed_generation == generation
                && ready.reason == reasons::RECONCILIATION_SUCCEEDED
        })
        && find_condition(&status.conditions, types::RECONCILING).is_none()
        && status.history.first().map(|snapshot| &snapshot.digest) == about.digest.as_ref()
}

/// The entries of a status's inventory. What can't be parsed is left out: it can't have been ours.
pub(super) fn inventory(status: Option<&KustomizationStatus>) -> Vec<Entry> {
    let entries =
        status.and_then(|status| status.inventory.as_ref()).map(|inventory| &inventory.entries);
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Entry::parse(&entry.id, &entry.version).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        About {
            revision: "main@sha1:1".into(),
            timeout: Duration::from_secs(60),
            digest: Some("sha256:d".into()),
            ..About::default()
        }
    }

    fn shown(draft: &Draft) -> Vec<String> {
        let line =
            |c: &Condition| format!("{}={:?} {}: {}", c.type_, c.status, c.reason, c.message);
        draft.status.conditions.iter().map(line).collect()
    }

    #[test]
    fn a_success_ends_settled_and_a_second_one_tells_nothing_new() {
        let mut draft = Draft::new(KustomizationStatus::default(), 2, Time::default());
        draft.fetching(&about());
        draft.building(&about());
        draft.detecting(&about());
        draft.set_inventory(&[Entry::parse("ns_a__ConfigMap", "v1").unwrap()]);
        assert_eq!(
            shown(&draft),
            [
                "Reconciling=True Progressing: Detecting drift for revision main@sha1:1 with a timeout of 1m0s",
                "Ready=Unknown Progressing: Reconciliation in progress",
            ]
        );
        draft.succeeded(&about(), Duration::from_secs(1));
        draft.finish(Some("now"));
        assert_eq!(
            shown(&draft),
            ["Ready=True ReconciliationSucceeded: Applied revision: main@sha1:1"]
        );
        assert!(is_settled(&draft.status, 2, &about(), Some("now")));
        assert!(!is_settled(&draft.status, 3, &about(), None));
        assert!(!is_settled(&draft.status, 2, &about(), Some("later")));
        assert!(!is_settled(
            &draft.status,
            2,
            &About { digest: Some("other".into()), ..about() },
            None
        ));
        assert_eq!(inventory(Some(&draft.status)).len(), 1);
    }

    #[test]
    fn a_failure_keeps_what_was_applied_and_says_that_it_will_be_tried_again() {
        let mut draft = Draft::new(KustomizationStatus::default(), 1, Time::default());
        draft.building(&about());
        draft.detecting(&about());
        draft.failed(&about(), reasons::RECONCILIATION_FAILED, "no", Duration::from_secs(1));
        draft.finish(None);
        assert_eq!(
            shown(&draft),
            [
                "Reconciling=True ProgressingWithRetry: Detecting drift for revision main@sha1:1 with a timeout of 1m0s",
                "Ready=False ReconciliationFailed: no",
            ]
        );
        assert_eq!(draft.status.last_applied_revision, "");
        assert_eq!(draft.status.observed_generation, 0);
        assert_eq!(draft.status.history[0].last_reconciled_status, "ReconciliationFailed");
    }

    #[test]
    fn a_revision_is_attempted_once_there_is_something_to_build() {
        let mut draft = Draft::new(KustomizationStatus::default(), 1, Time::default());
        draft.fetching(&about());
        assert_eq!(draft.status.last_attempted_revision, "");
        draft.building(&about());
        draft.failed(&About::default(), reasons::BUILD_FAILED, "no", Duration::ZERO);
        draft.finish(None);
        assert_eq!(draft.status.last_attempted_revision, "main@sha1:1");
        assert_eq!(
            shown(&draft),
            [
                "Reconciling=True ProgressingWithRetry: Building manifests for revision main@sha1:1 with a timeout of 1m0s",
                "Ready=False BuildFailed: no",
            ]
        );
    }

    #[test]
    fn a_stall_is_observed_and_ends_with_the_next_attempt() {
        let mut draft = Draft::new(KustomizationStatus::default(), 4, Time::default());
        draft.stalled(reasons::ACCESS_DENIED, "no", StalledBy::Flags);
        assert_eq!(draft.status.observed_generation, 0);
        draft.stalled(reasons::INVALID_CEL_EXPRESSION, "no", StalledBy::Spec);
        draft.finish(None);
        assert_eq!(
            shown(&draft),
            ["Stalled=True InvalidCELExpression: no", "Ready=False InvalidCELExpression: no"]
        );
        assert_eq!(draft.status.observed_generation, 4);
        draft.fetching(&about());
        assert!(find_condition(&draft.status.conditions, types::STALLED).is_none());
    }
}
