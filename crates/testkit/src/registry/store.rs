//! What a registry holds: blobs, manifests, tags, uploads. Knows no HTTP.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::Digest as _;

/// The content of a registry. Blobs are shared by all repositories.
#[derive(Default)]
pub(super) struct Store {
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    /// By repository and digest: media type and bytes.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    tags: BTreeMap<String, BTreeMap<String, String>>,
    /// By number.
    pub(super) uploads: BTreeMap<u64, Vec<u8>>,
    pub(super) next_upload: u64,
}

impl Store {
    pub(super) fn put_blob(&mut self, bytes: Vec<u8>) -> String {
        let digest = digest(&bytes);
        self.blobs.insert(digest.clone(), bytes);
        digest
    }

    /// Adds a manifest under its digest, and under `tag` where one is given.
    pub(super) fn put_manifest(
        &mut self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> String {
        let digest = digest(&bytes);
        if let Some(tag) = tag {
            let tags = self.tags.entry(repository.to_owned()).or_default();
            tags.insert(tag.to_owned(), digest.clone());
        }
        self.manifests
            .insert((repository.to_owned(), digest.clone()), (media_type.to_owned(), bytes));
        digest
    }

    /// Digest, media type and bytes of a tag or digest.
    pub(super) fn manifest(
        &self,
        repository: &str,
        reference: &str,
    ) -> Option<(String, String, Vec<u8>)> {
        let tagged = self.tags.get(repository).and_then(|tags| tags.get(reference));
        let digest = tagged.cloned().unwrap_or_else(|| reference.to_owned());
        let (media_type, bytes) = self.manifests.get(&(repository.to_owned(), digest.clone()))?;
        Some((digest, media_type.clone(), bytes.clone()))
    }

    pub(super) fn delete_manifest(&mut self, repository: &str, reference: &str) -> bool {
        if let Some(tags) = self.tags.get_mut(repository) {
            if tags.remove(reference).is_some() {
                return true;
            }
            tags.retain(|_, digest| digest != reference);
        }
        self.manifests.remove(&(repository.to_owned(), reference.to_owned())).is_some()
    }

    pub(super) fn tags(&self, repository: &str) -> Option<Vec<String>> {
        let has_manifest = || self.manifests.keys().any(|(name, _)| name == repository);
        match self.tags.get(repository) {
            Some(tags) => Some(tags.keys().cloned().collect()),
            None => has_manifest().then(Vec::new),
        }
    }

    /// The index of what refers to a manifest.
    pub(super) fn referrers(
        &self,
        repository: &str,
        subject: &str,
        artifact_type: Option<&str>,
    ) -> Value {
        let mut referrers = Vec::new();
        for ((name, digest), (media_type, bytes)) in &self.manifests {
            let Ok(manifest) = serde_json::from_slice::<Value>(bytes) else { continue };
            let kind = manifest["artifactType"]
                .as_str()
                .or_else(|| manifest["config"]["mediaType"].as_str());
            let is_wanted = artifact_type.is_none_or(|wanted| kind == Some(wanted));
            if name == repository && manifest["subject"]["digest"] == subject && is_wanted {
                referrers.push(json!({
                    "mediaType": media_type, "digest": digest, "size": bytes.len(),
                    "artifactType": kind, "annotations": manifest["annotations"],
                }));
            }
        }
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": referrers,
        })
    }
}

/// `sha256:…` of some bytes.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(bytes)))
}
