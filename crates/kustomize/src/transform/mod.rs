//! The transformers: each changes the objects of a build in one way.
//!
//! Each file follows one of kustomize's `api/filters` or `api/internal/builtins`.

pub(crate) mod hash;
pub(crate) mod images;
pub(crate) mod json_patch;
pub(crate) mod metadata;
pub(crate) mod names;
pub(crate) mod namespace;
pub(crate) mod patches;
pub(crate) mod path_match;
pub(crate) mod replacements;
pub(crate) mod sort;
pub(crate) mod value_add;
