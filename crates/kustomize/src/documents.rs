//! Texts to objects: splitting at `---`, unpacking lists, refusing what is no object.
//!
//! Source of behaviour: kyaml `kio/byteio_reader.go`, `yaml/rnode.go` (`DeAnchor`), kustomize
//! `api/resource/factory.go`.

use std::borrow::Cow;
use std::collections::VecDeque;

use borax_yaml::{Data, Format, Node, Options, Tag, parse_first};
use serde_json::Value;

use crate::diag::{Diagnostics, Result, fail};
use crate::resource;
use crate::scalar::{from_json, to_value};
use crate::tree::{Kind, NodeId, Tree};

/// Reads the objects of a text.
pub(crate) fn read(tree: &mut Tree, text: &[u8]) -> Result<Vec<NodeId>> {
    let nodes = raw(tree, text)?;
    let nodes = good_ones(tree, nodes)?;
    unpack_lists(tree, nodes)
}

/// Reads the first document of a text, whatever it is. `None` when there is none.
pub(crate) fn read_one(tree: &mut Tree, text: &[u8]) -> Result<Option<NodeId>> {
    let options = Options { comments: false, ..Options::default() };
    let node = parse_first(text, &options).map_err(|error| syntax(&error, 0))?;
    let Some(mut node) = node else { return Ok(None) };
    expand(&mut node, text, 0)?;
    Ok(Some(tree.import(node)))
}

/// A text's value as sigs.k8s.io/yaml reads it.
pub(crate) fn yaml_to_json(text: &[u8]) -> Result<Value> {
    borax_yaml::to_json(text).map_err(|error| syntax(&error, 0))
}

/// As [`yaml_to_json`], refusing equal keys.
pub(crate) fn yaml_to_json_strict(text: &[u8]) -> Result<Value> {
    borax_yaml::to_json_strict(text).map_err(|error| syntax(&error, 0))
}

/// A node as kyaml writes it.
pub(crate) fn to_yaml(tree: &Tree, node: NodeId) -> Result<String> {
    let node = export(tree, node);
    borax_yaml::write(&node, Format::KYAML).map_err(|error| syntax(&error, 0))
}

fn export(tree: &Tree, id: NodeId) -> Node {
    let cell = tree.cell(id);
    let data = match cell.kind() {
        Kind::Scalar => Data::Scalar(cell.text().clone()),
        Kind::Sequence => {
            Data::Sequence(cell.content().iter().map(|item| export(tree, *item)).collect())
        }
        Kind::Mapping => Data::Mapping(
            cell.content()
                .chunks_exact(2)
                .map(|pair| (export(tree, pair[0]), export(tree, pair[1])))
                .collect(),
        ),
    };
    let mut node = Node::default();
    (node.data, node.tag, node.style) = (data, cell.tag().clone(), cell.style);
    node
}

/// Puts copies in the place of aliases, where there can be any.
fn expand(node: &mut Node, text: &[u8], lines_before: u32) -> Result<()> {
    if !text.contains(&b'*') {
        return Ok(());
    }
    node.expand_aliases().map_err(|error| syntax(&error, lines_before))
}

fn syntax(error: &borax_yaml::Error, lines_before: u32) -> Diagnostics {
    let line = if error.line == 0 { 0 } else { error.line + lines_before };
    let mut found = Diagnostics::new(error.message.clone()).at_line(line, error.column);
    found.malformed = true;
    found
}

/// The documents of a text, before anything is asked of them.
fn raw(tree: &mut Tree, text: &[u8]) -> Result<Vec<NodeId>> {
    let text: Cow<'_, [u8]> = if text.contains(&b'\r') {
        let mut plain = Vec::with_capacity(text.len());
        for (at, byte) in text.iter().enumerate() {
            if *byte != b'\r' || text.get(at + 1) != Some(&b'\n') {
                plain.push(*byte);
            }
        }
        plain.into()
    } else {
        text.into()
    };
    let parts = split(&text)?;
    let options = Options { comments: false, ..Options::default() };
    let mut nodes = Vec::new();
    for (part, lines_before) in &parts {
        let node = parse_first(part, &options).map_err(|error| syntax(&error, *lines_before))?;
        let Some(mut node) = node.filter(|node| node.tag != Tag::Null) else { continue };
        expand(&mut node, part, *lines_before)?;
        let root = tree.import(node);
        let kind = tree.text_at(root, &["kind"]);
        let is_list = kind == "List" || kind == "ResourceList";
        let items = tree.field(root, "items");
        if parts.len() == 1
            && is_list
            && (items.is_some() || tree.field(root, "functionConfig").is_some())
        {
            if let Some(items) = items {
                nodes.extend_from_slice(tree.content(items));
            }
            continue;
        }
        nodes.push(root);
    }
    for node in &nodes {
        resolve_merges(tree, *node)?;
    }
    Ok(nodes)
}

/// Splits at lines that begin with `---`, and counts the lines before each part.
fn split(text: &[u8]) -> Result<Vec<(&[u8], u32)>> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut lines_before = 0;
    let mut at = 0;
    let lines = |from: usize, to: usize| {
        text[from..to].iter().filter(|byte| **byte == b'\n').count() as u32
    };
    while let Some(found) = text[at..].windows(4).position(|window| window == b"\n---") {
        let separator = at + found;
        let Some(end) = text[separator + 1..].iter().position(|byte| *byte == b'\n') else { break };
        let end = separator + 1 + end + 1;
        let rest = text[separator + 4..end].trim_ascii();
        if !rest.is_empty() && rest[0] != b'#' {
            let line = lines_before + lines(start, separator + 1) + 1;
            let separator = String::from_utf8_lossy(text[separator..end].trim_ascii()).into_owned();
            let mut found = Diagnostics::new(format!("invalid document separator: {separator}"))
                .at_line(line, 1);
            found.malformed = true;
            return Err(found);
        }
        // The line break before the separator belongs to the document.
        parts.push((&text[start..=separator], lines_before));
        lines_before += lines(start, end);
        start = end;
        at = end;
    }
    if !text.is_empty() {
        parts.push((&text[start..], lines_before));
    }
    Ok(parts)
}

/// Puts in what `<<` names, and takes the key away.
fn resolve_merges(tree: &mut Tree, node: NodeId) -> Result<()> {
    if tree.kind(node) == Kind::Mapping {
        let keys: Vec<usize> = (0..tree.content(node).len())
            .step_by(2)
            .filter(|at| *tree.cell(tree.content(node)[*at]).tag() == Tag::Merge)
            .collect();
        match keys.as_slice() {
            [] => {}
            [at] => {
                let value = tree.content(node)[at + 1];
                resolve_merges(tree, value)?;
                let sources = merge_sources(tree, value)?;
                tree.clear(node, "<<")?;
                let own = tree.content(node).to_vec();
                for source in sources {
                    let copy = tree.copy(source);
                    let entries = tree.content(copy).to_vec();
                    set_entries(tree, node, &entries);
                }
                set_entries(tree, node, &own);
            }
            _ => return fail("duplicate merge key"),
        }
    }
    for child in tree.content(node).to_vec() {
        if tree.kind(child) != Kind::Scalar {
            resolve_merges(tree, child)?;
        }
    }
    Ok(())
}

fn merge_sources(tree: &Tree, value: NodeId) -> Result<Vec<NodeId>> {
    match tree.kind(value) {
        Kind::Mapping => Ok(vec![value]),
        Kind::Sequence => {
            let mut sources = Vec::new();
            for item in tree.content(value) {
                if tree.kind(*item) != Kind::Mapping {
                    return fail("invalid map merge: received what is no map");
                }
                sources.insert(0, *item);
            }
            Ok(sources)
        }
        Kind::Scalar => fail("map merge requires map or sequence of maps as the value"),
    }
}

fn set_entries(tree: &mut Tree, map: NodeId, entries: &[NodeId]) {
    for pair in entries.chunks_exact(2) {
        let key = tree.text(pair[0]).clone();
        let content = tree.content(map);
        let found = (0..content.len()).step_by(2).find(|at| *tree.text(content[*at]) == key);
        let cell = tree.cell_mut(map);
        match found {
            Some(at) => cell.content_mut()[at..at + 2].copy_from_slice(pair),
            None => cell.edit(|content| content.extend_from_slice(pair)),
        }
    }
}

/// Drops empty nodes and refuses what is no object.
fn good_ones(tree: &Tree, nodes: Vec<NodeId>) -> Result<Vec<NodeId>> {
    let mut good = Vec::with_capacity(nodes.len());
    for node in nodes {
        if tree.is_empty(node) {
            continue;
        }
        validate(tree, node)?;
        good.push(node);
    }
    Ok(good)
}

/// Refuses a node without kind or name.
fn validate(tree: &Tree, node: NodeId) -> Result<()> {
    let kind = tree.text_at(node, &["kind"]);
    let name = resource::name(tree, node);
    let api_version = tree.text_at(node, &["apiVersion"]);
    if kind.is_empty() && api_version.is_empty() && name.is_empty() {
        return fail("missing Resource metadata: this is no Kubernetes object");
    }
    if kind.is_empty() {
        return fail(format!("missing kind in object {api_version} {name}"));
    }
    if name.is_empty() && !kind.ends_with("List") {
        return fail(format!("missing metadata.name in object {api_version} {kind}"));
    }
    Ok(())
}

/// Puts the items of `FooList` objects in their place, at the end.
fn unpack_lists(tree: &mut Tree, nodes: Vec<NodeId>) -> Result<Vec<NodeId>> {
    let mut queue: VecDeque<NodeId> = nodes.into();
    let mut result = Vec::with_capacity(queue.len());
    while let Some(node) = queue.pop_front() {
        let kind = resource::kind(tree, node);
        if !kind.ends_with("List") {
            result.push(node);
            continue;
        }
        let Value::Object(mut map) = to_value(tree, node)? else {
            result.push(node);
            continue;
        };
        match map.remove("items") {
            None => result.push(node),
            Some(Value::Null) => {}
            Some(Value::Array(items)) => {
                for item in items {
                    let inner = from_json(tree, &item);
                    let inner = good_ones(tree, vec![inner])?;
                    queue.extend(inner);
                }
            }
            Some(_) => return fail(format!("expected array in {kind}/items")),
        }
    }
    Ok(result)
}
