//! The tags of one scan, and what Flux's status says of them.

use adler2::Adler32;
use sha2::{Digest as _, Sha256};

/// How many tags a status shows.
pub const LATEST: usize = 10;

/// Tags in descending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSet {
    /// One a line: no tag holds a line break.
    text: String,
    count: usize,
}

impl TagSet {
    /// Sorts tags. What holds a line break is no tag, and left out.
    pub fn new(mut tags: Vec<String>) -> Self {
        tags.retain(|tag| !tag.is_empty() && !tag.contains('\n'));
        tags.sort_unstable_by(|a, b| b.cmp(a));
        Self { count: tags.len(), text: tags.join("\n") }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first of them, for a status.
    ///
    /// Behaviour: image-reflector-controller v1.2 `sortTagsAndGetLatestTags`.
    pub fn latest(&self) -> Vec<String> {
        lines(&self.text).take(LATEST).map(str::to_owned).collect()
    }

    /// The checksum that a status tells: Adler-32 of the tags as a JSON list.
    ///
    /// Behaviour: image-reflector-controller v1.2 `internal/database/badger.go`; the same value means that a cluster
    /// handed over from Flux sees no new revision.
    pub fn checksum(&self) -> String {
        let mut sum = Adler32::new();
        sum.write_slice(b"[");
        for (at, tag) in lines(&self.text).enumerate() {
            if at > 0 {
                sum.write_slice(b",");
            }
            sum.write_slice(serde_json::Value::from(tag).to_string().as_bytes());
        }
        sum.write_slice(b"]");
        sum.checksum().to_string()
    }

    /// Names the content.
    pub(crate) fn key(&self) -> [u8; 32] {
        Sha256::digest(self.text.as_bytes()).into()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// The lines of a set's text.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').filter(|tag| !tag.is_empty())
}
