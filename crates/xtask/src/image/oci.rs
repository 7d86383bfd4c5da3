//! An OCI image archive (image-spec v1.1: image layout in a tar) with one layer, byte for byte the same
//! for the same input.
//!
//! Owns writing and checking such archives; pure over bytes. Refuses to know what is in the image.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use anyhow::{Context as _, bail, ensure};
use flate2::{Compression, GzBuilder, read::GzDecoder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// One entry of the image's file system. Parents come before children.
pub(super) enum Entry<'a> {
    /// Path without leading `/`, mode, owner (user and group).
    Folder(&'a str, u32, u64),
    /// Path without leading `/`, mode, content. Owned by root.
    File(&'a str, u32, &'a [u8]),
}

/// What an image is made of.
pub(super) struct Image<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    /// `amd64`, `arm64`: Go's names.
    pub(super) architecture: &'a str,
    /// RFC 3339.
    pub(super) created: &'a str,
    /// Runtime configuration, as image-spec's `config` object.
    pub(super) config: Value,
    /// The image's reference name in the archive.
    pub(super) tag: &'a str,
}

/// The archive.
pub(super) fn write(image: &Image<'_>) -> anyhow::Result<Vec<u8>> {
    let tar = layer(&image.entries)?;
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    gzip.write_all(&tar)?;
    let layer = gzip.finish()?;

    let config = serde_json::to_vec(&json!({
        "architecture": image.architecture,
        "os": "linux",
        "created": image.created,
        "config": image.config,
        "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]},
        "history": [{"created": image.created, "created_by": "cargo xtask image"}],
    }))?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, &config),
        "layers": [descriptor(LAYER, &layer)],
    }))?;
    let mut listed = descriptor(MANIFEST, &manifest);
    listed["platform"] = json!({"architecture": image.architecture, "os": "linux"});
    listed["annotations"] = json!({"org.opencontainers.image.ref.name": image.tag});
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [listed],
    }))?;

    let mut blobs: Vec<(String, Vec<u8>)> = [config, manifest, layer]
        .into_iter()
        .map(|blob| (format!("blobs/sha256/{}", hex::encode(Sha256::digest(&blob))), blob))
        .collect();
    blobs.sort();
    let mut archive = tar::Builder::new(Vec::new());
    let layout = serde_json::to_vec(&json!({"imageLayoutVersion": "1.0.0"}))?;
    append(&mut archive, &Entry::File("oci-layout", 0o644, &layout))?;
    append(&mut archive, &Entry::File("index.json", 0o644, &index))?;
    append(&mut archive, &Entry::Folder("blobs", 0o755, 0))?;
    append(&mut archive, &Entry::Folder("blobs/sha256", 0o755, 0))?;
    for (path, blob) in &blobs {
        append(&mut archive, &Entry::File(path, 0o644, blob))?;
    }
    Ok(archive.into_inner()?)
}

fn layer(entries: &[Entry<'_>]) -> anyhow::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    entries.iter().try_for_each(|entry| append(&mut tar, entry))?;
    Ok(tar.into_inner()?)
}

fn append(tar: &mut tar::Builder<Vec<u8>>, entry: &Entry<'_>) -> anyhow::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_mtime(0);
    let (path, mode, owner, content) = match entry {
        Entry::Folder(path, mode, owner) => {
            header.set_entry_type(tar::EntryType::Directory);
            (*path, *mode, *owner, &[][..])
        }
        Entry::File(path, mode, content) => {
            header.set_entry_type(tar::EntryType::Regular);
            (*path, *mode, 0, *content)
        }
    };
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content).with_context(|| format!("archive {path}"))
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn descriptor(media: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media, "digest": digest(bytes), "size": bytes.len()})
}

/// What a valid archive holds.
#[derive(Debug)]
pub(super) struct Checked {
    /// The image's `config` object.
    pub(super) config: Value,
    /// Every file of the layer.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Digest of the manifest: what a registry would call the image.
    pub(super) digest: String,
}

/// Reads an archive as a registry client would, holding every blob to its digest and size.
pub(super) fn check(archive: &[u8]) -> anyhow::Result<Checked> {
    let files = untar(archive)?;
    let file = |name: &str| files.get(name).with_context(|| format!("the archive has no {name}"));
    let layout: Value = serde_json::from_slice(file("oci-layout")?)?;
    ensure!(layout["imageLayoutVersion"] == "1.0.0", "the layout's version is {layout}");
    let index: Value = serde_json::from_slice(file("index.json")?)?;
    let [listed] = index["manifests"].as_array().map_or(&[][..], Vec::as_slice) else {
        bail!("the index lists one manifest: {index}");
    };
    let mut used = vec!["oci-layout".to_owned(), "index.json".to_owned()];
    let mut blob = |descriptor: &Value, media: &str| -> anyhow::Result<&Vec<u8>> {
        ensure!(descriptor["mediaType"] == media, "not of media type {media}: {descriptor}");
        let said = descriptor["digest"].as_str().unwrap_or_default();
        let name = format!("blobs/{}", said.replace(':', "/"));
        let bytes = files.get(&name).with_context(|| format!("the archive has no {name}"))?;
        ensure!(digest(bytes) == said, "{name} has the digest {}", digest(bytes));
        ensure!(
            descriptor["size"] == bytes.len(),
            "{name} has {} bytes: {descriptor}",
            bytes.len()
        );
        used.push(name);
        Ok(bytes)
    };
    let manifest: Value = serde_json::from_slice(blob(listed, MANIFEST)?)?;
    ensure!(manifest["schemaVersion"] == 2 && manifest["mediaType"] == MANIFEST, "{manifest}");
    let image: Value = serde_json::from_slice(blob(&manifest["config"], CONFIG)?)?;
    let [layer] = manifest["layers"].as_array().map_or(&[][..], Vec::as_slice) else {
        bail!("the manifest has one layer: {manifest}");
    };
    let mut tar = Vec::new();
    GzDecoder::new(blob(layer, LAYER)?.as_slice()).read_to_end(&mut tar)?;
    let diff = &image["rootfs"]["diff_ids"];
    ensure!(*diff == json!([digest(&tar)]), "diff_ids are {diff}, the layer's is {}", digest(&tar));
    let unused: Vec<&String> = files.keys().filter(|name| !used.contains(name)).collect();
    ensure!(unused.is_empty(), "nothing refers to {unused:?}");
    Ok(Checked {
        config: image["config"].clone(),
        files: untar(&tar)?,
        digest: listed["digest"].as_str().unwrap_or_default().to_owned(),
    })
}

fn untar(bytes: &[u8]) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            files.insert(path, content);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(content: &[u8]) -> Vec<u8> {
        write(&Image {
            entries: vec![Entry::Folder("bin", 0o755, 0), Entry::File("bin/a", 0o755, content)],
            architecture: "amd64",
            created: "2026-01-01T00:00:00Z",
            config: json!({"Entrypoint": ["/bin/a"]}),
            tag: "1",
        })
        .unwrap()
    }

    #[test]
    fn an_archive_reads_back_and_is_the_same_for_the_same_input() {
        let archive = sample(b"one");
        assert_eq!(archive, sample(b"one"));
        let checked = check(&archive).unwrap();
        assert_eq!(checked.files["bin/a"], b"one");
        assert_eq!(checked.config["Entrypoint"], json!(["/bin/a"]));
        assert_ne!(check(&sample(b"two")).unwrap().digest, checked.digest);
    }

    #[test]
    fn a_changed_byte_of_a_blob_is_noticed() {
        let mut archive = sample(b"one");
        let gzip = archive.windows(3).position(|w| w == [0x1f, 0x8b, 8]).unwrap();
        archive[gzip + 12] ^= 1;
        let error = check(&archive).unwrap_err().to_string();
        assert!(error.contains("has the digest"), "{error}");
    }
}
