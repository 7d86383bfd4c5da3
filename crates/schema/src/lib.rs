//! What Borax knows of Kubernetes' OpenAPI: the structure of kinds, merge keys, list types, scopes.
//!
//! A [`Table`] is one block of bytes: compiled from an OpenAPI v2 document (structure only, no
//! prose), committed, and read in place without parsing. [`Type`] is a cursor into it.
//!
//! ```text
//! swagger.json ── Table::compile ──► Table ── bytes() ──► data/*.bin ── Table::from_static ──► Table
//! ```
//!
//! Invariants: reading never fails or panics, whatever the bytes hold; equal documents compile to
//! equal bytes. Start reading at [`Table::type_of`].
//!
//! ```
//! let table = borax_schema::kustomize();
//! let pod = table.type_of("v1", "Pod").unwrap();
//! let containers = pod.field("spec").unwrap().field("containers").unwrap();
//! assert!(containers.merges());
//! assert_eq!(containers.merge_key(), Some("name"));
//! assert_eq!(table.scope("v1", "Namespace"), Some(borax_schema::Scope::Cluster));
//! ```

mod compile;
mod table;

pub use compile::CompileError;
pub use table::{Scope, Shape, Table, Type};

static KUSTOMIZE: Table = Table::from_static(include_bytes!("../data/kustomize.bin"));

/// The table that kustomize 5.8.2 carries: the structure of Kubernetes 1.21.2, and the scopes it
/// knows beyond that (kyaml `openapi/openapi.go`). Byte parity of strategic merges hangs on it.
pub fn kustomize() -> &'static Table {
    &KUSTOMIZE
}
