//! How a live object differs from what applying it would make of it. Source: fluxcd/pkg `ssa/jsondiff`, helm-controller
//! `internal/diff/summarize.go`.

use borax_object::normalize_dry_run;
use serde_json::{Map, Value};

/// How an object has drifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drifted {
    /// It is gone.
    Removed,
    /// It differs in that many fields.
    Changed {
        /// Fields that are wanted and not there.
        additions: usize,
        /// Fields with another value.
        changes: usize,
        /// Fields that are there and not wanted.
        removals: usize,
    },
}

impl Drifted {
    /// Flux's words, after the object's name.
    pub fn words(&self) -> String {
        match self {
            Self::Removed => "removed".to_owned(),
            Self::Changed { additions, changes, removals } => {
                format!("changed ({additions} additions, {changes} changes, {removals} removals)")
            }
        }
    }
}

/// Compares labels, annotations and everything but metadata and status. `ignored` are JSON pointers to leave out.
pub fn compare(existing: &Value, dry_run: &Value, ignored: &[String]) -> Option<Drifted> {
    let plain = |object: &Value| {
        let mut object = object.clone();
        normalize_dry_run(&mut object);
        let mut out = Map::new();
        let metadata = object.get("metadata").and_then(Value::as_object);
        let mut kept = Map::new();
        for field in ["labels", "annotations"] {
            let map = metadata.and_then(|metadata| metadata.get(field)).cloned();
            kept.insert(field.to_owned(), map.unwrap_or_else(|| Value::Object(Map::new())));
        }
        for (key, value) in object.as_object().into_iter().flatten() {
            if !matches!(key.as_str(), "metadata" | "status" | "apiVersion" | "kind") {
                out.insert(key.clone(), value.clone());
            }
        }
        out.insert("metadata".to_owned(), Value::Object(kept));
        Value::Object(out)
    };
    let mut counts = Counts { ignored, additions: 0, changes: 0, removals: 0 };
    counts.walk("", &plain(existing), &plain(dry_run));
    let Counts { additions, changes, removals, .. } = counts;
    (additions + changes + removals > 0).then_some(Drifted::Changed {
        additions,
        changes,
        removals,
    })
}

struct Counts<'a> {
    ignored: &'a [String],
    additions: usize,
    changes: usize,
    removals: usize,
}

impl Counts<'_> {
    fn walk(&mut self, path: &str, live: &Value, wanted: &Value) {
        if live == wanted || self.ignored.iter().any(|ignored| ignored == path) {
            return;
        }
        match (live, wanted) {
            (Value::Object(live), Value::Object(wanted)) => {
                for (key, wanted) in wanted {
                    let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                    match live.get(key) {
                        Some(live) => self.walk(&path, live, wanted),
                        None if self.is_ignored(&path) => {}
                        None => self.additions += 1,
                    }
                }
                for key in live.keys().filter(|key| !wanted.contains_key(*key)) {
                    let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                    if !self.is_ignored(&path) {
                        self.removals += 1;
                    }
                }
            }
            (Value::Array(live), Value::Array(wanted)) => {
                for index in 0..live.len().max(wanted.len()) {
                    let path = format!("{path}/{index}");
                    match (live.get(index), wanted.get(index)) {
                        (Some(live), Some(wanted)) => self.walk(&path, live, wanted),
                        _ if self.is_ignored(&path) => {}
                        (None, _) => self.additions += 1,
                        (_, None) => self.removals += 1,
                    }
                }
            }
            _ => self.changes += 1,
        }
    }

    fn is_ignored(&self, path: &str) -> bool {
        self.ignored.iter().any(|ignored| ignored == path)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_counted_by_field_and_ignored_ones_are_not() {
        let wanted =
            json!({"metadata": {"labels": {"a": "1"}}, "spec": {"replicas": 2, "x": [1, 2]}});
        let live = json!({"metadata": {"labels": {"a": "1", "b": "2"}, "uid": "u"}, "spec": {"replicas": 3, "x": [1]}, "status": {}});
        assert_eq!(
            compare(&live, &wanted, &[]),
            Some(Drifted::Changed { additions: 1, changes: 1, removals: 1 })
        );
        let ignored = ["/spec/replicas", "/spec/x", "/metadata/labels/b"].map(str::to_owned);
        assert_eq!(compare(&live, &wanted, &ignored), None);
    }
}
