//! Writing tar headers as Go's `archive/tar` does for what Flux archives: regular files and directories without owner,
//! group or time.
//!
//! Source: fluxcd/pkg `artifact/storage/archive.go` (modes, no trailing slash on directories, the root as `.`) over Go's
//! `archive/tar/writer.go` (USTAR where it fits, else PAX with a `path` record).

use super::BLOCK;

/// Mode of a directory in an artifact.
const DIR_MODE: u64 = 0o750;
/// Mode of a file in an artifact.
const FILE_MODE: u64 = 0o600;
/// Mode of an executable file in an artifact.
const EXECUTABLE_MODE: u64 = 0o700;

/// Width of USTAR's name field.
const NAME: usize = 100;
/// Width of USTAR's prefix field.
const PREFIX: usize = 155;

/// What kind of entry a header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A regular file of so many bytes.
    File {
        /// Content length in bytes; below 8 GiB, the most an octal size field holds.
        size: u64,
        /// Whether the file is executable.
        executable: bool,
    },
}

/// The largest file a header can announce.
pub const MAX_FILE_SIZE: u64 = (1 << 33) - 1;

/// Appends the header block(s) of an entry to `out`.
///
/// `path` must be clean and relative (or `.`), and a file's size at most [`MAX_FILE_SIZE`].
pub fn header(path: &[u8], kind: Kind, out: &mut Vec<u8>) {
    let (mode, size, flag) = match kind {
        Kind::Dir => (DIR_MODE, 0, b'5'),
        Kind::File { size, executable: true } => (EXECUTABLE_MODE, size, b'0'),
        Kind::File { size, executable: false } => (FILE_MODE, size, b'0'),
    };
    let main = Block { mode, size, flag, devices: true };
    if path.is_ascii() && path.len() <= NAME {
        main.write(b"", path, out);
    } else if let Some((prefix, name)) = split_ustar(path) {
        main.write(prefix, name, out);
    } else {
        let record = pax_record(b"path", path);
        let (dir, file) = match path.iter().rposition(|&b| b == b'/') {
            Some(at) => (&path[..=at], &path[at + 1..]),
            None => (&b""[..], path),
        };
        let mut pax_name = ascii([dir, b"PaxHeaders.0/", file].concat());
        pax_name.truncate(NAME);
        while pax_name.last() == Some(&b'/') {
            pax_name.pop();
        }
        let pax = Block { mode: 0, size: record.len() as u64, flag: b'x', devices: false };
        pax.write(b"", &pax_name, out);
        out.extend_from_slice(&record);
        out.resize(out.len() + padding(record.len() as u64), 0);
        main.write(b"", &ascii(path.to_vec()), out);
    }
}

/// How many zero bytes follow a content of `size` bytes.
pub fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

/// The two zero blocks that end an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Splits a long path into USTAR's prefix and name, where it can be (Go's `splitUSTARPath`).
fn split_ustar(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.is_ascii() || path.contains(&0) {
        return None;
    }
    let at = path[..path.len().min(PREFIX + 1)].iter().rposition(|&b| b == b'/')?;
    let (prefix, name) = (&path[..at], &path[at + 1..]);
    (!prefix.is_empty() && !name.is_empty() && name.len() <= NAME).then_some((prefix, name))
}

/// Only what is ASCII and not NUL, as Go fills the fields that a PAX record overrules.
fn ascii(mut name: Vec<u8>) -> Vec<u8> {
    name.retain(|b| b.is_ascii() && *b != 0);
    name
}

/// `<length> <key>=<value>\n`, the length counting itself.
fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() != rest.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// The fields of one header block that vary.
struct Block {
    mode: u64,
    size: u64,
    flag: u8,
    devices: bool,
}

impl Block {
    fn write(&self, prefix: &[u8], name: &[u8], out: &mut Vec<u8>) {
        let mut block = [0u8; BLOCK];
        let name_len = name.len().min(NAME);
        block[..name_len].copy_from_slice(&name[..name_len]);
        if name.len() > NAME && block[NAME - 1] == b'/' {
            // Go: some readers take a cut name that ends in a slash for a directory.
            let keep = name[..NAME - 1].iter().rposition(|&b| b != b'/').map_or(0, |at| at + 1);
            block[keep] = 0;
        }
        octal(&mut block[100..108], self.mode);
        octal(&mut block[108..116], 0);
        octal(&mut block[116..124], 0);
        octal(&mut block[124..136], self.size);
        octal(&mut block[136..148], 0);
        block[156] = self.flag;
        block[257..263].copy_from_slice(b"ustar\0");
        block[263..265].copy_from_slice(b"00");
        if self.devices {
            octal(&mut block[329..337], 0);
            octal(&mut block[337..345], 0);
        }
        block[345..345 + prefix.len()].copy_from_slice(prefix);
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|&b| u64::from(b)).sum();
        octal(&mut block[148..155], sum);
        out.extend_from_slice(&block);
    }
}

/// Octal digits with leading zeros and a NUL at the end of the field.
fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    for (at, place) in field[..digits].iter_mut().enumerate() {
        *place = b'0' + ((value >> (3 * (digits - 1 - at))) & 7) as u8;
    }
    field[digits] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pax_record_counts_its_own_length() {
        assert_eq!(pax_record(b"path", b"x"), b"9 path=x\n");
        let long = pax_record(b"path", &[b'x'; 90]);
        assert!(long.starts_with(b"99 path="));
        assert_eq!(long.len(), 99);
        let longer = pax_record(b"path", &[b'x'; 91]);
        assert!(longer.starts_with(b"101 path="));
        assert_eq!(longer.len(), 101);
    }

    #[test]
    fn long_ascii_paths_are_split_where_ustar_can() {
        let path = [&[b'd'; 60][..], b"/", &[b'f'; 90]].concat();
        assert_eq!(split_ustar(&path), Some((&[b'd'; 60][..], &[b'f'; 90][..])));
        assert_eq!(split_ustar(&[b'f'; 120]), None);
    }
}
