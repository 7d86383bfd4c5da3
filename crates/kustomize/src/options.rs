//! What a caller decides about a build.

use crate::helm::HelmRenderer;
use crate::remote::Remote;

/// The order of the output, where `sortOptions` doesn't set it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Nobody asked: as [`Order::Legacy`], without a warning beside `sortOptions`.
    #[default]
    Unspecified,
    /// By kind, in kustomize's fixed order (`--reorder legacy`).
    Legacy,
    /// As resources are listed, depth first (`--reorder none`; what Flux does).
    None,
}

/// Choices and helpers for a build.
///
/// The default does what `kustomize build` does without flags.
#[derive(Clone)]
pub struct Options<'a> {
    /// The order of the output.
    pub order: Order,
    /// Whether files may lie outside of their kustomization's root
    /// (`--load-restrictor LoadRestrictionsNone`).
    pub load_anywhere: bool,
    /// Whether charts may be rendered (`--enable-helm`).
    pub enable_helm: bool,
    /// Whether plugins that run programs were asked for; they are refused in any case, with another
    /// sentence.
    pub enable_alpha_plugins: bool,
    /// Whether all objects get the label `app.kubernetes.io/managed-by`
    /// (`--enable-managedby-label`).
    pub managed_by_label: bool,
    /// That label's value.
    pub managed_by: String,
    /// Fetches remote bases and files; without it they are errors.
    pub remote: Option<&'a dyn Remote>,
    /// The Kubernetes version for charts that name none (`--helm-kube-version`); empty for the
    /// renderer's own.
    pub helm_kube_version: String,
    /// The API versions for charts that name none (`--helm-api-versions`).
    pub helm_api_versions: Vec<String>,
    /// Renders charts; without it they are errors.
    pub helm: Option<&'a dyn HelmRenderer>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options {
            order: Order::Unspecified,
            load_anywhere: false,
            enable_helm: false,
            enable_alpha_plugins: false,
            managed_by_label: false,
            managed_by: "kustomize-v5.8.2".to_owned(),
            remote: None,
            helm_kube_version: String::new(),
            helm_api_versions: Vec::new(),
            helm: None,
        }
    }
}
