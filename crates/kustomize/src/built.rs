//! The objects of a build whose values are made one by one, when they are asked for.

use std::sync::Arc;

use serde_json::Value;

use crate::diag::Result;
use crate::objects::Object;
use crate::resource;
use crate::scalar;
use crate::tree::{NodeId, Tree};

/// An object's node, and the file it was read from.
type Root = (NodeId, Option<Arc<str>>);

/// A finished build, which makes its objects' values one by one, in order.
#[derive(Debug)]
pub struct Built {
    tree: Tree,
    list: std::vec::IntoIter<Root>,
    warnings: Vec<String>,
}

impl Built {
    /// Of nodes in order, each with the file it was read from. Refuses what has no place in JSON.
    pub(crate) fn new(tree: Tree, list: Vec<Root>, warnings: Vec<String>) -> Result<Built> {
        for (node, file) in &list {
            value(&tree, *node, file.as_ref())?;
        }
        Ok(Built { tree, list: list.into_iter(), warnings })
    }

    /// As [`Objects::warnings`](crate::Objects::warnings).
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl Iterator for Built {
    type Item = Object;

    fn next(&mut self) -> Option<Object> {
        let (node, file) = self.list.next()?;
        // Nothing has changed since this went well for all of them.
        let value = value(&self.tree, node, file.as_ref()).ok()?;
        Some(Object { value, file })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.list.size_hint()
    }
}

impl ExactSizeIterator for Built {}

/// The value of an object's node.
pub(crate) fn value(tree: &Tree, node: NodeId, file: Option<&Arc<str>>) -> Result<Arc<Value>> {
    let value = scalar::to_value(tree, node).map_err(|found| {
        let (kind, name) = (resource::kind(tree, node), resource::name(tree, node));
        let found = found.during(format!("{kind} {name}"));
        match file {
            Some(file) => found.at(file),
            None => found,
        }
    })?;
    Ok(Arc::new(value))
}
