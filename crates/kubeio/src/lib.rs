//! The shared kube client: impersonation, server-side apply, live watches, discovery, events, leases.
//!
//! One [`Cluster`] is one API server, with one pool of connections, one cache of what kinds it serves
//! ([`Discovery`]) and one store of what lives there of what we manage ([`Live`]). [`Cluster::as_user`] makes a view of
//! it whose every request is made with another user's rights.
//!
//! ```text
//!                      Cluster ── as_user ─► Cluster (same pool, same caches, other rights)
//!                         │
//!      ┌──────────────────┼───────────────────┬─────────────────┬─────────┐
//!  Discovery            Live               Applier            Events    Lease
//!  kinds → paths   watches by label,    executes plans of   coalesced   leader
//!                  health, drift        borax-apply                     election
//! ```
//!
//! Invariants:
//! - Nothing here decides what to apply: plans come from `borax-apply`, health from `borax-health`.
//! - Waiting is always for a watch; the only clocks are timeouts and backoffs.
//! - Dropping a future stops what it did; what was sent to the server stays sent.

mod applier;
mod cluster;
mod connect;
mod discovery;
mod dns;
mod events;
mod follow;
mod lanes;
mod lease;
mod limiter;
mod live;
mod objects;
mod pods;
mod prune;
mod request;
mod status;
mod wait;
mod watch;

pub use applier::{Applier, ApplyError, ApplyFailed};
pub use cluster::{Cluster, Observer};
pub use connect::{ConnectError, ConnectOptions, Source, kubeconfig_from_secret};
pub use discovery::{Discovery, DiscoveryError, Resource};
pub use events::{EventKind, Events, ObjectRef};
pub use lease::{Lease, LeaseTimes};
pub use live::{Drift, Live, Record};
pub use objects::{ApplyOptions, Propagation};
pub use prune::Pruned;
pub use request::{ApiError, RequestError};
pub use status::{StatusError, add_finalizer, patch_status, remove_finalizer, same_but_for_time};
pub use wait::{WaitError, WaitOptions};
