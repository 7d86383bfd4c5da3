//! A commit in a few words: every marked file gets `two` in place of `one`.

#![expect(clippy::panic, reason = "a test ends where nothing else is left to do")]

use std::path::Path;
use std::time::Duration;

use borax_source::git::{
    Change, Draft, FetchRequest, Marker, Person, Proposal, ProposeError, Proposed, PushRules,
    Pushed, Refspec, Workspace,
};
use borax_source::sign::Signer;
use borax_testkit::git::Repository;
use tokio_util::sync::CancellationToken;

/// Flux's defaults.
pub(super) const RULES: PushRules =
    PushRules { all_branch_references: true, force_push_branch: true, shallow_clone: true };

/// Pushes to the branch that is checked out.
pub(super) fn proposal(checkout: FetchRequest) -> Proposal {
    Proposal {
        checkout,
        branch: "main".to_string(),
        refspecs: Vec::new(),
        options: Vec::new(),
        path: String::new(),
        rules: RULES,
    }
}

pub(super) fn refspec(text: &str) -> Refspec {
    Refspec::parse(text).expect("a refspec")
}

/// Replaces `from` by `to` in files that end in `.yaml` and hold a `$`.
pub(super) struct Replace<'a> {
    pub(super) from: &'static str,
    pub(super) to: String,
    /// When the commit is made.
    pub(super) seconds: i64,
    /// The paths it was shown, in the last attempt.
    pub(super) seen: Vec<String>,
    /// What happens elsewhere while files are changed, once for each attempt.
    pub(super) meanwhile: Vec<Box<dyn FnOnce() + 'a>>,
}

impl Replace<'_> {
    pub(super) fn new(from: &'static str, to: &str) -> Self {
        let seconds = 1_795_393_000;
        Self { from, to: to.to_string(), seconds, seen: Vec::new(), meanwhile: Vec::new() }
    }
}

impl Change for Replace<'_> {
    fn begin(&mut self) {
        self.seen.clear();
        if let Some(meanwhile) = self.meanwhile.pop() {
            meanwhile();
        }
    }

    fn file(&mut self, path: &str, content: &[u8]) -> Option<Vec<u8>> {
        self.seen.push(path.to_string());
        let text = std::str::from_utf8(content).expect("text");
        Some(text.replace(self.from, &self.to).into_bytes())
    }

    fn commit(&mut self) -> Result<Draft, String> {
        let author =
            Person { name: "Bot".into(), email: "bot@example.com".into(), seconds: self.seconds };
        Ok(Draft { author, message: format!("Write {}\n\n{}\n", self.to, self.seen.join("\n")) })
    }
}

const MARKER: Marker =
    Marker { named: |name| name.ends_with(b".yaml"), marked: |content| content.contains(&b'$') };

/// A workspace in a folder of its own.
pub(super) struct Desk {
    pub(super) workspace: Workspace,
    pub(super) cache: tempfile::TempDir,
}

impl Desk {
    pub(super) fn new() -> Self {
        let cache = tempfile::TempDir::new().expect("a temporary folder");
        Self { workspace: Workspace::new(cache.path()), cache }
    }

    pub(super) fn propose(
        &mut self,
        proposal: &Proposal,
        change: &mut Replace<'_>,
    ) -> Result<Proposed, ProposeError> {
        self.propose_signed(proposal, None, change)
    }

    pub(super) fn propose_signed(
        &mut self,
        proposal: &Proposal,
        signer: Option<&Signer>,
        change: &mut Replace<'_>,
    ) -> Result<Proposed, ProposeError> {
        let cancel = CancellationToken::new();
        self.workspace.propose(proposal, MARKER, signer, change, &cancel)
    }

    /// Proposes what must be pushed.
    pub(super) fn pushed(&mut self, proposal: &Proposal, change: &mut Replace<'_>) -> Pushed {
        match self.propose(proposal, change).expect("it can be pushed") {
            Proposed::Pushed(pushed) => pushed,
            other => panic!("expected a push: {other:?}"),
        }
    }

    /// The text of a proposal that must fail.
    pub(super) fn failure(&mut self, proposal: &Proposal, change: &mut Replace<'_>) -> String {
        self.propose(proposal, change).expect_err("it must fail").to_string()
    }
}

/// Asks the real `git` whether everything in the repository is sound.
pub(super) fn assert_sound(repository: &Repository) {
    assert_eq!(repository.git(&["fsck", "--strict", "--full", "--no-dangling"]), "");
}

/// The files that differ between two revisions, as the real `git` sees them: mode, mode, status, path.
pub(super) fn differences(repository: &Repository, from: &str, to: &str) -> Vec<String> {
    let text = repository.git(&["diff", "--raw", "--no-abbrev", "--no-renames", from, to]);
    let short = |line: &str| {
        let parts: Vec<&str> = line.trim_start_matches(':').split_whitespace().collect();
        format!("{} {} {} {}", parts[0], parts[1], parts[4], parts[5])
    };
    text.lines().map(short).collect()
}

/// A request with a shorter time limit.
pub(super) fn within(seconds: u64, mut request: FetchRequest) -> FetchRequest {
    request.timeout = Duration::from_secs(seconds);
    request
}

/// What is left in a folder.
pub(super) fn count(dir: &Path) -> usize {
    std::fs::read_dir(dir).expect("readable").count()
}
