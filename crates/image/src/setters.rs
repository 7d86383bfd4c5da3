//! Writing images into a file where markers say so, every other byte left alone.
//!
//! ```yaml
//! image: ghcr.io/org/app:1.0.0 # {"$imagepolicy": "flux-system:app"}
//! ```
//!
//! Flow: a file without the marker's text is not parsed at all; each document is read as Flux's own setter reads it,
//! the marked scalars are found, replaced where they stand, and the result is read again.
//!
//! A marker belongs to the scalar that go-yaml attaches the comment to (as in Flux), and to the value that ends right
//! before the comment on its line, brackets and commas aside: that is the only one meant in `{name: app, tag: v1} # …`,
//! where go-yaml attaches the comment to the mapping and Flux changes nothing.
//!
//! Behaviour: image-automation-controller v1.2 `internal/update/{setters,filter,filereader}.go`.

use std::collections::BTreeMap;

use borax_yaml::{Data, Document, Node, Options, Replacement, parse_documents, replace_scalars};

use crate::ImageRef;
use crate::marker::{Setter, TOKEN, setter};

/// The latest images by `namespace:name` of their policies.
pub type Policies = BTreeMap<String, ImageRef>;

/// A file with other values in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What differs, in the file's order; never empty.
    pub changes: Vec<Change>,
    /// Markers of this file that could not be honoured, though others were.
    pub problems: Vec<Problem>,
}

/// One changed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The value's line, from 1.
    pub line: u32,
    /// The object that has the value.
    pub object: ObjectId,
    /// `namespace:name` of the policy.
    pub policy: String,
    /// The value before.
    pub old: String,
    /// The value now.
    pub new: String,
    /// The marker: `namespace:name`, maybe with `:tag`, `:name` or `:digest`.
    pub setter: String,
}

/// What identifies an object in a file. A file such as `kustomization.yaml` has no name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

/// Why a marked value, or a file with marked values, was left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {message}")]
pub struct Problem {
    /// The file.
    pub path: String,
    /// Where in it, from 1; 0 where no line can be named.
    pub line: u32,
    /// What is wrong, and what helps.
    pub message: String,
}

/// Whether a file of this name is one that setters look at: `*.yaml`, `*.yml` and `Kustomization`.
pub fn is_candidate(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name == "Kustomization" || name.ends_with(".yaml") || name.ends_with(".yml")
}

/// Whether there can be a marker in a file.
pub fn may_be_marked(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, TOKEN).is_some()
}

/// Writes the policies' images where markers say so.
///
/// `Ok(None)`: nothing in the file is marked, or all that is has its value already. A marker of a policy that is not
/// in `policies` is someone else's and is left alone.
///
/// # Errors
/// Nothing was changed, and someone should know why: the file can't be read as YAML, or marked values can't be
/// written. Other files are not concerned.
pub fn edit(path: &str, bytes: &[u8], policies: &Policies) -> Result<Option<Edit>, Problem> {
    if !may_be_marked(bytes) {
        return Ok(None);
    }
    let options = Options::default();
    let documents = parse_documents(bytes, &options).map_err(|error| Problem {
        path: path.to_owned(),
        line: error.line,
        message: format!("{error}; the file has image policy markers and was left as it is"),
    })?;
    let mut finder = Finder { path, policies, found: BTreeMap::new(), problems: Vec::new() };
    let lines = marker_lines(bytes, policies);
    for document in &documents {
        for (object, root) in objects(document, documents.len() == 1) {
            finder.visit(root, &object, bytes, &lines);
        }
    }
    let Finder { found, mut problems, .. } = finder;
    let (mut changes, mut replacements) = (Vec::new(), Vec::new());
    for Found { node, object, setter } in found.values() {
        let old = node.text().unwrap_or_default();
        if old == setter.value {
            continue;
        }
        replacements.push(Replacement { scalar: node, value: &setter.value });
        changes.push(Change {
            line: node.position.line,
            object: object.clone(),
            policy: setter.policy.to_owned(),
            old: old.to_owned(),
            new: setter.value.clone(),
            setter: setter.name.clone(),
        });
    }
    if replacements.is_empty() {
        return if problems.is_empty() { Ok(None) } else { Err(problems.remove(0)) };
    }
    let bytes =
        replace_scalars(bytes, &documents, &options, &replacements).map_err(|error| Problem {
            path: path.to_owned(),
            line: error.line,
            message: format!("{error}; the file was left as it is"),
        })?;
    Ok(Some(Edit { bytes, changes, problems }))
}

/// Comments that are markers of known policies: where on their line they begin, by line (from 1).
type MarkerLines<'p> = BTreeMap<u32, (usize, Setter<'p>)>;

/// Looks for markers by the text alone. What only looks like a comment is told apart later: no value ends before it.
fn marker_lines<'p>(bytes: &[u8], policies: &'p Policies) -> MarkerLines<'p> {
    let mut lines = MarkerLines::new();
    let mut number = 0;
    let mut start = 0;
    while start < bytes.len() {
        let rest = &bytes[start..];
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        number += 1;
        let line = &rest[..end];
        if memchr::memmem::find(line, TOKEN).is_some()
            && let Ok(text) = std::str::from_utf8(line)
        {
            let comments = text
                .match_indices('#')
                .filter(|(at, _)| *at == 0 || matches!(line[at - 1], b' ' | b'\t'));
            let marker = comments
                .filter_map(|(at, _)| Some((start + at, setter(&text[at..], policies)?)))
                .next();
            if let Some(marker) = marker {
                lines.insert(number, marker);
            }
        }
        let is_pair = rest.get(end..end + 2) == Some(b"\r\n");
        start += end + 1 + usize::from(is_pair);
    }
    lines
}

struct Found<'d, 'p> {
    node: &'d Node,
    object: ObjectId,
    setter: Setter<'p>,
}

struct Finder<'d, 'p, 'a> {
    path: &'a str,
    policies: &'p Policies,
    /// By the scalar's place in the text.
    found: BTreeMap<u32, Found<'d, 'p>>,
    problems: Vec<Problem>,
}

impl<'d, 'p> Finder<'d, 'p, '_> {
    /// Visits the values below `node`; keys are never changed.
    fn visit(&mut self, node: &'d Node, object: &ObjectId, bytes: &[u8], lines: &MarkerLines<'p>) {
        match &node.data {
            Data::Sequence(items) => {
                items.iter().for_each(|item| self.visit(item, object, bytes, lines));
            }
            Data::Mapping(entries) => {
                entries.iter().for_each(|(_, value)| self.visit(value, object, bytes, lines));
            }
            Data::Scalar(_) => {
                let attached = attached(node, self.policies);
                if let Some(setter) = attached.or_else(|| follows(node, bytes, lines)) {
                    self.mark(node, object, setter);
                }
            }
            Data::Alias(name) => {
                let attached = attached(node, self.policies);
                if let Some(setter) = attached.or_else(|| follows(node, bytes, lines)) {
                    let message = format!(
                        "the marker of {:?} is on the alias *{name}; put it on the value with the anchor &{name}",
                        setter.name
                    );
                    self.problem(node, message);
                }
            }
        }
    }

    fn mark(&mut self, node: &'d Node, object: &ObjectId, setter: Setter<'p>) {
        if setter.value.is_empty() {
            let message = format!(
                "the image of {:?} has no such part; for a digest, set digestReflectionPolicy in ImagePolicy {}",
                setter.name, setter.policy
            );
            self.problem(node, message);
            return;
        }
        self.found.insert(node.position.start, Found { node, object: object.clone(), setter });
    }

    fn problem(&mut self, node: &Node, message: String) {
        let problem = Problem { path: self.path.to_owned(), line: node.position.line, message };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// The marker that go-yaml attaches to a node: the comment on its line or, without one, that above it.
fn attached<'p>(node: &Node, policies: &'p Policies) -> Option<Setter<'p>> {
    let comments = node.comments();
    let comment = if comments.line.is_empty() { &comments.head } else { &comments.line };
    setter(comment, policies)
}

/// The marker that comes right after a node on the line where it ends.
fn follows<'p>(node: &Node, bytes: &[u8], lines: &MarkerLines<'p>) -> Option<Setter<'p>> {
    let at = node.position;
    if at.start >= at.end {
        return None;
    }
    let text = bytes.get(at.start as usize..at.end as usize)?;
    let (at_comment, setter) = lines.get(&(at.line + line_breaks(text)))?;
    let between = bytes.get(at.end as usize..*at_comment)?;
    between.iter().all(|b| matches!(b, b' ' | b'\t' | b',' | b']' | b'}')).then(|| setter.clone())
}

/// Line breaks in a text, a pair of carriage return and line feed being one.
fn line_breaks(text: &[u8]) -> u32 {
    let mut breaks = 0;
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        breaks += 1;
        let is_pair = rest[at..].starts_with(b"\r\n");
        rest = &rest[at + 1 + usize::from(is_pair)..];
    }
    breaks
}

/// The objects of a document: its root, or the items of a list where that is all there is in the file.
fn objects(document: &Document, is_only: bool) -> Vec<(ObjectId, &Node)> {
    let root = &document.root;
    let id = object_id(root);
    let is_list = matches!(&*id.kind, "List" | "ResourceList");
    match root.get("items").and_then(Node::items) {
        Some(items) if is_only && is_list => {
            items.iter().map(|item| (object_id(item), item)).collect()
        }
        _ => vec![(id, root)],
    }
}

fn object_id(root: &Node) -> ObjectId {
    let text = |path: &[&str]| {
        let node = root.at(path.iter().copied());
        node.filter(|node| !node.is_null()).and_then(Node::text).unwrap_or_default().to_owned()
    };
    ObjectId {
        api_version: text(&["apiVersion"]),
        kind: text(&["kind"]),
        namespace: text(&["metadata", "namespace"]),
        name: text(&["metadata", "name"]),
    }
}
