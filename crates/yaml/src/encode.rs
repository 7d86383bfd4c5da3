//! Trees and values as text: which style, tag and order each scalar and mapping is written with.
//! Owns go-yaml's encoders; layout is the emitter's.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::emit::{Described, Emitter, Entry, Layout, Shape, Tree};
use crate::error::Error;
use crate::json::json_number;
use crate::number::format_float;
use crate::resolve::{self, Resolved};
use crate::scan::Dialect;
use crate::{Comments, Data, Document, Node, Quoting, Tag, Text};

/// How go-yaml v3 lays out what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Columns of indentation, 2 to 9.
    pub indent: u8,
    /// `- ` counts as indentation: a sequence in a mapping begins at its key's column (with two
    /// columns of indentation).
    pub compact_sequences: bool,
}

impl Format {
    /// kyaml's: two columns, compact sequences.
    pub const KYAML: Format = Format { indent: 2, compact_sequences: true };
    /// kyaml's "wide" style, and Helm's `toYamlPretty`: two columns, indented sequences.
    pub const WIDE: Format = Format { indent: 2, compact_sequences: false };

    fn layout(self) -> Layout {
        Layout::v3(i64::from(self.indent), self.compact_sequences)
    }
}

/// Writes one tree as go.yaml.in/yaml/v3 writes a `yaml.Node`: styles, order and comments are kept.
///
/// Fails for anchors and aliases whose names cannot be written.
pub fn write(node: &Node, format: Format) -> Result<String, Error> {
    let mut emitter = Emitter::new(format.layout());
    emitter.document(Item::node(node), &Text::default(), &Text::default())?;
    Ok(emitter.out)
}

/// Writes documents, with `---` between them.
pub fn write_documents<'d>(
    documents: impl IntoIterator<Item = &'d Document>,
    format: Format,
) -> Result<String, Error> {
    let mut emitter = Emitter::new(format.layout());
    for document in documents {
        let Comments { head, foot, .. } = &document.comments;
        emitter.document(Item::node(&document.root), head, foot)?;
    }
    Ok(emitter.out)
}

/// Writes a value as go.yaml.in/yaml/v3 writes Go maps, slices and numbers (`toYamlPretty`): floats
/// as Go's `%g` (`1e+06`), integers as they are.
pub fn write_value(value: &Value, format: Format) -> String {
    emit_value(value, format.layout(), false)
}

/// Writes a value as `Marshal` and `JSONToYAML` of sigs.k8s.io/yaml: keys in natural order, sequences
/// not indented, lines folded at 80 columns, strings quoted where YAML 1.1 would take them for
/// something else.
///
/// The original goes through JSON text and go-yaml's reader, and therefore fails for DEL and other
/// control characters, and for keys of more than 1,024 characters. Here those are written (escaped).
pub fn to_string(value: &Value) -> String {
    emit_value(value, Layout::V2, false)
}

/// As [`to_string`], with keys in the order of their bytes (fluxcd/pkg `chartutil/encode.go` with `SortMapSlice`).
pub fn to_string_bytewise(value: &Value) -> String {
    emit_value(value, Layout::V2, true)
}

fn emit_value(value: &Value, layout: Layout, bytewise: bool) -> String {
    let mut emitter = Emitter::new(layout);
    let item = Item { of: Of::Value(value), v2: layout.v2, bytewise };
    let written = emitter.document(item, &Text::default(), &Text::default());
    debug_assert!(written.is_ok(), "values have no anchors");
    emitter.out
}

/// What the emitter walks.
#[derive(Clone, Copy)]
struct Item<'a> {
    of: Of<'a>,
    v2: bool,
    /// Keys go by their bytes, not in go-yaml's natural order.
    bytewise: bool,
}

#[derive(Clone, Copy)]
enum Of<'a> {
    Node(&'a Node),
    Value(&'a Value),
    Key(&'a str),
}

impl<'a> Item<'a> {
    fn node(node: &'a Node) -> Item<'a> {
        Item { of: Of::Node(node), v2: false, bytewise: false }
    }

    fn dialect(self) -> Dialect {
        if self.v2 { Dialect::V2 } else { Dialect::V3 }
    }

    /// A string of a value, quoted when it would be read as something else.
    fn string(self, text: &'a str) -> Shape<'a, Item<'a>> {
        let quoting = if text.contains('\n') {
            Quoting::Literal
        } else if resolve::plain(text, self.dialect()) == Resolved::Str
            && !resolve::is_base60(text)
            && !(resolve::is_old_bool(text))
        {
            Quoting::Plain
        } else {
            Quoting::Double
        };
        Shape::Scalar(text.into(), quoting)
    }

    fn value(self, value: &'a Value) -> Shape<'a, Item<'a>> {
        let plain = |text: Cow<'a, str>| Shape::Scalar(text, Quoting::Plain);
        match value {
            Value::Null => plain("null".into()),
            Value::Bool(value) => plain(if *value { "true" } else { "false" }.into()),
            Value::Number(number) => plain(self.number(number).into()),
            Value::String(text) => self.string(text),
            Value::Array(items) => Shape::Sequence {
                flow: false,
                items: items.iter().map(|item| Item { of: Of::Value(item), ..self }).collect(),
            },
            Value::Object(map) => {
                let mut entries: Vec<(&String, &Value)> = map.iter().collect();
                if self.bytewise {
                    entries.sort_unstable_by_key(|(key, _)| *key);
                } else {
                    sort_keys(&mut entries, self.v2);
                }
                Shape::Mapping {
                    flow: false,
                    entries: entries
                        .into_iter()
                        .map(|(key, value)| Entry {
                            key: Item { of: Of::Key(key), ..self },
                            value: Item { of: Of::Value(value), ..self },
                            foot: Text::default(),
                        })
                        .collect(),
                }
            }
        }
    }

    fn number(self, number: &Number) -> String {
        if number.is_i64() || number.is_u64() {
            return number.to_string();
        }
        let Some(float) = number.as_f64() else { return number.to_string() };
        if !self.v2 {
            return format_float(float);
        }
        // By way of JSON, where a whole float looks like an integer.
        let text = json_number(number);
        match resolve::plain(&text, Dialect::V2) {
            Resolved::Int(value) => value.to_string(),
            Resolved::Uint(value) => value.to_string(),
            _ => format_float(float),
        }
    }
}

impl<'a> Tree<'a> for Item<'a> {
    fn describe(self) -> Result<Described<'a, Item<'a>>, Error> {
        let shape = match self.of {
            Of::Node(node) => return Ok(describe_node(node)),
            Of::Value(value) => self.value(value),
            Of::Key(key) => self.string(key),
        };
        let none = Text::default();
        Ok(Described {
            shape,
            anchor: "",
            tag: "".into(),
            head: none.clone(),
            line: none.clone(),
            foot: none,
        })
    }
}

fn describe_node(node: &Node) -> Described<'_, Item<'_>> {
    let mut tag = if node.tag.is_none() { Cow::Borrowed("") } else { node.tag.long().into() };
    let implied = |default: Tag| !node.style.tagged && node.tag == default;
    let shape = match &node.data {
        Data::Alias(name) => Shape::Alias(name),
        Data::Sequence(items) => {
            if implied(Tag::Seq) {
                tag = "".into();
            }
            let items = items.iter().map(Item::node).collect();
            Shape::Sequence { flow: node.style.flow, items }
        }
        Data::Mapping(entries) => {
            if implied(Tag::Map) {
                tag = "".into();
            }
            let entries = entries
                .iter()
                .map(|(key, value)| Entry {
                    key: Item::node(key),
                    value: Item::node(value),
                    foot: key.comments().foot.clone(),
                })
                .collect();
            Shape::Mapping { flow: node.style.flow, entries }
        }
        Data::Scalar(text) => {
            let mut force_quotes = false;
            if !node.tag.is_none() && !node.style.tagged {
                let quoted = node.tag == Tag::Str && node.style.quoting != Quoting::Plain;
                let implied = quoted || resolve::plain(text, Dialect::V3).tag() == node.tag;
                force_quotes = !implied && node.tag == Tag::Str;
                if implied || force_quotes {
                    tag = "".into();
                }
            }
            let quoting = match node.style.quoting {
                Quoting::Plain if text.contains('\n') => Quoting::Literal,
                Quoting::Plain if force_quotes => Quoting::Double,
                quoting => quoting,
            };
            Shape::Scalar(Cow::Borrowed(text), quoting)
        }
    };
    let comments = node.comments();
    Described {
        shape,
        anchor: node.anchor(),
        tag,
        head: comments.head.clone(),
        line: comments.line.clone(),
        foot: comments.foot.clone(),
    }
}

/// Sorts as go-yaml sorts the keys of a map. Its order is none for some sets of keys (it is not
/// transitive), which this way of sorting bears.
fn sort_keys(entries: &mut [(&String, &Value)], v2: bool) {
    let less = |a: &(&String, &Value), b: &(&String, &Value)| natural_less(a.0, b.0, v2);
    if entries.windows(2).all(|pair| !less(&pair[1], &pair[0])) {
        return;
    }
    merge_sort(entries, &less);
}

fn merge_sort<T: Copy>(items: &mut [T], less: &impl Fn(&T, &T) -> bool) {
    if items.len() <= 12 {
        for end in 1..items.len() {
            let mut at = end;
            while at > 0 && less(&items[at], &items[at - 1]) {
                items.swap(at, at - 1);
                at -= 1;
            }
        }
        return;
    }
    let (left, right) = items.split_at_mut(items.len() / 2);
    merge_sort(left, less);
    merge_sort(right, less);
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut a, mut b) = (0, 0);
    while let (Some(&l), Some(&r)) = (left.get(a), right.get(b)) {
        if less(&r, &l) {
            merged.push(r);
            b += 1;
        } else {
            merged.push(l);
            a += 1;
        }
    }
    merged.extend_from_slice(&left[a..]);
    merged.extend_from_slice(&right[b..]);
    items.copy_from_slice(&merged);
}

/// The first of each ten decimal digits of other scripts (Go's `unicode.IsDigit`, as far as the
/// basic plane).
const OTHER_DIGITS: [u16; 36] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66,
    0x0DE6, 0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90,
    0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
];

fn is_digit(c: char) -> bool {
    let code = u32::from(c);
    c.is_ascii_digit()
        || (code > 0x7F && OTHER_DIGITS.iter().any(|&zero| code.wrapping_sub(zero.into()) < 10))
}

/// Digits by their number, letters after everything else.
fn natural_less(a: &str, b: &str, v2: bool) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return natural_less_of(a.as_bytes(), b.as_bytes(), v2, |b| u32::from(*b));
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    natural_less_of(&a, &b, v2, |c| u32::from(*c))
}

fn natural_less_of<T: Copy>(a: &[T], b: &[T], v2: bool, code: impl Fn(&T) -> u32) -> bool {
    let char_at = |text: &[T], at: usize| {
        text.get(at).and_then(|c| char::from_u32(code(c))).unwrap_or_default()
    };
    let mut digits = false;
    for at in 0..a.len().min(b.len()) {
        let (ca, cb) = (char_at(a, at), char_at(b, at));
        if ca == cb {
            digits = is_digit(ca);
            continue;
        }
        let (letter_a, letter_b) = (ca.is_alphabetic(), cb.is_alphabetic());
        if letter_a && letter_b {
            return ca < cb;
        }
        if letter_a || letter_b {
            // v3 puts a number that ends before a longer text's letter first.
            return if digits && !v2 { letter_a } else { letter_b };
        }
        let (mut number_a, mut number_b): (i64, i64) = (0, 0);
        if ca == '0' || cb == '0' {
            let mut before = at;
            while before > 0 && is_digit(char_at(a, before - 1)) {
                before -= 1;
                if char_at(a, before) != '0' {
                    (number_a, number_b) = (1, 1);
                    break;
                }
            }
        }
        let number = |text: &[T], value: &mut i64| {
            let mut end = at;
            while end < text.len() && is_digit(char_at(text, end)) {
                let digit = i64::from(u32::from(char_at(text, end))) - i64::from(u32::from('0'));
                *value = value.wrapping_mul(10).wrapping_add(digit);
                end += 1;
            }
            end
        };
        let (end_a, end_b) = (number(a, &mut number_a), number(b, &mut number_b));
        return match number_a.cmp(&number_b).then(end_a.cmp(&end_b)) {
            Ordering::Equal => ca < cb,
            order => order == Ordering::Less,
        };
    }
    a.len() < b.len()
}
