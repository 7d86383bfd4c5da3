//! What a build gives back.

use std::collections::BTreeSet;
use std::sync::Arc;

use borax_schema::Scope;
use serde_json::Value;

/// The objects of a build in order, and what was remarked on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    objects: Vec<Object>,
    warnings: Vec<String>,
}

/// An object of a build.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// The object as JSON; shared with the [`Memo`](crate::Memo) it came of, if any.
    pub value: Arc<Value>,
    /// The file in the given view that the object was read from; `None` when it was generated.
    pub file: Option<Arc<str>>,
}

impl Object {
    /// What `kustomize build` prints of it.
    pub fn to_yaml(&self) -> String {
        borax_yaml::to_string(&self.value)
    }

    fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
    }

    /// `apiVersion`
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// `kind`
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// `metadata.name`
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// The namespace, `default` for none; `None` for a kind that has none by nature.
    fn effective_namespace(&self) -> Option<&str> {
        let scope = borax_schema::kustomize().scope(self.api_version(), self.kind());
        match self.namespace() {
            _ if scope == Some(Scope::Cluster) => None,
            "" => Some("default"),
            namespace => Some(namespace),
        }
    }

    /// `metadata.namespace`; empty when there is none.
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }
}

impl Objects {
    pub(crate) fn new(objects: Vec<Object>, warnings: Vec<String>) -> Objects {
        Objects { objects, warnings }
    }

    /// The objects in order.
    pub fn as_slice(&self) -> &[Object] {
        &self.objects
    }

    /// The objects in order, as JSON.
    pub fn into_values(self) -> impl Iterator<Item = Value> {
        self.objects.into_iter().map(|object| Arc::unwrap_or_clone(object.value))
    }

    /// Remarks for people: deprecated fields, vars that nothing uses.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Exactly what `kustomize build` prints.
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        for (at, object) in self.objects.iter().enumerate() {
            if at > 0 {
                text.push_str("---\n");
            }
            text.push_str(&object.to_yaml());
        }
        text
    }

    /// The files that `kustomize build -o DIR` writes into an existing directory: names and contents.
    /// Where objects of several namespaces are there, names begin with the namespace.
    pub fn to_files(&self) -> Vec<(String, String)> {
        let spaces: BTreeSet<&str> =
            self.objects.iter().filter_map(Object::effective_namespace).collect();
        let file = |object: &Object| {
            let (group, version) =
                object.api_version().split_once('/').unwrap_or(("", object.api_version()));
            let space = object.effective_namespace().filter(|_| spaces.len() > 1).unwrap_or("");
            let parts = [space, group, version, object.kind(), object.name()];
            let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            let name = format!("{}.yaml", parts.join("_").to_lowercase());
            (name, object.to_yaml())
        };
        self.objects.iter().map(file).collect()
    }
}

impl<'o> IntoIterator for &'o Objects {
    type Item = &'o Object;
    type IntoIter = std::slice::Iter<'o, Object>;

    fn into_iter(self) -> Self::IntoIter {
        self.objects.iter()
    }
}
