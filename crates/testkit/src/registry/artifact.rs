//! Artifacts as the usual tools push them: `flux push artifact`, `docker push`, `helm push`.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{Registry, lock};

/// The type of the layer that `flux push artifact` makes.
pub const FLUX_LAYER: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";
/// The type of the layer that `helm push` makes.
pub const CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A manifest in the making.
#[derive(Clone, Debug, Default)]
pub struct PushSpec {
    /// Type and content of the config.
    pub config: (String, Vec<u8>),
    /// Type and content of each layer.
    pub layers: Vec<(String, Vec<u8>)>,
    /// The manifest's annotations.
    pub annotations: BTreeMap<String, String>,
    /// `artifactType`; empty for none.
    pub artifact_type: String,
    /// The digest of the manifest that this one refers to.
    pub subject: Option<String>,
}

impl Registry {
    /// Pushes a manifest with its blobs; returns its digest.
    pub fn push(&self, repository: &str, tag: Option<&str>, spec: &PushSpec) -> String {
        let mut store = lock(&self.shared.store);
        let mut describe = |media_type: &str, content: &[u8]| {
            let digest = store.put_blob(content.to_vec());
            json!({"mediaType": media_type, "digest": digest, "size": content.len()})
        };
        let config = describe(&spec.config.0, &spec.config.1);
        let layers: Vec<Value> =
            spec.layers.iter().map(|(kind, content)| describe(kind, content)).collect();
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        if !spec.annotations.is_empty() {
            manifest["annotations"] = json!(spec.annotations);
        }
        if !spec.artifact_type.is_empty() {
            manifest["artifactType"] = json!(spec.artifact_type);
        }
        if let Some(subject) = &spec.subject {
            let size = store.manifest(repository, subject).map_or(0, |(_, _, bytes)| bytes.len());
            manifest["subject"] = json!({"mediaType": MANIFEST, "digest": subject, "size": size});
        }
        let bytes = serde_json::to_vec(&manifest).expect("JSON can be written");
        store.put_manifest(repository, tag, MANIFEST, bytes)
    }

    /// Pushes these files as `flux push artifact` does; returns the digest.
    pub fn push_flux_artifact(
        &self,
        repository: &str,
        tag: &str,
        files: &[(&str, &[u8])],
        annotations: &[(&str, &str)],
    ) -> String {
        let pairs = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.push(
            repository,
            Some(tag),
            &PushSpec {
                config: ("application/vnd.cncf.flux.config.v1+json".to_owned(), b"{}".to_vec()),
                layers: vec![(FLUX_LAYER.to_owned(), tar_gz(files))],
                annotations: pairs.collect(),
                ..PushSpec::default()
            },
        )
    }

    /// Pushes a one-layer image for linux and this architecture; returns the digest. No tag: for an index.
    pub fn push_image(
        &self,
        repository: &str,
        tag: Option<&str>,
        architecture: &str,
        files: &[(&str, &[u8])],
    ) -> String {
        let config = json!({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
        self.push(
            repository,
            tag,
            &PushSpec {
                config: (
                    "application/vnd.oci.image.config.v1+json".to_owned(),
                    config.to_string().into_bytes(),
                ),
                layers: vec![(
                    "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
                    tar_gz(files),
                )],
                ..PushSpec::default()
            },
        )
    }

    /// Pushes an index of images already there, each with its architecture; returns the digest.
    pub fn push_index(&self, repository: &str, tag: &str, images: &[(&str, &str)]) -> String {
        let mut store = lock(&self.shared.store);
        let manifests: Vec<Value> = images
            .iter()
            .map(|(architecture, digest)| {
                let size =
                    store.manifest(repository, digest).map_or(0, |(_, _, bytes)| bytes.len());
                let platform = json!({"os": "linux", "architecture": architecture});
                json!({"mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform})
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        let bytes = serde_json::to_vec(&index).expect("JSON can be written");
        store.put_manifest(repository, Some(tag), INDEX, bytes)
    }

    /// Pushes a packaged chart as `helm push` does, under its version with `_` for `+`; returns the digest.
    pub fn push_chart(&self, repository: &str, version: &str, chart: Vec<u8>) -> String {
        let config =
            json!({"name": repository.rsplit('/').next(), "version": version, "apiVersion": "v2"});
        self.push(
            repository,
            Some(&version.replace('+', "_")),
            &PushSpec {
                config: (
                    "application/vnd.cncf.helm.config.v1+json".to_owned(),
                    config.to_string().into_bytes(),
                ),
                layers: vec![(CHART_LAYER.to_owned(), chart)],
                ..PushSpec::default()
            },
        )
    }

    /// Lets a tag point to a manifest that is there.
    pub fn tag(&self, repository: &str, tag: &str, digest: &str) {
        let mut store = lock(&self.shared.store);
        let (_, media_type, bytes) =
            store.manifest(repository, digest).expect("the manifest is there");
        store.put_manifest(repository, Some(tag), &media_type, bytes);
    }

    /// Replaces the bytes of a blob, whose digest they then belie.
    pub fn corrupt_blob(&self, digest: &str, bytes: Vec<u8>) {
        lock(&self.shared.store).blobs.insert(digest.to_owned(), bytes);
    }

    /// The digest of a manifest's first layer.
    pub fn first_layer(&self, repository: &str, reference: &str) -> String {
        let (_, _, bytes) =
            lock(&self.shared.store).manifest(repository, reference).expect("it is there");
        let manifest: Value = serde_json::from_slice(&bytes).expect("it is JSON");
        manifest["layers"][0]["digest"].as_str().expect("it has a layer").to_owned()
    }
}

/// A tar.gz of files and the directories above them; a path that ends in a slash is a directory.
pub fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        let is_dir = path.ends_with('/');
        header.set_entry_type(if is_dir {
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        });
        header.set_mode(if is_dir || path.ends_with(".sh") { 0o755 } else { 0o644 });
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, *content).expect("memory takes it");
    }
    let mut gzip = tar.into_inner().expect("memory takes it");
    gzip.flush().expect("memory takes it");
    gzip.finish().expect("memory takes it")
}
