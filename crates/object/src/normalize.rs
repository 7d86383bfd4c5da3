//! What Flux does to every object before it applies it (fluxcd/pkg `ssa/normalize`): quirks of server-side apply
//! worked around, fields the server owns removed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use crate::{meta, typed};

/// Why an object can't be normalised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NormalizeError {
    /// The object is no map.
    #[error("a Kubernetes object is a map; this document is not")]
    NoMap,
}

/// Normalises one desired object in place.
///
/// - Built-in kinds lose unknown fields and nulls; Roles and ClusterRoles are exempt, as they are for Flux.
/// - Ports of pods and services get `protocol: TCP` (the protocol is part of their merge key).
/// - `stringData` of Secrets moves to `data`: server-side apply would keep both.
/// - `status` goes, except of CRDs; `metadata.creationTimestamp` goes.
/// - An invalid `caBundle` of a CRD's conversion webhook goes: servers from 1.31 on refuse it.
///
/// # Errors
/// The value is no map.
pub fn normalize(object: &mut Value) -> Result<(), NormalizeError> {
    if !object.is_object() {
        return Err(NormalizeError::NoMap);
    }
    if typed::trim(object) == Some(true) {
        default_protocols(object);
        if meta::is_secret(object) {
            string_data_to_data(object);
        }
    }
    drop_invalid_ca_bundle(object);
    let is_crd = meta::is_crd(object);
    if let Value::Object(fields) = object {
        if !is_crd {
            fields.remove("status");
        }
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("creationTimestamp");
        }
    }
    Ok(())
}

/// Where the pod spec of a built-in kind is.
fn pod_spec_pointer(object: &Value) -> Option<&'static str> {
    match (meta::api_version(object), meta::kind(object)) {
        ("v1", "Pod") => Some("/spec"),
        ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch/v1", "Job") => Some("/spec/template/spec"),
        ("batch/v1", "CronJob") => Some("/spec/jobTemplate/spec/template/spec"),
        _ => None,
    }
}

fn default_protocols(object: &mut Value) {
    let owner = match pod_spec_pointer(object) {
        Some(pointer) => object
            .pointer_mut(pointer)
            .and_then(|spec| spec.get_mut("containers"))
            .and_then(Value::as_array_mut)
            .map(|containers| containers.iter_mut().collect::<Vec<_>>()),
        None if meta::api_version(object) == "v1" && meta::kind(object) == "Service" => {
            object.get_mut("spec").map(|spec| vec![spec])
        }
        None => None,
    };
    let ports = owner
        .into_iter()
        .flatten()
        .filter_map(|holder| holder.get_mut("ports").and_then(Value::as_array_mut))
        .flatten()
        .filter_map(Value::as_object_mut);
    for port in ports {
        let protocol = port.entry("protocol").or_insert(Value::Null);
        if protocol.is_null() || protocol.as_str() == Some("") {
            *protocol = Value::String("TCP".to_owned());
        }
    }
}

fn string_data_to_data(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    let Some(Value::Object(plain)) = fields.remove("stringData") else { return };
    if plain.is_empty() {
        return;
    }
    let data = fields.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(data) = data {
        for (key, value) in plain {
            data.insert(key, Value::String(BASE64.encode(value.as_str().unwrap_or_default())));
        }
    }
}

/// The shape check behind "unable to load root certificates": base64 of at least one well-formed PEM certificate.
fn is_ca_bundle(text: &str) -> bool {
    let Some(pem) = BASE64.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return false;
    };
    if pem.is_empty() {
        return true;
    }
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let mut rest = pem.as_str();
    let mut found = false;
    while let Some((_, tail)) = rest.split_once(begin) {
        let Some((body, tail)) = tail.split_once(end) else { return found };
        let body: String = body.split_whitespace().collect();
        // A certificate is one DER sequence of definite length that fills the block.
        let Some(der) = BASE64.decode(body).ok().filter(|der| is_der_sequence(der)) else {
            return false;
        };
        found = !der.is_empty();
        rest = tail;
    }
    found
}

fn is_der_sequence(der: &[u8]) -> bool {
    let [0x30, first, rest @ ..] = der else { return false };
    if *first < 0x80 {
        return rest.len() == usize::from(*first);
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 || rest.len() < count {
        return false;
    }
    let length = rest[..count].iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    rest.len() - count == length
}

fn drop_invalid_ca_bundle(object: &mut Value) {
    if !meta::is_crd(object) {
        return;
    }
    let config =
        object.pointer_mut("/spec/conversion/webhook/clientConfig").and_then(Value::as_object_mut);
    let Some(config) = config else { return };
    let bundle = config.get("caBundle").and_then(Value::as_str).unwrap_or_default();
    if !bundle.is_empty() && !is_ca_bundle(bundle) {
        config.remove("caBundle");
    }
}

/// Normalises the answer to a dry run before it is compared: servers before 1.27 double the first metric of a
/// HorizontalPodAutoscaler and append an empty one.
pub fn normalize_dry_run(object: &mut Value) {
    if meta::kind(object) != "HorizontalPodAutoscaler"
        || meta::api_version(object) != "autoscaling/v2"
    {
        return;
    }
    let Some(metrics) = object.pointer_mut("/spec/metrics").and_then(Value::as_array_mut) else {
        return;
    };
    let mut kept: Vec<Value> = Vec::with_capacity(metrics.len());
    for metric in std::mem::take(metrics) {
        let has_type = metric.get("type").and_then(Value::as_str).is_some_and(|t| !t.is_empty());
        if has_type && !kept.contains(&metric) {
            kept.push(metric);
        }
    }
    *metrics = kept;
}
