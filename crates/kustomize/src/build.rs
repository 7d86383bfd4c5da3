//! A build: from a directory with a kustomization to the finished objects.
//!
//! ```text
//! accumulate(target): resources ─► configuration ─► generators ─► components ─► transformers
//!                     ─► validators ─► vars            (recursively for directories)
//! run:                accumulate ─► hashes ─► name references ─► vars ─► local config ─► order
//! ```
//!
//! Source of behaviour: kustomize `api/krusty/kustomizer.go`, `api/internal/target/kusttarget.go`.

use std::sync::Arc;

use borax_stdx::files::Files;

use crate::accumulate::{Accumulator, Target};
use crate::config::{Config, SharedConfig};
use crate::diag::{Diagnostics, Result, fail};
use crate::documents;
use crate::fieldspec::FieldSpec;
use crate::loader::Loader;
use crate::nameref;
use crate::options::{Options, Order};
use crate::resmap::ResMap;
use crate::resource::{self, BUILD_ANNOTATIONS, ORIGIN, TRANSFORMATIONS};
use crate::schema::Schema;
use crate::transform::{hash, metadata, sort};
use crate::tree::Tree;
use crate::vars;

/// What a build carries along.
pub(crate) struct Build<'a> {
    pub(crate) files: &'a dyn Files,
    pub(crate) options: &'a Options<'a>,
    pub(crate) tree: Tree,
    pub(crate) schema: Schema,
    /// What transformers do unasked, and the same merged into an empty configuration.
    pub(crate) built_in: Arc<Config>,
    pub(crate) unasked: SharedConfig,
    pub(crate) warnings: Vec<String>,
}

const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

impl<'a> Build<'a> {
    pub(crate) fn new(files: &'a dyn Files, options: &'a Options<'a>) -> Build<'a> {
        let built_in = Arc::new(Config::built_in());
        // The tables agree with themselves, so there is nothing to refuse.
        let merged =
            Config::default().merge(&built_in).map_or_else(|_| Arc::clone(&built_in), Arc::new);
        let unasked = SharedConfig::merged(merged);
        Build {
            files,
            options,
            tree: Tree::default(),
            schema: Schema::default(),
            unasked,
            built_in,
            warnings: Vec::new(),
        }
    }

    /// Notes something that is no error.
    pub(crate) fn warn(&mut self, text: String) {
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    /// Builds the directory at `path`.
    pub(crate) fn run(&mut self, path: &str) -> Result<ResMap> {
        let loader = Loader::new(self, path)?;
        let mut target = Target::load(self, loader)?;
        self.choose_schema(&target)?;
        target.start_origin();
        let accumulated = target.accumulate(self, Accumulator::default())?;
        let Accumulator { mut map, config, vars } = accumulated;
        hash::transform(&mut self.tree, &self.schema, &mut map)?;
        if let Some(config) = config.get() {
            nameref::transform(self, &mut map, config)?;
            vars::resolve(self, &mut map, &vars, config)?;
        }
        self.drop_local_config(&mut map)?;
        let k = &target.kustomization;
        match (&k.sort_options, self.options.order) {
            (Some(options), order) => {
                if order != Order::Unspecified {
                    self.warn(
                        "the order is set both in 'sortOptions' and by an option; 'sortOptions' wins"
                            .to_owned(),
                    );
                }
                options.apply(&self.tree, &self.schema, &mut map)?;
            }
            (None, Order::Unspecified | Order::Legacy) => {
                sort::legacy(&self.tree, &self.schema, &mut map)?;
            }
            (None, Order::None) => {}
        }
        let wants = |option: &str| k.build_metadata.iter().any(|have| have == option);
        if self.options.managed_by_label || wants("managedByLabel") {
            let label = [(MANAGED_BY.to_owned(), self.options.managed_by.clone())];
            let specs = [FieldSpec::new("metadata/labels", true)];
            metadata::set_pairs(&mut self.tree, &mut map, &label.into(), &specs)?;
        }
        self.clean(&map, wants("originAnnotations"), wants("transformerAnnotations"))?;
        Ok(map)
    }

    /// Takes over the schema that a kustomization names; the first to name one decides.
    pub(crate) fn choose_schema(&mut self, target: &Target<'_>) -> Result<()> {
        if !self.schema.is_open() {
            return Ok(());
        }
        let openapi = &target.kustomization.openapi;
        match (openapi.get("path"), openapi.get("version").map(String::as_str)) {
            (Some(_), Some(_)) => {
                fail("openapi: builtin version and custom schema provided, cannot use both")
            }
            (Some(path), None) => {
                let text = target.loader.load(self, path)?;
                let file = target.loader.join(path);
                let document = documents::yaml_to_json(&text).map_err(|e| e.at(&file))?;
                self.schema
                    .choose(&document)
                    .map_err(|error| Diagnostics::new(error.to_string()).at(&file))?;
                Ok(())
            }
            (None, None | Some("")) => Ok(()),
            (None, Some("v1.21.2")) => {
                self.schema.choose_built_in();
                Ok(())
            }
            (None, Some(version)) => fail(format!(
                "openapi: the specified OpenAPI version {version} is not built in; v1.21.2 is"
            )),
        }
    }

    /// Drops objects that say they are for local use.
    fn drop_local_config(&mut self, map: &mut ResMap) -> Result<()> {
        let tree = &self.tree;
        let is_local = |node| {
            resource::annotation(tree, node, LOCAL_CONFIG).is_some_and(|value| value != "false")
        };
        if map.nodes().into_iter().any(is_local) {
            map.resources_mut().retain(|resource| !resource.node.is_some_and(is_local));
        }
        for node in map.nodes() {
            if resource::kind(tree, node).is_empty() {
                return fail(format!("missing kind in object {}", resource::name(tree, node)));
            }
            if resource::name(tree, node).is_empty()
                && !resource::kind(tree, node).ends_with("List")
            {
                return fail(format!(
                    "missing metadata.name in object {}",
                    resource::kind(tree, node)
                ));
            }
        }
        Ok(())
    }

    /// Takes the notes of the build away.
    fn clean(&mut self, map: &ResMap, keep_origin: bool, keep_changes: bool) -> Result<()> {
        for node in map.nodes() {
            let mut annotations = resource::annotations(&self.tree, node);
            if annotations.is_empty() && keep_origin && keep_changes {
                continue;
            }
            annotations.retain(|key, _| {
                !BUILD_ANNOTATIONS.contains(&key.as_str())
                    && (keep_origin || key != ORIGIN)
                    && (keep_changes || key != TRANSFORMATIONS)
            });
            resource::set_annotations(&mut self.tree, node, &annotations)?;
        }
        Ok(())
    }
}
