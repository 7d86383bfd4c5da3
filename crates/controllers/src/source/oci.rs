//! OCIRepository: a layer of an OCI artifact becomes an artifact.
//!
//! The tag's digest is looked up first; nothing is pulled when it has not moved.
//!
//! Behaviour: source-controller v1.9 `internal/controller/ocirepository_controller.go`.

use std::sync::Arc;

use borax_api::meta::reasons::SUCCEEDED;
use borax_api::meta::{Artifact, remove_condition};
use borax_api::source::{
    CloudProvider, OCILayerOperation, OCIRepository, OCIRepositorySpec, OCIRepositoryStatus,
    condition_types as types, reasons,
};
use borax_artifact::error::chain;
use borax_artifact::path::ArtifactPath;
use borax_source::auth::docker_config::Keychain;
use borax_source::git::ClientCertificate;
use borax_source::oci::{
    Connection, LayerOperation, LayerSelector, OciError, OciSource, Pulled, Reference, Repository,
    Resolved,
};
use kube::ResourceExt;

use super::reconciler::is_stored;
use super::summary::Problem;
use super::{Produced, Producer, Words, event_reason, secrets};
use crate::artifacts::to_api;
use crate::registry;
use crate::shared::Shared;

/// The metadata key with the address of the code an artifact was built from.
const ORIGIN_SOURCE: &str = "org.opencontainers.image.source";

impl Producer for OCIRepository {
    async fn produce(
        shared: &Arc<Shared>,
        object: &Self,
        status: &mut OCIRepositoryStatus,
    ) -> Result<Produced, Problem> {
        refuse_unsupported(&object.spec)?;
        remove_condition(&mut status.conditions, types::SOURCE_VERIFIED);
        let source = source(shared, object).await?;
        let layer = layer(&object.spec);
        let _place = match Repository::from_url(&object.spec.url) {
            Ok(repository) => Some(shared.upstreams.place(repository.registry()).await),
            // Resolving says what is wrong with it.
            Err(_) => None,
        };
        let resolved = shared.oci.resolve(&source, &layer).await.map_err(problem)?;
        let is_current = status
            .artifact
            .as_ref()
            .is_some_and(|artifact| artifact.has_revision(&resolved.revision));
        if is_current && is_same_content(&object.spec, status) && is_stored(&status.conditions) {
            return Ok(Produced::Unchanged);
        }
        let storage = shared.artifacts.storage();
        let pulled = shared.oci.pull(&source, &resolved, &layer, storage).await.map_err(problem)?;
        let artifact = store(shared, object, &resolved, pulled).await?;
        status.observed_ignore.clone_from(&object.spec.ignore);
        status.observed_layer_selector.clone_from(&object.spec.layer_selector);
        Ok(Produced::New { artifact, called: None })
    }

    fn stored(&self, artifact: &Artifact, _: Option<&str>) -> Words {
        (SUCCEEDED, format!("stored artifact for digest '{}'", artifact.revision))
    }

    fn event(&self, artifact: &Artifact, _: Option<&str>, is_new: bool) -> Words {
        let mut message = format!(
            "stored artifact with revision '{}' from '{}'",
            artifact.revision, self.spec.url
        );
        if let (Some(source), Some(revision)) =
            (artifact.metadata.get(ORIGIN_SOURCE), artifact.origin_revision())
            && !source.is_empty()
            && !revision.is_empty()
        {
            message += &format!(", origin source '{source}', origin revision '{revision}'");
        }
        (event_reason(is_new), message)
    }
}

/// Whether nothing in the spec that shapes the artifact differs from what the artifact was made with.
fn is_same_content(spec: &OCIRepositorySpec, status: &OCIRepositoryStatus) -> bool {
    status.observed_ignore == spec.ignore && status.observed_layer_selector == spec.layer_selector
}

fn refuse_unsupported(spec: &OCIRepositorySpec) -> Result<(), Problem> {
    if spec.verify.is_some() {
        let instead = "remove it to pull without a check of signatures";
        return Err(Problem::unsupported("spec.verify", instead).about(types::SOURCE_VERIFIED));
    }
    match spec.provider() {
        CloudProvider::Generic => Ok(()),
        other => {
            let instead = "give the login in spec.secretRef with the provider generic";
            Err(Problem::unsupported(&format!("spec.provider: {other}"), instead))
        }
    }
}

fn layer(spec: &OCIRepositorySpec) -> LayerSelector {
    LayerSelector {
        media_type: Some(spec.layer_media_type().to_owned())
            .filter(|media_type| !media_type.is_empty()),
        operation: match spec.layer_operation() {
            OCILayerOperation::Extract => LayerOperation::Extract,
            OCILayerOperation::Copy => LayerOperation::Copy,
        },
    }
}

async fn source(shared: &Arc<Shared>, object: &OCIRepository) -> Result<OciSource, Problem> {
    let spec = &object.spec;
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let reference = spec.reference.clone().unwrap_or_default();
    Ok(OciSource {
        url: spec.url.clone(),
        reference: Reference {
            digest: filled(&reference.digest),
            semver: filled(&reference.semver),
            semver_filter: filled(&reference.semver_filter),
            tag: filled(&reference.tag),
        },
        keychain: keychain(shared, object).await?,
        connection: connection(shared, object).await?,
        timeout: spec.timeout(),
    })
}

async fn keychain(shared: &Arc<Shared>, object: &OCIRepository) -> Result<Keychain, Problem> {
    let spec = &object.spec;
    let namespace = object.namespace().unwrap_or_default();
    let secret = spec.secret_ref.as_ref().map(|reference| reference.name.as_str());
    registry::keychain(&shared.cluster, &namespace, secret, &spec.service_account_name)
        .await
        .map_err(|error| {
            let message = format!("failed to get credential: {error}");
            Problem::fetch(reasons::AUTHENTICATION_FAILED, message)
        })
}

async fn connection(shared: &Arc<Shared>, object: &OCIRepository) -> Result<Connection, Problem> {
    let spec = &object.spec;
    let namespace = object.namespace().unwrap_or_default();
    let mut connection = Connection { insecure: spec.insecure, ..Connection::default() };
    let fail = |message: String| Problem::fetch(reasons::AUTHENTICATION_FAILED, message);
    if let Some(reference) = &spec.proxy_secret_ref {
        let proxy = secrets::proxy(&shared.cluster, &namespace, &reference.name).await;
        connection.proxy =
            Some(proxy.map_err(|error| fail(format!("failed to get proxy address: {error}")))?);
    }
    if let Some(reference) = &spec.cert_secret_ref {
        let read = registry::certificates(&shared.cluster, &namespace, &reference.name).await;
        (connection.ca, connection.client) = read.map_err(|error| {
            fail(format!("failed to generate transport for '{}': {error}", spec.url))
        })?;
    }
    Ok(connection)
}

/// The CA and the client's certificate in a Secret: under Kubernetes' names, or else Flux's old ones
/// (fluxcd/pkg `runtime/secrets/secrets.go`).
pub(crate) fn certificates(
    id: &str,
    mut data: secrets::SecretData,
) -> Result<(Vec<u8>, Option<ClientCertificate>), String> {
    let mut take = |key: &str, old: &str| {
        let found = data.remove(key).or_else(|| data.remove(old));
        found.filter(|value| !value.is_empty())
    };
    let ca = take("ca.crt", "caFile");
    let client = match (take("tls.crt", "certFile"), take("tls.key", "keyFile")) {
        (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
        (Some(_), None) => {
            return Err(format!("secret '{id}' contains 'tls.crt' but missing 'tls.key'"));
        }
        (None, Some(_)) => {
            return Err(format!("secret '{id}' contains 'tls.key' but missing 'tls.crt'"));
        }
        (None, None) if ca.is_none() => {
            return Err(format!(
                "secret '{id}' must contain either 'ca.crt' or both 'tls.crt' and 'tls.key'"
            ));
        }
        (None, None) => None,
    };
    Ok((ca.unwrap_or_default(), client))
}

async fn store(
    shared: &Arc<Shared>,
    object: &OCIRepository,
    resolved: &Resolved,
    pulled: Pulled,
) -> Result<Artifact, Problem> {
    let namespace = object.namespace().unwrap_or_default();
    let filename = format!("{}.tar.gz", resolved.digest);
    let path = ArtifactPath::new("OCIRepository", &namespace, &object.name_any(), &filename)
        .map_err(|error| Problem::storage(reasons::DIRECTORY_CREATION_FAILED, error.to_string()))?;
    let storage = Arc::clone(shared.artifacts.storage());
    let (revision, ignore) = (resolved.revision.clone(), object.spec.ignore.clone());
    let stored = tokio::task::spawn_blocking(move || {
        pulled.store(&storage, &path, &revision, ignore.as_deref())
    });
    let fail = |error: String| {
        Problem::storage(
            reasons::ARCHIVE_OPERATION_FAILED,
            format!("unable to archive artifact to storage: {error}"),
        )
    };
    let stored = stored
        .await
        .map_err(|error| fail(error.to_string()))?
        .map_err(|error| fail(chain(&error)))?;
    Ok(to_api(&stored))
}

fn problem(error: OciError) -> Problem {
    let message = chain(&error);
    let problem = match &error {
        OciError::Storage(_) => Problem::storage(error.reason(), message),
        _ => Problem::fetch(error.reason(), message),
    };
    if error.is_stalling() { problem.stalled() } else { problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_stand_under_either_name_and_their_lack_reads_as_in_flux() {
        let read = |keys: &[&str]| {
            let data = keys.iter().map(|key| ((*key).to_owned(), key.as_bytes().to_vec()));
            certificates("ns/tls", data.collect()).map(|(ca, client)| (ca, client.is_some()))
        };
        assert_eq!(read(&["ca.crt"]), Ok((b"ca.crt".to_vec(), false)));
        assert_eq!(read(&["caFile", "certFile", "keyFile"]), Ok((b"caFile".to_vec(), true)));
        assert_eq!(
            read(&["tls.crt", "ca.crt"]),
            Err("secret 'ns/tls' contains 'tls.crt' but missing 'tls.key'".to_owned())
        );
        assert_eq!(
            read(&["tls.key"]),
            Err("secret 'ns/tls' contains 'tls.key' but missing 'tls.crt'".to_owned())
        );
        assert_eq!(
            read(&["other"]),
            Err("secret 'ns/tls' must contain either 'ca.crt' or both 'tls.crt' and 'tls.key'"
                .to_owned())
        );
    }
}
