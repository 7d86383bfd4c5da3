//! `cargo xtask image`: an OCI image archive of one static binary, made without a container daemon.
//!
//! Owns what is in the image. The same commit and toolchain make the same bytes.

mod elf;
mod oci;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use borax_testkit::oracle::project_root;
use oci::{Entry, Image};
use serde_json::json;

/// The user the process runs as, as in distroless images.
const USER: u64 = 65532;
const PROGRAM: &str = "usr/local/bin/borax";
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// What image to make.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to write the archive
    #[arg(long, short, default_value = "target/borax.oci.tar")]
    output: PathBuf,
    /// Rust target; the musl one when its library and C compiler are installed, else glibc linked
    /// statically
    #[arg(long)]
    target: Option<String>,
    /// Cargo profile
    #[arg(long, default_value = "release")]
    profile: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let target = args.target.clone().unwrap_or_else(default_target);
    let binary = build(&target, &args.profile)?;
    let bytes = fs::read(&binary).with_context(|| format!("read {}", binary.display()))?;
    let archive = archive(&bytes, &target)?;
    fs::write(&args.output, &archive)
        .with_context(|| format!("write {}", args.output.display()))?;
    let digest = check(&archive)?;
    println!(
        "{} ({} MiB, {target}) {digest}",
        args.output.display(),
        archive.len().div_ceil(1 << 20)
    );
    Ok(())
}

/// An image of the development build: what the test command holds the image to.
pub(crate) fn dev() -> anyhow::Result<()> {
    let output = project_root().join("target/borax-dev.oci.tar");
    run(&Args { output, target: None, profile: "dev".to_owned() })
}

fn default_target() -> String {
    let arch = std::env::consts::ARCH;
    let musl = format!("{arch}-unknown-linux-musl");
    let library = Command::new("rustc").args(["--print=target-libdir", "--target", &musl]).output();
    let library = library.ok().and_then(|o| String::from_utf8(o.stdout).ok()).unwrap_or_default();
    let compiler = Command::new("musl-gcc").arg("--version").output();
    match Path::new(library.trim()).is_dir() && compiler.is_ok() {
        true => musl,
        false => format!("{arch}-unknown-linux-gnu"),
    }
}

/// Builds the static program. `--target` keeps the flags from build scripts and procedural macros,
/// which cannot be static.
fn build(target: &str, profile: &str) -> anyhow::Result<PathBuf> {
    let root = project_root();
    let folder = if profile == "dev" { "debug" } else { profile };
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_"));
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--package=borax", "--bin=borax"])
        .args([format!("--target={target}"), format!("--profile={profile}")])
        .env(flags, "-C target-feature=+crt-static")
        // Nobody debugs the image of a development build, and it is a quarter of the size without.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .current_dir(&root)
        .status()
        .context("run cargo")?;
    ensure!(status.success(), "cargo build of the static binary failed");
    let output =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(output.join(target).join(folder).join("borax"))
}

fn archive(binary: &[u8], target: &str) -> anyhow::Result<Vec<u8>> {
    let architecture = match target.split('-').next() {
        Some("x86_64") => "amd64",
        Some("aarch64") => "arm64",
        _ => bail!("no image architecture is known for {target}"),
    };
    let version = env!("CARGO_PKG_VERSION");
    let (revision, created) = commit()?;
    let certificates = certificates();
    oci::write(&Image {
        entries: vec![
            Entry::Folder("data", 0o755, USER),
            Entry::Folder("etc", 0o755, 0),
            Entry::File("etc/passwd", 0o644, PASSWD.as_bytes()),
            Entry::File("etc/group", 0o644, GROUP.as_bytes()),
            Entry::Folder("etc/ssl", 0o755, 0),
            Entry::Folder("etc/ssl/certs", 0o755, 0),
            Entry::File(CERTIFICATES, 0o644, certificates.as_bytes()),
            Entry::Folder("tmp", 0o1777, 0),
            Entry::Folder("usr", 0o755, 0),
            Entry::Folder("usr/local", 0o755, 0),
            Entry::Folder("usr/local/bin", 0o755, 0),
            Entry::File(PROGRAM, 0o755, binary),
        ],
        architecture,
        created: &created,
        config: json!({
            "User": format!("{USER}:{USER}"),
            "Entrypoint": [format!("/{PROGRAM}")],
            "Env": [
                "PATH=/usr/local/bin",
                format!("SSL_CERT_FILE=/{CERTIFICATES}"),
            ],
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": "borax",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.revision": revision,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        }),
        tag: version,
    })
}

const PASSWD: &str =
    "root:x:0:0:root:/:/sbin/nologin\nborax:x:65532:65532:borax:/data:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nborax:x:65532:\n";

/// Mozilla's roots, at the version `Cargo.lock` pins, so that the image does not depend on the machine it
/// is made on. A mounted file at the same path replaces them.
fn certificates() -> String {
    use base64::Engine as _;
    let mut pem = String::new();
    for root in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        let text = base64::engine::general_purpose::STANDARD.encode(root);
        pem += "-----BEGIN CERTIFICATE-----\n";
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, next) = rest.split_at(rest.len().min(64));
            pem += line;
            pem.push('\n');
            rest = next;
        }
        pem += "-----END CERTIFICATE-----\n";
    }
    pem
}

/// The commit and its time.
fn commit() -> anyhow::Result<(String, String)> {
    let output = Command::new("git")
        .args(["log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%H %cd"])
        .env("TZ", "UTC")
        .current_dir(project_root())
        .output()
        .context("run git")?;
    let text = String::from_utf8(output.stdout)?;
    let (revision, created) = text.trim().split_once(' ').context("git log named no commit")?;
    Ok((revision.to_owned(), created.to_owned()))
}

/// Holds an archive to what it must be, down to running its program; returns the image's digest.
fn check(archive: &[u8]) -> anyhow::Result<String> {
    let checked = oci::check(archive)?;
    let program = checked.files.get(PROGRAM).context("the image has no program")?;
    elf::ensure_static(program).context("the program is not static")?;
    ensure!(
        checked.config["User"] == "65532:65532",
        "the image would run as {}",
        checked.config["User"]
    );

    let folder = std::env::temp_dir().join(format!("borax-image-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let said = say_version(&folder.join("borax"), program);
    fs::remove_dir_all(&folder)?;
    let said = said?;
    ensure!(said.contains(env!("CARGO_PKG_VERSION")), "--version said {said:?}");
    Ok(checked.digest)
}

/// What the program answers to `--version`, with nothing of this machine around it.
fn say_version(path: &Path, program: &[u8]) -> anyhow::Result<String> {
    fs::write(path, program)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    let output = Command::new(path)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .context("run the image's program")?;
    ensure!(output.status.success(), "--version: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_refused() {
        let me = fs::read(std::env::current_exe().unwrap()).unwrap();
        let error = check(&archive(&me, "x86_64-unknown-linux-gnu").unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "the program is not static");
    }

    #[test]
    fn the_roots_are_whole_certificates() {
        let pem = certificates();
        assert!(pem.matches("BEGIN CERTIFICATE").count() > 100);
        assert!(pem.lines().all(|line| line.len() <= 64));
    }
}
