//! How an object says that a registry is to be reached: logins and certificates out of the Secrets it names.
//!
//! Behaviour: source-controller v1.9 `internal/controller/ocirepository_controller.go`, image-reflector-controller v1.2
//! `internal/registry/options.go`, fluxcd/pkg `runtime/secrets`.

use borax_kubeio::Cluster;
use borax_source::auth::docker_config::Keychain;
use borax_source::git::ClientCertificate;
use kube::ResourceExt;

use crate::source::{oci, secrets};

/// The logins in a Secret and in the image pull Secrets of a service account, either of which may be absent.
///
/// # Errors
/// One of them is missing, can't be read, or holds something else.
pub async fn keychain(
    cluster: &Cluster,
    namespace: &str,
    secret: Option<&str>,
    service_account: &str,
) -> Result<Keychain, String> {
    let mut all = Vec::new();
    if let Some(name) = secret {
        all.push(secrets::get(cluster, namespace, name).await?);
    }
    if !service_account.is_empty() {
        all.extend(secrets::pull_secrets(cluster, namespace, service_account).await?);
    }
    let mut keychain = Keychain::default();
    for secret in all {
        let name = secret.name_any();
        let kind = secret.type_.clone().unwrap_or_default();
        let added = keychain.add_secret(&kind, &secrets::data(secret));
        added.map_err(|error| format!("secret '{namespace}/{name}': {error}"))?;
    }
    Ok(keychain)
}

/// The certificates to trust and the client's own in a Secret (`ca.crt`; `tls.crt` and `tls.key`).
///
/// # Errors
/// It is missing, can't be read, or holds neither, or half of a pair.
pub async fn certificates(
    cluster: &Cluster,
    namespace: &str,
    secret: &str,
) -> Result<(Vec<u8>, Option<ClientCertificate>), String> {
    let data = secrets::referenced(cluster, namespace, secret).await?;
    oci::certificates(&format!("{namespace}/{secret}"), data)
}
