//! Git peers for tests: bare repositories on disk, served over smart HTTP and SSH by the installed `git`.
//!
//! [`Repositories`] holds the repositories, [`Repository`] writes to one, [`HttpServer`] and [`SshServer`] serve them in
//! this process, count what they are asked and break on demand. They know nothing of Borax.

mod http;
mod repository;
mod ssh;
mod tls;

pub use http::{Access, Fault, HttpOptions, HttpServer, Seen};
pub use repository::{Change, Repositories, Repository};
pub use russh::keys::{Algorithm as KeyKind, EcdsaCurve, HashAlg};
pub use ssh::{SshOptions, SshServer};
pub use tls::TestTls;
