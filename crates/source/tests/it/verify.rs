//! Signatures compared with recordings of Flux's own package (`tests/oracles/source`, command `verify`), over keys and
//! signatures made by GnuPG and OpenSSH.

use borax_source::git::{Commit, Person, Tag};
use borax_source::verify::{Mode, TrustedKeys, verify};
use serde::Deserialize;

/// When the recordings were made.
const NOW: i64 = 1_795_393_000;

#[derive(Deserialize)]
struct Case {
    name: String,
    payload: String,
    signature: String,
    pgp: Vec<String>,
    ssh: Vec<String>,
    key: String,
    error: String,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../data/verify.json")).expect("valid recordings")
}

fn case(name: &str) -> Case {
    cases().into_iter().find(|c| c.name == name).expect(name)
}

impl Case {
    fn commit(&self) -> Commit {
        Commit {
            hash: "abc".to_string(),
            author: Person::default(),
            committer: Person::default(),
            message: String::new(),
            signature: Some(self.signature.clone()),
            payload: self.payload.clone().into_bytes(),
        }
    }

    fn tag(&self) -> Tag {
        Tag {
            hash: Some("def".to_string()),
            name: "v1".to_string(),
            signature: Some(self.signature.clone()),
            payload: self.payload.clone().into_bytes(),
        }
    }

    fn keys(&self) -> TrustedKeys {
        TrustedKeys { pgp: self.pgp.clone(), ssh: self.ssh.clone() }
    }

    fn head(&self, now: i64) -> Result<String, String> {
        verify(Mode::Head, &self.commit(), None, &self.keys(), now).map_err(|e| e.to_string())
    }
}

#[test]
fn signatures_count_where_they_do_for_flux() {
    for case in cases() {
        let ours = case.head(NOW);
        if case.error.is_empty() {
            let want = format!("verified signature of\n\t- commit 'abc' with key '{}'", case.key);
            assert_eq!(ours, Ok(want), "{}", case.name);
        } else {
            let text = ours.expect_err(&case.name);
            let mut theirs = case.error.lines().next().unwrap_or_default();
            // From there on it is the cause, in the words of the library.
            for cause in ["openpgp: ", "unarmor", "unable to parse authorized key: "] {
                theirs = theirs.split(cause).next().unwrap_or_default();
            }
            let want = format!("signature verification of commit 'abc' failed: {theirs}");
            assert!(text.starts_with(&want), "{}: {text}\n{want}", case.name);
        }
    }
}

#[test]
fn time_decides() {
    // Not recorded, as the original always asks the clock: the signature is good for a day.
    let expiring: Case =
        serde_json::from_str(include_str!("../data/verify-expiring.json")).expect("a case");
    assert!(expiring.head(NOW).is_ok());
    let text = expiring.head(NOW + 3 * 24 * 3600).expect_err("expired");
    assert!(text.ends_with("the signature is expired or from the future"), "{text}");
    let expired = case("pgp expired key");
    // An hour and a half after the key was made, and half an hour after it signed.
    assert!(expired.head(1_577_842_200).is_ok());
    let text = expired.head(NOW).expect_err("expired");
    assert!(text.ends_with("it is expired"), "{text}");
}

#[test]
fn modes_say_what_must_be_signed() {
    let pgp = case("pgp ed25519");
    let ssh = case("ssh ed25519");
    let keys = TrustedKeys { pgp: pgp.pgp.clone(), ssh: ssh.ssh.clone() };
    let (commit, tag) = (ssh.commit(), pgp.tag());
    let run = |mode, tag: Option<&Tag>| verify(mode, &commit, tag, &keys, NOW);
    assert_eq!(
        run(Mode::TagAndHead, Some(&tag)),
        Ok(format!(
            "verified signature of\n\t- tag 'v1@def' with key '{}'\n\t- commit 'abc' with key '{}'",
            pgp.key, ssh.key
        ))
    );
    assert_eq!(
        run(Mode::Tag, Some(&tag)),
        Ok(format!("verified signature of\n\t- tag 'v1@def' with key '{}'", pgp.key))
    );
    let none = run(Mode::Tag, None).expect_err("no tag");
    assert_eq!((none.reason(), none.is_stalled()), ("InvalidVerificationMode", true));
    assert_eq!(
        none.to_string(),
        "cannot verify tag object's signature if a tag reference is not specified"
    );
    let light = Tag { hash: None, name: "v1".to_string(), signature: None, payload: Vec::new() };
    let unsigned = run(Mode::TagAndHead, Some(&light)).expect_err("not signed");
    assert_eq!((unsigned.reason(), unsigned.is_stalled()), ("InvalidGitObject", false));
    assert_eq!(unsigned.to_string(), "cannot verify signature of tag 'v1' since it is not signed");
    for (name, mode) in [
        ("HEAD", Mode::Head),
        ("head", Mode::Head),
        ("Tag", Mode::Tag),
        ("TagAndHEAD", Mode::TagAndHead),
    ] {
        assert_eq!(Mode::of(name), mode);
    }
}

#[test]
fn a_kind_of_key_that_is_missing_is_named() {
    let pgp = case("pgp ed25519");
    let ssh = case("ssh ed25519");
    for (case, keys, want) in [
        (
            &pgp,
            ssh.keys(),
            "PGP signature detected but no PGP public keys found in secret (keys with .asc suffix)",
        ),
        (
            &ssh,
            pgp.keys(),
            "SSH signature detected but no SSH public keys found in secret (keys with .sshpub suffix)",
        ),
    ] {
        let error = verify(Mode::Head, &case.commit(), None, &keys, NOW).expect_err(want);
        assert_eq!(error.reason(), "InvalidCommitSignature");
        assert_eq!(
            error.to_string(),
            format!("signature verification of commit 'abc' failed: {want}")
        );
    }
}

#[test]
fn secrets_are_sorted_by_suffix() {
    let data = [("a.asc", "1"), ("b.sshpub", "2"), ("c", "3")]
        .map(|(k, v)| (k.to_string(), v.as_bytes().to_vec()))
        .into();
    let keys = TrustedKeys::from_secret(&data);
    assert_eq!(keys.pgp, ["1", "3"]);
    assert_eq!(keys.ssh, ["2"]);
}
