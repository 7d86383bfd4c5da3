//! API versions that Kubernetes has deprecated, and its words about them. Source: k8s.io/api 0.36, the
//! lifecycle of each kind; apiserver `pkg/endpoints/deprecation`.

use crate::capabilities::KubeVersion;

/// API version, minor release of its deprecation, minor release of its removal, replacement, kinds. All
/// releases are of version 1. A kind with `+` goes for its list too; `A=B` is replaced by `B`.
type Row = (&'static str, u64, u64, &'static str, &'static str);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("v1", 19, 0, "", "ComponentStatus+"),
    ("v1", 33, 0, "discovery.k8s.io/v1", "Endpoints=EndpointSlice EndpointsList=EndpointSliceList"),
    ("admission.k8s.io/v1beta1", 19, 22, "admission.k8s.io/v1", "AdmissionReview"),
    ("admissionregistration.k8s.io/v1alpha1", 35, 38, "", "MutatingAdmissionPolicy+ MutatingAdmissionPolicyBinding+"),
    ("admissionregistration.k8s.io/v1alpha1", 29, 32, "", "ValidatingAdmissionPolicy+ ValidatingAdmissionPolicyBinding+"),
    ("admissionregistration.k8s.io/v1beta1", 37, 40, "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy+ MutatingAdmissionPolicyBinding+"),
    ("admissionregistration.k8s.io/v1beta1", 16, 22, "admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration+ ValidatingWebhookConfiguration+"),
    ("admissionregistration.k8s.io/v1beta1", 31, 34, "", "ValidatingAdmissionPolicy+ ValidatingAdmissionPolicyBinding+"),
    ("apidiscovery.k8s.io/v2beta1", 32, 35, "", "APIGroupDiscovery+"),
    ("apps/v1beta1", 8, 16, "apps/v1", "ControllerRevision+ Deployment+ DeploymentRollback StatefulSet+"),
    ("apps/v1beta1", 8, 16, "autoscaling/v1", "Scale"),
    ("apps/v1beta2", 9, 16, "apps/v1", "ControllerRevision+ DaemonSet+ Deployment+ ReplicaSet+ StatefulSet+"),
    ("apps/v1beta2", 9, 16, "autoscaling/v1", "Scale"),
    ("authentication.k8s.io/v1alpha1", 29, 32, "", "SelfSubjectReview"),
    ("authentication.k8s.io/v1beta1", 30, 33, "", "SelfSubjectReview"),
    ("authentication.k8s.io/v1beta1", 19, 22, "authentication.k8s.io/v1", "TokenReview"),
    ("authorization.k8s.io/v1beta1", 19, 22, "authorization.k8s.io/v1", "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview"),
    ("batch/v1beta1", 21, 25, "batch/v1", "CronJob+"),
    ("certificates.k8s.io/v1alpha1", 34, 37, "", "ClusterTrustBundle+"),
    ("certificates.k8s.io/v1beta1", 19, 22, "certificates.k8s.io/v1", "CertificateSigningRequest+"),
    ("certificates.k8s.io/v1beta1", 37, 40, "", "ClusterTrustBundle+"),
    ("certificates.k8s.io/v1beta1", 38, 41, "", "PodCertificateRequest+"),
    ("coordination.k8s.io/v1alpha2", 35, 38, "", "LeaseCandidate+"),
    ("coordination.k8s.io/v1beta1", 19, 22, "coordination.k8s.io/v1", "Lease+"),
    ("coordination.k8s.io/v1beta1", 36, 39, "", "LeaseCandidate+"),
    ("discovery.k8s.io/v1beta1", 21, 25, "discovery.k8s.io/v1", "EndpointSlice EndpointSliceList=EndpointSlice"),
    ("events.k8s.io/v1beta1", 22, 25, "", "Event+"),
    ("extensions/v1beta1", 8, 16, "apps/v1", "DaemonSet+ Deployment+ ReplicaSet+"),
    ("extensions/v1beta1", 8, 16, "", "DeploymentRollback"),
    ("extensions/v1beta1", 14, 22, "networking.k8s.io/v1", "Ingress+"),
    ("extensions/v1beta1", 9, 16, "networking.k8s.io/v1", "NetworkPolicy+"),
    ("extensions/v1beta1", 2, 16, "", "Scale"),
    ("flowcontrol.apiserver.k8s.io/v1beta1", 23, 26, "flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema+ PriorityLevelConfiguration+"),
    ("flowcontrol.apiserver.k8s.io/v1beta2", 26, 29, "flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema+ PriorityLevelConfiguration+"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", 29, 32, "flowcontrol.apiserver.k8s.io/v1", "FlowSchema+ PriorityLevelConfiguration+"),
    ("networking.k8s.io/v1beta1", 34, 37, "", "IPAddress+ ServiceCIDR+"),
    ("networking.k8s.io/v1beta1", 19, 22, "networking.k8s.io/v1", "Ingress+ IngressClass=IngressClassList IngressClassList"),
    ("node.k8s.io/v1beta1", 22, 25, "", "RuntimeClass+"),
    ("policy/v1beta1", 22, 25, "", "Eviction"),
    ("policy/v1beta1", 21, 25, "policy/v1", "PodDisruptionBudget+"),
    ("rbac.authorization.k8s.io/v1beta1", 17, 22, "rbac.authorization.k8s.io/v1", "ClusterRole+ ClusterRoleBinding+ Role+ RoleBinding+"),
    ("resource.k8s.io/v1alpha3", 36, 39, "", "DeviceTaintRule+"),
    ("resource.k8s.io/v1alpha3", 39, 42, "", "ResourcePoolStatusRequest+"),
    ("resource.k8s.io/v1beta1", 35, 38, "", "DeviceClass+ ResourceClaim+ ResourceClaimTemplate+ ResourceSlice+"),
    ("resource.k8s.io/v1beta2", 36, 39, "", "DeviceClass+ ResourceClaim+ ResourceClaimTemplate+ ResourceSlice+"),
    ("resource.k8s.io/v1beta2", 39, 42, "", "DeviceTaintRule+"),
    ("scheduling.k8s.io/v1beta1", 14, 22, "scheduling.k8s.io/v1", "PriorityClass+"),
    ("storage.k8s.io/v1alpha1", 21, 24, "storage.k8s.io/v1beta1", "CSIStorageCapacity+"),
    ("storage.k8s.io/v1alpha1", 21, 24, "storage.k8s.io/v1", "VolumeAttachment+"),
    ("storage.k8s.io/v1alpha1", 32, 35, "storage.k8s.io/v1", "VolumeAttributesClass+"),
    ("storage.k8s.io/v1beta1", 19, 22, "storage.k8s.io/v1", "CSIDriver+ StorageClass+ VolumeAttachment+"),
    ("storage.k8s.io/v1beta1", 17, 22, "storage.k8s.io/v1", "CSINode CSINodeList=CSINode"),
    ("storage.k8s.io/v1beta1", 24, 27, "storage.k8s.io/v1", "CSIStorageCapacity+"),
    ("storage.k8s.io/v1beta1", 34, 37, "storage.k8s.io/v1", "VolumeAttributesClass+"),
    ("storagemigration.k8s.io/v1beta1", 38, 41, "", "StorageVersionMigration+"),
];

/// Refuses what is deprecated in the version, as a warning of Kubernetes.
pub(super) fn check(api_version: &str, kind: &str, version: &KubeVersion) -> Result<(), String> {
    if kind.is_empty() {
        return Ok(());
    }
    let minor: u64 = match (version.major.parse(), version.minor.parse()) {
        (Ok(1), Ok(minor)) => minor,
        _ => u64::MAX,
    };
    for (deprecated, since, removed, replacement, kinds) in TABLE {
        if *deprecated != api_version || minor < *since {
            continue;
        }
        let Some(instead) = kinds.split(' ').find_map(|entry| instead(entry, kind)) else {
            continue;
        };
        let mut text = format!("{api_version} {kind} is deprecated in v1.{since}+");
        if *removed != 0 {
            text.push_str(&format!(", unavailable in v1.{removed}+"));
        }
        if !replacement.is_empty() {
            text.push_str(&format!("; use {replacement} {instead}"));
        }
        return Err(text);
    }
    Ok(())
}

/// What replaces the kind, when the table's entry is about it.
fn instead<'k>(entry: &'k str, kind: &'k str) -> Option<&'k str> {
    if let Some((old, new)) = entry.split_once('=') {
        return (old == kind).then_some(new);
    }
    let single = match entry.strip_suffix('+') {
        Some(single) if kind.strip_suffix("List") == Some(single) => return Some(kind),
        Some(single) => single,
        None => entry,
    };
    (single == kind).then_some(kind)
}
