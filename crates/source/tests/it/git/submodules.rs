//! Submodules: where they come from, what they leave (a file `.git` too, as in Flux), and whose credentials they get.

use borax_testkit::git::{Access, Change, HttpOptions, HttpServer, Repositories};

use super::support::{checkout, failure, files, request, request_as};

const GITMODULES: &str = "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n";

/// `app` with `lib` in `vendor/lib`, which has `deep` in `deep`; all by relative URL.
fn nested() -> Repositories {
    let repositories = Repositories::new();
    let deep = repositories.create("team/deep.git").commit("main", &[("d", "deep")]);
    let lib = repositories.create("team/lib.git");
    let old = lib.commit_changes(
        "refs/heads/main",
        &[
            ("l", Change::File(b"lib")),
            (".sourceignore", Change::File(b"*.tmp\n")),
            ("x.tmp", Change::File(b"x")),
            ("deep", Change::Submodule(&deep)),
            (".gitmodules", Change::File(b"[submodule \"d\"]\npath = deep\nurl = ../deep.git\n")),
        ],
        "Lib",
        1_700_000_000,
    );
    lib.commit("main", &[("l", "newer")]);
    repositories.create("team/app.git").commit_changes(
        "refs/heads/main",
        &[
            ("a", Change::File(b"app")),
            ("vendor/lib", Change::Submodule(&old)),
            ("unlisted", Change::Submodule(&old)),
            (".gitmodules", Change::File(GITMODULES.as_bytes())),
        ],
        "App",
        1_700_000_000,
    );
    repositories
}

#[test]
fn submodules_are_fetched_when_asked_for() {
    for old_protocol in [false, true] {
        let repositories = nested();
        let options = HttpOptions { old_protocol, ..HttpOptions::default() };
        let server = HttpServer::start(repositories.root(), options);
        let mut request = request(&server.url("team/app.git"));
        assert_eq!(files(&checkout(&request)), ["a=app", "unlisted/", "vendor/", "vendor/lib/"]);
        request.recurse_submodules = true;
        assert_eq!(
            files(&checkout(&request)),
            [
                "a=app",
                "unlisted/",
                "vendor/",
                "vendor/lib/",
                "vendor/lib/.git=gitdir: ../../.git/modules/lib\n",
                "vendor/lib/.sourceignore=*.tmp\n",
                "vendor/lib/deep/",
                "vendor/lib/deep/.git=gitdir: ../../../.git/modules/lib/modules/d\n",
                "vendor/lib/deep/d=deep",
                "vendor/lib/l=lib",
            ]
        );
        request.sparse = vec!["a".to_string()];
        server.take_seen();
        assert_eq!(files(&checkout(&request)), ["a=app"]);
        assert!(server.take_seen().iter().all(|s| s.line.contains("/team/app.git/")));
    }
}

#[test]
fn credentials_stay_with_their_server() {
    let elsewhere = Repositories::new();
    let lib = elsewhere.create("lib.git").commit("main", &[("l", "lib")]);
    let other = HttpServer::start(elsewhere.root(), HttpOptions::default());
    let repositories = Repositories::new();
    let modules = format!("[submodule \"lib\"]\npath = lib\nurl = {}\n", other.url("lib.git"));
    repositories.create("app.git").commit_changes(
        "refs/heads/main",
        &[("lib", Change::Submodule(&lib)), (".gitmodules", Change::File(modules.as_bytes()))],
        "App",
        1_700_000_000,
    );
    let access = Access::Basic("me".into(), "s3cret".into());
    let server =
        HttpServer::start(repositories.root(), HttpOptions { access, ..HttpOptions::default() });
    let mut request =
        request_as(&server.url("app.git"), &[("username", "me"), ("password", "s3cret")]);
    request.recurse_submodules = true;
    assert_eq!(
        files(&checkout(&request)),
        ["lib/", "lib/.git=gitdir: ../.git/modules/lib\n", "lib/l=lib"]
    );
    let seen = other.take_seen();
    assert!(!seen.is_empty() && seen.iter().all(|s| s.authorization.is_empty()));
}

#[test]
fn a_submodule_that_cannot_be_had_is_named() {
    let repositories = Repositories::new();
    let app = repositories.create("team/app.git");
    let link = |url: &str| {
        let modules = format!("[submodule \"lib\"]\npath = lib\nurl = {url}\n");
        let commit = "0123456789012345678901234567890123456789";
        app.commit_changes(
            "refs/heads/main",
            &[
                ("lib", Change::Submodule(commit)),
                (".gitmodules", Change::File(modules.as_bytes())),
            ],
            "App",
            1_700_000_000,
        );
    };
    repositories.create("team/lib.git").commit("main", &[("l", "l")]);
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let mut request = request(&server.url("team/app.git"));
    request.recurse_submodules = true;
    let prefix = format!(
        "failed to checkout and determine revision: unable to clone '{}': submodule 'lib': ",
        server.url("team/app.git")
    );
    for (url, want) in [
        ("file:///etc", "unknown transport 'file': use http, https or ssh".to_string()),
        ("../none.git", "repository not found: Repository not found.".to_string()),
        (
            "../lib.git",
            format!(
                "remote: '{}' has no commit 0123456789012345678901234567890123456789",
                server.url("team/lib.git")
            ),
        ),
    ] {
        link(url);
        assert_eq!(failure(&request), format!("{prefix}{want}"));
    }
}
