//! Downloads from someone else's server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use borax_artifact::digest::Algorithm;
use borax_artifact::fetch::{FetchError, FetchOptions, Fetcher};
use borax_artifact::path::ArtifactPath;
use borax_stdx::files::Files;
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::net::TcpListener;

use crate::serve::{client, start};
use crate::trees::{Tree, gzip, raw_entry, storage, storage_with};

fn options() -> FetchOptions {
    let pause = Duration::from_millis(1);
    FetchOptions {
        retries: 3,
        min_pause: pause,
        max_pause: pause,
        stall_timeout: Duration::from_secs(60),
        max_bytes: 10_000,
        host: None,
    }
}

/// A server that answers the n-th request with what `answer` says; counts them.
async fn upstream(
    answer: impl Fn(usize) -> Response<Body> + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x.tar.gz", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let (requests, answer) = (Arc::clone(&count), Arc::new(answer));
    let router = Router::new().fallback(move || {
        let response = answer(requests.fetch_add(1, Ordering::SeqCst));
        async move { response }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, count)
}

fn status(code: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn archive() -> (Bytes, String) {
    let bytes = Bytes::from(gzip(&[raw_entry(b"a", b'0', 2, b"hi"), vec![0; 1024]].concat()));
    let mut hasher = Algorithm::Sha256.hasher();
    hasher.update(&bytes);
    (bytes, hasher.finish().to_string())
}

fn fetcher(options: FetchOptions) -> (tempfile::TempDir, Fetcher) {
    let (dir, storage) = storage_with(|options| options.advertised = "mine.example".to_owned());
    (dir, Fetcher::new(Arc::new(storage), client(), options))
}

#[tokio::test]
async fn another_controllers_artifact_is_downloaded_once_for_all() {
    let (_there, other) = storage();
    let path = ArtifactPath::new("GitRepository", "ns", "name", "x.tar.gz").unwrap();
    let artifact = other.archive(&path, "r", &mut Tree::default().file("a", "content")).unwrap();
    let address = start(other.options().root.clone()).await;
    let (_dir, fetcher) = fetcher(FetchOptions { host: Some(address), ..options() });
    let digest = artifact.digest.to_string();
    let (a, b) =
        tokio::join!(fetcher.open(&artifact.url, &digest), fetcher.open(&artifact.url, &digest));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(Arc::ptr_eq(&a, &b));
    assert_eq!(&*a.read("/a").unwrap(), b"content");
    other.remove(&path).unwrap();
    assert!(
        fetcher.open(&artifact.url, &digest).await.is_ok(),
        "what is at hand is not asked for again"
    );
}

#[tokio::test]
async fn an_own_artifact_needs_no_request() {
    let (_dir, storage) = storage_with(|options| options.cache.max_trees = 0);
    let path = ArtifactPath::new("GitRepository", "ns", "name", "x.tar.gz").unwrap();
    let artifact = storage.archive(&path, "r", &mut Tree::default().file("a", "content")).unwrap();
    let fetcher = Fetcher::new(Arc::new(storage), client(), options());
    let tree = fetcher.open(&artifact.url, &artifact.digest.to_string()).await.unwrap();
    assert_eq!(&*tree.read("/a").unwrap(), b"content");
}

#[tokio::test]
async fn overload_and_failures_are_tried_again() {
    let (bytes, digest) = archive();
    let (url, count) = upstream(move |n| match n {
        0 => status(503),
        1 => status(500),
        2 => {
            let mut response = status(429);
            response.headers_mut().insert("retry-after", "0".parse().unwrap());
            response
        }
        _ => Response::new(Body::from(bytes.clone())),
    })
    .await;
    let (_dir, fetcher) = fetcher(options());
    assert_eq!(&*fetcher.open(&url, &digest).await.unwrap().read("/a").unwrap(), b"hi");
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn answers_that_stay_bad_are_named() {
    let (_, digest) = archive();
    for (code, requests) in [(503, 4), (403, 1), (404, 1), (501, 1)] {
        let (url, count) = upstream(move |_| status(code)).await;
        let (_dir, fetcher) = fetcher(options());
        let error = fetcher.open(&url, &digest).await.unwrap_err();
        assert_eq!(count.load(Ordering::SeqCst), requests, "{code}");
        if code == 404 {
            assert!(matches!(*error, FetchError::NotFound { .. }));
        } else {
            let want = format!("failed to download archive from {url} (status: {code}");
            assert!(error.to_string().starts_with(&want), "{error}");
        }
    }
    let (_dir, fetcher) = fetcher(options());
    let error = fetcher.open("http://127.0.0.1:1/x.tar.gz", &digest).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed to download archive: GET http://127.0.0.1:1/x.tar.gz giving up after 4 attempt(s)"
    );
}

#[tokio::test]
async fn what_is_too_big_or_not_the_promised_bytes_is_refused() {
    let (bytes, digest) = archive();
    let (_dir, fetcher) = fetcher(options());
    let (url, _) = upstream(|_| Response::new(Body::from(vec![0; 20_000]))).await;
    let error = fetcher.open(&url, &digest).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("artifact {url} is greater than the max download size of 10000 bytes")
    );
    let (url, _) =
        upstream(move |_| Response::new(Body::from(bytes[..bytes.len() - 1].to_vec()))).await;
    let error = fetcher.open(&url, &digest).await.unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("computed digest doesn't match {digest}")),
        "{error}"
    );
    let error = fetcher.open(&url, "").await.unwrap_err();
    assert!(error.to_string().starts_with("invalid digest \"sha256:\""), "{error}");
}

#[tokio::test]
async fn a_download_that_breaks_off_or_stalls_is_tried_again() {
    let (bytes, digest) = archive();
    let (url, count) = upstream(move |n| {
        let first = Ok::<_, std::io::Error>(bytes.slice(..10));
        match n {
            0 => Response::new(Body::from_stream(stream::iter([
                first,
                Err(std::io::Error::other("cut")),
            ]))),
            1 => Response::new(Body::from_stream(stream::iter([first]).chain(stream::pending()))),
            _ => Response::new(Body::from(bytes.clone())),
        }
    })
    .await;
    let (_dir, fetcher) =
        fetcher(FetchOptions { stall_timeout: Duration::from_millis(200), ..options() });
    assert_eq!(&*fetcher.open(&url, &digest).await.unwrap().read("/a").unwrap(), b"hi");
    assert_eq!(count.load(Ordering::SeqCst), 3);
}
