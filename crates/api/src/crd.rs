//! The CustomResourceDefinitions of all kinds, made from the types.
//!
//! They differ from Flux 2.9's in nothing but the descriptions; `tests/it/parity.rs` holds them to it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceSubresources, JSONSchemaProps,
};
use kube::CustomResourceExt;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::schema::structural;
use crate::{helm, image, kustomize, notification, source, yaml};

/// Keeps Flux's substitution away from a CRD whose descriptions could hold what looks like a variable.
const NO_SUBSTITUTION: (&str, &str) =
    (kustomize::annotations::SUBSTITUTE, kustomize::annotations::DISABLED);

/// The CRDs of all 14 kinds, ordered by group and plural.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        crd::<helm::HelmRelease>(&[NO_SUBSTITUTION]),
        crd::<image::ImagePolicy>(&[]),
        crd::<image::ImageRepository>(&[]),
        crd::<image::ImageUpdateAutomation>(&[NO_SUBSTITUTION]),
        crd::<kustomize::Kustomization>(&[NO_SUBSTITUTION]),
        crd::<notification::Alert>(&[NO_SUBSTITUTION]),
        crd::<notification::Provider>(&[NO_SUBSTITUTION]),
        crd::<notification::Receiver>(&[NO_SUBSTITUTION]),
        crd::<source::Bucket>(&[NO_SUBSTITUTION]),
        crd::<source::ExternalArtifact>(&[NO_SUBSTITUTION]),
        crd::<source::GitRepository>(&[NO_SUBSTITUTION]),
        crd::<source::HelmChart>(&[NO_SUBSTITUTION]),
        crd::<source::HelmRepository>(&[NO_SUBSTITUTION]),
        crd::<source::OCIRepository>(&[NO_SUBSTITUTION]),
    ]
}

/// The CRDs as the files of `config/crds`: name (`<group>_<plural>.yaml`) and text.
pub fn crd_files() -> Vec<(String, String)> {
    let file = |crd: CustomResourceDefinition| {
        let name = format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
        let value =
            serde_json::to_value(crd).expect("a CRD has string keys and finite numbers only");
        (name, format!("---\n{}", yaml::write(&value)))
    };
    crds().into_iter().map(file).collect()
}

/// The CRDs as one text, as `borax crds` prints them.
pub fn crds_yaml() -> String {
    crd_files().into_iter().map(|(_, text)| text).collect()
}

/// The CRD of one kind: names and columns as its derive says, and the schema made here, for the derive's own
/// requires what must be there when reading and not what is always written.
fn crd<K: CustomResourceExt + JsonSchema>(
    annotations: &[(&str, &str)],
) -> CustomResourceDefinition {
    let mut crd = K::crd();
    if !annotations.is_empty() {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        crd.metadata.annotations = Some(annotations.iter().map(owned).collect());
    }
    crd.spec.names.list_kind = Some(format!("{}List", crd.spec.names.kind));
    for version in &mut crd.spec.versions {
        version.subresources.get_or_insert_with(CustomResourceSubresources::default);
        if let Some(schema) = &mut version.schema {
            schema.open_api_v3_schema = Some(root::<K>());
        }
    }
    crd
}

/// The schema of a whole object: the type's, and what all objects have.
fn root<K: JsonSchema>() -> JSONSchemaProps {
    let mut schema = structural::<K>();
    if let Some(object) = schema.as_object_mut() {
        // An object without spec is let through by Flux's API, too.
        object.remove("required");
        if let Some(Value::Object(properties)) = object.get_mut("properties") {
            properties.extend(every_object());
        }
    }
    serde_json::from_value(schema).expect("the rewrite leaves what a structural schema may hold")
}

fn every_object() -> Map<String, Value> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let mut properties = Map::new();
    properties.insert("apiVersion".to_owned(), text("The API group and version, `group/version`."));
    properties.insert("kind".to_owned(), text("The kind, in CamelCase."));
    properties.insert("metadata".to_owned(), json!({"type": "object"}));
    properties
}
