//! From the artifact's files to the objects to apply: generate, build, substitute. Pure and blocking.
//!
//! Behaviour: kustomize-controller v1.9 `internal/controller/kustomization_controller.go` (`build`).

use borax_api::kustomize::{Kustomization, KustomizationSpec, SubstituteStrategy};
use borax_kustomize::Remote;
use borax_object::Gvk;
use borax_stdx::files::{Files, MemoryFiles, Overlay, join};
use borax_substitute::Vars;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::generate::{GenerateError, generate};
use super::variables::VariablesError;
use crate::options::Options;

/// What a build made.
#[derive(Debug)]
pub(super) struct Built {
    /// The objects, lists taken apart, in build order.
    pub objects: Vec<Value>,
    /// `sha256:` and the checksum of the objects as YAML.
    pub digest: String,
    /// Fields of the directory's kustomization file that kustomize does not know; they had no effect.
    pub dropped: Vec<String>,
}

/// Why there is nothing to apply.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    /// `spec.path` is not there.
    #[error("kustomization path not found: {0}: no such file or directory in the artifact")]
    PathNotFound(String),
    /// The kustomization file could not be made.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// Kustomize failed.
    #[error("kustomize build failed: {0}")]
    Kustomize(borax_kustomize::Diagnostics),
    /// What was built is no Kubernetes object.
    #[error("failed to decode Kubernetes apiVersion, kind and name from: {0}")]
    NotAnObject(String),
    /// The variables could not be read, which is told with the first object that may need them.
    #[error("post build failed for '{object}': {source}")]
    Variables {
        /// The object, as Flux names it.
        object: String,
        /// Why.
        source: VariablesError,
    },
    /// A variable could not be substituted.
    #[error("post build failed for '{object}': {source}")]
    Substitute {
        /// The object, as Flux names it.
        object: String,
        /// Why.
        source: borax_substitute::Error,
    },
}

/// The directory to build.
///
/// # Errors
/// [`BuildError::PathNotFound`].
pub(super) fn directory(files: &dyn Files, spec: &KustomizationSpec) -> Result<String, BuildError> {
    let dir = join("/", &spec.path);
    match files.kind(&dir) {
        Ok(Some(_)) => Ok(dir),
        _ => Err(BuildError::PathNotFound(dir)),
    }
}

/// Builds directory `spec.path` of `files`. `variables` are those of `spec.postBuild`, absent without it; `remote`
/// fetches remote bases, which are refused without it.
///
/// # Errors
/// See [`BuildError`].
pub(super) fn build(
    files: &dyn Files,
    object: &Kustomization,
    variables: Option<Result<Vars, VariablesError>>,
    remote: Option<&dyn Remote>,
    options: &Options,
) -> Result<Built, BuildError> {
    let spec = &object.spec;
    let dir = directory(files, spec)?;
    let generated = generate(files, &dir, spec)?;
    let mut top = MemoryFiles::new();
    top.insert(&generated.path, generated.content);
    let files = Overlay::new(files, top);
    let kustomize = borax_kustomize::Options {
        order: borax_kustomize::Order::None,
        // The artifact is the only root there is: nothing outside of it can be read anyway.
        load_anywhere: true,
        remote,
        ..borax_kustomize::Options::default()
    };
    let built = borax_kustomize::build(&files, &dir, &kustomize).map_err(BuildError::Kustomize)?;
    let strict = options.gates.strict_post_build_substitutions;
    let always = object.substitute_strategy() == SubstituteStrategy::Always;
    let mut objects = Vec::new();
    for value in built.into_values() {
        check(&value)?;
        let value = match &variables {
            Some(Err(source)) if !borax_substitute::is_disabled(&value) => {
                let (object, source) = (shown(&value), source.clone());
                return Err(BuildError::Variables { object, source });
            }
            Some(Ok(variables)) if always || !variables.is_empty() => {
                borax_substitute::object(&value, variables, strict)
                    .map_err(|source| BuildError::Substitute { object: shown(&value), source })?
            }
            _ => value,
        };
        objects.push(value);
    }
    let digest = digest(&objects);
    let is_kustomization = |value: &Value| Gvk::of(value).group == "kustomize.config.k8s.io";
    let objects = objects
        .into_iter()
        .flat_map(borax_object::flatten)
        .filter(|value| !is_kustomization(value));
    Ok(Built { objects: objects.collect(), digest, dropped: generated.dropped })
}

fn check(value: &Value) -> Result<(), BuildError> {
    let has = |pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
    };
    if has("/apiVersion") && has("/kind") && has("/metadata/name") {
        Ok(())
    } else {
        Err(BuildError::NotAnObject(borax_yaml::to_string(value)))
    }
}

/// `ConfigMap.v1.[noGrp]/name`, as kustomize prints a resource id.
fn shown(value: &Value) -> String {
    let gvk = Gvk::of(value);
    let group = if gvk.group.is_empty() { "[noGrp]" } else { &gvk.group };
    format!("{}.{}.{group}/{}", gvk.kind, gvk.version, borax_object::meta::name(value))
}

/// The checksum of `objects` as one YAML stream, which is what Flux keeps in the history.
fn digest(objects: &[Value]) -> String {
    let mut hasher = Sha256::new();
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            hasher.update(b"---\n");
        }
        hasher.update(borax_yaml::to_string(object).as_bytes());
    }
    let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
