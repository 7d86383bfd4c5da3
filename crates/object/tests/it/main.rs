//! What this crate promises, by feature.

mod digest;
mod id;
mod normalize;
mod order;
