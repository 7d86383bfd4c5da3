//! Objects are labelled, normalised and given the common metadata before they are applied.

use borax_apply::{CommonMetadata, Owner, prepare};
use serde_json::{Value, json};

fn prepared(object: Value, common: &CommonMetadata) -> Result<Value, String> {
    let mut objects = vec![object];
    prepare(&mut objects, &Owner::kustomization("app", "flux-system"), common)
        .map_err(|e| e.to_string())?;
    Ok(objects.remove(0))
}

#[test]
fn common_metadata_wins_over_the_objects_own() {
    let common = CommonMetadata {
        labels: [("team".to_owned(), "a".to_owned())].into(),
        annotations: [("note".to_owned(), "n".to_owned())].into(),
    };
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
                        "metadata": {"name": "a", "labels": {"team": "b", "own": "c"}}});
    assert_eq!(
        prepared(object, &common),
        Ok(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": "a",
            "labels": {"team": "a", "own": "c", "kustomize.toolkit.fluxcd.io/name": "app",
                       "kustomize.toolkit.fluxcd.io/namespace": "flux-system"},
            "annotations": {"note": "n"},
        }}))
    );
}

#[test]
fn ciphertext_is_not_applied_unless_asked_for() {
    let secret = |annotations: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "sops": {"mac": "x"},
               "metadata": {"name": "a", "namespace": "shop", "annotations": annotations}})
    };
    assert_eq!(
        prepared(secret(json!({})), &CommonMetadata::default()),
        Err("Secret/shop/a is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
            .to_owned())
    );
    let accepted = secret(json!({"kustomize.toolkit.fluxcd.io/decrypt": "Disabled"}));
    assert!(prepared(accepted, &CommonMetadata::default()).is_ok());
}
