//! Any bytes may be unpacked as a tar; what came out is within its limits, holds together, and archives to the same again.
#![no_main]

use borax_artifact::tree::{FileMeta, SinkError, TreeSink, TreeSource};
use borax_artifact::unpack::{unpack_tar, unpack_tar_gz};
use borax_artifact::unpacked::{Limits, Staging};
use borax_stdx::files::{FileKind, Files};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { max_bytes: 1 << 16, max_entries: 64, max_depth: 8 };

fn staging() -> Staging {
    Staging::new(tempfile::tempfile().expect("a file"), LIMITS)
}

/// Checks the order and form of what a walk emits, and reads all of it.
#[derive(Default)]
struct Check {
    last: Vec<Vec<u8>>,
    files: Vec<Vec<u8>>,
}

impl Check {
    fn next(&mut self, path: &[u8]) {
        let parts: Vec<Vec<u8>> = path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
        assert!(parts.iter().all(|part| !matches!(&part[..], b"" | b"." | b"..")), "{path:?}");
        assert!(parts > self.last, "in order");
        self.last = parts;
    }
}

impl TreeSink for Check {
    fn dir(&mut self, path: &[u8]) -> Result<(), SinkError> {
        self.next(path);
        Ok(())
    }

    fn file(&mut self, path: &[u8], file: FileMeta, content: &mut dyn std::io::Read) -> Result<(), SinkError> {
        self.next(path);
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).expect("it can be read");
        assert_eq!(bytes.len() as u64, file.size);
        self.files.push(path.to_vec());
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut zipped = staging();
    let _ = unpack_tar_gz(bytes, &LIMITS, &mut zipped);
    let mut plain = staging();
    let unpacked = unpack_tar(bytes, &LIMITS, &mut plain);
    let tree = plain.finish().expect("the disk takes it");
    assert!(tree.size() <= LIMITS.max_bytes && tree.n_entries() <= LIMITS.max_entries);
    let mut check = Check::default();
    tree.walk().emit(&mut check).expect("a tree can be walked");
    for path in &check.files {
        if let Ok(path) = std::str::from_utf8(path) {
            assert_eq!(tree.kind(path).expect("no disk is asked"), Some(FileKind::File));
            tree.read(path).expect("it can be read");
        }
    }
    let mut again = staging();
    tree.walk().emit(&mut again).expect("a tree fits where it came from");
    assert_eq!(again.finish().expect("the disk takes it").n_entries(), tree.n_entries());
    drop(unpacked);
});
