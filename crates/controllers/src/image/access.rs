//! Who may refer to an ImageRepository from another namespace.
//!
//! Behaviour: fluxcd/pkg `runtime/acl`, image-reflector-controller v1.2 `getImageRepository`.

use borax_api::image::ImageRepository;
use borax_api::meta::reasons;
use borax_kubeio::Cluster;
use borax_reconcile::Key;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt};

use super::summary::Problem;
use crate::source::secrets;

/// Whether an object in the namespace `from` may refer to `repository`, which is `key`.
///
/// # Errors
/// It may not, in Flux's words; or its namespace can't be read.
pub async fn check(
    cluster: &Cluster,
    from: &str,
    key: &Key,
    repository: &ImageRepository,
) -> Result<(), Problem> {
    if *key.namespace == *from {
        return Ok(());
    }
    let denied = |why: String| {
        Problem::new(
            reasons::ACCESS_DENIED,
            format!("access denied: '{key}' can't be accessed due to {why}"),
        )
    };
    let Some(access) = &repository.spec.access_from else {
        return Err(denied("missing ACL labels on 'accessFrom'".to_owned()));
    };
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    let namespace = namespaces.get(from).await.map_err(|error| {
        Problem::new(reasons::ACCESS_DENIED, format!("access denied: {}", secrets::message(error)))
    })?;
    if access.allows(namespace.labels()) {
        return Ok(());
    }
    Err(denied(format!("ACL labels mismatch on namespace '{from}'")))
}
