//! A chart repository in this process: an index and charts over HTTP, with logins, certificates, a record of every
//! request, and faults on demand.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, ETAG, IF_NONE_MATCH, LOCATION};
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::git::TestTls;
use crate::registry::server::{Answer, Cut, Piece, answer, set};
use crate::registry::{Fault, Seen, lock, tar_gz};

/// How to serve.
#[derive(Clone, Debug, Default)]
pub struct ChartRepositoryOptions {
    /// The user name and password that every request must have.
    pub login: Option<(String, String)>,
    /// TLS with these certificates.
    pub tls: Option<TestTls>,
    /// Only for clients with a certificate of the same authority.
    pub mutual_tls: bool,
    /// Whether answers are named, so that clients need not fetch twice.
    pub etags: bool,
}

/// A running chart repository. It ends when dropped.
pub struct ChartRepository {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    options: ChartRepositoryOptions,
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    entries: Mutex<BTreeMap<String, Vec<String>>>,
    seen: Mutex<Vec<Seen>>,
    faults: Mutex<Vec<(String, Fault, usize)>>,
}

impl ChartRepository {
    /// Serves on a free port of 127.0.0.1.
    pub fn start(options: ChartRepositoryOptions) -> Self {
        let shared = Arc::new(Shared {
            options,
            files: Mutex::default(),
            entries: Mutex::default(),
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
                    tell.send(listener.local_addr().expect("it is bound")).expect("it waits");
                    tokio::select! {
                        () = accept(listener, shared) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
        });
        let address = told.recv().expect("the repository starts");
        Self { shared, address, stop, thread: Some(thread) }
    }

    /// Host and port.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The repository's address.
    pub fn url(&self) -> String {
        let scheme = if self.shared.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/charts", self.address)
    }

    /// Serves `content` at `path` below the repository's address.
    pub fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        lock(&self.shared.files).insert(format!("/charts/{path}"), content.into());
    }

    /// What is served at `path` below the repository's address.
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        lock(&self.shared.files).get(&format!("/charts/{path}")).cloned()
    }

    /// Adds a chart of these files (paths below the chart), and writes the index anew; returns the archive.
    pub fn add(&self, name: &str, version: &str, files: &[(&str, &str)]) -> Vec<u8> {
        let chart = chart(name, version, files);
        let file = format!("{name}-{version}.tgz");
        self.put(&file, chart.clone());
        self.add_entry(name, version, &file);
        chart
    }

    /// Adds a version to the index that is at `url`.
    pub fn add_entry(&self, name: &str, version: &str, url: &str) {
        let mut entries = lock(&self.shared.entries);
        let nth = entries.values().map(Vec::len).sum::<usize>();
        entries.entry(name.to_owned()).or_default().push(format!(
            "  - apiVersion: v2\n    created: \"2024-01-01T00:00:{:02}Z\"\n    name: {name}\n    urls:\n    - {url}\n    version: {version}\n",
            nth % 60
        ));
        let mut index = "apiVersion: v1\nentries:\n".to_owned();
        for (name, versions) in &*entries {
            index += &format!("  {name}:\n{}", versions.concat());
        }
        index += "generated: \"2024-01-01T00:00:00Z\"\n";
        drop(entries);
        self.put("index.yaml", index);
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

impl Drop for ChartRepository {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A packaged chart of these files (paths below the chart). Without a Chart.yaml among them it gets one.
pub fn chart(name: &str, version: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let chart_yaml = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
    let own = (!files.iter().any(|(path, _)| *path == "Chart.yaml"))
        .then_some(("Chart.yaml", chart_yaml.as_str()));
    let files: Vec<(String, &[u8])> = own
        .iter()
        .chain(files)
        .map(|(path, text)| (format!("{name}/{path}"), text.as_bytes()))
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (&**path, *text)).collect();
    tar_gz(&files)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let options = &shared.options;
    let acceptor =
        options.tls.as_ref().map(|tls| TlsAcceptor::from(tls.server_config(options.mutual_tls)));
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, shared).await,
                Some(acceptor) => {
                    // A client that breaks the handshake off sees why; here is nothing to do.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(respond(&shared, &request).await) }
    });
    // Clients hang up as they please.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(shared: &Shared, request: &Request<Incoming>) -> Answer {
    let header = |name| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let path_and_query = request.uri().path_and_query().map(ToString::to_string);
    let line = format!("{} {}", request.method(), path_and_query.clone().unwrap_or_default());
    let authorization = header(AUTHORIZATION);
    lock(&shared.seen).push(Seen { line: line.clone(), authorization: authorization.clone() });
    let fault = next_fault(shared, &line);
    match &fault {
        Some(Fault::Status(status, _, body)) => {
            let status = StatusCode::from_u16(*status).expect("a status code");
            return answer(status, "text/plain", body.clone().into_bytes());
        }
        Some(Fault::Hang) => std::future::pending::<()>().await,
        Some(Fault::Slow(delay)) => tokio::time::sleep(*delay).await,
        Some(Fault::Redirect(to)) => {
            let mut answer = answer(StatusCode::FOUND, "text/plain", Vec::new());
            set(&mut answer, LOCATION, &format!("{to}{}", path_and_query.unwrap_or_default()));
            return answer;
        }
        _ => {}
    }
    if let Some((user, password)) = &shared.options.login
        && authorization != format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    {
        return answer(StatusCode::UNAUTHORIZED, "text/plain", b"who are you?".to_vec());
    }
    let Some(content) = lock(&shared.files).get(request.uri().path()).cloned() else {
        return answer(StatusCode::NOT_FOUND, "text/plain", b"not here".to_vec());
    };
    let name = format!("\"{}\"", hex::encode(Sha256::digest(&content)));
    if shared.options.etags && header(IF_NONE_MATCH) == name {
        return answer(StatusCode::NOT_MODIFIED, "text/plain", Vec::new());
    }
    let mut answer = answer(StatusCode::OK, "application/octet-stream", content);
    if shared.options.etags {
        set(&mut answer, ETAG, &name);
    }
    match fault {
        Some(Fault::CutAfter(n)) => {
            let bytes = answer.body_mut().bytes.take().unwrap_or_default();
            *answer.body_mut() =
                Piece { bytes: Some(bytes.slice(..n.min(bytes.len()))), cut: Some(Cut::Flush) };
        }
        Some(Fault::Body(bytes)) => {
            set(&mut answer, CONTENT_LENGTH, &bytes.len().to_string());
            answer.body_mut().bytes = Some(bytes.into());
        }
        _ => {}
    }
    answer
}

fn next_fault(shared: &Shared, line: &str) -> Option<Fault> {
    let mut faults = lock(&shared.faults);
    let (_, fault, left) =
        faults.iter_mut().find(|(pattern, _, left)| *left > 0 && line.contains(&**pattern))?;
    *left -= 1;
    Some(fault.clone())
}
