//! Other branches than the one that is checked out: new ones, stale ones, refspecs, options, and never a lost commit.

use borax_source::git::{Proposed, Reference};
use borax_testkit::git::{HttpOptions, HttpServer, Repositories, Repository};

use super::proposing::{Desk, RULES, Replace, assert_sound, proposal, refspec};
use super::support::request;

fn served() -> (Repositories, Repository, HttpServer) {
    let repositories = Repositories::new();
    let repository = repositories.create("app.git");
    repository.commit("main", &[("a.yaml", "image: one # $\n")]);
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    (repositories, repository, server)
}

#[test]
fn a_push_branch_is_made_and_then_built_on() {
    let (_repositories, repository, server) = served();
    let main = repository.hash("main");
    let mut proposal = proposal(request(&server.url("app.git")));
    proposal.branch = "auto".to_string();
    let mut desk = Desk::new();
    let pushed = desk.pushed(&proposal, &mut Replace::new("one", "two"));
    assert_eq!(pushed.revision, format!("main@sha1:{main}"), "what was checked out");
    assert_eq!(repository.hash("auto"), pushed.commit);
    assert_eq!((repository.hash("auto^"), repository.hash("main")), (main.clone(), main.clone()));
    // Once more: on top of what is there, though main has moved on.
    repository.commit("main", &[("b.yaml", "image: one # $\n")]);
    let second = desk.pushed(&proposal, &mut Replace::new("two", "three"));
    assert_eq!(repository.hash("auto^"), pushed.commit);
    let nothing = desk.propose(&proposal, &mut Replace::new("two", "three")).expect("reachable");
    assert!(matches!(nothing, Proposed::Nothing { .. }), "{nothing:?}");
    assert_eq!(repository.hash("auto"), second.commit);
    assert_sound(&repository);
}

#[test]
fn without_all_branch_references_the_push_branch_is_overwritten() {
    let (_repositories, repository, server) = served();
    let mut proposal = proposal(request(&server.url("app.git")));
    proposal.branch = "auto".to_string();
    proposal.rules.all_branch_references = false;
    let mut desk = Desk::new();
    let first = desk.pushed(&proposal, &mut Replace::new("one", "two"));
    // The same change on the same commit is there already.
    let same = desk.propose(&proposal, &mut Replace::new("one", "two")).expect("reachable");
    assert!(matches!(same, Proposed::Nothing { .. }), "{same:?}");
    let main = repository.commit("main", &[("b.yaml", "image: one # $\n")]);
    let second = desk.pushed(&proposal, &mut Replace::new("one", "two"));
    assert_eq!(repository.hash("auto"), second.commit);
    assert_eq!(repository.hash("auto^"), main, "the first commit on auto is gone");
    assert_ne!(first.commit, second.commit);
    // Unless that is switched off.
    repository.commit("main", &[("c.yaml", "image: one # $\n")]);
    proposal.rules.force_push_branch = false;
    assert_eq!(
        desk.failure(&proposal, &mut Replace::new("one", "two")),
        "failed to update source: failed to push to remote: remote: non-fast-forward update: refs/heads/auto"
    );
    assert_eq!(repository.hash("auto"), second.commit);
    // A branch that lies behind what is checked out loses nothing.
    repository.set_ref("refs/heads/auto", &main);
    desk.pushed(&proposal, &mut Replace::new("one", "two"));
    assert_eq!(repository.hash("auto^"), repository.hash("main"));
    assert_sound(&repository);
}

#[test]
fn a_refspec_is_pushed_besides() {
    let (_repositories, repository, server) = served();
    let mut proposal = proposal(request(&server.url("app.git")));
    proposal.refspecs = vec![refspec("refs/heads/main:refs/for/main")];
    let mut desk = Desk::new();
    let pushed = desk.pushed(&proposal, &mut Replace::new("one", "two"));
    assert_eq!(repository.hash("main"), pushed.commit);
    assert_eq!(repository.hash("refs/for/main"), pushed.commit);
    // Something else there now: it is not overwritten, and main is not pushed without it.
    let other = repository.commit("other", &[("x", "y")]);
    repository.set_ref("refs/for/main", &other);
    assert_eq!(
        desk.failure(&proposal, &mut Replace::new("two", "three")),
        "failed to update source: failed to push to remote: remote: non-fast-forward update: refs/for/main"
    );
    assert_eq!(repository.hash("main"), pushed.commit);
    // Unless the refspec says so.
    proposal.refspecs = vec![refspec("+refs/heads/main:refs/for/main")];
    let forced = desk.pushed(&proposal, &mut Replace::new("two", "three"));
    assert_eq!(repository.hash("refs/for/main"), forced.commit);
    assert_eq!(repository.hash("main"), forced.commit);
    proposal.refspecs = vec![refspec("refs/heads/nope:refs/for/main")];
    let text = desk.failure(&proposal, &mut Replace::new("three", "four"));
    assert!(text.contains("refspec 'refs/heads/nope:refs/for/main' matches nothing"), "{text}");
}

#[test]
fn a_refspec_may_lead_from_the_push_branch_to_another() {
    let (_repositories, repository, server) = served();
    let mut proposal = proposal(request(&server.url("app.git")));
    proposal.branch = "auto".to_string();
    proposal.refspecs = vec![refspec("refs/heads/auto:refs/heads/main")];
    let pushed = Desk::new().pushed(&proposal, &mut Replace::new("one", "two"));
    assert_eq!(repository.hash("auto"), pushed.commit);
    assert_eq!(repository.hash("main"), pushed.commit);
}

#[test]
fn push_options_arrive() {
    let (_repositories, repository, server) = served();
    let hook = repository.path().join("hooks/post-receive");
    std::fs::create_dir_all(hook.parent().expect("in hooks")).expect("a folder");
    let script = "#!/bin/sh\necho \"$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1\" > options\n";
    std::fs::write(&hook, script).expect("a hook");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).expect("a mode");
    let mut proposal = proposal(request(&server.url("app.git")));
    proposal.options = vec!["merge_request.create=".to_string(), "topic=a b".to_string()];
    let mut desk = Desk::new();
    let text = desk.failure(&proposal, &mut Replace::new("one", "two"));
    assert!(text.contains("push-options, which spec.git.push.options needs"), "{text}");
    repository.configure("receive.advertisePushOptions", "true");
    desk.pushed(&proposal, &mut Replace::new("one", "two"));
    let said = std::fs::read_to_string(repository.path().join("options")).expect("the hook ran");
    assert_eq!(said.trim(), "2 merge_request.create= topic=a b");
}

#[test]
fn a_tag_a_range_or_a_commit_may_be_checked_out() {
    for old_protocol in [false, true] {
        a_tag_a_range_or_a_commit(old_protocol);
    }
}

fn a_tag_a_range_or_a_commit(old_protocol: bool) {
    let (repositories, repository, _) = served();
    let options = HttpOptions { old_protocol, ..HttpOptions::default() };
    let server = HttpServer::start(repositories.root(), options);
    let main = repository.hash("main");
    repository.annotated_tag("v1.0.0", &main, "One");
    repository.commit("main", &[("b.yaml", "image: one # $\n")]);
    let refs = |tag: &str, semver: &str, commit: &str, name: &str| Reference {
        tag: tag.to_string(),
        semver: semver.to_string(),
        commit: commit.to_string(),
        name: name.to_string(),
        ..Reference::default()
    };
    for (i, (reference, revision)) in [
        (refs("v1.0.0", "", "", ""), format!("v1.0.0@sha1:{main}")),
        (refs("", "1.x", "", ""), format!("v1.0.0@sha1:{main}")),
        (refs("", "", &main, ""), format!("sha1:{main}")),
        (refs("", "", "", "refs/tags/v1.0.0"), format!("refs/tags/v1.0.0@sha1:{main}")),
    ]
    .into_iter()
    .enumerate()
    {
        let mut proposal = proposal(request(&server.url("app.git")));
        proposal.checkout.reference = reference;
        proposal.branch = format!("auto-{i}");
        let mut desk = Desk::new();
        let pushed = desk.pushed(&proposal, &mut Replace::new("one", "two"));
        assert_eq!(pushed.revision, revision);
        assert_eq!(repository.hash(&format!("auto-{i}^")), main);
        let again = desk.pushed(&proposal, &mut Replace::new("two", "three"));
        assert_eq!(repository.hash(&format!("auto-{i}^")), pushed.commit);
        assert_eq!(repository.hash(&format!("auto-{i}")), again.commit);
    }
    assert_sound(&repository);
}

#[test]
fn a_whole_clone_pushes_the_same() {
    let (_repositories, repository, server) = served();
    repository.commit("main", &[("b.yaml", "image: one # $\n")]);
    let mut proposal = proposal(request(&server.url("app.git")));
    proposal.rules = borax_source::git::PushRules { shallow_clone: false, ..RULES };
    let mut desk = Desk::new();
    desk.pushed(&proposal, &mut Replace::new("one", "two"));
    repository.commit("main", &[("c.yaml", "image: two # $\n")]);
    desk.pushed(&proposal, &mut Replace::new("two", "three"));
    assert_eq!(repository.git(&["rev-list", "--count", "main"]), "5");
    assert_sound(&repository);
}

#[test]
fn what_can_not_be_checked_out_is_told_as_flux_tells_it() {
    let (_repositories, _repository, server) = served();
    let mut proposal = proposal(request(&server.url("app.git")));
    proposal.checkout.reference.branch = "nope".to_string();
    proposal.branch = "nope".to_string();
    let text = Desk::new().failure(&proposal, &mut Replace::new("one", "two"));
    let expected = format!(
        "failed to checkout source: unable to clone '{}': couldn't find remote ref \"refs/heads/nope\"",
        server.url("app.git")
    );
    assert!(text.starts_with(&expected), "{text}");
}
