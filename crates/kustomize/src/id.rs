//! What identifies an object: group, version, kind, name, namespace.
//!
//! Source of behaviour: kyaml `resid/gvk.go`, `resid/resid.go`. Knows nothing of trees.

use std::fmt;

use borax_yaml::Text;

/// Stands in for the namespace of objects that have none by nature.
pub(crate) const NO_NAMESPACE: &str = "_non_namespaceable_";
const DEFAULT_NAMESPACE: &str = "default";

/// Group, version and kind. Empty parts select anything where it is used to select.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Gvk {
    pub(crate) group: Text,
    pub(crate) version: Text,
    pub(crate) kind: Text,
}

/// An object's identity. Two are equal as values only when their namespaces are written alike; see
/// [`ResId::key`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ResId {
    pub(crate) gvk: Gvk,
    pub(crate) name: Text,
    pub(crate) namespace: Text,
    pub(crate) cluster_scoped: bool,
}

impl Gvk {
    pub(crate) fn new(group: &str, version: &str, kind: &str) -> Gvk {
        Gvk { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// From an `apiVersion` and a `kind` field.
    pub(crate) fn from_fields(api_version: &str, kind: &str) -> Gvk {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Gvk::new(group, version, kind)
    }

    /// As an object's `apiVersion` field has it.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether every part that `selector` names is equal.
    pub(crate) fn is_selected(&self, selector: &Gvk) -> bool {
        (selector.group.is_empty() || selector.group == self.group)
            && (selector.version.is_empty() || selector.version == self.version)
            && (selector.kind.is_empty() || selector.kind == self.kind)
    }

    /// The text that sorts kinds of the same rank.
    pub(crate) fn sort_text(&self) -> String {
        let or = |part: &Text, none: &str| if part.is_empty() { none.into() } else { part.clone() };
        let (group, version) = (or(&self.group, "~G"), or(&self.version, "~V"));
        format!("{group}_{version}_{}", or(&self.kind, "~K"))
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |part: &Text, none: &str| if part.is_empty() { none.into() } else { part.clone() };
        let (kind, version) = (or(&self.kind, "[noKind]"), or(&self.version, "[noVer]"));
        write!(f, "{kind}.{version}.{}", or(&self.group, "[noGrp]"))
    }
}

impl ResId {
    /// The namespace that decides: `default` for none, a constant for cluster-scoped objects.
    pub(crate) fn effective_namespace(&self) -> &str {
        if self.cluster_scoped {
            NO_NAMESPACE
        } else if self.namespace.is_empty() {
            DEFAULT_NAMESPACE
        } else {
            &self.namespace
        }
    }

    /// What is equal for equal identities.
    pub(crate) fn key(&self) -> (&Gvk, &str, &str) {
        (&self.gvk, &self.name, self.effective_namespace())
    }

    pub(crate) fn same_namespace(&self, other: &ResId) -> bool {
        self.effective_namespace() == other.effective_namespace()
    }

    /// Whether every part that `selector` names is equal (`IsSelectedBy`).
    pub(crate) fn is_selected_by(&self, selector: &ResId) -> bool {
        (selector.name.is_empty() || selector.name == self.name)
            && (selector.namespace.is_empty() || selector.same_namespace(self))
            && self.gvk.is_selected(&selector.gvk)
    }
}

impl fmt::Display for ResId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |part: &Text, none: &str| if part.is_empty() { none.into() } else { part.clone() };
        let (name, namespace) = (or(&self.name, "[noName]"), or(&self.namespace, "[noNs]"));
        write!(f, "{}/{name}.{namespace}", self.gvk)
    }
}
