//! What is remembered of a live object: enough to tell whether it is as we left it, and nothing of its content.

use borax_object::{Digest, Value, meta};
use serde::{Deserialize, Serialize};

use crate::{Marks, Takeover};

/// The traces of a live object that matter for applying it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Its labels, annotations and everything but metadata and status.
    pub content: Digest,
    /// The fields our field manager has applied, as the server tells; `None` where it tells nothing.
    ///
    /// Whoever changes or removes such a field takes it out of this set, while changes to other fields leave the set
    /// alone: it tells drift without knowing the fields.
    pub owned: Option<Digest>,
    /// What the object says about itself.
    pub marks: Marks,
    /// Whether there is something of another tool on it to be taken over.
    pub takeover: bool,
}

impl Fingerprint {
    /// Of a live object, for the field manager and owner group of `takeover`.
    pub fn of(object: &Value, takeover: &Takeover) -> Self {
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        let ours = entries.into_iter().flatten().find(|entry| takeover.is_ours(entry));
        Self {
            content: Digest::of_live(object),
            owned: ours.and_then(|entry| entry.get("fieldsV1")).map(Digest::of),
            marks: Marks::of(object, &takeover.group),
            takeover: takeover.is_needed(object),
        }
    }

    /// Whether an object with fingerprint `now` still has every field as when it had this one.
    pub fn still_holds(&self, now: &Self) -> bool {
        let same_fields = self.owned.is_some() && self.owned == now.owned;
        let foreign = now.takeover && !now.marks.merge;
        (self.content == now.content || same_fields) && !foreign && self.marks == now.marks
    }
}

/// What we know of our last successful write (or of the last check that found nothing to write).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// What was wanted.
    pub desired: Digest,
    /// What the server then held.
    pub fingerprint: Fingerprint,
}

/// What is known of an object without asking the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// What is live, if a watch tells; `None` also when nothing is there.
    pub live: Option<Fingerprint>,
    /// Our last write, if we remember one.
    pub written: Option<Written>,
}

impl Known {
    /// Whether applying `object` would change nothing: it is wanted as before, and lives as we left it.
    pub(crate) fn is_settled(&self, object: &Value) -> bool {
        let (Some(live), Some(written)) = (&self.live, &self.written) else { return false };
        written.fingerprint.still_holds(live) && written.desired == Digest::of_desired(object)
    }
}

/// Whether the answer to a dry run is about an object that is not there yet: only a stored one has a resource version.
pub(crate) fn is_new(dry_run: &Value) -> bool {
    meta::resource_version(dry_run).is_empty()
}
