//! YAML as Kubernetes' Go tools read and write it, byte for byte.
//!
//! - [`Node`]: a document's tree with tags, quoting styles, anchors, comments and positions, as
//!   `go.yaml.in/yaml/v3` (and so kyaml) sees it; [`parse`] and its siblings read it, [`write()`] and
//!   [`write_documents`] write it, and [`decode`] says which value it is.
//! - [`to_json`], [`to_json_strict`] and [`to_string`]: texts and values as sigs.k8s.io/yaml
//!   converts them (YAML 1.1, which Kubernetes' own tools, Helm and Flux read manifests with).
//! - [`replace_scalars`]: gives scalars of a text other values and leaves every other byte alone.
//! - [`format_float`], [`format_json_float`] and [`json_string`]: Go's spelling of numbers and JSON.
//!
//! ```
//! use borax_yaml::{Format, Node, Options, parse_first, to_json, write};
//!
//! let mut config = parse_first("on: yes # today\nlist:\n- a\n", &Options::default())?.unwrap();
//! config.set("name", Node::string("123")).ok();
//! assert_eq!(write(&config, Format::KYAML)?, "on: yes # today\nlist:\n- a\nname: \"123\"\n");
//! assert_eq!(to_json("on: yes")?, serde_json::json!({"true": true}));
//! # Ok::<(), borax_yaml::Error>(())
//! ```
//!
//! This crate knows nothing of Kubernetes objects, and does no input or output itself.

mod access;
mod alias;
mod compose;
mod decode;
mod edit;
mod emit;
mod encode;
mod error;
mod events;
mod input;
mod json;
mod meaning;
mod node;
mod number;
mod parse;
mod resolve;
mod scan;
mod tag;
mod timestamp;

pub use access::Step;
pub use decode::{Root, decode};
pub use edit::{Replacement, replace_scalars};
pub use encode::{Format, to_string, to_string_bytewise, write, write_documents, write_value};
pub use error::{Error, ErrorKind};
pub use json::{json_string, to_json, to_json_strict};
pub use meaning::Meaning;
pub use node::{Comments, Data, Kind, Node, Position, Quoting, Style};
pub use number::{format_float, format_json_float};
pub use parse::{Document, Options, for_each_document, parse, parse_documents, parse_first};
pub use tag::Tag;

/// Text of a scalar: short texts are stored inline, long ones are shared, so a clone is cheap.
pub use smol_str::SmolStr as Text;
