//! Git: what is fetched, how often the server is asked, and what is said when it fails.

mod access;
mod flux;
mod github;
mod hostile;
mod http;
mod memory;
mod proposing;
mod push;
mod push_branches;
mod refs;
mod signed;
mod ssh;
mod submodules;
mod support;
