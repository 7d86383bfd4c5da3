//! The parsers of what servers and tenants send, as functions of bytes: for the fuzz targets.
//!
//! They say nothing, as only that they return at all, soon and in little memory, is asked of them.

use git2::Oid;

use super::known_hosts::{HostKey, KnownHosts};
use super::object::{parse_commit, parse_tag, parse_tree};
use super::refs::{Reference, Target, modern_revision};
use super::scan::{Allowed, PackScan};
use super::{RemoteUrl, send, submodule, wire};

/// What `spec.ref` asks for, the revision written of it, and a status's old revision.
pub fn reference(reference: &Reference, full_name: &str, revision: &str) {
    let target = reference.target();
    if let Target::Ref(name) = &target {
        assert!(!name.is_empty(), "{reference:?} asks for nothing");
    }
    let written = reference.revision(full_name, Oid::ZERO_SHA1);
    assert!(written.ends_with(&format!("sha1:{}", Oid::ZERO_SHA1)), "{written:?} names no commit");
    let modern = modern_revision(revision);
    assert_eq!(modern_revision(&modern), modern, "what is modern stays so");
}

/// A server's answers: advertisements, ref listings, side bands, reports of a push.
pub fn answer(bytes: &[u8]) {
    wire::read_anything(bytes);
    send::read_anything(bytes);
}

/// A pack, in pieces of `piece` bytes.
pub fn pack(bytes: &[u8], piece: usize) {
    let mut scan = PackScan::new(Allowed { object: 1 << 20, count: 1 << 20 });
    if bytes.chunks(piece.max(1)).all(|bytes| scan.feed(bytes).is_ok()) {
        let _ = scan.finish();
    }
}

/// Commits, tags and trees.
pub fn object(bytes: &[u8]) {
    let oid = Oid::ZERO_SHA1;
    let _ = parse_commit(oid, bytes);
    let _ = parse_tag(oid, bytes);
    let _ = parse_tree(oid, bytes);
}

/// A `known_hosts` file, and a host against it.
pub fn known_hosts(bytes: &[u8], host: &str) {
    if let (Ok(known), Some(key)) = (KnownHosts::parse(bytes), HostKey::from_blob(bytes.to_vec())) {
        let _ = known.check(host, 22, &key);
        let _ = known.kinds(host, 2222);
    }
}

/// A `.gitmodules` file, its URLs seen from a repository.
pub fn gitmodules(text: &str) {
    if let Ok(parent) = RemoteUrl::parse("https://example.com/team/app.git") {
        submodule::read_anything(text, &parent);
    }
}
