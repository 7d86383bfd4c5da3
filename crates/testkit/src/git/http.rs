//! Smart HTTP in this process: authentication, TLS, a record of every request, and faults on demand.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::repository::QUIET_ENVIRONMENT;
use super::tls::TestTls;

/// Who may come in.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// Anyone.
    #[default]
    Open,
    /// This user name and password.
    Basic(String, String),
    /// This bearer token.
    Bearer(String),
}

/// How to serve.
#[derive(Clone, Debug, Default)]
pub struct HttpOptions {
    /// Who may come in.
    pub access: Access,
    /// TLS with these certificates.
    pub tls: Option<TestTls>,
    /// Only for clients with a certificate of the same authority.
    pub mutual_tls: bool,
    /// Leave protocol version 2 out, as old servers do.
    pub old_protocol: bool,
}

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status and this text.
    Status(u16, String),
    /// No answer, ever.
    Hang,
    /// The connection is cut after so many bytes of the answer's body.
    CutAfter(usize),
    /// A redirect to this address, with the request's path and query behind it.
    Redirect(String),
    /// This body, as a ref listing or a pack would be.
    Body(Vec<u8>),
}

/// A request that was served (or refused).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Method, path and query.
    pub line: String,
    /// The Authorization header, empty without one.
    pub authorization: String,
    /// The body of a POST, decoded: what was asked of Git.
    pub body: Vec<u8>,
}

/// A running server. It ends when dropped.
pub struct HttpServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    root: PathBuf,
    options: HttpOptions,
    seen: Mutex<Vec<Seen>>,
    faults: Mutex<VecDeque<Option<Fault>>>,
}

impl HttpServer {
    /// Serves the repositories below `root` on a free port of 127.0.0.1.
    pub fn start(root: &Path, options: HttpOptions) -> Self {
        let shared = Arc::new(Shared {
            root: root.to_path_buf(),
            options,
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
                    tell.send(address).expect("the starter waits");
                    tokio::select! {
                        () = accept(listener, shared) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
        });
        let address = told.recv().expect("the server starts");
        Self { shared, address, stop, thread: Some(thread) }
    }

    /// The URL of the repository `name`.
    pub fn url(&self, name: &str) -> String {
        let scheme = match self.shared.options.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}/{name}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests since the start or the last call, in order.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *lock(&self.shared.seen))
    }

    /// How many requests there were since the start or the last [`HttpServer::take_seen`].
    pub fn count(&self) -> usize {
        lock(&self.shared.seen).len()
    }

    /// The next requests meet these, one each; `None` serves one well.
    pub fn break_next(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        lock(&self.shared.faults).extend(faults);
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let acceptor = shared
        .options
        .tls
        .as_ref()
        .map(|tls| TlsAcceptor::from(tls.server_config(shared.options.mutual_tls)));
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
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    // Clients hang up as they please.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

type Answer = Response<BoxBody<Bytes, std::io::Error>>;

async fn answer(shared: &Shared, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let header = |name| {
        let value = parts.headers.get(name).and_then(|v| v.to_str().ok());
        value.unwrap_or_default().to_string()
    };
    let authorization = header(AUTHORIZATION.as_str());
    let protocol = header("git-protocol");
    let mut body = match body.collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(_) => return text(StatusCode::BAD_REQUEST, "the request broke off"),
    };
    if header(CONTENT_ENCODING.as_str()) == "gzip" {
        let mut plain = Vec::new();
        if flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).is_err() {
            return text(StatusCode::BAD_REQUEST, "not gzip");
        }
        body = plain;
    }
    let path_and_query = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    lock(&shared.seen).push(Seen {
        line: format!("{} {path_and_query}", parts.method),
        authorization: authorization.clone(),
        body: body.clone(),
    });
    let fault = lock(&shared.faults).pop_front().flatten();
    match &fault {
        Some(Fault::Status(status, words)) => {
            return text(StatusCode::from_u16(*status).expect("a status code"), words);
        }
        Some(Fault::Hang) => std::future::pending::<()>().await,
        Some(Fault::Redirect(to)) => {
            let mut answer = text(StatusCode::MOVED_PERMANENTLY, "");
            let to = format!("{to}{path_and_query}").parse().expect("a header value");
            answer.headers_mut().insert(LOCATION, to);
            return answer;
        }
        _ => {}
    }
    if !may_enter(&shared.options.access, &authorization) {
        let mut answer = text(StatusCode::UNAUTHORIZED, "");
        let challenge = "Basic realm=\"git\"".parse().expect("a header value");
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        return answer;
    }
    let protocol = if shared.options.old_protocol { String::new() } else { protocol };
    let cut = match fault {
        Some(Fault::CutAfter(bytes)) => Some(bytes),
        _ => None,
    };
    let path = parts.uri.path().trim_start_matches('/').to_string();
    let mut answer = if let Some(name) = path.strip_suffix("/info/refs") {
        let query = parts.uri.query().unwrap_or_default();
        let service = query.strip_prefix("service=git-").unwrap_or_default();
        git(shared, name, service, &protocol, None, cut).await
    } else if let (&Method::POST, Some((name, service))) =
        (&parts.method, path.rsplit_once("/git-"))
    {
        git(shared, name, service, &protocol, Some(body), cut).await
    } else {
        text(StatusCode::NOT_FOUND, "not found")
    };
    if let Some(Fault::Body(bytes)) = fault {
        *answer.body_mut() = full(bytes);
    }
    answer
}

fn may_enter(access: &Access, authorization: &str) -> bool {
    match access {
        Access::Open => true,
        Access::Basic(username, password) => {
            let pair = STANDARD.encode(format!("{username}:{password}"));
            authorization == format!("Basic {pair}")
        }
        Access::Bearer(token) => authorization == format!("Bearer {token}"),
    }
}

/// Runs `git <service> --stateless-rpc`: for the advertisement, or with `input` for a request.
async fn git(
    shared: &Shared,
    name: &str,
    service: &str,
    protocol: &str,
    input: Option<Vec<u8>>,
    cut: Option<usize>,
) -> Answer {
    let repository = shared.root.join(name);
    let escapes = name.split('/').any(|part| matches!(part, "" | "." | ".."));
    if escapes || !repository.join("HEAD").is_file() {
        return text(StatusCode::NOT_FOUND, "Repository not found.");
    }
    if !matches!(service, "upload-pack" | "receive-pack") {
        return text(StatusCode::FORBIDDEN, "only smart HTTP is served");
    }
    let mut command = tokio::process::Command::new("git");
    command.envs(QUIET_ENVIRONMENT).env("GIT_PROTOCOL", protocol);
    command.arg("-c").arg("http.receivepack=true").arg(service).arg("--stateless-rpc");
    if input.is_none() {
        command.arg("--http-backend-info-refs");
    }
    command.arg(&repository);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.kill_on_drop(true);
    let mut child = command.spawn().expect("git is installed");
    let mut stdin = child.stdin.take().expect("it was asked for");
    let mut stdout = child.stdout.take().expect("it was asked for");
    let kind = match input {
        None => "advertisement",
        Some(_) => "result",
    };
    let begin = match kind {
        "advertisement" => {
            format!("{:04x}# service=git-{service}\n0000", 19 + service.len()).into_bytes()
        }
        _ => Vec::new(),
    };
    let (send, receive) = mpsc::channel::<Result<Bytes, std::io::Error>>(4);
    tokio::spawn(async move {
        let write = async move {
            if let Some(input) = input {
                // `git` may have said all before it has read all.
                let _ = stdin.write_all(&input).await;
            }
        };
        let read = async move {
            let mut left = cut.unwrap_or(usize::MAX);
            let mut chunk = begin;
            loop {
                let take = chunk.len().min(left);
                left -= take;
                if take < chunk.len() {
                    chunk.truncate(take);
                    let _ = send.send(Ok(Bytes::from(chunk))).await;
                    let _ = send.send(Err(std::io::Error::other("cut"))).await;
                    return;
                }
                if !chunk.is_empty() && send.send(Ok(Bytes::from(chunk))).await.is_err() {
                    return;
                }
                chunk = vec![0; 32 * 1024];
                match stdout.read(&mut chunk).await {
                    Ok(n) if n > 0 => chunk.truncate(n),
                    _ => return,
                }
            }
        };
        tokio::join!(write, read);
        let _ = child.wait().await;
    });
    let mut answer = Response::new(ChannelBody { receive }.boxed());
    let kind = format!("application/x-git-{service}-{kind}");
    answer.headers_mut().insert(CONTENT_TYPE, kind.parse().expect("a header value"));
    answer
}

/// A body that another task produces.
struct ChannelBody {
    receive: mpsc::Receiver<Result<Bytes, std::io::Error>>,
}

impl Body for ChannelBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.receive.poll_recv(context).map(|next| next.map(|chunk| chunk.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn full(bytes: Vec<u8>) -> BoxBody<Bytes, std::io::Error> {
    Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed()
}

fn text(status: StatusCode, words: &str) -> Answer {
    let mut answer = Response::new(full(words.as_bytes().to_vec()));
    *answer.status_mut() = status;
    let kind = "text/plain".parse().expect("a header value");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
