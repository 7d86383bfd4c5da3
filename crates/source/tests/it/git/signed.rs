//! Signed commits, judged by the real `git` with GnuPG and OpenSSH.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use borax_source::git::Proposed;
use borax_source::sign::{KeyFormat, Signer};
use borax_testkit::git::{HttpOptions, HttpServer, Repositories, Repository};
use borax_testkit::skip::skipped;

use super::proposing::{Desk, Replace, assert_sound, proposal};
use super::support::request;

/// Runs a program; its output, or `None` when it is not there.
fn run(dir: &Path, program: &str, args: &[&str]) -> Option<(bool, String)> {
    let output = Command::new(program)
        .current_dir(dir)
        .env("GNUPGHOME", dir)
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

fn secret(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.as_bytes().to_vec())).collect()
}

/// Pushes a commit signed by `signer`; the repository it is in.
fn push(signer: &Signer) -> (Repositories, Repository) {
    let repositories = Repositories::new();
    let repository = repositories.create("app.git");
    repository.commit("main", &[("a.yaml", "image: one # $\n")]);
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let proposal = proposal(request(&server.url("app.git")));
    let mut change = Replace::new("one", "two");
    // A key signs nothing that is older than itself.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    change.seconds = now.as_secs().try_into().expect("small");
    let proposed = Desk::new().propose_signed(&proposal, Some(signer), &mut change);
    assert!(matches!(proposed, Ok(Proposed::Pushed(_))), "{proposed:?}");
    assert_sound(&repository);
    (repositories, repository)
}

#[test]
fn git_verifies_what_an_openpgp_key_signed() {
    for (kind, passphrase) in [("ed25519", ""), ("rsa2048", "open sesame"), ("nistp256", "")] {
        // GnuPG's agent needs a short path.
        let home = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").expect("a folder");
        let generate = ["--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase];
        let generate =
            [&generate[..], &["--quick-gen-key", "Bot <bot@example.com>", kind, "sign", "never"]]
                .concat();
        match run(home.path(), "gpg", &generate) {
            None => return skipped("gpg is not installed; install GnuPG"),
            Some((done, text)) => assert!(done, "{text}"),
        }
        let export = [
            "--batch",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            passphrase,
            "--armor",
            "--export-secret-keys",
        ];
        let (_, key) = run(home.path(), "gpg", &export).expect("gpg");
        let end = "-----END PGP PRIVATE KEY BLOCK-----\n";
        let (begin, last) = (key.find("-----BEGIN"), key.rfind(end));
        let key = &key[begin.expect("armored")..last.expect("armored") + end.len()];
        let data = match passphrase {
            "" => secret(&[("git.asc", key)]),
            passphrase => secret(&[("git.asc", key), ("passphrase", passphrase)]),
        };
        let signer = Signer::from_secret(KeyFormat::Gpg, "key", &data).expect("a key");
        let (_repositories, repository) = push(&signer);
        let path = repository.path().to_str().expect("UTF-8");
        let (good, text) =
            run(home.path(), "git", &["-C", path, "verify-commit", "-v", "main"]).expect("git");
        assert!(
            good && text.contains("Good signature from \"Bot <bot@example.com>\""),
            "{kind}: {text}"
        );
        let _ = run(home.path(), "gpgconf", &["--kill", "all"]);
        if !passphrase.is_empty() {
            let data = secret(&[("git.asc", key)]);
            let error =
                Signer::from_secret(KeyFormat::Gpg, "key", &data).expect_err("no passphrase");
            assert_eq!(
                error.to_string(),
                "can not use passphrase protected signing key without 'passphrase' field present in secret key"
            );
            let data = secret(&[("git.asc", key), ("passphrase", "wrong")]);
            let error =
                Signer::from_secret(KeyFormat::Gpg, "key", &data).expect_err("a wrong passphrase");
            assert!(error.to_string().starts_with("could not decrypt private key"), "{error}");
        }
    }
}

#[test]
fn git_verifies_what_an_ssh_key_signed() {
    for (kind, bits, passphrase) in
        [("ed25519", "256", ""), ("ecdsa", "384", ""), ("rsa", "2048", "open sesame")]
    {
        let home = tempfile::tempdir().expect("a folder");
        let generate = ["-q", "-t", kind, "-b", bits, "-N", passphrase, "-C", "bot", "-f", "key"];
        match run(home.path(), "ssh-keygen", &generate) {
            None => return skipped("ssh-keygen is not installed; install OpenSSH"),
            Some((done, text)) => assert!(done, "{text}"),
        }
        let read = |name: &str| std::fs::read_to_string(home.path().join(name)).expect("a key");
        let data = match passphrase {
            "" => secret(&[("identity", &read("key"))]),
            passphrase => secret(&[("identity", &read("key")), ("password", passphrase)]),
        };
        let signer = Signer::from_secret(KeyFormat::Ssh, "key", &data).expect("a key");
        let (_repositories, repository) = push(&signer);
        let allowed = format!("bot@example.com {}", read("key.pub"));
        std::fs::write(home.path().join("allowed"), allowed).expect("a file");
        let path = repository.path().to_str().expect("UTF-8");
        let allowed = home.path().join("allowed");
        let setting = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
        let verify =
            ["-C", path, "-c", "gpg.format=ssh", "-c", &setting, "verify-commit", "-v", "main"];
        let (good, text) = run(home.path(), "git", &verify).expect("git");
        assert!(
            good && text.contains("Good \"git\" signature for bot@example.com"),
            "{kind}: {text}"
        );
        if !passphrase.is_empty() {
            let data = secret(&[("identity", &read("key"))]);
            let error =
                Signer::from_secret(KeyFormat::Ssh, "key", &data).expect_err("no passphrase");
            assert_eq!(
                error.to_string(),
                "can not use passphrase protected signing key without 'password' field present in secret key"
            );
        }
    }
}

#[test]
fn a_secret_without_a_key_is_refused_by_name() {
    let error = |format, pairs: &[(&str, &str)]| {
        Signer::from_secret(format, "s", &secret(pairs)).expect_err("no key").to_string()
    };
    assert_eq!(
        error(KeyFormat::Gpg, &[]),
        "signing key secret 's' does not contain a 'git.asc' key"
    );
    assert_eq!(
        error(KeyFormat::Ssh, &[]),
        "signing key secret 's' does not contain an 'identity' key"
    );
    assert_eq!(
        error(KeyFormat::Gpg, &[("git.asc", "s3cret")]),
        "could not read signing key from secret 's': no armored private key found"
    );
    let text = error(KeyFormat::Ssh, &[("identity", "s3cret")]);
    assert!(text.starts_with("could not parse SSH signing key from secret 's': "), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}
