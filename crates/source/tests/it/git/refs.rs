//! Every way to name what is wanted.

use borax_source::git::{FetchRequest, Reference};
use borax_testkit::git::{Change, HttpOptions, HttpServer, Repositories, Repository};

use super::support::{checkout, failure, files, request, unchanged};

/// Runs a test against a server of either protocol version.
fn served(test: impl Fn(&Repository, &HttpServer, FetchRequest)) {
    for old_protocol in [false, true] {
        let repositories = Repositories::new();
        let repository = repositories.create("app.git");
        let options = HttpOptions { old_protocol, ..HttpOptions::default() };
        let server = HttpServer::start(repositories.root(), options);
        let mut request = request(&server.url("app.git"));
        request.reference = Reference::default();
        test(&repository, &server, request);
    }
}

#[test]
fn no_reference_is_the_branch_master() {
    served(|repository, _, request| {
        let hash = repository.commit("master", &[("a", "a")]);
        assert_eq!(checkout(&request).revision, format!("master@sha1:{hash}"));
    });
}

#[test]
fn tags_lead_to_their_commit() {
    served(|repository, _, mut request| {
        let hash = repository.commit("main", &[("a", "a")]);
        repository.tag("light", &hash);
        let object = repository.annotated_tag("full", &hash, "Says");
        repository.commit("main", &[("a", "b")]);
        request.reference.tag = "light".to_string();
        let found = checkout(&request);
        assert_eq!(found.revision, format!("light@sha1:{hash}"));
        assert_eq!(found.tag.as_ref().map(ToString::to_string).as_deref(), Some("light"));
        request.reference.tag = "full".to_string();
        let found = checkout(&request);
        assert_eq!(found.revision, format!("full@sha1:{hash}"));
        assert_eq!(found.tag.as_ref().map(ToString::to_string), Some(format!("full@{object}")));
        assert_eq!(files(&found), ["a=a"]);
        request.last_revision = Some(found.revision.clone());
        assert_eq!(unchanged(&request), found.revision);
        request.reference.tag = "nope".to_string();
        let text = failure(&request);
        assert!(
            text.ends_with(
                "couldn't find remote ref \"refs/tags/nope\"; the remote has the tags full, light"
            ),
            "{text}"
        );
    });
}

#[test]
fn names_show_whole_in_the_revision() {
    served(|repository, _, mut request| {
        let hash = repository.commit("main", &[("a", "a")]);
        let pull = repository.commit_changes(
            "refs/pull/1/head",
            &[("p", Change::File(b"p"))],
            "Pull",
            1_700_000_000,
        );
        repository.annotated_tag("v1", &hash, "Says");
        for (name, commit) in [
            ("refs/heads/main", &hash),
            ("refs/tags/v1", &hash),
            ("refs/tags/v1^{}", &hash),
            ("refs/pull/1/head", &pull),
        ] {
            request.reference.name = name.to_string();
            request.last_revision = None;
            let found = checkout(&request);
            assert_eq!(found.revision, format!("{name}@sha1:{commit}"));
            assert_eq!(found.tag.is_some(), name.starts_with("refs/tags/"));
            request.last_revision = Some(found.revision.clone());
            assert_eq!(unchanged(&request), found.revision);
        }
        request.reference.name = "refs/heads/nope".to_string();
        assert_eq!(
            failure(&request),
            "failed to checkout and determine revision: unable to resolve ref 'refs/heads/nope' to a specific commit; the \
             remote has the branches main"
        );
    });
}

#[test]
fn commits_are_found_in_their_branch_and_anywhere() {
    served(|repository, _, mut request| {
        let old = repository.commit("main", &[("a", "old")]);
        let new = repository.commit("main", &[("a", "new")]);
        let other = repository.commit("other", &[("a", "other")]);
        for (branch, commit, revision, content) in [
            ("", &old, format!("sha1:{old}"), "a=old"),
            ("", &other, format!("sha1:{other}"), "a=other"),
            ("main", &old, format!("main@sha1:{old}"), "a=old"),
            ("main", &new, format!("main@sha1:{new}"), "a=new"),
        ] {
            request.reference.branch = branch.to_string();
            request.reference.commit = commit.clone();
            request.last_revision = None;
            let found = checkout(&request);
            assert_eq!(found.revision, revision);
            assert_eq!(files(&found), [content]);
            request.last_revision = Some(revision.clone());
            assert_eq!(unchanged(&request), revision);
        }
        request.last_revision = None;
        request.reference.commit = other.clone();
        assert_eq!(
            failure(&request),
            format!(
                "failed to checkout and determine revision: unable to resolve commit object for '{other}': object not found \
                 in the branch of spec.ref.branch"
            )
        );
        request.reference.branch = String::new();
        let missing = "0123456789012345678901234567890123456789";
        request.reference.commit = missing.to_string();
        assert_eq!(
            failure(&request),
            format!(
                "failed to checkout and determine revision: unable to resolve commit object for '{missing}': object not found"
            )
        );
        request.reference.commit = "abc".to_string();
        let text = failure(&request);
        assert!(text.ends_with("for 'abc': not a full hash of 40 hex digits"), "{text}");
    });
}

#[test]
fn a_commit_of_a_branch_costs_one_tree_where_the_server_can_filter() {
    served(|repository, server, mut request| {
        repository.configure("uploadpack.allowFilter", "true");
        repository.configure("uploadpack.allowReachableSHA1InWant", "true");
        let old = repository.commit("main", &[("a", "old")]);
        repository.commit("main", &[("a", "new")]);
        request.reference.branch = "main".to_string();
        request.reference.commit = old.clone();
        assert_eq!(files(&checkout(&request)), ["a=old"]);
        let bodies: Vec<String> = server
            .take_seen()
            .iter()
            .map(|s| String::from_utf8_lossy(&s.body).into_owned())
            .filter(|body| body.contains("want "))
            .collect();
        assert_eq!(bodies.len(), 2);
        assert!(bodies[0].contains("filter tree:0"));
        assert!(bodies[1].contains("deepen 1") && bodies[1].contains(&old));
    });
}

#[test]
fn an_empty_repository_is_empty_in_the_words_of_flux() {
    served(|_, server, mut request| {
        assert_eq!(failure(&request), "git repository is empty");
        let url = server.url("app.git");
        request.reference.tag = "v1".to_string();
        let prefix = "failed to checkout and determine revision: unable to";
        assert_eq!(
            failure(&request),
            format!("{prefix} clone: remote repository is empty: git repository: '{url}'")
        );
        request.reference.name = "refs/heads/main".to_string();
        assert_eq!(
            failure(&request),
            format!("{prefix} list remote for '{url}': remote repository is empty")
        );
    });
}

#[test]
fn names_no_ref_can_have_never_reach_the_server() {
    served(|_, server, mut request| {
        for (name, want) in [
            (
                "/refs/heads/x",
                "ref /refs/heads/x is invalid; Git refs cannot begin or end with a slash '/'",
            ),
            ("refs/heads/x\n0000", "ref refs/heads/x\\n0000 is invalid; Git refs hold no space"),
            ("refs/../x", "ref refs/../x is invalid; Git refs hold no space"),
        ] {
            request.reference.name = name.to_string();
            let text = failure(&request);
            assert!(text.contains(want), "{text}");
        }
        assert_eq!(server.count(), 0);
    });
}

#[test]
fn a_sparse_checkout_takes_beginnings_of_paths() {
    served(|repository, _, mut request| {
        repository.commit(
            "master",
            &[
                ("charts/a", "1"),
                ("charts/sub/b", "2"),
                ("charts.yaml", "3"),
                ("deploy/x/y", "4"),
                ("deploy/z", "5"),
                ("top", "6"),
            ],
        );
        request.sparse = vec!["./charts".to_string(), "deploy/x".to_string()];
        assert_eq!(
            files(&checkout(&request)),
            [
                "charts/",
                "charts/a=1",
                "charts/sub/",
                "charts/sub/b=2",
                "charts.yaml=3",
                "deploy/",
                "deploy/x/",
                "deploy/x/y=4"
            ]
        );
        request.sparse.push("nope".to_string());
        assert_eq!(
            failure(&request),
            "failed to sparse checkout directories : sparse checkout dir 'nope' does not exist in repository: no such file \
             or directory"
        );
    });
}

#[test]
fn a_range_takes_the_highest_tag() {
    served(|repository, _, mut request| {
        let mut hashes = Vec::new();
        for (i, tag) in
            ["v1.0.0", "1.1.0", "v1.2.0-rc.1", "v2.0.0", "latest", "1.9"].iter().enumerate()
        {
            let hash = repository.commit("main", &[("a", tag)]);
            match i % 2 {
                0 => repository.tag(tag, &hash),
                _ => {
                    repository.annotated_tag(tag, &hash, "Says");
                }
            }
            hashes.push(hash);
        }
        request.reference.semver = "1.x".to_string();
        let found = checkout(&request);
        assert_eq!(found.revision, format!("1.1.0@sha1:{}", hashes[1]));
        assert!(found.tag.is_some_and(|tag| tag.hash.is_some()));
        request.last_revision = Some(found.revision.clone());
        assert_eq!(unchanged(&request), found.revision);
        request.reference.semver = ">=1.0.0-0 <2.0.0-0".to_string();
        assert_eq!(checkout(&request).revision, format!("v1.2.0-rc.1@sha1:{}", hashes[2]));
        request.reference.semver = ">9".to_string();
        let prefix = "failed to checkout and determine revision:";
        assert_eq!(failure(&request), format!("{prefix} no match found for semver: >9"));
        request.reference.semver = "seven".to_string();
        assert_eq!(
            failure(&request),
            format!("{prefix} semver parse error: improper constraint: \"seven\"")
        );
    });
}

#[test]
fn of_equal_versions_the_youngest_commit_counts() {
    served(|repository, _, mut request| {
        for (tag, seconds) in [("1.0.0+b", 3000), ("1.0.0+a", 5000), ("1.0.0+c", 4000)] {
            let changes = [("a", Change::File(tag.as_bytes()))];
            let hash = repository.commit_changes("refs/heads/main", &changes, "x", seconds);
            repository.tag(tag, &hash);
        }
        request.reference.semver = "*".to_string();
        let found = checkout(&request);
        assert!(found.revision.starts_with("1.0.0+a@sha1:"), "{}", found.revision);
        assert_eq!(files(&found), ["a=1.0.0+a"]);
        request.last_revision = Some(found.revision.clone());
        assert_eq!(unchanged(&request), found.revision);
    });
}
