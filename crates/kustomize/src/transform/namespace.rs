//! Namespaces: of objects, of the services that webhooks name, of role binding subjects.
//!
//! Source of behaviour: kustomize `api/filters/namespace`,
//! `api/internal/builtins/NamespaceTransformer.go`.

use std::collections::HashMap;

use borax_yaml::Tag;

use crate::diag::{Result, fail};
use crate::fieldspec::{self, Create, FieldSpec};
use crate::resmap::ResMap;
use crate::resource::{self, HELM_GENERATED};
use crate::schema::Schema;
use crate::tree::{Kind, NodeId, Tree};

/// Which subjects of role bindings get the namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Subjects {
    /// Those with the name `default`.
    #[default]
    Default,
    /// All service accounts.
    ServiceAccounts,
    /// None.
    None,
}

/// What a namespace transformer does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Namespace {
    pub(crate) namespace: String,
    pub(crate) specs: Vec<FieldSpec>,
    /// Only where there is none yet.
    pub(crate) unset_only: bool,
    pub(crate) subjects: Subjects,
}

impl Namespace {
    /// Sets the namespace on all objects.
    pub(crate) fn transform(
        &self,
        tree: &mut Tree,
        schema: &Schema,
        map: &mut ResMap,
    ) -> Result<()> {
        if self.namespace.is_empty() {
            return Ok(());
        }
        for object in map.nodes() {
            let by_helm = resource::annotation(tree, object, HELM_GENERATED);
            if tree.is_empty(object) || by_helm.is_some_and(|value| value == "true") {
                continue;
            }
            resource::store_previous_id(tree, schema, object)?;
            self.apply(tree, schema, object)?;
        }
        map.forget_index();
        let mut seen = HashMap::new();
        for ids in map.ids(tree, schema) {
            if let Some(first) = seen.insert(ids.current.key(), ids.original()) {
                return fail(format!(
                    "namespace transformation produces ID conflict: {first} and {} both become {}",
                    ids.original(),
                    ids.current
                ));
            }
        }
        Ok(())
    }

    /// Sets the namespace on one object.
    pub(crate) fn apply(&self, tree: &mut Tree, schema: &Schema, object: NodeId) -> Result<()> {
        let api_version = resource::api_version(tree, object);
        let kind = resource::kind(tree, object);
        if !schema.is_cluster_scoped(&api_version, &kind) {
            let spec = FieldSpec::new("metadata/namespace", true);
            // Created without a tag, unlike below.
            let create = Create::scalar(Tag::None);
            fieldspec::apply(tree, object, &spec, create.as_ref(), &mut |tree, at| {
                self.set(tree, at)
            })?;
        }
        let is_binding = kind == "RoleBinding" || kind == "ClusterRoleBinding";
        if is_binding {
            self.set_subjects(tree, object)?;
        }
        for spec in &self.specs {
            let of_subjects = (spec.gvk.kind == "RoleBinding"
                || spec.gvk.kind == "ClusterRoleBinding")
                && spec.path == "subjects/namespace";
            let skip = spec.path == "metadata/namespace"
                || (spec.path == "metadata/name" && api_version != "v1")
                || (is_binding && of_subjects);
            if !skip {
                let create = Create::scalar(Tag::Str);
                fieldspec::apply(tree, object, spec, create.as_ref(), &mut |tree, at| {
                    self.set(tree, at)
                })
                .map_err(|e| e.during("namespace transformation failed"))?;
            }
        }
        Ok(())
    }

    fn set(&self, tree: &mut Tree, at: NodeId) -> Result<()> {
        if self.unset_only && !tree.is_empty(at) && !tree.text(at).is_empty() {
            return Ok(());
        }
        let value = tree.tagged(self.namespace.as_str(), Tag::Str);
        tree.set_scalar(at, value)
    }

    fn set_subjects(&self, tree: &mut Tree, object: NodeId) -> Result<()> {
        let (field, wanted) = match self.subjects {
            Subjects::None => return Ok(()),
            Subjects::Default => ("name", "default"),
            Subjects::ServiceAccounts => ("kind", "ServiceAccount"),
        };
        let Some(subjects) = tree.get(object, "subjects")?.filter(|at| !tree.is_null(*at)) else {
            return Ok(());
        };
        tree.expect(subjects, Kind::Sequence)?;
        for at in 0..tree.content(subjects).len() {
            let subject = tree.content(subjects)[at];
            let found = tree.get(subject, field)?;
            if !found.is_some_and(|at| tree.text(at) == wanted && !tree.is_null(at)) {
                continue;
            }
            let created = tree.lookup_create(subject, &["namespace"], Some(Kind::Scalar))?;
            if let Some(namespace) = created {
                self.set(tree, namespace)?;
            }
        }
        Ok(())
    }
}
