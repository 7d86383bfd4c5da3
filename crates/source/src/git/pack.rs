//! Packs of new objects, written whole and without deltas: a commit's few objects are not worth more. Pure.
//!
//! Source: Git's `gitformat-pack`. libgit2 would write the same, but asks the machine's configuration how.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git2::{ObjectType, Oid};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::cause::Cause;

/// Objects that are to be sent, each once.
#[derive(Debug, Default)]
pub(crate) struct NewObjects {
    objects: Vec<(ObjectType, Oid, Vec<u8>)>,
}

impl NewObjects {
    /// Adds an object and returns its hash.
    pub(crate) fn add(&mut self, kind: ObjectType, data: Vec<u8>) -> Result<Oid, Cause> {
        let oid = Oid::hash_object(kind, &data)
            .map_err(|error| Cause::store("can't hash a new object", &error))?;
        if self.objects.iter().all(|(_, known, _)| *known != oid) {
            self.objects.push((kind, oid, data));
        }
        Ok(oid)
    }

    /// The pack with all of them.
    pub(crate) fn pack(&self) -> Result<Vec<u8>, Cause> {
        let mut out = b"PACK\0\0\0\x02".to_vec();
        let count = u32::try_from(self.objects.len())
            .map_err(|error| Cause::store("can't write a pack", &error))?;
        out.extend_from_slice(&count.to_be_bytes());
        for (kind, _, data) in &self.objects {
            write_header(&mut out, *kind, data.len());
            let mut encoder = ZlibEncoder::new(out, Compression::default());
            let written = encoder.write_all(data).and_then(|()| encoder.finish());
            out = written.map_err(|error| Cause::store("can't write a pack", &error))?;
        }
        let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &out);
        out.extend_from_slice(sum.as_ref());
        Ok(out)
    }
}

/// Kind and size: four bits of the size in the first byte, seven in each that follows.
fn write_header(out: &mut Vec<u8>, kind: ObjectType, size: usize) {
    let code = match kind {
        ObjectType::Commit => 1,
        ObjectType::Tree => 2,
        ObjectType::Tag => 4,
        _ => 3,
    };
    let mut rest = size >> 4;
    let mut byte = code << 4 | (size & 0x0f) as u8;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.push(byte);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scan::{Allowed, PackScan};

    #[test]
    fn packs_are_whole_and_hold_each_object_once() {
        let mut objects = NewObjects::default();
        for size in [0, 1, 15, 16, 2047, 2048, 100_000] {
            let oid = objects.add(ObjectType::Blob, vec![b'a'; size]).unwrap();
            assert_eq!(objects.add(ObjectType::Blob, vec![b'a'; size]).unwrap(), oid);
        }
        let pack = objects.pack().unwrap();
        let mut scan = PackScan::new(Allowed { object: 100_000, count: 7 });
        scan.feed(&pack).unwrap();
        scan.finish().unwrap();
        let mut scan = PackScan::new(Allowed { object: 100_000, count: 6 });
        assert!(scan.feed(&pack).and_then(|()| scan.finish()).is_err(), "there are seven");
        assert_eq!(
            pack[pack.len() - 20..],
            *digest(&SHA1_FOR_LEGACY_USE_ONLY, &pack[..pack.len() - 20]).as_ref()
        );
    }
}
