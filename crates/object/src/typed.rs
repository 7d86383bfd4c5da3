//! Which fields of a built-in kind exist: an object is read into the kind's type, and what the type does not hold is
//! dropped.
//!
//! Flux sends built-in kinds through client-go's types before it applies them, so unknown fields and nulls vanish
//! silently where the server would refuse them ("field not declared in schema"). Only the stable versions are listed:
//! those of alpha and beta versions differ from server to server.

use k8s_openapi::api;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// `None` where the kind is not built in; otherwise whether the object fits the kind's type (then it was trimmed).
macro_rules! by_kind {
    ($object:expr, $($api_version:literal { $($kind:ident: $module:path),* $(,)? })*) => {{
        let object: &mut Value = $object;
        let key = (crate::meta::api_version(object).to_owned(), crate::meta::kind(object).to_owned());
        match (key.0.as_str(), key.1.as_str()) {
            $($(($api_version, stringify!($kind)) => Some(trim_as::<$module>(object)),)*)*
            _ => None,
        }
    }};
}

/// Drops the fields of `object` that its kind does not have, and nulls. An object that does not fit its type stays as
/// it is: the server will say what is wrong with it. True when trimmed.
pub(crate) fn trim(object: &mut Value) -> Option<bool> {
    by_kind!(object,
        "v1" {
            Binding: api::core::v1::Binding,
            ConfigMap: api::core::v1::ConfigMap,
            Endpoints: api::core::v1::Endpoints,
            Event: api::core::v1::Event,
            LimitRange: api::core::v1::LimitRange,
            Namespace: api::core::v1::Namespace,
            Node: api::core::v1::Node,
            PersistentVolume: api::core::v1::PersistentVolume,
            PersistentVolumeClaim: api::core::v1::PersistentVolumeClaim,
            Pod: api::core::v1::Pod,
            PodTemplate: api::core::v1::PodTemplate,
            ReplicationController: api::core::v1::ReplicationController,
            ResourceQuota: api::core::v1::ResourceQuota,
            Secret: api::core::v1::Secret,
            Service: api::core::v1::Service,
            ServiceAccount: api::core::v1::ServiceAccount,
        }
        "admissionregistration.k8s.io/v1" {
            MutatingWebhookConfiguration: api::admissionregistration::v1::MutatingWebhookConfiguration,
            ValidatingAdmissionPolicy: api::admissionregistration::v1::ValidatingAdmissionPolicy,
            ValidatingAdmissionPolicyBinding: api::admissionregistration::v1::ValidatingAdmissionPolicyBinding,
            ValidatingWebhookConfiguration: api::admissionregistration::v1::ValidatingWebhookConfiguration,
        }
        "apps/v1" {
            ControllerRevision: api::apps::v1::ControllerRevision,
            DaemonSet: api::apps::v1::DaemonSet,
            Deployment: api::apps::v1::Deployment,
            ReplicaSet: api::apps::v1::ReplicaSet,
            StatefulSet: api::apps::v1::StatefulSet,
        }
        "autoscaling/v1" { HorizontalPodAutoscaler: api::autoscaling::v1::HorizontalPodAutoscaler }
        "autoscaling/v2" { HorizontalPodAutoscaler: api::autoscaling::v2::HorizontalPodAutoscaler }
        "batch/v1" {
            CronJob: api::batch::v1::CronJob,
            Job: api::batch::v1::Job,
        }
        "certificates.k8s.io/v1" {
            CertificateSigningRequest: api::certificates::v1::CertificateSigningRequest,
        }
        "coordination.k8s.io/v1" { Lease: api::coordination::v1::Lease }
        "discovery.k8s.io/v1" { EndpointSlice: api::discovery::v1::EndpointSlice }
        "flowcontrol.apiserver.k8s.io/v1" {
            FlowSchema: api::flowcontrol::v1::FlowSchema,
            PriorityLevelConfiguration: api::flowcontrol::v1::PriorityLevelConfiguration,
        }
        "networking.k8s.io/v1" {
            Ingress: api::networking::v1::Ingress,
            IngressClass: api::networking::v1::IngressClass,
            NetworkPolicy: api::networking::v1::NetworkPolicy,
        }
        "node.k8s.io/v1" { RuntimeClass: api::node::v1::RuntimeClass }
        "policy/v1" { PodDisruptionBudget: api::policy::v1::PodDisruptionBudget }
        "rbac.authorization.k8s.io/v1" {
            ClusterRoleBinding: api::rbac::v1::ClusterRoleBinding,
            RoleBinding: api::rbac::v1::RoleBinding,
        }
        "scheduling.k8s.io/v1" { PriorityClass: api::scheduling::v1::PriorityClass }
        "storage.k8s.io/v1" {
            CSIDriver: api::storage::v1::CSIDriver,
            CSINode: api::storage::v1::CSINode,
            CSIStorageCapacity: api::storage::v1::CSIStorageCapacity,
            StorageClass: api::storage::v1::StorageClass,
            VolumeAttachment: api::storage::v1::VolumeAttachment,
        }
    )
}

fn trim_as<K: DeserializeOwned + Serialize>(object: &mut Value) -> bool {
    let Ok(typed) = K::deserialize(&*object).and_then(serde_json::to_value) else {
        return false;
    };
    keep_common(object, &typed);
    true
}

/// Keeps of `object` what `typed` also has. Values stay as written (the type's zero values and defaults are not
/// added, so that no field is claimed that nobody asked for).
fn keep_common(object: &mut Value, typed: &Value) {
    match (object, typed) {
        (Value::Object(fields), Value::Object(known)) => {
            fields.retain(|key, value| !value.is_null() && known.contains_key(key));
            for (key, value) in fields.iter_mut() {
                if let Some(known) = known.get(key) {
                    keep_common(value, known);
                }
            }
        }
        (Value::Array(items), Value::Array(known)) => {
            items.iter_mut().zip(known).for_each(|(item, known)| keep_common(item, known));
        }
        _ => {}
    }
}
