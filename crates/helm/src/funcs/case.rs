//! Snake, kebab and Pascal case as the xstrings library (1.5) splits words.

use super::strings::{to_lower, to_upper};
use borax_gotmpl::is_letter;

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || borax_gotmpl::is_space(c)
}

fn is_punct(c: char) -> bool {
    if c.is_ascii() {
        // Go's punctuation leaves out the symbols $+<=>^`|~.
        return c.is_ascii_punctuation() && !"$+<=>^`|~".contains(c);
    }
    !is_letter(c) && !c.is_numeric() && borax_gotmpl::is_print(c) && !c.is_alphanumeric()
}

#[derive(Clone, Copy, PartialEq)]
enum Word {
    Invalid,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punct,
    Other,
}

fn run(rest: &[char], from: usize, more: impl Fn(char) -> bool) -> usize {
    from + rest[from..].iter().take_while(|c| more(**c)).count()
}

/// The kind and length of the first word.
fn next_word(rest: &[char]) -> (Word, usize) {
    let Some(&first) = rest.first() else {
        return (Word::Invalid, 0);
    };
    let lower_run = |from| run(rest, from, |c| is_letter(c) && !c.is_uppercase());
    if is_connector(first) {
        (Word::Connector, run(rest, 1, is_connector))
    } else if is_punct(first) {
        (Word::Punct, run(rest, 1, is_punct))
    } else if first.is_uppercase() {
        let end = match rest.get(1) {
            Some(c) if c.is_uppercase() => {
                let end = run(rest, 2, char::is_uppercase);
                // Of "HTTPStatus" the S belongs to the next word.
                if rest.get(end).is_some_and(|c| is_letter(*c)) { end - 1 } else { end }
            }
            Some(c) if is_letter(*c) => lower_run(2),
            _ => 1,
        };
        (Word::Upper, end)
    } else if is_letter(first) {
        (Word::Alphabet, lower_run(1))
    } else if first.is_numeric() {
        (Word::Number, run(rest, 1, char::is_numeric))
    } else {
        let other = |c: char| !is_connector(c) && !is_letter(c) && !c.is_numeric() && !is_punct(c);
        (Word::Other, run(rest, 1, other))
    }
}

struct Words<'a> {
    rest: &'a [char],
}

impl<'a> Words<'a> {
    fn next(&mut self) -> (Word, &'a [char]) {
        let (kind, len) = next_word(self.rest);
        let (word, rest) = self.rest.split_at(len);
        self.rest = rest;
        (kind, word)
    }
}

fn write(out: &mut String, kind: Word, word: &[char], connector: char) {
    for &c in word {
        out.push(match kind {
            Word::Upper | Word::Connector if is_connector(c) => connector,
            Word::Upper | Word::Connector if c.is_uppercase() => to_lower(c),
            _ => c,
        });
    }
}

/// `ToSnakeCase` and `ToKebabCase`.
pub(super) fn lower_words(text: &str, connector: char) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut words = Words { rest: &chars };
    let mut out = String::new();
    let (mut kind, mut word) = words.next();
    while !words.rest.is_empty() {
        if kind != Word::Connector {
            write(&mut out, kind, word, connector);
        }
        let (previous, last) = (kind, word);
        (kind, word) = words.next();
        match previous {
            Word::Number => {
                while matches!(kind, Word::Alphabet | Word::Number) {
                    write(&mut out, kind, word, connector);
                    (kind, word) = words.next();
                }
                if !matches!(kind, Word::Invalid | Word::Punct | Word::Connector) {
                    out.push(connector);
                }
            }
            Word::Connector => write(&mut out, previous, last, connector),
            Word::Punct => {}
            _ if kind != Word::Number => {
                if !matches!(kind, Word::Connector | Word::Punct) {
                    out.push(connector);
                }
            }
            _ if words.rest.is_empty() => {}
            _ => {
                let last = word;
                (kind, word) = words.next();
                if kind != Word::Alphabet {
                    write(&mut out, Word::Number, last, connector);
                    if !matches!(kind, Word::Connector | Word::Punct) {
                        out.push(connector);
                    }
                    continue;
                }
                out.push(connector);
                write(&mut out, Word::Number, last, connector);
                while matches!(kind, Word::Alphabet | Word::Number) {
                    write(&mut out, kind, word, connector);
                    (kind, word) = words.next();
                }
                if !matches!(kind, Word::Invalid | Word::Connector | Word::Punct) {
                    out.push(connector);
                }
            }
        }
    }
    write(&mut out, kind, word, connector);
    out
}

/// `ToPascalCase`.
pub(super) fn pascal(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    let mut upper_run = false;
    let mut current = None;
    for c in chars.by_ref() {
        current = Some(c);
        if !is_connector(c) {
            upper_run = c.is_uppercase();
            current = Some(to_upper(c));
            break;
        }
        out.push(c);
    }
    let Some(mut current) = current else {
        return out;
    };
    let rest = chars.as_str();
    if rest.is_empty() {
        out.push(current);
        return out;
    }
    for c in rest.chars() {
        let previous = std::mem::replace(&mut current, c);
        if is_connector(c) && is_connector(previous) {
            out.push(previous);
            continue;
        }
        if is_connector(previous) {
            upper_run = c.is_uppercase();
            current = to_upper(c);
        } else {
            if upper_run {
                if c.is_uppercase() {
                    current = to_lower(c);
                } else {
                    upper_run = false;
                }
            }
            out.push(previous);
        }
    }
    out.push(current);
    out
}
