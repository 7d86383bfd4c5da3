//! What this crate promises, by feature, on a real kube-apiserver.

mod apply;
mod health;
mod leftovers;
mod outage;
mod prune;
mod refusals;
mod request_level;
mod world;
