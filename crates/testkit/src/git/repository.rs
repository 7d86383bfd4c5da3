//! Bare repositories in a temporary folder, written through the installed `git`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A folder of bare repositories, gone with this value.
pub struct Repositories {
    root: TempDir,
}

/// One bare repository.
#[derive(Clone, Debug)]
pub struct Repository {
    path: PathBuf,
    name: String,
}

/// A change to one path of a branch's tree.
#[derive(Clone, Debug)]
pub enum Change<'a> {
    /// A file's content.
    File(&'a [u8]),
    /// An executable file's content.
    Executable(&'a [u8]),
    /// A symbolic link's target.
    Link(&'a str),
    /// A submodule's commit.
    Submodule(&'a str),
    /// The path goes.
    Delete,
}

impl Repositories {
    /// An empty folder.
    pub fn new() -> Self {
        let root = TempDir::with_prefix("borax-git-").expect("a temporary folder can be made");
        Self { root }
    }

    /// Where the repositories are.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A new repository without commits; `name` is its path on the servers (`team/app.git`).
    pub fn create(&self, name: &str) -> Repository {
        let path = self.root.path().join(name);
        std::fs::create_dir_all(&path).expect("the repository's folder can be made");
        let repository = Repository { path, name: name.to_string() };
        repository.git(&["init", "-q", "--bare", "-b", "main", "."]);
        repository
    }
}

impl Default for Repositories {
    fn default() -> Self {
        Self::new()
    }
}

impl Repository {
    /// Its path on the servers.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is on disk.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Commits text files to `branch` (made when missing) and returns the commit's hash.
    pub fn commit(&self, branch: &str, files: &[(&str, &str)]) -> String {
        let changes: Vec<_> =
            files.iter().map(|(path, text)| (*path, Change::File(text.as_bytes()))).collect();
        self.commit_changes(&format!("refs/heads/{branch}"), &changes, "A change\n", 1_700_000_000)
    }

    /// Commits `changes` to the ref `reference` (made when missing) at `seconds` since 1970 and returns the commit's hash.
    pub fn commit_changes(
        &self,
        reference: &str,
        changes: &[(&str, Change<'_>)],
        message: &str,
        seconds: i64,
    ) -> String {
        let mut script = Vec::new();
        let text = |script: &mut Vec<u8>, line: String| script.extend_from_slice(line.as_bytes());
        text(&mut script, format!("commit {reference}\n"));
        text(&mut script, format!("author A U Thor <author@example.com> {seconds} +0000\n"));
        text(
            &mut script,
            format!("committer C O Mitter <committer@example.com> {seconds} +0000\n"),
        );
        text(&mut script, format!("data {}\n{message}\n", message.len()));
        if self.try_git(&["rev-parse", "--verify", "-q", reference]).is_ok() {
            text(&mut script, format!("from {reference}^0\n"));
        }
        for (path, change) in changes {
            let (mode, content): (&str, &[u8]) = match change {
                Change::File(content) => ("100644", content),
                Change::Executable(content) => ("100755", content),
                Change::Link(target) => ("120000", target.as_bytes()),
                Change::Submodule(commit) => {
                    text(&mut script, format!("M 160000 {commit} {path}\n"));
                    continue;
                }
                Change::Delete => {
                    text(&mut script, format!("D {path}\n"));
                    continue;
                }
            };
            text(&mut script, format!("M {mode} inline {path}\ndata {}\n", content.len()));
            script.extend_from_slice(content);
            script.push(b'\n');
        }
        text(&mut script, "done\n".to_string());
        self.git_with(&["fast-import", "--quiet", "--done", "--force"], &script);
        self.hash(reference)
    }

    /// What a ref or an expression (`main^{tree}`) stands for.
    pub fn hash(&self, expression: &str) -> String {
        self.git(&["rev-parse", "--verify", expression])
    }

    /// Points `reference` (its full name) to `hash`.
    pub fn set_ref(&self, reference: &str, hash: &str) {
        self.git(&["update-ref", reference, hash]);
    }

    /// Removes `reference`.
    pub fn delete_ref(&self, reference: &str) {
        self.git(&["update-ref", "-d", reference]);
    }

    /// A lightweight tag.
    pub fn tag(&self, name: &str, hash: &str) {
        self.set_ref(&format!("refs/tags/{name}"), hash);
    }

    /// An annotated tag, and its object's hash.
    pub fn annotated_tag(&self, name: &str, hash: &str, message: &str) -> String {
        let object = format!(
            "object {hash}\ntype commit\ntag {name}\ntagger T Agger <tagger@example.com> 1700000000 +0000\n\n{message}\n"
        );
        let tag = self.object("tag", object.as_bytes());
        self.tag(name, &tag);
        tag
    }

    /// Writes an object of `kind` from its bytes: for signed commits and tags.
    pub fn object(&self, kind: &str, bytes: &[u8]) -> String {
        self.git_with(&["hash-object", "-t", kind, "-w", "--stdin", "--literally"], bytes)
    }

    /// An object's bytes.
    pub fn read_object(&self, kind: &str, expression: &str) -> Vec<u8> {
        let output =
            command(&self.path).args(["cat-file", kind, expression]).output().expect("git runs");
        assert!(output.status.success(), "no {kind} {expression}");
        output.stdout
    }

    /// Sets a configuration value of this repository (`uploadpack.allowFilter`).
    pub fn configure(&self, key: &str, value: &str) {
        self.git(&["config", key, value]);
    }

    /// Runs `git` in the repository and returns what it prints, trimmed.
    ///
    /// # Panics
    /// When it fails.
    pub fn git(&self, args: &[&str]) -> String {
        self.git_with(args, b"")
    }

    fn git_with(&self, args: &[&str], input: &[u8]) -> String {
        let done = run(&self.path, args, input);
        assert!(done.is_ok(), "git {args:?}: {done:?}");
        done.unwrap_or_default()
    }

    fn try_git(&self, args: &[&str]) -> Result<String, String> {
        run(&self.path, args, b"")
    }
}

fn run(dir: &Path, args: &[&str], input: &[u8]) -> Result<String, String> {
    let mut child = command(dir)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("git is installed");
    let mut stdin = child.stdin.take().expect("it was asked for");
    // A command that does not read its input closes it: no error of ours.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().expect("git can be waited for");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_string()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_string()),
    }
}

/// `git` in `dir`, untouched by the machine's and the user's configuration.
pub(super) fn command(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(dir);
    for (key, value) in QUIET_ENVIRONMENT {
        command.env(key, value);
    }
    for key in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PROTOCOL"] {
        command.env_remove(key);
    }
    command
}

pub(super) const QUIET_ENVIRONMENT: [(&str, &str); 8] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("HOME", "/nonexistent"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_AUTHOR_NAME", "A U Thor"),
    ("GIT_AUTHOR_EMAIL", "author@example.com"),
    ("GIT_COMMITTER_NAME", "C O Mitter"),
    ("GIT_COMMITTER_EMAIL", "committer@example.com"),
];
