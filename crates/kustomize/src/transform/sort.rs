//! The order of the output.
//!
//! Source of behaviour: kustomize `api/internal/builtins/SortOrderTransformer.go`.

use crate::decode::Object;
use crate::diag::{Result, fail};
use crate::id::ResId;
use crate::resmap::ResMap;
use crate::schema::Schema;
use crate::tree::Tree;

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
#[derive(Clone, Debug, Default)]
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

    /// Sorts as the options say.
    pub(crate) fn apply(&self, tree: &Tree, schema: &Schema, map: &mut ResMap) -> Result<()> {
        match (self.order.as_str(), &self.lists) {
            ("legacy", None) => by_kind(tree, schema, map, &rank),
            ("legacy", Some((first, last))) => {
                let rank = |kind: &str| list_rank(kind, first, last);
                by_kind(tree, schema, map, &rank)
            }
            ("fifo", None) => Ok(()),
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

/// Sorts in kustomize's fixed order of kinds.
pub(crate) fn legacy(tree: &Tree, schema: &Schema, map: &mut ResMap) -> Result<()> {
    by_kind(tree, schema, map, &rank)
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

fn by_kind(
    tree: &Tree,
    schema: &Schema,
    map: &mut ResMap,
    rank: &dyn Fn(&str) -> i32,
) -> Result<()> {
    let ids: Vec<ResId> = map.ids(tree, schema).iter().map(|ids| ids.current.clone()).collect();
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
    let resources = std::mem::take(map.resources_mut());
    let mut keyed: Vec<_> = ids.iter().map(key).zip(resources).collect();
    keyed.sort_by(|left, right| left.0.cmp(&right.0));
    *map.resources_mut() = keyed.into_iter().map(|(_, resource)| resource).collect();
    Ok(())
}
