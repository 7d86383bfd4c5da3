//! What a source made: the archive that others consume.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// An archive made from a source at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Artifact {
    /// The archive's checksum, `<algorithm>:<hex>`.
    #[schemars(regex(pattern = r"^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$"))]
    pub digest: String,
    /// The archive's path below the storage root of the controller that made it.
    pub path: String,
    /// Where the archive is served over HTTP.
    pub url: String,
    /// What was fetched, in words a person can trace: `main@sha1:…`, `latest@sha256:…`, a chart's
    /// version.
    pub revision: String,
    /// When the archive was last made anew.
    pub last_update_time: Time,
    /// The archive's size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// What the upstream says about it, such as an OCI image's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// The metadata key with the revision of the code an artifact was built from.
pub const ORIGIN_REVISION: &str = "org.opencontainers.image.revision";

impl Artifact {
    /// Whether this is the artifact of `revision`.
    pub fn has_revision(&self, revision: &str) -> bool {
        self.revision == revision
    }

    /// Whether this is the artifact with `digest`.
    pub fn has_digest(&self, digest: &str) -> bool {
        self.digest == digest
    }

    /// The revision of the code the artifact was built from, where the upstream says it.
    pub fn origin_revision(&self) -> Option<&str> {
        self.metadata.get(ORIGIN_REVISION).map(String::as_str)
    }
}
