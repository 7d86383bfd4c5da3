//! Fetching from Git, OCI and Helm upstreams, with their authentication and verification.

pub mod auth;
pub mod bases;
pub mod git;
pub mod helm_repo;
pub mod ignore;
pub mod oci;
mod proxy;
pub mod sign;
pub mod verify;
