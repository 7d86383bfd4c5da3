//! Looks at a pack as it arrives, before libgit2 unpacks it: how large its objects will be.
//!
//! A pack of a few megabytes can hold an object of many gigabytes (zeros, or a delta that copies its base over and over),
//! which libgit2 would build in memory. Each object says its size in its first bytes, and a delta the size of what it
//! makes; both are checked here, which costs inflating the pack once more. Source: Git's `gitformat-pack`.

use flate2::{Decompress, FlushDecompress, Status};

/// What a pack may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    /// Bytes of one object.
    pub(crate) object: u64,
    /// Objects.
    pub(crate) count: u64,
}

/// Why a pack is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not a pack of a known version.
    #[error("it is not a pack of version 2 or 3")]
    NotAPack,
    /// Something in it does not read.
    #[error("object {index} is broken")]
    Broken {
        /// Counted from zero.
        index: u64,
    },
    /// More objects than allowed.
    #[error("it has {count} objects, {limit} are allowed")]
    Count {
        /// What it says it has.
        count: u64,
        /// The limit.
        limit: u64,
    },
    /// An object larger than allowed.
    #[error("object {index} has {size} bytes, {limit} are allowed")]
    Object {
        /// Counted from zero.
        index: u64,
        /// What it says it has.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The stream ended before its last object.
    #[error("it ends at object {index} of {count}")]
    Ended {
        /// Counted from zero.
        index: u64,
        /// What it says it has.
        count: u64,
    },
}

/// The state between two pieces of a pack.
pub(crate) struct PackScan {
    allowed: Allowed,
    at: At,
    /// Bytes of a header that came in pieces.
    pending: Vec<u8>,
    inflate: Decompress,
    index: u64,
    count: u64,
}

enum At {
    /// The 12 bytes a pack begins with.
    Begin,
    /// An object's type, size and base.
    Header,
    /// Its compressed bytes.
    Body { left: u64, delta: Option<Vec<u8>> },
    /// Behind the last object: a checksum, which libgit2 checks.
    End,
}

/// An object's header is at most 10 bytes of size, and 20 of a base.
const MAX_HEADER: usize = 40;

/// What the two sizes a delta begins with take at most.
const DELTA_HEAD: usize = 20;

impl PackScan {
    pub(crate) fn new(allowed: Allowed) -> Self {
        Self {
            allowed,
            at: At::Begin,
            pending: Vec::new(),
            inflate: Decompress::new(true),
            index: 0,
            count: 0,
        }
    }

    /// Looks at the next bytes.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Refused> {
        let mut scratch = vec![0; 32 * 1024];
        loop {
            match &mut self.at {
                At::End => return Ok(()),
                At::Begin => {
                    if !self.take(&mut bytes, 12) {
                        return Ok(());
                    }
                    self.begin()?;
                }
                At::Header => {
                    let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
                    bytes = rest;
                    self.pending.push(byte);
                    self.header()?;
                }
                At::Body { left, delta } => {
                    let (before_in, before_out) =
                        (self.inflate.total_in(), self.inflate.total_out());
                    let status = self
                        .inflate
                        .decompress(bytes, &mut scratch, FlushDecompress::None)
                        .map_err(|_| Refused::Broken { index: self.index })?;
                    let used = (self.inflate.total_in() - before_in) as usize;
                    let made = self.inflate.total_out() - before_out;
                    bytes = bytes.get(used..).unwrap_or_default();
                    *left = left.checked_sub(made).ok_or(Refused::Broken { index: self.index })?;
                    if let Some(head) = delta {
                        let room = DELTA_HEAD - head.len();
                        head.extend_from_slice(&scratch[..(made as usize).min(room)]);
                    }
                    match status {
                        Status::StreamEnd => self.end_of_object()?,
                        // It wants more than there is; or, with bytes left, more room.
                        _ if used == 0 && made == 0 => {
                            return match bytes.is_empty() {
                                true => Ok(()),
                                false => Err(Refused::Broken { index: self.index }),
                            };
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// Checks that nothing is missing.
    pub(crate) fn finish(&self) -> Result<(), Refused> {
        match self.at {
            At::End => Ok(()),
            _ => Err(Refused::Ended { index: self.index, count: self.count }),
        }
    }

    /// Moves bytes to `pending` until it has `want`.
    fn take(&mut self, bytes: &mut &[u8], want: usize) -> bool {
        let n = bytes.len().min(want - self.pending.len());
        let (head, rest) = bytes.split_at(n);
        self.pending.extend_from_slice(head);
        *bytes = rest;
        self.pending.len() == want
    }

    fn begin(&mut self) -> Result<(), Refused> {
        let number = |at: usize| {
            self.pending[at..at + 4].iter().fold(0u64, |sum, b| sum << 8 | u64::from(*b))
        };
        if &self.pending[..4] != b"PACK" || !matches!(number(4), 2 | 3) {
            return Err(Refused::NotAPack);
        }
        self.count = number(8);
        if self.count > self.allowed.count {
            return Err(Refused::Count { count: self.count, limit: self.allowed.count });
        }
        self.pending.clear();
        self.at = match self.count {
            0 => At::End,
            _ => At::Header,
        };
        Ok(())
    }

    /// Goes on to the body once `pending` is a whole header.
    fn header(&mut self) -> Result<(), Refused> {
        if self.pending.len() > MAX_HEADER {
            return Err(Refused::Broken { index: self.index });
        }
        let Some((kind, size, rest)) = read_header(&self.pending) else { return Ok(()) };
        let delta = match kind {
            1..=4 => None,
            // The base by offset: a number of its own kind, ending with a byte below 128.
            6 if rest.last().is_none_or(|b| b & 0x80 != 0) => return Ok(()),
            7 if rest.len() < 20 => return Ok(()),
            6 | 7 => Some(Vec::new()),
            _ => return Err(Refused::Broken { index: self.index }),
        };
        self.check(size)?;
        self.pending.clear();
        self.inflate.reset(true);
        self.at = At::Body { left: size, delta };
        Ok(())
    }

    fn end_of_object(&mut self) -> Result<(), Refused> {
        let broken = Refused::Broken { index: self.index };
        let At::Body { left, delta } = &self.at else { return Err(broken) };
        if *left != 0 {
            return Err(broken);
        }
        if let Some(head) = delta {
            let (_, rest) = read_size(head).ok_or(Refused::Broken { index: self.index })?;
            let (made, _) = read_size(rest).ok_or(broken)?;
            self.check(made)?;
        }
        self.index += 1;
        self.at = match self.index == self.count {
            true => At::End,
            false => At::Header,
        };
        Ok(())
    }

    fn check(&self, size: u64) -> Result<(), Refused> {
        match size <= self.allowed.object {
            true => Ok(()),
            false => Err(Refused::Object { index: self.index, size, limit: self.allowed.object }),
        }
    }
}

/// Type, size and what follows them; `None` while bytes are missing.
fn read_header(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let kind = first >> 4 & 7;
    let (mut size, mut shift, mut more) = (u64::from(first & 15), 4, first & 0x80 != 0);
    while more {
        let (&byte, tail) = rest.split_first()?;
        size |= shifted(byte, shift);
        shift += 7;
        more = byte & 0x80 != 0;
        rest = tail;
    }
    Some((kind, size, rest))
}

/// A size as deltas have it, and what follows.
fn read_size(mut bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (mut size, mut shift) = (0, 0);
    loop {
        let (&byte, tail) = bytes.split_first()?;
        size |= shifted(byte, shift);
        shift += 7;
        bytes = tail;
        if byte & 0x80 == 0 {
            return Some((size, bytes));
        }
    }
}

/// The lower seven bits at their place; what does not fit is as good as endless.
fn shifted(byte: u8, shift: u32) -> u64 {
    let bits = u64::from(byte & 0x7f);
    match bits.leading_zeros() >= shift && shift < 64 {
        true => bits << shift,
        false if bits == 0 => 0,
        false => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const ALLOWED: Allowed = Allowed { object: 1000, count: 10 };

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).expect("memory");
        out.finish().expect("memory")
    }

    fn size_bytes(mut size: u64) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let more = size > 0x7f;
            out.push((size & 0x7f) as u8 | if more { 0x80 } else { 0 });
            size >>= 7;
            if !more {
                return out;
            }
        }
    }

    fn object(kind: u8, size: u64, base: &[u8], body: &[u8]) -> Vec<u8> {
        let more = size > 15;
        let mut out = vec![kind << 4 | (size & 15) as u8 | if more { 0x80 } else { 0 }];
        if more {
            out.extend(size_bytes(size >> 4));
        }
        out.extend_from_slice(base);
        out.extend(zlib(body));
        out
    }

    fn pack(objects: &[Vec<u8>]) -> Vec<u8> {
        let mut out = b"PACK\0\0\0\x02".to_vec();
        out.extend_from_slice(&(objects.len() as u32).to_be_bytes());
        out.extend(objects.concat());
        out.extend_from_slice(&[0; 20]);
        out
    }

    fn scan(pack: &[u8], piece: usize) -> Result<(), Refused> {
        let mut scan = PackScan::new(ALLOWED);
        for bytes in pack.chunks(piece) {
            scan.feed(bytes)?;
        }
        scan.finish()
    }

    fn delta(base: u64, made: u64) -> Vec<u8> {
        [size_bytes(base), size_bytes(made), vec![0x90, 1]].concat()
    }

    #[test]
    fn good_packs_pass_in_any_pieces() {
        let d = delta(100, 900);
        let good = pack(&[
            object(3, 900, b"", &[7; 900]),
            object(6, d.len() as u64, &[0x81, 0x05], &d),
            object(7, d.len() as u64, &[1; 20], &d),
            object(1, 0, b"", b""),
        ]);
        for piece in [1, 2, 3, 7, 50, good.len()] {
            assert_eq!(scan(&good, piece), Ok(()), "{piece}");
        }
        assert_eq!(scan(&pack(&[]), 5), Ok(()));
    }

    #[test]
    fn bombs_are_refused_before_they_are_built() {
        let too_large = |index, size| Err(Refused::Object { index, size, limit: 1000 });
        assert_eq!(scan(&pack(&[object(3, 1001, b"", &[0; 1001])]), 9), too_large(0, 1001));
        let d = delta(1, 5_000_000_000);
        let bomb = pack(&[object(3, 1, b"", b"x"), object(6, d.len() as u64, &[1], &d)]);
        assert_eq!(scan(&bomb, 9), too_large(1, 5_000_000_000));
        // A size that is a lie.
        assert_eq!(
            scan(&pack(&[object(3, 5, b"", &[0; 900])]), 9),
            Err(Refused::Broken { index: 0 })
        );
        let many = vec![object(3, 0, b"", b""); 11];
        assert_eq!(scan(&pack(&many), 9), Err(Refused::Count { count: 11, limit: 10 }));
        let endless = [vec![0xb0 | 0x80], vec![0xff; 9], vec![0x7f]].concat();
        assert_eq!(scan(&pack(&[endless]), 9), too_large(0, u64::MAX));
    }

    #[test]
    fn what_does_not_read_is_refused() {
        assert_eq!(scan(b"PACK\0\0\0\x09\0\0\0\0", 4), Err(Refused::NotAPack));
        assert_eq!(scan(b"<html>and more", 4), Err(Refused::NotAPack));
        assert_eq!(scan(&pack(&[object(5, 1, b"", b"x")]), 4), Err(Refused::Broken { index: 0 }));
        let mut good = pack(&[object(3, 100, b"", &[7; 100])]);
        good.truncate(16);
        assert_eq!(scan(&good, 4), Err(Refused::Ended { index: 0, count: 1 }));
    }
}
