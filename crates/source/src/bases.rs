//! Remote bases of kustomizations: repositories and files that a kustomization names by URL.
//!
//! Behaviour: kustomize `api/internal/git/cloner.go` (the default branch, or what `ref` names: a branch, a tag or a
//! commit) and `api/internal/loader/fileloader.go`. Nothing of the machine has a say: no configuration, no credential
//! helper, no agent; so only what can be read without a login is.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use borax_artifact::error::chain;
use borax_artifact::tree::TreeSource as _;
use borax_artifact::{Options, Storage};
use borax_kustomize::{Remote, RepoSpec};
use borax_stdx::files::Files;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::git::{
    Checkout, FetchRequest, Fetched, GitAuth, GitError, Limits, Reference, RemoteUrl,
    SshAlgorithms, fetch,
};
use crate::ignore::Rules;

/// The largest file that is read from a URL, in bytes.
const MAX_FILE: usize = 50 << 20;

/// How long a file may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(60);

/// Fetches remote bases. Blocking, so for builds off the async threads.
pub struct Bases {
    client: reqwest::Client,
    runtime: Handle,
    scratch: PathBuf,
    storage: OnceLock<Arc<Storage>>,
}

impl Bases {
    /// Files are fetched by `client` on `runtime`; what is fetched lies below `scratch` while it is in use.
    pub fn new(client: reqwest::Client, runtime: Handle, scratch: impl Into<PathBuf>) -> Self {
        Self { client, runtime, scratch: scratch.into(), storage: OnceLock::new() }
    }

    /// As [`Bases::new`], keeping what is fetched where `storage` keeps its own.
    pub fn within(client: reqwest::Client, runtime: Handle, storage: &Arc<Storage>) -> Self {
        let bases = Self::new(client, runtime, storage.options().root.join(".tmp"));
        Self { storage: OnceLock::from(Arc::clone(storage)), ..bases }
    }

    fn storage(&self) -> Result<&Arc<Storage>, String> {
        if let Some(storage) = self.storage.get() {
            return Ok(storage);
        }
        let made = Storage::new(Options::new(&self.scratch, "")).map_err(|error| chain(&error))?;
        Ok(self.storage.get_or_init(|| Arc::new(made)))
    }

    fn checkout(&self, spec: &RepoSpec) -> Result<Box<Checkout>, String> {
        let url = RemoteUrl::parse(&url(&spec.clone_url())).map_err(|error| error.to_string())?;
        let auth =
            GitAuth::from_secret(&url, &Default::default()).map_err(|error| error.to_string())?;
        let mut first: Option<GitError> = None;
        for reference in references(&spec.reference) {
            let request = FetchRequest {
                url: url.clone(),
                reference,
                auth: auth.clone(),
                proxy: None,
                ssh: SshAlgorithms::default(),
                last_revision: None,
                sparse: Vec::new(),
                recurse_submodules: spec.submodules,
                timeout: Duration::from_secs(spec.timeout_seconds),
                limits: Limits::default(),
            };
            match fetch(&request, &self.scratch, &CancellationToken::new()) {
                Ok(Fetched::Checkout(checkout)) => return Ok(checkout),
                // Without a last revision there is nothing to be unchanged against.
                Ok(Fetched::Unchanged { revision }) => {
                    return Err(format!("nothing was fetched for {revision}"));
                }
                // The branch's error tells more than that of the tag tried after it.
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.map_or_else(|| "there is no such ref".to_owned(), |error| chain(&error)))
    }
}

/// What `ref` may name, in the order in which it is tried.
fn references(name: &str) -> Vec<Reference> {
    let is_hash = name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name {
        "" => vec![Reference { name: "HEAD".to_owned(), ..Reference::default() }],
        hash if is_hash => vec![Reference { commit: hash.to_owned(), ..Reference::default() }],
        full if full.starts_with("refs/") => {
            vec![Reference { name: full.to_owned(), ..Reference::default() }]
        }
        name => vec![
            Reference { branch: name.to_owned(), ..Reference::default() },
            Reference { tag: name.to_owned(), ..Reference::default() },
        ],
    }
}

/// The address with a scheme: `git@github.com:org/repo` is SSH.
fn url(clone_url: &str) -> String {
    if clone_url.contains("://") {
        return clone_url.to_owned();
    }
    match clone_url.split_once(':') {
        Some((host, path)) => format!("ssh://{host}/{}", path.trim_start_matches('/')),
        None => format!("ssh://{clone_url}"),
    }
}

impl Remote for Bases {
    fn file(&self, url: &str) -> Result<Arc<[u8]>, String> {
        self.runtime.block_on(async {
            let failed = |error: reqwest::Error| chain(&error.without_url());
            let request = self.client.get(url).timeout(FILE_TIMEOUT).send();
            let mut answer = request.await.map_err(failed)?;
            if !answer.status().is_success() {
                return Err(format!("the server answered {}", answer.status()));
            }
            let mut content = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(failed)? {
                if content.len() + chunk.len() > MAX_FILE {
                    return Err(format!("the file is larger than {MAX_FILE} bytes"));
                }
                content.extend_from_slice(&chunk);
            }
            Ok(content.into())
        })
    }

    fn repository(&self, spec: &RepoSpec) -> Result<Arc<dyn Files>, String> {
        let storage = self.storage()?;
        let checkout = self.checkout(spec)?;
        let mut staging = storage.stage().map_err(|error| chain(&error))?;
        let rules = Rules::nothing();
        checkout.tree(&rules).emit(&mut staging).map_err(|error| chain(&error))?;
        let files = staging.finish().map_err(|error| error.to_string())?;
        Ok(Arc::new(files))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_forms_are_read() {
        assert_eq!(url("https://github.com/org/repo"), "https://github.com/org/repo");
        assert_eq!(url("git@github.com:org/repo.git"), "ssh://git@github.com/org/repo.git");
    }

    #[test]
    fn a_ref_is_a_branch_then_a_tag_unless_it_is_a_hash_or_whole() {
        assert_eq!(references("")[0].name, "HEAD");
        assert_eq!(references(&"a".repeat(40))[0].commit, "a".repeat(40));
        assert_eq!(references("refs/pull/1/head")[0].name, "refs/pull/1/head");
        let tried = references("v1");
        assert_eq!((tried[0].branch.as_str(), tried[1].tag.as_str()), ("v1", "v1"));
    }
}
