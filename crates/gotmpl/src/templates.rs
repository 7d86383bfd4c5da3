//! A set of named templates, as Go's associated templates: later definitions replace earlier ones,
//! except that a blank one replaces nothing. Knows no values.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::ParseError;
use crate::func::FuncMap;
use crate::node::Tree;
use crate::parse::parse;

/// Named templates, parsed. A set can lie over another one without changing it, as Go's `Clone`.
#[derive(Debug, Default)]
pub struct Templates {
    name: String,
    below: Option<Arc<Templates>>,
    trees: HashMap<Arc<str>, Arc<Tree>>,
}

impl Templates {
    /// An empty set.
    pub fn new() -> Templates {
        Templates::default()
    }

    /// An empty set of that name, which errors about templates that are not there mention.
    pub fn named(name: impl Into<String>) -> Templates {
        Templates { name: name.into(), ..Templates::default() }
    }

    /// The set's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An empty set over another, whose templates stay visible until redefined.
    pub fn over(below: Arc<Templates>) -> Templates {
        Templates { name: below.name.clone(), below: Some(below), trees: HashMap::new() }
    }

    /// Parses a text as the template of that name, with the templates it defines. In a set over another,
    /// the text itself hides a template of its name below even when it is blank.
    ///
    /// # Errors
    /// What Go's parser refuses, in its words. The set is unchanged then.
    pub fn parse(&mut self, name: &str, text: &[u8], funcs: &FuncMap) -> Result<(), ParseError> {
        self.parse_with(name, text, &|f| funcs.get(f).is_some())
    }

    /// As [`Templates::parse`], asking the closure which function names exist beside the builtins.
    ///
    /// # Errors
    /// As [`Templates::parse`].
    pub fn parse_with(
        &mut self,
        name: &str,
        text: &[u8],
        is_function: &dyn Fn(&str) -> bool,
    ) -> Result<(), ParseError> {
        for tree in parse(name, text, is_function)? {
            let own = self.below.is_some() && tree.name() == name;
            if !own && tree.is_blank() && self.lookup(tree.name()).is_some() {
                continue;
            }
            self.trees.insert(tree.name.clone(), Arc::new(tree));
        }
        Ok(())
    }

    /// The template of that name.
    pub fn lookup(&self, name: &str) -> Option<&Arc<Tree>> {
        let mut set = self;
        loop {
            if let Some(tree) = set.trees.get(name) {
                return Some(tree);
            }
            set = set.below.as_deref()?;
        }
    }
}
