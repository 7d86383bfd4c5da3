//! Archives made to do harm: each is a clear error, none reaches the disk or the memory.

use std::io::Write;

use borax_artifact::ArtifactError;
use borax_artifact::digest::Algorithm;
use borax_artifact::unpacked::Limits;
use borax_stdx::files::Files;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use crate::trees::{chain, gzip, raw_entry, storage_with};

fn open_gz(bytes: &[u8]) -> Result<Vec<String>, ArtifactError> {
    let limits = Limits { max_bytes: 1 << 20, max_entries: 100, max_depth: 10 };
    let (_dir, storage) = storage_with(|options| options.limits = limits);
    let mut hasher = Algorithm::Sha256.hasher();
    hasher.update(bytes);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let tree = storage.open_file(file, &hasher.finish(), "http://upstream/x.tar.gz")?;
    tree.list("/").map_err(|_| unreachable!("the root is a directory"))
}

fn open(entries: &[Vec<u8>]) -> Result<Vec<String>, ArtifactError> {
    open_gz(&gzip(&[entries.concat(), vec![0; 1024]].concat()))
}

#[track_caller]
fn refused(entries: &[Vec<u8>], want: &str) {
    let text = chain(&open(entries).unwrap_err());
    assert_eq!(text, format!("can't unpack http://upstream/x.tar.gz: {want}"));
}

#[test]
fn names_that_lead_out_of_the_tree() {
    for name in ["../etc/passwd", "a/../../b", "/etc/passwd", "a\\b", "a/.."] {
        refused(
            &[raw_entry(name.as_bytes(), b'0', 1, b"x")],
            &format!("tar contained invalid name {name:?}"),
        );
    }
}

#[test]
fn links_and_devices() {
    let ok = raw_entry(b"kept", b'0', 1, b"x");
    let link = raw_entry(b"out", b'2', 0, b"../../etc");
    assert_eq!(
        open(&[link.clone(), ok.clone()]).unwrap(),
        ["kept"],
        "symlinks are left out, as Flux leaves them out"
    );
    // A file "through" the link is a file in a directory of that name.
    let through = raw_entry(b"out/passwd", b'0', 1, b"x");
    assert_eq!(open(&[link, through]).unwrap(), ["out"]);
    let kinds = [
        (b'1', "hard link"),
        (b'3', "character device"),
        (b'4', "block device"),
        (b'6', "named pipe"),
        (b'Z', "entry of unknown type"),
    ];
    for (flag, kind) in kinds {
        let entry = raw_entry(b"bad", flag, 0, b"");
        refused(
            &[ok.clone(), entry],
            &format!("tar file entry \"bad\" is a {kind}, which is not supported"),
        );
    }
}

#[test]
fn sparse_files() {
    let want = "tar error: \"s\" is a sparse file, which is not supported";
    refused(&[raw_entry(b"s", b'S', 0, b"")], want);
    let pax = b"22 GNU.sparse.major=1\n";
    refused(&[raw_entry(b"pax", b'x', pax.len() as u64, pax), raw_entry(b"s", b'0', 0, b"")], want);
}

#[test]
fn bombs() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&raw_entry(b"zeros", b'0', 64 << 20, b"")).unwrap();
    for _ in 0..64 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let text = chain(&open_gz(&bomb.finish().unwrap()).unwrap_err());
    assert!(text.ends_with("\"zeros\" passes the limit of 1048576 bytes"), "{text}");

    // Content that no entry of the tree takes.
    let skipped =
        [raw_entry(b"l", b'g', 1 << 20, &vec![b'x'; 1 << 20]), raw_entry(b"kept", b'0', 1, b"x")];
    refused(&skipped, "the archive is bigger than the limit of 1048576 bytes unpacked");

    let many: Vec<_> =
        (0..101).map(|n| raw_entry(format!("f{n}").as_bytes(), b'0', 0, b"")).collect();
    refused(&many, "\"f100\" passes the limit of 100 files and directories");

    let deep = "d/".repeat(20);
    let text = chain(&open(&[raw_entry(deep.as_bytes(), b'5', 0, b"")]).unwrap_err());
    assert!(text.ends_with("passes the limit of 10 levels of directories"), "{text}");
}

#[test]
fn sizes_that_lie() {
    let claim = raw_entry(b"big", b'0', 5000, b"short");
    refused(
        std::slice::from_ref(&claim),
        "tar error: can't read the archive: the archive is cut off",
    );
    let text = chain(&open_gz(&gzip(&claim[..600])).unwrap_err());
    assert!(text.ends_with("the archive is cut off"), "{text}");
    let mut huge = raw_entry(b"huge", b'0', 0, b"");
    huge[124..136].copy_from_slice(&[0xff; 12]);
    huge[124] = 0x80;
    fix_checksum(&mut huge);
    refused(&[huge], "tar error: invalid tar header: size");
    let long = raw_entry(b"long", b'L', 2 << 20, b"");
    refused(&[long], "tar error: a tar extension header claims 2097152 bytes, the most is 1 MiB");
}

#[test]
fn what_is_no_archive() {
    let not_gzip = chain(&open_gz(b"hello world, this is not gzip").unwrap_err());
    assert!(not_gzip.contains("requires gzip-compressed body"), "{not_gzip}");
    let empty = chain(&open_gz(b"").unwrap_err());
    assert!(empty.contains("requires gzip-compressed body"), "{empty}");
    let not_tar = chain(&open_gz(&gzip(&[b'x'; 1024])).unwrap_err());
    assert!(not_tar.contains("tar error: invalid tar header"), "{not_tar}");
    let mut cut = gzip(&[raw_entry(b"a", b'0', 600, &[7; 600]), vec![0; 1024]].concat());
    cut.truncate(cut.len() - 12);
    assert!(chain(&open_gz(&cut).unwrap_err()).contains("can't unpack"));
}

#[test]
fn a_file_and_a_directory_of_one_name() {
    let file = raw_entry(b"a", b'0', 1, b"x");
    let dir = raw_entry(b"a", b'5', 0, b"");
    let below = raw_entry(b"a/b", b'0', 1, b"x");
    refused(&[file.clone(), dir.clone()], "\"a\" is both a file and a directory");
    refused(&[dir, file.clone()], "\"a\" is both a file and a directory");
    refused(&[file.clone(), below], "\"a/b\" is both a file and a directory");
    assert_eq!(open(&[file.clone(), file]).unwrap(), ["a"], "the later file wins");
}

fn fix_checksum(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block[..512].iter().map(|&b| u32::from(b)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn damaged_archives_never_panic(at in 0usize..2048, byte: u8, cut in 0usize..3000) {
        let mut tar = [raw_entry(b"a/b", b'0', 5, b"hello"), raw_entry(b"c", b'5', 0, b""), vec![0; 1024]].concat();
        let at = at % tar.len();
        tar[at] = byte;
        tar.truncate(cut.max(1));
        let _ = open_gz(&gzip(&tar));
        let mut zipped = gzip(&tar);
        let at = at % zipped.len();
        zipped[at] = byte;
        let _ = open_gz(&zipped);
    }
}
