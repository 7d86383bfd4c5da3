//! What names an object: its group, kind, namespace and name, and the texts those are written as.
//!
//! Refuses to know: which versions a server serves and which kinds have a namespace (that is discovery's).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::meta;

/// An API group and a kind, without a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKind {
    /// The API group; empty for the core group.
    pub group: String,
    /// The kind, in upper camel case.
    pub kind: String,
}

impl GroupKind {
    /// Puts the two together.
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { group: group.into(), kind: kind.into() }
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.kind),
            group => write!(f, "{}.{group}", self.kind),
        }
    }
}

/// An API group, version and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Gvk {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version, such as `v1beta2`.
    pub version: String,
    /// The kind, in upper camel case.
    pub kind: String,
}

impl Gvk {
    /// From the two fields every object carries. Text after a second `/` stays in the version, where no server
    /// will know it.
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = split_api_version(api_version);
        Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// Of an object; what is missing stays empty.
    pub fn of(object: &Value) -> Self {
        Self::new(meta::api_version(object), meta::kind(object))
    }

    /// `group/version`, or just the version in the core group.
    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Without the version.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(&*self.group, &*self.kind)
    }
}

/// Splits an `apiVersion` into group and version.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// What the API server takes for one object: group, kind, namespace and name, without the version.
///
/// Displayed as Flux does in its events and errors (`Kind/namespace/name`, `Kind/name` without a namespace).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// The API group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for cluster-scoped objects, or where none is given.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// Why a text is no inventory id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse stored object metadata: {0}")]
pub struct ParseIdError(pub String);

impl ObjectId {
    /// Of an object; what is missing stays empty.
    pub fn of(object: &Value) -> Self {
        let (group, _) = split_api_version(meta::api_version(object));
        Self {
            group: group.to_owned(),
            kind: meta::kind(object).to_owned(),
            namespace: meta::namespace(object).to_owned(),
            name: meta::name(object).to_owned(),
        }
    }

    /// Group and kind.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(&*self.group, &*self.kind)
    }

    /// As inventories hold it: `<namespace>_<name>_<group>_<kind>`, colons in names of RBAC kinds doubled to `__`
    /// (cli-utils `pkg/object/objmetadata.go`).
    pub fn inventory_id(&self) -> String {
        let rbac = self.group == "rbac.authorization.k8s.io"
            && matches!(&*self.kind, "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding");
        let name = if rbac { self.name.replace(':', "__") } else { self.name.clone() };
        format!("{}_{name}_{}_{}", self.namespace, self.group, self.kind)
    }

    /// Reads what [`Self::inventory_id`] writes. `__` in a name reads as a colon for every kind; other underscores
    /// belong to the name (Flux's fork of cli-utils).
    ///
    /// # Errors
    /// Fewer than three underscores.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let fields = || {
            let (namespace, rest) = text.split_once('_')?;
            let (rest, kind) = rest.rsplit_once('_')?;
            let (name, group) = rest.rsplit_once('_')?;
            Some(Self {
                group: group.to_owned(),
                kind: kind.to_owned(),
                namespace: namespace.to_owned(),
                name: name.replace("__", ":"),
            })
        };
        fields().ok_or_else(|| ParseIdError(text.to_owned()))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{}/{}", self.kind, self.name),
            namespace => write!(f, "{}/{namespace}/{}", self.kind, self.name),
        }
    }
}

/// One line of an inventory: an object, and the version it was last written in.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The object.
    pub id: ObjectId,
    /// The API version without its group, such as `v1`.
    pub version: String,
}

impl Entry {
    /// Of an object.
    pub fn of(object: &Value) -> Self {
        let (_, version) = split_api_version(meta::api_version(object));
        Self { id: ObjectId::of(object), version: version.to_owned() }
    }

    /// From the `id` and `v` of a stored inventory entry.
    ///
    /// # Errors
    /// As [`ObjectId::parse`].
    pub fn parse(id: &str, version: &str) -> Result<Self, ParseIdError> {
        Ok(Self { id: ObjectId::parse(id)?, version: version.to_owned() })
    }

    /// Group, version and kind.
    pub fn gvk(&self) -> Gvk {
        Gvk {
            group: self.id.group.clone(),
            version: self.version.clone(),
            kind: self.id.kind.clone(),
        }
    }
}
