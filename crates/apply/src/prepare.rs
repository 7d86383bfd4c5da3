//! From built objects to objects as they are applied.

use std::collections::BTreeMap;

use borax_object::{NormalizeError, ObjectId, Value, meta, normalize};
use serde::{Deserialize, Serialize};

use crate::Owner;

/// Labels and annotations for every object (`spec.commonMetadata`); they win over an object's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommonMetadata {
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// Why objects can't be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// An object is no object.
    #[error("{id} normalization error: {source}")]
    Normalize {
        /// As much as is known of it.
        id: ObjectId,
        /// What is wrong.
        source: NormalizeError,
    },
    /// A Secret is still encrypted.
    #[error(
        "{0} is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
    )]
    Encrypted(ObjectId),
}

/// Labels the objects as owned, normalises them and adds the common metadata, as kustomize-controller does.
///
/// A Secret that SOPS encrypted is refused, unless annotated `<group>/decrypt: disabled`. Flux means to refuse it too,
/// but looks after the normalisation, which drops the field that gives it away, and applies the ciphertext.
///
/// # Errors
/// The first object that can't be applied; nothing was applied then.
pub fn prepare(
    objects: &mut [Value],
    owner: &Owner,
    common: &CommonMetadata,
) -> Result<(), PrepareError> {
    for object in objects {
        let encrypted = meta::is_secret(object) && object.get("sops").is_some();
        let accepted = meta::annotation(object, &format!("{}/decrypt", owner.group))
            .is_some_and(|value| value.eq_ignore_ascii_case("disabled"));
        if encrypted && !accepted {
            return Err(PrepareError::Encrypted(ObjectId::of(object)));
        }
        owner.label(object);
        normalize(object)
            .map_err(|source| PrepareError::Normalize { id: ObjectId::of(object), source })?;
        for (key, value) in &common.labels {
            meta::set_label(object, key, value);
        }
        for (key, value) in &common.annotations {
            meta::set_annotation(object, key, value);
        }
    }
    Ok(())
}
