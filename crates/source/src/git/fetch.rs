//! One fetch: resolve `spec.ref`, stop when nothing has moved, otherwise bring exactly the commit that is asked for.
//!
//! Source: fluxcd/pkg `git/gogit/clone.go`. Where that clones whole histories (a commit, a semver range) this asks the
//! server for the one commit, and only falls back to history where a server refuses.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use borax_golang::semver::{Constraint, matching};
use git2::{ObjectType, Oid};
use tokio_util::sync::CancellationToken;

use super::auth::{GitAuth, Proxy};
use super::cause::Cause;
use super::checkout::{Checkout, Root, Sparse};
use super::error::GitError;
use super::link::Endpoint;
use super::object::{Commit, Tag, parse_commit, parse_tag};
use super::refs::{Reference, Target, modern_revision};
use super::session::Session;
use super::ssh::SshAlgorithms;
use super::store::{Objects, Store};
use super::submodule;
use super::url::{RemoteUrl, Scheme};
use super::wire::{Remote, RemoteRef, Wants};

/// How many names an error lists to choose from.
const HINTS: usize = 10;

/// Tags pointing to tags, at most.
const MAX_PEEL: usize = 16;

/// What to fetch and how.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// `spec.url`
    pub url: RemoteUrl,
    /// `spec.ref`
    pub reference: Reference,
    /// From `spec.secretRef`.
    pub auth: GitAuth,
    /// From `spec.proxySecretRef`.
    pub proxy: Option<Proxy>,
    /// What to offer SSH servers; from flags.
    pub ssh: SshAlgorithms,
    /// The revision of the artifact there is; nothing is fetched when the remote still is at it.
    pub last_revision: Option<String>,
    /// `spec.sparseCheckout`
    pub sparse: Vec<String>,
    /// `spec.recurseSubmodules`
    pub recurse_submodules: bool,
    /// `spec.timeout`
    pub timeout: Duration,
    /// Bounds on what a server may send.
    pub limits: Limits,
}

/// Bounds on what a server may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one pack, as sent.
    pub pack_bytes: u64,
    /// Bytes of one object, once unpacked; a file is in memory while it is archived.
    pub object_bytes: u64,
    /// Bytes of all files of a tree together.
    pub tree_bytes: u64,
    /// Files and directories of a tree; objects of a pack.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pack_bytes: 2 << 30,
            object_bytes: 512 << 20,
            tree_bytes: 4 << 30,
            entries: 2_000_000,
        }
    }
}

/// What came of a fetch.
#[derive(Debug)]
pub enum Fetched {
    /// The remote still is at the last revision.
    Unchanged {
        /// That revision, as today's Flux writes it.
        revision: String,
    },
    /// The commit and its files.
    Checkout(Box<Checkout>),
}

/// Fetches. Blocks until done, the timeout, or `cancel`; call it where blocking is allowed, not on an async task.
///
/// Packs are kept in a folder of their own below `cache_dir`, removed with the returned [`Checkout`] or at an error.
pub fn fetch(
    request: &FetchRequest,
    cache_dir: &Path,
    cancel: &CancellationToken,
) -> Result<Fetched, GitError> {
    let session = Session::start(request.timeout, cancel).map_err(|error| GitError::Start {
        url: request.url.to_string(),
        reason: error.to_string(),
    })?;
    Fetch { request, session: Rc::new(session), cache_dir }.run()
}

pub(super) struct Fetch<'a> {
    pub(super) request: &'a FetchRequest,
    pub(super) session: Rc<Session>,
    pub(super) cache_dir: &'a Path,
}

impl Fetch<'_> {
    pub(super) fn run(&self) -> Result<Fetched, GitError> {
        match self.request.reference.target() {
            Target::Ref(name) => self.by_ref(&name),
            Target::Semver(range) => self.by_semver(&range),
            Target::Commit { hash, branch } => self.by_commit(&hash, branch.as_deref()),
        }
    }

    fn by_ref(&self, name: &str) -> Result<Fetched, GitError> {
        check_name(name)?;
        // Flux takes `refs/tags/v1^{}` for the tag, and writes it into the revision.
        let plain = name.strip_suffix("^{}").unwrap_or(name);
        let (mut remote, refs) = self.list(&[plain.to_string()])?;
        let Some(found) = refs.into_iter().find(|r| r.name == plain) else {
            return Err(self.missing(name));
        };
        let revision = self.request.reference.revision(name, found.commit());
        if self.is_last(&revision) {
            return Ok(Fetched::Unchanged { revision });
        }
        let store = self.receive(&mut remote, &shallow(&[found.target]))?;
        self.checkout(store, &found, name)
    }

    fn by_semver(&self, range: &str) -> Result<Fetched, GitError> {
        let constraint = Constraint::parse(range)
            .map_err(|error| GitError::Semver { reason: error.to_string() })?;
        let (mut remote, refs) = self.list(&["refs/tags/".to_string()])?;
        let tags: BTreeMap<&str, &RemoteRef> =
            refs.iter().filter_map(|r| Some((r.name.strip_prefix("refs/tags/")?, r))).collect();
        let matching = matching(&constraint, tags.keys().copied());
        let Some(highest) = matching.first() else {
            return Err(self.no_match(range, tags.is_empty()));
        };
        let equals: Vec<&RemoteRef> = matching
            .iter()
            .take_while(|version| version.compare(highest).is_eq())
            .filter_map(|version| tags.get(version.original()).copied())
            .collect();
        if let [found] = equals[..] {
            let revision = self.request.reference.revision(&found.name, found.commit());
            if self.is_last(&revision) {
                return Ok(Fetched::Unchanged { revision });
            }
            let store = self.receive(&mut remote, &shallow(&[found.target]))?;
            return self.checkout(store, found, &found.name);
        }
        // Versions that differ in metadata only: the younger commit is the higher one, so they have to be seen.
        let oids: Vec<Oid> = equals.iter().map(|r| r.target).collect();
        let store = self.receive(&mut remote, &shallow(&oids))?;
        let found = youngest(&store, &equals).map_err(|cause| self.cloning(cause))?;
        let revision = self.request.reference.revision(&found.name, found.commit());
        if self.is_last(&revision) {
            return Ok(Fetched::Unchanged { revision });
        }
        self.checkout(store, found, &found.name)
    }

    fn by_commit(&self, hash: &str, branch: Option<&str>) -> Result<Fetched, GitError> {
        let refuse = |reason: &str| GitError::Commit {
            commit: hash.escape_debug().to_string(),
            reason: reason.to_string(),
        };
        let oid = match hash.len() {
            40 => Oid::from_str(hash).ok(),
            _ => None,
        };
        let oid = oid.ok_or_else(|| refuse("not a full hash of 40 hex digits"))?;
        let branches = branch.unwrap_or("refs/heads/").to_string();
        check_name(branches.trim_end_matches('/'))?;
        let (mut remote, refs) = self.list(std::slice::from_ref(&branches))?;
        let tip = refs.iter().find(|r| Some(r.name.as_str()) == branch);
        if let (Some(name), None) = (branch, tip) {
            return Err(self.missing(name));
        }
        // Flux shows spec.ref.name beside a commit, whatever it leads to.
        let name = match (self.request.reference.name.as_str(), branch) {
            ("", branch) => branch.unwrap_or_default(),
            (name, _) => name,
        };
        let revision = self.request.reference.revision(name, oid);
        if self.is_last(&revision) {
            return Ok(Fetched::Unchanged { revision });
        }
        let store = match tip {
            Some(tip) if tip.target == oid => Some(self.receive(&mut remote, &shallow(&[oid]))?),
            Some(tip) => self.commit_in_branch(remote, oid, tip)?,
            None => self.commit_anywhere(remote, oid, &refs)?,
        };
        let Some(store) = store else {
            return Err(refuse(match branch {
                Some(_) => "object not found in the branch of spec.ref.branch",
                None => "object not found",
            }));
        };
        let read = || read_commit(&store.open()?, oid);
        let (commit, tree) = read().map_err(|cause| refuse(&cause.to_string()))?;
        let tag = name.strip_prefix("refs/tags/").map(Tag::lightweight);
        self.finish(Root { store, tree }, commit, tag, revision)
    }

    /// A commit that must be in the history of a branch; `None` when it is not.
    fn commit_in_branch(
        &self,
        mut remote: Remote,
        oid: Oid,
        tip: &RemoteRef,
    ) -> Result<Option<Store>, GitError> {
        let has = |store: &Store| -> Result<bool, GitError> {
            Ok(store.open().map_err(|cause| self.cloning(cause))?.has(oid))
        };
        let history = Wants {
            oids: vec![tip.target],
            commits_only: remote.can_filter() && remote.can_fetch_any(),
            ..Wants::default()
        };
        let store = self.receive(&mut remote, &history)?;
        if !has(&store)? {
            return Ok(None);
        }
        if !history.commits_only {
            return Ok(Some(store));
        }
        let (mut remote, _) = self.list(std::slice::from_ref(&tip.name))?;
        Ok(Some(self.receive(&mut remote, &shallow(&[oid]))?))
    }

    fn commit_anywhere(
        &self,
        mut remote: Remote,
        oid: Oid,
        branches: &[RemoteRef],
    ) -> Result<Option<Store>, GitError> {
        let limits = self.request.limits;
        receive_commit(&mut remote, oid, branches, &self.session, self.cache_dir, limits)
            .map_err(|cause| self.cloning(cause))
    }

    pub(super) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint {
            session: &self.session,
            url: &self.request.url,
            auth: &self.request.auth,
            proxy: self.request.proxy.as_ref(),
            ssh: &self.request.ssh,
        }
    }

    pub(super) fn list(&self, prefixes: &[String]) -> Result<(Remote, Vec<RemoteRef>), GitError> {
        self.try_list(prefixes).map_err(|cause| self.failed(cause))
    }

    fn try_list(&self, prefixes: &[String]) -> Result<(Remote, Vec<RemoteRef>), Cause> {
        let mut remote = Remote::connect(&self.endpoint(), prefixes)?;
        let refs = remote.refs(prefixes)?;
        Ok((remote, refs))
    }

    fn receive(&self, remote: &mut Remote, wants: &Wants) -> Result<Store, GitError> {
        receive(remote, wants, &self.session, self.cache_dir, self.request.limits)
            .map_err(|cause| self.cloning(cause))
    }

    /// Reads what a ref has led to.
    fn checkout(&self, store: Store, found: &RemoteRef, name: &str) -> Result<Fetched, GitError> {
        let resolve = || -> Result<(Option<Tag>, Commit, Oid), Cause> {
            let objects = store.open()?;
            let (tag, oid) = peel(&objects, found.target)?;
            let (commit, tree) = read_commit(&objects, oid)?;
            Ok((tag, commit, tree))
        };
        let (tag, commit, tree) = resolve().map_err(|cause| self.cloning(cause))?;
        let tag = found
            .name
            .strip_prefix("refs/tags/")
            .map(|short| tag.unwrap_or_else(|| Tag::lightweight(short)));
        let oid = Oid::from_str(&commit.hash)
            .map_err(|e| self.cloning(Cause::store("can't read the commit", &e)))?;
        self.finish(Root { store, tree }, commit, tag, self.request.reference.revision(name, oid))
    }

    fn finish(
        &self,
        root: Root,
        commit: Commit,
        tag: Option<Tag>,
        revision: String,
    ) -> Result<Fetched, GitError> {
        let sparse = Sparse::new(&self.request.sparse);
        let submodules = match self.request.recurse_submodules {
            true => submodule::fetch_all(
                &self.endpoint(),
                self.cache_dir,
                self.request.limits,
                &root,
                &sparse,
            )?,
            false => BTreeMap::new(),
        };
        let checkout = Checkout {
            revision,
            commit,
            tag,
            root,
            sparse,
            submodules,
            limits: self.request.limits,
        };
        checkout.check_sparse(&self.request.sparse)?;
        Ok(Fetched::Checkout(Box::new(checkout)))
    }

    pub(super) fn is_last(&self, revision: &str) -> bool {
        let last = self.request.last_revision.as_deref().unwrap_or_default();
        modern_revision(last) == revision
    }

    /// An error while the remote was looked at: Flux lists it where it looks for a move, and clones where it does not.
    fn failed(&self, cause: Cause) -> GitError {
        let lists = self.request.last_revision.is_some() || !self.request.reference.name.is_empty();
        match lists {
            true => GitError::List { url: self.request.url.to_string(), cause },
            false => self.cloning(cause),
        }
    }

    pub(super) fn cloning(&self, cause: Cause) -> GitError {
        let url = self.request.url.to_string();
        match cause {
            Cause::RepositoryNotFound { .. } if self.request.url.scheme() == Scheme::Ssh => {
                GitError::NotFound { url, cause }
            }
            Cause::Empty => GitError::NotFound { url, cause },
            _ => GitError::Clone { url, cause },
        }
    }

    /// The error for a range without a tag.
    fn no_match(&self, range: &str, no_tags: bool) -> GitError {
        if no_tags {
            // Telling an empty repository from one without tags takes a look at the branches.
            match self.try_list(&["refs/heads/".to_string()]) {
                Ok((_, refs)) if refs.is_empty() => return self.cloning(Cause::Empty),
                Ok(_) => {}
                Err(cause) => return self.failed(cause),
            }
        }
        GitError::NoMatch { range: range.to_string() }
    }

    /// The error for a ref that is not there, with what is there instead.
    pub(super) fn missing(&self, name: &str) -> GitError {
        let refs = match self.try_list(&["refs/heads/".to_string(), "refs/tags/".to_string()]) {
            Ok((_, refs)) => refs,
            Err(cause) => return self.failed(cause),
        };
        if refs.is_empty() {
            return match self.request.reference.target() {
                Target::Ref(name)
                    if name.starts_with("refs/heads/")
                        && self.request.reference.name.is_empty() =>
                {
                    GitError::Empty
                }
                _ => self.failed(Cause::Empty),
            };
        }
        let kind = match name.starts_with("refs/tags/") {
            true => "refs/tags/",
            false => "refs/heads/",
        };
        let hint = hint(&refs, kind);
        match self.request.reference.name.is_empty() {
            true => self.cloning(Cause::RefNotFound { name: name.to_string(), hint }),
            false => GitError::Unresolved { name: name.to_string(), hint },
        }
    }
}

/// Fetches into a new store.
pub(super) fn receive(
    remote: &mut Remote,
    wants: &Wants,
    session: &Session,
    cache_dir: &Path,
    limits: Limits,
) -> Result<Store, Cause> {
    let store = Store::create(cache_dir)?;
    let mut receiver = store.receive(session, limits)?;
    remote.fetch(wants, &mut |bytes| receiver.write(bytes))?;
    receiver.finish()?;
    Ok(store)
}

/// Fetches a commit wherever it is; `None` when the server does not have it (or does not give it).
///
/// `refs` are the branches there are. A server that gives nothing but what a ref points to is asked for all of them.
pub(super) fn receive_commit(
    remote: &mut Remote,
    oid: Oid,
    refs: &[RemoteRef],
    session: &Session,
    cache_dir: &Path,
    limits: Limits,
) -> Result<Option<Store>, Cause> {
    if remote.can_fetch_any() || refs.iter().any(|r| r.target == oid) {
        return match receive(remote, &shallow(&[oid]), session, cache_dir, limits) {
            Ok(store) => Ok(Some(store)),
            // `upload-pack: not our ref`
            Err(Cause::Remote(_)) => Ok(None),
            Err(cause) => Err(cause),
        };
    }
    if refs.is_empty() {
        return Err(Cause::Empty);
    }
    let everything = Wants { oids: refs.iter().map(|r| r.target).collect(), ..Wants::default() };
    let store = receive(remote, &everything, session, cache_dir, limits)?;
    let has = store.open()?.has(oid);
    Ok(has.then_some(store))
}

pub(super) fn shallow(oids: &[Oid]) -> Wants {
    Wants { oids: oids.to_vec(), depth: Some(1), ..Wants::default() }
}

/// Follows annotated tags to what they are of: the outermost tag, and the object in the end.
fn peel(objects: &Objects, oid: Oid) -> Result<(Option<Tag>, Oid), Cause> {
    let (mut outermost, mut at) = (None, oid);
    for _ in 0..MAX_PEEL {
        let object = objects.any(at)?;
        if object.kind() != ObjectType::Tag {
            return Ok((outermost, at));
        }
        let (tag, target) = parse_tag(at, object.data())
            .map_err(|e| Cause::store("can't read a received object", &e))?;
        outermost.get_or_insert(tag);
        at = target;
    }
    Err(Cause::store("can't follow the tag", &"it points to too many tags"))
}

/// The ref whose commit is the youngest; of two as young the one whose name comes later.
fn youngest<'r>(store: &Store, refs: &[&'r RemoteRef]) -> Result<&'r RemoteRef, Cause> {
    let objects = store.open()?;
    let mut dated = Vec::new();
    for found in refs {
        let (_, oid) = peel(&objects, found.target)?;
        let (commit, _) = read_commit(&objects, oid)?;
        dated.push((commit.committer.seconds, found.name.as_str(), *found));
    }
    dated.sort_by_key(|(seconds, name, _)| (*seconds, *name));
    let (_, _, found) =
        dated.pop().ok_or_else(|| Cause::store("can't choose a tag", &"there is none"))?;
    Ok(found)
}

/// A commit and its tree.
pub(super) fn read_commit(objects: &Objects, oid: Oid) -> Result<(Commit, Oid), Cause> {
    let object = objects.read(oid, ObjectType::Commit)?;
    let (commit, tree, _) = parse_commit(oid, object.data())
        .map_err(|e| Cause::store("can't read a received object", &e))?;
    Ok((commit, tree))
}

/// Refuses names that no ref can have, which keeps line breaks out of requests.
pub(super) fn check_name(name: &str) -> Result<(), GitError> {
    match invalid_name(name) {
        None => Ok(()),
        Some(reason) => Err(GitError::InvalidRef { name: name.escape_debug().to_string(), reason }),
    }
}

/// Why no ref can have this name.
pub(super) fn invalid_name(name: &str) -> Option<&'static str> {
    if name.starts_with('/') || name.ends_with('/') {
        Some("Git refs cannot begin or end with a slash '/'")
    } else if name.chars().any(|c| c.is_control() || " ~:?*[\\".contains(c)) || name.contains("..")
    {
        Some("Git refs hold no space, control character, '..' or any of ~:?*[\\")
    } else if name.len() > 4096 {
        Some("it is too long")
    } else {
        None
    }
}

fn hint(refs: &[RemoteRef], kind: &str) -> String {
    let names: Vec<&str> = refs.iter().filter_map(|r| r.name.strip_prefix(kind)).collect();
    let what = match kind {
        "refs/tags/" => "tags",
        _ => "branches",
    };
    match names.len() {
        0 => format!("; the remote has no {what}"),
        n if n <= HINTS => format!("; the remote has the {what} {}", names.join(", ")),
        n => format!("; the remote has {n} {what}, among them {}", names[..HINTS].join(", ")),
    }
}
