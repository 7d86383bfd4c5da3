//! Remote bases, fetched for the kustomize engine from a Git server in this process.

use borax_kustomize::{Options, build};
use borax_source::bases::Bases;
use borax_stdx::files::MemoryFiles;
use borax_testkit::git::{Change, HttpOptions, HttpServer, Repositories};

const CONFIG: &[u8] =
    b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base}\ndata: {from: main}\n";
const OLD: &[u8] = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base}\ndata: {from: v1}\n";
const KUSTOMIZATION: &[u8] = b"resources: [config.yaml]\n";

struct Upstream {
    server: HttpServer,
    first: String,
    _repositories: Repositories,
}

fn upstream() -> Upstream {
    let repositories = Repositories::new();
    let repository = repositories.create("team/app.git");
    let deploy = |config: &'static [u8]| {
        [
            ("deploy/config.yaml", Change::File(config)),
            ("deploy/kustomization.yaml", Change::File(KUSTOMIZATION)),
        ]
    };
    let first = repository.commit_changes("refs/heads/main", &deploy(OLD), "one", 1_700_000_000);
    repository.set_ref("refs/tags/v1", &first);
    repository.commit_changes("refs/heads/main", &deploy(CONFIG), "two", 1_700_000_100);
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    Upstream { server, first, _repositories: repositories }
}

fn built(upstream: &Upstream, query: &str) -> Result<String, String> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let scratch = tempfile::tempdir().expect("there is a temporary folder");
    let bases = Bases::new(reqwest::Client::new(), runtime.handle().clone(), scratch.path());
    let base = format!("{}//deploy{query}", upstream.server.url("team/app.git"));
    let files = MemoryFiles::from_iter([(
        "/app/kustomization.yaml",
        format!("namePrefix: my-\nresources: [\"{base}\"]\n").into_bytes(),
    )]);
    let options = Options { remote: Some(&bases), ..Options::default() };
    build(&files, "/app", &options)
        .map(|objects| objects.to_yaml())
        .map_err(|error| error.to_string())
}

#[test]
fn a_base_is_built_from_a_branch_a_tag_a_commit_or_the_default_branch() {
    let upstream = upstream();
    let by_commit = format!("?ref={}", upstream.first);
    for (query, from) in
        [("?ref=main", "main"), ("?ref=v1", "v1"), (by_commit.as_str(), "v1"), ("", "main")]
    {
        let text = built(&upstream, query).unwrap();
        assert!(
            text.contains("name: my-base") && text.contains(&format!("from: {from}")),
            "{query}: {text}"
        );
    }
}

#[test]
fn a_ref_that_is_not_there_is_named() {
    let error = built(&upstream(), "?ref=nowhere").unwrap_err();
    assert!(error.contains("nowhere"), "{error}");
}
