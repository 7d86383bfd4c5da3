//! Reading the Secrets and service accounts that sources refer to.

use std::collections::BTreeMap;

use borax_kubeio::Cluster;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::Api;

/// A Secret's data by key.
pub type SecretData = BTreeMap<String, Vec<u8>>;

/// Reads the Secret `namespace/name`.
///
/// # Errors
/// In Flux's words: `failed to get secret 'ns/name': secrets "name" not found`.
pub async fn read(cluster: &Cluster, namespace: &str, name: &str) -> Result<SecretData, String> {
    Ok(data(get(cluster, namespace, name).await?))
}

/// Reads the Secret `namespace/name` with its type.
///
/// # Errors
/// As [`read`].
pub async fn get(cluster: &Cluster, namespace: &str, name: &str) -> Result<Secret, String> {
    let secrets = Api::<Secret>::namespaced(cluster.client(), namespace);
    secrets
        .get(name)
        .await
        .map_err(|error| format!("failed to get secret '{namespace}/{name}': {}", message(error)))
}

/// The Secret's data.
pub fn data(secret: Secret) -> SecretData {
    secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
}

/// The names of the image pull Secrets of the service account `namespace/name`.
///
/// # Errors
/// The service account is missing or can't be read.
pub async fn pull_secrets(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Vec<String>, String> {
    let accounts = Api::<ServiceAccount>::namespaced(cluster.client(), namespace);
    let account = accounts.get(name).await.map_err(|error| {
        format!("failed to get service account '{namespace}/{name}': {}", message(error))
    })?;
    Ok(account
        .image_pull_secrets
        .unwrap_or_default()
        .into_iter()
        .map(|reference| reference.name)
        .collect())
}

/// What the API server said, without the client's own words around it.
pub fn message(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message,
        other => other.to_string(),
    }
}
