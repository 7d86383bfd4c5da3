//! Fetching from real peers: Git over HTTP and SSH in this process, served by the installed `git`.

mod bases;
#[path = "git/mod.rs"]
mod git;
mod helm_repo;
mod hostile;
mod ignore;
mod oci;
mod verify;
