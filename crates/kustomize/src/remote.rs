//! What lies beyond the given files: repositories and files at URLs, fetched by the caller.
//!
//! Source of behaviour: kustomize `api/internal/git/repospec.go`.

use std::sync::Arc;

use borax_stdx::files::{Files, join};

/// Fetches what a kustomization names by URL. Implemented outside, where there is a network.
///
/// Errors are sentences for people; the URL need not be repeated.
pub trait Remote: Send + Sync {
    /// The content of the file at a URL.
    fn file(&self, url: &str) -> Result<Arc<[u8]>, String>;

    /// The files of a repository at the wanted commit; `/` is its root.
    fn repository(&self, spec: &RepoSpec) -> Result<Arc<dyn Files>, String>;
}

/// A repository, and a directory in it, as a URL names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoSpec {
    /// What stood in the kustomization.
    pub url: String,
    /// Scheme, user and host, up to the path (`https://github.com/`, `git@github.com:`).
    pub host: String,
    /// The repository's path at the host (`org/repo.git`).
    pub repository: String,
    /// The directory in it; empty for its root.
    pub path: String,
    /// Branch, tag or commit; empty for the default branch.
    pub reference: String,
    /// Whether submodules are wanted.
    pub submodules: bool,
    /// After how many seconds to give up.
    pub timeout_seconds: u64,
}

impl RepoSpec {
    /// What to clone.
    pub fn clone_url(&self) -> String {
        format!("{}{}", self.host, self.repository)
    }

    /// Reads a URL as kustomize does; `None` for what is a path.
    ///
    /// ```
    /// use borax_kustomize::RepoSpec;
    /// let spec = RepoSpec::parse("https://github.com/org/repo//deploy?ref=v1").unwrap();
    /// assert_eq!((&*spec.clone_url(), &*spec.path, &*spec.reference),
    ///            ("https://github.com/org/repo", "deploy", "v1"));
    /// assert!(RepoSpec::parse("../base").is_none());
    /// ```
    pub fn parse(url: &str) -> Option<RepoSpec> {
        if url.starts_with('/') {
            return None;
        }
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (host, rest) = host(address)?;
        let (repository, path) = split_path(rest, host.starts_with("file://"))?;
        if repository.is_empty() {
            return None;
        }
        let leaves = {
            let mut depth = 0i32;
            path.trim_start_matches('/').split('/').any(|part| {
                depth += match part {
                    "" | "." => 0,
                    ".." => -1,
                    _ => 1,
                };
                depth < 0
            })
        };
        if leaves {
            return None;
        }
        let mut spec = RepoSpec {
            url: url.to_owned(),
            host,
            repository,
            path: path.strip_prefix('/').unwrap_or(&path).to_owned(),
            reference: String::new(),
            submodules: true,
            timeout_seconds: 27,
        };
        spec.read_query(query);
        Some(spec)
    }

    fn read_query(&mut self, query: &str) {
        let value = |key: &str| {
            let found = query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            found.map(percent_decode).filter(|value| !value.is_empty())
        };
        self.reference = value("ref").or_else(|| value("version")).unwrap_or_default();
        if let Some(timeout) = value("timeout") {
            let seconds = timeout.strip_suffix('s').unwrap_or(&timeout).parse().ok();
            self.timeout_seconds = seconds.filter(|n| *n > 0).unwrap_or(self.timeout_seconds);
        }
        if let Some(submodules) = value("submodules") {
            match submodules.as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => self.submodules = true,
                "0" | "f" | "F" | "false" | "FALSE" | "False" => self.submodules = false,
                _ => {}
            }
        }
    }

    /// The directory as an absolute path in the repository.
    pub(crate) fn directory(&self) -> String {
        join("/", &self.path)
    }
}

/// Whether a path is a file at a URL.
pub(crate) fn is_url(path: &str) -> bool {
    let scheme = path.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

const SCHEMES: [&str; 4] = ["ssh://", "https://", "http://", "file://"];

fn strip_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// Takes scheme, user and host off.
fn host(address: &str) -> Option<(String, &str)> {
    let address = strip_ignoring_case(address, "git::").unwrap_or(address);
    let (scheme, rest) = SCHEMES
        .iter()
        .find_map(|scheme| Some((*scheme, strip_ignoring_case(address, scheme)?)))
        .unwrap_or(("", address));
    let (user, rest) = match rest.split_once('@') {
        Some((user, after)) if is_user(user) => (format!("{user}@"), after),
        _ => (String::new(), rest),
    };
    let is_github = strip_ignoring_case(rest, "github.com/").is_some()
        || strip_ignoring_case(rest, "github.com:").is_some();
    let accepts_scp = scheme.is_empty() && (!user.is_empty() || is_github);
    if scheme.is_empty() && !accepts_scp {
        return None;
    }
    if scheme == "file://" {
        return Some((scheme.to_owned(), rest));
    }
    let mut end = rest.find('/');
    if accepts_scp
        && let Some(colon) = rest.find(':')
        && end.is_none_or(|slash| colon > 0 && colon < slash)
    {
        end = Some(colon);
    }
    let (host, rest) = match end {
        Some(end) => rest.split_at(end + 1),
        None => (rest, ""),
    };
    if is_github {
        return Some(match scheme == "ssh://" || !user.is_empty() {
            true => (format!("{user}github.com:"), rest),
            false => ("https://github.com/".to_owned(), rest),
        });
    }
    (!host.is_empty()).then(|| (format!("{scheme}{user}{host}"), rest))
}

fn is_user(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// The repository's path, and the directory in it.
fn split_path(path: &str, is_file: bool) -> Option<(String, String)> {
    if let Some(at) = path.find("_git/") {
        let (root, rest) = path.split_at(at + "_git/".len());
        let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
        return Some((format!("{root}{name}"), rest.to_owned()));
    }
    if let Some((repository, rest)) = path.split_once("//") {
        return Some((repository.to_owned(), rest.to_owned()));
    }
    if let Some(at) = path.find(".git") {
        let (repository, rest) = path.split_at(at + ".git".len());
        return Some((repository.to_owned(), rest.to_owned()));
    }
    if is_file {
        return Some((path.to_owned(), String::new()));
    }
    let mut parts = path.splitn(3, '/');
    let (owner, name) = (parts.next()?, parts.next()?);
    Some((format!("{owner}/{name}"), parts.next().unwrap_or("").to_owned()))
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[at], hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
