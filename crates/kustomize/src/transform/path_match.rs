//! All the nodes that a path leads to, with `*` for every element and regular expressions for values.
//!
//! Source of behaviour: kyaml `yaml/match.go` (`PathMatcher`).

use regex::Regex;

use crate::diag::{Diagnostics, Result, fail};
use crate::documents;
use crate::selector::compile;
use crate::tree::{Kind, NodeId, Tree, is_list_index, part_kind, split_index};
use borax_yaml::Quoting;

/// The nodes at the end of `path`; what is missing is created when `create` says as what.
pub(crate) fn find(
    tree: &mut Tree,
    node: NodeId,
    path: &[String],
    create: Option<Kind>,
) -> Result<Vec<NodeId>> {
    let Some((first, rest)) = path.split_first() else { return Ok(vec![node]) };
    if first.parse::<i64>().is_ok_and(|index| index >= 0) {
        return at_index(tree, node, first, rest, create);
    }
    if is_list_index(first) {
        return matching(tree, node, first, rest, create);
    }
    if first == "*" {
        return each(tree, node, rest, create);
    }
    at_field(tree, node, first, rest, create)
}

fn next_kind(rest: &[String], last: Kind) -> Kind {
    part_kind(rest.first().map_or("", String::as_str), last)
}

fn each(
    tree: &mut Tree,
    node: NodeId,
    rest: &[String],
    create: Option<Kind>,
) -> Result<Vec<NodeId>> {
    tree.expect(node, Kind::Sequence)?;
    let mut found = Vec::new();
    for element in tree.content(node).to_vec() {
        found.extend(find(tree, element, rest, create)?);
    }
    Ok(found)
}

fn at_field(
    tree: &mut Tree,
    node: NodeId,
    name: &str,
    rest: &[String],
    create: Option<Kind>,
) -> Result<Vec<NodeId>> {
    let field = match (tree.get(node, name)?, create) {
        (Some(field), _) => field,
        (None, None) => return Ok(Vec::new()),
        (None, Some(kind)) => {
            let created = tree.new_node(next_kind(rest, kind));
            match tree.set_field(node, name, Some(created))? {
                Some(created) => created,
                None => return Ok(Vec::new()),
            }
        }
    };
    if tree.kind(field) == Kind::Scalar && !rest.is_empty() {
        // The path goes on inside a text. What is found there is no part of the object.
        let text = tree.text(field).clone();
        return match documents::read_one(tree, text.as_bytes())? {
            Some(inner) => find(tree, inner, rest, create),
            None => Ok(Vec::new()),
        };
    }
    find(tree, field, rest, create)
}

fn at_index(
    tree: &mut Tree,
    node: NodeId,
    index: &str,
    rest: &[String],
    create: Option<Kind>,
) -> Result<Vec<NodeId>> {
    tree.expect(node, Kind::Sequence)?;
    let place: usize =
        index.parse().map_err(|_| Diagnostics::new(format!("index {index} is too large")))?;
    let length = tree.content(node).len();
    if let (true, Some(kind)) = (place == length, create) {
        let element = tree.new_node(next_kind(rest, kind));
        tree.append(node, element);
    }
    match tree.content(node).get(place).copied() {
        Some(element) => find(tree, element, rest, create),
        None => fail(format!("index {place} specified but only {length} elements found")),
    }
}

fn matching(
    tree: &mut Tree,
    node: NodeId,
    step: &str,
    rest: &[String],
    create: Option<Kind>,
) -> Result<Vec<NodeId>> {
    let (field, pattern) = split_index(step)?;
    tree.expect(node, Kind::Sequence)?;
    let regex = if tree.content(node).is_empty() { None } else { Some(compile(pattern)?) };
    let found = match &regex {
        Some(regex) => matches(tree, node, field, regex, rest, create)?,
        None => Vec::new(),
    };
    if !found.is_empty() || create.is_none() {
        return Ok(found);
    }
    let value = tree.scalar(pattern);
    let element = if field.is_empty() {
        value
    } else {
        let key = tree.scalar(field);
        tree.mapping(vec![key, value])
    };
    tree.append(node, element);
    let regex = compile(pattern)?;
    let found = matches(tree, node, field, &regex, rest, create)?;
    if found.is_empty() {
        return fail(format!("the element created for {step:?} doesn't match it"));
    }
    Ok(found)
}

fn matches(
    tree: &mut Tree,
    node: NodeId,
    field: &str,
    regex: &Regex,
    rest: &[String],
    create: Option<Kind>,
) -> Result<Vec<NodeId>> {
    let mut found = Vec::new();
    for element in tree.content(node).to_vec() {
        if field.is_empty() {
            if regex.is_match(&written(tree, element)) {
                found.push(element);
            }
        } else if let Some(value) = tree.field(element, field)
            && regex.is_match(&written(tree, value))
        {
            found.extend(find(tree, element, rest, create)?);
        }
    }
    Ok(found)
}

/// A scalar as it stands in YAML, quotes included.
fn written(tree: &Tree, node: NodeId) -> String {
    let cell = tree.cell(node);
    match cell.style.quoting {
        Quoting::Double => format!("\"{}\"", cell.text()),
        Quoting::Single => format!("'{}'", cell.text()),
        _ => cell.text().trim().to_owned(),
    }
}
