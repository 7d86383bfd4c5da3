//! Manifests and indexes, OCI's and Docker's: as much of them as an artifact needs. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// What we take, as the `Accept` header says it.
pub(super) const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json,\
    application/vnd.oci.image.manifest.v1+json,\
    application/vnd.docker.distribution.manifest.list.v2+json,\
    application/vnd.oci.image.index.v1+json";

/// What a manifest's digest led to.
#[derive(Debug)]
pub(super) enum Document {
    Manifest(Manifest),
    Index(Index),
}

#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    #[serde(default)]
    pub(super) layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Index {
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

impl Document {
    /// Reads a manifest. Its type is what the registry says, else what it says itself, else what it looks like.
    pub(super) fn parse(content_type: &str, body: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if !value.is_object() {
            // Rust's reader would take an array for the fields in order.
            return Err("it is not a JSON object".to_owned());
        }
        let own_type = value.get("mediaType").and_then(Value::as_str).unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        let kind = |media_type: &str| match media_type {
            "application/vnd.docker.distribution.manifest.v2+json"
            | "application/vnd.oci.image.manifest.v1+json" => Some(false),
            "application/vnd.docker.distribution.manifest.list.v2+json"
            | "application/vnd.oci.image.index.v1+json" => Some(true),
            _ => None,
        };
        if value.get("schemaVersion").and_then(Value::as_u64) == Some(1) {
            return Err("manifests of schema version 1 are not supported".to_owned());
        }
        let looks = value.get("manifests").is_some();
        if kind(content_type).or(kind(own_type)).unwrap_or(looks) {
            serde_json::from_value(value).map(Self::Index).map_err(|error| error.to_string())
        } else {
            serde_json::from_value(value).map(Self::Manifest).map_err(|error| error.to_string())
        }
    }
}

impl Index {
    /// The digest of the image for linux/amd64, which Flux takes whatever it runs on. No platform stands for that one.
    pub(super) fn image(self) -> Option<String> {
        let is_wanted =
            |platform: &Platform| platform.os == "linux" && platform.architecture == "amd64";
        let mut all = self.manifests.unwrap_or_default().into_iter();
        all.find(|child| child.platform.as_ref().is_none_or(is_wanted)).map(|child| child.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_leads_to_its_image_for_linux_on_amd64() {
        let child =
            |digest: &str, platform: &str| format!(r#"{{"digest":{digest:?},"size":1{platform}}}"#);
        let image = |children: &[String]| {
            let body = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, children.join(","));
            match Document::parse("application/vnd.oci.image.index.v1+json", body.as_bytes()) {
                Ok(Document::Index(index)) => index.image(),
                other => panic!("{other:?}"),
            }
        };
        let arm = child("sha256:a", r#","platform":{"os":"linux","architecture":"arm64"}"#);
        let amd = child("sha256:b", r#","platform":{"os":"linux","architecture":"amd64"}"#);
        let none = child("sha256:c", "");
        assert_eq!(image(&[arm.clone(), amd, none.clone()]).as_deref(), Some("sha256:b"));
        assert_eq!(image(&[arm.clone(), none]).as_deref(), Some("sha256:c"));
        assert_eq!(image(&[arm]), None);
    }

    #[test]
    fn the_type_is_the_registrys_then_its_own_then_its_looks() {
        let is_index = |content_type: &str, body: &str| {
            matches!(Document::parse(content_type, body.as_bytes()), Ok(Document::Index(_)))
        };
        assert!(is_index(
            "application/vnd.oci.image.index.v1+json; charset=utf-8",
            r#"{"layers":[]}"#
        ));
        assert!(is_index(
            "text/plain",
            r#"{"mediaType":"application/vnd.oci.image.index.v1+json"}"#
        ));
        assert!(is_index("", r#"{"manifests":[]}"#));
        assert!(!is_index("", r#"{"layers":[]}"#));
        for bad in [
            "",
            "[]",
            "{",
            r#"{"schemaVersion":1}"#,
            r#"{"layers":[{"digest":1,"size":1}]}"#,
            r#"{"layers":7}"#,
        ] {
            assert!(Document::parse("", bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
