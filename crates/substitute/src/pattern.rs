//! Shell patterns as the original matches them (its own form of Go's `path.Match`, in which `*` and
//! `?` match slashes too, and which tries only the first place where a piece fits).

use crate::error::Error;
use crate::functions::char_width;

/// Steps of matching that one text may take.
pub(crate) struct Budget(u64);

impl Budget {
    pub(crate) fn new() -> Budget {
        Budget(100_000_000)
    }

    fn spend(&mut self, steps: usize) -> Result<(), Error> {
        self.0 = self
            .0
            .checked_sub(steps as u64 + 1)
            .ok_or(Error::Limit("work for matching patterns"))?;
        Ok(())
    }
}

/// Whether `pattern` matches all of `name`; `None` when it is no pattern (as far as was looked).
pub(crate) fn matches(
    mut pattern: &[u8],
    mut name: &[u8],
    budget: &mut Budget,
) -> Result<Option<bool>, Error> {
    'pattern: while !pattern.is_empty() {
        let (star, chunk, rest) = scan_chunk(pattern);
        pattern = rest;
        budget.spend(chunk.len())?;
        if star && chunk.is_empty() {
            return Ok(Some(true));
        }
        let last = pattern.is_empty();
        match match_chunk(chunk, name) {
            None => return Ok(None),
            Some(Some(left)) if left.is_empty() || !last => {
                name = left;
                continue;
            }
            Some(_) => {}
        }
        if star {
            for start in 1..=name.len() {
                budget.spend(chunk.len())?;
                match match_chunk(chunk, &name[start..]) {
                    None => return Ok(None),
                    Some(Some(left)) if left.is_empty() || !last => {
                        name = left;
                        continue 'pattern;
                    }
                    Some(_) => {}
                }
            }
        }
        return Ok(Some(false));
    }
    Ok(Some(name.is_empty()))
}

/// A star and what comes before the next one.
fn scan_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|&&b| b == b'*').count();
    let pattern = &pattern[stars..];
    let mut in_range = false;
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            b'\\' if at + 1 < pattern.len() => at += 1,
            b'[' => in_range = true,
            b']' => in_range = false,
            b'*' if !in_range => break,
            _ => {}
        }
        at += 1;
    }
    (stars > 0, &pattern[..at], &pattern[at..])
}

/// What is left of `name` after a chunk. Outer `None`: no pattern; inner: no match.
#[expect(clippy::option_option, reason = "a broken pattern and one that does not match differ")]
fn match_chunk<'n>(mut chunk: &[u8], mut name: &'n [u8]) -> Option<Option<&'n [u8]>> {
    while let Some((&first, after)) = chunk.split_first() {
        if name.is_empty() {
            return Some(None);
        }
        match first {
            b'[' => {
                let (c, width) = decode(name);
                name = &name[width..];
                chunk = after;
                let negated = chunk.first() == Some(&b'^');
                if negated {
                    chunk = &chunk[1..];
                }
                let mut found = false;
                let mut ranges = 0;
                loop {
                    if ranges > 0 && chunk.first() == Some(&b']') {
                        chunk = &chunk[1..];
                        break;
                    }
                    let low;
                    (low, chunk) = range_end(chunk)?;
                    let mut high = low;
                    if chunk.first() == Some(&b'-') {
                        (high, chunk) = range_end(&chunk[1..])?;
                    }
                    found |= low <= c && c <= high;
                    ranges += 1;
                }
                if found == negated {
                    return Some(None);
                }
            }
            b'?' => {
                name = &name[decode(name).1..];
                chunk = after;
            }
            _ => {
                if first == b'\\' {
                    chunk = after;
                }
                let wanted = chunk.first()?;
                if *wanted != name[0] {
                    return Some(None);
                }
                name = &name[1..];
                chunk = &chunk[1..];
            }
        }
    }
    Some(Some(name))
}

/// One end of a range in brackets; more must follow it.
fn range_end(chunk: &[u8]) -> Option<(u32, &[u8])> {
    if matches!(chunk.first()?, b'-' | b']') {
        return None;
    }
    let chunk = chunk.strip_prefix(b"\\").unwrap_or(chunk);
    if chunk.is_empty() {
        return None;
    }
    let (c, width) = decode(chunk);
    let rest = &chunk[width..];
    if (c == BROKEN && width == 1) || rest.is_empty() {
        return None;
    }
    Some((c, rest))
}

const BROKEN: u32 = 0xFFFD;

fn decode(bytes: &[u8]) -> (u32, usize) {
    let width = char_width(bytes);
    let c = std::str::from_utf8(&bytes[..width]).ok().and_then(|text| text.chars().next());
    (c.map_or(BROKEN, u32::from), width)
}
