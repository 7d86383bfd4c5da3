//! An OCI registry in this process: the distribution API for real clients, artifacts made in one call, a record of every
//! request, and faults on demand.

mod artifact;
pub(crate) mod server;
mod store;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use artifact::{CHART_LAYER, FLUX_LAYER, PushSpec, tar_gz};
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::git::TestTls;

/// Who may come in.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// Anyone.
    #[default]
    Open,
    /// This user name and password, on every request.
    Basic(String, String),
    /// Bearer tokens, which the realm gives for this user name and password, or for this refresh token (OAuth 2).
    Token {
        /// User name.
        username: String,
        /// Password.
        password: String,
        /// Refresh token; empty for a realm that knows no OAuth 2.
        identity: String,
    },
    /// Exactly this bearer token.
    Bearer(String),
}

/// How to serve.
#[derive(Clone, Debug, Default)]
pub struct RegistryOptions {
    /// Who may come in.
    pub access: Access,
    /// TLS with these certificates.
    pub tls: Option<TestTls>,
    /// Only for clients with a certificate of the same authority.
    pub mutual_tls: bool,
    /// Most tags of a page; 0 for what the client asks for.
    pub page_size: usize,
    /// The realm that is named in place of our own.
    pub realm: Option<String>,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, these headers and this body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// The whole length is announced, the connection is cut after so many bytes.
    CutAfter(usize),
    /// The answer comes so much later.
    Slow(Duration),
    /// No answer, ever.
    Hang,
    /// A redirect to this address, with the request's path and query behind it.
    Redirect(String),
    /// The answer's body is this one, under the right headers.
    Body(Vec<u8>),
    /// The answer goes without this header.
    Without(&'static str),
}

/// A request that was served (or refused).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Method, path and query.
    pub line: String,
    /// The Authorization header, empty without one.
    pub authorization: String,
}

/// A running registry. It ends when dropped.
pub struct Registry {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    options: RegistryOptions,
    address: Mutex<String>,
    store: Mutex<Store>,
    seen: Mutex<Vec<Seen>>,
    faults: Mutex<Vec<(String, Fault, usize)>>,
}

impl Registry {
    /// Serves on a free port of 127.0.0.1.
    pub fn start(options: RegistryOptions) -> Self {
        let shared = Arc::new(Shared {
            options,
            address: Mutex::default(),
            store: Mutex::default(),
            seen: Mutex::default(),
            faults: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime can be built");
                runtime.block_on(async {
                    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                    let address = listener.local_addr().expect("it is bound");
                    *lock(&shared.address) = address.to_string();
                    tell.send(address).expect("the starter waits");
                    tokio::select! {
                        () = server::accept(listener, shared) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
        });
        let address = told.recv().expect("the registry starts");
        Self { shared, address, stop, thread: Some(thread) }
    }

    /// Host and port, as they stand in image names.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// `oci://host:port/<repository>`.
    pub fn url(&self, repository: &str) -> String {
        format!("oci://{}/{repository}", self.address)
    }

    /// The requests since the start or the last call, in order.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *lock(&self.shared.seen))
    }

    /// The method, path and query of the requests since the start or the last call, in order.
    pub fn take_lines(&self) -> Vec<String> {
        self.take_seen().into_iter().map(|seen| seen.line).collect()
    }

    /// The next `times` requests whose `METHOD /path?query` contains `pattern` meet `fault`.
    pub fn break_requests(&self, pattern: &str, fault: Fault, times: usize) {
        lock(&self.shared.faults).push((pattern.to_owned(), fault, times));
    }

    /// All is well again.
    pub fn mend(&self) {
        lock(&self.shared.faults).clear();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
