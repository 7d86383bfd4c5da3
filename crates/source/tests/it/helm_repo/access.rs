//! Logins, certificates, redirects, limits and broken answers.

use std::time::Duration;

use borax_source::git::ClientCertificate;
use borax_source::helm_repo::{Connection, Limits, Repositories};
use borax_testkit::charts::{ChartRepository, ChartRepositoryOptions};
use borax_testkit::git::TestTls;
use borax_testkit::registry::Fault;

use super::{connection, fetch, storage};

fn login() -> Option<(String, String)> {
    Some(("user".to_owned(), "s3cret".to_owned()))
}

#[tokio::test]
async fn an_index_and_its_charts_are_fetched() {
    let repository = ChartRepository::start(ChartRepositoryOptions::default());
    let chart = repository.add("app", "1.0.0", &[("values.yaml", "a: 1\n")]);
    repository.add("app", "1.1.0", &[]);
    let (_dir, storage) = storage();
    let repositories = Repositories::default();
    let connection = connection(&repository);
    let index = fetch(&repositories, &connection, &storage).await.unwrap();
    let version = index.choose("app", "1.0.x").unwrap();
    let url = version.url.as_deref().unwrap();
    let fetched = repositories.fetch_chart(&connection, url, &storage).await.unwrap();
    assert_eq!(fetched, chart);
    assert_eq!(repository.take_lines(), ["GET /charts/index.yaml", "GET /charts/app-1.0.0.tgz"]);
}

#[tokio::test]
async fn a_login_is_for_its_own_host_unless_told_otherwise() {
    let options = || ChartRepositoryOptions { login: login(), ..ChartRepositoryOptions::default() };
    let (repository, other) =
        (ChartRepository::start(options()), ChartRepository::start(options()));
    repository.add("app", "1.0.0", &[]);
    other.add("far", "1.0.0", &[]);
    let (_dir, storage) = storage();
    let repositories = Repositories::default();
    let nobody = connection(&repository);
    let refused = fetch(&repositories, &nobody, &storage).await.unwrap_err();
    let url = format!("{}/index.yaml", repository.url());
    assert_eq!(refused, format!("failed to fetch {url} : 401 Unauthorized"));
    let mut connection = Connection { login: login(), ..nobody };
    fetch(&repositories, &connection, &storage).await.unwrap();
    let far = format!("{}/far-1.0.0.tgz", other.url());
    other.take_seen();
    let refused = repositories.fetch_chart(&connection, &far, &storage).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("failed to fetch {far} : 401 Unauthorized"));
    assert_eq!(other.take_seen()[0].authorization, "", "another port is another host");
    connection.pass_credentials = true;
    repositories.fetch_chart(&connection, &far, &storage).await.unwrap();
    // A redirect to another name takes no login along.
    let elsewhere = other.url().replace("127.0.0.1", "localhost").replace("/charts", "");
    repository.break_requests("index.yaml", Fault::Redirect(elsewhere), 1);
    other.take_seen();
    fetch(&repositories, &connection, &storage).await.unwrap_err();
    assert_eq!(other.take_seen()[0].authorization, "");
    let shown = format!("{connection:?}{refused:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn redirects_are_followed_as_often_as_go_follows_them() {
    let repository = ChartRepository::start(ChartRepositoryOptions::default());
    repository.add("app", "1.0.0", &[]);
    let (_dir, storage) = storage();
    let repositories = Repositories::default();
    let connection = connection(&repository);
    let own = repository.url().replace("/charts", "");
    // Go counts the requests made: nine redirects are followed, at the tenth it says that it stopped after ten.
    repository.break_requests("index.yaml", Fault::Redirect(own.clone()), 9);
    fetch(&repositories, &connection, &storage).await.unwrap();
    repository.break_requests("index.yaml", Fault::Redirect(own), 10);
    let error = fetch(&repositories, &connection, &storage).await.unwrap_err();
    assert!(error.ends_with("stopped after 10 redirects"), "{error}");
    repository.mend();
    repository.break_requests("index.yaml", Fault::Redirect("file:///etc/passwd?".to_owned()), 1);
    let error = fetch(&repositories, &connection, &storage).await.unwrap_err();
    assert!(error.contains("\"file\" not supported"), "{error}");
}

#[tokio::test]
async fn certificates_are_checked_and_shown() {
    let tls = TestTls::generate();
    let options = ChartRepositoryOptions {
        tls: Some(tls.clone()),
        mutual_tls: true,
        ..ChartRepositoryOptions::default()
    };
    let repository = ChartRepository::start(options);
    repository.add("app", "1.0.0", &[]);
    let (_dir, storage) = storage();
    let repositories = Repositories::default();
    let mut connection = connection(&repository);
    let error = fetch(&repositories, &connection, &storage).await.unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    connection.ca = tls.ca.clone().into_bytes();
    assert!(fetch(&repositories, &connection, &storage).await.is_err(), "it wants a client's");
    connection.client = Some(ClientCertificate {
        certificate: tls.client_certificate.clone().into_bytes(),
        key: tls.client_key.clone().into_bytes(),
    });
    fetch(&repositories, &connection, &storage).await.unwrap();
    connection.ca = b"nonsense".to_vec();
    let error = fetch(&repositories, &connection, &storage).await.unwrap_err();
    assert!(error.contains("ca.crt holds no PEM certificate"), "{error}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_has_come() {
    let repository = ChartRepository::start(ChartRepositoryOptions::default());
    repository.add("app", "1.0.0", &[("big", &"x".repeat(100))]);
    let (_dir, storage) = storage();
    let connection = connection(&repository);
    let repositories = Repositories::new(Limits { index: 100, chart: 100, ..Limits::default() });
    let error = fetch(&repositories, &connection, &storage).await.unwrap_err();
    assert_eq!(error, "index exceeds the maximum index file size of 100 bytes");
    let error = repositories.fetch_chart(&connection, "app-1.0.0.tgz", &storage).await.unwrap_err();
    assert_eq!(error.to_string(), "size of chart exceeds the limit of 100 bytes");
}

#[tokio::test]
async fn broken_answers_are_errors() {
    let repository = ChartRepository::start(ChartRepositoryOptions::default());
    repository.add("app", "1.0.0", &[]);
    let (_dir, storage) = storage();
    let repositories = Repositories::default();
    let mut connection = connection(&repository);
    let url = format!("{}/index.yaml", repository.url());
    repository.break_requests("index.yaml", Fault::CutAfter(20), 1);
    let error = fetch(&repositories, &connection, &storage).await.unwrap_err();
    assert!(error.starts_with(&format!("Get \"{url}\": ")), "{error}");
    repository.break_requests("index.yaml", Fault::Status(503, Vec::new(), String::new()), 1);
    let error = fetch(&repositories, &connection, &storage).await.unwrap_err();
    assert_eq!(error, format!("failed to fetch {url} : 503 Service Unavailable"));
    repository.break_requests("index.yaml", Fault::Body(b"<html>".to_vec()), 1);
    let error = fetch(&repositories, &connection, &storage).await.unwrap_err();
    assert!(error.contains("not an object"), "{error}");
    connection.timeout = Duration::from_millis(50);
    repository.break_requests("index.yaml", Fault::Hang, 1);
    let error = fetch(&repositories, &connection, &storage).await.unwrap_err();
    assert_eq!(error, format!("Get \"{url}\": it took longer than the timeout of 0.05 s"));
    connection.url = "http://127.0.0.1:1/charts".to_owned();
    let error = fetch(&repositories, &connection, &storage).await.unwrap_err();
    assert!(error.contains("refused"), "{error}");
    connection.url = "ftp://example.com/charts".to_owned();
    let error = fetch(&repositories, &connection, &storage).await.unwrap_err();
    assert_eq!(error, "scheme \"ftp\" not supported");
}

#[tokio::test]
async fn an_index_that_the_server_knows_by_name_is_not_fetched_twice() {
    let options = ChartRepositoryOptions { etags: true, ..ChartRepositoryOptions::default() };
    let repository = ChartRepository::start(options);
    repository.add("app", "1.0.0", &[]);
    let (_dir, storage) = storage();
    let repositories = Repositories::default();
    let connection = connection(&repository);
    let first = repositories.fetch_index(&connection, None, &storage).await.unwrap().unwrap();
    let etag = first.etag.unwrap();
    repositories.remember("key", etag.clone());
    assert_eq!(repositories.etag("key"), Some(etag.clone()));
    let second = repositories.fetch_index(&connection, Some(&etag), &storage).await.unwrap();
    assert!(second.is_none());
    repository.add("app", "1.1.0", &[]);
    let third = repositories.fetch_index(&connection, Some(&etag), &storage).await.unwrap();
    assert!(third.is_some_and(|third| third.digest != first.digest));
}

#[tokio::test]
async fn an_index_is_read_once_for_all_that_ask() {
    let repositories = Repositories::default();
    let reads = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let open = || {
        let reads = std::sync::Arc::clone(&reads);
        move || {
            use std::io::Write as _;
            reads.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut file = tempfile::tempfile()?;
            file.write_all(b"apiVersion: v1\nentries: {}\n")?;
            Ok(file)
        }
    };
    let (a, b) = tokio::join!(repositories.index("key", open()), repositories.index("key", open()));
    assert_eq!(a.unwrap(), b.unwrap());
    repositories.index("key", open()).await.unwrap();
    assert_eq!(reads.load(std::sync::atomic::Ordering::SeqCst), 1);
    repositories.index("other", open()).await.unwrap();
    assert_eq!(reads.load(std::sync::atomic::Ordering::SeqCst), 2);
}
