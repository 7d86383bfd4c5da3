//! Fields that belong to someone else (`spec.ignore`): not compared, and not taken back
//! (fluxcd/pkg `ssa/manager_apply.go`: `computeDriftedPaths`, and `ssa/jsondiff`).

use borax_object::{Gvk, LabelSelector, Value, meta};
use regex::Regex;
use serde_json::Map;

/// Which objects a rule is about: regular expressions that must match as a whole, and selectors. Empty is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoreTarget {
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Selector over annotations, in the syntax of label selectors.
    pub annotation_selector: String,
    /// Selector over labels.
    pub label_selector: String,
}

/// One entry of `spec.ignore`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoreRule {
    /// JSON pointers.
    pub paths: Vec<String>,
    /// Which objects; `None` is all.
    pub target: Option<IgnoreTarget>,
}

/// Why `spec.ignore` makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {field} in ignore rule {index}: {cause}")]
pub struct InvalidIgnoreRule {
    /// Which rule.
    pub index: usize,
    /// Which of its fields.
    pub field: &'static str,
    /// What is wrong.
    pub cause: String,
}

#[derive(Clone, Debug)]
struct Target {
    patterns: [Option<Regex>; 5],
    annotations: LabelSelector,
    labels: LabelSelector,
}

/// Rules ready for use.
#[derive(Clone, Debug, Default)]
pub struct IgnoreRules(Vec<(Option<Target>, Vec<String>)>);

impl IgnoreRules {
    /// Reads rules.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn compile(rules: &[IgnoreRule]) -> Result<Self, InvalidIgnoreRule> {
        let compiled = rules.iter().enumerate().map(|(index, rule)| {
            let invalid = |field, cause: String| InvalidIgnoreRule { index, field, cause };
            let target = rule.target.as_ref().map(|target| {
                let pattern = |field, text: &str| match text {
                    "" => Ok(None),
                    text => Regex::new(&format!("^(?:{text})$"))
                        .map(Some)
                        .map_err(|e| invalid(field, e.to_string())),
                };
                let selector = |field, text: &str| {
                    LabelSelector::parse(text).map_err(|cause| invalid(field, cause))
                };
                Ok(Target {
                    patterns: [
                        pattern("group regex", &target.group)?,
                        pattern("version regex", &target.version)?,
                        pattern("kind regex", &target.kind)?,
                        pattern("name regex", &target.name)?,
                        pattern("namespace regex", &target.namespace)?,
                    ],
                    annotations: selector("annotation selector", &target.annotation_selector)?,
                    labels: selector("label selector", &target.label_selector)?,
                })
            });
            Ok((target.transpose()?, rule.paths.clone()))
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// Whether some rule is about `object`.
    pub fn concern(&self, object: &Value) -> bool {
        self.paths(object).next().is_some()
    }

    /// The JSON pointers that rules about `object` name.
    pub fn ignored(&self, object: &Value) -> Vec<String> {
        self.paths(object).map(str::to_owned).collect()
    }

    fn paths<'a>(&'a self, object: &'a Value) -> impl Iterator<Item = &'a str> {
        let about =
            |target: &Option<Target>| target.as_ref().is_none_or(|target| target.matches(object));
        self.0
            .iter()
            .filter(move |(target, _)| about(target))
            .flat_map(|(_, paths)| paths)
            .map(String::as_str)
    }

    /// Removes the ignored fields from `object`; `like` decides which rules are about it.
    pub(crate) fn remove_ignored(&self, like: &Value, object: &mut Value) {
        for path in self.paths(like) {
            remove(object, path);
        }
    }

    /// Adapts the object to be written to what others did to ignored fields of the live one: a field that another
    /// manager has applied is left out, and of any other the live value is kept. Only fields on which `existing` and
    /// `dry_run` differ are touched.
    pub fn adapt(&self, desired: &mut Value, existing: &Value, dry_run: &Value, manager: &str) {
        let mut adopted: Vec<(&str, &Value)> = Vec::new();
        for path in self.paths(dry_run) {
            let live = existing.pointer(path);
            if live == dry_run.pointer(path) {
                continue;
            }
            match live {
                Some(value) if !is_applied_by_other(existing, path, manager) => {
                    adopted.push((path, value))
                }
                _ => remove(desired, path),
            }
        }
        for (path, value) in adopted {
            if let Some(slot) = desired.pointer_mut(path) {
                *slot = value.clone();
            }
        }
    }
}

impl Target {
    fn matches(&self, object: &Value) -> bool {
        let gvk = Gvk::of(object);
        let fields =
            [&*gvk.group, &*gvk.version, &*gvk.kind, meta::name(object), meta::namespace(object)];
        let fits = |(pattern, field): (&Option<Regex>, &str)| {
            pattern.as_ref().is_none_or(|p| p.is_match(field))
        };
        self.patterns.iter().zip(fields).all(fits)
            && self.labels.matches(meta::labels(object))
            && self.annotations.matches(meta::annotations(object))
    }
}

fn segments(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"))
}

fn remove(object: &mut Value, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return };
    let last = last.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.remove(&last);
        }
        Some(Value::Array(items)) => {
            if let Some(index) = last.parse().ok().filter(|index: &usize| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

/// Whether a manager other than `manager` has applied the field at `pointer` of a live object.
fn is_applied_by_other(object: &Value, pointer: &str, manager: &str) -> bool {
    let text = |entry: &Value, field: &str| {
        entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let applied: Vec<(String, &Map<String, Value>)> = entries
        .into_iter()
        .flatten()
        .filter(|entry| {
            text(entry, "operation") == "Apply" && text(entry, "subresource").is_empty()
        })
        .filter_map(|entry| Some((text(entry, "manager"), entry.get("fieldsV1")?.as_object()?)))
        .collect();
    // Where in the object, and where in each manager's set of fields, the walk has come to.
    let mut value = object;
    let mut nodes: Vec<Option<&Map<String, Value>>> =
        applied.iter().map(|(_, fields)| Some(*fields)).collect();
    let all: Vec<String> = segments(pointer).collect();
    for (depth, segment) in all.iter().enumerate() {
        let (key, below) = match value {
            Value::Array(items) => {
                let Some(item) = segment.parse().ok().and_then(|index: usize| items.get(index))
                else {
                    return false;
                };
                let keys = nodes.iter().flatten().flat_map(|node| node.keys());
                let Some(key) = keys.filter(|key| names_item(key, item)).min() else {
                    return false;
                };
                (key.clone(), item)
            }
            other => (format!("f:{segment}"), other.get(segment).unwrap_or(&Value::Null)),
        };
        value = below;
        let is_last = depth + 1 == all.len();
        let has =
            |node: &Option<&Map<String, Value>>| node.is_some_and(|node| node.contains_key(&key));
        if is_last {
            return nodes
                .iter()
                .zip(&applied)
                .any(|(node, (name, _))| name != manager && has(node));
        }
        for node in &mut nodes {
            *node = node.and_then(|fields| fields.get(&key)?.as_object());
        }
    }
    false
}

/// Whether a list key such as `k:{"name":"web"}` names `item`.
fn names_item(key: &str, item: &Value) -> bool {
    let keys: Option<Map<String, Value>> =
        key.strip_prefix("k:").and_then(|json| serde_json::from_str(json).ok());
    keys.is_some_and(|keys| {
        !keys.is_empty() && keys.iter().all(|(field, value)| item.get(field) == Some(value))
    })
}
