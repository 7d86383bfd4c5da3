//! Digests of objects: whether something that matters is the same as before, in 16 bytes.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// The first 128 bits of a SHA-256 over an object's canonical form. Equal digests mean equal content, independent of
/// the order of keys. Not a secret: but digests of Secrets should not be shown either.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest([u8; 16]);

/// Metadata that the server or other controllers write, and that therefore says nothing about what is wanted.
const SERVER_METADATA: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

impl Digest {
    /// Of any value, whole.
    pub fn of(value: &Value) -> Self {
        let mut hasher = Sha256::new();
        feed(&mut hasher, value);
        Self::finish(hasher)
    }

    /// Of what is wanted of an object: everything but its status and the metadata a server writes.
    pub fn of_desired(object: &Value) -> Self {
        let mut hasher = Sha256::new();
        feed_fields(&mut hasher, object.as_object(), &["status"], |hasher, key, value| {
            if key == "metadata" {
                feed_fields(hasher, value.as_object(), &SERVER_METADATA, |hasher, _, value| {
                    feed(hasher, value)
                });
            } else {
                feed(hasher, value);
            }
        });
        Self::finish(hasher)
    }

    /// Of what Flux compares to tell drift: labels, annotations, and everything but metadata and status
    /// (fluxcd/pkg `ssa/manager_diff.go`: `hasDrifted`). Empty and missing labels or annotations are the same.
    pub fn of_live(object: &Value) -> Self {
        let mut hasher = Sha256::new();
        let metadata = object.get("metadata");
        for field in ["labels", "annotations"] {
            let map = metadata.and_then(|m| m.get(field)).and_then(Value::as_object);
            feed_fields(&mut hasher, map, &[], |hasher, _, value| feed(hasher, value));
        }
        feed_fields(
            &mut hasher,
            object.as_object(),
            &["metadata", "status"],
            |hasher, _, value| feed(hasher, value),
        );
        Self::finish(hasher)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn finish(hasher: Sha256) -> Self {
        let full = hasher.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&full[..16]);
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Feeds the fields of a map in the order of their keys, each through `each`, between a header and an end mark.
fn feed_fields(
    hasher: &mut Sha256,
    map: Option<&Map<String, Value>>,
    without: &[&str],
    mut each: impl FnMut(&mut Sha256, &str, &Value),
) {
    hasher.update(b"{");
    // Sorted here, because a `Map` keeps insertion order where some other crate switched that on.
    let mut fields: Vec<(&String, &Value)> =
        map.into_iter().flatten().filter(|(key, _)| !without.contains(&key.as_str())).collect();
    fields.sort_unstable_by_key(|(key, _)| *key);
    for (key, value) in fields {
        feed_text(hasher, b'k', key);
        each(hasher, key, value);
    }
    hasher.update(b"}");
}

fn feed_text(hasher: &mut Sha256, tag: u8, text: &str) {
    hasher.update([tag]);
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn feed(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hasher.update(b"n"),
        Value::Bool(true) => hasher.update(b"t"),
        Value::Bool(false) => hasher.update(b"f"),
        Value::Number(number) => feed_text(hasher, b'#', &number.to_string()),
        Value::String(text) => feed_text(hasher, b's', text),
        Value::Array(items) => {
            hasher.update(b"[");
            hasher.update((items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| feed(hasher, item));
        }
        Value::Object(map) => {
            feed_fields(hasher, Some(map), &[], |hasher, _, value| feed(hasher, value))
        }
    }
}
