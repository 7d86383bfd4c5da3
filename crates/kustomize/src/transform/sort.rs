//! The order of the output.
//!
//! Source of behaviour: kustomize `api/internal/builtins/SortOrderTransformer.go`.

use crate::decode::Object;
use crate::diag::{Result, fail};
use crate::id::ResId;

const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// What `sortOptions` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SortOptions {
    order: String,
    lists: Option<(Vec<String>, Vec<String>)>,
}

impl SortOptions {
    pub(crate) fn parse(mut o: Object) -> Result<SortOptions> {
        let order = o.text("order")?;
        let lists = match o.object("legacySortOptions")? {
            None => None,
            Some(mut lists) => {
                let read = (lists.texts("orderFirst")?, lists.texts("orderLast")?);
                lists.done()?;
                Some(read)
            }
        };
        o.done()?;
        Ok(SortOptions { order, lists })
    }

    /// The order that the options ask for: places in the list, first to last.
    pub(crate) fn order(&self, ids: &[&ResId]) -> Result<Vec<usize>> {
        match (self.order.as_str(), &self.lists) {
            ("legacy", None) => Ok(by_kind(ids, &rank)),
            ("legacy", Some((first, last))) => {
                Ok(by_kind(ids, &|kind: &str| list_rank(kind, first, last)))
            }
            ("fifo", None) => Ok((0..ids.len()).collect()),
            ("fifo", Some(_)) => fail(
                "the field 'sortOptions.legacySortOptions' is set but the selected sort order is \
                 'fifo', not 'legacy'",
            ),
            (other, _) => fail(format!(
                "the field 'sortOptions.order' must be one of [fifo, legacy], not {other:?}"
            )),
        }
    }
}

/// kustomize's fixed order of kinds.
pub(crate) fn legacy(ids: &[&ResId]) -> Vec<usize> {
    by_kind(ids, &rank)
}

/// A kind's place in the fixed order.
pub(crate) fn rank(kind: &str) -> i32 {
    list_rank(kind, &FIRST, &LAST)
}

fn list_rank<S: AsRef<str>>(kind: &str, first: &[S], last: &[S]) -> i32 {
    // A kind listed twice has its last place.
    let place = |list: &[S]| list.iter().rposition(|have| have.as_ref() == kind);
    match (place(last), place(first)) {
        (Some(at), _) => 1 + at as i32,
        (None, Some(at)) => at as i32 - first.len() as i32,
        (None, None) => 0,
    }
}

fn by_kind(ids: &[&ResId], rank: &dyn Fn(&str) -> i32) -> Vec<usize> {
    let key = |id: &ResId| {
        let or =
            |part: &str, none: &str| if part.is_empty() { none.to_owned() } else { part.into() };
        let place = format!("{}|{}|{}", id.gvk, or(&id.namespace, "~X"), or(&id.name, "~N"));
        // Namespaces of the core group go before those of others, against the order of their texts.
        let group = match id.gvk.kind.as_str() {
            "Namespace" => u8::from(!id.gvk.group.is_empty()),
            _ => 0,
        };
        (rank(&id.gvk.kind), group, id.gvk.sort_text(), place)
    };
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_cached_key(|at| key(ids[*at]));
    order
}
