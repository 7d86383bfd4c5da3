//! Images: ImageRepository scans an image's tags, ImagePolicy chooses the latest of them, and ImageUpdateAutomation
//! writes it into Git.
//!
//! ```text
//! ImageRepository ─► due? ─► scan (parked) ─► Tags (on disk) ─► status
//!                                                │ changed
//! ImagePolicy ◄──────────────────────────────────┘ ─► choose ─► digest? (parked) ─► status.latestRef
//! ```
//!
//! Behaviour: image-reflector-controller v1.2 `internal/controller`.

pub mod access;
pub mod automation;
pub mod policy;
mod reflected;
pub mod repository;
pub mod summary;
pub mod tags;

use std::sync::Arc;

use borax_api::image::{ImageRepository, ImageRepositorySpec};
use borax_api::source::CloudProvider;
use borax_source::oci::{Connection, Image};
use kube::ResourceExt;

use crate::registry;
use crate::shared::Shared;
use crate::source::secrets;

/// What of an ImageRepository's spec is known and not honoured yet, in a sentence.
fn unsupported(spec: &ImageRepositorySpec) -> Option<String> {
    match spec.provider() {
        CloudProvider::Generic => None,
        other => Some(format!(
            "spec.provider: {other} is not supported yet: give the login in spec.secretRef with the provider generic"
        )),
    }
}

/// An ImageRepository's image with all that its spec refers to.
///
/// # Errors
/// What is missing or wrong.
async fn image(shared: &Arc<Shared>, object: &ImageRepository) -> Result<Image, String> {
    let spec = &object.spec;
    let namespace = object.namespace().unwrap_or_default();
    let cluster = &shared.cluster;
    let mut connection = Connection { insecure: spec.insecure, ..Connection::default() };
    if let Some(reference) = &spec.proxy_secret_ref {
        connection.proxy = Some(secrets::proxy(cluster, &namespace, &reference.name).await?);
    }
    if let Some(reference) = &spec.cert_secret_ref {
        (connection.ca, connection.client) =
            registry::certificates(cluster, &namespace, &reference.name).await?;
    }
    let secret = spec.secret_ref.as_ref().map(|reference| reference.name.as_str());
    let keychain =
        registry::keychain(cluster, &namespace, secret, &spec.service_account_name).await?;
    Image::new(&spec.image, keychain, connection, spec.timeout()).map_err(|error| error.to_string())
}
