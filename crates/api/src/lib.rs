//! Flux's custom resources as Rust types, and the CRDs made from them.
//!
//! One module a group: [`source`], [`kustomize`], [`helm`], [`image`], [`notification`]; [`meta`] holds what
//! they share. The JSON is exactly Flux 2.9's. [`crds`] makes the CRDs of all kinds, [`crds_yaml`] their text.
//!
//! - Reading tolerates unknown fields. What a CRD requires in a spec is required here too; of a status
//!   everything may be missing, for another version may have written it. A CRD's own defaults are the API
//!   server's work; accessors such as [`source::GitRepositorySpec::timeout`] know them where no server ran.
//! - Watch with `kube::core::DeserializeGuard` around these types: an API server lets objects through that
//!   are no valid resource (a Kustomization without `spec`), and one such must not stop the others.
//! - Writing omits what Flux's Go types omit.
//!
//! Take the CRDs from [`crds`]: what kube's derive offers as `crd()` on each type is not Flux's.
//!
//! Knows no cluster, file or clock.

mod crd;
pub mod helm;
pub mod image;
pub mod kustomize;
pub mod meta;
pub mod notification;
mod schema;
pub mod source;
mod yaml;

pub use crd::{crd_files, crds, crds_yaml};
