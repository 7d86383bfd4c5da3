//! The original tools (kustomize, helm, kube-apiserver, ...), built from the Go module proxy.
//!
//! Owns where a tool set is pinned (`tests/oracles/<set>/go.mod`), where its programs are cached
//! and how they are built. Refuses to know what the tools do. A set's folder holds:
//! - `go.mod` and `go.sum`; the programs are its `tool` lines, and `<set>-oracle` where there is a `main.go`
//! - optionally `ldflags`, a linker flag a line, to stamp versions
//! - optionally `additions`: files that a released module lacks
//! - optionally `on-demand`: why tests do without it
//! - optionally `record`: how `cargo xtask oracles record` and `check` use it
//!
//! The cache key is the content of those files, so a changed pin never meets a stale program, and
//! neither another work tree's.

mod additions;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

/// Names the cache folder; `$XDG_CACHE_HOME/borax`, then `~/.cache/borax` without it.
pub const CACHE: &str = "BORAX_CACHE";

/// Flags of every build. Part of the cache key. Debug information is left out: it is a tenth of the
/// compile time and half the disk.
const BUILD: &[&str] =
    &["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false"];

/// Why a tool set could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OracleError {
    /// No such folder under `tests/oracles`.
    #[error("no tool set named {set:?} under tests/oracles (there are: {known})")]
    UnknownSet {
        /// The name asked for.
        set: String,
        /// Those that exist, comma separated.
        known: String,
    },
    /// A file of the set or of the cache.
    #[error("{action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There is no `go` program on `PATH`.
    #[error(
        "the {set} tools are not built and there is no Go toolchain on PATH to build them with"
    )]
    NoGo {
        /// The set that was wanted.
        set: String,
    },
    /// `go build` said no.
    #[error("go build of {package} in tests/oracles/{set} failed:\n{output}")]
    Build {
        /// The set.
        set: String,
        /// The package path.
        package: String,
        /// The tail of what Go printed.
        output: String,
    },
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OracleError {
    let path = path.to_path_buf();
    move |source| OracleError::Io { action, path, source }
}

/// The cache folder of the project for this user.
pub fn cache_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os(CACHE).filter(|v| !v.is_empty()) {
        return dir.into();
    }
    if let Some(dir) = std::env::var_os("XDG_CACHE_HOME").filter(|v| !v.is_empty()) {
        return Path::new(&dir).join("borax");
    }
    let home = std::env::var_os("HOME").filter(|v| !v.is_empty());
    home.map_or_else(std::env::temp_dir, PathBuf::from).join(".cache/borax")
}

/// The root of the project's tree, as it was when this crate was compiled.
pub fn project_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// One program of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// File name of the program.
    pub name: String,
    /// Go package path, `.` for the set's own `main.go`.
    pub package: String,
}

/// A pinned set of programs: one Go module.
#[derive(Debug, Clone)]
pub struct Set {
    /// Folder name under `tests/oracles`.
    pub name: String,
    folder: PathBuf,
    key: String,
    ldflags: String,
    /// The programs, in the order of `go.mod`.
    pub tools: Vec<Tool>,
}

/// Every set of the project, by name.
///
/// # Errors
/// When a set's files cannot be read.
pub fn sets() -> Result<Vec<Set>, OracleError> {
    let root = project_root().join("tests/oracles");
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(&root) else { return Ok(found) };
    for entry in entries {
        let folder = entry.map_err(io("list", &root))?.path();
        if folder.join("go.mod").is_file() {
            found.push(Set::read(folder)?);
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The set named `name`.
///
/// # Errors
/// When there is none or its files cannot be read.
pub fn set(name: &str) -> Result<Set, OracleError> {
    let all = sets()?;
    let known = all.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
    let unknown = OracleError::UnknownSet { set: name.to_owned(), known };
    all.into_iter().find(|s| s.name == name).ok_or(unknown)
}

/// The program `tool`, when the set that has it is built; otherwise says that the running test is
/// skipped.
pub fn require(tool: &str) -> Option<PathBuf> {
    let found = sets().ok().into_iter().flatten().find_map(|s| s.program(tool));
    if found.is_none() {
        crate::skip::skipped(&format!("{tool} is not built (`cargo xtask oracles build`)"));
    }
    found
}

impl Set {
    fn read(folder: PathBuf) -> Result<Self, OracleError> {
        let text = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(io("read", &path))
        };
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let go_mod = text("go.mod")?;
        let ldflags = match folder.join("ldflags").is_file() {
            true => text("ldflags")?,
            false => String::new(),
        };
        let mut tools = tool_lines(&go_mod);
        if folder.join("main.go").is_file() {
            tools.push(Tool { name: format!("{name}-oracle"), package: ".".to_owned() });
        }
        let mut digest = Sha256::new();
        for flag in BUILD {
            digest.update(flag.as_bytes());
        }
        for file in inputs(&folder)? {
            digest
                .update(file.strip_prefix(&folder).unwrap_or(&file).as_os_str().as_encoded_bytes());
            let bytes = fs::read(&file).map_err(io("read", &file))?;
            digest.update(bytes.len().to_le_bytes());
            digest.update(&bytes);
        }
        let key = hex::encode(&digest.finalize()[..6]);
        let ldflags = ldflags.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        Ok(Self { name, folder, key, ldflags, tools })
    }

    /// The folder the set is pinned in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Why the set is built only when someone asks for it: the text of its file `on-demand`.
    pub fn on_demand(&self) -> Option<String> {
        fs::read_to_string(self.folder.join("on-demand")).ok()
    }

    /// Where the programs are, or will be.
    pub fn bin_dir(&self) -> PathBuf {
        cache_dir().join("go").join(format!("{}-{}", self.name, self.key))
    }

    /// The program `tool`, when it is built.
    pub fn program(&self, tool: &str) -> Option<PathBuf> {
        let path = self.bin_dir().join(tool);
        (self.tools.iter().any(|t| t.name == tool) && path.is_file()).then_some(path)
    }

    /// The tools that are not built.
    pub fn missing(&self) -> Vec<&Tool> {
        self.tools.iter().filter(|t| self.program(&t.name).is_none()).collect()
    }

    /// Builds what is missing of `only` (all tools when empty), saying so by `progress`. Several
    /// processes may ask at once: one builds, the others wait.
    ///
    /// # Errors
    /// When there is no Go toolchain, or it refuses.
    pub fn build(&self, only: &[&str], progress: impl Fn(&str)) -> Result<(), OracleError> {
        let wanted = |t: &Tool| only.is_empty() || only.contains(&t.name.as_str());
        if !self.missing().into_iter().any(wanted) {
            return Ok(());
        }
        let bin = self.bin_dir();
        fs::create_dir_all(&bin).map_err(io("create", &bin))?;
        let lock_path = bin.join(".lock");
        let lock = File::create(&lock_path).map_err(io("create", &lock_path))?;
        lock.lock().map_err(io("lock", &lock_path))?;
        for tool in self.missing().into_iter().filter(|t| wanted(t)) {
            progress(&format!("building {} ({})", tool.name, tool.package));
            self.build_one(tool, &bin)?;
        }
        Ok(())
    }

    fn build_one(&self, tool: &Tool, bin: &Path) -> Result<(), OracleError> {
        let partial = bin.join(format!(".{}.partial", tool.name));
        let mut go = Command::new("go");
        // A vendored or relaxed setup of the caller's must not decide what an oracle is.
        go.env("CGO_ENABLED", "0").env("GOFLAGS", "").env("GOWORK", "off");
        go.current_dir(&self.folder).args(BUILD);
        go.arg(format!("-ldflags=-s -w {}", self.ldflags));
        let work = bin.join(".build");
        let _ = fs::remove_dir_all(&work);
        if let Some(modfile) = additions::modfile(&self.name, &self.folder, &work)? {
            go.arg(format!("-modfile={}", modfile.display()));
        }
        go.arg("-o").arg(&partial).arg(&tool.package).stdin(Stdio::null());
        let output = match go.output() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(OracleError::NoGo { set: self.name.clone() });
            }
            other => other.map_err(io("run go in", &self.folder))?,
        };
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = said.lines().collect();
            return Err(OracleError::Build {
                set: self.name.clone(),
                package: tool.package.clone(),
                output: lines[lines.len().saturating_sub(20)..].join("\n"),
            });
        }
        let _ = fs::remove_dir_all(&work);
        let done = bin.join(&tool.name);
        fs::rename(&partial, &done).map_err(io("move into place", &done))
    }
}

/// The files that decide what a set's programs are, in a stable order.
fn inputs(folder: &Path) -> Result<Vec<PathBuf>, OracleError> {
    let mut files = additions::files(folder)?;
    let mut open = vec![folder.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).map_err(io("list", &dir))? {
            let path = entry.map_err(io("list", &dir))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Case data may lie beside the programs and decides nothing about them.
            let decides = name.ends_with(".go")
                || matches!(name.as_str(), "go.mod" | "go.sum" | "ldflags" | "additions");
            if path.is_dir() {
                open.push(path);
            } else if decides {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The `tool` directives of a `go.mod`.
fn tool_lines(go_mod: &str) -> Vec<Tool> {
    let mut tools = Vec::new();
    let mut inside = false;
    for line in go_mod.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        match line.strip_prefix("tool ").map(str::trim) {
            Some("(") => inside = true,
            Some(package) => tools.push(package),
            None if inside && line == ")" => inside = false,
            None if inside && !line.is_empty() => tools.push(line),
            None => {}
        }
    }
    let named = |package: &str| Tool { name: program_name(package), package: package.to_owned() };
    tools.into_iter().map(named).collect()
}

/// What `go install` would call the program, except that the etcd server is called `etcd`.
fn program_name(package: &str) -> String {
    let mut parts = package.rsplit('/');
    let last = parts.next().unwrap_or(package);
    let version = last
        .strip_prefix('v')
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let base = if version { parts.next().unwrap_or(last) } else { last };
    match package {
        "go.etcd.io/etcd/server/v3" => "etcd".to_owned(),
        _ => base.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_lines_are_read_single_and_grouped() {
        let text = "module x\ntool a.b/c/cmd/one // note\ntool (\n\tgo.etcd.io/etcd/server/v3\n\tx.y/kustomize/v5\n)\nrequire (\n\tq v1\n)\n";
        let names: Vec<_> = tool_lines(text).into_iter().map(|t| t.name).collect();
        assert_eq!(names, ["one", "etcd", "kustomize"]);
    }

    #[test]
    fn every_set_of_the_project_names_its_programs() {
        for set in sets().unwrap() {
            assert!(!set.tools.is_empty(), "{} has neither tool lines nor a main.go", set.name);
            let go_mod = fs::read_to_string(set.folder().join("go.mod")).unwrap();
            let sums = set.folder().join("go.sum").is_file();
            assert!(sums || !go_mod.contains("require"), "{} has no go.sum", set.name);
        }
    }
}
