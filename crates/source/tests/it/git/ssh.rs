//! SSH: keys of every kind, known hosts, both protocol versions.

use borax_source::git::SshAlgorithms;
use borax_testkit::git::{
    EcdsaCurve, HttpOptions, HttpServer, KeyKind, Repositories, SshOptions, SshServer,
};

use super::support::{checkout, failure, files, request_as, unchanged};

fn one() -> (Repositories, String) {
    let repositories = Repositories::new();
    let hash = repositories.create("team/app.git").commit("main", &[("a", "one")]);
    (repositories, hash)
}

#[test]
fn a_branch_is_fetched_with_a_key() {
    for old_protocol in [false, true] {
        let (repositories, hash) = one();
        let options = SshOptions { old_protocol, ..SshOptions::default() };
        let server = SshServer::start(repositories.root(), options);
        let key = server.allow(&KeyKind::Ed25519, "");
        let secret = [("identity", key.as_str()), ("known_hosts", &server.known_hosts())];
        let mut request = request_as(&server.url("team/app.git"), &secret);
        let found = checkout(&request);
        assert_eq!(found.revision, format!("main@sha1:{hash}"));
        assert_eq!(files(&found), ["a=one"]);
        request.last_revision = Some(found.revision.clone());
        assert_eq!(unchanged(&request), found.revision);
        assert_eq!(server.take_commands(), ["git-upload-pack '/team/app.git'"; 2]);
    }
}

#[test]
fn every_kind_of_key_works() {
    let (repositories, _) = one();
    for kind in [
        KeyKind::Ed25519,
        KeyKind::Ecdsa { curve: EcdsaCurve::NistP256 },
        KeyKind::Ecdsa { curve: EcdsaCurve::NistP384 },
        KeyKind::Ecdsa { curve: EcdsaCurve::NistP521 },
    ] {
        let options = SshOptions { host_key: kind.clone(), ..SshOptions::default() };
        let server = SshServer::start(repositories.root(), options);
        let key = server.allow(&kind, "");
        let secret = [("identity", key.as_str()), ("known_hosts", &server.known_hosts())];
        checkout(&request_as(&server.url("team/app.git"), &secret));
    }
}

#[test]
fn rsa_keys_work_in_both_formats() {
    let (repositories, _) = one();
    let server = SshServer::start(repositories.root(), SshOptions::default());
    for format in ["PEM", "RFC4716"] {
        let (identity, public) = ssh_keygen(&["-t", "rsa", "-b", "2048", "-m", format, "-N", ""]);
        server.allow_public(&public);
        let secret = [("identity", identity.as_str()), ("known_hosts", &server.known_hosts())];
        checkout(&request_as(&server.url("team/app.git"), &secret));
    }
}

#[test]
fn a_passphrase_opens_the_key() {
    let (repositories, _) = one();
    let server = SshServer::start(repositories.root(), SshOptions::default());
    let key = server.allow(&KeyKind::Ed25519, "s3cret");
    let known_hosts = server.known_hosts();
    let url = server.url("team/app.git");
    let with = |password| {
        let secret =
            [("identity", key.as_str()), ("known_hosts", &known_hosts), ("password", password)];
        request_as(&url, &secret)
    };
    checkout(&with("s3cret"));
    let prefix =
        format!("failed to checkout and determine revision: unable to clone '{url}': ssh: ");
    assert_eq!(
        failure(&with("")),
        format!(
            "{prefix}SSH identity key is encrypted but no 'password' field was provided in the secret"
        )
    );
    assert_eq!(
        failure(&with("wr0ng")),
        format!(
            "{prefix}'identity' can't be read: not a private key in PEM, or 'password' is not its passphrase"
        )
    );
}

#[test]
fn only_known_hosts_are_talked_to() {
    let (repositories, _) = one();
    let server = SshServer::start(repositories.root(), SshOptions::default());
    let other = SshServer::start(repositories.root(), SshOptions::default());
    let key = server.allow(&KeyKind::Ed25519, "");
    let url = server.url("team/app.git");
    let with = |known_hosts: &str| {
        failure(&request_as(&url, &[("identity", &key), ("known_hosts", known_hosts)]))
    };
    let unknown = with(&other.known_hosts());
    assert!(unknown.contains("ssh: handshake failed: knownhosts: key is unknown"), "{unknown}");
    let address = server.address().to_string();
    let swapped = other
        .known_hosts()
        .replace(&other.address().port().to_string(), &server.address().port().to_string());
    let mismatch = with(&swapped);
    assert!(mismatch.contains("ssh: handshake failed: knownhosts: key mismatch"), "{mismatch}");
    assert!(mismatch.contains(&address), "{mismatch}");
    assert!(mismatch.contains("ssh-ed25519 SHA256:"), "{mismatch}");
    let revoked = with(&format!("{}@revoked {}", server.known_hosts(), server.known_hosts()));
    assert!(revoked.contains("knownhosts: key is revoked"), "{revoked}");
    assert!(server.take_commands().is_empty(), "nobody got in");
}

#[test]
fn a_key_the_server_does_not_know_is_said_to_be_so() {
    let (repositories, _) = one();
    let server = SshServer::start(repositories.root(), SshOptions::default());
    let other = SshServer::start(repositories.root(), SshOptions::default());
    let key = other.allow(&KeyKind::Ed25519, "");
    let url = server.url("team/app.git");
    let secret = [("identity", key.as_str()), ("known_hosts", &server.known_hosts())];
    assert_eq!(
        failure(&request_as(&url, &secret)),
        format!(
            "failed to checkout and determine revision: unable to clone '{url}': ssh: handshake failed: ssh: unable to \
             authenticate, attempted methods [none publickey], no supported methods remain; add the key of spec.secretRef \
             to the server"
        )
    );
}

#[test]
fn a_missing_repository_is_said_to_be_missing() {
    let (repositories, _) = one();
    let server = SshServer::start(repositories.root(), SshOptions::default());
    let key = server.allow(&KeyKind::Ed25519, "");
    let url = server.url("team/other.git");
    let secret = [("identity", key.as_str()), ("known_hosts", &server.known_hosts())];
    assert_eq!(
        failure(&request_as(&url, &secret)),
        format!(
            "failed to checkout and determine revision: unable to clone: repository not found: Repository not found.: git \
             repository: '{url}'"
        )
    );
}

#[test]
fn algorithms_can_be_chosen() {
    let (repositories, _) = one();
    let server = SshServer::start(repositories.root(), SshOptions::default());
    let key = server.allow(&KeyKind::Ed25519, "");
    let secret = [("identity", key.as_str()), ("known_hosts", &server.known_hosts())];
    let mut request = request_as(&server.url("team/app.git"), &secret);
    request.ssh = SshAlgorithms {
        kex: vec!["curve25519-sha256".to_string()],
        host_key: vec!["ssh-ed25519".to_string()],
    };
    checkout(&request);
    request.ssh.host_key = vec!["rsa-sha2-512".to_string()];
    let text = failure(&request);
    assert!(text.contains("ssh: handshake failed: "), "{text}");
    request.ssh.kex = vec!["rot13".to_string()];
    let text = failure(&request);
    assert!(text.ends_with("ssh: unknown key exchange algorithm 'rot13'"), "{text}");
}

#[test]
fn ssh_goes_through_a_proxy() {
    // No proxy listens there: the error names it, so the connection went its way.
    let (repositories, _) = one();
    let server = SshServer::start(repositories.root(), SshOptions::default());
    let key = server.allow(&KeyKind::Ed25519, "");
    let web = HttpServer::start(repositories.root(), HttpOptions::default());
    let secret = [("identity", key.as_str()), ("known_hosts", &server.known_hosts())];
    let mut request = request_as(&server.url("team/app.git"), &secret);
    let data = [("address".to_string(), format!("http://{}", web.address()).into_bytes())];
    request.proxy = Some(borax_source::git::Proxy::from_secret(&data.into()).expect("valid"));
    let text = failure(&request);
    assert!(
        text.contains(&format!("proxy http://{}/: it can't connect (status 404)", web.address())),
        "{text}"
    );
}

/// A key pair made by OpenSSH: private and public.
pub(super) fn ssh_keygen(args: &[&str]) -> (String, String) {
    let dir = tempfile::TempDir::new().expect("a temporary folder");
    let path = dir.path().join("key");
    let status = std::process::Command::new("ssh-keygen")
        .args(["-q", "-f"])
        .arg(&path)
        .args(args)
        .status()
        .expect("ssh-keygen is installed");
    assert!(status.success());
    let read = |path| std::fs::read_to_string(path).expect("it was written");
    (read(path.clone()), read(path.with_extension("pub")))
}
