//! Kubernetes objects as plain data: ids, groups and kinds, accessors, ordering, inventory entries, digests.
//!
//! Input and output are `serde_json::Value`s that hold one object each. Nothing here knows a cluster, a clock or a
//! custom resource of Flux; the rules about single objects that every ring shares live here.
//!
//! ```text
//! text ─► yaml ─► Value ─► flatten (lists) ─► check ─► normalize ─► apply_order
//!                            └► ObjectId / Entry (inventory)    └► Digest
//! ```
//!
//! Start at [`ObjectId`]; the invariant that matters: two objects with the same [`ObjectId`] are one object to the
//! API server, whatever version they are written in.
//!
//! ```
//! let object = serde_json::json!({
//!     "apiVersion": "apps/v1", "kind": "Deployment",
//!     "metadata": {"name": "web", "namespace": "shop"},
//! });
//! let id = borax_object::ObjectId::of(&object);
//! assert_eq!(id.to_string(), "Deployment/shop/web");
//! assert_eq!(id.inventory_id(), "shop_web_apps_Deployment");
//! assert_eq!(borax_object::ObjectId::parse("shop_web_apps_Deployment"), Ok(id));
//! ```

mod digest;
mod id;
mod labels;
mod list;
pub mod meta;
mod normalize;
mod order;
mod typed;

pub use digest::Digest;
pub use id::{Entry, GroupKind, Gvk, ObjectId, ParseIdError};
pub use labels::LabelSelector;
pub use list::{InvalidObject, check, flatten};
pub use normalize::{NormalizeError, normalize, normalize_dry_run};
pub use order::{apply_order, kind_order};
pub use serde_json::Value;
