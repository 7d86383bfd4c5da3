//! What a chart may know of the cluster and of Helm: versions and APIs. Source: Helm
//! `pkg/chart/common/capabilities.go`.

use std::any::Any;
use std::borrow::Cow;
use std::rc::Rc;

use borax_gotmpl::{Func, Object, Shape, Str, Type, Value};

use crate::error::Error;

/// The version that `.Capabilities.HelmVersion` names: that of the library Flux embeds.
pub const HELM_VERSION: &str = "v4.2";
const GO_VERSION: &str = "go1.26.8";
const CLIENT_VERSION: &str = "v1.36";

/// A Kubernetes version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeVersion {
    /// The whole version, such as `v1.33.4-gke.1245000`.
    pub version: String,
    /// Without what follows the numbers; constraints are checked against this.
    pub normalized: String,
    /// First number.
    pub major: String,
    /// Second number.
    pub minor: String,
}

impl KubeVersion {
    /// Reads a version as `--kube-version` takes it: at least two numbers.
    ///
    /// # Errors
    /// Names the text and what it lacks.
    pub fn parse(text: &str) -> Result<KubeVersion, Error> {
        let refuse =
            |why: String| Err(Error::Option(format!("invalid kube version '{text}': {why}")));
        let shown = borax_gotmpl::quote(text.as_bytes());
        let body = text.trim().strip_prefix('v').unwrap_or(text.trim());
        let numbers_end =
            body.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(body.len());
        let (numbers, rest) = body.split_at(numbers_end);
        let numbers = numbers.trim_end_matches('.');
        let parts: Vec<&str> = numbers.split('.').collect();
        if numbers.is_empty() || body.starts_with('.') {
            return refuse(format!("could not parse {shown} as version"));
        }
        if parts.len() < 2 {
            return refuse(format!("illegal version string {shown}"));
        }
        let _ = rest;
        let mut shown_numbers = Vec::new();
        for part in &parts {
            if part.is_empty() {
                return refuse(format!("could not parse {shown} as version"));
            }
            if part.len() > 1 && part.starts_with('0') {
                return refuse(format!("illegal zero-prefixed version component in {shown}"));
            }
            match part.parse::<u32>() {
                Ok(n) => shown_numbers.push(n.to_string()),
                Err(_) => return refuse(format!("illegal version component in {shown}")),
            }
        }
        if shown_numbers.len() == 2 {
            shown_numbers.push("0".into());
        }
        let version = if text.starts_with('v') { text.to_owned() } else { format!("v{text}") };
        Ok(KubeVersion {
            version,
            normalized: format!("v{}", shown_numbers.join(".")),
            major: shown_numbers[0].clone(),
            minor: shown_numbers[1].clone(),
        })
    }
}

/// What the templates see under `.Capabilities`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The cluster's version.
    pub kube_version: KubeVersion,
    /// Group versions, and `group/version/Kind` entries of a live cluster.
    pub api_versions: Vec<String>,
}

impl Default for Capabilities {
    /// What `helm template` assumes without a cluster.
    fn default() -> Self {
        let version = || "v1.36.0".to_owned();
        Capabilities {
            kube_version: KubeVersion {
                version: version(),
                normalized: version(),
                major: "1".into(),
                minor: "36".into(),
            },
            api_versions: DEFAULT_APIS.iter().map(|s| (*s).to_owned()).collect(),
        }
    }
}

/// The group versions client-go 1.36 knows, in its order.
const DEFAULT_APIS: [&str; 55] = [
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha2",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

impl Capabilities {
    /// The template value.
    pub(crate) fn value(&self) -> Value {
        let strings =
            |all: &[String]| all.iter().map(|s| Value::str(s.as_str())).collect::<Vec<_>>();
        let build = Record {
            name: "version.BuildInfo",
            shape: Shape::Struct(vec![
                ("Version", HELM_VERSION.into()),
                ("GitCommit", "".into()),
                ("GitTreeState", "".into()),
                ("GoVersion", GO_VERSION.into()),
                ("KubeClientVersion", CLIENT_VERSION.into()),
            ]),
            text: None,
            has: None,
        };
        let kube = &self.kube_version;
        let version = Record {
            name: "common.KubeVersion",
            shape: Shape::Struct(vec![
                ("Version", kube.version.as_str().into()),
                ("normalizedVersion", kube.normalized.as_str().into()),
                ("Major", kube.major.as_str().into()),
                ("Minor", kube.minor.as_str().into()),
            ]),
            text: Some(kube.normalized.clone()),
            has: None,
        };
        let apis = Record {
            name: "common.VersionSet",
            shape: Shape::List(strings(&self.api_versions)),
            text: None,
            has: Some(Rc::from(self.api_versions.as_slice())),
        };
        let object = |r: Record| Value::Object(Rc::new(r));
        object(Record {
            name: "*common.Capabilities",
            shape: Shape::Pointer(vec![
                ("KubeVersion", object(version)),
                ("APIVersions", object(apis)),
                ("HelmVersion", object(build)),
            ]),
            text: None,
            has: None,
        })
    }
}

/// A Go struct or slice with the methods the capabilities have.
struct Record {
    name: &'static str,
    shape: Shape,
    /// What `String()` of its pointer gives.
    text: Option<String>,
    /// The set behind `Has`.
    has: Option<Rc<[String]>>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Object for Record {
    fn type_name(&self) -> Cow<'static, str> {
        self.name.into()
    }

    fn shape(&self) -> Shape {
        self.shape.clone()
    }

    fn field(&self, name: &str) -> Option<Value> {
        match &self.shape {
            Shape::Struct(fields) | Shape::Pointer(fields)
                if name.starts_with(|c: char| c.is_ascii_uppercase()) =>
            {
                fields.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone())
            }
            _ => None,
        }
    }

    fn method(&self, name: &str) -> Option<Rc<Func>> {
        let text = |value: Value| Some(Rc::new(Func::fixed(&[], move |_, _| Ok(value.clone()))));
        match (name, &self.text, &self.has) {
            ("String", Some(shown), _) => text(Value::str(shown.as_str())),
            ("GitVersion", Some(_), _) => text(self.field("Version")?),
            ("Has", _, Some(set)) => {
                let set = Rc::clone(set);
                Some(Rc::new(Func::fixed(&[Type::Str], move |_, a| {
                    let wanted = a[0].as_str().map(Str::as_bytes).unwrap_or_default();
                    Ok(Value::Bool(set.iter().any(|s| s.as_bytes() == wanted)))
                })))
            }
            _ => None,
        }
    }

    fn addressable_stringer(&self) -> Option<Str> {
        self.text.as_deref().map(Str::from)
    }

    fn truth(&self) -> bool {
        !matches!(&self.shape, Shape::List(items) if items.is_empty())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
