//! The file server, asked over real HTTP.

use std::fs;
use std::future::pending;
use std::path::PathBuf;

use borax_artifact::path::ArtifactPath;
use borax_artifact::serve::serve;
use reqwest::{Client, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::trees::{Tree, storage};

pub(crate) async fn start(root: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(serve(listener, root, pending()));
    address
}

pub(crate) fn client() -> Client {
    // Fails when another test was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn serves_whole_files_ranges_heads_and_links() {
    let (_dir, storage) = storage();
    let path = ArtifactPath::new("OCIRepository", "ns", "name", "sha256:0a.tar.gz").unwrap();
    storage.archive(&path, "r", &mut Tree::default().file("a", "content")).unwrap();
    storage.symlink(&path, "latest.tar.gz").unwrap();
    let bytes = fs::read(storage.local_path(&path)).unwrap();
    let address = start(storage.options().root.clone()).await;
    let client = client();
    for name in ["sha256:0a.tar.gz", "sha256%3A0a.tar.gz", "latest.tar.gz"] {
        let url = format!("http://{address}/ocirepository/ns/name/{name}");
        let whole = client.get(&url).send().await.unwrap();
        assert_eq!(whole.status(), StatusCode::OK);
        assert_eq!(whole.headers()["content-length"], bytes.len().to_string());
        assert!(whole.headers().contains_key("last-modified"));
        assert_eq!(whole.bytes().await.unwrap(), bytes);
        let part = client.get(&url).header("range", "bytes=2-5").send().await.unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.bytes().await.unwrap(), bytes[2..=5]);
        let head = client.head(&url).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], bytes.len().to_string());
        let post = client.request(Method::POST, &url).send().await.unwrap();
        assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[tokio::test]
async fn lists_nothing_hides_dot_files_and_never_leaves_the_root() {
    let (dir, storage) = storage();
    let path = ArtifactPath::new("GitRepository", "ns", "name", "x.tar.gz").unwrap();
    storage.archive(&path, "r", &mut Tree::default().file("a", "content")).unwrap();
    let root = &storage.options().root;
    fs::write(dir.path().join("secret"), "secret").unwrap();
    fs::write(root.join(".tmp/half"), "secret").unwrap();
    std::os::unix::fs::symlink(dir.path().join("secret"), root.join("gitrepository/ns/name/out"))
        .unwrap();
    std::os::unix::fs::symlink("../../../.tmp/half", root.join("gitrepository/ns/name/hidden"))
        .unwrap();
    let address = start(root.clone()).await;
    for target in [
        "/",
        "/gitrepository",
        "/gitrepository/ns/name/",
        "/gitrepository/ns/name/out",
        "/gitrepository/ns/name/hidden",
        "/.tmp/half",
        "/../secret",
        "/gitrepository/../../secret",
        "/%2e%2e/secret",
        "/gitrepository/..%2f..%2fsecret",
        "//secret",
        "/gitrepository/ns/name/x.tar.gz%00",
        "/%ff",
    ] {
        // By hand, as clients clean paths before they send them.
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 404 "), "{target}: {response}");
        assert!(!response.contains("secret"), "{target}");
    }
}
