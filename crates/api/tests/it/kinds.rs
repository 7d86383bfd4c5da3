//! The kinds by name, and what tests ask of each: its schema, and its JSON read and written by the type.

use borax_api::{helm, image, kustomize, notification, source};
use serde_json::Value;

/// Reads an object with the type of its kind and writes it again.
pub(crate) fn through_the_type(object: &Value) -> Result<Value, String> {
    macro_rules! by_kind {
        ($($kind:literal => $type:ty,)+) => {
            match object["kind"].as_str() {
                $(Some($kind) => {
                    let read: $type = serde_json::from_value(object.clone()).map_err(|e| e.to_string())?;
                    let written = serde_json::to_value(&read).map_err(|e| e.to_string())?;
                    let again: $type = serde_json::from_value(written.clone()).map_err(|e| e.to_string())?;
                    assert_eq!(read, again, "reading what was written gives something else");
                    Ok(written)
                })+
                kind => Err(format!("no type for {kind:?}")),
            }
        };
    }
    by_kind! {
        "Alert" => notification::Alert,
        "Bucket" => source::Bucket,
        "ExternalArtifact" => source::ExternalArtifact,
        "GitRepository" => source::GitRepository,
        "HelmChart" => source::HelmChart,
        "HelmRelease" => helm::HelmRelease,
        "HelmRepository" => source::HelmRepository,
        "ImagePolicy" => image::ImagePolicy,
        "ImageRepository" => image::ImageRepository,
        "ImageUpdateAutomation" => image::ImageUpdateAutomation,
        "Kustomization" => kustomize::Kustomization,
        "OCIRepository" => source::OCIRepository,
        "Provider" => notification::Provider,
        "Receiver" => notification::Receiver,
    }
}

/// A kind's identity and schema, from its CRD.
pub(crate) struct Kind {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) schema: Value,
}

/// All kinds, from their CRDs.
pub(crate) fn kinds() -> Vec<Kind> {
    let kind = |crd: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition| {
        let version = &crd.spec.versions[0];
        let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        Kind {
            api_version: format!("{}/{}", crd.spec.group, version.name),
            kind: crd.spec.names.kind.clone(),
            schema: serde_json::to_value(schema.unwrap()).unwrap(),
        }
    };
    borax_api::crds().into_iter().map(kind).collect()
}
