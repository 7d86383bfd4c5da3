//! Who applies, and the labels and annotations by which a manifest says how it wants to be treated.

use borax_object::{Value, meta};
use serde::{Deserialize, Serialize};

/// The object that owns what is applied, and the name under which fields are claimed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The prefix of labels and annotations, such as `kustomize.toolkit.fluxcd.io`.
    pub group: String,
    /// The field manager.
    pub manager: String,
    /// The owner's name.
    pub name: String,
    /// The owner's namespace.
    pub namespace: String,
}

impl Owner {
    /// A Flux Kustomization.
    pub fn kustomization(name: &str, namespace: &str) -> Self {
        Self {
            group: "kustomize.toolkit.fluxcd.io".to_owned(),
            manager: "kustomize-controller".to_owned(),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    /// The label that holds the owner's name.
    pub fn name_label(&self) -> String {
        format!("{}/name", self.group)
    }

    /// The label that holds the owner's namespace.
    pub fn namespace_label(&self) -> String {
        format!("{}/namespace", self.group)
    }

    /// Labels an object as owned.
    pub fn label(&self, object: &mut Value) {
        meta::set_label(object, &self.name_label(), &self.name);
        meta::set_label(object, &self.namespace_label(), &self.namespace);
    }

    /// Whether an object is labelled as owned by this owner.
    pub fn owns(&self, object: &Value) -> bool {
        meta::label(object, &self.name_label()) == Some(&self.name)
            && meta::label(object, &self.namespace_label()) == Some(&self.namespace)
    }
}

/// What an object says about itself, in labels or annotations, values in any case of letters.
///
/// For owner group `G`: `G/reconcile: disabled` and `G/ssa: Ignore` exclude it, `G/ssa: IfNotPresent` applies it only
/// once, `G/ssa: Merge` keeps other managers' fields, `G/force: enabled` lets it be recreated, `G/prune: disabled`
/// keeps it from being deleted. `G/ssa: Override` is the default and marks nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Marks {
    /// Not applied and not deleted.
    pub excluded: bool,
    /// Applied only where it does not exist.
    pub if_not_present: bool,
    /// No take-over from other field managers.
    pub merge: bool,
    /// Recreated where immutable fields stand in the way.
    pub force: bool,
    /// Not deleted.
    pub keep: bool,
}

impl Marks {
    /// Of an object, desired or live.
    pub fn of(object: &Value, group: &str) -> Self {
        let has = |name: &str, value: &str| meta::has(object, &format!("{group}/{name}"), value);
        Self {
            excluded: has("reconcile", "disabled") || has("ssa", "Ignore"),
            if_not_present: has("ssa", "IfNotPresent"),
            merge: has("ssa", "Merge"),
            force: has("force", "enabled"),
            keep: has("prune", "disabled"),
        }
    }
}
