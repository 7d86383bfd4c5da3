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
use crate::finish::{Finished, finish};
use crate::loader::Loader;
use crate::memo::Recall;
use crate::options::Options;
use crate::schema::Schema;
use crate::tree::Tree;

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
    /// What is remembered of the last build, and what will be of this one.
    pub(crate) memo: Option<Recall<'a>>,
}

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
            memo: None,
        }
    }

    /// Says that what happens now can't be told from the files.
    pub(crate) fn stop_remembering(&self) {
        if let Some(memo) = &self.memo {
            memo.stop();
        }
    }

    /// Notes something that is no error.
    pub(crate) fn warn(&mut self, text: String) {
        if let Some(memo) = &mut self.memo {
            memo.warned(&text);
        }
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    /// Builds the directory at `path`; `before` is what an earlier build of it came to.
    pub(crate) fn run(&mut self, path: &str, before: Option<Finished>) -> Result<Finished> {
        let loader = Loader::new(self, path)?;
        let mut target = Target::load(self, loader)?;
        self.choose_schema(&target)?;
        target.start_origin();
        let gathered = target.accumulate(self, Accumulator::default())?;
        if let Some(memo) = &mut self.memo {
            memo.gathered(&mut self.tree);
        }
        finish(self, &target, gathered, before)
    }

    /// Takes over the schema that a kustomization names; the first to name one decides.
    pub(crate) fn choose_schema(&mut self, target: &Target<'_>) -> Result<()> {
        if !self.schema.is_open() {
            return Ok(());
        }
        let openapi = &target.kustomization.openapi;
        if !openapi.is_empty() {
            self.stop_remembering();
        }
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
}
