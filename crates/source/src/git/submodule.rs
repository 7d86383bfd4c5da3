//! Submodules: the commits a tree points to in other repositories, fetched with what may be shown to their servers.
//!
//! Source: Git's gitmodules(5) and go-git's `submodule.go`, whose depth limit is kept. Unlike there, credentials stay with
//! the server they are for.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{ObjectType, Oid};

use super::cause::Cause;
use super::checkout::{MAX_DEPTH, Root, Sparse, Submodule, broken, depth, join, too_many};
use super::error::GitError;
use super::fetch::{Limits, read_commit, receive_commit};
use super::link::Endpoint;
use super::object::{EntryKind, parse_tree};
use super::url::{RemoteUrl, UrlError};
use super::wire::Remote;

/// Submodules within submodules, at most; as in go-git.
const MAX_NESTING: usize = 10;

/// Submodules in all, at most.
const MAX_SUBMODULES: usize = 1000;

/// The longest `.gitmodules` that is read, in bytes.
const MAX_GITMODULES: u64 = 1 << 20;

/// Fetches every submodule below `root` that `sparse` takes: the trees by path.
pub(super) fn fetch_all(
    endpoint: &Endpoint<'_>,
    cache_dir: &Path,
    limits: Limits,
    root: &Root,
    sparse: &Sparse,
) -> Result<BTreeMap<Vec<u8>, Submodule>, GitError> {
    let mut fetcher = Fetcher {
        endpoint,
        cache_dir,
        limits,
        sparse,
        found: BTreeMap::new(),
        roots: BTreeMap::new(),
    };
    let place = Place {
        dir: Vec::new(),
        git_dir: ".git".to_string(),
        url: endpoint.url.clone(),
        nesting: 0,
    };
    fetcher.below(root, &place)?;
    Ok(fetcher.found)
}

struct Fetcher<'a> {
    endpoint: &'a Endpoint<'a>,
    cache_dir: &'a Path,
    limits: Limits,
    sparse: &'a Sparse,
    found: BTreeMap<Vec<u8>, Submodule>,
    /// By URL and commit: one submodule in two places is fetched once.
    roots: BTreeMap<(String, Oid), Root>,
}

/// A link's path within its tree, and the commit it points to.
type Gitlink = (Vec<u8>, Oid);

/// Where a tree is in the whole, and where it came from.
struct Place {
    dir: Vec<u8>,
    /// Where go-git would keep the repository, seen from the whole's root.
    git_dir: String,
    url: RemoteUrl,
    nesting: usize,
}

impl Fetcher<'_> {
    fn below(&mut self, root: &Root, place: &Place) -> Result<(), GitError> {
        let (links, modules) = self
            .read(root, &place.dir)
            .map_err(|cause| self.failed(&place.dir, Box::new(cause)))?;
        for (path, commit) in links {
            // Git and go-git leave a link without an entry alone: an empty directory.
            let Some(module) = modules.iter().find(|m| m.path == path) else {
                continue;
            };
            let whole = join(&place.dir, &path);
            if !self.sparse.takes(&whole) {
                continue;
            }
            if place.nesting >= MAX_NESTING || self.found.len() >= MAX_SUBMODULES {
                let reason = format!(
                    "more than {MAX_SUBMODULES} submodules, or nested more than {MAX_NESTING} deep"
                );
                return Err(self.failed(&whole, reason.into()));
            }
            let url =
                resolve(&place.url, &module.url).map_err(|e| self.failed(&whole, e.into()))?;
            let root =
                self.root(&url, commit).map_err(|cause| self.failed(&whole, Box::new(cause)))?;
            let git_dir = format!("{}/modules/{}", place.git_dir, module.name);
            let git_file = format!("gitdir: {}{git_dir}\n", "../".repeat(depth(&whole) + 1));
            self.found.insert(whole.clone(), Submodule { root: root.clone(), git_file });
            let place = Place { dir: whole, git_dir, url, nesting: place.nesting + 1 };
            self.below(&root, &place)?;
        }
        Ok(())
    }

    fn root(&mut self, url: &RemoteUrl, commit: Oid) -> Result<Root, Cause> {
        let key = (url.to_string(), commit);
        if let Some(root) = self.roots.get(&key) {
            return Ok(root.clone());
        }
        let auth = self.endpoint.auth.for_other(self.endpoint.url, url);
        let endpoint = Endpoint { url, auth: &auth, ..*self.endpoint };
        let prefixes = ["refs/heads/".to_string()];
        let mut remote = Remote::connect(&endpoint, &prefixes)?;
        let refs = match remote.can_fetch_any() {
            true => Vec::new(),
            false => remote.refs(&prefixes)?,
        };
        let store = receive_commit(
            &mut remote,
            commit,
            &refs,
            endpoint.session,
            self.cache_dir,
            self.limits,
        )?
        .ok_or_else(|| Cause::Remote(format!("'{url}' has no commit {commit}")))?;
        let (_, tree) = read_commit(&store.open()?, commit)?;
        let root = Root { store, tree };
        self.roots.insert(key, root.clone());
        Ok(root)
    }

    /// The links in a tree, by path within it, and what its `.gitmodules` says.
    fn read(&self, root: &Root, dir: &[u8]) -> Result<(Vec<Gitlink>, Vec<Module>), Cause> {
        let objects = root.store.open()?;
        let (mut links, mut gitmodules) = (Vec::new(), None);
        let mut pending = vec![(Vec::new(), root.tree)];
        let mut seen = 0;
        while let Some((at, tree)) = pending.pop() {
            let object = objects.read(tree, ObjectType::Tree)?;
            let entries = parse_tree(tree, object.data()).map_err(broken)?;
            seen += entries.len() as u64;
            if seen > self.limits.entries {
                return Err(too_many(self.limits.entries));
            }
            for entry in entries {
                let path = join(&at, entry.name);
                match entry.kind {
                    EntryKind::Directory
                        if depth(&path) < MAX_DEPTH && self.sparse.enters(&join(dir, &path)) =>
                    {
                        pending.push((path, entry.oid));
                    }
                    EntryKind::Submodule => links.push((path, entry.oid)),
                    EntryKind::File { .. } if path == b".gitmodules" => {
                        gitmodules = Some(entry.oid)
                    }
                    _ => {}
                }
            }
        }
        links.sort();
        let Some(oid) = gitmodules.filter(|_| !links.is_empty()) else {
            return Ok((Vec::new(), Vec::new()));
        };
        if objects.header(oid)?.1 > MAX_GITMODULES {
            return Err(Cause::TooLarge { what: ".gitmodules", limit: MAX_GITMODULES });
        }
        let blob = objects.read(oid, ObjectType::Blob)?;
        Ok((links, parse_gitmodules(&String::from_utf8_lossy(blob.data()))))
    }

    fn failed(&self, path: &[u8], cause: Box<dyn std::error::Error + Send + Sync>) -> GitError {
        GitError::Submodule {
            url: self.endpoint.url.to_string(),
            path: String::from_utf8_lossy(path).into_owned(),
            cause,
        }
    }
}

/// Where a submodule's `url` points, seen from the repository it is in.
fn resolve(parent: &RemoteUrl, url: &str) -> Result<RemoteUrl, UrlError> {
    if url.starts_with("./") || url.starts_with("../") {
        return parent.join(url);
    }
    if !url.contains("://") {
        // `user@host:path`, as `.gitmodules` often has it.
        if let Some((host, path)) =
            url.split_once(':').filter(|(host, path)| !host.contains('/') && !path.starts_with(':'))
        {
            return RemoteUrl::parse(&format!("ssh://{host}/{}", path.trim_start_matches('/')));
        }
    }
    RemoteUrl::parse(url)
}

/// Reads a `.gitmodules` and resolves its URLs.
pub(super) fn read_anything(text: &str, parent: &RemoteUrl) {
    for module in parse_gitmodules(text) {
        // Only that it comes back matters.
        let _ = resolve(parent, &module.url);
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Module {
    name: String,
    path: Vec<u8>,
    url: String,
}

/// The submodules of a `.gitmodules`: the part of Git's configuration syntax that such files use.
fn parse_gitmodules(text: &str) -> Vec<Module> {
    let mut modules = Vec::new();
    let mut in_module = false;
    for line in text.lines() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            in_module = section.to_ascii_lowercase().starts_with("submodule");
            if in_module {
                let name = section.split('"').nth(1).unwrap_or_default().to_string();
                modules.push(Module { name, ..Module::default() });
            }
            continue;
        }
        let (Some((key, value)), Some(module), true) =
            (line.split_once('='), modules.last_mut(), in_module)
        else {
            continue;
        };
        let value = config_value(value.trim());
        match key.trim().to_ascii_lowercase().as_str() {
            "path" => module.path = value.trim_end_matches('/').as_bytes().to_vec(),
            "url" => module.url = value,
            _ => {}
        }
    }
    modules.retain(|m| !m.path.is_empty() && !m.url.is_empty());
    modules
}

/// A value with its quotes, escapes and comment resolved.
fn config_value(text: &str) -> String {
    let (mut value, mut quoted) = (String::new(), false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => value.extend(chars.next()),
            '#' | ';' if !quoted => break,
            c => value.push(c),
        }
    }
    value.trim_end().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gitmodules_are_read() {
        let text = "# c\n[core]\n\tpath = no\n[submodule \"a\"]\n\tpath = lib/a\n\turl = ../a.git ; why\n\tbranch = x\n\
                    [Submodule \"b c\"]\n\tURL = \"https://h/b#c\"\n\tpath=\"b c\"\n[submodule \"half\"]\n\tpath = x\n";
        let module = |name: &str, path: &str, url: &str| Module {
            name: name.into(),
            path: path.into(),
            url: url.into(),
        };
        assert_eq!(
            parse_gitmodules(text),
            [module("a", "lib/a", "../a.git"), module("b c", "b c", "https://h/b#c")]
        );
    }

    #[test]
    fn urls_are_resolved_or_refused() {
        let parent = RemoteUrl::parse("https://h/team/app.git").expect("valid");
        let shown = |url| resolve(&parent, url).map(|u| u.to_string()).map_err(|e| e.to_string());
        assert_eq!(shown("../lib").as_deref(), Ok("https://h/team/lib"));
        assert_eq!(shown("git@h:team/lib.git").as_deref(), Ok("ssh://git@h/team/lib.git"));
        assert_eq!(shown("https://o/x").as_deref(), Ok("https://o/x"));
        for url in ["/etc", "file:///etc", "ext::sh -c id", "git://h/x"] {
            assert!(shown(url).is_err(), "{url}");
        }
    }
}
