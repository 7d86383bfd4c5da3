//! The order Flux applies objects in (fluxcd/pkg `ssa/sort.go`); deletion goes the other way round.

use std::cmp::Ordering;

use crate::ObjectId;

/// Kinds that come before all others, in this order, whatever their group.
const FIRST: [&str; 23] = [
    "CustomResourceDefinition",
    "Namespace",
    "ClusterRole",
    "ClusterClass",
    "RuntimeClass",
    "PriorityClass",
    "StorageClass",
    "VolumeSnapshotClass",
    "IngressClass",
    "GatewayClass",
    "ClusterRoleBinding",
    "ResourceQuota",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
    "Service",
    "LimitRange",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

/// Kinds that come after all others, in this order.
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// The rank of a kind: lower is applied earlier, most kinds share one rank.
pub fn kind_order(kind: &str) -> usize {
    if let Some(rank) = FIRST.iter().position(|first| *first == kind) {
        return rank;
    }
    FIRST.len() + LAST.iter().position(|last| *last == kind).map_or(0, |rank| 1 + rank)
}

/// Orders by rank of kind, then group, kind, namespace and name.
pub fn apply_order(a: &ObjectId, b: &ObjectId) -> Ordering {
    let key = |id: &ObjectId| kind_order(&id.kind);
    key(a).cmp(&key(b)).then_with(|| {
        (&a.group, &a.kind, &a.namespace, &a.name).cmp(&(&b.group, &b.kind, &b.namespace, &b.name))
    })
}
