//! What is kept from build to build, so that after a change only what depends on it is done again.
//!
//! ```text
//! directory unchanged (all it read, all below it)  ─► its objects are put back, page by page
//! object unchanged, its references too             ─► its finished value is used again (`finish.rs`)
//! ```
//!
//! Refuses to guess: a directory counts as unchanged when everything that was asked of the files on its
//! behalf gets the same answer again. Builds that fetch, render charts or bring a schema of their own
//! are not remembered. Components are part of the directory that lists them.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use borax_stdx::files::{FileKind, Files};

use crate::accumulate::Accumulator;
use crate::arena::{Arena, Page};
use crate::build::Build;
use crate::diag::Diagnostics;
use crate::finish::Finished;
use crate::objects::Objects;
use crate::options::{Options, Order};
use crate::origin::Origin;
use crate::tree::Tree;

/// Pages of an arena after which a memo begins anew: their numbers are never used twice.
const MAX_PAGES: u32 = 1 << 20;

/// Builds a directory again and again, doing only what a change asks for. The result is always what
/// [`build`](crate::build) gives.
///
/// It holds all of the last build's objects, so it costs about as much memory as a build does.
///
/// ```
/// use borax_kustomize::{Memo, Options, build};
/// use borax_stdx::files::MemoryFiles;
///
/// let mut files = MemoryFiles::new();
/// files.insert("/app/kustomization.yaml", *b"resources: [a, b]");
/// for name in ["a", "b"] {
///     let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n");
///     files.insert(&format!("/app/{name}/kustomization.yaml"), *b"resources: [c.yaml]");
///     files.insert(&format!("/app/{name}/c.yaml"), text.into_bytes());
/// }
/// let mut memo = Memo::default();
/// memo.build(&files, "/app", &Options::default())?;
/// files.insert("/app/a/kustomization.yaml", *b"{resources: [c.yaml], nameSuffix: '-2'}");
/// let again = memo.build(&files, "/app", &Options::default())?;
/// assert_eq!(again, build(&files, "/app", &Options::default())?);
/// # Ok::<(), borax_kustomize::Diagnostics>(())
/// ```
#[derive(Debug, Default)]
pub struct Memo {
    of: Option<Of>,
    directories: HashMap<String, Directory>,
    next_page: u32,
    last_version: u64,
    finished: Option<Finished>,
}

/// What has to be the same for anything to be used again.
#[derive(Debug, PartialEq)]
struct Of {
    path: String,
    order: Order,
    load_anywhere: bool,
    managed_by: Option<String>,
}

/// What a directory came to.
#[derive(Debug)]
struct Directory {
    inherited: Inherited,
    reads: Vec<Read>,
    /// Tells it from what the same directory came to at other times.
    version: u64,
    /// Directories below it, by key and version.
    children: Vec<(String, u64)>,
    pages: Vec<(u32, Page)>,
    result: Accumulator,
    warnings: Vec<String>,
    used_schema: bool,
}

/// What a directory's result depends on besides its files.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Inherited {
    pub(crate) build_metadata: Vec<String>,
    pub(crate) origin: Option<Origin>,
    pub(crate) helm_namespace: String,
}

/// A question to the files and its answer; `None` where the answer was an error.
#[derive(Debug)]
struct Read {
    path: String,
    answer: Answer,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Kind(Option<Option<FileKind>>),
    Content(Option<Arc<[u8]>>),
    Names(Option<Vec<String>>),
    Resolved(Option<String>),
}

impl Read {
    fn is_still_true(&self, files: &dyn Files) -> bool {
        let path = &self.path;
        match &self.answer {
            Answer::Kind(answer) => files.kind(path).ok() == *answer,
            Answer::Content(answer) => match (files.read(path), answer) {
                (Ok(now), Some(then)) => Arc::ptr_eq(&now, then) || now == *then,
                (Err(_), None) => true,
                _ => false,
            },
            Answer::Names(answer) => files.list(path).ok() == *answer,
            Answer::Resolved(answer) => files.resolve(path).ok() == *answer,
        }
    }
}

/// Passes questions on and writes down the answers.
pub(crate) struct Recorder<'a> {
    files: &'a dyn Files,
    log: Mutex<Vec<Read>>,
}

impl Recorder<'_> {
    fn note(&self, path: &str, answer: Answer) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(Read { path: path.to_owned(), answer });
    }

    /// What was asked since the log had this length.
    fn since(&self, start: usize) -> Vec<Read> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let start = start.min(log.len());
        log.split_off(start)
    }

    fn len(&self) -> usize {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Files for Recorder<'_> {
    fn kind(&self, path: &str) -> io::Result<Option<FileKind>> {
        let found = self.files.kind(path);
        self.note(path, Answer::Kind(found.as_ref().ok().copied()));
        found
    }

    fn read(&self, path: &str) -> io::Result<Arc<[u8]>> {
        let found = self.files.read(path);
        self.note(path, Answer::Content(found.as_ref().ok().cloned()));
        found
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let found = self.files.list(path);
        self.note(path, Answer::Names(found.as_ref().ok().cloned()));
        found
    }

    fn resolve(&self, path: &str) -> io::Result<String> {
        let found = self.files.resolve(path);
        self.note(path, Answer::Resolved(found.as_ref().ok().cloned()));
        found
    }
}

/// A directory that is being gathered.
struct Frame {
    key: String,
    log_start: usize,
    first_page: u32,
    children: Vec<(String, u64)>,
    /// Pages of directories below that were put back.
    put_back: Vec<u32>,
    warnings: Vec<String>,
}

impl Frame {
    fn new(key: String, log_start: usize, first_page: u32) -> Frame {
        let (children, put_back, warnings) = Default::default();
        Frame { key, log_start, first_page, children, put_back, warnings }
    }

    /// Notes which version of a directory below went in.
    fn settle(&mut self, key: &str, version: u64) {
        if let Some((_, last)) = self.children.last_mut().filter(|(last, _)| last == key) {
            *last = version;
        }
    }
}

/// The memory of a build under way.
pub(crate) struct Recall<'a> {
    recorder: &'a Recorder<'a>,
    old: HashMap<String, Directory>,
    new: HashMap<String, Directory>,
    still_true: HashMap<String, bool>,
    last_version: u64,
    frames: Vec<Frame>,
    stopped: Cell<bool>,
}

impl Recall<'_> {
    /// Keeps nothing from here on: what happens now can't be told from files.
    pub(crate) fn stop(&self) {
        self.stopped.set(true);
    }

    pub(crate) fn warned(&mut self, text: &str) {
        for frame in &mut self.frames {
            frame.warnings.push(text.to_owned());
        }
    }

    /// Says that all objects are gathered: what comes now goes to pages of its own.
    pub(crate) fn gathered(&self, tree: &mut Tree) {
        tree.cells.begin_page();
    }

    /// The key of a directory at its place in the build: the way that leads there.
    fn key(&mut self, path: &str) -> String {
        let Some(above) = self.frames.last_mut() else { return path.to_owned() };
        let key = format!("{}\n{path}\n{}", above.key, above.children.len());
        above.children.push((key.clone(), 0));
        key
    }

    fn is_still_true(&mut self, key: &str) -> bool {
        if let Some(known) = self.still_true.get(key) {
            return *known;
        }
        let Some(directory) = self.old.get(key) else { return false };
        let files = self.recorder.files;
        let own = directory.reads.iter().all(|read| read.is_still_true(files));
        let children = directory.children.clone();
        let all = own
            && children.iter().all(|(child, version)| {
                self.old.get(child).is_some_and(|found| found.version == *version)
                    && self.is_still_true(child)
            });
        self.still_true.insert(key.to_owned(), all);
        all
    }

    /// Takes a directory and those below it over into the new memory.
    fn take_over(&mut self, key: &str) {
        if let Some(directory) = self.old.remove(key) {
            for (child, _) in &directory.children {
                self.take_over(child);
            }
            self.new.insert(key.to_owned(), directory);
        }
    }
}

/// What a directory comes to: from memory if nothing about it has changed, else as `gather` does it.
pub(crate) fn recall_or<'a>(
    build: &mut Build<'a>,
    path: &str,
    inherited: impl FnOnce() -> Inherited,
    gather: impl FnOnce(&mut Build<'a>) -> Result<Accumulator, Diagnostics>,
) -> Result<Accumulator, Diagnostics> {
    let Some(memo) = &mut build.memo else { return gather(build) };
    let key = memo.key(path);
    let inherited = inherited();
    let fits = !memo.stopped.get()
        && memo.old.get(&key).is_some_and(|found| found.inherited == inherited)
        && memo.is_still_true(&key);
    if fits {
        memo.take_over(&key);
        if let Some(found) = memo.new.get(&key) {
            let (result, warnings) = (found.result.clone(), found.warnings.clone());
            let version = found.version;
            for (page, cells) in &found.pages {
                build.tree.cells.put(*page, cells);
            }
            let pages = found.pages.iter().map(|(page, _)| *page);
            if let Some(above) = memo.frames.last_mut() {
                above.put_back.extend(pages);
                above.settle(&key, version);
            }
            if found.used_schema {
                build.schema.mark_used();
            }
            for warning in warnings {
                build.warn(warning);
            }
            return Ok(result);
        }
    }
    let first_page = build.tree.cells.begin_page();
    memo.frames.push(Frame::new(key, memo.recorder.len(), first_page));
    let used_before = build.schema.take_used();
    let result = gather(build);
    let after = build.tree.cells.begin_page();
    let used_schema = build.schema.take_used();
    if used_before || used_schema {
        build.schema.mark_used();
    }
    let Some(memo) = &mut build.memo else { return result };
    let Some(frame) = memo.frames.pop() else { return result };
    let reads = memo.recorder.since(frame.log_start);
    if let Some(above) = memo.frames.last_mut() {
        above.put_back.extend(&frame.put_back);
    }
    let (Ok(found), false) = (&result, memo.stopped.get()) else { return result };
    let pages = frame.put_back.into_iter().chain(frame.first_page..after);
    let cells = build.tree.cells.pages();
    memo.last_version += 1;
    let version = memo.last_version;
    if let Some(above) = memo.frames.last_mut() {
        above.settle(&frame.key, version);
    }
    let directory = Directory {
        inherited,
        reads,
        version,
        children: frame.children,
        pages: pages.map(|page| (page, Arc::clone(&cells[page as usize]))).collect(),
        result: found.clone(),
        warnings: frame.warnings,
        used_schema,
    };
    memo.new.insert(frame.key, directory);
    result
}

impl Memo {
    /// As [`build`](crate::build), using what the last call came to where that is still so.
    ///
    /// # Errors
    ///
    /// As [`build`](crate::build). What was remembered before is kept for the next call.
    pub fn build(
        &mut self,
        files: &dyn Files,
        path: &str,
        options: &Options<'_>,
    ) -> Result<Objects, Diagnostics> {
        let of = Of {
            path: path.to_owned(),
            order: options.order,
            load_anywhere: options.load_anywhere,
            managed_by: options.managed_by_label.then(|| options.managed_by.clone()),
        };
        if self.of.as_ref() != Some(&of) || self.next_page > MAX_PAGES {
            *self = Memo { of: Some(of), ..Memo::default() };
        }
        let recorder = Recorder { files, log: Mutex::default() };
        let mut build = Build::new(&recorder, options);
        build.tree.cells = Arena::starting_at(self.next_page);
        build.memo = Some(Recall {
            recorder: &recorder,
            old: std::mem::take(&mut self.directories),
            new: HashMap::new(),
            still_true: HashMap::new(),
            last_version: self.last_version,
            frames: vec![Frame::new(String::new(), 0, self.next_page)],
            stopped: Cell::new(false),
        });
        let result = build.run(path, self.finished.take());
        self.next_page = build.tree.cells.begin_page();
        let memo = build.memo.take();
        let stopped = memo.as_ref().is_none_or(|memo| memo.stopped.get());
        if let Some(memo) = memo {
            self.last_version = memo.last_version;
            if result.is_err() {
                // A mistake that is corrected should cost no more than one that never was.
                self.directories = memo.old;
            }
            self.directories.extend(memo.new);
        }
        let mut finished = result?;
        let objects = Objects::new(finished.objects(&build.tree)?, build.warnings);
        if !stopped {
            self.finished = Some(finished);
        }
        Ok(objects)
    }
}
