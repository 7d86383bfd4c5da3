//! A repository, a server and a fetch in a few words.

#![expect(clippy::panic, reason = "a test ends where nothing else is left to do")]

use std::io::Read;
use std::time::Duration;

use borax_artifact::tree::{FileMeta, SinkError, TreeSink, TreeSource as _};
use borax_source::git::{
    Checkout, FetchRequest, Fetched, GitAuth, GitError, Limits, Reference, RemoteUrl, SecretData,
    SshAlgorithms, fetch,
};
use borax_source::ignore::Rules;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A request for the branch `main` of `url`.
pub(super) fn request(url: &str) -> FetchRequest {
    let url = RemoteUrl::parse(url).expect("a valid URL");
    FetchRequest {
        auth: GitAuth::from_secret(&url, &SecretData::new()).unwrap_or_default(),
        url,
        reference: Reference { branch: "main".to_string(), ..Reference::default() },
        proxy: None,
        ssh: SshAlgorithms::default(),
        last_revision: None,
        sparse: Vec::new(),
        recurse_submodules: false,
        timeout: Duration::from_secs(60),
        limits: Limits::default(),
    }
}

/// The same with the data of a Secret.
pub(super) fn request_as(url: &str, secret: &[(&str, &str)]) -> FetchRequest {
    let mut request = request(url);
    let data =
        secret.iter().map(|(key, value)| (key.to_string(), value.as_bytes().to_vec())).collect();
    request.auth = GitAuth::from_secret(&request.url, &data).expect("valid credentials");
    request
}

pub(super) fn run(request: &FetchRequest) -> Result<Fetched, GitError> {
    CACHE.with(|cache| fetch(request, cache.path(), &CancellationToken::new()))
}

thread_local! {
    /// Lives as long as its test, as checkouts are in it.
    static CACHE: TempDir = TempDir::new().expect("a temporary folder");
}

/// Fetches what must be new.
pub(super) fn checkout(request: &FetchRequest) -> Checkout {
    match run(request) {
        Ok(Fetched::Checkout(checkout)) => *checkout,
        other => panic!("expected a checkout: {other:?}"),
    }
}

/// Fetches what must not have moved.
pub(super) fn unchanged(request: &FetchRequest) -> String {
    match run(request) {
        Ok(Fetched::Unchanged { revision }) => revision,
        other => panic!("expected nothing new: {other:?}"),
    }
}

/// The text of a fetch that must fail, as a condition shows it.
pub(super) fn failure(request: &FetchRequest) -> String {
    match run(request) {
        Err(error) => error.message(),
        Ok(other) => panic!("expected an error: {other:?}"),
    }
}

/// Everything in a checkout without any rule of its own but Flux's defaults.
pub(super) fn files(checkout: &Checkout) -> Vec<String> {
    let rules = Rules::new(checkout.ignore_files().expect("readable"), None);
    files_by(checkout, &rules)
}

/// The same by other rules: `path/` for a directory, `path=content` for a file, `path*=content` for an executable one.
pub(super) fn files_by(checkout: &Checkout, rules: &Rules) -> Vec<String> {
    let mut list = List::default();
    checkout.tree(rules).emit(&mut list).expect("readable");
    list.lines
}

#[derive(Default)]
struct List {
    lines: Vec<String>,
}

impl TreeSink for List {
    fn dir(&mut self, path: &[u8]) -> Result<(), SinkError> {
        self.lines.push(format!("{}/", String::from_utf8_lossy(path)));
        Ok(())
    }

    fn file(
        &mut self,
        path: &[u8],
        file: FileMeta,
        content: &mut dyn Read,
    ) -> Result<(), SinkError> {
        let mut text = String::new();
        content.read_to_string(&mut text).expect("text");
        assert_eq!(file.size, text.len() as u64, "the announced size");
        let mark = if file.executable { "*" } else { "" };
        self.lines.push(format!("{}{mark}={text}", String::from_utf8_lossy(path)));
        Ok(())
    }
}
