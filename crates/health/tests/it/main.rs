//! What this crate promises, by feature.

mod expressions;
mod kstatus;
