//! The variables of post-build substitution, from ConfigMaps, Secrets and the spec.
//!
//! Behaviour: fluxcd/pkg `kustomize/kustomize_varsub.go` (`LoadVariables`).

use std::collections::BTreeMap;

use borax_api::kustomize::{PostBuild, SubstituteReference, ValuesKind};
use borax_substitute::Vars;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;

/// Why the variables could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("substitute from '{kind}/{name}' error: {message}")]
pub(super) struct VariablesError {
    kind: ValuesKind,
    name: String,
    message: String,
}

/// Reads the variables of `post_build` in `namespace`: later references win over earlier ones, inline values over all.
///
/// # Errors
/// A reference that is not optional is missing, or can't be read.
pub(super) async fn load(
    client: &kube::Client,
    namespace: &str,
    post_build: &PostBuild,
) -> Result<Vars, VariablesError> {
    let mut variables = Vars::new();
    for reference in &post_build.substitute_from {
        match read(client, namespace, reference).await {
            Ok(values) => drop(variables.add(values)),
            Err(kube::Error::Api(status)) if reference.optional && status.code == 404 => {}
            Err(error) => {
                let message = match error {
                    kube::Error::Api(status) => status.message,
                    other => other.to_string(),
                };
                return Err(VariablesError {
                    kind: reference.kind,
                    name: reference.name.clone(),
                    message,
                });
            }
        }
    }
    variables.add(&post_build.substitute);
    Ok(variables)
}

async fn read(
    client: &kube::Client,
    namespace: &str,
    reference: &SubstituteReference,
) -> Result<BTreeMap<String, String>, kube::Error> {
    Ok(match reference.kind {
        ValuesKind::ConfigMap => {
            let objects = Api::<ConfigMap>::namespaced(client.clone(), namespace);
            objects.get(&reference.name).await?.data.unwrap_or_default()
        }
        ValuesKind::Secret => {
            let objects = Api::<Secret>::namespaced(client.clone(), namespace);
            let data = objects.get(&reference.name).await?.data.unwrap_or_default();
            let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
            data.into_iter().map(|(name, value)| (name, text(value.0))).collect()
        }
    })
}
