//! What the kinds of all groups share: references, artifacts, conditions, requests by annotation.
//!
//! An optional text is a `String` that is empty when absent, as in Flux's own API, where the two mean
//! the same.

mod artifact;
mod condition;
mod event;
mod history;
mod object;
mod reference;
mod request;
mod selector;
mod time;

pub use artifact::*;
pub use condition::*;
pub use event::*;
pub use history::*;
pub use object::*;
pub use reference::*;
pub use request::*;
pub use selector::*;
pub use time::*;
