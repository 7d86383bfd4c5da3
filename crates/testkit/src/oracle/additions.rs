//! Files that a released module lacks and its program cannot be compiled without.
//!
//! Owns the `additions` file of a tool set: each line names a module, a path inside it and a file of the
//! set to put there. Go refuses overlays on its module cache, so the module is copied and a second
//! `go.mod` (outside the tree) replaces it by the copy. Refuses to change a file the module has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{OracleError, io};

/// One line of an `additions` file.
#[derive(Debug, PartialEq, Eq)]
struct Addition<'a> {
    module: &'a str,
    target: &'a str,
    file: &'a str,
}

fn parse(text: &str) -> Vec<Addition<'_>> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            Some(Addition { module: words.next()?, target: words.next()?, file: words.next()? })
        })
        .collect()
}

/// The files of the set that its `additions` name.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, OracleError> {
    let listed = folder.join("additions");
    if !listed.is_file() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&listed).map_err(io("read", &listed))?;
    Ok(parse(&text).iter().map(|a| folder.join(a.file)).collect())
}

/// Prepares the copies in `work` and returns the `go.mod` to build with; `None` when the set adds
/// nothing.
pub(super) fn modfile(
    set: &str,
    folder: &Path,
    work: &Path,
) -> Result<Option<PathBuf>, OracleError> {
    let listed = folder.join("additions");
    if !listed.is_file() {
        return Ok(None);
    }
    let read = |path: &Path| fs::read_to_string(path).map_err(io("read", path));
    let text = read(&listed)?;
    let mut go_mod = read(&folder.join("go.mod"))?;
    for addition in parse(&text) {
        let copy = work.join("src").join(addition.module);
        if !copy.exists() {
            copy_tree(&module_dir(set, folder, addition.module)?, &copy)?;
            go_mod += &format!("\nreplace {} => {}\n", addition.module, copy.display());
        }
        let target = copy.join(addition.target);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(io("create", parent))?;
        }
        let bytes = fs::read(folder.join(addition.file)).map_err(io("read", folder))?;
        let mut file = fs::File::create_new(&target).map_err(io("create", &target))?;
        std::io::Write::write_all(&mut file, &bytes).map_err(io("write", &target))?;
    }
    let path = work.join("build.mod");
    fs::write(&path, go_mod).map_err(io("write", &path))?;
    let sums = work.join("build.sum");
    fs::copy(folder.join("go.sum"), &sums).map_err(io("write", &sums))?;
    Ok(Some(path))
}

/// Where Go keeps the module, after fetching it.
fn module_dir(set: &str, folder: &Path, module: &str) -> Result<PathBuf, OracleError> {
    let output = Command::new("go")
        .args(["mod", "download", "-json", module])
        .env("GOFLAGS", "")
        .env("GOWORK", "off")
        .current_dir(folder)
        .output()
        .map_err(io("run go in", folder))?;
    let answer: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or(serde_json::Value::Null);
    answer["Dir"].as_str().map(PathBuf::from).ok_or_else(|| OracleError::Build {
        set: set.to_owned(),
        package: module.to_owned(),
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Contents only: the module cache is read-only and the copy must not be.
fn copy_tree(from: &Path, to: &Path) -> Result<(), OracleError> {
    fs::create_dir_all(to).map_err(io("create", to))?;
    for entry in fs::read_dir(from).map_err(io("list", from))? {
        let path = entry.map_err(io("list", from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_tree(&path, &target)?;
        } else {
            let bytes = fs::read(&path).map_err(io("read", &path))?;
            fs::write(&target, bytes).map_err(io("write", &target))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_addition_is_module_target_and_file() {
        let all = parse("a.b/c x/y.yaml z.yaml\n\n");
        assert_eq!(all, [Addition { module: "a.b/c", target: "x/y.yaml", file: "z.yaml" }]);
    }
}
