//! Side by side with Flux's own client (`tests/oracles/source`, command `clone`): the same revision, tag, payload and
//! files, or an error of both.

#![expect(clippy::panic, reason = "a test ends where nothing else is left to do")]

use std::process::{Command, Stdio};

use borax_source::git::{Checkout, FetchRequest, Fetched, Reference};
use borax_source::ignore::{IgnoreFile, Rules};
use borax_testkit::git::{
    Change, HttpOptions, HttpServer, KeyKind, Repositories, SshOptions, SshServer,
};
use borax_testkit::oracle;
use serde_json::{Value, json};

use super::support::{files_by, request_as, run};

/// The ways to ask: `spec.ref` and whatever else decides.
fn asks(first: &str, other: &str) -> Vec<Value> {
    vec![
        json!({"branch": "main"}),
        json!({"branch": "a/b"}),
        json!({}),
        json!({"branch": "nope"}),
        json!({"tag": "light"}),
        json!({"tag": "v1.0.0"}),
        json!({"tag": "nope"}),
        json!({"tag": "v1.0.0", "semver": "2.x"}),
        json!({"semver": "1.x"}),
        json!({"semver": ">=1.0.0-0"}),
        json!({"semver": ">=7"}),
        json!({"semver": "bad range"}),
        json!({"ref": "refs/heads/main"}),
        json!({"ref": "refs/heads/a/b"}),
        json!({"ref": "refs/tags/v1.0.0"}),
        json!({"ref": "refs/tags/v1.0.0^{}"}),
        json!({"ref": "refs/tags/light"}),
        json!({"ref": "refs/heads/nope"}),
        json!({"ref": "/refs/heads/main"}),
        json!({"commit": first}),
        json!({"branch": "main", "commit": first}),
        json!({"branch": "main", "commit": other}),
        json!({"ref": "refs/heads/main", "commit": first}),
        json!({"commit": "0123456789012345678901234567890123456789"}),
        json!({"branch": "main", "sparse": ["dir"]}),
        json!({"branch": "main", "sparse": ["./dir/sub", "top"]}),
        json!({"branch": "main", "sparse": ["dir/"]}),
        json!({"tag": "v1.0.0", "sparse": ["dir/sub"]}),
    ]
}

fn repositories() -> (Repositories, Vec<Value>) {
    let repositories = Repositories::new();
    let deep = repositories.create("deep.git").commit("main", &[("d", "deep")]);
    let lib = repositories.create("lib.git").commit_changes(
        "refs/heads/main",
        &[
            ("+l", Change::File(b"lib")),
            ("d/deep", Change::Submodule(&deep)),
            (
                ".gitmodules",
                Change::File(b"[submodule \"x y\"]\n path = d/deep\n url = ../deep.git\n"),
            ),
        ],
        "Lib",
        1_700_000_000,
    );
    let modules = "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n";
    let parent = repositories.create("parent.git");
    let hash = parent.commit_changes(
        "refs/heads/main",
        &[
            ("a", Change::File(b"a")),
            ("vendor/lib", Change::Submodule(&lib)),
            ("lost", Change::Submodule(&lib)),
            (".gitmodules", Change::File(modules.as_bytes())),
        ],
        "Parent",
        1_700_000_000,
    );
    parent.tag("v1", &hash);
    let app = repositories.create("app.git");
    let first = app.commit_changes(
        "refs/heads/main",
        &[
            ("a", Change::File(b"one")),
            ("dir.yaml", Change::File(b"y")),
            ("dir/sub/x", Change::File(b"x")),
            ("dir/sub-b/x", Change::File(b"x")),
            ("dir/run", Change::Executable(b"#!")),
            ("dir/link", Change::Link("run")),
            ("dir/broken", Change::Link("nowhere")),
            ("top", Change::File(b"")),
            ("z.a/f", Change::File(b"f")),
            ("z/f", Change::File(b"f")),
            ("\u{e9}", Change::File(b"u")),
        ],
        "One\n\nBody\n",
        1_700_000_000,
    );
    app.tag("light", &first);
    app.annotated_tag("v1.0.0", &first, "Says");
    let second = app.commit("main", &[("a", "two")]);
    app.annotated_tag("v1.1.0-rc.1", &second, "Says");
    app.tag("1.1.0", &second);
    app.tag("v1.9", &second);
    app.set_ref("refs/heads/a/b", &first);
    let other = app.commit("other", &[("o", "o")]);
    (repositories, asks(&first, &other))
}

fn theirs(program: &std::path::Path, cases: &[Value]) -> Vec<Value> {
    let mut child = Command::new(program)
        .arg("clone")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is built");
    let stdin = child.stdin.take().expect("it was asked for");
    serde_json::to_writer(stdin, cases).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).expect("valid answers")
}

fn ask(base: &FetchRequest, ask: &Value) -> FetchRequest {
    let text = |key: &str| ask[key].as_str().unwrap_or_default().to_string();
    let mut request = base.clone();
    request.reference = Reference {
        branch: text("branch"),
        tag: text("tag"),
        semver: text("semver"),
        name: text("ref"),
        commit: text("commit"),
    };
    request.sparse = ask["sparse"].as_array().map_or_else(Vec::new, |list| {
        list.iter().filter_map(|v| v.as_str().map(str::to_string)).collect()
    });
    request.recurse_submodules = ask["recurse"] == true;
    request
}

/// Everything counts but what Git keeps for itself.
fn all() -> Rules {
    let let_in = "!.gitmodules\n!.gitignore\n!.gitattributes\n".to_string();
    Rules::new(vec![IgnoreFile { dir: String::new(), content: let_in }], None)
}

fn compare(url: &str, secret: &[(&str, &str)], asks: &[Value]) {
    let Some(program) = oracle::require("source-oracle") else { return };
    let secrets: serde_json::Map<String, Value> =
        secret.iter().map(|(k, v)| ((*k).to_string(), json!(v))).collect();
    let cases: Vec<Value> = asks
        .iter()
        .map(|ask| {
            let mut case = ask.clone();
            case["url"] = json!(url);
            case["secret"] = Value::Object(secrets.clone());
            // As source-controller trims them.
            if let Some(list) = case["sparse"].as_array_mut() {
                for dir in list {
                    *dir = json!(dir.as_str().unwrap_or_default().trim_start_matches("./"));
                }
            }
            case
        })
        .collect();
    let base = request_as(url, secret);
    let mut differences = Vec::new();
    for (ask_for, theirs) in asks.iter().zip(theirs(&program, &cases)) {
        let ours = match run(&ask(&base, ask_for)) {
            Ok(Fetched::Checkout(found)) => shown(&found),
            Ok(other) => panic!("{ask_for}: {other:?}"),
            Err(error) => json!({ "error": error.to_string() }),
        };
        let theirs = match theirs["error"].as_str().unwrap_or_default() {
            "" => {
                let revision = match ask_for["ref"].is_null() {
                    true => "revision",
                    false => "absolute",
                };
                json!({
                    "revision": theirs[revision],
                    "tag": theirs["tagObject"],
                    "payload": theirs["payload"],
                    "files": theirs["files"],
                })
            }
            error => json!({ "error": error }),
        };
        // Our errors may go on with the way out.
        let same = match (ours["error"].as_str(), theirs["error"].as_str()) {
            (Some(ours), Some(theirs)) => ours.starts_with(theirs),
            _ => ours == theirs,
        };
        if !same {
            differences.push(format!("{ask_for}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn shown(found: &Checkout) -> Value {
    json!({
        "revision": found.revision,
        "tag": found.tag.as_ref().map(ToString::to_string).unwrap_or_default(),
        "payload": String::from_utf8_lossy(&found.commit.payload),
        "files": files_by(found, &all()),
    })
}

#[test]
fn submodules_leave_what_they_leave_in_flux() {
    let (repositories, _) = repositories();
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let asks = [
        json!({"branch": "main"}),
        json!({"branch": "main", "recurse": true}),
        json!({"tag": "v1", "recurse": true}),
    ];
    compare(&server.url("parent.git"), &[], &asks);
}

#[test]
fn http_leads_where_it_leads_flux() {
    let (repositories, asks) = repositories();
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    compare(&server.url("app.git"), &[], &asks);
}

#[test]
fn ssh_leads_where_it_leads_flux() {
    let (repositories, asks) = repositories();
    let server = SshServer::start(repositories.root(), SshOptions::default());
    let key = server.allow(&KeyKind::Ed25519, "");
    let secret = [("identity", key.as_str()), ("known_hosts", &server.known_hosts())];
    compare(&server.url("app.git"), &secret, &asks);
}

#[test]
fn an_empty_repository_is_empty_to_both() {
    let repositories = Repositories::new();
    repositories.create("app.git");
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let asks = ["branch", "tag", "ref"].map(|key| json!({ key: "refs/heads/main" }));
    compare(&server.url("app.git"), &[], &asks);
}
