//! The parsers of what others send, on random and on slightly wrong input: they return.

use borax_source::git::untrusted;
use borax_source::ignore::{IgnoreFile, Rules};
use proptest::prelude::*;

const ADVERTISEMENT: &[u8] = b"001e# service=git-upload-pack\n0000009b5394cb7f48332b2de7c17dd8b8384bbc84b7e738 refs/heads/main\0multi_ack shallow side-band-64k ofs-delta filter object-format=sha1 agent=git/2.39.5 thin-pack\n0000";

const COMMIT: &[u8] = b"tree 5394cb7f48332b2de7c17dd8b8384bbc84b7e738\nparent 5394cb7f48332b2de7c17dd8b8384bbc84b7e738\nauthor A <a@b> 1 +0000\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\nHi\n";

const KNOWN_HOSTS: &[u8] = b"# c\n*.example.com,!x ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n|1|c2FsdA==|aGFzaA== ssh-rsa AAAAB3NzaC1yc2E=\n@revoked [h]:22 t AAAAAWE=\n";

const GITMODULES: &[u8] = b"[submodule \"a\"]\n\tpath = \"a b\" # c\n\turl = ../x\n[submodule \"b\"]\npath=b\nurl=git@h:x\n";

/// Something valid with a few bytes changed, put in or taken out; or anything at all.
fn almost() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![
        Just(ADVERTISEMENT.to_vec()),
        Just(COMMIT.to_vec()),
        Just(KNOWN_HOSTS.to_vec()),
        Just(GITMODULES.to_vec()),
        Just(b"PACK\0\0\0\x02\0\0\0\x02\x95\x0a".to_vec()),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..6);
    (whole, changes).prop_map(|(mut bytes, changes)| {
        for (at, byte, kind) in changes {
            if bytes.is_empty() {
                bytes.push(byte);
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => {
                    bytes.remove(at);
                }
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_is_read_or_refused(bytes in almost(), piece in 0..40usize) {
        untrusted::answer(&bytes);
        untrusted::pack(&bytes, piece);
        untrusted::object(&bytes);
        untrusted::known_hosts(&bytes, "a.example.com");
        untrusted::gitmodules(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn ignore_rules_hold_for_any_path(root in "[ab*?!/\\[\\]\\\\\n #^-]{0,30}", below in "[ab*!/\n]{0,20}", path in "[ab/]{0,10}", is_dir in any::<bool>()) {
        let file = |dir: &str, content: &str| IgnoreFile { dir: dir.into(), content: content.into() };
        let files = vec![file("", &root), file("a", &below)];
        let turned = files.iter().rev().cloned().collect();
        let rules = Rules::new(files, None);
        prop_assert_eq!(rules.excludes(&path, is_dir), Rules::new(turned, None).excludes(&path, is_dir));
    }
}
