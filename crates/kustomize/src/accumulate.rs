//! Gathering: what a kustomization's directory and those below it come to.
//!
//! Source of behaviour: kustomize `api/internal/target/kusttarget.go`.

use std::sync::Arc;

use serde_json::Value;

use crate::build::Build;
use crate::config::{Config, SharedConfig};
use crate::diag::{Diagnostics, Result, fail};
use crate::documents;
use crate::generate::{Behavior, merge_data};
use crate::kustomization::Kustomization;
use crate::loader::Loader;
use crate::memo::{self, Inherited};
use crate::origin::Origin;
use crate::plugins;
use crate::resmap::ResMap;
use crate::resource::{self, BEHAVIOR, ORIGIN, Resource};
use crate::scalar::to_value;
use crate::transformer::{self, Transformer};
use crate::vars::{self, Vars};

const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// Directories inside each other; the original has no limit but the file system's.
const MAX_DEPTH: usize = 100;

/// What has come together so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accumulator {
    pub(crate) map: ResMap,
    pub(crate) config: SharedConfig,
    pub(crate) vars: Vars,
}

/// A directory with a kustomization.
pub(crate) struct Target<'a> {
    pub(crate) kustomization: Kustomization,
    pub(crate) loader: Loader<'a>,
    pub(crate) file_name: String,
    pub(crate) origin: Option<Origin>,
    helm_namespace: String,
    depth: usize,
}

/// Who made a change, when that is to be noted.
type Named<T> = (T, Option<Origin>);

impl<'a> Target<'a> {
    /// Reads the kustomization of a directory.
    pub(crate) fn load(build: &mut Build<'a>, loader: Loader<'a>) -> Result<Target<'a>> {
        let mut found: Option<(&str, Arc<[u8]>)> = None;
        for name in FILE_NAMES {
            let Ok(text) = loader.load(build, name) else { continue };
            if found.replace((name, text)).is_some() {
                return fail(format!(
                    "Found multiple kustomization files under: {}",
                    loader.root()
                ));
            }
        }
        let Some((file_name, text)) = found else {
            return fail(format!(
                "unable to find one of 'kustomization.yaml', 'kustomization.yml' or \
                 'Kustomization' in directory '{}'",
                loader.root()
            ));
        };
        let file = loader.join(file_name);
        let kustomization = documents::yaml_to_json(&text)
            .and_then(Kustomization::parse)
            .map_err(|e| crate::locate::in_file(e, &text).at(&file))?;
        for field in &kustomization.deprecated {
            build.warn(deprecation(field));
        }
        Ok(Target {
            kustomization,
            loader,
            file_name: file_name.to_owned(),
            origin: None,
            helm_namespace: String::new(),
            depth: 0,
        })
    }

    /// Begins to note origins, if the kustomization asks for any metadata.
    pub(crate) fn start_origin(&mut self) {
        if !self.kustomization.build_metadata.is_empty() {
            self.origin = Some(Origin::default());
        }
    }

    fn file(&self) -> String {
        self.loader.join(&self.file_name)
    }

    /// Adds what this directory comes to. For a component, `into` is what the parent has so far.
    pub(crate) fn accumulate(
        &self,
        build: &mut Build<'a>,
        into: Accumulator,
    ) -> Result<Accumulator> {
        let k = &self.kustomization;
        let file = self.file();
        let mut all = self.accumulate_resources(build, into, &k.resources)?;
        let config = self.configuration(build)?;
        all.config.merge(&config).map_err(|e| e.at(&file))?;
        for path in &k.crds {
            let text = self.loader.load(build, path).map_err(|e| e.during("loading CRDs"))?;
            let crds = documents::yaml_to_json(&text)
                .and_then(|value| Config::from_crds(&value))
                .map_err(|e| e.at(&self.loader.join(path)))?;
            all.config.merge(&SharedConfig::new(Arc::new(crds)))?;
        }
        self.run_generators(build, &mut all).map_err(|e| e.at(&file))?;
        for path in &k.components {
            all = self.accumulate_component(build, all, path)?;
        }
        let config = all.config.get().cloned().unwrap_or_else(|| Arc::clone(&build.built_in));
        let fields = transformer::of_kustomization(build, &self.loader, k, &config);
        let mut list: Vec<Named<Transformer>> = fields
            .map_err(|e| e.at(&file))?
            .into_iter()
            .map(|(name, one)| (one, self.builtin_origin(name)))
            .collect();
        list.extend(self.plugins(build, &k.transformers).map_err(|e| e.at(&file))?);
        for (one, origin) in &list {
            one.run(build, &mut all.map).map_err(|e| e.at(&file))?;
            if let Some(origin) = origin {
                origin.mark_transformed(&mut build.tree, &all.map)?;
            }
            all.map.drop_empties(&build.tree);
        }
        self.run_validators(build, &mut all.map).map_err(|e| e.at(&file))?;
        vars::mark_sources(build, &mut all.map, &k.vars).map_err(|e| e.at(&file))?;
        vars::merge(&mut all.vars, k.vars.iter().cloned()).map_err(|e| e.at(&file))?;
        Ok(all)
    }

    fn configuration(&self, build: &Build<'_>) -> Result<SharedConfig> {
        let mut own: Option<Config> = None;
        for path in &self.kustomization.configurations {
            let text = self.loader.load(build, path).map_err(|e| e.at(&self.file()))?;
            let config = documents::yaml_to_json_strict(&text)
                .and_then(Config::parse)
                .map_err(|e| e.at(&self.loader.join(path)))?;
            own = Some(own.unwrap_or_default().merge(&config)?);
        }
        let Some(own) = own else { return Ok(build.unasked.clone()) };
        let merged = build.built_in.merge(&own).map_err(|e| e.at(&self.file()))?;
        Ok(SharedConfig::new(Arc::new(merged)))
    }

    fn builtin_origin(&self, kind: &str) -> Option<Origin> {
        self.origin.as_ref().map(|origin| origin.of_builtin(&self.file_name, kind))
    }

    /// Adds files and directories; several that fail are told of together.
    fn accumulate_resources(
        &self,
        build: &mut Build<'a>,
        mut into: Accumulator,
        paths: &[String],
    ) -> Result<Accumulator> {
        let mut wrong: Option<Diagnostics> = None;
        for path in paths {
            let added = if self.loader.is_directory(path) {
                self.accumulate_directory(build, path).and_then(|below| into.add(build, below))
            } else {
                match self.accumulate_file(build, &mut into, path) {
                    Ok(()) => Ok(()),
                    Err(found) if found.malformed || !self.may_be_repository(path) => Err(found),
                    Err(_) => self
                        .accumulate_directory(build, path)
                        .and_then(|below| into.add(build, below)),
                }
            };
            if let Err(found) = added {
                let found = found.at(&self.file());
                wrong = Some(match wrong {
                    None => found,
                    Some(before) if before.all().len() > 20 => before,
                    Some(before) => before.join(found),
                });
            }
        }
        wrong.map_or(Ok(into), |found| Err(found.during("accumulating resources")))
    }

    fn may_be_repository(&self, path: &str) -> bool {
        crate::remote::RepoSpec::parse(path).is_some()
    }

    fn accumulate_file(
        &self,
        build: &mut Build<'a>,
        into: &mut Accumulator,
        path: &str,
    ) -> Result<()> {
        let text = self
            .loader
            .load(build, path)
            .map_err(|e| e.during(format!("accumulating resources from '{path}'")))?;
        let file: Arc<str> = self.loader.join(path).into();
        let nodes = documents::read(&mut build.tree, &text).map_err(|e| e.at(&file))?;
        let origin = self.origin.as_ref().map(|origin| origin.append(path));
        for node in nodes {
            if let Some(origin) = &origin {
                let value = origin.text();
                let pairs = [(ORIGIN.to_owned(), value)].into();
                let mut one = ResMap::default();
                one.resources_mut().push(Resource::new(node));
                let specs = [crate::fieldspec::FieldSpec::new("metadata/annotations", true)];
                crate::transform::metadata::set_pairs(&mut build.tree, &mut one, &pairs, &specs)?;
            }
            let resource = Resource { file: Some(Arc::clone(&file)), ..Resource::new(node) };
            into.map.append(&build.tree, &build.schema, resource)?;
        }
        Ok(())
    }

    /// The target of a directory below this one.
    fn below(&self, build: &mut Build<'a>, path: &str) -> Result<Target<'a>> {
        if self.depth >= MAX_DEPTH {
            return fail(format!("bases are nested deeper than {MAX_DEPTH} directories"));
        }
        let loader = self.loader.descend(build, path)?;
        let mut below = Target::load(build, loader)
            .map_err(|e| e.during(format!("couldn't make target for path '{path}'")))?;
        let Inherited { build_metadata, origin, helm_namespace } = self.inherited(path);
        below.kustomization.build_metadata = build_metadata;
        (below.origin, below.helm_namespace) = (origin, helm_namespace);
        below.depth = self.depth + 1;
        build.choose_schema(&below).map_err(|e| e.at(&below.file()))?;
        Ok(below)
    }

    fn accumulate_directory(&self, build: &mut Build<'a>, path: &str) -> Result<Accumulator> {
        memo::recall_or(
            build,
            path,
            || self.inherited(path),
            |build| {
                let below = self.below(build, path)?;
                if below.kustomization.is_component {
                    return fail(format!(
                        "expected kind != 'Component' for path '{}'; list it in 'components'",
                        below.loader.root()
                    ));
                }
                below.accumulate(build, Accumulator::default())
            },
        )
    }

    /// What a directory below this one takes over.
    fn inherited(&self, path: &str) -> Inherited {
        Inherited {
            build_metadata: self.kustomization.build_metadata.clone(),
            origin: self.origin.as_ref().map(|origin| origin.append(path)),
            helm_namespace: match self.kustomization.namespace.as_str() {
                "" => self.helm_namespace.clone(),
                namespace => namespace.to_owned(),
            },
        }
    }

    fn accumulate_component(
        &self,
        build: &mut Build<'a>,
        into: Accumulator,
        path: &str,
    ) -> Result<Accumulator> {
        let with = |e: Diagnostics| e.at(&self.file()).during("accumulating components");
        let below = self.below(build, path).map_err(with)?;
        if !below.kustomization.is_component {
            return fail(format!(
                "expected kind 'Component' for path '{}' but got 'Kustomization'",
                below.loader.root()
            ))
            .map_err(with);
        }
        below.accumulate(build, into).map_err(|e| e.during("accumulating components"))
    }

    fn run_generators(&self, build: &mut Build<'a>, all: &mut Accumulator) -> Result<()> {
        let k = &self.kustomization;
        for (kind, generators) in
            [("ConfigMapGenerator", &k.config_maps), ("SecretGenerator", &k.secrets)]
        {
            for generator in generators {
                let generator = generator.clone().with_global(k.generator_options.as_ref());
                let resource = generator.generate(build, &self.loader)?;
                let origin = self.builtin_origin(kind);
                all.absorb(build, vec![resource], origin.as_ref())?;
            }
        }
        let namespace = if k.namespace.is_empty() { &self.helm_namespace } else { &k.namespace };
        for chart in &k.helm_charts {
            let globals = k.helm_globals.as_ref();
            let nodes = crate::helm::inflate(build, &self.loader, globals, chart, namespace)?;
            let origin = self.builtin_origin("HelmChartInflationGenerator");
            let resources = nodes.into_iter().map(Resource::new).collect();
            all.absorb(build, resources, origin.as_ref())?;
        }
        for (object, value) in self.plugin_configs(build, &k.generators)? {
            let id = resource::current_id(&build.tree, &build.schema, object);
            let resources = plugins::generate(build, &self.loader, &id, value)
                .map_err(|e| e.during(format!("plugin {id} fails configuration")))?;
            let origin = Origin::of_plugin(&build.tree, object, &id);
            all.absorb(build, resources, origin.as_ref())?;
        }
        Ok(())
    }

    /// The objects that configure plugins, from texts, files and directories.
    fn plugin_configs(
        &self,
        build: &mut Build<'a>,
        entries: &[String],
    ) -> Result<Vec<(crate::tree::NodeId, Value)>> {
        let mut configs = Accumulator::default();
        let mut paths = Vec::new();
        for entry in entries {
            // A path is a scalar to YAML, and so no object.
            let Ok(nodes) = documents::read(&mut build.tree, entry.as_bytes()) else {
                paths.push(entry.clone());
                continue;
            };
            for node in nodes {
                if let Some(origin) = &self.origin {
                    let mut origin = origin.clone();
                    origin = origin.append(&self.file_name);
                    origin.set(&mut build.tree, node)?;
                }
                configs.map.append(&build.tree, &build.schema, Resource::new(node))?;
            }
        }
        let configs = self.accumulate_resources(build, configs, &paths)?;
        let nodes = configs.map.nodes();
        nodes.into_iter().map(|node| Ok((node, to_value(&build.tree, node)?))).collect()
    }

    fn plugins(
        &self,
        build: &mut Build<'a>,
        entries: &[String],
    ) -> Result<Vec<Named<Transformer>>> {
        let mut list = Vec::new();
        for (object, value) in self.plugin_configs(build, entries)? {
            let id = resource::current_id(&build.tree, &build.schema, object);
            let one = plugins::transformer(build, &self.loader, &id, value)
                .map_err(|e| e.during(format!("plugin {id} fails configuration")))?;
            list.push((one, Origin::of_plugin(&build.tree, object, &id)));
        }
        Ok(list)
    }

    /// Validators are transformers that must change nothing but a label of their own.
    fn run_validators(&self, build: &mut Build<'a>, map: &mut ResMap) -> Result<()> {
        for (one, _) in self.plugins(build, &self.kustomization.validators)? {
            let before = values(build, map)?;
            one.run(build, map)?;
            let mut after = values(build, map)?;
            let mut relabelled = false;
            for value in &mut after {
                let labels = value.pointer_mut("/metadata/labels").and_then(Value::as_object_mut);
                if let Some(labels) = labels {
                    // Taking the label away writes the others anew, which the original counts as a
                    // change.
                    relabelled |= labels.remove("validated-by").is_some() && !labels.is_empty();
                    if labels.is_empty() {
                        bare(value);
                    }
                }
            }
            if relabelled || before != after {
                return fail("validator shouldn't modify the resource map");
            }
        }
        Ok(())
    }
}

/// Takes empty labels away.
fn bare(value: &mut Value) {
    if let Some(metadata) = value.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.remove("labels");
    }
}

fn values(build: &Build<'_>, map: &ResMap) -> Result<Vec<Value>> {
    map.nodes().into_iter().map(|node| to_value(&build.tree, node)).collect()
}

impl Accumulator {
    /// Adds what a directory below came to.
    fn add(&mut self, build: &Build<'_>, below: Accumulator) -> Result<()> {
        self.map.append_all(&build.tree, &build.schema, below.map)?;
        self.config.merge(&below.config)?;
        vars::merge(&mut self.vars, below.vars.into_values())
    }

    /// Adds what a generator made: new objects, or changes to those of the same identity.
    fn absorb(
        &mut self,
        build: &mut Build<'_>,
        resources: Vec<Resource>,
        origin: Option<&Origin>,
    ) -> Result<()> {
        for resource in resources {
            if let (Some(origin), Some(node)) = (origin, resource.node)
                && resource::annotation(&build.tree, node, ORIGIN).is_none()
            {
                origin.set(&mut build.tree, node)?;
            }
            self.absorb_one(build, resource)?;
        }
        Ok(())
    }

    fn absorb_one(&mut self, build: &mut Build<'_>, mut resource: Resource) -> Result<()> {
        let Some(node) = resource.node else { return Ok(()) };
        let tree = &mut build.tree;
        let id = resource::current_id(tree, &build.schema, node);
        let behavior = resource::annotation(tree, node, BEHAVIOR);
        let behavior = Behavior::parse(behavior.as_deref().unwrap_or_default());
        let places = self.map.with_any_id(tree, &build.schema, &id);
        let at = match (places.as_slice(), behavior) {
            ([], Behavior::Merge | Behavior::Replace) => {
                return fail(format!("id {id} does not exist; cannot merge or replace"));
            }
            ([], _) => return self.map.append(tree, &build.schema, resource),
            ([at], _) => *at,
            _ => return fail(format!("found multiple objects that could accept merge of {id}")),
        };
        let Some(old) = self.map.resources()[at].node else { return Ok(()) };
        match behavior {
            Behavior::Replace => resource::take_metadata(tree, node, old)?,
            Behavior::Merge => {
                let origin = resource::annotation(tree, old, ORIGIN);
                resource::take_metadata(tree, node, old)?;
                merge_data(tree, node, old)?;
                if let Some(origin) = origin {
                    let mut annotations = resource::annotations(tree, node);
                    annotations.insert(ORIGIN.into(), origin);
                    resource::set_annotations(tree, node, &annotations)?;
                }
            }
            Behavior::Create | Behavior::Unspecified => {
                return fail(format!(
                    "id {id} exists; can not use behavior: '{}', behavior must be merge or replace",
                    behavior.name()
                ));
            }
        }
        resource.vars.clone_from(&self.map.resources()[at].vars);
        self.map.resources_mut()[at] = resource;
        Ok(())
    }
}

/// What kustomize says of a deprecated field.
fn deprecation(field: &str) -> String {
    let (instead, how) = match field {
        "bases" => ("resources", ""),
        "imageTags" => ("images", ""),
        "commonLabels" => ("labels", ""),
        "vars" => ("replacements", "[EXPERIMENTAL] "),
        _ => ("patches", ""),
    };
    format!(
        "# Warning: '{field}' is deprecated. Please use '{instead}' instead. {how}Run 'kustomize \
         edit fix' to update your Kustomization automatically."
    )
}
