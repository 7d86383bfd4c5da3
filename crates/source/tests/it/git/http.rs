//! Smart HTTP: both protocol versions, authentication, TLS, faults.

use borax_testkit::git::{Access, Change, HttpOptions, HttpServer, Repositories};

use super::support::{checkout, failure, files, request, unchanged};

/// One repository with one commit on `main`.
fn one() -> (Repositories, String) {
    let repositories = Repositories::new();
    let repository = repositories.create("team/app.git");
    let hash = repository.commit_changes(
        "refs/heads/main",
        &[
            ("README.md", Change::File(b"hello")),
            ("deploy/a.yaml", Change::File(b"a")),
            ("deploy/run.sh", Change::Executable(b"#!")),
            ("deploy/link", Change::Link("a.yaml")),
            ("deploy.yaml", Change::File(b"d")),
        ],
        "Begin\n\nWith a body\n",
        1_700_000_000,
    );
    (repositories, hash)
}

fn both_protocols(test: impl Fn(HttpOptions)) {
    for old_protocol in [false, true] {
        test(HttpOptions { old_protocol, ..HttpOptions::default() });
    }
}

#[test]
fn a_branch_becomes_its_files_without_links() {
    both_protocols(|options| {
        let (repositories, hash) = one();
        let server = HttpServer::start(repositories.root(), options);
        let checkout = checkout(&request(&server.url("team/app.git")));
        assert_eq!(checkout.revision, format!("main@sha1:{hash}"));
        assert_eq!(checkout.commit.hash, hash);
        assert_eq!(checkout.commit.short_message(), "Begin");
        assert_eq!(checkout.commit.author.email, "author@example.com");
        assert_eq!(
            files(&checkout),
            ["README.md=hello", "deploy/", "deploy/a.yaml=a", "deploy/run.sh*=#!", "deploy.yaml=d"]
        );
    });
}

#[test]
fn nothing_is_fetched_when_nothing_has_moved() {
    both_protocols(|options| {
        let old = options.old_protocol;
        let (repositories, hash) = one();
        let server = HttpServer::start(repositories.root(), options);
        let mut request = request(&server.url("team/app.git"));
        request.last_revision = Some(format!("main@sha1:{hash}"));
        assert_eq!(unchanged(&request), format!("main@sha1:{hash}"));
        let seen = server.take_seen();
        assert_eq!(seen.len(), if old { 1 } else { 2 });
        assert!(!seen.iter().any(|s| s.body.windows(4).any(|w| w == b"want")));
        // The way an older Flux wrote it.
        request.last_revision = Some(format!("main/{hash}"));
        assert_eq!(unchanged(&request), format!("main@sha1:{hash}"));
    });
}

#[test]
fn only_the_last_commit_is_fetched() {
    both_protocols(|options| {
        let repositories = Repositories::new();
        let repository = repositories.create("app.git");
        for text in ["one", "two", "three"] {
            repository.commit("main", &[("a", text)]);
        }
        let server = HttpServer::start(repositories.root(), options);
        let found = checkout(&request(&server.url("app.git")));
        assert_eq!(files(&found), ["a=three"]);
        let wants = server.take_seen().pop().expect("a fetch").body;
        assert!(String::from_utf8_lossy(&wants).contains("deepen 1\n"));
    });
}

#[test]
fn a_missing_branch_is_named_with_those_there_are() {
    both_protocols(|options| {
        let (repositories, _) = one();
        let server = HttpServer::start(repositories.root(), options);
        let url = server.url("team/app.git");
        let mut request = request(&url);
        request.reference.branch = "nope".to_string();
        assert_eq!(
            failure(&request),
            format!(
                "failed to checkout and determine revision: unable to clone '{url}': couldn't find remote ref \
                 \"refs/heads/nope\"; the remote has the branches main"
            )
        );
    });
}

#[test]
fn an_empty_repository_is_said_to_be_empty() {
    both_protocols(|options| {
        let repositories = Repositories::new();
        repositories.create("app.git");
        let server = HttpServer::start(repositories.root(), options);
        assert_eq!(failure(&request(&server.url("app.git"))), "git repository is empty");
    });
}

#[test]
fn a_missing_repository_is_said_to_be_missing() {
    let (repositories, _) = one();
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let url = server.url("team/other.git");
    assert_eq!(
        failure(&request(&url)),
        format!(
            "failed to checkout and determine revision: unable to clone '{url}': repository not found: Repository not \
             found."
        )
    );
}

#[test]
fn credentials_are_asked_for_by_name() {
    let (repositories, _) = one();
    let server = HttpServer::start(
        repositories.root(),
        HttpOptions { access: Access::Bearer("t".to_string()), ..HttpOptions::default() },
    );
    let url = server.url("team/app.git");
    assert_eq!(
        failure(&request(&url)),
        format!(
            "failed to checkout and determine revision: unable to clone '{url}': authentication required; no credentials \
             were sent: name a Secret in spec.secretRef"
        )
    );
}
