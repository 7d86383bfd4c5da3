//! Which schema a build goes by: the built-in one, or the one its `openapi` field names.
//!
//! Source of behaviour: kyaml `openapi/openapi.go` (`SetSchema`, `IsNamespaceScoped`).

use std::cell::Cell;

use borax_schema::{CompileError, Scope, Table, Type};
use serde_json::Value;

use crate::merge::Schemas;

/// The schema of a build.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    custom: Option<Table>,
    /// Whether a kustomization has chosen one; the first to choose wins.
    chosen: bool,
    /// Whether the built-in schema was needed before another one was chosen.
    used: Cell<bool>,
}

impl Schema {
    /// Whether no kustomization has chosen a schema yet.
    pub(crate) fn is_open(&self) -> bool {
        !self.chosen
    }

    /// Whether the built-in schema was needed since this was asked last.
    pub(crate) fn take_used(&self) -> bool {
        self.used.take()
    }

    /// Says that the built-in schema was needed.
    pub(crate) fn mark_used(&self) {
        self.used.set(true);
    }

    /// Chooses the built-in schema.
    pub(crate) fn choose_built_in(&mut self) {
        self.chosen = true;
    }

    /// Chooses a schema of one's own. For merges it is the only one then, unless the built-in one was
    /// needed before.
    pub(crate) fn choose(&mut self, document: &Value) -> Result<(), CompileError> {
        self.custom = Some(match self.used.get() {
            true => Table::compile_onto(borax_schema::kustomize(), document)?,
            false => Table::compile(document)?,
        });
        self.chosen = true;
        Ok(())
    }

    /// Whether objects of this kind are known to have no namespace.
    pub(crate) fn is_cluster_scoped(&self, api_version: &str, kind: &str) -> bool {
        let own = || {
            self.used.set(true);
            self.custom.as_ref().and_then(|table| table.scope(api_version, kind))
        };
        let scope = borax_schema::kustomize().scope(api_version, kind).or_else(own);
        scope == Some(Scope::Cluster)
    }
}

impl Schemas for Schema {
    fn type_of(&self, api_version: &str, kind: &str) -> Option<Type<'_>> {
        self.used.set(true);
        let table = self.custom.as_ref().unwrap_or_else(|| borax_schema::kustomize());
        table.type_of(api_version, kind)
    }
}
