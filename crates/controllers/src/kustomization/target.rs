//! The cluster a Kustomization applies to, and on whose behalf.
//!
//! Behaviour: fluxcd/pkg `runtime/client/impersonator.go`.

use std::collections::HashMap;
use std::sync::Mutex;

use borax_api::kustomize::Kustomization;
use borax_api::meta::{KubeConfigReference, SecretKeyReference};
use borax_kubeio::{Cluster, ConnectOptions, Source};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{Api, ResourceExt};
use sha2::{Digest as _, Sha256};

use crate::options::Options;

/// Why there is no client for a Kustomization. The text is Flux's where Flux has one.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct TargetError {
    message: String,
    missing: bool,
}

impl TargetError {
    fn new(message: String) -> Self {
        Self { message, missing: false }
    }

    /// Whether the Secret with the kubeconfig is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.missing
    }
}

/// Remote clusters by the kubeconfig they were connected with, so that one connection serves all who share it.
#[derive(Default)]
pub(crate) struct Remotes {
    connected: Mutex<HashMap<[u8; 32], Cluster>>,
}

/// How many remote clusters stay connected; beyond that the map starts over, and who is in use connects again.
const MOST_REMOTES: usize = 256;

/// Whose objects go where.
#[derive(Clone, Copy)]
pub(crate) struct Reach<'a> {
    /// The namespace of the object that asks.
    pub namespace: &'a str,
    /// Its `spec.kubeConfig`.
    pub kube_config: Option<&'a KubeConfigReference>,
    /// Its `spec.serviceAccountName`.
    pub service_account: &'a str,
}

impl<'a> Reach<'a> {
    fn of(object: &'a Kustomization, namespace: &'a str) -> Self {
        Self {
            namespace,
            kube_config: object.spec.kube_config.as_ref(),
            service_account: &object.spec.service_account_name,
        }
    }

    /// The name of the service account to act as, if any.
    fn account(self, options: &'a Options) -> Option<&'a str> {
        let default = options.default_service_account.as_str();
        let name = if self.service_account.is_empty() { default } else { self.service_account };
        (!name.is_empty()).then_some(name)
    }

    /// The cluster, acting as the service account.
    ///
    /// # Errors
    /// The kubeconfig's Secret is missing or unusable.
    pub(crate) async fn cluster(
        self,
        local: &Cluster,
        remotes: &Remotes,
        options: &Options,
    ) -> Result<Cluster, TargetError> {
        let secret = self.kube_config.and_then(|config| config.secret_ref.as_ref());
        let cluster = match secret {
            Some(reference) => remote(local, remotes, self.namespace, reference, options).await?,
            None => local.clone(),
        };
        let namespace = self.namespace;
        Ok(match self.account(options) {
            Some(name) => cluster.as_user(&format!("system:serviceaccount:{namespace}:{name}")),
            None => cluster,
        })
    }

    /// Whether the service account to act as still exists.
    ///
    /// # Errors
    /// The API server can't say.
    pub(crate) async fn account_exists(
        self,
        local: &Cluster,
        options: &Options,
    ) -> Result<bool, kube::Error> {
        let Some(name) = self.account(options) else { return Ok(true) };
        let accounts = Api::<ServiceAccount>::namespaced(local.client(), self.namespace);
        Ok(accounts.get_metadata_opt(name).await?.is_some())
    }
}

/// The cluster that `object` is applied to, acting as the service account it names.
///
/// # Errors
/// The kubeconfig's Secret is missing or unusable.
pub(super) async fn target(
    local: &Cluster,
    remotes: &Remotes,
    object: &Kustomization,
    options: &Options,
) -> Result<Cluster, TargetError> {
    let namespace = object.namespace().unwrap_or_default();
    Reach::of(object, &namespace).cluster(local, remotes, options).await
}

/// Whether the service account to act as still exists. Without it a Kustomization that is being deleted can't prune,
/// and must not hang for ever.
///
/// # Errors
/// The API server can't say.
pub(super) async fn can_impersonate(
    local: &Cluster,
    object: &Kustomization,
    options: &Options,
) -> Result<bool, kube::Error> {
    let namespace = object.namespace().unwrap_or_default();
    Reach::of(object, &namespace).account_exists(local, options).await
}

async fn remote(
    local: &Cluster,
    remotes: &Remotes,
    namespace: &str,
    reference: &SecretKeyReference,
    options: &Options,
) -> Result<Cluster, TargetError> {
    let id = format!("{namespace}/{}", reference.name);
    let secrets = Api::<Secret>::namespaced(local.client(), namespace);
    let secret = secrets.get(&reference.name).await.map_err(|error| {
        let missing = matches!(&error, kube::Error::Api(status) if status.code == 404);
        let message = match error {
            kube::Error::Api(status) => status.message,
            other => other.to_string(),
        };
        let message = format!("unable to read KubeConfig secret '{id}' error: {message}");
        TargetError { message, missing }
    })?;
    let data = secret.data.unwrap_or_default();
    let keys = if reference.key.is_empty() {
        vec!["value", "value.yaml"]
    } else {
        vec![reference.key.as_str()]
    };
    let Some(kubeconfig) = keys.iter().find_map(|key| data.get(*key)) else {
        let key = keys[0];
        return Err(TargetError::new(format!(
            "KubeConfig secret '{id}' does not contain a '{key}' key with a kubeconfig"
        )));
    };
    let digest: [u8; 32] = Sha256::digest(&kubeconfig.0).into();
    let known = remotes
        .connected
        .lock()
        .expect("nothing panics while it holds the map")
        .get(&digest)
        .cloned();
    if let Some(cluster) = known {
        return Ok(cluster);
    }
    let connect = ConnectOptions {
        allow_exec: options.insecure_kubeconfig_exec,
        allow_insecure_tls: options.insecure_kubeconfig_tls,
        override_managers: options.override_managers.clone(),
        ..ConnectOptions::default()
    };
    let cluster = Cluster::connect(Source::Foreign(kubeconfig.0.clone()), connect)
        .await
        .map_err(|error| TargetError::new(format!("KubeConfig secret '{id}': {error}")))?;
    let mut connected = remotes.connected.lock().expect("nothing panics while it holds the map");
    if connected.len() >= MOST_REMOTES {
        connected.clear();
    }
    connected.insert(digest, cluster.clone());
    Ok(cluster)
}
