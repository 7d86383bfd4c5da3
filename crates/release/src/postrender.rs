//! From what a chart renders to what a release records: post-renderers, common metadata, the labels of the HelmRelease.
//! Source: helm-controller `internal/postrender`; Helm `pkg/action/action.go` (`renderResources`).

use std::collections::BTreeMap;

use borax_api::helm::{
    HelmRelease, OWNER_NAME_LABEL, OWNER_NAMESPACE_LABEL, PostRenderStrategy, PostRenderer,
};
use borax_api::kustomize::CommonMetadata;
use borax_helm::{Manifest, Rendered};
use borax_kustomize::{Options, Order};
use borax_object::meta;
use borax_stdx::files::MemoryFiles;
use serde_json::{Map, Value, json};

use crate::record::Hook;

/// Where the path of a document's template is kept while post-renderers run.
const PATH: &str = "postrenderer.helm.sh/postrender-filename";

/// What a release records of a rendering.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// The objects.
    pub manifest: String,
    /// The hooks, in install order of their kinds.
    pub hooks: Vec<Hook>,
}

/// Why post-rendering failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error while running post render on {on}: {cause}")]
pub struct PostRenderError {
    on: &'static str,
    cause: String,
}

/// The changes a HelmRelease makes to what its chart renders.
pub struct PostRender<'a> {
    renderers: &'a [PostRenderer],
    common: Option<&'a CommonMetadata>,
    /// The HelmRelease's namespace and name; absent to leave the labels out.
    origin: Option<(String, String)>,
    strategy: PostRenderStrategy,
}

impl<'a> PostRender<'a> {
    /// Those of `object`.
    pub fn of(object: &'a HelmRelease) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self {
            renderers: &object.spec.post_renderers,
            common: object.spec.common_metadata.as_ref(),
            origin: Some((text(&object.metadata.namespace), text(&object.metadata.name))),
            strategy: object.spec.post_render_strategy.unwrap_or_default(),
        }
    }

    /// The same without the HelmRelease's labels, as Helm itself would have recorded it.
    #[must_use]
    pub fn without_origin(mut self) -> Self {
        self.origin = None;
        self
    }

    /// Runs them over a rendering.
    ///
    /// # Errors
    /// A document is no object, or a patch does not fit.
    pub fn run(&self, rendered: &Rendered) -> Result<Output, PostRenderError> {
        let hooks: Vec<&Manifest> = rendered.hooks.iter().map(|hook| &hook.manifest).collect();
        let objects: Vec<&Manifest> = rendered.manifests.iter().collect();
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        match self.strategy {
            PostRenderStrategy::Combined => {
                let all: Vec<&Manifest> = objects.into_iter().chain(hooks).collect();
                self.group(&all, "files", "", &mut files)?;
            }
            PostRenderStrategy::Separate => {
                self.group(&hooks, "hooks", "hooks-", &mut files)?;
                self.group(&objects, "manifests", "manifests-", &mut files)?;
            }
            PostRenderStrategy::NoHooks => {
                for hook in hooks {
                    put(&mut files, &hook.path, &hook.content);
                }
                self.group(&objects, "manifests", "manifests-", &mut files)?;
            }
        }
        let failed =
            |error: borax_helm::Error| PostRenderError { on: "files", cause: error.to_string() };
        let (manifests, hooks) = borax_helm::sort_manifests(&files).map_err(failed)?;
        let mut manifest = String::new();
        for document in &manifests {
            let (path, content) = (&document.path, &document.content);
            manifest.push_str(&format!("---\n# Source: {path}\n{content}\n"));
        }
        Ok(Output { manifest, hooks: hooks.iter().map(Hook::from).collect() })
    }

    fn group(
        &self,
        documents: &[&Manifest],
        on: &'static str,
        fallback: &str,
        files: &mut BTreeMap<String, String>,
    ) -> Result<(), PostRenderError> {
        let failed = |cause: String| PostRenderError { on, cause };
        let mut sorted: Vec<&&Manifest> = documents.iter().collect();
        sorted.sort_by(|a, b| a.path.cmp(&b.path));
        let mut objects = Vec::with_capacity(sorted.len());
        for document in sorted {
            let parsed = borax_yaml::to_json(&document.content)
                .map_err(|error| failed(format!("{}: {error}", document.path)))?;
            if parsed.is_null() {
                continue;
            }
            for mut object in borax_object::flatten(parsed) {
                check(&object).map_err(|cause| failed(format!("{}: {cause}", document.path)))?;
                meta::set_annotation(&mut object, PATH, &document.path);
                objects.push(object);
            }
        }
        for renderer in self.renderers.iter().filter_map(|r| r.kustomize.as_ref()) {
            objects = kustomize(renderer, &objects).map_err(failed)?;
        }
        for (index, mut object) in objects.into_iter().enumerate() {
            if let Some(common) = self.common {
                for (key, value) in &common.labels {
                    meta::set_label(&mut object, key, value);
                }
                for (key, value) in &common.annotations {
                    meta::set_annotation(&mut object, key, value);
                }
            }
            if let Some((namespace, name)) = &self.origin {
                meta::set_label(&mut object, OWNER_NAME_LABEL, name);
                meta::set_label(&mut object, OWNER_NAMESPACE_LABEL, namespace);
            }
            let path = take_path(&mut object)
                .unwrap_or_else(|| format!("generated-by-postrender-{fallback}{index}.yaml"));
            put(files, &path, &borax_yaml::to_string(&object));
        }
        Ok(())
    }
}

fn put(files: &mut BTreeMap<String, String>, path: &str, text: &str) {
    let file = files.entry(path.to_owned()).or_default();
    if !file.is_empty() {
        file.push_str("\n---\n");
    }
    file.push_str(text);
}

/// What kustomize needs of every object.
fn check(object: &Value) -> Result<(), String> {
    for (field, value) in [("kind", meta::kind(object)), ("metadata.name", meta::name(object))] {
        if value.is_empty() {
            let kind = meta::kind(object);
            return Err(format!("missing {field} in object {{{kind}}}"));
        }
    }
    Ok(())
}

fn take_path(object: &mut Value) -> Option<String> {
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    let annotations = metadata.get_mut("annotations")?.as_object_mut()?;
    let path = annotations.remove(PATH)?.as_str()?.to_owned();
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
    Some(path)
}

fn kustomize(
    renderer: &borax_api::helm::Kustomize,
    objects: &[Value],
) -> Result<Vec<Value>, String> {
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let mut file = Map::new();
    file.insert("apiVersion".into(), "kustomize.config.k8s.io/v1beta1".into());
    file.insert("kind".into(), "Kustomization".into());
    file.insert("resources".into(), json!(["helm-output.yaml"]));
    let as_json = |value: Result<Value, serde_json::Error>| value.map_err(|e| e.to_string());
    if !renderer.images.is_empty() {
        file.insert("images".into(), as_json(serde_json::to_value(&renderer.images))?);
    }
    if !renderer.patches.is_empty() {
        file.insert("patches".into(), as_json(serde_json::to_value(&renderer.patches))?);
    }
    let documents: Vec<String> = objects.iter().map(borax_yaml::to_string).collect();
    let files = MemoryFiles::from_iter([
        ("/kustomization.yaml", borax_yaml::to_string(&Value::Object(file)).into_bytes()),
        ("/helm-output.yaml", documents.join("---\n").into_bytes()),
    ]);
    let options = Options { order: Order::None, load_anywhere: true, ..Options::default() };
    let built = borax_kustomize::build(&files, "/", &options).map_err(|error| error.to_string())?;
    Ok(built.into_values().collect())
}
