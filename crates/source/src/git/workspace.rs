//! A clone that commits are made in and pushed from, kept between one commit and the next.
//!
//! ```text
//! list refs ─► moved? ─► fetch what is new ─► change files ─► commit ─► push, if the branch still is where it was
//!     ▲                                                                      │ it moved: the change is made anew
//!     └──────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Nothing is written to a work tree and no local ref is kept: the remote's refs are the only truth, a push names what it
//! builds on, and the server takes it whole or not at all. So whoever is killed at any point leaves nothing half done, and
//! whoever starts again finds what was pushed and has nothing left to change.
//!
//! Source: image-automation-controller `internal/source/source.go`, fluxcd/pkg `git/gogit/client.go`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use git2::{ObjectType, Oid};
use tokio_util::sync::CancellationToken;

use super::cause::Cause;
use super::edit::{Draft, Marked, Marker, Unmarked, commit, rewrite};
use super::error::{GitError, ProposeError};
use super::fetch::{Fetch, FetchRequest, Fetched, check_name, receive};
use super::object::parse_commit;
use super::pack::NewObjects;
use super::refs::Target;
use super::refspec::Refspec;
use super::send::{Command, Receiver};
use super::session::Session;
use super::store::{Objects, Store};
use super::wire::{Have, Remote, Wants};
use crate::sign::Signer;

/// Packs that a clone may consist of before it is made anew.
const MAX_PACKS: usize = 50;

/// What to commit to, and where to push it.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// What to check out, and how to log in. With `last_revision` nothing is done while the remote still is at it.
    pub checkout: FetchRequest,
    /// The branch to push to.
    pub branch: String,
    /// What to push besides.
    pub refspecs: Vec<Refspec>,
    /// Push options, `key=value`.
    pub options: Vec<String>,
    /// The directory or file to look in; empty for all.
    pub path: String,
    /// The feature gates.
    pub rules: PushRules,
}

/// The feature gates of pushing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushRules {
    /// `GitAllBranchReferences`: what is on the push branch already is built on. Without, the push branch is overwritten.
    pub all_branch_references: bool,
    /// `GitForcePushBranch`: a push branch that is overwritten may lose commits.
    pub force_push_branch: bool,
    /// `GitShallowClone`: history is not fetched.
    pub shallow_clone: bool,
}

/// What is to be changed. Called again from the beginning when the branch moved meanwhile.
pub trait Change {
    /// A new attempt begins: nothing has been changed.
    fn begin(&mut self);

    /// The new content of a marked file; `None` leaves it. `path` is from where the search began.
    fn file(&mut self, path: &str, content: &[u8]) -> Option<Vec<u8>>;

    /// The commit for what has been changed.
    ///
    /// # Errors
    /// Why there is none; nothing is pushed then.
    fn commit(&mut self) -> Result<Draft, String>;
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// The remote still is at the last revision, and was not looked into.
    Unmoved,
    /// There is nothing to change.
    Nothing {
        /// What was checked out.
        revision: String,
    },
    /// A commit was pushed.
    Pushed(Pushed),
}

/// A commit that was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// What was checked out; the commit itself where that is the branch pushed to.
    pub revision: String,
    /// The commit's hash.
    pub commit: String,
    /// Its message.
    pub message: String,
    /// Attempts that it took.
    pub attempts: u32,
}

/// One remote as one login sees it.
#[derive(Debug)]
pub struct Workspace {
    cache_dir: PathBuf,
    clone: Option<Clone>,
    unmarked: Unmarked,
}

/// The objects at hand.
#[derive(Debug)]
struct Clone {
    store: Store,
    packs: usize,
    /// A commit that is here with all its files.
    tip: Have,
}

/// What the remote has.
struct Heads {
    /// The commit that is checked out.
    checkout: Oid,
    /// The ref's own object: the commit, or the tag that leads to it. Old servers give nothing else.
    asked: Oid,
    revision: String,
    /// The commit of the push branch; `None` when there is no such branch yet.
    push: Option<Oid>,
    /// Whether what is checked out is the push branch.
    same: bool,
}

enum Attempt {
    Done(Proposed),
    /// Somebody else was faster.
    Moved(String),
}

impl Workspace {
    /// An empty one, whose clone will be below `cache_dir`.
    pub fn new(cache_dir: &Path) -> Self {
        Self { cache_dir: cache_dir.to_path_buf(), clone: None, unmarked: Unmarked::default() }
    }

    /// Makes `change` in the files that `marker` finds, commits, and pushes. Blocks; call it where blocking is allowed.
    ///
    /// A workspace serves one remote and one marker; both must be the same at each call.
    ///
    /// # Errors
    /// Nothing has been pushed.
    pub fn propose(
        &mut self,
        proposal: &Proposal,
        marker: Marker,
        signer: Option<&Signer>,
        change: &mut dyn Change,
        cancel: &CancellationToken,
    ) -> Result<Proposed, ProposeError> {
        let started = Instant::now();
        let mut own = None;
        for attempts in 1.. {
            let request = &proposal.checkout;
            let session = Session::start(request.timeout, cancel).map_err(|error| {
                let url = request.url.to_string();
                ProposeError::Checkout(GitError::Start { url, reason: error.to_string() })
            })?;
            let cache_dir = self.cache_dir.clone();
            let fetch = Fetch { request, session: Rc::new(session), cache_dir: &cache_dir };
            let mut turn = Turn { workspace: self, fetch: &fetch, proposal, marker, signer };
            match turn.attempt(change, &mut own)? {
                Attempt::Done(Proposed::Pushed(pushed)) => {
                    return Ok(Proposed::Pushed(Pushed { attempts, ..pushed }));
                }
                Attempt::Done(done) => return Ok(done),
                Attempt::Moved(words) if started.elapsed() > request.timeout => {
                    return Err(ProposeError::push(Cause::Remote(words)));
                }
                Attempt::Moved(_) => {}
            }
        }
        Err(ProposeError::push(Cause::Remote("the branch never stood still".to_string())))
    }
}

/// One call of [`Workspace::propose`].
struct Turn<'t> {
    workspace: &'t mut Workspace,
    fetch: &'t Fetch<'t>,
    proposal: &'t Proposal,
    marker: Marker,
    signer: Option<&'t Signer>,
}

impl Turn<'_> {
    fn push_ref(&self) -> String {
        format!("refs/heads/{}", self.proposal.branch)
    }

    /// Checks out, changes, pushes. `own` is the commit of an earlier attempt whose push was not answered.
    fn attempt(
        &mut self,
        change: &mut dyn Change,
        own: &mut Option<Pushed>,
    ) -> Result<Attempt, ProposeError> {
        let Some((heads, mut remote)) = self.heads()? else {
            return Ok(Attempt::Done(Proposed::Unmoved));
        };
        if let Some(pushed) =
            own.take_if(|own| heads.push.is_some_and(|oid| oid.to_string() == own.commit))
        {
            return Ok(Attempt::Done(Proposed::Pushed(pushed)));
        }
        let build_on_push = heads.same || self.proposal.rules.all_branch_references;
        let base = heads.push.filter(|_| build_on_push).unwrap_or(heads.checkout);
        let asked = if base == heads.checkout { heads.asked } else { base };
        self.bring(&mut remote, asked, base).map_err(ProposeError::Checkout)?;
        change.begin();
        let objects = self.open().map_err(ProposeError::Apply)?;
        let (tree, _) = read_parents(&objects, base).map_err(ProposeError::Apply)?;
        let (mut new, edits) = self.change(&objects, tree, change).map_err(ProposeError::Apply)?;
        if edits.is_empty() {
            return Ok(Attempt::Done(Proposed::Nothing { revision: heads.revision }));
        }
        let new_tree = rewrite(&objects, &mut new, tree, &edits).map_err(ProposeError::Apply)?;
        if !build_on_push && self.is_on_push_branch(&mut remote, &heads, new_tree)? {
            return Ok(Attempt::Done(Proposed::Nothing { revision: heads.revision }));
        }
        let draft = change.commit().map_err(ProposeError::Commit)?;
        let signature = match self.signer {
            None => None,
            Some(signer) => {
                let signed =
                    signer.sign(&commit(new_tree, base, &draft, None), draft.author.seconds);
                Some(signed.map_err(|error| ProposeError::Commit(error.to_string()))?)
            }
        };
        let bytes = commit(new_tree, base, &draft, signature.as_deref());
        let oid = new.add(ObjectType::Commit, bytes).map_err(ProposeError::push)?;
        let revision = match heads.same {
            true => self.fetch.request.reference.revision(&self.push_ref(), oid),
            false => heads.revision.clone(),
        };
        let pushed =
            Pushed { revision, commit: oid.to_string(), message: draft.message, attempts: 0 };
        let attempt = self.push(&heads, base, oid, &new);
        if let Err(ProposeError::Push { unanswered: true, .. }) = &attempt {
            // It may have arrived. Only the remote knows, so it is asked once more.
            if self.is_at(oid) {
                self.keep(oid, &new);
                return Ok(Attempt::Done(Proposed::Pushed(pushed)));
            }
        }
        match attempt? {
            None => {
                self.keep(oid, &new);
                Ok(Attempt::Done(Proposed::Pushed(pushed)))
            }
            Some(moved) => {
                *own = Some(pushed);
                Ok(Attempt::Moved(moved))
            }
        }
    }

    /// Looks at the remote; `None` when it still is at the last revision.
    fn heads(&mut self) -> Result<Option<(Heads, Remote)>, ProposeError> {
        let push_ref = self.push_ref();
        check_name(&push_ref).map_err(ProposeError::Checkout)?;
        let fetch = self.fetch;
        let reference = &fetch.request.reference;
        let (checkout_ref, fixed) = match reference.target() {
            Target::Ref(name) => (Some(name.trim_end_matches("^{}").to_string()), None),
            _ => (None, Some(self.resolve()?)),
        };
        if let Some(name) = &checkout_ref {
            check_name(name).map_err(ProposeError::Checkout)?;
        }
        let prefixes: Vec<String> =
            checkout_ref.iter().cloned().chain([push_ref.clone()]).collect();
        let (remote, refs) = fetch.list(&prefixes).map_err(ProposeError::Checkout)?;
        let find = |name: &str| refs.iter().find(|r| r.name == name);
        let push = find(&push_ref).map(|r| r.target);
        let (checkout, asked, revision) = match (&checkout_ref, fixed) {
            (Some(name), _) => match find(name) {
                Some(found) => {
                    let commit = found.commit();
                    (commit, found.target, reference.revision(name, commit))
                }
                None => return Err(ProposeError::Checkout(fetch.missing(name))),
            },
            (None, Some(Some((oid, revision)))) => (oid, oid, revision),
            (None, _) => return Ok(None),
        };
        let same = checkout_ref.as_deref() == Some(push_ref.as_str());
        if same && self.fetch.is_last(&revision) {
            return Ok(None);
        }
        Ok(Some((Heads { checkout, asked, revision, push, same }, remote)))
    }

    /// What a range or a commit leads to; `None` when that still is the last revision. What it takes to find out is kept.
    fn resolve(&mut self) -> Result<Option<(Oid, String)>, ProposeError> {
        match self.fetch.run().map_err(ProposeError::Checkout)? {
            Fetched::Unchanged { .. } => Ok(None),
            Fetched::Checkout(checkout) => {
                let oid = Oid::from_str(&checkout.commit.hash).map_err(|error| {
                    ProposeError::Checkout(
                        self.fetch.cloning(Cause::store("can't read the commit", &error)),
                    )
                })?;
                let tip = Have { oid, shallow: true };
                self.workspace.clone = Some(Clone { store: checkout.root.store, packs: 1, tip });
                Ok(Some((oid, checkout.revision)))
            }
        }
    }

    /// Fetches a commit that is not here yet, with all its files, by asking for what leads to it.
    fn bring(&mut self, remote: &mut Remote, asked: Oid, oid: Oid) -> Result<(), GitError> {
        let workspace = &mut *self.workspace;
        workspace.clone.take_if(|clone| clone.packs >= MAX_PACKS);
        let (session, limits) = (&self.fetch.session, self.fetch.request.limits);
        let shallow = self.proposal.rules.shallow_clone;
        let cloning = |cause| self.fetch.cloning(cause);
        if let Some(clone) = &workspace.clone
            && clone.store.open().map_err(cloning)?.has(oid)
        {
            return Ok(());
        }
        let wants = Wants {
            oids: vec![asked],
            depth: shallow.then_some(1),
            have: workspace.clone.as_ref().map(|clone| clone.tip),
            ..Wants::default()
        };
        match &mut workspace.clone {
            None => {
                let store = receive(remote, &wants, session, &workspace.cache_dir, limits)
                    .map_err(cloning)?;
                workspace.clone = Some(Clone { store, packs: 1, tip: Have { oid, shallow } });
            }
            Some(clone) => {
                let mut receiver = clone.store.receive(session, limits).map_err(cloning)?;
                remote.fetch(&wants, &mut |bytes| receiver.write(bytes)).map_err(cloning)?;
                receiver.finish().map_err(cloning)?;
                clone.packs += 1;
                clone.tip = Have { oid, shallow };
            }
        }
        Ok(())
    }

    fn open(&self) -> Result<Objects, Cause> {
        match &self.workspace.clone {
            Some(clone) => clone.store.open(),
            None => Err(Cause::store("can't open the clone", &"there is none")),
        }
    }

    /// Hands the marked files to `change`; what becomes of them.
    fn change(
        &mut self,
        objects: &Objects,
        tree: Oid,
        change: &mut dyn Change,
    ) -> Result<(NewObjects, BTreeMap<Vec<u8>, Oid>), Cause> {
        let (mut new, mut edits) = (NewObjects::default(), BTreeMap::new());
        let mut marked = Marked {
            objects,
            session: &self.fetch.session,
            limits: self.fetch.request.limits,
            marker: self.marker,
            unmarked: &mut self.workspace.unmarked,
        };
        marked.walk(tree, &self.proposal.path, &mut |shown, path, content| {
            if let Some(bytes) = change.file(shown, content).filter(|bytes| bytes != content) {
                edits.insert(path.to_vec(), new.add(ObjectType::Blob, bytes)?);
            }
            Ok(())
        })?;
        Ok((new, edits))
    }

    /// Whether a push branch that is overwritten has this very tree on top of what is checked out already.
    fn is_on_push_branch(
        &mut self,
        remote: &mut Remote,
        heads: &Heads,
        tree: Oid,
    ) -> Result<bool, ProposeError> {
        let Some(push) = heads.push else { return Ok(false) };
        let mut again = self.reconnected(remote)?;
        self.bring(again.as_mut().unwrap_or(remote), push, push).map_err(ProposeError::Checkout)?;
        let objects = self.open().map_err(ProposeError::Apply)?;
        let (its, parents) = read_parents(&objects, push).map_err(ProposeError::Apply)?;
        Ok(its == tree && parents == [heads.checkout])
    }

    /// A connection for a second fetch: in version 0 of the protocol the first has ended its own.
    fn reconnected(&self, remote: &Remote) -> Result<Option<Remote>, ProposeError> {
        match remote.is_spent() {
            false => Ok(None),
            true => {
                let (remote, _) =
                    self.fetch.list(&[self.push_ref()]).map_err(ProposeError::Checkout)?;
                Ok(Some(remote))
            }
        }
    }

    /// Pushes; words when somebody else was faster.
    fn push(
        &self,
        heads: &Heads,
        base: Oid,
        oid: Oid,
        new: &NewObjects,
    ) -> Result<Option<String>, ProposeError> {
        let push_ref = self.push_ref();
        let mut local = vec![(push_ref.as_str(), oid)];
        let checkout_ref = match self.fetch.request.reference.target() {
            Target::Ref(name) => name,
            _ => String::new(),
        };
        if checkout_ref != push_ref {
            local.push((&checkout_ref, heads.checkout));
        }
        let mut others = Vec::new();
        for refspec in &self.proposal.refspecs {
            let targets = refspec.targets(&local);
            if targets.is_empty() {
                let words = format!(
                    "refspec '{refspec}' matches nothing: there are {push_ref} and {checkout_ref}"
                );
                return Err(ProposeError::push(Cause::Protocol(words)));
            }
            others.extend(targets.into_iter().map(|(to, oid)| (to, oid, refspec.is_forced())));
        }
        others.retain(|(to, _, _)| *to != push_ref);
        let prefixes: Vec<String> =
            others.iter().map(|(to, ..)| to.clone()).chain([push_ref.clone()]).collect();
        let receiver =
            Receiver::connect(&self.fetch.endpoint(), &prefixes).map_err(ProposeError::push)?;
        if receiver.find(&push_ref) != heads.push {
            return Ok(Some(format!("the branch {} moved", self.proposal.branch)));
        }
        if let Some(old) = heads.push.filter(|old| *old != base) {
            let may = self.proposal.rules.force_push_branch || self.descends(base, old)?;
            if !may {
                return Err(not_forward(&push_ref));
            }
        }
        let mut commands = vec![Command { name: push_ref.clone(), old: heads.push, new: oid }];
        for (name, new, forced) in others {
            let old = receiver.find(&name);
            if old == Some(new) {
                continue;
            }
            if let Some(old) = old.filter(|_| !forced) {
                let from = if new == oid { base } else { new };
                if from != old && !self.descends(from, old)? {
                    return Err(not_forward(&name));
                }
            }
            commands.push(Command { name, old, new });
        }
        let pack = new.pack().map_err(ProposeError::push)?;
        let answer = receiver.push(&commands, &self.proposal.options, &pack);
        match answer.map_err(ProposeError::unanswered)? {
            Ok(()) => Ok(None),
            Err(refused) => match self.head() {
                // The server's words differ from host to host; the ref says for certain why it was not set.
                Ok(now) if now != heads.push => Ok(Some(refused.words)),
                _ => Err(ProposeError::push(Cause::Remote(refused.words))),
            },
        }
    }

    /// Whether `old` is in the history of `from`.
    fn descends(&self, from: Oid, old: Oid) -> Result<bool, ProposeError> {
        let look = || -> Result<bool, Cause> {
            let endpoint = self.fetch.endpoint();
            let mut remote = Remote::connect(&endpoint, &[])?;
            let wants = Wants {
                oids: vec![from],
                commits_only: remote.can_filter() && remote.can_fetch_any(),
                ..Wants::default()
            };
            let (session, limits) = (&self.fetch.session, self.fetch.request.limits);
            let store = receive(&mut remote, &wants, session, &self.workspace.cache_dir, limits)?;
            Ok(store.open()?.has(old))
        };
        look().map_err(ProposeError::push)
    }

    /// What the push branch is now.
    fn head(&self) -> Result<Option<Oid>, GitError> {
        let push_ref = self.push_ref();
        let (_, refs) = self.fetch.list(std::slice::from_ref(&push_ref))?;
        Ok(refs.iter().find(|r| r.name == push_ref).map(|r| r.target))
    }

    fn is_at(&self, oid: Oid) -> bool {
        matches!(self.head(), Ok(Some(now)) if now == oid)
    }

    /// Keeps what was pushed, so that the next one need not fetch it. Failing to costs a fetch only.
    fn keep(&mut self, oid: Oid, new: &NewObjects) {
        let (session, limits) = (&self.fetch.session, self.fetch.request.limits);
        let shallow = self.proposal.rules.shallow_clone;
        let Some(clone) = &mut self.workspace.clone else { return };
        let keep = || -> Result<(), Cause> {
            let mut receiver = clone.store.receive(session, limits)?;
            receiver.write(&new.pack()?)?;
            receiver.finish()
        };
        match keep() {
            Ok(()) => {
                clone.packs += 1;
                clone.tip = Have { oid, shallow };
            }
            Err(_) => self.workspace.clone = None,
        }
    }
}

fn not_forward(name: &str) -> ProposeError {
    ProposeError::push(Cause::Remote(format!("non-fast-forward update: {name}")))
}

/// A commit's tree and parents.
fn read_parents(objects: &Objects, oid: Oid) -> Result<(Oid, Vec<Oid>), Cause> {
    let object = objects.read(oid, ObjectType::Commit)?;
    let (_, tree, parents) = parse_commit(oid, object.data())
        .map_err(|error| Cause::store("can't read a received object", &error))?;
    Ok((tree, parents))
}
