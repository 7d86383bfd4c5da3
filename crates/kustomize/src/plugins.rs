//! Plugins configured by objects: the built-in ones. Others are refused, since they would run
//! programs.
//!
//! Source of behaviour: kustomize `api/internal/plugins/loader`.

use serde_json::Value;

use crate::build::Build;
use crate::decode::Object;
use crate::diag::{Diagnostics, Result, fail};
use crate::documents;
use crate::generate::Generator;
use crate::id::ResId;
use crate::loader::Loader;
use crate::resource::Resource;
use crate::transformer::{self, Transformer};

fn refuse_external(build: &Build<'_>, id: &ResId) -> Result<()> {
    if id.gvk.group.is_empty() && id.gvk.version == "builtin" {
        return Ok(());
    }
    let kind = &id.gvk.kind;
    if build.options.enable_alpha_plugins {
        return fail(format!(
            "unable to load external plugin '{kind}': plugins that run programs or containers are \
             not supported"
        ));
    }
    fail(format!("external plugins disabled; unable to load external plugin '{kind}'"))
}

/// The transformer that an object configures.
pub(crate) fn transformer(
    build: &mut Build<'_>,
    loader: &Loader<'_>,
    id: &ResId,
    value: Value,
) -> Result<Transformer> {
    refuse_external(build, id)?;
    match transformer::of_config(build, loader, &id.gvk.kind, value)? {
        Some(transformer) => Ok(transformer),
        None if is_generator(&id.gvk.kind) => fail(format!("plugin {id} not a transformer")),
        None => fail(format!("unable to load builtin {}", id.gvk)),
    }
}

fn is_generator(kind: &str) -> bool {
    matches!(
        kind,
        "ConfigMapGenerator"
            | "SecretGenerator"
            | "IAMPolicyGenerator"
            | "HelmChartInflationGenerator"
    )
}

/// What the generator that an object configures makes.
pub(crate) fn generate(
    build: &mut Build<'_>,
    loader: &Loader<'_>,
    id: &ResId,
    value: Value,
) -> Result<Vec<Resource>> {
    refuse_external(build, id)?;
    let mut o = Object::lenient(&id.gvk.kind, value.clone())?;
    match id.gvk.kind.as_str() {
        kind @ ("ConfigMapGenerator" | "SecretGenerator") => {
            let mut generator = Generator::read(&mut o, kind == "SecretGenerator")?;
            if let Some(mut metadata) = o.object("metadata")? {
                let (name, namespace) = (metadata.text("name")?, metadata.text("namespace")?);
                if generator.name.is_empty() {
                    generator.name = name;
                }
                if generator.namespace.is_empty() {
                    generator.namespace = namespace;
                }
            }
            Ok(vec![generator.generate(build, loader)?])
        }
        "HelmChartInflationGenerator" => {
            let nodes = crate::helm::inflate(build, loader, None, &value, "")?;
            Ok(nodes.into_iter().map(Resource::new).collect())
        }
        "IAMPolicyGenerator" => iam_policy(build, o),
        kind => match transformer::of_config(build, loader, kind, value) {
            Ok(None) => fail(format!("unable to load builtin {}", id.gvk)),
            _ => fail(format!("plugin {id} not a generator")),
        },
    }
}

/// A service account bound to one of Google's.
fn iam_policy(build: &mut Build<'_>, mut o: Object) -> Result<Vec<Resource>> {
    let cloud = o.text("cloud")?;
    if cloud != "gke" {
        return fail(format!("cloud provider {cloud} not supported yet"));
    }
    let mut part = |name: &'static str, fields: [&'static str; 2]| -> Result<[String; 2]> {
        match o.object(name)? {
            None => Ok([String::new(), String::new()]),
            Some(mut part) => Ok([part.text(fields[0])?, part.text(fields[1])?]),
        }
    };
    let [name, namespace] = part("kubernetesService", ["name", "namespace"])?;
    let [account, project] = part("serviceAccount", ["name", "projectId"])?;
    let mut metadata = serde_json::json!({
        "annotations": {
            "iam.gke.io/gcp-service-account":
                format!("{account}@{project}.iam.gserviceaccount.com"),
        },
        "name": name,
    });
    if !namespace.is_empty() {
        metadata["namespace"] = Value::String(namespace);
    }
    let object = serde_json::json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata,
    });
    let nodes = documents::read(&mut build.tree, object.to_string().as_bytes())
        .map_err(|e: Diagnostics| e.during("IAMPolicyGenerator"))?;
    Ok(nodes.into_iter().map(Resource::new).collect())
}
