//! Compiles an OpenAPI v2 document (JSON) to a table: `compile DOCUMENT.json TABLE.bin`.

#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "a program, not the library")]

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(from), Some(to)) = (args.next(), args.next()) else {
        return Err("usage: compile DOCUMENT.json TABLE.bin".into());
    };
    let document = serde_json::from_slice(&std::fs::read(from)?)?;
    let table = borax_schema::Table::compile(&document)?;
    eprintln!("{} kinds, {} bytes", table.kinds().count(), table.bytes().len());
    std::fs::write(to, table.bytes())?;
    Ok(())
}
