//! The distribution API over HTTP: <https://github.com/opencontainers/distribution-spec>, and the token realm.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LINK, LOCATION,
    WWW_AUTHENTICATE,
};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::store::digest;
use super::{Access, Fault, Seen, Shared, lock};

/// The token that our realm gives.
const TOKEN: &str = "a-token-of-the-test-registry";

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
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
        async move { Ok::<_, Infallible>(respond(&shared, request).await) }
    });
    // Clients hang up as they please.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// A body of one piece, after which the connection may be cut.
pub(crate) struct Piece {
    pub(crate) bytes: Option<Bytes>,
    pub(crate) cut: Option<Cut>,
}

/// What is left to do before the cut.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    /// Wait, so that what came before is sent.
    Flush,
    /// Fail.
    Now,
}

impl Body for Piece {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match (self.bytes.take(), self.cut) {
            (Some(bytes), _) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            (None, None) => Poll::Ready(None),
            (None, Some(Cut::Flush)) => {
                self.cut = Some(Cut::Now);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            (None, Some(Cut::Now)) => Poll::Ready(Some(Err(std::io::Error::other("cut")))),
        }
    }
}

pub(crate) type Answer = Response<Piece>;

pub(crate) fn answer(status: StatusCode, content_type: &str, bytes: Vec<u8>) -> Answer {
    let mut answer = Response::new(Piece { bytes: None, cut: None });
    *answer.status_mut() = status;
    set(&mut answer, CONTENT_TYPE, content_type);
    set(&mut answer, CONTENT_LENGTH, &bytes.len().to_string());
    answer.body_mut().bytes = Some(bytes.into());
    answer
}

pub(crate) fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    answer.headers_mut().insert(name, HeaderValue::from_str(value).expect("a header value"));
}

fn error(status: StatusCode, code: &str, message: &str, detail: Value) -> Answer {
    let mut error = json!({"code": code, "message": message});
    if !detail.is_null() {
        error["detail"] = detail;
    }
    answer(status, "application/json", json!({"errors": [error]}).to_string().into_bytes())
}

async fn respond(shared: &Shared, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let authorization = parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let Ok(body) = body.collect().await else {
        return error(StatusCode::BAD_REQUEST, "UNKNOWN", "the request broke off", Value::Null);
    };
    let path_and_query = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let line = format!("{} {path_and_query}", parts.method);
    lock(&shared.seen).push(Seen { line: line.clone(), authorization: authorization.clone() });
    let fault = next_fault(shared, &line);
    match &fault {
        Some(Fault::Status(status, headers, body)) => {
            let status = StatusCode::from_u16(*status).expect("a status code");
            let mut answer = answer(status, "text/plain", body.clone().into_bytes());
            for (name, value) in headers {
                set(&mut answer, HeaderName::from_static(name), value);
            }
            return answer;
        }
        Some(Fault::Hang) => std::future::pending::<()>().await,
        Some(Fault::Slow(delay)) => tokio::time::sleep(*delay).await,
        Some(Fault::Redirect(to)) => {
            let mut answer = answer(StatusCode::TEMPORARY_REDIRECT, "text/plain", Vec::new());
            set(&mut answer, LOCATION, &format!("{to}{path_and_query}"));
            return answer;
        }
        _ => {}
    }
    let query = query(parts.uri.query().unwrap_or_default());
    let mut answer = if parts.uri.path() == "/token" {
        token(shared, &parts.method, &authorization, &body.to_bytes())
    } else if is_allowed(shared, &authorization) {
        api(
            shared,
            &parts.method,
            parts.uri.path(),
            &query,
            &parts.headers,
            body.to_bytes().to_vec(),
        )
    } else {
        refuse(shared)
    };
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
        Some(Fault::Without(name)) => {
            answer.headers_mut().remove(name);
        }
        _ => {}
    }
    if parts.method == Method::HEAD {
        answer.body_mut().bytes = None;
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

fn query(text: &str) -> BTreeMap<String, String> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.replace("%3A", ":").replace("%3a", ":").replace("%2F", "/"))
    };
    text.split('&').map(pair).collect()
}

fn is_allowed(shared: &Shared, authorization: &str) -> bool {
    match &shared.options.access {
        Access::Open => true,
        Access::Basic(username, password) => authorization == basic(username, password),
        Access::Token { .. } => authorization == format!("Bearer {TOKEN}"),
        Access::Bearer(token) => authorization == format!("Bearer {token}"),
    }
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

fn refuse(shared: &Shared) -> Answer {
    let mut answer = error(
        StatusCode::UNAUTHORIZED,
        "UNAUTHORIZED",
        "authentication required",
        json!([{"Type": "repository", "Action": "pull"}]),
    );
    let own_realm = || {
        let scheme = if shared.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/token", lock(&shared.address))
    };
    let challenge = match &shared.options.access {
        Access::Open | Access::Basic(..) => "Basic realm=\"test\"".to_owned(),
        Access::Token { .. } | Access::Bearer(_) => {
            let realm = shared.options.realm.clone().unwrap_or_else(own_realm);
            format!("Bearer realm=\"{realm}\",service=\"test-registry\"")
        }
    };
    set(&mut answer, WWW_AUTHENTICATE, &challenge);
    answer
}

fn token(shared: &Shared, method: &Method, authorization: &str, body: &[u8]) -> Answer {
    let Access::Token { username, password, identity } = &shared.options.access else {
        return error(StatusCode::NOT_FOUND, "UNKNOWN", "there are no tokens here", Value::Null);
    };
    let is_right = if *method == Method::POST {
        if identity.is_empty() {
            return error(StatusCode::NOT_FOUND, "UNKNOWN", "no OAuth 2 here", Value::Null);
        }
        String::from_utf8_lossy(body)
            .split('&')
            .any(|pair| pair == format!("refresh_token={identity}"))
    } else {
        authorization == basic(username, password)
    };
    if !is_right {
        return error(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "incorrect username or password",
            Value::Null,
        );
    }
    let body = json!({"token": TOKEN, "expires_in": 300}).to_string();
    answer(StatusCode::OK, "application/json", body.into_bytes())
}

fn api(
    shared: &Shared,
    method: &Method,
    path: &str,
    query: &BTreeMap<String, String>,
    headers: &hyper::HeaderMap,
    body: Vec<u8>,
) -> Answer {
    if path == "/v2/" || path == "/v2" {
        return answer(StatusCode::OK, "application/json", b"{}".to_vec());
    }
    let not_found = || error(StatusCode::NOT_FOUND, "UNSUPPORTED", "no such address", Value::Null);
    let Some(path) = path.strip_prefix("/v2/") else { return not_found() };
    if let Some(repository) = path.strip_suffix("/tags/list") {
        return tags(shared, repository, query);
    }
    if let Some((repository, rest)) = path.split_once("/blobs/uploads/") {
        return upload(shared, method, repository, rest, query, body);
    }
    if let Some((_, digest)) = path.rsplit_once("/blobs/") {
        return blob(shared, digest);
    }
    if let Some((repository, reference)) = path.rsplit_once("/manifests/") {
        return manifest(shared, method, repository, reference, headers, body);
    }
    if let Some((repository, subject)) = path.rsplit_once("/referrers/") {
        let kind = query.get("artifactType").map(String::as_str);
        let index = lock(&shared.store).referrers(repository, subject, kind).to_string();
        return answer(
            StatusCode::OK,
            "application/vnd.oci.image.index.v1+json",
            index.into_bytes(),
        );
    }
    not_found()
}

fn tags(shared: &Shared, repository: &str, query: &BTreeMap<String, String>) -> Answer {
    let Some(mut tags) = lock(&shared.store).tags(repository) else {
        let detail = json!({"name": repository});
        return error(
            StatusCode::NOT_FOUND,
            "NAME_UNKNOWN",
            "repository name not known to registry",
            detail,
        );
    };
    if let Some(last) = query.get("last") {
        tags.retain(|tag| tag > last);
    }
    let asked = query.get("n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let page =
        if shared.options.page_size > 0 { asked.min(shared.options.page_size) } else { asked };
    let has_more = tags.len() > page;
    tags.truncate(page);
    let body = json!({"name": repository, "tags": tags}).to_string();
    let mut answer = answer(StatusCode::OK, "application/json", body.into_bytes());
    if let (true, Some(last)) = (has_more, tags.last()) {
        set(
            &mut answer,
            LINK,
            &format!("</v2/{repository}/tags/list?n={page}&last={last}>; rel=\"next\""),
        );
    }
    answer
}

fn blob(shared: &Shared, digest: &str) -> Answer {
    match lock(&shared.store).blobs.get(digest).cloned() {
        Some(bytes) => {
            let mut answer = answer(StatusCode::OK, "application/octet-stream", bytes);
            set(&mut answer, HeaderName::from_static("docker-content-digest"), digest);
            answer
        }
        None => {
            error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry", json!(digest))
        }
    }
}

fn manifest(
    shared: &Shared,
    method: &Method,
    repository: &str,
    reference: &str,
    headers: &hyper::HeaderMap,
    body: Vec<u8>,
) -> Answer {
    let mut store = lock(&shared.store);
    let header = HeaderName::from_static("docker-content-digest");
    match *method {
        Method::GET | Method::HEAD => match store.manifest(repository, reference) {
            Some((digest, media_type, bytes)) => {
                let mut answer = answer(StatusCode::OK, &media_type, bytes);
                set(&mut answer, header, &digest);
                answer
            }
            None => {
                let detail = json!({"Tag": reference});
                error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown", detail)
            }
        },
        Method::PUT => {
            let media_type =
                headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let tag = (!reference.contains(':')).then_some(reference);
            let digest = store.put_manifest(repository, tag, media_type, body);
            let mut answer = answer(StatusCode::CREATED, "text/plain", Vec::new());
            set(&mut answer, LOCATION, &format!("/v2/{repository}/manifests/{digest}"));
            set(&mut answer, header, &digest);
            answer
        }
        Method::DELETE if store.delete_manifest(repository, reference) => {
            answer(StatusCode::ACCEPTED, "text/plain", Vec::new())
        }
        _ => error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown", Value::Null),
    }
}

/// `POST` begins, `PATCH` appends, `PUT` ends; `POST` with a digest does all at once.
fn upload(
    shared: &Shared,
    method: &Method,
    repository: &str,
    number: &str,
    query: &BTreeMap<String, String>,
    body: Vec<u8>,
) -> Answer {
    let mut store = lock(&shared.store);
    let header = HeaderName::from_static("docker-content-digest");
    let mounted = query.get("mount").filter(|digest| store.blobs.contains_key(*digest)).cloned();
    let number = match *method {
        Method::POST => {
            store.next_upload += 1;
            store.next_upload
        }
        _ => number.parse().unwrap_or_default(),
    };
    if let Some(digest) = mounted {
        let mut answer = answer(StatusCode::CREATED, "text/plain", Vec::new());
        set(&mut answer, LOCATION, &format!("/v2/{repository}/blobs/{digest}"));
        return answer;
    }
    if *method != Method::POST && !store.uploads.contains_key(&number) {
        return error(
            StatusCode::NOT_FOUND,
            "BLOB_UPLOAD_UNKNOWN",
            "blob upload unknown to registry",
            Value::Null,
        );
    }
    let content = store.uploads.entry(number).or_default();
    content.extend_from_slice(&body);
    let size = content.len();
    let Some(want) =
        query.get("digest").filter(|_| *method == Method::PUT || *method == Method::POST)
    else {
        let mut answer = answer(StatusCode::ACCEPTED, "text/plain", Vec::new());
        set(&mut answer, LOCATION, &format!("/v2/{repository}/blobs/uploads/{number}"));
        let range = format!("0-{}", size.saturating_sub(1));
        set(&mut answer, HeaderName::from_static("range"), &range);
        return answer;
    };
    let content = store.uploads.remove(&number).unwrap_or_default();
    if digest(&content) != *want {
        return error(
            StatusCode::BAD_REQUEST,
            "DIGEST_INVALID",
            "digest did not match",
            json!(want),
        );
    }
    let digest = store.put_blob(content);
    let mut answer = answer(StatusCode::CREATED, "text/plain", Vec::new());
    set(&mut answer, LOCATION, &format!("/v2/{repository}/blobs/{digest}"));
    set(&mut answer, header, &digest);
    answer
}
