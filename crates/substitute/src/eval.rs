//! From the parts of a text to the result.

use crate::error::Error;
use crate::functions;
use crate::parse::{Expansion, Part};
use crate::pattern::Budget;

type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

pub(crate) fn eval(parts: &[Part], lookup: Lookup<'_>, strict: bool) -> Result<Vec<u8>, Error> {
    let mut evaluation =
        Evaluation { lookup, strict, budget: Budget::new(), left: crate::MAX_OUTPUT };
    let mut out = Vec::new();
    for part in parts {
        evaluation.part(part, &mut out)?;
    }
    Ok(out)
}

struct Evaluation<'l> {
    lookup: Lookup<'l>,
    strict: bool,
    budget: Budget,
    /// Bytes that may still be produced, arguments included.
    left: usize,
}

impl Evaluation<'_> {
    fn part(&mut self, part: &Part, out: &mut Vec<u8>) -> Result<(), Error> {
        match part {
            Part::Text(text) => self.put(text.as_bytes(), out),
            Part::Expansion(expansion) => {
                let value = self.expansion(expansion)?;
                self.put(&value, out)
            }
        }
    }

    fn put(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(Error::Limit("32 MiB of text"))?;
        out.extend_from_slice(bytes);
        Ok(())
    }

    fn expansion(&mut self, expansion: &Expansion) -> Result<Vec<u8>, Error> {
        let Expansion { name, operator, arguments } = expansion;
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let mut value = Vec::new();
            self.part(argument, &mut value)?;
            values.push(value);
        }
        let value = match (self.lookup)(name) {
            Some(value) => value,
            None if self.strict && !has_default(operator) => {
                return Err(Error::NotSet(name.clone()));
            }
            None => String::new(),
        };
        functions::apply(operator, name, value.into_bytes(), &values, &mut self.budget)
    }
}

/// Operators that say what becomes of a variable that is not set.
fn has_default(operator: &str) -> bool {
    matches!(operator, "-" | "+" | "=" | "?" | ":-" | ":+" | ":=" | ":?")
}
