//! What aliases stand for, and how much of a value may come from them. Owns go-yaml's rules about
//! both; builds no values.

use std::collections::HashMap;

use crate::error::{Error, ErrorKind};
use crate::{Data, Node, Text};

/// Follows aliases while a tree is decoded.
pub(crate) struct Aliases<'n> {
    root: &'n Node,
    /// By an alias node's address; filled when the first alias is met.
    targets: Option<HashMap<usize, &'n Node>>,
    /// Addresses of the aliases that are being followed.
    following: Vec<usize>,
    decoded: u64,
    from_aliases: u64,
    depth: usize,
    max_depth: usize,
}

impl<'n> Aliases<'n> {
    pub(crate) fn new(root: &'n Node, max_depth: usize) -> Aliases<'n> {
        Aliases {
            root,
            targets: None,
            following: Vec::new(),
            decoded: 0,
            from_aliases: 0,
            depth: 0,
            max_depth,
        }
    }

    /// Counts one decoded node, and refuses when too many of them come from aliases or when nodes
    /// stand too deep inside each other.
    pub(crate) fn enter(&mut self, node: &Node) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > self.max_depth {
            let message = format!("yaml: exceeded max depth of {}", self.max_depth);
            return Err(error_at(node, ErrorKind::Limit, message));
        }
        self.decoded += 1;
        if !self.following.is_empty() {
            self.from_aliases += 1;
        }
        if self.from_aliases > 100
            && self.decoded > 1000
            && self.from_aliases as f64 / self.decoded as f64 > allowed_ratio(self.decoded)
        {
            let message = "yaml: document contains excessive aliasing";
            return Err(error_at(node, ErrorKind::Limit, message));
        }
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Begins to follow an alias. [`Aliases::done`] must follow.
    pub(crate) fn follow(&mut self, alias: &'n Node, name: &str) -> Result<&'n Node, Error> {
        let address = address(alias);
        if self.following.contains(&address) {
            let message = format!("yaml: anchor '{name}' value contains itself");
            return Err(error_at(alias, ErrorKind::Content, message));
        }
        let target = self.target(alias).ok_or_else(|| {
            let message = format!("yaml: unknown anchor '{name}' referenced");
            error_at(alias, ErrorKind::Content, message)
        })?;
        self.following.push(address);
        Ok(target)
    }

    pub(crate) fn done(&mut self) {
        self.following.pop();
    }

    /// The node an alias stands for.
    pub(crate) fn target(&mut self, alias: &'n Node) -> Option<&'n Node> {
        let root = self.root;
        let targets = self.targets.get_or_insert_with(|| {
            let mut targets = HashMap::new();
            collect(root, &mut HashMap::new(), &mut targets);
            targets
        });
        targets.get(&address(alias)).copied()
    }
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node) as usize
}

/// In document order: an alias stands for the last node before it with its name.
fn collect<'n>(
    node: &'n Node,
    anchors: &mut HashMap<Text, &'n Node>,
    targets: &mut HashMap<usize, &'n Node>,
) {
    if !node.anchor().is_empty() {
        anchors.insert(Text::from(node.anchor()), node);
    }
    match &node.data {
        Data::Scalar(_) => {}
        Data::Alias(name) => {
            if let Some(target) = anchors.get(name) {
                targets.insert(address(node), target);
            }
        }
        Data::Sequence(items) => items.iter().for_each(|item| collect(item, anchors, targets)),
        Data::Mapping(entries) => entries.iter().for_each(|(key, value)| {
            collect(key, anchors, targets);
            collect(value, anchors, targets);
        }),
    }
}

/// go-yaml's share: 99 % of a small document may come from aliases, 10 % of a large one.
fn allowed_ratio(decoded: u64) -> f64 {
    const LOW: u64 = 400_000;
    const HIGH: u64 = 4_000_000;
    match decoded {
        ..=LOW => 0.99,
        HIGH.. => 0.10,
        _ => 0.99 - 0.89 * ((decoded - LOW) as f64 / (HIGH - LOW) as f64),
    }
}

pub(crate) fn error_at(node: &Node, kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, node.position.line, node.position.column, message)
}

impl Node {
    /// Puts copies of the anchored nodes in the place of aliases, and takes the anchors away.
    ///
    /// Fails for an alias without an anchor before it, for one inside its own anchor's node, and
    /// when go-yaml would refuse for the share that comes from aliases. Merge keys stay as they are.
    pub fn expand_aliases(&mut self) -> Result<(), Error> {
        let expanded = expand(self, &mut Aliases::new(self, crate::parse::MAX_DEPTH))?;
        *self = expanded;
        Ok(())
    }
}

fn expand<'n>(node: &'n Node, aliases: &mut Aliases<'n>) -> Result<Node, Error> {
    aliases.enter(node)?;
    let data = match &node.data {
        Data::Alias(name) => {
            let target = aliases.follow(node, name)?;
            let copy = expand(target, aliases)?;
            aliases.done();
            aliases.leave();
            return Ok(copy);
        }
        Data::Scalar(text) => Data::Scalar(text.clone()),
        Data::Sequence(items) => Data::Sequence(
            items.iter().map(|item| expand(item, aliases)).collect::<Result<_, _>>()?,
        ),
        Data::Mapping(entries) => Data::Mapping(
            entries
                .iter()
                .map(|(key, value)| Ok((expand(key, aliases)?, expand(value, aliases)?)))
                .collect::<Result<_, Error>>()?,
        ),
    };
    aliases.leave();
    let Node { tag, style, position, extra, .. } = node;
    let mut copy =
        Node { data, tag: tag.clone(), style: *style, position: *position, extra: extra.clone() };
    copy.set_anchor("");
    Ok(copy)
}
