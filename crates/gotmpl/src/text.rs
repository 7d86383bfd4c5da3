//! Go strings: byte sequences that are usually, not always, UTF-8, and Go's rules for reading runes
//! out of them. Knows nothing of templates.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::rc::Rc;

use crate::held;

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// A Go string: immutable shared bytes. Slicing and decoding may leave it without valid UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str(Rc<[u8]>);

impl Str {
    fn made(bytes: Rc<[u8]>) -> Str {
        held::hold(held::BASE + bytes.len());
        Str(bytes)
    }

    /// The bytes of the string.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The string as text; ill-formed parts become U+FFFD.
    pub fn to_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// Length in bytes, as Go's `len`.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the string has no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_text(), f)
    }
}

impl Drop for Str {
    fn drop(&mut self) {
        if Rc::strong_count(&self.0) == 1 {
            held::free(held::BASE + self.0.len());
        }
    }
}

impl Default for Str {
    fn default() -> Self {
        Str::made(Rc::from(&b""[..]))
    }
}

impl Borrow<[u8]> for Str {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Str {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Str {
    fn from(s: &str) -> Self {
        Str::made(Rc::from(s.as_bytes()))
    }
}

impl From<&[u8]> for Str {
    fn from(s: &[u8]) -> Self {
        Str::made(Rc::from(s))
    }
}

impl From<String> for Str {
    fn from(s: String) -> Self {
        Str::made(Rc::from(s.into_bytes()))
    }
}

impl From<Vec<u8>> for Str {
    fn from(s: Vec<u8>) -> Self {
        Str::made(Rc::from(s))
    }
}

impl From<Cow<'_, str>> for Str {
    fn from(s: Cow<'_, str>) -> Self {
        Str::made(Rc::from(s.as_bytes()))
    }
}

/// Reads the first rune of `bytes` as Go's `utf8.DecodeRune` does: an ill-formed byte is U+FFFD with
/// width 1; an empty input has width 0.
pub fn decode_rune(bytes: &[u8]) -> (char, usize) {
    const BAD: char = char::REPLACEMENT_CHARACTER;
    let Some(&first) = bytes.first() else {
        return (BAD, 0);
    };
    let width = match first {
        0..=0x7f => return (char::from(first), 1),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return (BAD, 1),
    };
    match bytes.get(..width).map(std::str::from_utf8) {
        Some(Ok(s)) => (s.chars().next().unwrap_or(BAD), width),
        _ => (BAD, 1),
    }
}

/// The runes of a Go string with their widths, ill-formed bytes as U+FFFD of width 1.
pub fn runes(bytes: &[u8]) -> impl Iterator<Item = (char, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (rune, width) = decode_rune(&bytes[at..]);
        at += width;
        (width > 0).then_some((rune, width))
    })
}

/// Number of runes, as Go's `utf8.RuneCount`.
pub fn rune_count(bytes: &[u8]) -> usize {
    runes(bytes).count()
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    match c.general_category_group() {
        GeneralCategoryGroup::Letter
        | GeneralCategoryGroup::Mark
        | GeneralCategoryGroup::Number
        | GeneralCategoryGroup::Punctuation
        | GeneralCategoryGroup::Symbol => true,
        GeneralCategoryGroup::Separator | GeneralCategoryGroup::Other => false,
    }
}

/// Go's `unicode.IsLetter`.
pub fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    c.general_category_group() == GeneralCategoryGroup::Letter
}

/// Go's `unicode.IsDigit`: decimal digits of any script.
pub fn is_digit(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_digit();
    }
    c.general_category() == GeneralCategory::DecimalNumber
}

/// Go's `unicode.IsSpace`.
pub fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{85}' | '\u{a0}')
        || (!c.is_ascii() && c.general_category_group() == GeneralCategoryGroup::Separator)
}
