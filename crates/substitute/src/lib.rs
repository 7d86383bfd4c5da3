//! Flux's post-build substitution: `${var}` and its relatives in manifests.
//!
//! - [`text`]: what fluxcd/pkg/envsubst makes of a text.
//! - [`object`]: what kustomize-controller makes of one object, by way of its YAML.
//!
//! The syntax is that of a shell's parameter expansion, as far as and exactly as the original takes
//! it. This crate knows nothing of where variables come from.

mod error;
mod eval;
mod functions;
mod object;
mod parse;
mod pattern;
mod scan;

pub use error::Error;
pub use object::{DISABLED_VALUE, SUBSTITUTE_KEY, Vars, is_disabled, object};

/// Nested expansions at most; the original has no limit.
const MAX_DEPTH: usize = 100;
/// Bytes of result at most; no object of this size fits an API server.
const MAX_OUTPUT: usize = 32 << 20;

/// Replaces the expansions in `text`. `lookup` gives the value of a variable.
///
/// Not strict, a variable that `lookup` does not know is empty. Strict, it is an error unless the
/// expansion has a default (`${a:-b}`, `${a:=b}`, `${a=b}`; `:?` and `:+` count as such, too).
/// Defaults are evaluated also when they are not needed. `$$` is a dollar sign; a dollar sign
/// before anything but a brace stands for itself.
///
/// ```
/// let name = |name: &str| (name == "name").then(|| "web".to_owned());
/// let out = borax_substitute::text("a ${name} at ${place:=home} for $5 or $${name}", &name, true)?;
/// assert_eq!(out, "a web at home for $5 or ${name}");
/// # Ok::<(), borax_substitute::Error>(())
/// ```
pub fn text(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    strict: bool,
) -> Result<String, Error> {
    String::from_utf8(bytes(text, lookup, strict)?).map_err(|_| Error::NotText)
}

/// As [`text`]; `${a:1:1}` counts bytes and may leave what is no text.
fn bytes(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    strict: bool,
) -> Result<Vec<u8>, Error> {
    if !may_change(text) {
        return Ok(text.as_bytes().to_vec());
    }
    let template = parse::parse(text)?;
    eval::eval(&template, lookup, strict)
}

/// Whether there is anything in a text that substitution looks at.
fn may_change(text: &str) -> bool {
    text.contains("${") || text.contains("$$") || text.contains('\0')
}
