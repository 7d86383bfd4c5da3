//! Test peers: Git over http and ssh, an OCI registry, a chart repository, a real control plane.

pub mod charts;
pub mod cluster;
pub mod git;
pub mod oracle;
pub mod registry;
pub mod skip;
