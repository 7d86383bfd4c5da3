//! Git repositories: what `spec.ref` of a GitRepository leads to, fetched without a work tree.
//!
//! Start with [`fetch`], and for commits that are made and pushed with [`Workspace::propose`]. The protocol is spoken here
//! (`wire` and `send` over `http` and `ssh`), libgit2 only indexes and reads packs: so each fetch has its own connection
//! settings, one listing of one ref tells whether anything moved, and no configuration, hook or helper program has a
//! say, nor the environment but for its proxies.

mod auth;
mod cause;
mod checkout;
mod dial;
mod edit;
mod error;
mod fetch;
mod github;
mod http;
mod known_hosts;
mod link;
mod object;
mod pack;
mod pktline;
mod refs;
mod refspec;
mod scan;
mod send;
mod session;
mod ssh;
mod store;
mod submodule;
pub(crate) mod tls;
pub mod untrusted;
mod url;
mod wire;
mod workspace;

pub use auth::{
    AuthError, ClientCertificate, Credentials, GitAuth, Proxy, SecretData, SshIdentity,
};
pub use cause::Cause;
pub use checkout::{Checkout, CheckoutTree};
pub use edit::{Draft, Marker};
pub use error::{GitError, ProposeError};
pub use fetch::{FetchRequest, Fetched, Limits, fetch};
pub use github::{AppToken, GithubApp, GithubError};
pub use known_hosts::{HostKey, KnownHosts, KnownHostsError, Verdict};
pub use object::{Commit, Person, Tag};
pub use refs::Reference;
pub use refspec::{Refspec, RefspecError};
pub use session::Stopped;
pub use ssh::SshAlgorithms;
pub use tls::TlsError;
pub use url::{RemoteUrl, Scheme, UrlError};
pub use workspace::{Change, Proposal, Proposed, PushRules, Pushed, Workspace};
