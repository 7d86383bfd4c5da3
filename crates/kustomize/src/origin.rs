//! Where objects came from, for `buildMetadata`.
//!
//! Source of behaviour: kustomize `api/resource/origin.go`.

use borax_stdx::files::join;

use crate::diag::Result;
use crate::id::ResId;
use crate::remote::RepoSpec;
use crate::resmap::ResMap;
use crate::resource::{self, ORIGIN, TRANSFORMATIONS};
use crate::tree::{NodeId, Tree};
use borax_yaml::{Format, Node};

/// Where an object, or what changed it, is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Origin {
    path: String,
    repo: String,
    reference: String,
    configured_in: String,
    /// apiVersion, kind, name, namespace.
    configured_by: [String; 4],
}

impl Origin {
    /// The origin of what lies at a path from here.
    pub(crate) fn append(&self, path: &str) -> Origin {
        let mut origin = self.clone();
        let mut path = path.to_owned();
        if let Some(spec) = RepoSpec::parse(&path) {
            origin.repo = spec.clone_url();
            origin.reference = spec.reference.clone();
            path = spec.directory().trim_start_matches('/').to_owned();
            origin.path = String::new();
        }
        origin.path = join_relative(&origin.path, &path);
        origin
    }

    /// The origin of what a built-in generator or transformer of a kustomization does.
    pub(crate) fn of_builtin(&self, file: &str, kind: &str) -> Origin {
        Origin {
            path: String::new(),
            repo: self.repo.clone(),
            reference: self.reference.clone(),
            configured_in: join_relative(&self.path, file),
            configured_by: ["builtin".into(), kind.into(), String::new(), String::new()],
        }
    }

    /// The origin of what a plugin configured by an object does; `None` when the object has none.
    pub(crate) fn of_plugin(tree: &Tree, object: NodeId, id: &ResId) -> Option<Origin> {
        let text = resource::annotation(tree, object, ORIGIN)?;
        let written = Origin::parse(&text);
        Some(Origin {
            path: String::new(),
            repo: written.repo,
            reference: written.reference,
            configured_in: written.path,
            configured_by: [
                resource::api_version(tree, object).to_string(),
                id.gvk.kind.to_string(),
                id.name.to_string(),
                id.namespace.to_string(),
            ],
        })
    }

    fn parse(text: &str) -> Origin {
        let value = borax_yaml::to_json(text).unwrap_or_default();
        let field = |key: &str| value.get(key).and_then(|v| v.as_str()).unwrap_or("").to_owned();
        Origin {
            path: field("path"),
            repo: field("repo"),
            reference: field("ref"),
            ..Origin::default()
        }
    }

    fn node(&self) -> Node {
        let mut entries = Vec::new();
        let add = |entries: &mut Vec<(Node, Node)>, key: &str, text: &str| {
            if !text.is_empty() {
                entries.push((Node::string(key), Node::string(text)));
            }
        };
        add(&mut entries, "path", &self.path);
        add(&mut entries, "repo", &self.repo);
        add(&mut entries, "ref", &self.reference);
        add(&mut entries, "configuredIn", &self.configured_in);
        let mut by = Vec::new();
        for (key, text) in
            ["apiVersion", "kind", "name", "namespace"].iter().zip(&self.configured_by)
        {
            add(&mut by, key, text);
        }
        if !by.is_empty() {
            entries.push((Node::string("configuredBy"), Node::mapping(by)));
        }
        Node::mapping(entries)
    }

    /// As an annotation has it.
    pub(crate) fn text(&self) -> String {
        borax_yaml::write(&self.node(), Format::KYAML).unwrap_or_default()
    }

    /// Makes this the object's origin.
    pub(crate) fn set(&self, tree: &mut Tree, object: NodeId) -> Result<()> {
        let mut annotations = resource::annotations(tree, object);
        annotations.insert(ORIGIN.into(), self.text().into());
        resource::set_annotations(tree, object, &annotations)
    }

    /// Notes that this changed all objects; those without an origin were made by it.
    pub(crate) fn mark_transformed(&self, tree: &mut Tree, map: &ResMap) -> Result<()> {
        for object in map.nodes() {
            let mut annotations = resource::annotations(tree, object);
            if !annotations.contains_key(ORIGIN) {
                annotations.insert(ORIGIN.into(), self.text().into());
            } else {
                // A list grows by its text: entries are written the same alone and in company.
                let one = Node::sequence(vec![self.node()]);
                let one = borax_yaml::write(&one, Format::KYAML).unwrap_or_default();
                let before = annotations.get(TRANSFORMATIONS).map_or("", |text| text.as_str());
                let all = format!("{before}{one}");
                annotations.insert(TRANSFORMATIONS.into(), all.into());
            }
            resource::set_annotations(tree, object, &annotations)?;
        }
        Ok(())
    }
}

/// Joins relative paths and cleans them, keeping leading `..` (Go's `filepath.Join`).
pub(crate) fn join_relative(base: &str, path: &str) -> String {
    if base.starts_with('/') || (base.is_empty() && path.starts_with('/')) {
        return join(base, path.trim_start_matches('/'));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() && (!base.is_empty() || !path.is_empty()) {
        return ".".to_owned();
    }
    parts.join("/")
}
