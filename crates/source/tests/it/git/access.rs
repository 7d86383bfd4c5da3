//! HTTP access: credentials, TLS, mutual TLS, proxies, redirects, and servers that misbehave.

use std::time::{Duration, Instant};

use borax_source::git::{Fetched, GitError, Proxy, fetch};
use borax_testkit::git::{Access, Fault, HttpOptions, HttpServer, Repositories, TestTls};
use tokio_util::sync::CancellationToken;

use super::support::{checkout, failure, request, request_as, run};

fn one() -> Repositories {
    let repositories = Repositories::new();
    repositories.create("app.git").commit("main", &[("a", "one")]);
    repositories
}

fn served(options: HttpOptions) -> (Repositories, HttpServer) {
    let repositories = one();
    let server = HttpServer::start(repositories.root(), options);
    (repositories, server)
}

#[test]
fn basic_and_bearer_credentials_are_sent_with_every_request() {
    for (access, secret, header) in [
        (
            Access::Basic("me".into(), "s3cret".into()),
            &[("username", "me"), ("password", "s3cret")][..],
            "Basic bWU6czNjcmV0",
        ),
        (Access::Bearer("t0ken".into()), &[("bearerToken", "t0ken")], "Bearer t0ken"),
    ] {
        let (_repositories, server) = served(HttpOptions { access, ..HttpOptions::default() });
        checkout(&request_as(&server.url("app.git"), secret));
        let seen = server.take_seen();
        assert_eq!(seen.len(), 3, "info/refs, ls-refs, fetch");
        assert!(seen.iter().all(|s| s.authorization == header));
    }
}

#[test]
fn refused_credentials_are_never_printed() {
    let (_repositories, server) = served(HttpOptions {
        access: Access::Basic("me".into(), "other".into()),
        ..HttpOptions::default()
    });
    let url = server.url("app.git").replace("http://", "http://me:s3cret@");
    let text = failure(&request(&url));
    assert_eq!(
        text,
        format!(
            "failed to checkout and determine revision: unable to clone '{}': authentication required; the server refused \
             the credentials of spec.secretRef",
            server.url("app.git")
        )
    );
}

#[test]
fn a_ca_of_ones_own_is_needed_and_enough() {
    let tls = TestTls::generate();
    let (_repositories, server) =
        served(HttpOptions { tls: Some(tls.clone()), ..HttpOptions::default() });
    let url = server.url("app.git");
    checkout(&request_as(&url, &[("ca.crt", &tls.ca)]));
    let text = failure(&request(&url));
    assert!(text.contains("unexpected client error: Get \"https://"), "{text}");
    assert!(text.contains("invalid peer certificate: UnknownIssuer"), "{text}");
    let text = failure(&request_as(&url, &[("ca.crt", "nothing")]));
    assert!(text.ends_with("ca.crt holds no PEM certificate"), "{text}");
}

#[test]
fn a_client_certificate_is_shown() {
    let tls = TestTls::generate();
    let (_repositories, server) =
        served(HttpOptions { tls: Some(tls.clone()), mutual_tls: true, ..HttpOptions::default() });
    let url = server.url("app.git");
    let secret = [
        ("ca.crt", tls.ca.as_str()),
        ("tls.crt", &tls.client_certificate),
        ("tls.key", &tls.client_key),
    ];
    checkout(&request_as(&url, &secret));
    let text = failure(&request_as(&url, &secret[..1]));
    assert!(text.contains("CertificateRequired"), "{text}");
}

#[test]
fn a_proxy_gets_the_request_and_its_own_credentials() {
    let (_repositories, server) = served(HttpOptions::default());
    // A plain HTTP request through a proxy names the whole URL, which our server takes for a path.
    let proxy = HttpServer::start(std::path::Path::new("/nonexistent"), HttpOptions::default());
    let mut request = request(&server.url("app.git"));
    let data = [("address", format!("http://{}", proxy.address()))]
        .map(|(k, v)| (k.to_string(), v.into_bytes()));
    request.proxy = Some(Proxy::from_secret(&data.into()).expect("valid"));
    let text = failure(&request);
    assert!(text.contains("repository not found"), "{text}");
    assert_eq!((server.count(), proxy.count()), (0, 1));
}

#[test]
fn redirects_do_not_carry_credentials_away() {
    let (_repositories, other) = served(HttpOptions::default());
    let (_repositories, server) = served(HttpOptions::default());
    server.break_next([Some(Fault::Redirect(format!("http://{}", other.address())))]);
    checkout(&request_as(&server.url("app.git"), &[("username", "me"), ("password", "s3cret")]));
    assert_eq!(server.count(), 1);
    let seen = other.take_seen();
    assert_eq!(seen.len(), 3, "the rest goes where the first request was sent");
    assert!(seen.iter().all(|s| s.authorization.is_empty()));
}

#[test]
fn redirects_of_later_requests_and_away_from_git_are_refused() {
    let (_repositories, server) = served(HttpOptions::default());
    let url = server.url("app.git");
    server.break_next([None, Some(Fault::Redirect("http://127.0.0.1:1".into()))]);
    let text = failure(&request(&url));
    assert!(text.ends_with("only the first request may be redirected"), "{text}");
    server.break_next([Some(Fault::Redirect("file:///etc/passwd#".into()))]);
    let text = failure(&request(&url));
    assert!(text.ends_with("it leads to something that is not HTTP"), "{text}");
    server.break_next([Some(Fault::Redirect("http://127.0.0.1:1/login?from=".into()))]);
    let text = failure(&request(&url));
    assert!(text.contains("it does not lead to a Git repository"), "{text}");
    let tls = TestTls::generate();
    let (_repositories, secure) =
        served(HttpOptions { tls: Some(tls.clone()), ..HttpOptions::default() });
    secure.break_next([Some(Fault::Redirect(format!("http://{}", server.address())))]);
    let text = failure(&request_as(&secure.url("app.git"), &[("ca.crt", &tls.ca)]));
    assert!(text.ends_with("it leads from TLS to plain HTTP"), "{text}");
}

#[test]
fn statuses_are_told_in_the_words_of_flux() {
    let (_repositories, server) = served(HttpOptions::default());
    let url = server.url("app.git");
    for (status, words, want) in [
        (403, "no\n  entry", "authorization failed: no entry".to_string()),
        (404, "<html>x</html>", "repository not found".to_string()),
        (
            500,
            "",
            format!(
                "unexpected client error: unexpected requesting \"{url}/info/refs?service=git-upload-pack\" status code: 500"
            ),
        ),
    ] {
        server.break_next([Some(Fault::Status(status, words.to_string()))]);
        assert_eq!(
            failure(&request(&url)),
            format!("failed to checkout and determine revision: unable to clone '{url}': {want}")
        );
    }
}

#[test]
fn what_is_not_git_is_refused() {
    let (_repositories, server) = served(HttpOptions::default());
    let url = server.url("app.git");
    for (body, want) in [
        (&b"<html>"[..], "invalid pkt-len \"<htm\" found"),
        (b"", "the server said nothing"),
        (b"001e# service=git-upload-pack\n", "the server's answer ended too early"),
        (
            b"000eversion 2\n0013object-format=x\n0000",
            "the repository's object format is x, only sha1 is supported",
        ),
        (b"0009hello", "not a line of a ref listing: hello"),
        (b"000fERR go away0000", "remote: go away"),
    ] {
        server.break_next([Some(Fault::Body(body.to_vec()))]);
        let text = failure(&request(&url));
        assert!(text.ends_with(want), "{text}");
    }
}

#[test]
fn a_cut_connection_is_an_error_wherever_it_is_cut() {
    let (_repositories, server) = served(HttpOptions::default());
    let url = server.url("app.git");
    for at in [0, 3, 30, 60] {
        server.break_next([None, None, Some(Fault::CutAfter(at))]);
        let text = failure(&request(&url));
        assert!(text.contains(&format!("unable to clone '{url}'")), "{at}: {text}");
    }
    checkout(&request(&url));
}

#[test]
fn a_server_that_hangs_is_given_up_at_the_timeout() {
    let (_repositories, server) = served(HttpOptions::default());
    let url = server.url("app.git");
    server.break_next([Some(Fault::Hang)]);
    let mut request = request(&url);
    request.timeout = Duration::from_millis(50);
    assert_eq!(
        failure(&request),
        format!(
            "failed to checkout and determine revision: unable to clone '{url}': context deadline exceeded"
        )
    );
}

#[test]
fn a_fetch_is_cancelled_at_once() {
    let (_repositories, server) = served(HttpOptions::default());
    server.break_next([Some(Fault::Hang)]);
    let request = request(&server.url("app.git"));
    let cancel = CancellationToken::new();
    let cache = tempfile::TempDir::new().expect("a temporary folder");
    let begin = Instant::now();
    let result: Result<Fetched, GitError> = std::thread::scope(|scope| {
        let fetching = scope.spawn(|| fetch(&request, cache.path(), &cancel));
        while server.count() == 0 {
            std::thread::yield_now();
        }
        cancel.cancel();
        fetching.join().expect("no panic")
    });
    let error = result.expect_err("it was cancelled");
    assert!(error.is_cancelled(), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(std::fs::read_dir(cache.path()).expect("readable").count(), 0, "nothing is left");
}

#[test]
fn packs_and_trees_have_limits() {
    let repositories = Repositories::new();
    let repository = repositories.create("app.git");
    let noise: String =
        (0..20_000u32).map(|i| format!("{:x}", i.wrapping_mul(2_654_435_761))).collect();
    repository.commit("main", &[("noise", &noise), ("b", "b")]);
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let url = server.url("app.git");
    let mut request = request(&url);
    request.limits.pack_bytes = 10_000;
    let text = failure(&request);
    assert!(
        text.ends_with("the pack the server sends is larger than the limit of 10000 bytes"),
        "{text}"
    );
    request.limits.pack_bytes = 1_000_000;
    request.limits.object_bytes = 10_000;
    let text = failure(&request);
    assert!(text.contains("refused the pack the server sends: object "), "{text}");
    assert!(text.ends_with(&format!("has {} bytes, 10000 are allowed", noise.len())), "{text}");
    request.limits.object_bytes = 1_000_000;
    request.limits.tree_bytes = 10_000;
    let Ok(Fetched::Checkout(found)) = run(&request) else {
        panic!("limits on the tree hold when it is read");
    };
    let error = found.ignore_files().expect_err("too large");
    assert!(
        error.to_string().ends_with("the tree is larger than the limit of 10000 bytes"),
        "{error}"
    );
}
