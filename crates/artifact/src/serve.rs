//! The HTTP file server for third-party consumers: stored artifacts under Flux's URLs, and nothing else.
//!
//! Source: fluxcd/pkg `artifact/server/fileserver.go` (Go's file server on `:9090`: GET, HEAD, ranges, modification
//! times). Unlike it there are no directory listings, no dot files, and nothing outside the root, links included.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use tokio::net::TcpListener;
use tower::ServiceExt;
use tower_http::services::ServeFile;

/// The service for artifacts below `root`, to be served alone or merged with others.
pub fn router(root: PathBuf) -> Router {
    Router::new().fallback(move |request: Request<Body>| {
        let root = root.clone();
        async move { respond(&root, request).await }
    })
}

/// Serves artifacts on `listener` until `stop` is done and the open downloads have ended.
pub async fn serve(
    listener: TcpListener,
    root: PathBuf,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(root)).with_graceful_shutdown(stop).await
}

async fn respond(root: &Path, request: Request<Body>) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(file) = locate(root, request.uri().path()).await else {
        return plain(StatusCode::NOT_FOUND);
    };
    let served: Result<_, Infallible> = ServeFile::new(file).oneshot(request).await;
    match served {
        Ok(response) => response.map(Body::new),
    }
}

/// The file that a URL path names, links resolved: a regular file below the root, no part of its path hidden.
async fn locate(root: &Path, path: &str) -> Option<PathBuf> {
    let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    let parts = path.strip_prefix('/')?.split('/');
    if parts
        .clone()
        .any(|part| part.is_empty() || part.starts_with('.') || part.contains(['\0', '\\']))
    {
        return None;
    }
    let root = tokio::fs::canonicalize(root).await.ok()?;
    let file = tokio::fs::canonicalize(root.join(parts.collect::<PathBuf>())).await.ok()?;
    let is_inside = file
        .strip_prefix(&root)
        .ok()?
        .components()
        .all(|part| !part.as_os_str().as_encoded_bytes().starts_with(b"."));
    let is_file = tokio::fs::metadata(&file).await.ok()?.is_file();
    (is_inside && is_file).then_some(file)
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response =
        Response::new(Body::from(format!("{}\n", status.canonical_reason().unwrap_or_default())));
    *response.status_mut() = status;
    response
}

/// The host and port that artifact URLs carry, from the flags `--storage-adv-addr` and `--storage-addr`.
///
/// As Flux: the first where it is set; else the second, with `localhost` for no host, and for `0.0.0.0` what `hostname`
/// gives (`$HOSTNAME`, else the machine's name). `None` where the address is not `host:port` or there is no host name.
///
/// ```
/// let host = || Some("source-0".to_owned());
/// let address = borax_artifact::serve::advertised_address;
/// assert_eq!(address("", ":9090", host).as_deref(), Some("localhost:9090"));
/// assert_eq!(address("", "0.0.0.0:9090", host).as_deref(), Some("source-0:9090"));
/// assert_eq!(address("source.flux-system.svc.", ":9090", host).as_deref(), Some("source.flux-system.svc."));
/// ```
pub fn advertised_address(
    advertised: &str,
    listen: &str,
    hostname: impl FnOnce() -> Option<String>,
) -> Option<String> {
    if !advertised.is_empty() {
        return Some(advertised.to_owned());
    }
    let (host, port) = listen.rsplit_once(':')?;
    match host {
        "" => Some(format!("localhost:{port}")),
        "0.0.0.0" => Some(format!("{}:{port}", hostname()?)),
        _ => Some(listen.to_owned()),
    }
}
