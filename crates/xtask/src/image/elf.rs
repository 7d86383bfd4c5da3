//! Whether a program is static: an ELF file that asks for no interpreter and no library.
//!
//! Layout: the ELF-64 object file format, little-endian.

use anyhow::{Context as _, ensure};

const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;

/// Fails with what keeps the program from being static.
pub(super) fn ensure_static(elf: &[u8]) -> anyhow::Result<()> {
    ensure!(elf.starts_with(b"\x7fELF\x02\x01"), "not a 64-bit little-endian ELF file");
    let table = number(elf, 0x20, 8)?;
    let (size, count) = (number(elf, 0x36, 2)?, number(elf, 0x38, 2)?);
    for index in 0..count {
        let at = table + index * size;
        match u32::try_from(number(elf, at, 4)?)? {
            PT_INTERP => anyhow::bail!("it asks for a program interpreter (PT_INTERP)"),
            PT_DYNAMIC => {
                let (begin, length) = (number(elf, at + 8, 8)?, number(elf, at + 32, 8)?);
                for entry in 0..length / 16 {
                    let tag = number(elf, begin + entry * 16, 8)?;
                    ensure!(tag != DT_NEEDED, "it asks for a shared library (DT_NEEDED)");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn number(elf: &[u8], at: u64, width: usize) -> anyhow::Result<u64> {
    let at = usize::try_from(at)?;
    let bytes = elf.get(at..at.saturating_add(width)).context("the ELF file is cut short")?;
    Ok(bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_dynamically_is_told() {
        // This test's own program is, on the targets it is run on.
        let me = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let error = ensure_static(&me).unwrap_err().to_string();
        assert!(error.contains("PT_INTERP") || error.contains("DT_NEEDED"), "{error}");
        assert!(ensure_static(&me[..100]).is_err());
        assert!(ensure_static(b"#!/bin/sh").is_err());
    }
}
