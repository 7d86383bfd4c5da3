//! Reading tar headers as Go's `archive/tar` reads them, with a bound on everything that is held in memory.
//!
//! The reader knows the format (V7, USTAR, GNU long names, PAX records, base-256 numbers), not what an entry may be: that
//! is `unpack`'s to judge. Sparse files are refused here, as their stored size says nothing of their true one.

use std::io::{self, Read};

use super::BLOCK;

/// The most bytes a long name or a PAX header may have (Go's `maxSpecialFileSize`).
const MAX_SPECIAL: u64 = 1 << 20;

/// What a header says an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryType {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A hard link to an earlier entry.
    HardLink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// Anything else: the type flag.
    Other(u8),
}

/// One header, its long name and PAX records taken into account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name as stored; not judged.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryType,
    /// Content length in bytes; 0 for what has no content.
    pub size: u64,
    /// Permission bits.
    pub mode: u64,
}

/// Why a stream is not a tar archive.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream could not be read (a broken gzip stream shows here).
    #[error("can't read the archive")]
    Read(#[from] io::Error),
    /// The stream ends within an entry.
    #[error("the archive is cut off")]
    Truncated,
    /// A header's checksum or a number in it is wrong.
    #[error("invalid tar header: {0}")]
    Header(&'static str),
    /// A long name or PAX header is larger than any real one.
    #[error("a tar extension header claims {0} bytes, the most is 1 MiB")]
    Special(u64),
    /// A sparse file.
    #[error("{0:?} is a sparse file, which is not supported")]
    Sparse(String),
}

/// Iterates over the entries of a tar stream.
pub struct Reader<R> {
    input: R,
    /// Content and padding bytes of the current entry that were not yet read.
    content: u64,
    padding: u64,
}

impl<R: Read> Reader<R> {
    /// Reads tar (not gzip) from `input`.
    pub fn new(input: R) -> Self {
        Self { input, content: 0, padding: 0 }
    }

    /// The next entry, `None` at the end. What was not read of the previous content is skipped.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extension = Extension::default();
        loop {
            self.skip_rest()?;
            let Some(block) = self.header_block()? else {
                return if extension == Extension::default() {
                    Ok(None)
                } else {
                    Err(TarError::Truncated)
                };
            };
            let size = number(&block[124..136]).ok_or(TarError::Header("size"))?;
            let flag = block[156];
            match flag {
                b'x' | b'g' | b'L' | b'K' => {
                    if size > MAX_SPECIAL {
                        return Err(TarError::Special(size));
                    }
                    self.begin(size);
                    let mut data = Vec::new();
                    self.read_to_end(&mut data)?;
                    match flag {
                        b'x' => extension.pax(&data)?,
                        b'L' => extension.name = Some(c_string(&data).to_vec()),
                        // A global header only ever carries comments (git archive's commit id); a link name is not used.
                        _ => {}
                    }
                }
                _ => return self.entry(&block, size, flag, extension).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        block: &[u8; BLOCK],
        size: u64,
        flag: u8,
        extension: Extension,
    ) -> Result<Entry, TarError> {
        let path = match extension.name {
            Some(name) => name,
            None => {
                let name = c_string(&block[..100]);
                let is_ustar = &block[257..263] == b"ustar\0";
                let prefix = if is_ustar { c_string(&block[345..500]) } else { b"" };
                if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
            }
        };
        let mut size = extension.size.unwrap_or(size);
        let kind = match flag {
            b'0' | b'7' | 0 if path.ends_with(b"/") => EntryType::Dir,
            b'0' | b'7' | 0 => EntryType::File,
            b'1' => EntryType::HardLink,
            b'2' => EntryType::Symlink,
            b'3' => EntryType::CharDevice,
            b'4' => EntryType::BlockDevice,
            b'5' => EntryType::Dir,
            b'6' => EntryType::Fifo,
            other => EntryType::Other(other),
        };
        if flag == b'S' || extension.sparse {
            return Err(TarError::Sparse(String::from_utf8_lossy(&path).into_owned()));
        }
        if !matches!(kind, EntryType::File | EntryType::Other(_)) {
            // Go: types without content have none, whatever the size field says.
            size = 0;
        }
        let mode = number(&block[100..108]).ok_or(TarError::Header("mode"))?;
        self.begin(size);
        Ok(Entry { path, kind, size, mode })
    }

    /// A checked header block; `None` at the end mark or the end of the stream.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0u8; BLOCK];
        match read_full(&mut self.input, &mut block)? {
            0 => return Ok(None),
            BLOCK => {}
            _ => return Err(TarError::Truncated),
        }
        if block == [0; BLOCK] {
            return match read_full(&mut self.input, &mut block)? {
                0 => Ok(None),
                BLOCK if block == [0; BLOCK] => Ok(None),
                BLOCK => Err(TarError::Header("a zero block within the archive")),
                _ => Err(TarError::Truncated),
            };
        }
        let stored = number(&block[148..156]).ok_or(TarError::Header("checksum"))?;
        let mut sum = 0u64;
        let mut signed = 0i64;
        for (at, &byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&at) { b' ' } else { byte };
            sum += u64::from(byte);
            signed += i64::from(byte as i8);
        }
        // Some old writers summed signed bytes.
        if stored != sum && i64::try_from(stored) != Ok(signed) {
            return Err(TarError::Header("checksum"));
        }
        Ok(Some(block))
    }

    fn begin(&mut self, size: u64) {
        self.content = size;
        self.padding = super::write::padding(size) as u64;
    }

    fn skip_rest(&mut self) -> Result<(), TarError> {
        let rest = self.content.saturating_add(self.padding);
        let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink())?;
        if skipped < self.content {
            return Err(TarError::Truncated);
        }
        (self.content, self.padding) = (0, 0);
        Ok(())
    }
}

impl<R: Read> Read for Reader<R> {
    /// The current entry's content. Ends early only with an error.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.content).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let n = self.input.read(&mut buffer[..most])?;
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off"));
        }
        self.content -= n as u64;
        Ok(n)
    }
}

/// What extension headers say of the entry after them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Extension {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Extension {
    /// Takes the records of a PAX header: `<length> <key>=<value>\n` each.
    fn pax(&mut self, mut data: &[u8]) -> Result<(), TarError> {
        const BAD: TarError = TarError::Header("PAX record");
        while !data.is_empty() {
            let space = data.iter().position(|&b| b == b' ').ok_or(BAD)?;
            let length: usize =
                std::str::from_utf8(&data[..space]).ok().and_then(|s| s.parse().ok()).ok_or(BAD)?;
            if length < space + 3 || length > data.len() || data[length - 1] != b'\n' {
                return Err(BAD);
            }
            let record = &data[space + 1..length - 1];
            let equals = record.iter().position(|&b| b == b'=').ok_or(BAD)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.name = (!value.is_empty()).then(|| value.to_vec()),
                b"size" => {
                    let text = std::str::from_utf8(value).ok();
                    self.size = Some(text.and_then(|s| s.parse().ok()).ok_or(BAD)?);
                }
                _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
            data = &data[length..];
        }
        Ok(())
    }
}

/// A number field: octal text between spaces and NULs, or base-256 with the top bit set.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        if field[0] & 0x40 != 0 {
            return None; // negative
        }
        return field.iter().enumerate().try_fold(0u64, |value, (at, &byte)| {
            let byte = if at == 0 { byte & 0x3f } else { byte };
            value.checked_mul(256)?.checked_add(u64::from(byte))
        });
    }
    let text = field.trim_ascii_start();
    let text = &text[..text.iter().position(|b| matches!(b, 0 | b' ')).unwrap_or(text.len())];
    text.iter().try_fold(0u64, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// Up to the first NUL.
fn c_string(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|&b| b == 0).unwrap_or(field.len())]
}

/// Fills `buffer` as far as the stream goes.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match input.read(&mut buffer[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n)
}
