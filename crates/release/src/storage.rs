//! Records as Secrets: what Helm's storage driver writes and reads. Source: Helm `pkg/storage/storage.go`,
//! `pkg/storage/driver/secrets.go`, `util.go`.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};

use crate::record::{Release, Status};

/// Labels that Helm keeps for itself.
const SYSTEM_LABELS: [&str; 6] = ["name", "owner", "status", "version", "createdAt", "modifiedAt"];

/// The largest record that is unpacked: a Secret holds 1 MiB, and gzip makes a thousand of one at most.
const MAX_RECORD: u64 = 256 << 20;

/// The first bytes of a gzip stream; records from before compression lack them.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];

/// Why a Secret is no release record. Never holds anything of the record: it is full of values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Secret '{namespace}/{name}' is no readable Helm release record: {cause}")]
pub struct RecordError {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub name: String,
    /// What is wrong with it.
    pub cause: &'static str,
}

/// The name of a record's Secret.
pub fn key(name: &str, version: i64) -> String {
    format!("sh.helm.release.v1.{name}.v{version}")
}

/// The selector of all records of a release.
pub fn selector(name: &str) -> String {
    format!("name={name},owner=helm")
}

/// The record's text inside a Secret: base64 of gzip of JSON.
pub fn encode(release: &Release) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let _ = gzip.write_all(release.write().as_bytes());
    STANDARD.encode(gzip.finish().unwrap_or_default())
}

/// Reads what [`encode`] writes.
///
/// # Errors
/// In words that hold nothing of the record.
pub fn decode(text: &[u8]) -> Result<Release, &'static str> {
    let bytes = STANDARD.decode(text).map_err(|_| "its data is no base64")?;
    let json = if bytes.starts_with(&MAGIC) {
        let mut json = Vec::new();
        let mut plain = MultiGzDecoder::new(&*bytes).take(MAX_RECORD + 1);
        plain.read_to_end(&mut json).map_err(|_| "its data is no gzip stream")?;
        json
    } else {
        bytes
    };
    if json.len() as u64 > MAX_RECORD {
        return Err("it unpacks to more than 256 MiB");
    }
    let json = std::str::from_utf8(&json).map_err(|_| "its data is no UTF-8")?;
    Release::read(json).map_err(|_| "its data is not the JSON of a release")
}

/// The Secret that holds a record. `seconds` is the time since 1970; `is_new` for the first write.
pub fn to_secret(release: &Release, storage_namespace: &str, seconds: i64, is_new: bool) -> Value {
    let mut labels: Map<String, Value> = Map::new();
    for (key, value) in &release.labels {
        labels.insert(key.clone(), value.clone().into());
    }
    let stamp = if is_new { "createdAt" } else { "modifiedAt" };
    labels.insert(stamp.to_owned(), seconds.to_string().into());
    labels.insert("name".to_owned(), release.name.clone().into());
    labels.insert("owner".to_owned(), "helm".into());
    labels.insert("status".to_owned(), release.info.status.as_str().into());
    labels.insert("version".to_owned(), release.version.to_string().into());
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": key(&release.name, release.version),
            "namespace": storage_namespace,
            "labels": labels,
        },
        "type": "helm.sh/release.v1",
        "data": {"release": STANDARD.encode(encode(release))},
    })
}

/// The record in a Secret. Its labels, but for Helm's own, come with it; `createdAt` stays, so that an update keeps it.
///
/// # Errors
/// The Secret holds no record.
pub fn from_secret(secret: &Value) -> Result<Release, RecordError> {
    let failed = |cause| RecordError {
        namespace: borax_object::meta::namespace(secret).to_owned(),
        name: borax_object::meta::name(secret).to_owned(),
        cause,
    };
    let data = secret.pointer("/data/release").and_then(Value::as_str);
    let data = data.ok_or_else(|| failed("it has no key 'release'"))?;
    let text = STANDARD.decode(data).map_err(|_| failed("its data is no base64"))?;
    let mut release = decode(&text).map_err(failed)?;
    let labels = borax_object::meta::labels(secret).into_iter().flatten();
    release.labels = labels
        .filter(|(key, _)| *key == "createdAt" || !SYSTEM_LABELS.contains(&key.as_str()))
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    Ok(release)
}

/// All records of one release, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History(Vec<Release>);

impl History {
    /// Of records in any order.
    pub fn new(mut releases: Vec<Release>) -> Self {
        releases.sort_by_key(|release| release.version);
        Self(releases)
    }

    /// The records.
    pub fn releases(&self) -> &[Release] {
        &self.0
    }

    /// The newest.
    pub fn last(&self) -> Option<&Release> {
        self.0.last()
    }

    /// The one with that number.
    pub fn get(&self, version: i64) -> Option<&Release> {
        self.0.iter().find(|release| release.version == version)
    }

    /// The newest that is deployed.
    pub fn deployed(&self) -> Option<&Release> {
        self.0.iter().rev().find(|release| release.info.status == Status::Deployed)
    }

    /// What an upgrade starts from: the newest when it is deployed, else the last deployed one, else the newest if it
    /// failed or was superseded.
    pub fn current(&self) -> Option<&Release> {
        let last = self.last()?;
        if last.info.status == Status::Deployed {
            return Some(last);
        }
        self.deployed().or_else(|| {
            matches!(last.info.status, Status::Failed | Status::Superseded).then_some(last)
        })
    }

    /// The numbers to delete before one more is stored, so that no more than `most` remain; 0 keeps all. The last
    /// deployed one stays.
    pub fn to_prune(&self, most: i64) -> Vec<i64> {
        let Ok(most) = usize::try_from(most) else { return Vec::new() };
        if most == 0 || self.0.len() < most {
            return Vec::new();
        }
        let surplus = self.0.len() - (most - 1);
        let deployed = self.deployed().map(|release| release.version);
        let versions = self.0.iter().map(|release| release.version);
        versions.filter(|version| Some(*version) != deployed).take(surplus).collect()
    }

    /// Takes in a record that was written.
    pub fn put(&mut self, release: Release) {
        match self.0.iter_mut().find(|known| known.version == release.version) {
            Some(known) => *known = release,
            None => {
                self.0.push(release);
                self.0.sort_by_key(|release| release.version);
            }
        }
    }

    /// Forgets a record that was deleted.
    pub fn remove(&mut self, version: i64) {
        self.0.retain(|release| release.version != version);
    }
}
