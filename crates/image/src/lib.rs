//! Images in Git: which of an image's tags is the latest, and writing it into the files that mark where.
//!
//! ```text
//! tags ─► policy ─► ImageRef ─┐
//!                             ├─► setters::edit ─► new bytes, changes ─► update::Update (what a commit message tells)
//! file ───────────────────────┘
//! ```
//!
//! - [`policy`]: tags and an ImagePolicy's spec in, the latest tag out.
//! - [`setters`]: a file and the latest images in, the file with its marked values changed out.
//! - [`update`]: the changes of many files, as Flux's commit message templates see them.
//!
//! Knows no registry, no Git and no disk. Start with [`setters::edit`].
//!
//! ```
//! use borax_image::setters::{Policies, edit};
//! use borax_image::ImageRef;
//!
//! let latest = ImageRef { name: "nginx".into(), tag: "1.29".into(), digest: String::new() };
//! let policies = Policies::from([("flux-system:nginx".to_owned(), latest)]);
//! let file = b"image: nginx:1.28  # {\"$imagepolicy\": \"flux-system:nginx\"}\n";
//! let edit = edit("deploy.yaml", file, &policies)?.unwrap();
//! assert_eq!(edit.bytes, b"image: nginx:1.29  # {\"$imagepolicy\": \"flux-system:nginx\"}\n");
//! assert_eq!(edit.changes[0].old, "nginx:1.28");
//! # Ok::<(), borax_image::setters::Problem>(())
//! ```

mod marker;
pub mod policy;
pub mod setters;
pub mod update;

pub use borax_api::image::ImageRef;
