//! Credentials for HTTP upstreams: what a Secret holds, which host it is for, and what a server asks for. Pure.
//!
//! Start with [`docker_config::Keychain`] (registries) and [`challenge::Challenge`] (`WWW-Authenticate`).

pub mod challenge;
pub mod docker_config;
