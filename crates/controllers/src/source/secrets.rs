//! Reading the Secrets and service accounts that sources refer to.

use std::collections::BTreeMap;

use borax_kubeio::Cluster;
use borax_source::git::Proxy;
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

/// Reads the Secret `namespace/name` for a proxy or certificates.
///
/// # Errors
/// In the words Flux has for these (fluxcd/pkg `runtime/secrets/reader.go`): `secret 'ns/name' not found`.
pub async fn referenced(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<SecretData, String> {
    Ok(data(get_referenced(cluster, namespace, name).await?))
}

async fn get_referenced(cluster: &Cluster, namespace: &str, name: &str) -> Result<Secret, String> {
    let secrets = Api::<Secret>::namespaced(cluster.client(), namespace);
    secrets.get(name).await.map_err(|error| match error {
        kube::Error::Api(status) if status.code == 404 => {
            format!("secret '{namespace}/{name}' not found")
        }
        error => format!("failed to get secret '{namespace}/{name}': {}", message(error)),
    })
}

/// Reads the proxy in the Secret `namespace/name`.
///
/// # Errors
/// There is no such Secret, or it describes no proxy.
pub async fn proxy(cluster: &Cluster, namespace: &str, name: &str) -> Result<Proxy, String> {
    let data = referenced(cluster, namespace, name).await?;
    Proxy::from_secret(&data).map_err(|error| format!("secret '{namespace}/{name}': {error}"))
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

/// The image pull Secrets of the service account `namespace/name`.
///
/// # Errors
/// The service account or one of its Secrets is missing or can't be read.
pub async fn pull_secrets(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Vec<Secret>, String> {
    let accounts = Api::<ServiceAccount>::namespaced(cluster.client(), namespace);
    let id = format!("{namespace}/{name}");
    let account = accounts.get(name).await.map_err(|error| match error {
        kube::Error::Api(status) if status.code == 404 => {
            format!("serviceaccount '{id}' not found")
        }
        error => format!("failed to get serviceaccount '{id}': {}", message(error)),
    })?;
    let mut secrets = Vec::new();
    for reference in account.image_pull_secrets.unwrap_or_default() {
        let secret = get_referenced(cluster, namespace, &reference.name).await;
        secrets.push(secret.map_err(|error| {
            format!("failed to get image pull secret for serviceaccount '{id}': {error}")
        })?);
    }
    Ok(secrets)
}

/// What the API server said, without the client's own words around it.
pub fn message(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message,
        other => other.to_string(),
    }
}
