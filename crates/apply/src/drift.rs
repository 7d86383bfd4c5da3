//! Whether a write is needed, and whether one failed for good.

use borax_object::{Digest, Value, normalize_dry_run};

use crate::fingerprint::is_new;
use crate::ignore::IgnoreRules;

/// Whether applying would change something that matters: labels, annotations, or anything but metadata and status
/// (fluxcd/pkg `ssa/manager_diff.go`: `hasDrifted`). The answer to a dry run that would create an object has drifted.
///
/// Fields that `ignore` names are left out of the comparison.
pub fn has_drifted(existing: &Value, dry_run: &Value, ignore: &IgnoreRules) -> bool {
    if is_new(dry_run) {
        return true;
    }
    let digest = |object: &Value| {
        let mut object = object.clone();
        ignore.remove_ignored(dry_run, &mut object);
        normalize_dry_run(&mut object);
        Digest::of_live(&object)
    };
    digest(existing) != digest(dry_run)
}

/// Whether the server refused a change of a field that can't be changed (fluxcd/pkg `ssa/errors/immutable.go`).
///
/// Every conflict and every invalid object counts, as for kubectl; and texts of admission rules about immutability.
pub fn is_immutable_error(reason: &str, message: &str) -> bool {
    matches!(reason, "Conflict" | "Invalid")
        || message.contains("is immutable")
        || message.contains("immutable field")
}
