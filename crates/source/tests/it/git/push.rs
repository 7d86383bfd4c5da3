//! Commits that are made without a work tree and pushed: what the real `git` finds in the repository afterwards.

use borax_source::git::{Proposed, SecretData};
use borax_testkit::git::{
    Access, Change, Fault, HttpOptions, HttpServer, KeyKind, Repositories, Repository, SshOptions,
    SshServer,
};

use super::proposing::{Desk, Replace, assert_sound, count, differences, proposal, within};
use super::support::{request, request_as};

/// A repository with marked files at several depths, and others that must stay as they are.
fn repository() -> (Repositories, Repository, String) {
    let repositories = Repositories::new();
    let repository = repositories.create("team/app.git");
    let changes = [
        ("a/b/deep.yaml", Change::File(b"image: one # $\n".as_slice())),
        ("a/run.yaml", Change::Executable(b"image: one # $\n")),
        ("a-b/c.yaml", Change::File(b"image: one\n")),
        ("a.yaml", Change::Link("a/run.yaml")),
        ("notes.txt", Change::File(b"one # $\n")),
        ("z/top.yaml", Change::File(b"x: one # $\r\ny: one\n")),
    ];
    let first = repository.commit_changes("refs/heads/main", &changes, "First\n", 1_700_000_000);
    (repositories, repository, first)
}

fn assert_pushed(repository: &Repository, first: &str, commit: &str) {
    assert_eq!(repository.hash("main"), commit);
    assert_eq!(repository.hash("main^"), first);
    assert_eq!(
        differences(repository, first, "main"),
        [
            "100644 100644 M a/b/deep.yaml",
            "100755 100755 M a/run.yaml",
            "100644 100644 M z/top.yaml"
        ]
    );
    assert_eq!(repository.read_object("blob", "main:z/top.yaml"), b"x: two # $\r\ny: two\n");
    assert_eq!(
        repository.git(&["log", "-1", "--format=%an|%ae|%at|%cn|%ce|%ct|%B", "main"]),
        "Bot|bot@example.com|1795393000|Bot|bot@example.com|1795393000|Write two\n\n\
         a/b/deep.yaml\na/run.yaml\nz/top.yaml"
    );
    assert_sound(repository);
}

#[test]
fn a_commit_is_pushed_over_http() {
    for old_protocol in [false, true] {
        let (repositories, repository, first) = repository();
        let access = Access::Basic("u".to_string(), "p".to_string());
        let options = HttpOptions { old_protocol, access, ..HttpOptions::default() };
        let server = HttpServer::start(repositories.root(), options);
        let login = [("username", "u"), ("password", "p")];
        let proposal = proposal(request_as(&server.url("team/app.git"), &login));
        let mut desk = Desk::new();
        let pushed = desk.pushed(&proposal, &mut Replace::new("one", "two"));
        assert_eq!(pushed.attempts, 1);
        assert_eq!(pushed.revision, format!("main@sha1:{}", pushed.commit));
        assert_pushed(&repository, &first, &pushed.commit);
    }
}

#[test]
fn a_commit_is_pushed_over_ssh() {
    for old_protocol in [false, true] {
        let (repositories, repository, first) = repository();
        let options = SshOptions { old_protocol, ..SshOptions::default() };
        let server = SshServer::start(repositories.root(), options);
        let key = server.allow(&KeyKind::Ed25519, "");
        let login = [("identity", key.as_str()), ("known_hosts", &server.known_hosts())];
        let proposal = proposal(request_as(&server.url("team/app.git"), &login));
        let pushed = Desk::new().pushed(&proposal, &mut Replace::new("one", "two"));
        assert_pushed(&repository, &first, &pushed.commit);
        let commands = server.take_commands();
        assert_eq!(
            commands,
            ["git-upload-pack '/team/app.git'", "git-receive-pack '/team/app.git'"]
        );
    }
}

#[test]
fn only_the_path_is_looked_into() {
    let (repositories, repository, first) = repository();
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let mut proposal = proposal(request(&server.url("team/app.git")));
    let mut desk = Desk::new();
    for (path, seen, to) in [
        ("./a/", &["b/deep.yaml", "run.yaml"][..], "two"),
        ("a/../../z/", &["top.yaml"], "two"),
        // A link leads where it leads.
        ("a.yaml", &["run.yaml"], "three"),
        ("notes.txt", &[], "four"),
    ] {
        proposal.path = path.to_string();
        let mut change = Replace::new(if to == "three" { "two" } else { "one" }, to);
        let proposed = desk.propose(&proposal, &mut change).expect(path);
        assert_eq!(change.seen, seen, "{path}");
        assert_eq!(matches!(proposed, Proposed::Nothing { .. }), seen.is_empty(), "{path}");
    }
    assert_eq!(differences(&repository, &first, "main").len(), 3);
    proposal.path = "nope/x".to_string();
    assert_eq!(
        desk.failure(&proposal, &mut Replace::new("one", "two")),
        "failed to apply policies: walking path for files: lstat nope: no such file or directory"
    );
}

#[test]
fn nothing_is_committed_when_nothing_changes() {
    let (repositories, repository, first) = repository();
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let mut proposal = proposal(request(&server.url("team/app.git")));
    let mut desk = Desk::new();
    let revision = format!("main@sha1:{first}");
    let nothing = desk.propose(&proposal, &mut Replace::new("none", "two")).expect("reachable");
    assert_eq!(nothing, Proposed::Nothing { revision: revision.clone() });
    proposal.checkout.last_revision = Some(revision);
    server.take_seen();
    let unmoved = desk.propose(&proposal, &mut Replace::new("one", "two")).expect("reachable");
    assert_eq!(unmoved, Proposed::Unmoved);
    assert_eq!(server.count(), 2, "a greeting and a listing");
    assert_eq!(repository.hash("main"), first);
}

#[test]
fn a_clone_is_kept_and_brought_up_to_date() {
    for old_protocol in [false, true] {
        let (repositories, repository, _) = repository();
        let options = HttpOptions { old_protocol, ..HttpOptions::default() };
        let server = HttpServer::start(repositories.root(), options);
        let proposal = proposal(request(&server.url("team/app.git")));
        let mut desk = Desk::new();
        desk.pushed(&proposal, &mut Replace::new("one", "two"));
        server.take_seen();
        // What was pushed is here already.
        desk.pushed(&proposal, &mut Replace::new("two", "three"));
        let fetches = |server: &HttpServer| {
            let seen = server.take_seen();
            seen.iter().filter(|s| s.line.contains("POST") && has(&s.body, b"want ")).count()
        };
        assert_eq!(fetches(&server), 0);
        // Somebody brings back what only history has, which a server must not take to be here.
        repository
            .commit("main", &[("a/b/deep.yaml", "image: one # $\n"), ("new.yaml", "one # $\n")]);
        let base = repository.hash("main");
        let mut change = Replace::new("one", "four");
        desk.pushed(&proposal, &mut change);
        assert_eq!(fetches(&server), 1);
        assert_eq!(
            differences(&repository, &base, "main"),
            ["100644 100644 M a/b/deep.yaml", "100644 100644 M new.yaml"]
        );
        assert_sound(&repository);
        assert_eq!(count(desk.cache.path()), 1, "one clone");
    }
}

fn has(data: &[u8], part: &[u8]) -> bool {
    data.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_clone_does_not_grow_without_end() {
    let (repositories, repository, _) = repository();
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let proposal = proposal(request(&server.url("team/app.git")));
    let mut desk = Desk::new();
    let mut packs = 0;
    for round in 0..60 {
        repository.commit("main", &[("a/run.yaml", &format!("image: one # $ {round}\n"))]);
        desk.pushed(&proposal, &mut Replace::new("one", "two"));
        let clone =
            std::fs::read_dir(desk.cache.path()).expect("readable").next().expect("a clone");
        packs = packs.max(count(&clone.expect("readable").path().join("pack")));
    }
    assert!(packs <= 2 * 52, "{packs} files");
    assert_eq!(count(desk.cache.path()), 1);
    assert_sound(&repository);
}

#[test]
fn a_branch_that_moves_meanwhile_is_built_on() {
    let (repositories, repository, first) = repository();
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let proposal = proposal(request(&server.url("team/app.git")));
    let mut change = Replace::new("one", "two");
    for round in 0..3 {
        let repository = repository.clone();
        change.meanwhile.push(Box::new(move || {
            repository.commit("main", &[(&format!("other-{round}.yaml"), "image: one # $\n")]);
        }));
    }
    let pushed = Desk::new().pushed(&proposal, &mut change);
    assert_eq!(pushed.attempts, 4);
    assert_eq!(repository.git(&["rev-list", "--count", &format!("{first}..main")]), "4");
    assert_eq!(
        differences(&repository, "main^", "main").len(),
        6,
        "the three that were there, and the three that came meanwhile"
    );
    assert_eq!(repository.hash("main"), pushed.commit);
    assert_sound(&repository);
}

#[test]
fn a_branch_that_never_stands_still_is_given_up_on() {
    let (repositories, repository, _) = repository();
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let proposal = proposal(within(1, request(&server.url("team/app.git"))));
    let mut change = Replace::new("one", "two");
    for round in 0..10_000 {
        let repository = repository.clone();
        change.meanwhile.push(Box::new(move || {
            repository.commit("main", &[("other", &round.to_string())]);
        }));
    }
    let text = Desk::new().failure(&proposal, &mut change);
    assert_eq!(
        text,
        "failed to update source: failed to push to remote: remote: the branch main moved"
    );
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    let (repositories, repository, first) = repository();
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let proposal = proposal(request(&server.url("team/app.git")));
    // Greeting, listing, pack, greeting of the push; then the push itself.
    server.break_next([None, None, None, None, Some(Fault::CutAfter(0))]);
    let pushed = Desk::new().pushed(&proposal, &mut Replace::new("one", "two"));
    assert_pushed(&repository, &first, &pushed.commit);
    // And one that never arrives is an error, after which the next attempt does the same work once.
    let mut desk = Desk::new();
    server.break_next([None, None, None, None, Some(Fault::Status(502, "bad".to_string()))]);
    let text = desk.failure(&proposal, &mut Replace::new("two", "three"));
    assert!(text.starts_with("failed to update source: failed to push to remote: "), "{text}");
    let pushed = desk.pushed(&proposal, &mut Replace::new("two", "three"));
    assert_eq!(repository.hash("main"), pushed.commit);
    assert_eq!(repository.git(&["rev-list", "--count", &format!("{first}..main")]), "2");
}

#[test]
fn a_refusal_is_told_in_the_words_of_the_server() {
    let (repositories, repository, first) = repository();
    let hook = repository.path().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().expect("in hooks")).expect("a folder");
    std::fs::write(&hook, "#!/bin/sh\necho 'main is protected' >&2\nexit 1\n").expect("a hook");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).expect("a mode");
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let mut desk = Desk::new();
    let allowed = proposal(request(&server.url("team/app.git")));
    assert_eq!(
        desk.failure(&allowed, &mut Replace::new("one", "two")),
        "failed to update source: failed to push to remote: remote: command error on refs/heads/main: \
         pre-receive hook declined: main is protected"
    );
    server.break_next([None, None, None, Some(Fault::Status(403, "read only".to_string()))]);
    assert_eq!(
        Desk::new().failure(&allowed, &mut Replace::new("one", "two")),
        "failed to update source: failed to push to remote: authorization failed: read only"
    );
    assert_eq!(repository.hash("main"), first);
    let _ = SecretData::new();
}
